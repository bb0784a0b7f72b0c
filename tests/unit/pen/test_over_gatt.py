"""The same evening over a port of characteristics as over a stream: the same pen at every ATT_MTU, and with faults."""

import pytest

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import State
from dermalink_protocol.envelope import Envelope, decode_envelope, encode_envelope
from dermalink_protocol.messages import identity, stop, therapy
from dermalink_protocol.schema import Message
from dermalink_protocol.segmentation import Joined, Reassembler, Segmenter
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.seam import PortKind
from tests.support.raw_host import RawHost


class GattRawHost(RawHost):
    """As `RawHost`, with each message in segments; what is refused is not written, and is kept in `refused`."""

    def __init__(self, pen: SimulatedPen, att_mtu: int) -> None:
        super().__init__(pen, pen.connect(PortKind.GATT))
        self.port.agree_mtu(att_mtu)
        for channel in Channel:
            self.port.subscribe(channel, on=True)
        self.refused: list[int] = []
        self.values: list[bytes] = []
        self._att_mtu = att_mtu
        self._cut = {channel: Segmenter() for channel in Channel}
        self._joined = {channel: Reassembler() for channel in Channel}

    def send(self, message: Message) -> int:
        self._request_id += 1
        channel = message.channel if message.channel is not None else Channel.COMMAND
        body = encode_envelope(Envelope(channel, self._request_id, message))
        for segment in self._cut[channel].cut(body, self._att_mtu):
            value = bytes([channel]) + segment
            code = self.port.refusal(value)
            if code:
                self.refused.append(code)
                break
            self.port.write(value)
        return self._request_id

    def listen(self) -> None:
        while value := self.port.read():
            self.values.append(value)
            channel = Channel(value[0])
            for event in self._joined[channel].feed(value[1:]):
                if isinstance(event, Joined):
                    self._take(decode_envelope(channel, event.body))

    def _take(self, envelope: Envelope) -> None:
        self.tick_ms = max(self.tick_ms, getattr(envelope.message, "tick_ms", 0))
        if envelope.request_id:
            self.replies[envelope.request_id] = envelope.message
        else:
            self.notes.append(envelope.message)


def evening(host: RawHost) -> None:
    """A pass that is paused, resumed and ended, and a stop."""
    host.to_running(depth_um=250, rate_hz=100, speed_mm_s=40)
    host.run(500)
    host.expect(therapy.PassPaused, therapy.PausePass(session_id=host.session_id))
    host.wait_for(State.PAUSED)
    host.expect(therapy.PassEnded, therapy.EndPass(session_id=host.session_id))
    host.pen.hand.lift()
    host.run(500)
    host.expect(stop.Stopped, stop.Stop())
    host.run(500)


def traced(make: type[RawHost], *numbers: int) -> tuple[list[str], list[Message], RawHost]:
    lines: list[str] = []
    pen = SimulatedPen(seed=3, trace=lines.append)
    host = make(pen, *numbers)  # type: ignore[arg-type]
    evening(host)
    return lines, host.notes, host


@pytest.mark.parametrize("att_mtu", [23, 185, 247, 517])
def test_the_firmware_sees_the_same_evening_as_over_a_stream(att_mtu: int) -> None:
    lines, notes, _ = traced(RawHost)
    over_gatt, notes_over_gatt, host = traced(GattRawHost, att_mtu)
    assert over_gatt == lines
    assert notes_over_gatt == notes
    assert isinstance(host, GattRawHost)
    assert host.refused == []
    assert max(map(len, host.values)) <= 1 + min(att_mtu - 3, 512)


def with_faults(seed: int) -> tuple[list[bytes], list[object], bytes]:
    pen = SimulatedPen(seed=seed)
    host = GattRawHost(pen, 23)
    host.to_running()
    for kind in ("loss", "corruption", "duplication", "reordering"):
        pen.faults.inject("link", kind, permille=60)
    host.run(3_000)
    pen.faults.clear()
    host.run(500)
    return host.values, [pen.skin.between(0, 1 << 60)], pen.flash_image()


def test_values_that_are_lost_doubled_and_late_are_the_same_for_the_same_seed() -> None:
    assert with_faults(4) == with_faults(4)
    assert with_faults(4) != with_faults(5)


@pytest.mark.parametrize("kind", ["loss", "corruption", "duplication", "reordering"])
@pytest.mark.parametrize("seed", range(3))
def test_the_pen_is_safe_under_each_fault_of_values_and_serves_again_after_it(kind: str, seed: int) -> None:
    pen = SimulatedPen(seed=seed)
    host = GattRawHost(pen, 23)
    host.to_running()
    pen.faults.inject("link", kind, permille=300)
    host.run(2_000)
    pen.faults.inject("link", "loss", permille=1_000)
    pen.advance(1_100)  # longer than any lease
    assert not pen.needles_out
    pen.faults.clear()
    pen.advance(200)
    host.listen()
    assert isinstance(host.ask(identity.GetStatus()), identity.Status)
    assert isinstance(host.ask(stop.Stop()), stop.Stopped)
