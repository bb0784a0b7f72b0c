"""What a write is refused with: each rule, what is never refused, and that a refusal changes nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermalink_protocol.channels import AttError, Channel
from dermalink_protocol.codewords import State
from dermalink_protocol.envelope import Envelope, encode_envelope
from dermalink_protocol.limits import MESSAGE_BYTES_MAX
from dermalink_protocol.messages.identity import GetStatus
from dermalink_protocol.messages.owner import GetOwner
from dermalink_protocol.messages.records import GetHistory, GetHistoryState
from dermalink_protocol.messages.stop import Stop, Stopped
from dermalink_protocol.messages.therapy import CloseSession, EndPass, PausePass, RenewLease, RunSelfTest, SessionOpened
from dermalink_protocol.schema import Message
from dermalink_protocol.segmentation import FIRST, LAST
from dermalink_simulator.firmware.ports import REPLIES_MAX
from dermalink_simulator.pen import SimulatedPen
from tests.support import raw_pen as raw
from tests.unit.firmware.ble_host import ALL, HELLO, BleHost

STATUS, COMMAND, STOP = bytes([Channel.STATUS]), bytes([Channel.COMMAND]), bytes([Channel.STOP])
WHOLE = FIRST | LAST
GET_STATUS = encode_envelope(Envelope(Channel.STATUS, 1, GetStatus()))
SAID_STOP = encode_envelope(Envelope(Channel.STOP, 1, Stop()))
SAY_STOP = STOP + bytes([WHOLE]) + SAID_STOP
RENEW = RenewLease(session_id=1, seen_tick_ms=0)
PAUSE = PausePass(session_id=1)
CLOSE = CloseSession(session_id=1, record_number=0, record_hash=bytes(32))
SELF_TEST = RunSelfTest(command_id=9, ttl_ms=500, seen_tick_ms=0)


@pytest.fixture(scope="module")
def tested_pen() -> SimulatedPen:
    pen = SimulatedPen(seed=1)
    pen.advance(1_000)
    return pen


def value(channel: bytes, header: int, part: bytes = b"part") -> bytes:
    return channel + bytes([header]) + part


# What was written before (and taken), what is written now, and what that is refused with.
TABLE: dict[str, tuple[list[bytes], bytes, int]] = {
    "telemetry": ([], b"\x04" + bytes([WHOLE]) + GET_STATUS, AttError.WRITE_NOT_PERMITTED),
    "telemetry, whatever it is": ([], b"\x04", AttError.WRITE_NOT_PERMITTED),
    "nothing at all": ([], b"", AttError.OUT_OF_RANGE),
    "no such channel": ([], b"\x07" + bytes([WHOLE]) + GET_STATUS, AttError.OUT_OF_RANGE),
    "channel 0": ([], b"\x00" + bytes([WHOLE]) + GET_STATUS, AttError.OUT_OF_RANGE),
    "an empty segment": ([], COMMAND, AttError.OUT_OF_RANGE),
    "a segment that carries nothing": ([], value(COMMAND, WHOLE, b""), AttError.OUT_OF_RANGE),
    "nothing on stop": ([], STOP, AttError.OUT_OF_RANGE),
    "a header alone on stop": ([], value(STOP, WHOLE, b""), AttError.OUT_OF_RANGE),
    "a message that never began": ([], value(COMMAND, 5), AttError.COUNTER),
    "a last segment alone": ([], value(COMMAND, LAST | 0), AttError.COUNTER),
    "the next segment": ([value(COMMAND, FIRST | 5)], value(COMMAND, 6), 0),
    "the next after the greatest number": ([value(COMMAND, FIRST | 63)], value(COMMAND, LAST | 0), 0),
    "a segment left out": ([value(COMMAND, FIRST | 5)], value(COMMAND, 7), AttError.COUNTER),
    "a segment twice": ([value(COMMAND, FIRST | 5), value(COMMAND, 6)], value(COMMAND, 6), AttError.COUNTER),
    "another channel's segment": ([value(COMMAND, FIRST | 5)], value(STATUS, 6), AttError.COUNTER),
    "after a last one": (
        [value(COMMAND, FIRST | 5), value(COMMAND, LAST | 6)],
        value(COMMAND, 7),
        AttError.COUNTER,
    ),
    "a first segment of any number": ([value(COMMAND, FIRST | 5)], value(COMMAND, FIRST | 40), 0),
    "a first segment again": ([value(COMMAND, FIRST | 5)], value(COMMAND, FIRST | 5), 0),
    "a whole message again": ([value(STATUS, WHOLE, GET_STATUS)], value(STATUS, WHOLE, GET_STATUS), 0),
    "as long as any message": ([], value(COMMAND, FIRST, bytes(MESSAGE_BYTES_MAX)), 0),
    "longer than any message": ([], value(COMMAND, FIRST, bytes(MESSAGE_BYTES_MAX + 1)), AttError.OUT_OF_RANGE),
    "too long with what came": (
        [value(COMMAND, FIRST | 0, bytes(200))],
        value(COMMAND, 1, bytes(MESSAGE_BYTES_MAX - 199)),
        AttError.OUT_OF_RANGE,
    ),
    "too long on stop": ([], value(STOP, WHOLE, bytes(MESSAGE_BYTES_MAX + 1)), AttError.OUT_OF_RANGE),
    "too short to be answered": ([], value(COMMAND, WHOLE, GET_STATUS[:3]), AttError.OUT_OF_RANGE),
    "too short in two": ([value(STATUS, FIRST | 0, b"a")], value(STATUS, LAST | 1, b"b"), AttError.OUT_OF_RANGE),
    "no message, but one to be answered": ([], value(COMMAND, WHOLE, b"what"), 0),
    "a stop that is too short": ([], value(STOP, WHOLE, SAID_STOP[:2]), 0),
    "stop": ([], SAY_STOP, 0),
    "the same stop again": ([SAY_STOP], SAY_STOP, 0),
    "a stop of any number": ([SAY_STOP], value(STOP, WHOLE | 40, SAID_STOP), 0),
    "a stop amid a message on stop": ([value(STOP, FIRST | 9)], SAY_STOP, 0),
    "stop's second segment alone": ([], value(STOP, LAST | 1), AttError.COUNTER),
}


@pytest.mark.parametrize("case", TABLE)
def test_each_rule(case: str, tested_pen: SimulatedPen) -> None:
    before, written, code = TABLE[case]
    host = BleHost(tested_pen)
    for one in before:
        assert host.port.refusal(one) == 0
        host.port.write(one)
    assert host.port.refusal(written) == code
    counted = host.inside.broken
    host.firmware.handle(host.port.number, written)
    assert host.inside.broken == counted + (code != 0)
    host.port.close()


@pytest.mark.parametrize("channel", [Channel.PAIRING, Channel.STATUS, Channel.COMMAND, Channel.RECORDS])
def test_a_channel_whose_answers_nobody_hears_takes_nothing(channel: Channel, tested_pen: SimulatedPen) -> None:
    host = BleHost(tested_pen, tuple(each for each in ALL if each is not channel))
    written = bytes([channel, WHOLE]) + b"what"
    assert host.port.refusal(written) == AttError.CCCD_IMPROPERLY_CONFIGURED
    host.port.subscribe(channel, on=True)
    assert host.port.refusal(written) == 0
    host.port.subscribe(channel, on=False)
    assert host.port.refusal(written) == AttError.CCCD_IMPROPERLY_CONFIGURED
    host.port.close()


def opening() -> BleHost:
    """A host whose session is being written to the flash: a procedure on the command channel that is unanswered."""
    host = BleHost()
    host.say(HELLO)
    host.heard()
    host.say(host.open_session())
    assert not any(isinstance(each, SessionOpened) for each in host.heard())
    return host


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (SELF_TEST, AttError.IN_PROGRESS),
        (RENEW, 0),
        (PAUSE, 0),
        (EndPass(session_id=1), 0),
        (CLOSE, 0),
        (GetStatus(), 0),
        (HELLO, 0),
        (GetHistoryState(), 0),
        (GetOwner(), 0),
        (Stop(), 0),
    ],
)
def test_one_procedure_at_a_time_but_for_what_keeps_alive_or_reduces(message: Message, code: int) -> None:
    host = opening()
    assert host.first(message) == code
    host.pen.advance(1_000)
    assert any(isinstance(each, SessionOpened) for each in host.heard())
    assert host.first(message) == 0


def test_a_procedure_is_its_own_channels_and_connections() -> None:
    host = opening()
    other = BleHost(host.pen)
    assert host.first(SELF_TEST) == AttError.IN_PROGRESS
    assert other.first(SELF_TEST) == 0


def test_a_procedure_lasts_until_its_answer_is_sent_whole() -> None:
    host = BleHost()
    host.port.clog(clogged=True)
    host.say(GetHistory(number=1))
    assert host.first(GetHistoryState()) == AttError.IN_PROGRESS
    assert host.first(SELF_TEST) == 0
    values = []
    while value := host.firmware.tx(host.port.number):
        values.append(value)
        assert host.first(GetHistoryState()) == (AttError.IN_PROGRESS if not host.joins(value) else 0)
    assert len(values) > 2


@pytest.mark.parametrize("message", [RENEW, PAUSE, CLOSE])
def test_the_answer_to_a_renewal_or_a_pause_holds_nothing_up(message: Message) -> None:
    host = BleHost()
    host.port.clog(clogged=True)
    host.say(message)
    assert host.inside.unanswered()
    assert host.first(SELF_TEST) == 0
    host.say(SELF_TEST)
    assert host.first(SELF_TEST) == AttError.IN_PROGRESS
    assert host.first(message) == 0


@pytest.mark.sr("SR-STOP-4", side="pen")
def test_where_no_reply_has_room_only_stop_is_taken() -> None:
    host = BleHost()
    host.port.clog(clogged=True)
    for _ in range(REPLIES_MAX):
        host.say(GetStatus())
    for message in (GetStatus(), GetHistoryState(), RENEW, SELF_TEST, GetOwner()):
        assert host.first(message) == AttError.IN_PROGRESS
    assert host.first(Stop()) == 0
    lost = host.inside.lost
    host.port.clog(clogged=False)
    assert len(host.heard()) == REPLIES_MAX
    assert host.inside.lost == lost
    assert host.first(GetStatus()) == 0


@pytest.mark.sr("SR-STOP-4", side="pen")
@pytest.mark.parametrize("header", [WHOLE, WHOLE | 17, WHOLE | 63])
def test_stop_is_taken_in_every_state_from_anybody_with_nothing_subscribed(header: int) -> None:
    for name, client in raw.states():
        stranger = BleHost(client.pen, ())
        written = value(STOP, header, SAID_STOP)
        assert stranger.port.refusal(written) == 0, name
        stranger.port.write(written)
        client.pen.advance(30)
        assert not client.pen.needles_out, name
        client.pen.advance(500)
        assert not client.pen.motor_turns, name
        assert client.status()["state"] not in (State.RUNNING, State.ARMED, State.SPIN_UP, State.LIFTED), name
        assert stranger.port.read() == b""
        assert stranger.inside.lost == 1


@pytest.mark.sr("SR-STOP-4", side="pen")
def test_the_same_stop_written_twice_stops_twice() -> None:
    client = raw.raw_pen()
    host = BleHost(client.pen)
    client.open()
    for direction in (raw.VERTICAL, raw.HORIZONTAL):
        client.run_pass(direction=direction)
        were_out = client.pen.needles_out
        host.port.write(SAY_STOP)
        client.pen.advance(30)
        assert (were_out, client.pen.needles_out) == (True, False)
        client.pen.hand.lift()
        client.live(1_000)
        client.ask(raw.ON_COMMAND, raw.END, client.session_id.to_bytes(4, "little"))
        client.live(1_000)
    assert [type(each) for each in host.heard()] == [Stopped, Stopped]


# Anything at all

headers = st.integers(0, 255)
bodies = st.sampled_from([GET_STATUS, SAID_STOP, encode_envelope(Envelope(Channel.COMMAND, 3, SELF_TEST)), bytes(244)])
parts = st.one_of(
    st.binary(max_size=24), bodies, bodies.flatmap(lambda body: st.integers(0, 9).map(lambda n: body[:n]))
)
written_values = st.one_of(
    st.binary(max_size=30),
    st.builds(lambda channel, header, part: bytes([channel, header]) + part, st.integers(0, 8), headers, parts),
)
steps = st.lists(
    st.one_of(written_values, st.tuples(st.sampled_from(ALL), st.booleans()), st.integers(1, 50)), max_size=25
)


@settings(max_examples=150, deadline=None)
@given(steps)
def test_what_is_not_refused_is_taken_and_what_is_refused_changes_nothing(
    tested_pen: SimulatedPen, steps: list[bytes | tuple[Channel, bool] | int]
) -> None:
    host = BleHost(tested_pen)
    number, firmware, port = host.port.number, host.firmware, host.inside
    for step in steps:
        if isinstance(step, int):
            tested_pen.advance(step)
            continue
        if isinstance(step, tuple):
            host.port.subscribe(step[0], on=step[1])
            continue
        before, counted = firmware.snapshot(), port.broken
        code = firmware.gatt_error(number, step)
        assert firmware.snapshot() == before
        firmware.handle(number, step)
        assert port.broken == counted + (code != 0)
        if code:
            port.broken = counted
            assert firmware.snapshot() == before
        host.heard()
    host.port.close()


def test_a_stream_refuses_nothing_at_this_level(tested_pen: SimulatedPen) -> None:
    port = tested_pen.connect()
    assert port.refusal(b"\x04") == 0
    port.close()
    assert port.refusal(b"\x04") == 0
