"""NOR flash: erased to ones by the sector, written by clearing bits, torn where power goes away in the middle."""

from collections import Counter
from collections.abc import Callable
from enum import IntEnum
from mmap import mmap
from random import Random
from typing import Final

from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.hardware.physics import Physics
from dermalink_simulator.seam import FLASH_BYTES, SECTOR_BYTES, FlashOp

ERASED: Final = b"\xff"
Cells = bytes | bytearray | mmap
TORN_BYTES: Final = 16  # cells around the cut that hold neither the old nor the new
WORN_BITS: Final = 32  # that stay written in a worn sector (assumption)


class FlashImageError(DermalinkError):
    """Bytes that are no image of this pen's flash."""


class Tear(IntEnum):
    """How far an operation gets when power goes away in it."""

    BEFORE = 0
    WITHIN = 1
    AFTER = 2


class Flash:
    """The chip, on cells of its own (from bytes) or in place (a buffer that somebody keeps).

    One operation is under way at a time; it is on the chip when its time is over, and not before.

    `operations` counts those begun since the chip was made. A fault sets `cut_in` (so many more operations, and power
    goes away in the last of them, as `tear` says), `failing` (so many operations fail without a trace) or `slow_ms`
    (every operation takes so much longer); in `bad_sector` every operation fails. A sector that was erased more often
    than `stands_erases` gets blank no more. `cached` is how many operations are called done before they are: those
    reach the cells in another order (each sector's own keep theirs), and when power goes each is there or is lost.
    """

    def __init__(self, physics: Physics, random: Random, cells: Cells) -> None:
        if len(cells) != FLASH_BYTES:
            raise FlashImageError(
                f"a flash image of {len(cells)} bytes was refused", limit=f"this pen's flash has {FLASH_BYTES} bytes"
            )
        self._physics = physics
        self._random = random
        self._cells: bytearray | mmap = bytearray(cells) if isinstance(cells, bytes) else cells
        self._under_way: FlashOp | None = None
        self.operations = 0
        self.cut_in = 0
        self.tear = Tear.WITHIN
        self.failing = 0
        self.slow_ms = 0
        self.bad_sector: int | None = None
        self.stands_erases: int | None = None
        self.wear_chance = self.cache_chance = random
        self._erased: Counter[int] = Counter()
        self._cached = 0
        self._cache: list[FlashOp] = []
        self.on_cut: Callable[[], None] | None = None

    def image(self) -> bytes:
        """All cells as they are now."""
        return self._cells[:] if isinstance(self._cells, mmap) else bytes(self._cells)

    def begin(self, op: FlashOp) -> int:
        """Take an operation; returns how long it takes, in ms."""
        self._under_way = op
        self.operations += 1
        if self.cut_in:
            self.cut_in -= 1
            if self.cut_in == 0 and self.on_cut is not None:
                self.on_cut()
        if not op.data:
            return self._physics.flash_erase_ms + self.slow_ms
        pages = -(-len(op.data) // self._physics.flash_page_bytes)
        return pages * self._physics.flash_page_ms + self.slow_ms

    def end(self) -> bool:
        """The operation's time is over; True when the chip now holds what was asked for."""
        op, self._under_way = self._under_way, None
        if op is None or not self._fits(op):
            return False
        if op.address // SECTOR_BYTES == self.bad_sector:
            return False
        if self.failing:
            self.failing -= 1
            return False
        if not self._cached:
            return self._carry_out(op)
        self._cache.append(op)
        while len(self._cache) > self._cached:
            self._empty_one()
        return True

    def cache(self, operations: int) -> None:
        """From now on call so many operations done before they are; 0 is none, and those that lie there get done."""
        self._cached = operations
        while len(self._cache) > operations:
            self._empty_one()

    def rot(self, sector: int | None, bits: int, random: Random) -> int:
        """Flip so many bits of a sector (of one by chance that holds something), and return which it was."""
        if sector is None:
            blank = ERASED * SECTOR_BYTES
            held = [at for at in range(0, FLASH_BYTES, SECTOR_BYTES) if self._cells[at : at + SECTOR_BYTES] != blank]
            sector = random.choice(held or [0]) // SECTOR_BYTES
        for place in random.sample(range(SECTOR_BYTES * 8), bits):
            self._cells[sector * SECTOR_BYTES + place // 8] ^= 1 << place % 8
        return sector

    def _carry_out(self, op: FlashOp) -> bool:
        """Do it to the cells; True when they now hold what was asked for."""
        if not op.data:
            return self._erase(op.address)
        self._program(op.address, op.data)
        return self._cells[op.address : op.address + len(op.data)] == op.data

    def _erase(self, address: int) -> bool:
        sector = address // SECTOR_BYTES
        self._erased[sector] += 1
        old = self._cells[address : address + SECTOR_BYTES]
        self._cells[address : address + SECTOR_BYTES] = ERASED * SECTOR_BYTES
        if self.stands_erases is None or self._erased[sector] <= self.stands_erases:
            return True
        written = [place for place in range(SECTOR_BYTES * 8) if not old[place // 8] >> place % 8 & 1]
        for place in self.wear_chance.sample(written, min(WORN_BITS, len(written))):
            self._cells[address + place // 8] &= ~(1 << place % 8)
        return not written

    def _empty_one(self) -> None:
        """One of the operations that lie in the cache reaches the cells: any sector's oldest."""
        oldest: dict[int, int] = {}
        for number, op in enumerate(self._cache):
            oldest.setdefault(op.address // SECTOR_BYTES, number)
        self._carry_out(self._cache.pop(self.cache_chance.choice(list(oldest.values()))))

    def lose_power(self, tear: Tear = Tear.WITHIN) -> None:
        """Power goes away: what was under way is torn, and what lay in a cache is there or is lost."""
        self._tear(tear)
        kept, self._cache = [one for one in self._cache if self.cache_chance.getrandbits(1)], []
        for one in kept:
            self._carry_out(one)

    def _tear(self, tear: Tear) -> None:
        op = self._under_way
        if op is None or not self._fits(op) or tear is Tear.BEFORE:
            self._under_way = None
            return
        if tear is Tear.AFTER:
            self.end()
            return
        self._under_way = None
        if op.data:
            cut = self._random.randrange(len(op.data))
            self._program(op.address, op.data[:cut])
            half = bytes(byte | self._random.getrandbits(8) for byte in op.data[cut : cut + TORN_BYTES])
            self._program(op.address + cut, half)
            return
        cut = self._random.randrange(SECTOR_BYTES)
        self._cells[op.address : op.address + cut] = ERASED * cut
        for at in range(op.address + cut, min(op.address + cut + TORN_BYTES, op.address + SECTOR_BYTES)):
            self._cells[at] |= self._random.getrandbits(8)

    def _fits(self, op: FlashOp) -> bool:
        if not op.data:
            return op.address % SECTOR_BYTES == 0 and 0 <= op.address < FLASH_BYTES
        return op.address >= 0 and op.address + len(op.data) <= FLASH_BYTES

    def _program(self, address: int, data: bytes) -> None:
        """Clear bits; what is already 0 stays 0."""
        end = address + len(data)
        old = int.from_bytes(self._cells[address:end], "little")
        self._cells[address:end] = (old & int.from_bytes(data, "little")).to_bytes(len(data), "little")
