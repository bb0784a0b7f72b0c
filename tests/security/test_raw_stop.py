"""Stop from anybody, in any state, among garbage; strangers; no traffic that stands in its way."""

import random
import struct

import pytest

from dermalink_protocol.codewords import Reason
from tests.support import raw_pen as raw
from tests.support.raw_pen import RawClient, frame, raw_pen, states

MOVING = {raw.SPIN_UP, raw.ARMED, raw.RUNNING, raw.LIFTED}


def in_after_ms(client: RawClient) -> int:
    """How long until the needles are truly in and the motor stands still."""
    for waited in range(200):
        if not client.pen.needles_out and not client.pen.motor_turns:
            return waited
        client.pen.advance(1)
    raise AssertionError("the needles are still out, or the motor turns")


def needles_in_after_ms(client: RawClient) -> int:
    for waited in range(200):
        if not client.pen.needles_out:
            return waited
        client.pen.advance(1)
    raise AssertionError("the needles are still out")


@pytest.mark.sr("SR-STOP-4", "SR-STOP-2", "SR-STOP-7", side="pen")
@pytest.mark.parametrize("who", ["owner", "stranger"])
@pytest.mark.parametrize(("opcode", "payload"), [(raw.STOP, b""), (raw.SYMPTOM, b"\1")], ids=["stop", "symptom"])
def test_stop_in_every_state(opcode: int, payload: bytes, who: str) -> None:
    for name, client in states():
        other = RawClient(client.pen) if who == "stranger" else client
        got = other.ask(raw.ON_STOP, opcode, payload)
        assert got.opcode in (raw.STOPPED, raw.SYMPTOM_REPORTED), name
        assert needles_in_after_ms(client) <= 25, name
        client.pen.advance(100)
        status = client.status()
        assert status["state"] not in MOVING, name
        assert status["flags"] & 0b111 == 0b110, name  # not armed, needles in, motor off
        punctures = client.pen.skin.punctures
        client.press()
        client.live(1_000)
        assert client.pen.skin.punctures == punctures, name


@pytest.mark.sr("SR-STOP-4", side="pen")
@pytest.mark.parametrize("who", ["owner", "stranger"])
@pytest.mark.parametrize(
    ("opcode", "payload", "reason"),
    [
        (raw.STOP, b"\0", Reason.WRONG_LENGTH),
        (raw.SYMPTOM, b"", Reason.WRONG_LENGTH),
        (raw.SYMPTOM, b"\1\1", Reason.WRONG_LENGTH),
        (raw.SYMPTOM, b"\5", None),
    ],
    ids=["stop too long", "no symptom", "symptom too long", "unknown symptom"],
)
def test_a_stop_that_is_said_badly_stops_and_is_then_refused(
    opcode: int, payload: bytes, reason: Reason | None, who: str
) -> None:
    client = raw_pen()
    client.open()
    client.run_pass()
    other = RawClient(client.pen) if who == "stranger" else client
    got = other.ask(raw.ON_STOP, opcode, payload)
    assert got.opcode == raw.REFUSED
    assert reason is None or got.reason == reason
    assert needles_in_after_ms(client) <= 25
    client.live(300)
    assert client.status()["state"] == raw.OPEN_STATE
    assert client.open().reason != Reason.SYMPTOM_LOCK


@pytest.mark.sr("SR-SEC-5", "SR-STOP-4", side="pen")
def test_idle_connections_on_every_port_keep_neither_the_owner_nor_a_stop_out() -> None:
    client = raw_pen()
    client.open()
    client.run_pass()
    idle = []
    for _ in range(30):
        idle.append(RawClient(client.pen))
        client.pen.advance(20)
        client.status()
        client.renew()
    assert client.status()["state"] == raw.RUNNING
    rescuer = RawClient(client.pen)
    rescuer.port.write(frame(raw.ON_STOP, raw.STOP, 9))
    assert needles_in_after_ms(client) <= 25
    assert sum(not each.port.closed for each in idle) == 6


@pytest.mark.sr("SR-STOP-4", side="pen")
def test_stop_among_garbage_takes_effect_before_the_bytes_are_all_handled() -> None:
    client = raw_pen()
    client.open()
    client.run_pass()
    noise = random.Random(1).randbytes(400)
    client.port.write(noise + b"\0" + frame(raw.ON_STOP, raw.STOP, 9) + noise)
    assert needles_in_after_ms(client) <= 25


@pytest.mark.sr("SR-STOP-4", side="pen")
def test_what_stands_before_stop_in_the_same_bytes_starts_nothing() -> None:
    client = raw_pen()
    client.open()
    frame_id = struct.unpack_from("<H", client.prepare().payload, 10)[0]
    begin = client.header() + struct.pack("<IH", client.session_id, frame_id)
    client.port.write(frame(raw.ON_COMMAND, raw.BEGIN, 900, begin) + frame(raw.ON_STOP, raw.STOP, 901))
    assert client.reply(900).reason == Reason.HOST_STOP
    assert client.reply(901).opcode == raw.STOPPED
    assert client.status()["state"] == raw.OPEN_STATE


