"""One vocabulary of faults; what is not in it, or cannot be, is an error that names what can."""

import pytest

from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.faults.spelling import ImpossibleFaultError, UnknownFaultError, spell
from dermalink_simulator.faults.words import INTERVAL_STEP_US, INTERVAL_US, VOCABULARY, FaultKind
from dermalink_simulator.faults.words import LATENCY_MAX as MOST_EVENTS
from dermalink_simulator.hardware.air import INTERVAL_MAX_US, INTERVAL_MIN_US, LATENCY_MAX, ROOM, AirConditions
from dermalink_simulator.hardware.air import INTERVAL_STEP_US as STEP_US
from tests.unit.hardware.rig import Rig


@pytest.mark.parametrize("word", VOCABULARY, ids=lambda word: f"{word.unit}-{word.kind}")
def test_every_word_can_be_put_on_and_taken_off(word: FaultKind) -> None:
    rig = Rig()
    rig.pen.attach_air(ROOM.copy())
    sound = vars_of(rig)
    rig.pen.faults.inject(word.unit, word.kind)
    if word.once:
        assert rig.pen.faults.active == []
        return
    assert [(fault.unit, fault.kind) for fault in rig.pen.faults.active] == [(word.unit, word.kind)]
    rig.pen.faults.clear(word.unit, word.kind)
    assert rig.pen.faults.active == []
    assert vars_of(rig) == sound


def vars_of(rig: Rig) -> list[object]:
    board = rig.pen._board
    parts = board.mechanism
    drive, seat = parts.drive, parts.seat
    reader, feedback = board.mechanism.depth_sensor, board.mechanism.feedback
    return [
        (board.air and board.air.copy(),),
        (board.main_hung, board.main_slow_ms, board.guard_hung, board.flash.slow_ms, board.flash.bad_sector),
        (board.flash.stands_erases, board.flash._cached, board.clock._ppm),
        (parts.battery_c, parts.motor_c, parts.battery_reads_c, parts.motor_reads_c, parts.blind),
        (
            parts.battery._inner_mohm,
            parts.battery._lost_mv,
            parts.button.stuck,
            parts.button.dead,
            parts.button.bounce_ms,
        ),
        (parts.contact.stuck, parts.contact.bouncing, parts.travel.faulty, parts.force_sensor.faulty),
        (
            drive._overshoot_um,
            drive._stuck,
            drive._spring_broken,
            drive._slow_percent,
            drive._stalled,
            drive._speed_percent,
        ),
        (seat.offset_um, seat.limit_um, seat.tag(), seat.loose, seat.flaky),
        (reader.stuck, reader.extra, reader.offset, feedback.stuck, feedback.offset),
    ]


@pytest.mark.parametrize(
    ("unit", "kind", "names"),
    [
        ("depth_sensor", "broken", "stuck, noisy, offset"),
        ("sensor", "stuck", "link, firmware, main_loop"),
        ("", "", "link"),
    ],
)
def test_an_unknown_fault_is_an_error_that_names_the_known_ones(unit: str, kind: str, names: str) -> None:
    rig = Rig()
    with pytest.raises(UnknownFaultError, match=names):
        rig.pen.faults.inject(unit, kind)
    assert rig.pen.faults.active == []


def test_an_unknown_number_is_an_error() -> None:
    with pytest.raises(UnknownFaultError, match="it takes um"):
        Rig().pen.faults.inject("drive", "overshoot", mm=3)


@pytest.mark.parametrize("value", [0, -1, 2_001, True, 1.5, "7", None])
def test_a_number_out_of_range_is_an_error(value: object) -> None:
    with pytest.raises(ImpossibleFaultError, match="from 1 to 2000"):
        spell("drive", "overshoot", 0, {"um": value})


@pytest.mark.parametrize("instance", [-1, 9, True])
def test_an_instance_that_does_not_exist_is_an_error(instance: int) -> None:
    with pytest.raises(ImpossibleFaultError, match="instances are 0 to 8"):
        Rig().pen.faults.inject("link", "loss", instance)


def test_there_is_one_depth_sensor() -> None:
    with pytest.raises(ImpossibleFaultError, match="one only"):
        Rig().pen.faults.inject("depth_sensor", "stuck", 1)


@pytest.mark.parametrize(
    ("before", "unit", "kind", "instance", "why"),
    [
        ("pull", "cartridge_stop", "broken", 0, "no cartridge"),
        ("cut", "main_loop", "hung", 0, "no power"),
        ("cut", "firmware", "crash_after", 0, "no power"),
        ("", "link", "loss", 2, "port 2 has no connection"),
    ],
)
def test_what_is_impossible_now_is_an_error(before: str, unit: str, kind: str, instance: int, why: str) -> None:
    rig = Rig()
    if before == "pull":
        rig.pen.cartridge.pull()
    if before == "cut":
        rig.pen.power.cut()
    with pytest.raises(ImpossibleFaultError, match=why):
        rig.pen.faults.inject(unit, kind, instance)


