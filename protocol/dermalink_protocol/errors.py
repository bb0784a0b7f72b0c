"""The one root of all errors, and those of the contract itself."""

from dermalink_protocol.codewords import Reason


class DermalinkError(Exception):
    """Root of every error of this project.

    `refused` says what was refused, `rule` the requirement (a row of docs/requirements.toml, or empty),
    `limit` the limit that was met, `advice` what a person can do. `str()` joins them into one sentence.
    """

    def __init__(self, refused: str, *, rule: str = "", limit: str = "", advice: str = "") -> None:
        self.refused, self.rule, self.limit, self.advice = refused, rule, limit, advice
        super().__init__(sentence(refused, limit, rule, advice))


def sentence(refused: str, limit: str = "", rule: str = "", advice: str = "") -> str:
    """One sentence or two: what was refused; the limit [the rule]. What a person can do."""
    said = f"{refused}; {limit}" if limit else refused
    said += f" [{rule}]" if rule else ""
    return f"{said}. {advice}" if advice else said


class ProtocolError(DermalinkError):
    """Bytes or values that are no message.

    `reason` is the code word that a pen answers with, and `limit_value` the number that goes with it: the limit that
    was met, in the field's unit, or 0.
    """

    reason: Reason = Reason.OUT_OF_RANGE

    def __init__(
        self,
        refused: str,
        *,
        rule: str = "",
        limit: str = "",
        advice: str = "",
        reason: Reason | None = None,
        limit_value: int = 0,
    ) -> None:
        super().__init__(refused, rule=rule, limit=limit, advice=advice)
        if reason is not None:
            self.reason = reason
        self.limit_value = limit_value


class UnknownOpcode(ProtocolError):
    """The opcode is not one of the contract's."""

    reason = Reason.UNKNOWN_OPCODE


class WrongLength(ProtocolError):
    """A message is shorter or longer than its fields."""

    reason = Reason.WRONG_LENGTH


class OutOfRange(ProtocolError):
    """A field's value is outside its range, or no integer at all."""

    reason = Reason.OUT_OF_RANGE


class UnknownCodeword(ProtocolError):
    """A field that holds a code word or an enumeration holds none that exists."""

    reason = Reason.UNKNOWN_CODEWORD


class ReservedBits(ProtocolError):
    """A command sets flag bits that this version does not know."""

    reason = Reason.RESERVED_BITS


class WrongChannel(ProtocolError):
    """A message came over a channel that is not its own."""

    reason = Reason.WRONG_CHANNEL


class FrameError(ProtocolError):
    """Bytes between two delimiters that are no frame."""


class BadCobs(FrameError):
    """The byte stuffing is broken: noise, or text between frames."""

    reason = Reason.BAD_CRC


class BadCrc(FrameError):
    """The checksum does not match: noise on the line."""

    reason = Reason.BAD_CRC


class UnknownChannel(FrameError):
    """A sound frame for a channel that does not exist."""

    reason = Reason.WRONG_CHANNEL


class FrameTooLong(FrameError):
    """A frame grew past what any message needs."""

    reason = Reason.TOO_LONG


class FrameTooShort(FrameError):
    """A frame is too short to hold a header and a checksum."""

    reason = Reason.WRONG_LENGTH


class SegmentError(FrameError):
    """Segments of one message came out of order, twice, or not at all."""

    reason = Reason.WRONG_LENGTH


class BrokenRecord(ProtocolError):
    """Bytes that are no record of the history, or one that was altered."""

    reason = Reason.HISTORY_BROKEN


class DeclarationError(TypeError):
    """A message is declared wrongly; raised at import, never in operation."""
