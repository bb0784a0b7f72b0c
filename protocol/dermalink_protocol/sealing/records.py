"""Sealed records: what goes over a channel once a handshake has given both directions their keys (SR-SEC-1).

**Layout.** 20 bytes more than the body, and 236 in all (`messages.sealed` carries it), so a body has 216 bytes at most:

| bytes | what |
| --- | --- |
| 0 to 3 | counter, u32 little-endian, in the open |
| 4 to 4 + n - 1 | the body, n bytes, enciphered |
| the last 16 | tag |

**Seal.** ChaCha20-Poly1305. Nonce: four zero bytes, the counter as in the record, four zero bytes. Associated data:
the channel's number, one byte. Key: the direction's, of the counter's epoch. So a record with a bit changed, of
another counter, channel, direction or connection does not open.

**Counter.** Each direction has one counter over all its channels, from 0 up by 1 with each record, sent or not: one
key never meets one nonce twice. The receiver keeps a window (`window`) for each channel, because channels overtake
each other on the air and records within one hardly do. A lost record costs itself.

**Epochs.** The counter's upper 16 bits are the epoch of the key, so nobody has to say when it changes: epoch 0 has
the handshake's key, each later one the `REKEY` of the key before, and a key seals 65 536 records at most. The sender
forgets a key with the first record under the next. The receiver goes on to the next epoch with its first authentic
record, and keeps the key before until a record with a lower half of 64 or more was authentic; what comes later under
the old key is too old. It looks one epoch ahead and no further: the one key that a forged counter makes it compute is
kept, so a flood costs no more. (A receiver that opened nothing of a whole epoch opens nothing after it: with 65 536
records lost in a row the connection is over.)

**Dropped records** change nothing, whatever is wrong with them; they are counted, and no answer goes back. The order
of the questions is the order of their cost: length, epoch, window, seal.

**The end.** After counter 4 294 967 295 a direction can seal nothing more: a new connection has new keys.

A seal says who and what, not when: a record may be held back and let go later. What raises exposure carries its own
time to live and the pen's tick (SR-CMD-1).
"""

from typing import Final, NamedTuple

from dermalink_protocol.channels import Channel
from dermalink_protocol.limits import SEAL_RECORDS_PER_KEY, SEAL_WINDOW_RECORDS
from dermalink_protocol.messages.sealed import RECORD_BYTES_MAX, SEAL_BYTES
from dermalink_protocol.sealing.aead import TAG_BYTES, Aead, nonce_of
from dermalink_protocol.sealing.errors import (
    CountersUsedUp,
    RecordError,
    RecordForged,
    RecordReplayed,
    RecordTooFarAhead,
    RecordTooLong,
    RecordTooOld,
    RecordTooShort,
)
from dermalink_protocol.sealing.single import Single
from dermalink_protocol.sealing.window import Verdict, Window

COUNTER_BYTES: Final = 4
OVERHEAD_BYTES: Final = COUNTER_BYTES + TAG_BYTES
assert OVERHEAD_BYTES == SEAL_BYTES
BODY_BYTES_MAX: Final = RECORD_BYTES_MAX - OVERHEAD_BYTES
COUNTER_MAX: Final = 0xFFFF_FFFF
TALLY_MAX: Final = 0xFFFF_FFFF

EPOCH_SHIFT: Final = SEAL_RECORDS_PER_KEY.bit_length() - 1
IN_EPOCH_MASK: Final = (1 << EPOCH_SHIFT) - 1
KEEPS_OLD_KEY: Final = int(SEAL_WINDOW_RECORDS)
"""The lower half of a counter from which on the key before is gone."""

_BOUND: Final = {channel: bytes([channel]) for channel in Channel}
_FLAWS: Final = {Verdict.TOO_OLD: RecordTooOld, Verdict.REPLAYED: RecordReplayed}


class Opened(NamedTuple):
    """An authentic record, for the first time."""

    channel: Channel
    counter: int
    body: bytes


_opened: Final = tuple.__new__  # as the constructor does it, in a third of the time


class Dropped(NamedTuple):
    """Bytes that were refused, and why; nothing has changed but the count."""

    kind: type[RecordError]
    channel: Channel
    size: int

    @property
    def error(self) -> RecordError:
        """The error in words; made when it is asked for, since a flood of bad records comes cheap to its sender."""
        return self.kind(f"a record of {self.size} bytes on {self.channel.name} was dropped", limit=WORDS[self.kind])


WORDS: Final[dict[type[RecordError], str]] = {
    RecordTooShort: f"a record has {OVERHEAD_BYTES} bytes at least",
    RecordTooLong: f"a record has {RECORD_BYTES_MAX} bytes at most",
    RecordTooFarAhead: "its counter is more than one key ahead",
    RecordTooOld: "its counter is older than any that may still come",
    RecordReplayed: "its counter was taken before",
    RecordForged: "its seal is not the other side's for this counter and channel",
}


