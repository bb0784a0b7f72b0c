"""A flash chip for tests of the store: erased to ones, writes clear bits, power can go in the middle of a write."""

from dermalink_simulator.firmware.flash_layout import factory_flash
from dermalink_simulator.firmware.flash_store import FlashStore
from dermalink_simulator.seam import SECTOR_BYTES, FlashOp

FACTORY = factory_flash("DL-TEST")


class PowerCut(Exception):
    """Power went away."""


class Chip:
    """The cells; `cut_at` is the operation in which power goes, `share` how much of it got through (of 256)."""

    def __init__(self, cells: bytes = FACTORY) -> None:
        self.cells = bytearray(cells)
        self.operations = 0
        self.cut_at: int | None = None
        self.share = 128
        self.failing: set[int] = set()

    def do(self, op: FlashOp) -> bool:
        """One operation; False when it failed and left nothing."""
        self.operations += 1
        size = len(op.data) or SECTOR_BYTES
        if self.operations == self.cut_at:
            size = size * self.share // 256
        if self.operations in self.failing:
            return False
        old = self.cells[op.address : op.address + size]
        new = bytes(a & b for a, b in zip(old, op.data, strict=False)) if op.data else b"\xff" * size
        self.cells[op.address : op.address + size] = new
        if self.operations == self.cut_at:
            raise PowerCut
        return True

    def boot(self) -> FlashStore:
        """A store that has read the chip."""
        store = FlashStore()
        store.load(bytes(self.cells))
        return store

    def write_out(self, store: FlashStore) -> list[tuple[int, bool]]:
        """All that the store has to write; tokens that ended."""
        ended = []
        while (op := store.next()) is not None:
            done = store.done(self.do(op))
            if done is not None:
                ended.append(done)
        return ended
