"""Faults of the hardware: the pen finds them at self-test or in the stroke, cuts the drive, and latches."""

import struct

import pytest

from dermalink_protocol.codewords import Reason
from dermalink_simulator.firmware.firmware import PenFirmware
from dermalink_simulator.firmware.safeguards import SAFEGUARDS, Profile
from dermalink_simulator.pen import SimulatedPen
from tests.support import raw_pen as raw
from tests.support.raw_pen import RawClient, raw_pen

LATCHED = {raw.FAULT, raw.LOCKED, raw.STOP_FAILED}


def running(*disabled: str, **options: object) -> RawClient:
    client = raw_pen(*disabled, **options)  # type: ignore[arg-type]
    client.open()
    client.run_pass(zone=raw.FOREHEAD, depth=500)
    assert client.pen.needles_out
    return client


def stopped_with(client: RawClient, within_ms: int = 300) -> int:
    """The reason for which it latched; the needles are in."""
    client.live(within_ms)
    status = client.status()
    assert status["state"] in LATCHED
    assert not client.pen.needles_out
    return status["reason"]


@pytest.mark.sr("SR-DEPTH-5", "SR-DEPTH-7", side="pen")
@pytest.mark.parametrize(
    ("unit", "kind", "values", "reasons"),
    [
        ("depth_sensor", "offset", {"um": 100}, {Reason.DEPTH_EXCEEDED, Reason.SENSORS_DISAGREE}),
        ("depth_sensor", "stuck", {"um": 100}, {Reason.STOP_NOT_CONFIRMED}),
        ("drive_feedback", "offset", {"um": 60}, {Reason.DRIVE_FAULT}),
        ("drive_feedback", "stuck", {"um": 0}, {Reason.SENSORS_DISAGREE}),
        ("motor", "stalled", {}, {Reason.STALLED}),
        ("motor", "overspeed", {"percent": 130}, {Reason.RATE_OVER}),
    ],
)
def test_a_fault_in_the_stroke_cuts_and_latches(
    unit: str, kind: str, values: dict[str, int], reasons: set[int]
) -> None:
    client = running()
    client.pen.faults.inject(unit, kind, **values)
    assert stopped_with(client) in reasons


@pytest.mark.sr("SR-DEPTH-5", side="pen")
def test_an_actuator_that_overshoots_behind_a_broken_stop_passes_the_cap_for_25_ms_at_most() -> None:
    client = running()
    client.pen.faults.inject("cartridge_stop", "broken")
    client.pen.faults.inject("drive", "overshoot", um=300)
    client.live(400)
    over = client.pen.skin.over(520)
    if over:
        assert over[-1].at_us - over[0].at_us <= 25_000
    assert client.status()["state"] in LATCHED
    client.pen.faults.clear()
    punctures = client.pen.skin.punctures
    client.press()
    client.live(2_000)
    assert client.pen.skin.punctures == punctures


@pytest.mark.sr("SR-DEPTH-5", side="pen", twin=True)
def test_without_the_monitor_it_goes_on_over_the_cap() -> None:
    client = running("monitor")
    client.pen.faults.inject("cartridge_stop", "broken")
    client.pen.faults.inject("drive", "overshoot", um=300)
    client.live(400)
    client.pen.hand.lift()
    client.live(400)
    client.pen.hand.go_on()
    client.live(400)
    over = client.pen.skin.over(520)
    assert over
    assert over[-1].at_us - over[0].at_us > 25_000


@pytest.mark.sr("SR-DEPTH-5", "SR-RST-1", side="pen")
def test_a_latched_depth_fault_outlives_power_and_is_not_acknowledged() -> None:
    client = running()
    client.pen.faults.inject("depth_sensor", "offset", um=100)
    reason = stopped_with(client)
    client.pen.faults.clear()
    client.pen.power.cut()
    client.pen.power.restore()
    client.pen.hand.lift()
    client.pen.advance(2_000)
    booted = RawClient(client.pen)
    booted.hello()
    assert booted.status()["reason"] == reason
    assert booted.ask(raw.ON_COMMAND, raw.ACKNOWLEDGE, booted.header() + reason.to_bytes(2, "little")).reason in (
        Reason.LOCKED,
        Reason.FAULT_LATCHED,
    )
    assert booted.open().reason in (Reason.LOCKED, Reason.FAULT_LATCHED)


