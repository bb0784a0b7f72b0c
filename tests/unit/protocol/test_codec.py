"""Packed records: the codec's properties over every message, what a record is in Python, what a bad value gets."""

import copy
import functools
import math
import pickle
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermalink_protocol.channels import Channel
from dermalink_protocol.codec import Packed
from dermalink_protocol.codewords import Opcode, Reason, State
from dermalink_protocol.envelope import Envelope, decode_envelope, encode_envelope, peek_opcode, peek_request_id
from dermalink_protocol.errors import (
    FrameTooLong,
    OutOfRange,
    ProtocolError,
    ReservedBits,
    UnknownCodeword,
    WrongChannel,
    WrongLength,
)
from dermalink_protocol.history_entries import Entry
from dermalink_protocol.limits import MESSAGE_BYTES_MAX
from dermalink_protocol.messages.identity import GetStatus, Hello, Status, StatusFlag
from dermalink_protocol.messages.records import GetHistory
from dermalink_protocol.messages.stop import Stop
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.messages.therapy import OpenSession, Prepare
from dermalink_protocol.schema import Message
from dermalink_protocol.zones import Direction, Zone
from tests.unit.protocol.strategies import MESSAGES, messages, records_of

PREPARE: dict[str, Any] = {
    "command_id": 1,
    "ttl_ms": 500,
    "seen_tick_ms": 0,
    "session_id": 1,
    "zone": Zone.CHIN,
    "direction": Direction.VERTICAL,
    "depth_um": 500,
    "rate_hz": 60,
    "speed_mm_s": 20,
    "tag_id": bytes(8),
}
NOT_WHOLE_NUMBERS = [500.0, 0.5, math.nan, math.inf, True, False, "500", None, b"\x01", [500]]


T = TypeVar("T")


def outcome(decode: Callable[[], T]) -> T | ProtocolError:
    """What came of decoding: the record, or the typed error with its code word and number."""
    try:
        return decode()
    except ProtocolError as error:
        if error.reason not in Reason or type(error.limit_value) is not int or not str(error):
            raise AssertionError("an error without its answer") from error
        return error


@given(messages())
def test_encode_then_decode_is_the_identity(message: Message) -> None:
    payload = message.encode()
    assert type(message).decode(payload) == message
    assert type(message).decode(payload).encode() == payload
    assert message.size[0] <= len(payload) <= message.size[1]


@given(st.sampled_from(list(Entry.by_kind.values())).flatmap(records_of))
def test_encode_then_decode_is_the_identity_for_entries(entry: Packed) -> None:
    assert type(entry).decode(entry.encode()) == entry


def one_payload(cls: type[Message]) -> st.SearchStrategy[tuple[type[Message], bytes]]:
    """Bytes of a length that the message can have, and around it: as raw as they come, and nearly right."""
    raw = st.binary(max_size=min(cls.size[1] + 4, 244))
    exact = st.binary(min_size=cls.size[0], max_size=cls.size[1])
    return st.tuples(st.just(cls), raw | exact)


@given(st.sampled_from(MESSAGES).flatmap(one_payload))
def test_any_payload_gives_a_message_or_a_typed_error(drawn: tuple[type[Message], bytes]) -> None:
    cls, payload = drawn
    message = outcome(lambda: cls.decode(payload))
    assert isinstance(message, ProtocolError) or cls.decode(message.encode()) == message


@given(st.sampled_from(Channel), st.sampled_from([0, 0xFFFF, *Opcode]), st.binary(max_size=300))
def test_any_body_gives_an_envelope_or_a_typed_error(channel: Channel, opcode: int, rest: bytes) -> None:
    for body in (opcode.to_bytes(2, "little") + rest, rest):
        made = outcome(functools.partial(decode_envelope, channel, body))
        assert isinstance(made, ProtocolError) or decode_envelope(channel, encode_envelope(made)) == made


