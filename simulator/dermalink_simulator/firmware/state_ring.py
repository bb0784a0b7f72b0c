"""A ring of state records in the flash: where the next one goes, and when a sector has to be erased for it."""

from dermalink_simulator.firmware.flash_layout import Region
from dermalink_simulator.seam import SECTOR_BYTES


class StateRing:
    """One copy of the state records: where the next one goes, and which slots are blank."""

    def __init__(self, region: Region) -> None:
        self.region = region
        self.next = 0
        self.blank = bytearray(region.slots)
        self.per_sector = SECTOR_BYTES // region.slot_bytes

    def needs_erase(self) -> bool:
        """Whether the next slot begins a sector that is not blank; moves past slots that were torn."""
        while self.next % self.per_sector and not self.blank[self.next]:
            self.next = (self.next + 1) % self.region.slots
        if self.next % self.per_sector:
            return False
        return not all(self.blank[self.next : self.next + self.per_sector])

    def erased(self) -> None:
        """The sector that the next slot begins is blank again."""
        self.blank[self.next : self.next + self.per_sector] = b"\1" * self.per_sector

    def used(self) -> None:
        """The next slot was written, for good or for nothing."""
        self.blank[self.next] = 0
        self.next = (self.next + 1) % self.region.slots
