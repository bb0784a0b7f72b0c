"""The pen's own random numbers: drawn from what its hardware gave at power-up, as SHA-256 of a key and a counter.

    key    = SHA-256("dermalink pen entropy 1" ‖ seed, 32 bytes ‖ boots, u32; both little-endian)
    block  = SHA-256(key ‖ "block" ‖ counter, u32 little-endian), counted from 0 in each draw
    next   = SHA-256(key ‖ "next") after each draw, so that what was drawn can't be computed from what is kept

`boots` is how often the pen has started before, so that hardware that gives the same seed twice does not give the same
keys twice: no channel is opened until this start is counted on the flash. A store that can't be believed counts no more
(`FlashStore.trouble`), and there the same seed gives the same keys. Such a pen opens a channel all the same, so that
its owner can read what is wrong: whoever plays an old one back to it finds no therapy, and nothing that outlives it.
"""

import struct
from hashlib import sha256
from typing import Final

SEED_BYTES: Final = 32
_U32_MASK: Final = 0xFFFF_FFFF


class Entropy:
    """A generator fit for keys, if the seed is; a simulated pen's seed is no secret, and neither are its keys."""

    __slots__ = ("_key",)

    def __init__(self, seed: int, boots: int) -> None:
        """`seed` is 0 to 2^256 - 1 (of more the low bits count), `boots` the number of this start."""
        whole = (seed & ((1 << 8 * SEED_BYTES) - 1)).to_bytes(SEED_BYTES, "little")
        self._key = sha256(b"dermalink pen entropy 1" + whole + struct.pack("<I", boots & _U32_MASK)).digest()

    def draw(self, size: int) -> bytes:
        """So many bytes, never the same again."""
        drawn = bytearray()
        for counter in range(-(-size // sha256().digest_size)):
            drawn += sha256(self._key + b"block" + struct.pack("<I", counter)).digest()
        self._key = sha256(self._key + b"next").digest()
        return bytes(drawn[:size])

    def __repr__(self) -> str:
        return "Entropy(not shown)"
