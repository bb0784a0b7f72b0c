"""Everything together, as lines for a person and as one block to paste into an issue."""

from collections.abc import Sequence

from dermalink.doctor.findings import Finding, Level
from dermalink.doctor.pen import check_pen
from dermalink.doctor.ports import check_ports
from dermalink.doctor.system import check_system
from dermalink.links.background import in_thread

MARKS = {Level.OK: "ok", Level.WARNING: "warning", Level.ERROR: "error"}


async def examine(url: str | None) -> list[Finding]:
    """Run every check, one failing or not; without `url` every pen that is found is asked."""
    found = [*check_system()]
    found += await in_thread(lambda: list(check_ports(url)), "look at serial ports")
    if url is not None:
        return found + await check_pen(url)
    from dermalink.discovery import discover

    pens = (await discover()).pens
    for pen in pens:
        found += await check_pen(pen.url)
    if not pens:
        advice = "Plug it in and switch it on, or name it: --pen URL"
        found.append(Finding(Level.WARNING, "pen", "none answers on any serial port", advice))
    return found


def worst(findings: Sequence[Finding]) -> Level:
    """The worst of all."""
    return max((finding.level for finding in findings), default=Level.OK)


def as_text(findings: Sequence[Finding]) -> str:
    """One block: a line for each finding, and below it what to do."""
    lines = []
    for level, subject, found, advice in findings:
        lines.append(f"{MARKS[level]:<8} {subject:<14} {found}")
        lines += [f"{'':<8} {'':<14} -> {advice}"] if advice else []
    count = {level: sum(finding.level is level for finding in findings) for level in Level}
    said = ", ".join(_counted(count[level], MARKS[level]) for level in (Level.ERROR, Level.WARNING))
    return "\n".join([*lines, "", f"{len(findings)} checks: {said}."])


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count or 'no'} {what}s"
