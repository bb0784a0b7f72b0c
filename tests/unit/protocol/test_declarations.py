"""A wrong declaration fails when its class is made, with a sentence that names it."""

from collections.abc import Iterator
from enum import IntEnum, IntFlag
from typing import Annotated

import pytest

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode, RecordKind
from dermalink_protocol.errors import DeclarationError, ReservedBits
from dermalink_protocol.history_entries import Entry
from dermalink_protocol.limits import MESSAGE_BYTES_MAX
from dermalink_protocol.messages.owner import OwnerReleased
from dermalink_protocol.messages.stop import Stopped
from dermalink_protocol.messages.therapy import TherapyCommand
from dermalink_protocol.schema import ENVELOPE_BYTES, Effect, Message, Notification, Reply, Request
from dermalink_protocol.wire import U8, U16, U32, Raw, Tail, Wire, i16, u8, u16

FREE = Opcode.UPDATE_ENTERED  # lent to the classes below


@pytest.fixture(autouse=True)
def one_free_opcode() -> Iterator[None]:
    known = dict(Message.by_opcode)
    del Message.by_opcode[FREE]
    yield
    Message.by_opcode.clear()
    Message.by_opcode.update(known)


class Wide(IntEnum):
    SMALL = 1
    BIG = 300


class Bits(IntFlag):
    ONE = 1
    FOUR = 4


def test_an_opcode_is_given_once() -> None:
    with pytest.raises(DeclarationError, match="HELLO is taken"):

        class Twice(Reply, opcode=Opcode.HELLO, channel=Channel.STATUS):
            """A second hello."""


def test_a_field_has_exactly_one_wire_type() -> None:
    with pytest.raises(DeclarationError, match=r"NoWire\.plain needs one wire type, has 0"):

        class NoWire(Reply, opcode=FREE, channel=Channel.STATUS):
            """No wire type."""

            plain: int

    with pytest.raises(DeclarationError, match="has 2"):

        class TwoWires(Reply, opcode=FREE, channel=Channel.STATUS):
            """Two wire types."""

            both: Annotated[int, u8, u16]


@pytest.mark.parametrize("python", [str, float, bool, bytes])
def test_an_integer_on_the_wire_is_one_in_python(python: type) -> None:
    with pytest.raises(DeclarationError, match="an integer"):
        type("Wrong", (Reply,), {"__annotations__": {"value": Annotated[python, u8]}}, opcode=FREE)


@pytest.mark.parametrize("wire", [Raw(4), Tail(1, 0, 4)])
def test_raw_on_the_wire_is_bytes_in_python(wire: Raw | Tail) -> None:
    with pytest.raises(DeclarationError, match="bytes in Python"):
        type("Wrong", (Reply,), {"__annotations__": {"value": Annotated[int, wire]}}, opcode=FREE)


def test_a_tail_is_the_last_field() -> None:
    with pytest.raises(DeclarationError, match="not the last"):

        class Early(Reply, opcode=FREE, channel=Channel.STATUS):
            """A tail before another field."""

            tail: Annotated[bytes, Tail(1, 0, 4)]
            after: U8


def test_every_member_of_an_enumeration_fits() -> None:
    with pytest.raises(DeclarationError, match="does not fit"):

        class Narrow(Reply, opcode=FREE, channel=Channel.STATUS):
            """A member over 255 in a byte."""

            word: Annotated[Wide, u8]


class Edges(IntEnum):
    LOWEST = 0
    HIGHEST = 255


def test_a_member_at_either_end_of_the_width_fits() -> None:
    class Whole(Reply, opcode=FREE, channel=Channel.STATUS):
        """Members at both ends."""

        word: Annotated[Edges, u8]

    assert [Whole.decode(bytes([edge])).word for edge in Edges] == list(Edges)


def test_flags_have_no_sign() -> None:
    with pytest.raises(DeclarationError, match="no sign"):

        class Signed(Reply, opcode=FREE, channel=Channel.STATUS):
            """Flags in a signed number."""

            flags: Annotated[Bits, i16]


