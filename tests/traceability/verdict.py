"""Requirements against marks: every claim has its proof, and every proof its claim."""

from collections.abc import Iterable, Mapping

from tests.traceability.marks import Mark
from tests.traceability.requirements import KINDS, SIDES, Claim, Requirement


def faults(rows: Mapping[str, Requirement], marks: Iterable[Mark]) -> list[str]:
    """What doesn't fit, a sentence each that says what to do; nothing if all does."""
    marks = list(marks)
    strangers = [f"{mark.test} names {mark.row}, which is no row." for mark in marks if mark.row not in rows]
    return [*strangers, *(fault for row in rows.values() for fault in _faults_of(row, marks))]


def proving(row: Requirement, side: str, marks: Iterable[Mark]) -> list[Mark]:
    """The marks that prove a side of a row, twins left out."""
    return [mark for mark in marks if mark.row == row.id and mark.side in (None, side) and not mark.twin]


def _faults_of(row: Requirement, marks: list[Mark]) -> Iterable[str]:
    for side in SIDES:
        claim, shown = row.claims.get(side), {mark.kind for mark in proving(row, side, marks)}
        if claim is None:  # a proof beyond what the row asks of this side; the matrix shows it
            continue
        for kind in KINDS:
            if kind in claim.proved and kind not in shown:
                yield f"{row.id} is said to stand by {kind} on the side of the {side}, and no test is marked so."
        if shown - claim.proved:
            advice = _advice(side, claim, shown)
            yield f"{row.id} is proved on the side of the {side}, and its row does not say so: {advice}"
    twins = [mark for mark in marks if mark.row == row.id and mark.twin]
    if not twins and any(mark.row == row.id and mark.kind == "proof" for mark in marks):
        yield f"{row.id} has a proof, but no twin that must fail when the safeguard is off (twin=True)."


def _advice(side: str, claim: Claim, shown: set[str]) -> str:
    kinds = ", ".join(f'"{kind}"' for kind in KINDS if kind in shown | claim.proved)
    remains = f', remains = "{claim.missing}"' if claim.missing else ""
    note = " (without `remains` if the whole row stands)" if remains else ""
    return f"write {side} = {{ proved = [{kinds}]{remains} }}{note}."
