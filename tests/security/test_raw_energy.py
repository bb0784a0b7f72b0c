"""Energy, supply and temperature: raw frames start no pass without what SR-PWR-1 asks for, and heat in one latches."""

import struct
from collections.abc import Callable

import pytest

from dermalink_protocol.codewords import Reason
from dermalink_simulator.pen import SimulatedPen
from tests.support import raw_pen as raw
from tests.support.raw_pen import RawClient, raw_pen

Do = Callable[[SimulatedPen], object]
WAYS: list[tuple[Do, Reason]] = [
    (lambda pen: pen.faults.inject("battery", "low", percent=19), Reason.BATTERY_LOW),
    (lambda pen: pen.power.supply(present=True), Reason.SUPPLY_PRESENT),
    (lambda pen: pen.faults.inject("temperature", "cold", celsius=4), Reason.TEMPERATURE),
    (lambda pen: pen.faults.inject("temperature", "hot", celsius=41), Reason.TEMPERATURE),
]


def frame_of(client: RawClient) -> int:
    return int(struct.unpack_from("<H", client.prepare().payload, 10)[0])


@pytest.mark.sr("SR-PWR-1", side="pen")
@pytest.mark.parametrize(("spoil", "reason"), WAYS, ids=["battery", "supply", "cold", "hot"])
def test_no_pass_begins(spoil: Do, reason: Reason) -> None:
    client = raw_pen()
    client.open()
    frame_id = frame_of(client)
    spoil(client.pen)
    client.live(200)
    assert client.begin(frame_id).reason == reason
    assert client.prepare().reason == reason


@pytest.mark.sr("SR-PWR-1", side="pen")
@pytest.mark.parametrize("celsius", [4, 41])
def test_out_of_its_temperatures_a_running_pen_stops_and_latches(celsius: int) -> None:
    client = raw_pen()
    client.open()
    client.run_pass()
    assert client.pen.skin.strokes > 0
    client.pen.faults.inject("temperature", "hot" if celsius > 40 else "cold", celsius=celsius)
    client.live(300)
    status = client.status()
    assert not client.pen.needles_out
    assert (status["state"], status["reason"]) == (raw.FAULT, Reason.TEMPERATURE)
