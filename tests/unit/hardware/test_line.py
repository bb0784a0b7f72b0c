"""What a line may do to bytes, one fault at a time, and the crashes that wait for a command."""

from collections.abc import Callable

import pytest

from dermalink_protocol.channels import Channel
from dermalink_protocol.envelope import Envelope, encode_envelope
from dermalink_protocol.framing import encode_frame
from dermalink_protocol.messages.identity import GetStatus
from dermalink_protocol.messages.therapy import PausePass, RenewLease
from dermalink_simulator.hardware.chance import generator
from dermalink_simulator.hardware.crash import CrashWatch, When
from dermalink_simulator.hardware.line import Line, LineFaults
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
    rig.pen.faults.inject("link", "cut", rig.port.number, after=3, way=1)
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


def test_a_gatt_port_keeps_values_apart() -> None:
    rig = Rig()
    port = rig.pen.connect(PortKind.GATT)
    port.write(b"?")
    port.write(b"?")
    assert [port.read(), port.read(), port.read()] == [b"0\n", b"0\n", b""]
