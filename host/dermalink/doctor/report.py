"""Everything together, as lines for a person and as one block to paste into an issue."""

from collections.abc import Sequence

from dermalink.discovery import BLE, Discovery, discover, with_radio
from dermalink.doctor.bluetooth import check_bluetooth, in_the_way, judge_air, may_listen, named_radio
from dermalink.doctor.findings import Finding, Level
from dermalink.doctor.pen import check_pen
from dermalink.doctor.ports import check_ports
from dermalink.doctor.system import check_system
from dermalink.links.background import in_thread

MARKS = {Level.OK: "ok", Level.WARNING: "warning", Level.ERROR: "error"}


async def examine(url: str | None, radio: str | None = None) -> list[Finding]:
    """Run every check, one failing or not; without `url` every pen on a cable is asked, and none on the air.

    `radio` takes the place of the system's Bluetooth adapter.
    """
    wanted = with_radio(url, radio) if url else None
    named = named_radio(wanted, radio)
    found = [*check_system()]
    found += await in_thread(lambda: list(check_ports(wanted)), "look at serial ports")
    bluetooth = await check_bluetooth(wanted, named)
    found += bluetooth
    if wanted is None or (named and not wanted.startswith(BLE)):
        heard = await discover(serial=wanted is None, ble=bool(named) or may_listen(), radio=radio)
        found += judge_air(heard.nearby, heard.others, named, told=in_the_way(bluetooth))
        if wanted is None:
            return found + await _check_found(heard)
    return found + await check_pen(wanted)


async def _check_found(heard: Discovery) -> list[Finding]:
    """Every pen on a cable, one after the other."""
    if not heard.pens and not heard.nearby:
        advice = "Plug it in and switch it on, or name it: --pen URL"
        return [Finding(Level.WARNING, "pen", "none answers on any serial port, and none is heard on the air", advice)]
    return [finding for pen in heard.pens for finding in await check_pen(pen.url)]


def worst(findings: Sequence[Finding]) -> Level:
    """The worst of all."""
    return max((finding.level for finding in findings), default=Level.OK)


def as_text(findings: Sequence[Finding]) -> str:
    """One block: a line for each finding, and below it what to do."""
    lines = []
    for level, subject, found, advice, more, _ in findings:
        lines.append(f"{MARKS[level]:<8} {subject:<14} {found}")
        lines += [f"{'':<8} {'':<14} {line}" for line in more]
        lines += [f"{'':<8} {'':<14} -> {advice}"] if advice else []
    count = {level: sum(finding.level is level for finding in findings) for level in Level}
    said = ", ".join(_counted(count[level], MARKS[level]) for level in (Level.ERROR, Level.WARNING))
    return "\n".join([*lines, "", f"{len(findings)} checks: {said}."])


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count or 'no'} {what}s"