@pytest.mark.parametrize("name", ["encode", "fields", "opcode", "by_opcode", "count", "index", "_hidden", "__len__"])
def test_a_field_does_not_hide_what_every_record_has(name: str) -> None:
    with pytest.raises(DeclarationError, match="has already"):
        type("Hiding", (Reply,), {"__annotations__": {name: U8}}, opcode=FREE)


@pytest.mark.parametrize(("low", "high"), [(0, 256), (-1, 5), (5, 4)])
def test_a_range_is_within_its_width(low: int, high: int) -> None:
    with pytest.raises(DeclarationError):
        u8.within(low, high)


def test_a_range_is_only_narrowed() -> None:
    narrowed = u8.within(10, 20).within(12, 18)
    assert narrowed == Wire("B", 12, 18)
    with pytest.raises(DeclarationError):
        narrowed.within(10, 18)


def test_what_raises_exposure_starts_with_the_command_header() -> None:
    with pytest.raises(DeclarationError, match="command_id"):

        class Bare(Request[Stopped], opcode=FREE, channel=Channel.STOP, effect=Effect.RAISES):
            """No header."""

    with pytest.raises(DeclarationError, match="command_id"):

        class Late(TherapyCommand[OwnerReleased], opcode=FREE, channel=Channel.PAIRING, effect=Effect.NONE):
            """A header for something harmless."""


def test_what_reduces_exposure_has_no_time_to_live() -> None:
    with pytest.raises(DeclarationError, match="no time to live"):

        class Timed(Request[Stopped], opcode=FREE, channel=Channel.STOP, effect=Effect.REDUCES):
            """A stop that grows old."""

            ttl_ms: U16


def test_a_request_names_its_reply() -> None:
    with pytest.raises(DeclarationError, match="names no reply"):

        class Mute(Request, opcode=FREE, channel=Channel.STATUS):  # type: ignore[type-arg]
            """No reply named."""


def test_a_request_and_its_reply_are_on_one_channel() -> None:
    with pytest.raises(DeclarationError, match="different channels"):

        class Crossed(Request[Stopped], opcode=FREE, channel=Channel.STATUS):
            """Its reply comes on the stop channel."""


def test_a_notification_starts_with_its_sequence() -> None:
    with pytest.raises(DeclarationError, match="sequence"):

        class Unnumbered(Notification, opcode=FREE, channel=Channel.STATUS):
            """No number."""

            tick_ms: U32


def test_a_message_fits_the_longest() -> None:
    with pytest.raises(DeclarationError, match="too many"):

        class Huge(Reply, opcode=FREE, channel=Channel.STATUS):
            """One byte too long."""

            raw: Annotated[bytes, Raw(MESSAGE_BYTES_MAX - ENVELOPE_BYTES + 1)]


def test_a_wrong_declaration_is_not_kept() -> None:
    with pytest.raises(DeclarationError):

        class Wrong(Notification, opcode=FREE, channel=Channel.STATUS):
            """No number."""

    assert FREE not in Message.by_opcode


def test_unknown_bits_are_refused_in_what_a_host_asks() -> None:
    class Flagged(Request[Stopped], opcode=FREE, channel=Channel.STOP):
        """Flags that a pen must know."""

        flags: Annotated[Bits, u8]

    assert Flagged(flags=Bits.ONE | Bits.FOUR).encode() == b"\x05"
    with pytest.raises(ReservedBits):
        Flagged.decode(b"\x02")
    with pytest.raises(ReservedBits):
        Flagged(flags=Bits(8))


def test_an_undeclared_base_has_no_codec() -> None:
    with pytest.raises(DeclarationError):
        Reply.decode(b"")
    with pytest.raises(DeclarationError):
        Reply().encode()


def test_a_kind_of_entry_is_given_once() -> None:
    with pytest.raises(DeclarationError, match="POWERED_UP is taken"):

        class Again(Entry, kind=RecordKind.POWERED_UP):
            """A second power-up."""
