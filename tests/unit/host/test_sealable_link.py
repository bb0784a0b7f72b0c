"""The sealed channel record by record: what is spoilt on the way costs itself, and what is not sealed costs nothing."""

from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermalink.channel.sealable_link import SealableLink
from dermalink.errors import ChannelUsedUp, LinkError
from dermalink.links.link import Link, LinkCounters, Tap
from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode, Reason, State
from dermalink_protocol.envelope import SEALED_HEADER, Envelope, decode_envelope, encode_envelope, peek_opcode
from dermalink_protocol.messages.identity import GetStatus, Hello
from dermalink_protocol.messages.refusal import Refused
from dermalink_protocol.messages.sealed import Sealed
from dermalink_protocol.messages.stop import ReportSymptom, Stop, Stopped, SymptomReported
from dermalink_protocol.sealing.handshake import Session
from dermalink_protocol.sealing.records import COUNTER_MAX, Opened
from dermalink_protocol.zones import Symptom
from tests.support.running import in_virtual_time
from tests.unit.protocol.sealing_ends import connected


class BareLink:
    """A link without a wire: what goes out is kept, and a test says what comes in."""

    url, kind, promised_serial, stop_again_s, late_s = "bare:", "bare", "", 0.1, 0.0

    def __init__(self) -> None:
        self.counters, self.tap = LinkCounters(), Tap()
        self.out: list[tuple[str, Channel, bytes]] = []
        self.take: Callable[[Channel, bytes], None] = lambda _channel, _body: None

    def try_send(self, channel: Channel, body: bytes, *, gather: bool = False) -> bool:
        del gather
        self.out.append(("try_send", channel, body))
        return True

    def send_now(self, channel: Channel, body: bytes) -> None:
        self.out.append(("send_now", channel, body))

    async def read_status(self) -> bytes | None:
        return b"a status in the clear"

    def deliver_to(self, take: Callable[[Channel, bytes], None], end: Callable[[LinkError], None]) -> None:
        del end
        self.take = take


class Ends:
    """The host's layer on a bare link, sealed, and the pen's session; `believed` is what got through."""

    def __init__(self) -> None:
        ends = connected("link")
        self.pen: Session = ends.pen
        self.bare = BareLink()
        self.layer = SealableLink(cast(Link, self.bare))
        self.believed: list[tuple[Channel, bytes]] = []
        self.layer.deliver_to(lambda channel, body: self.believed.append((channel, body)), lambda _error: None)
        self.layer.seal(ends.host)

    def from_pen(self, body: bytes, channel: Channel = Channel.STATUS) -> bytes:
        """What goes over the wire when the pen says this."""
        return encode_envelope(Envelope(channel, 0, Sealed(record=self.pen.sealer.seal(channel, body))))

    def opened(self, channel: Channel, body: bytes) -> bytes:
        """What the pen reads in a body that went out."""
        assert body[:4] == SEALED_HEADER
        opened = self.pen.opener.open(channel, body[4:])
        assert isinstance(opened, Opened)
        return opened.body


def _body(message: Any, request_id: int = 7) -> bytes:
    return encode_envelope(Envelope(message.channel, request_id, message))


STATUS = _body(GetStatus())
STOP = _body(Stop(), 9)


def test_in_the_clear_all_goes_as_it_is() -> None:
    bare = BareLink()
    layer = SealableLink(cast(Link, bare))
    believed: list[tuple[Channel, bytes]] = []
    layer.deliver_to(lambda channel, body: believed.append((channel, body)), lambda _error: None)
    layer.try_send(Channel.STATUS, STATUS)
    layer.send_now(Channel.STOP, STOP)
    bare.take(Channel.STATUS, b"anything")
    assert [body for _, _, body in bare.out] == [STATUS, STOP]
    assert believed == [(Channel.STATUS, b"anything")]
    assert not layer.sealed
    assert layer.counters.unsealed() == {}


