"""How a message is declared: a packed record with opcode, channel, reply, since-version and effect on exposure.

Anything wrong with a declaration is a `DeclarationError` when its module is imported.
"""

from enum import Enum
from typing import ClassVar, Final, Generic, TypeVar, get_args

from dermalink_protocol.channels import Channel
from dermalink_protocol.codec import Packed, declare
from dermalink_protocol.codewords import Opcode
from dermalink_protocol.errors import DeclarationError
from dermalink_protocol.limits import MESSAGE_BYTES_MAX

ENVELOPE_BYTES: Final = 4
COMMAND_HEADER: Final = ("command_id", "ttl_ms", "seen_tick_ms")


class Effect(Enum):
    """What a message does to exposure; gate, journal and replay rules are derived from it."""

    NONE = "none"
    KEEPS_ALIVE = "keeps alive"
    REDUCES = "reduces"
    RAISES = "raises"


class Message(Packed):
    """Base of everything that crosses the wire; `channel` is None for what may cross any."""

    opcode: ClassVar[Opcode]
    channel: ClassVar[Channel | None]
    effect: ClassVar[Effect]
    since: ClassVar[int]
    by_opcode: ClassVar[dict[int, type["Message"]]] = {}

    def __init_subclass__(
        cls,
        *,
        opcode: Opcode | None = None,
        channel: Channel | None = None,
        effect: Effect = Effect.NONE,
        since: int = 1,
    ) -> None:
        super().__init_subclass__()
        if opcode is None:
            return
        if opcode in Message.by_opcode:
            raise DeclarationError(f"{cls.__name__}: {opcode.name} is taken")
        cls.opcode, cls.channel, cls.effect, cls.since = opcode, channel, effect, since
        declare(cls)
        _check_declaration(cls)
        Message.by_opcode[opcode] = cls


class Reply(Message):
    """What a pen answers to a request that it grants."""


class Notification(Message):
    """What a pen says unasked; numbered, so that one delivered twice or lost is seen."""

    sequence: int


R = TypeVar("R", bound=Reply)


class Request(Message, Generic[R]):
    """What a host asks; the type argument is the class of the reply."""

    reply: ClassVar[type[Reply]]
    strict_bits: ClassVar[bool] = True

    def __init_subclass__(
        cls,
        *,
        opcode: Opcode | None = None,
        channel: Channel | None = None,
        effect: Effect = Effect.NONE,
        since: int = 1,
    ) -> None:
        for base in getattr(cls, "__orig_bases__", ()):
            for argument in get_args(base):
                if isinstance(argument, type) and issubclass(argument, Reply):
                    cls.reply = argument
        if opcode is not None and not hasattr(cls, "reply"):
            raise DeclarationError(f"{cls.__name__} names no reply")
        super().__init_subclass__(opcode=opcode, channel=channel, effect=effect, since=since)


def _check_declaration(cls: type[Message]) -> None:
    names = tuple(field.name for field in cls.fields)
    has_header = names[: len(COMMAND_HEADER)] == COMMAND_HEADER
    if (cls.effect is Effect.RAISES) is not has_header:
        raise DeclarationError(f"{cls.__name__}: exactly what raises exposure starts with {COMMAND_HEADER}")
    if cls.effect is Effect.REDUCES and "ttl_ms" in names:
        raise DeclarationError(f"{cls.__name__} reduces exposure, so it has no time to live")
    if issubclass(cls, Notification) and names[:1] != ("sequence",):
        raise DeclarationError(f"{cls.__name__} is a notification and starts with its sequence")
    if issubclass(cls, Request) and cls.reply.channel not in (None, cls.channel):
        raise DeclarationError(f"{cls.__name__} and its reply are on different channels")
    if cls.size[1] + ENVELOPE_BYTES > MESSAGE_BYTES_MAX:
        raise DeclarationError(f"{cls.__name__} can have {cls.size[1]} bytes, too many for {MESSAGE_BYTES_MAX}")