class Sealer(Single):
    """One direction's sending end. Made by the handshake, once for a key of 32 bytes; asked by one thread."""

    __slots__ = ("_aead", "_epoch", "_next")

    def __init__(self, key: bytes) -> None:
        self._aead = Aead(key)
        self._epoch = 0
        self._next = 0

    @property
    def left(self) -> int:
        """Records that can still be sealed, 2³² at first."""
        return COUNTER_MAX + 1 - self._next

    def seal(self, channel: Channel, body: bytes) -> bytes:
        """The record of `body` (at most `BODY_BYTES_MAX` bytes) for `channel`.

        Raises `RecordTooLong`, and has then used no counter, or `CountersUsedUp` when there is none left.
        """
        if len(body) > BODY_BYTES_MAX:
            limit = f"a record carries {BODY_BYTES_MAX} at most"
            raise RecordTooLong(f"{len(body)} bytes were not sealed", limit=limit, limit_value=BODY_BYTES_MAX)
        counter = self._next
        if counter > COUNTER_MAX:
            raise CountersUsedUp(
                "a record was not sealed", limit="every counter of this connection is used", advice="Connect again."
            )
        self._next = counter + 1  # before it is used: what fails from here on costs a number, and never takes one twice
        while self._epoch < counter >> EPOCH_SHIFT:
            self._aead = self._aead.next_key()
            self._epoch += 1
        open_part = counter.to_bytes(COUNTER_BYTES, "little")
        return open_part + self._aead.seal(nonce_of(open_part), body, _BOUND[channel])


class Opener(Single):
    """One direction's receiving end. Made by the handshake, once for a key of 32 bytes; asked by one thread."""

    __slots__ = ("_ahead", "_before", "_current", "_epoch", "_proven", "_windows", "dropped")

    def __init__(self, key: bytes) -> None:
        self._before: Aead | None = None
        self._current = Aead(key)
        self._ahead: Aead | None = None
        self._epoch = 0
        self._proven = False
        self._windows = {channel: Window() for channel in Channel}
        self.dropped: dict[type[RecordError], int] = dict.fromkeys(WORDS, 0)
        """How many records were dropped, by kind; each count stops at `TALLY_MAX`."""

    @property
    def proven(self) -> bool:
        """Whether a record opened: until then a pen can't know that its first message was not an old one."""
        return self._proven

    def open(self, channel: Channel, record: bytes) -> Opened | Dropped:
        """What is in `record`, as it came over `channel`; raises nothing, whatever the bytes are."""
        size = len(record)
        if not OVERHEAD_BYTES <= size <= RECORD_BYTES_MAX:
            return self._drop(RecordTooShort if size < OVERHEAD_BYTES else RecordTooLong, channel, size)
        open_part = record[:COUNTER_BYTES]
        counter = int.from_bytes(open_part, "little")
        epoch = counter >> EPOCH_SHIFT
        aead = self._current if epoch == self._epoch else self._other_key(epoch)
        if aead is None:
            kind = RecordTooOld if epoch < self._epoch else RecordTooFarAhead
            return self._drop(kind, channel, size)
        window = self._windows[channel]
        if counter <= window.highest and (verdict := window.verdict(counter)) is not Verdict.NEW:
            return self._drop(_FLAWS[verdict], channel, size)
        body = aead.open(nonce_of(open_part), record[COUNTER_BYTES:], _BOUND[channel])
        if body is None:
            return self._drop(RecordForged, channel, size)
        window.take(counter)
        self._proven = True
        if epoch > self._epoch:
            self._go_on()
        if self._before is not None and epoch == self._epoch and counter & IN_EPOCH_MASK >= KEEPS_OLD_KEY:
            self._before = None
        return _opened(Opened, (channel, counter, body))

    def _other_key(self, epoch: int) -> Aead | None:
        """The key of the epoch before while it is kept, or of the next; None for any other."""
        if epoch == self._epoch - 1:
            return self._before
        if epoch == self._epoch + 1:
            if self._ahead is None:
                self._ahead = self._current.next_key()
            return self._ahead
        return None

    def _go_on(self) -> None:
        """Go to the next epoch, once a record of it was authentic."""
        assert self._ahead is not None
        self._before, self._current, self._ahead = self._current, self._ahead, None
        self._epoch += 1

    def _drop(self, kind: type[RecordError], channel: Channel, size: int) -> Dropped:
        self.dropped[kind] = min(self.dropped[kind] + 1, TALLY_MAX)
        return Dropped(kind, channel, size)