def test_the_handshake_is_bound_to_the_last_hello_and_to_its_own_reply() -> None:
    bare = BareLink()
    layer = SealableLink(cast(Link, bare))
    layer.deliver_to(lambda _channel, _body: None, lambda _error: None)
    reply = Opcode.HELLO_REPLY.to_bytes(2, "little")
    layer.try_send(Channel.STATUS, _body(Hello(protocol_version=1, host_nonce=1), 1))
    hello = _body(Hello(protocol_version=1, host_nonce=2), 2)
    layer.try_send(Channel.STATUS, hello)
    assert layer.negotiated == (hello, b"")
    bare.take(Channel.STATUS, reply + b"\x01\0to the first")
    assert layer.negotiated == (hello, b"")
    bare.take(Channel.STATUS, reply + b"\x02\0to the last")
    bare.take(Channel.STATUS, reply + b"\x02\0and what somebody said after")
    assert layer.negotiated == (hello, reply + b"\x02\0to the last")


@pytest.mark.sr("SR-SEC-1", side="host")
def test_what_goes_out_is_sealed_and_in_an_envelope_of_the_contract() -> None:
    ends = Ends()
    ends.layer.try_send(Channel.STATUS, STATUS)
    ends.layer.send_now(Channel.STOP, _body(ReportSymptom(symptom=Symptom.PAIN)))
    (_, _, status), (how, _, symptom) = ends.bare.out
    assert STATUS not in status
    assert isinstance(decode_envelope(Channel.STATUS, status).message, Sealed)
    assert len(status) == len(STATUS) + 24
    assert ends.opened(Channel.STATUS, status) == STATUS
    assert how == "send_now"
    assert ends.opened(Channel.STOP, symptom) == _body(ReportSymptom(symptom=Symptom.PAIN))


@pytest.mark.sr("SR-STOP-4", side="host")
def test_stop_goes_at_once_and_in_the_clear_also_when_nothing_can_be_sealed_any_more() -> None:
    ends = Ends()
    assert ends.layer._sealer is not None
    ends.layer.send_now(Channel.STOP, STOP)
    assert ends.layer._sealer.left == COUNTER_MAX + 1
    ends.layer._sealer._next = COUNTER_MAX + 1
    ends.layer.send_now(Channel.STOP, STOP)
    assert ends.bare.out == [("send_now", Channel.STOP, STOP)] * 2
    with pytest.raises(ChannelUsedUp, match="Connect again") as used_up:
        ends.layer.try_send(Channel.STATUS, STATUS)
    assert used_up.value.rule == "SR-SEC-1"


@pytest.mark.sr("SR-SEC-1", side="host")
@pytest.mark.parametrize(
    "message", [Stopped(tick_ms=1, state=State.IDLE), SymptomReported(tick_ms=1, state=State.IDLE)]
)
def test_what_is_said_in_the_clear_is_dropped_and_counted(message: Any) -> None:
    ends = Ends()
    told: list[tuple[str, Channel, bytes]] = []
    ends.layer.tap.on_dropped = lambda *what: told.append(what)
    ends.bare.take(Channel.STOP, _body(message, 9))
    assert told == [("in_the_clear", Channel.STOP, _body(message, 9))]
    assert ends.believed == []
    assert ends.layer.counters.unsealed() == {"in_the_clear": 1}


@pytest.mark.sr("SR-SEC-1", side="host")
def test_the_clear_answer_to_a_stop_of_ours_is_handed_on_once_and_nothing_else_is() -> None:
    ends = Ends()
    ends.layer.send_now(Channel.STOP, STOP)
    stopped = Stopped(tick_ms=1, state=State.IDLE)
    refused = Refused(refused_opcode=int(Stop.opcode), reason=Reason.BUSY, limit=0)
    symptom = SymptomReported(tick_ms=1, state=State.IDLE)
    others: list[tuple[Channel, int, Any]] = [
        (Channel.STOP, 8, stopped),
        (Channel.STOP, 8, refused),
        (Channel.STOP, 9, symptom),
        (Channel.STATUS, 9, refused),
    ]
    for channel, request_id, message in others:
        ends.bare.take(channel, encode_envelope(Envelope(channel, request_id, message)))
    assert ends.believed == []
    for _ in range(2):
        ends.bare.take(Channel.STOP, _body(stopped, 9))
    assert ends.believed == [(Channel.STOP, _body(stopped, 9))]
    assert ends.layer.counters.unsealed() == {"in_the_clear": 5}
    ends.layer.send_now(Channel.STOP, STOP)
    ends.bare.take(Channel.STOP, encode_envelope(Envelope(Channel.STOP, 9, refused)))
    assert len(ends.believed) == 2


