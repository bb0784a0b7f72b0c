"""Which symptoms are still to be told, and to which pen (SR-SYM-1): no answer in the clear is the person's own pen's.

Who answers in the clear may be anybody, so what was said so is told once more under seal, to a pen that this computer
owns; and in the clear a symptom goes to no other pen than the one it was reported to (SR-DATA-1).
What a pen only says of itself in the clear is told to none, and answers nothing that waits.
"""

from collections.abc import Iterator

from dermalink.records import SymptomSaid, SymptomSaidOpenly, SymptomSeen
from dermalink_protocol.limits import SYMPTOM_LOCK_S


class SymptomsSaid:
    """Every symptom that still matters, folded from the journal."""

    def __init__(self) -> None:
        self._said: list[SymptomSaid] = []
        self._pens: set[str] = set()

    def __iter__(self) -> Iterator[SymptomSaid]:
        """Oldest first."""
        return iter(self._said)

    def name(self, serial_number: str) -> None:
        """The journal speaks of this pen; "" is none."""
        self._pens |= {serial_number} - {""}

    def take(self, said: SymptomSaid) -> None:
        """One that a pen was told of replaces its like that waited to be told to that pen."""
        if said.told and not isinstance(said, SymptomSeen):
            self._said = [each for each in self._said if not self._answers(said, each)]
        self._said.append(said)

    def waiting(self, serial_number: str, *, sealed: bool, utc_s: int) -> tuple[SymptomSaid, ...]:
        """What this pen is to be told, oldest first; one with no `pen` was reported while none was at hand."""
        wanted = self._for_own if sealed else self._for_anybody
        return tuple(each for each in self._said if wanted(each, serial_number, utc_s))

    @staticmethod
    def _for_own(each: SymptomSaid, serial_number: str, utc_s: int) -> bool:
        if isinstance(each, SymptomSaidOpenly):
            return not each.told or utc_s - each.utc_s < SYMPTOM_LOCK_S
        return not each.told and each.pen in ("", serial_number)

    def _for_anybody(self, each: SymptomSaid, serial_number: str, _utc_s: int) -> bool:
        if each.told:
            return False
        if not each.pen:
            return self._pens == {serial_number}
        return isinstance(each, SymptomSaidOpenly) and each.pen == serial_number

    def _answers(self, told: SymptomSaid, each: SymptomSaid) -> bool:
        if each.symptom != told.symptom:
            return False
        wanted = self._for_anybody if isinstance(told, SymptomSaidOpenly) else self._for_own
        return wanted(each, told.pen, told.utc_s)
