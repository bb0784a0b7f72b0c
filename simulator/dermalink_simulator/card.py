"""The card that comes with a simulated pen, with its code, and what its maker writes into the flash instead of that.

Both are drawn from the pen's seed, each by a generator of its own name, so whoever knows the seed knows the code: it
keeps nobody out of a simulated pen, and every step of pairing is as on a real one.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from dermalink_protocol.pairing.errors import TrivialCode
from dermalink_protocol.pairing.setup_code import CODE_DIGITS, Label, SetupCode
from dermalink_simulator.hardware.chance import generator

if TYPE_CHECKING:
    from dermalink_simulator.firmware.flash_layout import SetupRecord

# The fewest that there may be: what they make dear is trying all codes against a flash that was read out, and from the
# seed this one's code can be told for nothing. So making a pen stays quick.
ITERATIONS: Final = 1_000
SALT_BYTES: Final = 16
KEY_BYTES: Final = 32
_REMEMBERED: Final = 64  # pens of the same seeds are made again and again in tests


def serial_number(seed: int) -> str:
    """The serial number of the pen with that seed."""
    return f"DL-SIM-{seed % 100_000_000:08d}"


def card_of(seed: int) -> Label:
    """What is printed for the pen with that seed."""
    random = generator(seed, "setup code")
    while True:
        try:
            return Label(serial_number(seed), SetupCode.from_number(random.randrange(10**CODE_DIGITS)))
        except TrivialCode:
            continue


def history_key_of(seed: int) -> bytes:
    """What blinds the history's records of the pen with that seed; a real pen's is drawn by chance when it is made."""
    return generator(seed, "history key").randbytes(KEY_BYTES)


@lru_cache(_REMEMBERED)
def setup_of(seed: int) -> "SetupRecord":
    """What the pen with that seed keeps of its code."""
    from dermalink_protocol.pairing.registration import Derivation, derive_secret  # the curve, a tenth of a second
    from dermalink_simulator.firmware.flash_layout import SetupRecord

    label = card_of(seed)
    derivation = Derivation(generator(seed, "setup salt").randbytes(SALT_BYTES), ITERATIONS)
    registration = derive_secret(label.code, label.serial_number, derivation).registration()
    return SetupRecord.of(derivation.iterations, derivation.salt, registration.pack())