@pytest.mark.sr("SR-SEC-1", side="host")
@given(st.integers(0, 3), st.integers(0, 8 * 64 - 1), st.data())
def test_a_flipped_bit_costs_one_record(spoilt: int, bit: int, data: st.DataObject) -> None:
    ends = Ends()
    bodies = [data.draw(st.binary(min_size=40, max_size=100)) for _ in range(4)]
    sent = [ends.from_pen(body) for body in bodies]
    altered = bytearray(sent[spoilt])
    altered[bit // 8] ^= 1 << bit % 8
    sent[spoilt] = bytes(altered)
    for body in sent:
        ends.bare.take(Channel.STATUS, body)
    assert [body for _, body in ends.believed] == [body for at, body in enumerate(bodies) if at != spoilt]
    assert sum(ends.layer.counters.unsealed().values()) == 1


@pytest.mark.sr("SR-SEC-1", side="host")
@given(st.lists(st.integers(0, 19), max_size=60))
def test_dropped_doubled_and_reordered_records_come_once_or_not_at_all(order: list[int]) -> None:
    ends = Ends()
    bodies = [bytes([number]) * 4 for number in range(20)]
    sent = [ends.from_pen(body) for body in bodies]
    for number in order:
        ends.bare.take(Channel.STATUS, sent[number])
    assert [body for _, body in ends.believed] == [bodies[number] for number in dict.fromkeys(order)]
    doubled = len(order) - len(set(order))
    assert ends.layer.counters.unsealed() == ({"replayed": doubled} if doubled else {})


@pytest.mark.sr("SR-SEC-1", side="host")
def test_each_way_to_spoil_a_record_has_its_own_count() -> None:
    ends = Ends()
    old = ends.from_pen(b"held back")
    newer = [ends.from_pen(b"and on") for _ in range(64)]
    for each in (*newer, old, newer[-1]):
        ends.bare.take(Channel.STATUS, each)
    ends.bare.take(Channel.STOP, ends.from_pen(b"from another channel"))
    ends.bare.take(Channel.STATUS, SEALED_HEADER + b"short")
    ends.bare.take(Channel.STATUS, SEALED_HEADER + bytes(300))
    ends.bare.take(Channel.STATUS, SEALED_HEADER + b"\xff" * 40)
    ends.bare.take(Channel.STATUS, b"")
    ends.bare.take(Channel.STATUS, SEALED_HEADER[:2] + b"\x01\0" + ends.from_pen(b"under an id")[4:])
    assert ends.layer.counters.unsealed() == {
        "in_the_clear": 2,
        "forged": 1,
        "replayed": 1,
        "too_old": 1,
        "too_far_ahead": 1,
        "no_record": 2,
    }
    assert len(ends.believed) == 64


@pytest.mark.sr("SR-SEC-1", side="host")
def test_its_own_words_come_back_and_do_not_open() -> None:
    ends = Ends()
    ends.layer.try_send(Channel.STATUS, STATUS)
    (_, channel, body) = ends.bare.out[0]
    ends.bare.take(channel, body)
    assert ends.believed == []
    assert ends.layer.counters.forged == 1


def test_a_connection_is_sealed_once() -> None:
    ends = Ends()
    with pytest.raises(RuntimeError, match="once"):
        ends.layer.seal(ends.pen)
    assert peek_opcode(SEALED_HEADER) == Opcode.SEALED


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_a_status_that_is_read_past_the_channel_is_not_believed() -> None:
    bare = BareLink()
    assert await SealableLink(cast(Link, bare)).read_status() == b"a status in the clear"
    assert await Ends().layer.read_status() is None
