"""The matrix for the docs: each row, what stands on each side, and the tests that show it."""

from collections.abc import Iterable, Mapping

from tests.traceability.marks import Mark
from tests.traceability.requirements import KINDS, SIDES, SIDES_OF, Requirement
from tests.traceability.verdict import proving

HEAD = """\
<!-- Written by `python tasks.py gen` from requirements.toml and the marks of the tests; do not edit. -->

# Safety requirements and their proofs

Each row says who holds it (P the pen, H the host, PH both, each alone, P(H) the pen, by evidence that the host
states) and what proves it today. *Test* shows it by example or property, *construction* by something that can't be
built or said, *proof* for every state and input. A *twin* is the same with the safeguard switched off, and must fail.
A side that is planned says what is missing.

"""


def render(rows: Mapping[str, Requirement], marks: Iterable[Mark]) -> str:
    """The whole page, in Markdown."""
    marks = list(marks)
    parts = [HEAD, _summary(rows)]
    topic = ""
    for row in rows.values():
        if row.topic != topic:
            topic = row.topic
            parts.append(f"## {topic}\n\n")
        parts.append(_row(row, marks))
    return "".join(parts).rstrip() + "\n"


def _summary(rows: Mapping[str, Requirement]) -> str:
    lines = ["| side | rows that it holds | proved | in part | planned |", "| --- | --- | --- | --- | --- |"]
    for side in SIDES:
        claims = [row.claims[side] for row in rows.values() if side in SIDES_OF[row.held]]
        whole = sum(bool(claim.proved) and not claim.missing for claim in claims)
        part = sum(bool(claim.proved and claim.missing) for claim in claims)
        lines.append(f"| {side} | {len(claims)} | {whole} | {part} | {len(claims) - whole - part} |")
    return "\n".join(lines) + "\n\n"


def _row(row: Requirement, marks: list[Mark]) -> str:
    lines = [f"({row.id.lower()})=", f"### {row.id}", "", row.rule, "", f"Held by {row.held}. From: {row.source}.", ""]
    for side in SIDES:
        claim, shown = row.claims.get(side), proving(row, side, marks)
        if claim is None:
            shown = [mark for mark in shown if mark.side == side]
            if not shown:
                continue
        kinds = [kind for kind in KINDS if any(mark.kind == kind for mark in shown)]
        says = " and ".join(kinds) if kinds else "planned"
        missing = f"; missing: {claim.missing}" if claim and claim.missing else ""
        lines.append(f"- {side}: {says}{missing}{'' if claim else ' (beyond what the row asks of it)'}")
        lines += [f"  - {kind}: `{test}`" for kind in kinds for test in _tests(shown, kind)]
    twins = sorted({mark.test.removeprefix("tests/") for mark in marks if mark.row == row.id and mark.twin})
    lines += [f"- twin: `{test}`" for test in twins]
    return "\n".join(lines) + "\n\n"


def _tests(marks: Iterable[Mark], kind: str) -> list[str]:
    return sorted({mark.test.removeprefix("tests/") for mark in marks if mark.kind == kind})
