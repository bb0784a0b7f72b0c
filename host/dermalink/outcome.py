"""What came of a therapy command: applied, refused, or unknown (SR-UNC-1); and how an unknown one is settled.

`verdict` is a pure function of stored facts. It never guesses: where the pen can't tell any more, it says so, and the
worse case is taken (`belief`).
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

from dermalink.errors import Refusal
from dermalink.ticks import elapsed_ms
from dermalink_protocol.codewords import Reason
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.schema import Reply

A_co = TypeVar("A_co", bound=Reply, covariant=True)


@dataclass(frozen=True, slots=True)
class Applied(Generic[A_co]):
    """The pen applied it, and this is its reply."""

    reply: A_co


@dataclass(frozen=True, slots=True)
class Refused:
    """The gate or the pen said no, and nothing has changed; `refusal` is the error, for who would rather raise it."""

    refusal: Refusal

    @property
    def reason(self) -> Reason:
        """The code word."""
        return self.refusal.reason


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have been applied. Nothing that raises exposure goes until `Pen.settle` has asked the pen."""

    command: str
    why: DermalinkError


Outcome: TypeAlias = Applied[A_co] | Refused | Unknown


class Verdict(Enum):
    """What is known of a command; `OPEN` may still become one of the others."""

    APPLIED = "applied"
    REFUSED = "refused"
    NOT_SENT = "not sent"
    NOT_APPLIED = "not applied"
    OPEN = "open"
    NEVER_KNOWN = "never known"


CHANGED_NOTHING: Final = frozenset({Verdict.REFUSED, Verdict.NOT_SENT, Verdict.NOT_APPLIED})


class Answer(Enum):
    """What the pen answered to the command itself."""

    NONE = "none"
    APPLIED = "applied"
    REFUSED = "refused"


class CommandFacts(NamedTuple):
    """What the host stored of a command. `expires_tick` is the last tick of the pen at which it can be applied."""

    boot_id: int
    command_id: int
    opcode: int
    expires_tick: int
    sent: bool
    answer: Answer


class PenFacts(NamedTuple):
    """What the pen says when asked: its boot, its tick *before* the question, and its last applied command."""

    boot_id: int
    tick_ms: int
    command_id: int
    opcode: int


def verdict(command: CommandFacts, pen: PenFacts | None) -> Verdict:
    """What came of `command`, as far as these facts tell; `pen` is None before it was asked.

    The tick has to be read before the last command is: what had expired by then can't have been applied after.
    """
    if command.answer is Answer.APPLIED:
        return Verdict.APPLIED
    if command.answer is Answer.REFUSED:
        return Verdict.REFUSED
    if not command.sent:
        return Verdict.NOT_SENT
    if pen is None:
        return Verdict.OPEN
    if pen.boot_id != command.boot_id:
        return Verdict.NEVER_KNOWN
    if pen.command_id == command.command_id:
        return Verdict.APPLIED if pen.opcode == command.opcode else Verdict.NEVER_KNOWN
    if pen.command_id > command.command_id:
        return Verdict.NEVER_KNOWN
    return Verdict.NOT_APPLIED if elapsed_ms(command.expires_tick, pen.tick_ms) > 0 else Verdict.OPEN
