"""The firmware as a whole, behind the seam: the same calls give the same bytes; snapshots; characteristics; traces."""

import struct

import pytest

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.messages import identity, later, owner
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.schema import Message, Request
from dermalink_protocol.segmentation import Joined, Reassembler, Segmenter
from dermalink_simulator.firmware.dispatcher import COMMANDS, QUESTIONS
from dermalink_simulator.firmware.firmware import PenFirmware
from dermalink_simulator.firmware.flash_layout import factory_flash
from dermalink_simulator.firmware.indicator import PATTERNS
from dermalink_simulator.firmware.ports import REPLIES_MAX, TELEMETRY_MAX, Port, StreamCodec
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.seam import FLASH_BYTES, PortKind, PowerCause, Sensors
from tests.support import raw_pen as raw
from tests.support.raw_pen import frame, raw_pen


def test_every_request_of_the_contract_is_a_question_a_command_or_not_built() -> None:
    requests = {kind for kind in Message.by_opcode.values() if issubclass(kind, Request)}
    not_built = {kind for kind in requests if kind.__module__ in (later.__name__, owner.__name__)}
    assert requests == set(COMMANDS) | set(QUESTIONS) | not_built
    assert not (set(COMMANDS) & set(QUESTIONS))


def test_every_state_has_a_pattern_of_light() -> None:
    assert set(PATTERNS) == set(State)


def test_the_same_calls_give_the_same_bytes() -> None:
    images, lines = [], []
    for _ in range(2):
        client = raw_pen(seed=4)
        client.open()
        client.run_pass()
        images.append(client.pen.flash_image())
        lines.append([note.payload for note in client.notes])
    assert images[0] == images[1]
    assert lines[0] == lines[1]


def test_a_restored_snapshot_goes_on_as_the_pen_did() -> None:
    client = raw_pen()
    client.open()
    client.run_pass()
    firmware = client.pen.firmware
    assert isinstance(firmware, PenFirmware)
    snapshot = firmware.snapshot()
    other, now = PenFirmware(), client.pen.clock
    other.restore(snapshot)
    sensors = Sensors(
        contact=1, head_present=1, motor_on=1, strokes=1, stroke_us=10_000, utc_s=now.utc_s, ran_s=now.ran_s
    )
    for each in (firmware, other):
        each.guard_tick(5, sensors)
        each.handle(client.port.number, frame(raw.ON_STATUS, raw.GET_STATUS, 7))
        each.tick(10, sensors)
    assert firmware.drive() == other.drive()
    assert firmware.drive().target_um
    assert firmware.tx(client.port.number) == other.tx(client.port.number)
    assert PenFirmware().snapshot() != snapshot


def test_a_trace_has_a_line_for_each_event_and_is_the_same_each_time() -> None:
    traces: list[list[str]] = []
    for _ in range(2):
        lines: list[str] = []
        traces.append(lines)
        pen = SimulatedPen(firmware=lambda lines=lines: PenFirmware(trace=lines.append))  # type: ignore[misc]
        pen.advance(1_000)
    assert traces[0] == traces[1]
    assert traces[0][0].split()[1] == "LOADED"
    assert any(" SELF_TEST_DONE ok=1" in line for line in traces[0])


@pytest.mark.sr("SR-STOP-4", side="pen")
def test_characteristics_are_a_door_of_the_right_size() -> None:
    pen = SimulatedPen()
    pen.advance(1_000)
    port = pen.connect(PortKind.GATT)
    for channel in (Channel.STATUS, Channel.STOP):
        port.subscribe(channel, on=True)
    cutter, joiner = Segmenter(), Reassembler()
    body = struct.pack("<HHHI", raw.HELLO, 5, 1, 7)
    for segment in cutter.cut(body, 23):
        port.write(bytes([Channel.STATUS]) + segment)
    joined = b""
    while value := port.read():
        assert value[0] == Channel.STATUS
        assert len(value) <= 21  # a channel's number beside the 20 bytes of an ATT_MTU of 23
        for event in joiner.feed(value[1:]):
            assert isinstance(event, Joined)
            joined = event.body
    assert struct.unpack_from("<HH", joined) == (raw.HELLO_REPLY, 5)
    for segment in cutter.cut(struct.pack("<HH", raw.STOP, 6), 23):
        port.write(bytes([Channel.STOP]) + segment)
    for bad in (b"", b"\xff", b"\x02", b"\x02\x05junk"):
        port.write(bad)
    values = []
    while value := port.read():
        values.append(value)
    assert values[0][0] == Channel.STOP


def test_a_slow_reader_loses_telemetry_with_a_count_and_never_a_reply() -> None:
    port = Port(1, PortKind.STREAM, StreamCodec())
    for number in range(TELEMETRY_MAX + 5):
        port.notify(Telemetry(sequence=number, tick_ms=0, samples=bytes(8)))
    assert port.lost == 5
    for number in range(1, REPLIES_MAX + 1):
        assert port.takes_requests
        port.reply(Channel.STATUS, number, identity.GetStatus())
    assert not port.takes_requests
    assert port.take().count(b"\0") == 2 * (TELEMETRY_MAX + REPLIES_MAX)
    assert port.take() == b""


@pytest.mark.sr("SR-RST-2", side="pen")
@pytest.mark.parametrize("flash", [b"\xff" * FLASH_BYTES, b"\0" * FLASH_BYTES], ids=["blank", "dead"])
def test_a_pen_without_a_store_answers_and_gives_no_therapy(flash: bytes) -> None:
    pen = SimulatedPen(flash=bytearray(flash))
    pen.advance(2_000)
    client = raw.RawClient(pen)
    client.hello()
    assert client.status()["reason"] == Reason.STORE_UNREADABLE
    assert client.open().opcode == raw.REFUSED
    assert client.ask(raw.ON_STOP, raw.STOP).opcode == raw.STOPPED


@pytest.mark.sr("SR-STOP-4", side="pen")
def test_stop_is_answered_before_the_first_tick() -> None:
    firmware = PenFirmware()
    firmware.power_on(factory_flash("DL-1"), PowerCause.SWITCHED_ON, 1)
    firmware.link_up(3, PortKind.STREAM)
    firmware.handle(3, frame(raw.ON_STOP, raw.STOP, 4) + frame(raw.ON_STATUS, raw.GET_STATUS, 5))
    assert firmware.tx(3).count(b"\0") == 4
    assert firmware.drive().valid_ms == 0
    assert 1 <= firmware.wake_ms() <= 1_000
    firmware.handle(9, b"nobody's port")
    firmware.link_down(9)
    assert firmware.tx(9) == b""


def test_a_silent_pen_sleeps() -> None:
    client = raw_pen()
    client.pen.advance(1_000)
    assert client.pen.firmware is not None
    assert client.pen.firmware.wake_ms() == 1_000