@pytest.mark.sr("SR-CMD-2", side="pen")
def test_closing_a_session_with_a_fault_latched_stands_in_nobodys_way() -> None:
    client = running()
    client.pen.faults.inject("motor", "stalled")
    reason = stopped_with(client)
    client.pen.faults.clear()
    client.pen.hand.lift()
    client.pen.advance(500)
    closing = struct.pack("<II32s", client.session_id, 0, raw.NO_HASH)
    assert client.ask(raw.ON_COMMAND, raw.CLOSE, closing).opcode == raw.CLOSED
    got = client.ask(raw.ON_COMMAND, raw.ACKNOWLEDGE, client.header() + reason.to_bytes(2, "little"))
    assert got.opcode != raw.REFUSED
    client.pen.advance(1_500)
    client.pen.button.press()
    client.pen.advance(1_500)
    status = client.status()
    assert (status["state"], status["session"]) == (raw.IDLE, 0)


@pytest.mark.sr("SR-PASS-4", side="pen")
def test_staying_in_one_spot_pauses() -> None:
    client = running()
    client.pen.hand.stay()
    client.live(700)
    status = client.status()
    assert (status["state"], status["reason"]) == (raw.PAUSED_STATE, Reason.DWELL)


@pytest.mark.sr("SR-PASS-4", "SR-PASS-5", side="pen", twin=True)
def test_without_the_detectors_it_stays_and_presses_on() -> None:
    client = running("detectors")
    client.pen.hand.stay()
    client.pen.hand.press_hard(5_000)
    client.live(700)
    assert client.pen.needles_out


@pytest.mark.sr("SR-PASS-4", "SR-DEPTH-3", side="pen")
def test_a_stamp_head_pressed_and_lifted_works_thin_skin_and_one_that_stays_pauses() -> None:
    client = raw_pen()
    client.pen.cartridge.fit("stamp")
    client.pen.advance(2_000)
    client.open()
    client.run_pass(zone=raw.UPPER_LIP, rate=60, speed=20)
    client.live(3_000)
    assert client.status()["state"] in (raw.RUNNING, raw.LIFTED)
    assert client.pen.skin.punctures > 200
    client.pen.hand.stay()
    client.live(700)
    assert client.status()["reason"] == Reason.DWELL


@pytest.mark.sr("SR-PASS-5", side="pen")
@pytest.mark.parametrize(
    ("force_mn", "state", "reason"),
    [
        (3_000, raw.PAUSED_STATE, Reason.FORCE_HIGH),
        (5_000, raw.OPEN_STATE, Reason.FORCE_TOO_HIGH),
    ],
)
def test_pressing_too_hard_pauses_or_stops(force_mn: int, state: int, reason: int) -> None:
    client = running()
    client.pen.hand.press_hard(force_mn)
    client.live(600)
    status = client.status()
    assert (status["state"], status["reason"]) == (state, reason)


@pytest.mark.sr("SR-STOP-6", side="pen")
def test_off_the_skin_the_needles_go_in_and_come_back_with_it() -> None:
    client = running()
    client.pen.hand.lift()
    client.live(400)
    assert not client.pen.needles_out
    assert client.status()["state"] == raw.LIFTED
    client.pen.hand.go_on()
    client.live(300)
    assert client.status()["state"] == raw.RUNNING
    client.pen.hand.lift()
    client.live(10_500)
    assert client.status()["state"] == raw.PAUSED_STATE


@pytest.mark.sr("SR-STOP-6", side="pen")
def test_armed_without_contact_disarms_after_a_minute() -> None:
    client = raw_pen()
    client.open()
    client.start_pass()
    assert client.status()["state"] == raw.ARMED
    client.live(60_500)
    assert not client.pen.motor_turns


