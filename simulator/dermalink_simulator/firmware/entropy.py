"""The pen's own random numbers: drawn from what its hardware gave at power-up, as SHA-256 of a key and a counter.

    key    = SHA-256("dermalink pen entropy 1" ‖ seed, 32 bytes ‖ boots, u32; both little-endian)
    block  = SHA-256(key ‖ "block" ‖ counter, u32 little-endian), counted from 0 in each draw
    next   = SHA-256(key ‖ "next") after each draw, so that what was drawn can't be computed from what is kept
    stir   = SHA-256(key ‖ "stir" ‖ number, u32 little-endian, for each): before the key of a channel, with what the
             clock chip shows then: the seconds that it ran, and the time of day

`boots` is how often the pen has started before, so that hardware that gives the same seed twice does not give the same
keys twice: no channel is opened until this start is counted on the flash. A store that can't be believed counts no more
(`FlashStore.trouble`). The clock chip counts in its place: no channel is opened before that has gone a second further
than at the start, so that no two starts stir in the same number; where its time was lost or went back as well, none is
opened at all (`access`).
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

    def stir(self, *numbers: int) -> None:
        """Have what is drawn from here on depend on these as well, each 0 to 2^32 - 1."""
        for number in numbers:
            self._key = sha256(self._key + b"stir" + struct.pack("<I", number)).digest()

    def __repr__(self) -> str:
        return "Entropy(not shown)"
