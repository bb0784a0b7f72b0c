"""The owner's own sectors: two copies of each, the next owner beside the present one, and what is to be erased.

A record that changes, because its owner has another bond, is erased and written copy by copy, and never the only sound
one: so a cut leaves the old record or the new one, whole, and the next start brings the other copy up to it.
"""

from typing import Final

from dermalink_simulator.firmware.flash_layout import OWNER_A, OWNER_B, Region, unpack
from dermalink_simulator.firmware.owner_record import NO_OWNER, OwnerRecord

COPIES: Final = (OWNER_A, OWNER_B)
ANY: Final = tuple((copy, odd) for copy in range(len(COPIES)) for odd in range(len(OWNER_A)))


class OwnerSlots:
    """What the slots hold; a slot is known by its copy, 0 or 1, and by its owner's number being odd, 0 or 1."""

    __slots__ = ("_sound", "_written")

    def __init__(self) -> None:
        self._written: set[tuple[int, int]] = set()
        self._sound: dict[tuple[int, int], OwnerRecord] = {}

    def load(self, flash: bytes, number: int) -> OwnerRecord | None:
        """The owner of that number (0 is none) in a flash image; None where no copy of him is sound."""
        self._written = {(copy, odd) for copy, odd in ANY if not COPIES[copy][odd].is_blank(flash, 0)}
        records = ((slot, unpack(OwnerRecord, COPIES[slot[0]][slot[1]].slot(flash, 0))) for slot in ANY)
        self._sound = {slot: record for slot, record in records if record is not None}
        if number == 0:
            return NO_OWNER
        copies = (self._sound.get((copy, number & 1)) for copy in range(len(COPIES)))
        return next((each for each in copies if each is not None and each.number == number), None)

    def region(self, copy: int, number: int) -> Region:
        """Where a copy of the owner of that number goes."""
        return COPIES[copy][number & 1]

    def is_blank(self, copy: int, number: int) -> bool:
        """Whether it can be written there."""
        return (copy, number & 1) not in self._written

    def used(self, copy: int, number: int, record: OwnerRecord | None) -> None:
        """It was written there: this record, or for nothing."""
        self._written.add((copy, number & 1))
        if record is not None:
            self._sound[copy, number & 1] = record

    def behind(self, wanted: OwnerRecord, present: OwnerRecord) -> int | None:
        """The copy that is to hold `wanted` next, None when all do; the only one that holds `present` comes last."""
        slots = [(copy, wanted.number & 1) for copy in range(len(COPIES))]
        behind = [slot for slot in slots if self._sound.get(slot) != wanted]
        return min(behind, key=lambda slot: self._sound.get(slot) == present)[0] if behind else None

    def erased(self, copy: int, odd: int) -> None:
        """A slot's sector was erased."""
        self._written.discard((copy, odd))
        self._sound.pop((copy, odd), None)

    def stale(self, number: int) -> tuple[int, int] | None:
        """A slot that holds something which is not the owner of that number (0 is none)."""
        written = sorted(self._written)
        return next(((copy, odd) for copy, odd in written if number == 0 or odd != number & 1), None)