@pytest.mark.sr("SR-POST-1", "SR-STOP-5", "SR-DEPTH-7", side="pen")
@pytest.mark.parametrize(
    ("unit", "kind", "values", "reasons"),
    [
        ("button", "stuck", {}, {Reason.BUTTON_STUCK}),
        ("drive_feedback", "offset", {"um": 60}, {Reason.SENSORS_DISAGREE, Reason.DRIVE_FAULT}),
        ("drive", "stuck", {}, {Reason.SENSORS_DISAGREE, Reason.DRIVE_FAULT, Reason.RETRACTION_SLOW}),
        ("spring", "weak", {"percent": 300}, {Reason.RETRACTION_SLOW}),
    ],
)
def test_the_self_test_finds_what_is_broken_and_locks(
    unit: str, kind: str, values: dict[str, int], reasons: set[int]
) -> None:
    client = raw_pen()
    client.pen.power.cut()
    client.pen.faults.inject(unit, kind, **values)
    client.pen.power.restore()
    client.pen.advance(5_000)
    booted = RawClient(client.pen)
    booted.hello()
    status = booted.status()
    assert status["state"] in LATCHED
    assert status["reason"] in reasons
    assert booted.open().opcode == raw.REFUSED


@pytest.mark.sr("SR-DEPTH-6", side="pen")
def test_a_head_seated_outside_the_tolerance_is_refused_for_that() -> None:
    client = raw_pen()
    client.pen.power.cut()
    client.pen.faults.inject("cartridge", "badly_seated", um=60)
    client.pen.power.restore()
    client.pen.advance(3_000)
    booted = RawClient(client.pen)
    booted.hello()
    booted.open()
    assert booted.prepare().reason == Reason.CARTRIDGE_BADLY_SEATED


@pytest.mark.sr("SR-POST-1", side="pen")
def test_no_self_test_moves_needles_in_contact() -> None:
    client = raw_pen()
    client.pen.hand.touch(5)  # type: ignore[arg-type]
    client.pen.advance(1_500)
    assert client.ask(raw.ON_COMMAND, raw.SELF_TEST, client.header()).reason == Reason.IN_CONTACT


@pytest.mark.sr("SR-DEPTH-5", "SR-DEPTH-6", side="pen")
@pytest.mark.parametrize("profile", ["undeclared", "imprecise"])
def test_a_pen_that_declares_too_little_gets_no_therapy(profile: str) -> None:
    client = raw_pen(profile=profile)
    client.open()
    assert client.prepare().reason in (Reason.TOLERANCE_UNDECLARED, Reason.ACCURACY_UNDECLARED)


@pytest.mark.sr("SR-DEPTH-6", side="pen")
@pytest.mark.parametrize("seed", range(5))
def test_no_stroke_is_deeper_than_its_setting(seed: int) -> None:
    client = raw_pen(seed=seed, profile="loose")
    client.open()
    client.run_pass(zone=raw.FOREHEAD, depth=500)
    client.live(3_000)
    assert client.pen.skin.strokes
    assert client.pen.skin.protruded_um <= 500


@pytest.mark.sr("SR-SEC-4", side="pen")
def test_a_product_has_no_switches_and_says_that_it_has_no_control_channel() -> None:
    for name in SAFEGUARDS:
        with pytest.raises(ValueError, match="SR-SEC-4"):
            PenFirmware(profile=Profile.PRODUCT, disabled=frozenset({name}))
    with pytest.raises(ValueError, match="no such safeguard"):
        PenFirmware(disabled=frozenset({"nonsense"}))
    pen = SimulatedPen(firmware=lambda: PenFirmware(profile=Profile.PRODUCT))
    pen.advance(1_000)
    capabilities = int.from_bytes(RawClient(pen).hello().payload[26:30], "little")
    assert not capabilities & 64
