"""The owner's own sectors: two copies of each, the next owner beside the present one, and what is to be erased."""

from typing import Final

from dermalink_simulator.firmware.flash_layout import OWNER_A, OWNER_B, Region, unpack
from dermalink_simulator.firmware.owner_record import NO_OWNER, OwnerRecord

COPIES: Final = (OWNER_A, OWNER_B)
ANY: Final = tuple((copy, odd) for copy in range(len(COPIES)) for odd in range(len(OWNER_A)))


class OwnerSlots:
    """Which slots are blank; a slot is known by its copy, 0 or 1, and by its owner's number being odd, 0 or 1."""

    __slots__ = ("_written",)

    def __init__(self) -> None:
        self._written: set[tuple[int, int]] = set()

    def load(self, flash: bytes, number: int) -> OwnerRecord | None:
        """The owner of that number (0 is none) in a flash image; None where no copy of him is sound."""
        self._written = {(copy, odd) for copy, odd in ANY if not COPIES[copy][odd].is_blank(flash, 0)}
        if number == 0:
            return NO_OWNER
        for copy in COPIES:
            found = unpack(OwnerRecord, copy[number & 1].slot(flash, 0))
            if found is not None and found.number == number:
                return found
        return None

    def region(self, copy: int, number: int) -> Region:
        """Where a copy of the owner of that number goes."""
        return COPIES[copy][number & 1]

    def is_blank(self, copy: int, number: int) -> bool:
        """Whether it can be written there."""
        return (copy, number & 1) not in self._written

    def used(self, copy: int, number: int) -> None:
        """It was written there, for good or for nothing."""
        self._written.add((copy, number & 1))

    def erased(self, copy: int, odd: int) -> None:
        """A slot's sector was erased."""
        self._written.discard((copy, odd))

    def stale(self, number: int) -> tuple[int, int] | None:
        """A slot that holds something which is not the owner of that number (0 is none)."""
        written = sorted(self._written)
        return next(((copy, odd) for copy, odd in written if number == 0 or odd != number & 1), None)