@pytest.mark.sr("SR-STOP-4", "SR-SEC-5", side="pen")
def test_stop_is_answered_before_all_that_waits_for_a_host_that_does_not_read() -> None:
    client = raw_pen()
    client.open()
    client.run_pass()
    for number in range(1, 500):
        client.port.write(frame(raw.ON_STATUS, raw.GET_STATUS, number))
    client.port.write(frame(raw.ON_STOP, raw.STOP, 60_000))
    assert needles_in_after_ms(client) <= 25
    assert client.reply(60_000).opcode == raw.STOPPED


@pytest.mark.sr("SR-SES-1", side="pen")
def test_a_stranger_gets_identity_and_state_and_can_stop_and_nothing_else() -> None:
    client = raw_pen()
    client.open()
    client.prepare()
    other = RawClient(client.pen)
    assert other.ask(raw.ON_STATUS, raw.HELLO, struct.pack("<HI", 1, 9)).opcode == raw.HELLO_REPLY
    assert other.status()["session"] == client.session_id
    assert other.ask(raw.ON_STATUS, raw.GET_LAST).opcode == raw.LAST
    assert other.ask(raw.ON_STATUS, raw.GET_CARTRIDGE).opcode == raw.CARTRIDGE
    other.session_id, other.command_id = client.session_id, 50
    session = struct.pack("<I", client.session_id)
    refused = {
        "prepare": other.prepare(),
        "begin": other.begin(1),
        "resume": other.resume(),
        "renew": other.renew(),
        "pause": other.ask(raw.ON_COMMAND, raw.PAUSE, session),
        "end": other.ask(raw.ON_COMMAND, raw.END, session),
        "close": other.ask(raw.ON_COMMAND, raw.CLOSE, session + bytes(36)),
        "history": other.ask(raw.ON_RECORDS, raw.GET_HISTORY, struct.pack("<I", 1)),
        "history state": other.ask(raw.ON_RECORDS, raw.GET_HISTORY_STATE),
    }
    assert {name: got.reason for name, got in refused.items()} == dict.fromkeys(refused, Reason.NOT_OWNER)
    assert client.status()["state"] == raw.PREPARED_STATE


@pytest.mark.sr("SR-SES-1", side="pen")
def test_an_owner_does_not_adopt_its_own_session() -> None:
    client = raw_pen()
    client.open()
    for _ in range(20):
        fields = struct.pack("<IH", client.session_id, 500)
        assert client.ask(raw.ON_COMMAND, raw.ADOPT, client.header() + fields).reason == Reason.BUSY


@pytest.mark.sr("SR-SES-1", side="pen")
def test_a_stranger_hears_no_telemetry_of_a_session() -> None:
    client = raw_pen()
    client.open()
    other = RawClient(client.pen)
    other.hello()
    client.run_pass()
    other.pump()
    assert not [note for note in other.notes if note.opcode == raw.TELEMETRY]
    assert [note for note in client.notes if note.opcode == raw.TELEMETRY]


@pytest.mark.sr("SR-SES-1", "SR-STOP-5", side="pen")
def test_hello_on_the_owners_port_is_a_new_connection_and_motion_stops() -> None:
    client = raw_pen()
    client.open()
    client.run_pass()
    client.hello()
    assert needles_in_after_ms(client) <= 25
    client.pen.advance(100)
    assert client.status()["state"] == raw.PAUSED_STATE
    assert client.resume().reason == Reason.NOT_OWNER


@pytest.mark.sr("SR-SES-1", "SR-STOP-5", side="pen")
def test_a_lost_connection_stops_and_another_adopts_disarmed() -> None:
    client = raw_pen()
    client.open()
    client.run_pass()
    client.port.close()
    assert needles_in_after_ms(client) <= 25
    client.pen.advance(300)
    other = RawClient(client.pen)
    other.hello()
    other.command_id = client.command_id
    got = other.ask(raw.ON_COMMAND, raw.ADOPT, other.header() + struct.pack("<IH", client.session_id, 500))
    assert got.opcode == raw.ADOPTED
    other.session_id = client.session_id
    other.press()
    other.live(500)
    assert other.status()["state"] == raw.PAUSED_STATE
    punctures = client.pen.skin.punctures
    assert other.resume().opcode == raw.RESUMED
    other.live(300)
    assert client.pen.skin.punctures == punctures
    other.press()
    other.live(1_000)
    assert client.pen.skin.punctures > punctures


@pytest.mark.sr("SR-STOP-6", "SR-STOP-7", side="pen")
def test_any_press_stops_with_no_host_at_all() -> None:
    client = raw_pen()
    client.open()
    client.run_pass()
    client.pen.button.press()
    assert needles_in_after_ms(client) <= 25
    client.pen.advance(100)
    assert client.status()["state"] == raw.PAUSED_STATE


@pytest.mark.sr("SR-STOP-6", side="pen", twin=True)
def test_without_the_buttons_stop_a_press_changes_nothing() -> None:
    client = raw_pen("button-stop")
    client.open()
    client.run_pass()
    client.pen.button.press()
    client.pen.advance(50)
    assert client.pen.needles_out
