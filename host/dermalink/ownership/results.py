"""How an attempt to pair can end: values, each of which says what is true now, and what the person does next.

`said` is a sentence, `advice` what to do; neither ever names a code or a key.
"""

from dataclasses import dataclass
from typing import TypeAlias

from dermalink.ownership.owned_pen import OwnedPen
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.limits import HAND_OVER_HOLD_MS, PAIR_WINDOW_MS

WINDOW_S = int(PAIR_WINDOW_MS) // 1_000
HOLD_S = int(HAND_OVER_HOLD_MS) // 1_000
HAND_OVER = (
    f"To take it over, hold its button for {HOLD_S} s with no session open, then pair with its code within {WINDOW_S} s"
)


@dataclass(frozen=True, slots=True)
class Paired:
    """The pen is this computer's, and the keys are kept."""

    pen: OwnedPen

    @property
    def said(self) -> str:
        """What is true."""
        return f"The pen {self.pen.serial_number} is paired with this computer."

    advice = "What goes to it from here on is sealed, and nobody else can run it."


@dataclass(frozen=True, slots=True)
class AlreadyPaired(Paired):
    """The pen was this computer's before, as it has proved; the code was not asked of it."""

    @property
    def said(self) -> str:
        """What is true."""
        return f"The pen {self.pen.serial_number} is this computer's already."

    advice = "The code was not needed, and so not compared with the pen's"


@dataclass(frozen=True, slots=True)
class WrongCode:
    """The pen has another code, or somebody stands between; a try is spent. `tries_left` at most, if nobody else tries.

    `barred_s` is how long the pen takes no code now, 0 while its window is open.
    """

    tries_left: int
    barred_s: int

    @property
    def said(self) -> str:
        """What is true."""
        more = f" At most {self.tries_left} more {'try' if self.tries_left == 1 else 'tries'}."
        return f"That is not this pen's code.{more if self.tries_left else ''}"

    @property
    def advice(self) -> str:
        """What to do."""
        read = "Compare it with the card that came with the pen, and see that this is the pen"
        return f"{read}. It takes no code for {in_words(self.barred_s)}" if self.barred_s else read


@dataclass(frozen=True, slots=True)
class WindowShut:
    """Nobody has pressed the pen's button, or not within the time; no try was spent."""

    said = "The pen is not open for pairing."
    advice = f"Press its button once, with no session open; then there are {WINDOW_S} s"


@dataclass(frozen=True, slots=True)
class Barred:
    """Wrong codes, anybody's, have barred pairing for `seconds`."""

    seconds: int

    @property
    def said(self) -> str:
        """What is true."""
        return f"Wrong codes have barred pairing: the pen takes no code for {in_words(self.seconds)}."

    advice = "Wait, with the pen in sight, compare the code with its card, and press its button again"


@dataclass(frozen=True, slots=True)
class Owned:
    """The pen has an owner, and no hand-over is open; `ours`: this computer has keys of it, maybe the owner's."""

    ours: bool

    @property
    def said(self) -> str:
        """What is true."""
        return "The pen has an owner" + (", and this computer has keys of it." if self.ours else ".")

    @property
    def advice(self) -> str:
        """What to do."""
        look = "If it works (`dermalink info`), there is nothing to do. Else: " if self.ours else ""
        return f"{look}{HAND_OVER}"


@dataclass(frozen=True, slots=True)
class Failed:
    """Neither side has the other's key: what came was altered, broken, or refused; a try may be spent."""

    why: DermalinkError

    @property
    def said(self) -> str:
        """What is true."""
        return f"The pairing came to nothing: {self.why.limit or self.why.refused}."

    advice = "See that no other pen, phone or computer pairs at this moment, and begin again"


@dataclass(frozen=True, slots=True)
class CutOff:
    """The link was lost, or the pen fell silent. `may_be_ours`: its last word was asked for and did not come."""

    why: DermalinkError
    may_be_ours: bool

    @property
    def said(self) -> str:
        """What is true."""
        if not self.may_be_ours:
            return "The link was lost before anything was settled: the pen is not paired with this computer."
        return "The link was lost at the last word: the pen may have taken this computer for its owner, or not."

    @property
    def advice(self) -> str:
        """What to do."""
        if not self.may_be_ours:
            return "Begin again. The try may count as a wrong code"
        return f"Begin again: what is missing is asked for once more. If the pen says that it has an owner: {HAND_OVER}"


PairingResult: TypeAlias = Paired | WrongCode | WindowShut | Barred | Owned | Failed | CutOff


def in_words(seconds: int) -> str:
    """A time that a person waits, rounded up."""
    for size, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds > 2 * size:
            return f"{-(-seconds // size)} {name}"
    return f"{seconds} s"
