"""What a line may do to bytes, one fault at a time, and the crashes that wait for a command."""

from collections.abc import Callable

import pytest

from dermalink_protocol.channels import Channel
from dermalink_protocol.envelope import Envelope, encode_envelope
from dermalink_protocol.framing import encode_frame
from dermalink_protocol.messages.identity import GetStatus
from dermalink_protocol.messages.therapy import CloseSession, PausePass, RenewLease
from dermalink_protocol.schema import Message
from dermalink_protocol.segmentation import Segmenter
from dermalink_simulator.hardware.chance import generator
from dermalink_simulator.hardware.crash import CrashWatch, When
from dermalink_simulator.hardware.line import Line, LineFaults
from dermalink_simulator.hardware.port import GATT_VALUES_MAX
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.seam import PortKind, PowerCause
from tests.unit.hardware.rig import BLANK, Rig
from tests.unit.hardware.small_firmware import SmallFirmware

DATA = bytes(range(256)) * 8


def through(faults: LineFaults, data: bytes = DATA, seed: int = 0) -> list[tuple[int, bytes]]:
    line = Line(generator(seed, "line"))
    line.faults = faults
    return [(delay, chunk) for at in range(0, len(data), 64) for delay, chunk in line.send(data[at : at + 64])]


def test_a_sound_line_passes_everything_at_once() -> None:
    assert b"".join(chunk for _, chunk in through(LineFaults())) == DATA


def test_loss_takes_about_its_share_and_keeps_the_order() -> None:
    got = b"".join(chunk for _, chunk in through(LineFaults(loss=100)))
    assert len(DATA) * 0.8 < len(got) < len(DATA) * 0.97


def test_corruption_flips_one_bit_of_about_its_share() -> None:
    got = b"".join(chunk for _, chunk in through(LineFaults(corruption=100)))
    flipped = [(was ^ now).bit_count() for was, now in zip(DATA, got, strict=True) if was != now]
    assert set(flipped) == {1}
    assert len(DATA) * 0.05 < len(flipped) < len(DATA) * 0.15


def test_duplication_brings_chunks_twice() -> None:
    assert through(LineFaults(duplication=1_000))[:2] == [(0, DATA[:64])] * 2


def test_reordering_lets_later_chunks_overtake() -> None:
    delays = [delay for delay, _ in through(LineFaults(reordering=500))]
    assert 0 in delays
    assert 0 < max(delays) <= 100


def test_a_cut_line_passes_what_was_allowed_and_then_nothing() -> None:
    assert b"".join(chunk for _, chunk in through(LineFaults(cut_after=100))) == DATA[:100]


def test_all_is_lost_at_a_thousand_permille() -> None:
    assert through(LineFaults(loss=1_000)) == []


@pytest.mark.parametrize(
    "faults", [LineFaults(loss=300), LineFaults(corruption=300), LineFaults(reordering=300, duplication=300)]
)
def test_the_same_seed_does_the_same(faults: LineFaults) -> None:
    assert through(faults, seed=4) == through(faults, seed=4)
    assert through(faults, seed=4) != through(faults, seed=5)


def test_delay_is_by_the_pens_time_both_ways() -> None:
    rig = Rig()
    rig.pen.faults.inject("link", "delay", rig.port.number, ms=200)
    rig.say("?", 399)
    assert rig.port.read() == b""
    rig.pen.advance(1)
    assert rig.port.read() == b"200\n"


def test_a_way_and_a_port_can_be_picked() -> None:
    rig = Rig()
    other = rig.pen.connect()
    rig.pen.faults.inject("link", "loss", other.number, permille=1_000, way=2)
    rig.say("?")
    other.write(b"?")
    assert rig.port.read() == b"0\n"
    assert other.read() == b""
    assert len(rig.firmware.handled) == 2
    rig.pen.faults.clear("link")
    other.write(b"?")
    assert other.read() == b"0\n"


def test_a_fault_of_any_port_holds_for_the_next_connection_as_well() -> None:
    rig = Rig()
    rig.pen.faults.inject("link", "loss", permille=1_000)
    late = rig.pen.connect()
    late.write(b"?")
    assert rig.firmware.handled == []


def test_the_link_is_cut_at_a_byte_and_both_ends_know() -> None:
    rig = Rig()
    gone: list[bool] = []
    rig.port.on_hang_up = lambda: gone.append(True)
    rig.pen.faults.inject("link", "cut", rig.port.number, bytes=3, way=1)
    rig.say("t t t")
    assert rig.firmware.handled == [(1, b"t t")]
    assert rig.port.closed
    assert gone == [True]
    assert rig.firmware.out == {}


def test_a_cut_after_0_bytes_ends_the_connection_now() -> None:
    rig = Rig()
    rig.pen.faults.inject("link", "cut", rig.port.number)
    assert rig.port.closed


