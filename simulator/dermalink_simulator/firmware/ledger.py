"""The ledger of heads: what each has done, by tag id; it only grows, and so does every number in it (SR-CART-1, 4)."""

from dermalink_protocol.limits import LEDGER_HEADS_MAX
from dermalink_simulator.firmware.flash_layout import LEDGER, HeadRecord, unpack

NEVER_USED = HeadRecord(bytes(8), 0, 0, 0, 0)
RESERVE_SLOTS = 64  # what a session can come to write at most, so that one that began can always be written down


class LedgerError(ValueError):
    """A number of the ledger would have gone back."""


class Ledger:
    """The heads that this pen has worked with, as its flash holds them.

    `slots` counts the slots that were written, sound or torn, and `records` the sound ones among them. `unwritten` are
    the heads of which something is held that no slot has yet: the state record alone has it.
    """

    __slots__ = ("_heads", "records", "slots", "unwritten")

    def __init__(self) -> None:
        self._heads: dict[bytes, HeadRecord] = {}
        self.slots = 0
        self.records = 0
        self.unwritten: set[bytes] = set()

    def load(self, flash: bytes, slots: int, records: int) -> bool:
        """Read a flash image; False when of the first `slots` slots fewer than `records` are sound: something is lost.

        Slots after those are from a write whose state record is older; torn ones are passed over.
        """
        sound = 0
        slot = 0
        while slot < LEDGER.slots and (slot < slots or not LEDGER.is_blank(flash, slot)):
            record = unpack(HeadRecord, LEDGER.slot(flash, slot))
            if record is not None:
                sound += slot < slots
                self.records += 1
                self.hold(record)
                self.landed(record)
            slot += 1
        self.slots = slot
        return sound >= records

    def find(self, tag_id: bytes) -> HeadRecord:
        """What is known of a head; all zero for one never used."""
        return self._heads.get(tag_id) or NEVER_USED._replace(tag_id=tag_id)

    def has_room(self, tag_id: bytes) -> bool:
        """Whether a session with this head can be written down whole; full means refused (SR-RST-2)."""
        known = tag_id in self._heads
        return (known or len(self._heads) < LEDGER_HEADS_MAX) and self.slots + RESERVE_SLOTS <= LEDGER.slots

    @property
    def free_slots(self) -> int:
        """How many more records there is room for."""
        return LEDGER.slots - self.slots

    def hold(self, record: HeadRecord) -> None:
        """Take what is written, or is being written; raises `LedgerError` if a number goes back."""
        known = self._heads.get(record.tag_id)
        if known is not None and any(now < before for now, before in zip(record[1:4], known[1:4], strict=True)):
            raise LedgerError(f"head {record.tag_id.hex()} would go back from {known[1:4]} to {record[1:4]}")
        if record != known:
            self.unwritten.add(record.tag_id)
        self._heads[record.tag_id] = record

    def landed(self, record: HeadRecord) -> None:
        """A slot has this record now."""
        if self._heads.get(record.tag_id) == record:
            self.unwritten.discard(record.tag_id)

    def __len__(self) -> int:
        return len(self._heads)
