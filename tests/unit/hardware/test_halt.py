"""A firmware that trips over a bit of its memory: it halts, the drive's order runs out, and the watchdog resets it."""

import pytest

from dermalink_simulator.faults.spelling import ImpossibleFaultError
from dermalink_simulator.seam import Kept, PowerCause, Sensors
from tests.unit.hardware.rig import Rig
from tests.unit.hardware.small_firmware import SmallFirmware

WATCHDOG_MS = 500
ORDER_MS = 50
IN_MS = 25


def trips(firmware: SmallFirmware) -> None:
    def tick(dt_ms: int, sensors: Sensors) -> None:
        raise ZeroDivisionError

    firmware.tick = tick  # type: ignore[method-assign]


def test_without_a_flipped_bit_an_error_of_the_firmware_comes_out() -> None:
    rig = Rig()
    rig.awake()
    trips(rig.firmware)
    with pytest.raises(ZeroDivisionError):
        rig.pen.advance(20)


def test_a_firmware_that_trips_halts_and_is_reset() -> None:
    rig = Rig()
    rig.run_at(300)
    first, started_ms = rig.firmware, rig.pen.now_ms
    trips(first)
    rig.pen.faults.inject("memory", "flip", variable=Kept.SETTING, bit=0)
    guards = len(first.guards)
    rig.pen.advance(20)
    assert len(first.guards) <= guards + 2, "nothing runs any more"
    assert rig.out(), "what was ordered stays ordered"
    rig.pen.advance(ORDER_MS + IN_MS)
    assert not rig.out()
    assert not rig.pen.motor_turns
    assert rig.started == [first]
    rig.pen.advance(WATCHDOG_MS + 300)
    assert len(rig.started) == 2
    assert rig.firmware.cause is PowerCause.WATCHDOG
    assert rig.port.closed
    assert rig.pen.now_ms - started_ms < 1_000
    rig.port = rig.pen.connect()
    rig.say("n", 20)
    assert rig.firmware.handled == [(1, b"n")], "the one that started anew is as good as any"


def test_a_firmware_that_bears_the_bit_goes_on() -> None:
    rig = Rig()
    rig.run_at(300)
    rig.say("w0,00", 0)
    rig.pen.faults.inject("memory", "flip", variable=Kept.SETTING, bit=4)
    rig.pen.advance(100)
    assert rig.firmware.done == [True], "what was under way comes to its end"
    assert rig.firmware.order.target_um == 300 ^ 16
    assert rig.firmware.ticks[-1].peak_um > 0


@pytest.mark.parametrize(
    ("variable", "bit", "why"),
    [
        (Kept.SETTING, 16, "setting has 16 bits, from 0"),
        (Kept.LIMITS, 0, "this firmware keeps no limits"),
        (0, 3, "name that as well"),
    ],
)
def test_a_bit_that_is_not_kept_cannot_flip(variable: int, bit: int, why: str) -> None:
    with pytest.raises(ImpossibleFaultError, match=why):
        Rig().pen.faults.inject("memory", "flip", variable=variable, bit=bit)


def test_nothing_flips_where_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    monkeypatch.setattr(type(rig.firmware), "kept_bits", lambda firmware, variable: 0)
    with pytest.raises(ImpossibleFaultError, match="keeps nothing now"):
        rig.pen.faults.inject("memory", "flip")