def test_a_fault_put_on_again_has_the_new_numbers() -> None:
    rig = Rig()
    rig.pen.faults.inject("drive", "overshoot", um=10)
    rig.pen.faults.inject("drive", "overshoot", um=20)
    assert [str(fault) for fault in rig.pen.faults.active] == ["drive overshoot um=20"]


def test_clearing_takes_what_is_named_and_gives_it() -> None:
    rig = Rig()
    rig.pen.faults.inject("depth_sensor", "noisy")
    rig.pen.faults.inject("depth_sensor", "offset")
    rig.pen.faults.inject("button", "stuck")
    assert len(rig.pen.faults.clear("depth_sensor")) == 2
    assert [fault.unit for fault in rig.pen.faults.active] == ["button"]
    rig.pen.faults.clear()
    assert rig.pen.faults.active == []


def test_clearing_what_does_not_exist_is_an_error() -> None:
    with pytest.raises(UnknownFaultError):
        Rig().pen.faults.clear("depth_sensor", "broken")


def test_a_crash_waits_for_an_opcode_that_exists() -> None:
    with pytest.raises(ImpossibleFaultError, match="no opcode"):
        Rig().pen.faults.inject("firmware", "crash_after", opcode=1)


def test_every_error_of_faults_is_one_of_ours() -> None:
    assert issubclass(UnknownFaultError, DermalinkError)
    assert issubclass(ImpossibleFaultError, DermalinkError)


def test_a_stuck_button_and_a_lost_clock_show() -> None:
    rig = Rig()
    rig.pen.faults.inject("button", "stuck")
    rig.pen.faults.inject("clock", "lost")
    rig.pen.advance(2_000)
    assert rig.firmware.ticks[-1].button == 1
    assert rig.firmware.ticks[-1].utc_s == 0
    assert rig.pen.clock.utc_s == 0


AIR_FAULTS = [
    ("loss", {"permille": 50}, {"loss": 50}),
    ("bursts", {"permille": 20, "events": 9}, {"bursts": 20, "burst_events": 9}),
    ("interval", {"us": 7_500}, {"interval_us": 7_500}),
    ("latency", {"events": 3}, {"latency": 3}),
    ("delay", {"ms": 120}, {"delay_ms": 120}),
    ("silence", {}, {"silence": True}),
]


@pytest.mark.parametrize(("kind", "values", "spoilt"), AIR_FAULTS, ids=[kind for kind, _, _ in AIR_FAULTS])
def test_a_fault_of_the_air_changes_that_and_nothing_else_at_once(
    kind: str, values: dict[str, int], spoilt: dict[str, int]
) -> None:
    rig, air = Rig(), ROOM.copy()
    told: list[bool] = []
    air.watchers.append(told.append)
    rig.pen.attach_air(air)
    rig.pen.faults.inject("air", kind, **values)
    expected = ROOM.copy()
    for name, value in spoilt.items():
        setattr(expected, name, value)
    assert air == expected
    assert told == [False, True]
    rig.pen.faults.inject("button", "stuck")
    assert told == [False, True], "another fault tells the air nothing"
    rig.pen.faults.clear("air")
    assert air == ROOM


@pytest.mark.parametrize("kind", [kind for kind, _, _ in AIR_FAULTS])
def test_without_an_air_of_ours_its_faults_are_impossible(kind: str) -> None:
    rig = Rig()
    with pytest.raises(ImpossibleFaultError, match="no air of ours"):
        rig.pen.faults.inject("air", kind)
    rig.pen.attach_air(AirConditions())
    rig.pen.faults.inject("air", kind)
    rig.pen.attach_air(None)
    assert rig.pen.faults.active == []
    with pytest.raises(ImpossibleFaultError, match="no air of ours"):
        rig.pen.faults.inject("air", kind)


def test_an_air_that_is_taken_away_is_sound_again() -> None:
    rig, air = Rig(), ROOM.copy()
    rig.pen.attach_air(air)
    rig.pen.faults.inject("air", "silence")
    rig.pen.attach_air(None)
    assert air == ROOM


def test_an_interval_that_bluetooth_has_not_is_refused() -> None:
    with pytest.raises(ImpossibleFaultError, match="multiple of 1250"):
        spell("air", "interval", values={"us": 8_000})
    assert spell("air", "interval", values={"us": 8_750}).values == {"us": 8_750}


def test_the_vocabulary_and_the_air_mean_the_same_limits() -> None:
    assert INTERVAL_US == (INTERVAL_MIN_US, INTERVAL_MAX_US)
    assert (INTERVAL_STEP_US, MOST_EVENTS) == (STEP_US, LATENCY_MAX)
