"""The window that knows a record again: which of the newest 64 counters of a channel were taken (SR-SEC-1, SR-CMD-1).

As IPsec (RFC 4303, section 3.4.3, where 64 is the width to take) and DTLS (RFC 9147, section 4.5.1) do it, in two
integers, so that a pen holds it in two variables a channel:

- `highest`, u32: the highest counter taken, 0 at first;
- `taken`, u64: bit i says that `highest - i` was taken; no bit at first, not even that of counter 0.

A counter above `highest` is new, and taking it moves the window. At or below, it is new if it is less than 64 behind
and its bit is not set. What is further behind is refused, since nothing is known of it any more. Asking changes
nothing: a counter is taken only after its record's seal was found true, else anybody could shut the window on the
sender. (RFC 6479 saves the shift in wider windows by blocks; at 64 bits it is one instruction.)

In C the shift by 64 and more is undefined: hence the look at the distance before it.
"""

from enum import Enum
from typing import Final

from dermalink_protocol.limits import SEAL_WINDOW_RECORDS

WIDTH_MAX: Final = 64
"""Bits of `taken`."""


class Verdict(Enum):
    """What a window says of a counter."""

    NEW = "new"
    TOO_OLD = "too old"
    REPLAYED = "replayed"


class Window:
    """One channel's window; `width` is 1 to 64 counters, and every pen and host uses `SEAL_WINDOW_RECORDS`."""

    __slots__ = ("_mask", "highest", "taken", "width")

    def __init__(self, width: int = SEAL_WINDOW_RECORDS) -> None:
        self.width = int(width)
        self._mask = (1 << self.width) - 1
        self.highest = 0
        self.taken = 0

    def verdict(self, counter: int) -> Verdict:
        """Whether a record with this counter (u32) may be taken; changes nothing."""
        if counter > self.highest:
            return Verdict.NEW
        behind = self.highest - counter
        if behind >= self.width:
            return Verdict.TOO_OLD
        return Verdict.REPLAYED if self.taken >> behind & 1 else Verdict.NEW

    def take(self, counter: int) -> None:
        """Note that this counter's record, `NEW` by `verdict`, was authentic."""
        if counter > self.highest:
            ahead = counter - self.highest
            shifted = self.taken << ahead if ahead < self.width else 0
            self.taken = shifted & self._mask | 1
            self.highest = counter
        else:
            self.taken |= 1 << self.highest - counter