@given(messages(), st.data())
def test_one_changed_bit_of_an_opcode_never_makes_another_message(message: Message, data: st.DataObject) -> None:
    body = bytearray(message.opcode.to_bytes(2, "little") + b"\x01\x00" + message.encode())
    bit = data.draw(st.integers(0, 15))
    body[bit // 8] ^= 1 << bit % 8
    for channel in Channel:
        with pytest.raises(ProtocolError):
            decode_envelope(channel, bytes(body))


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
def test_every_kind_of_bytes_can_be_decoded(make: Any) -> None:
    for cls in MESSAGES:
        payload = bytes(cls.size[0])
        outcomes = []
        for data in (payload, make(payload)):
            try:
                outcomes.append(repr(cls.decode(data)))
            except ProtocolError as error:
                outcomes.append(str(error))
        assert outcomes[0] == outcomes[1]


@pytest.mark.sr("SR-DEPTH-1")
@pytest.mark.parametrize("depth", [-1, 0, 199, 501, 510, 1_000, 65_535, 65_536, 10**30])
def test_a_depth_outside_the_range_can_not_be_built(depth: int) -> None:
    with pytest.raises(OutOfRange) as caught:
        Prepare(**{**PREPARE, "depth_um": depth})
    low = depth < 200
    assert caught.value.reason is (Reason.DEPTH_UNDER_MIN if low else Reason.DEPTH_OVER_CAP)
    assert caught.value.limit_value == (200 if low else 500)
    assert caught.value.rule == "SR-DEPTH-1"
    assert str(depth) in str(caught.value)


@pytest.mark.sr("SR-DEPTH-1")
@pytest.mark.parametrize("depth", [200, 210, 250, 499, 500])
def test_a_depth_within_the_range_is_kept_exactly(depth: int) -> None:
    prepare = Prepare(**{**PREPARE, "depth_um": depth})
    assert Prepare.decode(prepare.encode()).depth_um == depth


@pytest.mark.sr("SR-DEPTH-1")
@pytest.mark.parametrize("value", NOT_WHOLE_NUMBERS, ids=repr)
def test_only_whole_numbers_are_taken(value: object) -> None:
    for name in PREPARE:
        if name != "tag_id":
            with pytest.raises(OutOfRange):
                Prepare(**{**PREPARE, name: value})


@pytest.mark.sr("SR-DEPTH-3")
@pytest.mark.parametrize("zone", [0, 9, 255])
def test_a_zone_that_does_not_exist_can_neither_be_built_nor_read(zone: int) -> None:
    with pytest.raises(UnknownCodeword) as built:
        Prepare(**{**PREPARE, "zone": zone})
    payload = bytearray(Prepare(**PREPARE).encode())
    payload[14] = zone
    with pytest.raises(UnknownCodeword) as read:
        Prepare.decode(bytes(payload))
    assert built.value.reason is read.value.reason is Reason.UNKNOWN_ZONE
    assert read.value.rule == "SR-DEPTH-3"


def test_a_member_of_another_enumeration_is_refused_though_its_number_fits() -> None:
    with pytest.raises(OutOfRange, match="no Zone"):
        Prepare(**{**PREPARE, "zone": Direction.VERTICAL})


@pytest.mark.parametrize(
    ("change", "reason", "limit"),
    [
        ({"ttl_ms": 501}, Reason.TTL_TOO_LONG, 500),
        ({"rate_hz": 49}, Reason.RATE_OUT_OF_RANGE, 50),
        ({"rate_hz": 151}, Reason.RATE_OUT_OF_RANGE, 150),
        ({"speed_mm_s": 9}, Reason.SPEED_OUT_OF_RANGE, 10),
        ({"speed_mm_s": 41}, Reason.SPEED_OUT_OF_RANGE, 40),
        ({"direction": 3}, Reason.UNKNOWN_DIRECTION, 0),
        ({"ttl_ms": 0}, Reason.OUT_OF_RANGE, 1),
        ({"command_id": 0}, Reason.OUT_OF_RANGE, 0),
    ],
)
def test_a_field_names_the_reason_and_the_limit(change: dict[str, int], reason: Reason, limit: int) -> None:
    with pytest.raises(ProtocolError) as caught:
        Prepare(**{**PREPARE, **change})
    assert (caught.value.reason, caught.value.limit_value) == (reason, limit)


@pytest.mark.parametrize(("lease", "limit"), [(99, 100), (1_001, 1_000)])
def test_a_lease_out_of_range_names_its_limit(lease: int, limit: int) -> None:
    with pytest.raises(OutOfRange) as caught:
        OpenSession(
            command_id=1,
            ttl_ms=1,
            seen_tick_ms=0,
            boot_id=1,
            lease_ms=lease,
            record_number=0,
            record_hash=bytes(32),
        )
    assert (caught.value.reason, caught.value.limit_value) == (Reason.LEASE_OUT_OF_RANGE, limit)


@pytest.mark.parametrize("tag", [b"", bytes(7), bytes(9), bytearray(8), "12345678", None], ids=repr)
def test_octets_have_their_exact_length_and_type(tag: object) -> None:
    with pytest.raises(WrongLength):
        Prepare(**{**PREPARE, "tag_id": tag})


def test_unknown_bits_are_ignored_in_what_a_pen_says_of_itself() -> None:
    known = a_status()
    payload = bytearray(known.encode())
    payload[9] |= 0x80
    newer = Status.decode(bytes(payload))
    assert newer == known
    assert newer.flags == StatusFlag.ARMED | StatusFlag.CONTACT


def test_all_bits_at_once_are_the_known_ones_and_more_than_the_width_is_refused() -> None:
    payload = bytearray(a_status().encode())
    payload[8:10] = b"\xff\xff"
    assert Status.decode(bytes(payload)).flags == sum(StatusFlag)
    values = a_status().as_dict()
    assert Status(**{**values, "flags": 0xFFFF}).flags == sum(StatusFlag)
    for wide in (0x1_0000, -1):
        with pytest.raises(ReservedBits):
            Status(**{**values, "flags": wide})


@pytest.mark.parametrize(("cls", "said"), [(Prepare, "it has 28 bytes"), (Telemetry, "it has 14 to 86 bytes")])
def test_a_wrong_length_says_the_right_one(cls: type[Message], said: str) -> None:
    with pytest.raises(WrongLength, match=said):
        cls.decode(b"")


def a_status() -> Status:
    values: dict[str, Any] = {field.name: 0 for field in Status.fields}
    flags = StatusFlag.ARMED | StatusFlag.CONTACT
    return Status(**{**values, "state": State.RUNNING, "reason": Reason.NONE, "flags": flags})


def test_enumerations_come_back_as_members() -> None:
    status = Status.decode(a_status().encode())
    assert status.state is State.RUNNING
    assert status.reason is Reason.NONE
    assert status.flags is StatusFlag.ARMED | StatusFlag.CONTACT
    assert type(status.tick_ms) is int


def test_messages_can_not_be_changed() -> None:
    status = a_status()
    with pytest.raises(AttributeError):
        status.tick_ms = 5  # type: ignore[misc]
    with pytest.raises(AttributeError):
        status.anything = 5  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        del status.tick_ms


@given(messages())
def test_messages_can_be_copied_pickled_and_used_as_keys(message: Message) -> None:
    for again in (pickle.loads(pickle.dumps(message)), copy.copy(message), copy.deepcopy(message)):
        assert again == message
        assert type(again) is type(message)
    assert {message: 1}[message] == 1


def test_messages_of_different_classes_are_never_equal() -> None:
    assert GetStatus() != Stop()
    assert GetStatus() == GetStatus()
    assert bool(GetStatus())
    assert hash(GetStatus()) != hash(Stop())
    assert Hello(protocol_version=1, host_nonce=2) != (1, 2)


def test_a_message_shows_its_fields_by_name() -> None:
    assert repr(Hello(protocol_version=1, host_nonce=2)) == "Hello(protocol_version=1, host_nonce=2)"
    assert Hello(protocol_version=1, host_nonce=2).as_dict() == {"protocol_version": 1, "host_nonce": 2}


@pytest.mark.parametrize("wrong", [{}, {"number": 1, "nmber": 1}, {"nmber": 1}])
def test_a_missing_or_misspelt_field_is_a_type_error(wrong: dict[str, int]) -> None:
    with pytest.raises(TypeError):
        GetHistory(**wrong)
    with pytest.raises(TypeError):
        GetHistory(1)  # type: ignore[call-arg]


def test_a_message_is_not_sent_on_a_channel_that_is_not_its_own() -> None:
    with pytest.raises(WrongChannel):
        encode_envelope(Envelope(Channel.COMMAND, 1, Stop()))


@pytest.mark.parametrize("request_id", [-1, 0x1_0000])
def test_a_request_id_out_of_range_is_refused(request_id: int) -> None:
    with pytest.raises(OutOfRange):
        encode_envelope(Envelope(Channel.STOP, request_id, Stop()))


def test_a_body_is_too_long_from_one_byte_over_the_longest() -> None:
    opcode = Opcode.STOP.to_bytes(2, "little")
    with pytest.raises(WrongLength):
        decode_envelope(Channel.STOP, opcode + bytes(MESSAGE_BYTES_MAX - 2))
    with pytest.raises(FrameTooLong):
        decode_envelope(Channel.STOP, opcode + bytes(MESSAGE_BYTES_MAX - 1))


@given(st.binary(max_size=12))
def test_a_refusal_can_name_what_it_answers_even_to_no_message(body: bytes) -> None:
    assert peek_opcode(body) == (int.from_bytes(body[:2], "little") if len(body) >= 2 else 0)
    assert peek_request_id(body) == (int.from_bytes(body[2:4], "little") if len(body) >= 4 else 0)