def test_closing_the_port_inside_a_callback_is_safe() -> None:
    rig = Rig()
    rig.port.on_output = lambda _: rig.port.close()
    rig.say("? ?")
    assert rig.firmware.out == {}


def command(request_id: int = 7) -> bytes:
    return encode_frame(
        Channel.COMMAND, encode_envelope(Envelope(Channel.COMMAND, request_id, PausePass(session_id=1)))
    )


class Answering(SmallFirmware):
    """Applies any frame, and answers it some time later with a frame of the same request id."""

    late_ms = 0

    def __init__(self) -> None:
        super().__init__()
        self.applied = 0
        self._owed: list[int] = []

    def handle(self, port: int, data: bytes) -> None:
        self.applied += 1
        self._owed.append(self.now_ms + self.late_ms)
        self.sleep_ms = 10
        self._answer()

    def tick(self, dt_ms: int, sensors: object) -> None:
        self.now_ms += dt_ms
        self._answer()

    def _answer(self) -> None:
        if self._owed and self._owed[0] <= self.now_ms:
            self._owed.pop(0)
            self.out[1] += command()


class AnsweringLate(Answering):
    late_ms = 50


def crash_rig(kind: str, make: Callable[[], Answering]) -> tuple[SimulatedPen, list[Answering], bytes]:
    made: list[Answering] = []

    def one() -> Answering:
        made.append(make())
        return made[-1]

    pen = SimulatedPen(seed=1, flash=BLANK, firmware=one)
    port = pen.connect()
    pen.faults.inject("firmware", kind)
    renewal = encode_envelope(Envelope(Channel.COMMAND, 3, RenewLease(session_id=1, seen_tick_ms=0)))
    port.write(encode_frame(Channel.STATUS, encode_envelope(Envelope(Channel.STATUS, 2, GetStatus()))))
    port.write(encode_frame(Channel.COMMAND, renewal))
    pen.advance(200)
    port.read()
    assert made[-1].applied == 2
    port.write(command())
    pen.advance(1_000)
    return pen, made, port.read()


@pytest.mark.parametrize("make", [Answering, AnsweringLate])
@pytest.mark.parametrize(("kind", "applied"), [("crash_before", 2), ("crash_after", 3)])
def test_a_crash_waits_for_a_command_and_nothing_of_its_answer_gets_out(
    kind: str, applied: int, make: Callable[[], Answering]
) -> None:
    _, made, heard = crash_rig(kind, make)
    assert len(made) == 2
    assert made[0].applied == applied
    assert made[1].cause is PowerCause.WATCHDOG
    assert heard == b""


def test_a_command_is_seen_however_its_bytes_are_cut() -> None:
    watch = CrashWatch(When.BEFORE)
    seen = [watch.sees_command(1, bytes([byte])) for byte in b"boot text" + command()]
    assert seen == [False] * (len(seen) - 1) + [True]


def test_a_watch_for_one_opcode_lets_others_pass() -> None:
    assert not CrashWatch(When.BEFORE, int(RenewLease.opcode)).sees_command(1, command())
    assert CrashWatch(When.BEFORE, int(PausePass.opcode)).sees_command(1, command())


def test_only_the_answer_to_that_command_on_that_port_counts() -> None:
    watch = CrashWatch(When.AFTER)
    assert not watch.sees_answer(1, command(7))
    assert not watch.sees_command(1, command(7))
    assert not watch.sees_answer(1, command(8))
    assert not watch.sees_answer(2, command(7))
    assert watch.sees_answer(1, command(7))


def through_values(faults: LineFaults, seed: int = 0) -> list[bytes]:
    line = Line(generator(seed, "line"), whole=True)
    line.faults = faults
    return [chunk for at in range(0, len(DATA), 64) for _, chunk in line.send(DATA[at : at + 64])]


VALUES = [DATA[at : at + 64] for at in range(0, len(DATA), 64)]


@pytest.mark.parametrize("faults", [LineFaults(loss=300), LineFaults(corruption=300), LineFaults(100, 200)])
def test_on_a_line_of_values_one_that_is_lost_or_spoilt_is_lost_whole(faults: LineFaults) -> None:
    got = [through_values(faults, seed) for seed in range(20)]
    assert all(value in VALUES for values in got for value in values)
    share = sum(map(len, got)) / (20 * len(VALUES))
    assert 0.6 < share < 0.8
    assert through_values(LineFaults(loss=1_000)) == through_values(LineFaults(corruption=1_000)) == []


