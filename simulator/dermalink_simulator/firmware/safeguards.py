"""The safeguards that a test may switch off, to see that something breaks without them; a product has no switches."""

from enum import Enum
from typing import Final


class Profile(Enum):
    """What the firmware is built for: TEST and BOXED builds have switches, PRODUCT ones refuse them (SR-SEC-4).

    A TEST build can be run by anybody before it is paired, the others by nobody (SR-OWN-1).
    """

    PRODUCT = "product"
    BOXED = "boxed"
    TEST = "test"


SAFEGUARDS: Final = frozenset(
    {
        "limit-check",  # every cap on depth, zone, head, rate and density in core and gate
        "monitor",  # the independent depth monitor
        "lease",  # the run lease
        "watchdog",  # the watchdog outside the main loop
        "ledger-before-stroke",  # the write before the first stroke
        "duplicate-check",  # age, order and repetition of commands
        "button-stop",  # any press stops
        "detectors",  # dwell, pressure, rate, contact against force
        "wait",  # the wait between sessions
        "owner-check",  # who is not the pen's owner is told no
        "twice-kept",  # what is kept twice is compared before it is used
    }
)


def checked(disabled: frozenset[str], profile: Profile) -> frozenset[str]:
    """`disabled`, if this build may have it so; raises `ValueError` else."""
    unknown = disabled - SAFEGUARDS
    if unknown:
        raise ValueError(f"no such safeguard: {', '.join(sorted(unknown))}; there are {', '.join(sorted(SAFEGUARDS))}")
    if disabled and profile is Profile.PRODUCT:
        raise ValueError("a product's safeguards can't be switched off [SR-SEC-4]")
    return disabled
