"""Where and how a pass may run: zones of the face, directions, kinds of head, symptoms.

Eyelids, lips and the inside of the orbital rim do not exist as zones (SR-DEPTH-3).
"""

from enum import IntEnum
from typing import Final


class Zone(IntEnum):
    """A zone that exists; 0 means none."""

    FOREHEAD = 1
    LEFT_CHEEK = 2
    RIGHT_CHEEK = 3
    CHIN = 4
    NOSE = 5
    UPPER_LIP = 6
    LEFT_UNDER_EYE = 7
    RIGHT_UNDER_EYE = 8


class Direction(IntEnum):
    """A pass's direction, as the bit that it sets in a zone's set of passes (SR-PASS-1)."""

    VERTICAL = 1
    HORIZONTAL = 2
    DIAGONAL = 4


class Head(IntEnum):
    """How a head is worked: glided over the skin, or pressed and lifted."""

    GLIDE = 1
    STAMP = 2


class Symptom(IntEnum):
    """What a person reports (SR-SYM-1).

    The pen's button can't say which it is: `UNSAID` may be any of the others, so it is treated as the worst of them.
    """

    PAIN = 1
    BLEEDING = 2
    RASH = 3
    UNSAID = 4


NEEDS_ADVICE: Final = (Symptom.BLEEDING, Symptom.RASH, Symptom.UNSAID)
"""After these a clinician's advice comes before the next session, beside the wait (SR-SYM-1)."""


# What people ask for and is no zone, and what they are told (SR-DEPTH-3).
NO_ZONES: Final = {
    "scalp": "The scalp needs a dedicated device and a dermatologist.",
    "eyelids": "Eyelids are never needled; under the eyes only the skin outside the orbital rim is a zone.",
    "lips": "Lips are never needled; the upper lip's zone is the skin above it.",
    "orbital rim": "Nothing inside the orbital rim is ever needled.",
}


def pass_bits(zone: int, directions: int) -> int:
    """The bits of `passes_done` for a zone's set of directions: three bits a zone, in the order of `Zone`."""
    return directions << 3 * (zone - 1)