@pytest.mark.parametrize("after", [0, 1, 63, 64, 65, 128, 200])
def test_a_line_of_values_is_cut_between_values(after: int) -> None:
    line = Line(generator(0, "line"), whole=True)
    line.faults = LineFaults(cut_after=after)
    got = [chunk for value in VALUES for _, chunk in line.send(value)]
    assert got == VALUES[: after // 64]
    assert line.cut


def test_values_come_twice_whole() -> None:
    assert through_values(LineFaults(duplication=1_000))[:4] == [VALUES[0], VALUES[0], VALUES[1], VALUES[1]]


def gatt_values(channel: Channel, message: Message) -> list[bytes]:
    body = encode_envelope(Envelope(channel, 7, message))
    return [bytes([channel]) + segment for segment in Segmenter().cut(body, 23)]


@pytest.mark.parametrize("kind", ["crash_before", "crash_after"])
def test_a_crash_waits_for_a_command_that_comes_in_segments(kind: str) -> None:
    pen = SimulatedPen(seed=1)
    pen.advance(1_000)
    port = pen.connect(PortKind.GATT)
    for channel in Channel:
        port.subscribe(channel, on=True)
    gone: list[bool] = []
    port.on_hang_up = lambda: gone.append(True)
    pen.faults.inject("firmware", kind)
    harmless = [
        *gatt_values(Channel.STATUS, GetStatus()),
        *gatt_values(Channel.COMMAND, RenewLease(session_id=1, seen_tick_ms=0)),
    ]
    for value in harmless:
        port.write(value)
        while port.read():
            pass
    close = CloseSession(session_id=1, record_number=0, record_hash=bytes(32))
    *before, last = gatt_values(Channel.COMMAND, close)
    assert len(before) == 2
    for value in before:
        port.write(value)
    assert gone == []
    port.write(last)
    assert gone == [True]
    assert port.read() == b""
    pen.advance(1_000)
    assert pen.power.on


def test_a_port_number_may_be_a_streams_and_then_a_characteristics() -> None:
    watch = CrashWatch(When.BEFORE)
    assert not watch.sees_command(1, command()[:-3])
    assert watch.sees_command(1, gatt_values(Channel.COMMAND, PausePass(session_id=1))[0], PortKind.GATT)


def test_a_gatt_port_keeps_values_apart() -> None:
    rig = Rig()
    port = rig.pen.connect(PortKind.GATT)
    port.write(b"?")
    port.write(b"?")
    assert [port.read(), port.read(), port.read()] == [b"0\n", b"0\n", b""]


def test_no_more_values_are_fetched_than_the_far_end_has_taken() -> None:
    rig = Rig()
    port = rig.pen.connect(PortKind.GATT)
    heard: list[bytes] = []
    port.on_output = heard.append
    port.write(b"v10")
    assert heard == [b"0", b"1", b"2", b"3"]
    rig.pen.advance(5_000)
    assert len(heard) == GATT_VALUES_MAX
    port.handed_on()
    assert heard[-1] == b"4"
    port.clog(clogged=True)
    for _ in range(GATT_VALUES_MAX):
        port.handed_on()
    assert len(heard) == GATT_VALUES_MAX + 1
    port.clog(clogged=False)
    assert heard == [b"%d" % number for number in range(9)]
    port.handed_on()
    assert len(heard) == 10


def test_who_reads_gets_every_value_in_order() -> None:
    rig = Rig()
    port = rig.pen.connect(PortKind.GATT)
    port.write(b"v10")
    assert [port.read() for _ in range(11)] == [b"%d" % number for number in range(10)] + [b""]


def test_a_lost_value_takes_no_room_at_the_link() -> None:
    rig = Rig()
    port = rig.pen.connect(PortKind.GATT)
    rig.pen.faults.inject("link", "loss", port.number, permille=500, way=2)
    port.write(b"v100")
    heard = list(iter(port.read, b""))
    assert 30 < len(heard) < 70
    assert rig.firmware.values[port.number] == []


def test_what_a_host_says_of_its_gatt_link_reaches_the_firmware() -> None:
    rig = Rig()
    port = rig.pen.connect(PortKind.GATT)
    port.agree_mtu(247)
    port.subscribe(Channel.STOP, on=True)
    port.subscribe(Channel.STOP, on=False)
    told = [("mtu", 2, 247), ("subscribe", 2, 13), ("subscribe", 2, 12)]
    assert rig.firmware.told == told
    assert (port.refusal(b"no"), port.refusal(b"yes")) == (0x82, 0)
    assert rig.pen.read_gatt(0x2A19) == b"2a19 at 0"
    rig.pen.advance(500)
    assert rig.pen.read_gatt(0x2A19) == b"2a19 at 500"
    port.close()
    port.agree_mtu(23)
    port.subscribe(Channel.STOP, on=True)
    assert (rig.firmware.told, port.refusal(b"no")) == (told, 0)


def test_nobody_refuses_a_value_while_others_are_on_their_way_before_it() -> None:
    rig = Rig()
    port = rig.pen.connect(PortKind.GATT)
    rig.pen.faults.inject("link", "delay", port.number, ms=100, way=1)
    assert port.refusal(b"no") == 0x82
    port.write(b"first")
    assert port.refusal(b"no") == 0
    rig.pen.advance(100)
    assert port.refusal(b"no") == 0x82
    rig.pen.faults.inject("main_loop", "hung")
    assert port.refusal(b"no") == 0
