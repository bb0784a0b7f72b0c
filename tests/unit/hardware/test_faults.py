"""One vocabulary of faults; what is not in it, or cannot be, is an error that names what can."""

import pytest

from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.zones import Zone
from dermalink_simulator.faults.spelling import ImpossibleFaultError, UnknownFaultError, spell
from dermalink_simulator.faults.words import INTERVAL_STEP_US, INTERVAL_US, VOCABULARY, FaultKind
from dermalink_simulator.faults.words import LATENCY_MAX as MOST_EVENTS
from dermalink_simulator.hardware.air import INTERVAL_MAX_US, INTERVAL_MIN_US, LATENCY_MAX, ROOM, AirConditions
from dermalink_simulator.hardware.air import INTERVAL_STEP_US as STEP_US
from tests.unit.hardware.rig import BLANK, Rig


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
        (
            parts.contact.stuck,
            parts.contact.bouncing,
            parts.travel.stuck,
            parts.travel.reversed,
            parts.travel.drift_um_s,
            parts.force_sensor.faulty,
        ),
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


# When, how long, and from which seed


def shown(rig: Rig) -> list[int]:
    return [tick.button for tick in rig.firmware.ticks]


def test_a_fault_begins_at_its_time_and_ends_by_itself() -> None:
    rig = Rig()
    rig.awake()
    rig.pen.advance(1_000)
    before = len(rig.firmware.ticks)
    fault = rig.pen.faults.inject("button", "stuck", after_ms=300, for_ms=200)
    assert (rig.pen.faults.waiting, rig.pen.faults.active) == ([fault], [])
    rig.pen.advance(300)
    assert (rig.pen.faults.waiting, rig.pen.faults.active) == ([], [fault])
    rig.pen.advance(700)
    assert rig.pen.faults.active == []
    down = [number for number, button in enumerate(shown(rig)[before:]) if button]
    assert down == list(range(29, 49)) or down == list(range(30, 50))


def test_a_fault_put_on_again_is_not_ended_by_the_time_of_the_first() -> None:
    rig = Rig()
    rig.pen.faults.inject("button", "stuck", for_ms=100)
    rig.pen.advance(50)
    again = rig.pen.faults.inject("button", "stuck", for_ms=100)
    rig.pen.advance(60)
    assert rig.pen.faults.active == [again]
    rig.pen.advance(40)
    assert rig.pen.faults.active == []


def test_what_waits_is_cleared_as_what_is_on() -> None:
    rig = Rig()
    wait = rig.pen.faults.inject("button", "stuck", after_ms=100)
    assert rig.pen.faults.clear("button") == [wait]
    rig.pen.advance(200)
    assert rig.pen.faults.active == []


def test_what_is_impossible_when_its_time_comes_is_said_to_be_missed() -> None:
    rig = Rig()
    fault = rig.pen.faults.inject("cartridge_tag", "unreadable", after_ms=100)
    rig.pen.cartridge.pull()
    rig.pen.advance(200)
    assert rig.pen.faults.active == []
    assert rig.pen.faults.missed == [(fault, 100, "no cartridge is fitted")]


def test_what_happens_once_can_wait_but_not_last() -> None:
    rig = Rig()
    rig.pen.faults.inject("supply", "glitch", after_ms=40)
    powered = []
    for ms in (39, 2, 5):
        rig.pen.advance(ms)
        powered.append(rig.pen.power.on)
    assert powered == [True, False, True]
    with pytest.raises(ImpossibleFaultError, match="happens once"):
        rig.pen.faults.inject("supply", "glitch", for_ms=40)


@pytest.mark.parametrize("word", VOCABULARY, ids=lambda word: f"{word.unit}-{word.kind}")
def test_a_seed_is_for_what_is_drawn(word: FaultKind) -> None:
    if word.drawn:
        assert spell(word.unit, word.kind, seed=7).seed == 7
        return
    with pytest.raises(ImpossibleFaultError, match="draws nothing"):
        spell(word.unit, word.kind, seed=7)


@pytest.mark.parametrize("name", ["after_ms", "for_ms", "seed"])
@pytest.mark.parametrize("value", [-1, 1.5, True, "soon", 1 << 40])
def test_a_time_or_a_seed_that_is_none_is_an_error(name: str, value: object) -> None:
    with pytest.raises(ImpossibleFaultError, match=f"{name} is a whole number"):
        spell("contact", "bouncing", 0, {}, **{name: value})


DRAWN = [word for word in VOCABULARY if word.drawn and word.unit not in ("memory", "flash")]


def lived(word: FaultKind, seed: int, pens: int) -> list[object]:
    rig = Rig(seed=pens)
    rig.awake()
    rig.pen.cartridge.fit("glide")
    rig.pen.faults.inject(
        word.unit, word.kind, seed=seed, **({"permille": 300} if word.parameters[0].name == "permille" else {})
    )
    heard: list[int] = []
    rig.pen.hand.touch(Zone.NOSE)
    rig.run_at(300, 100, 100)
    for _ in range(20):
        rig.pen.button.press()
        rig.say("t ?", 60)
        heard.append(len(rig.firmware.handled))
    return [
        [(tick.button, tick.contact, tick.head_present) for tick in rig.firmware.ticks],
        heard,
        [tag is None for tag in rig.firmware.tags],
        [words for _, words in rig.firmware.handled],
        [(tick.peak_um, tick.force_mn) for tick in rig.firmware.ticks] if "sensor" in word.unit else [],
    ]


@pytest.mark.parametrize("word", DRAWN, ids=lambda word: f"{word.unit}-{word.kind}")
def test_the_same_seed_draws_the_same_and_another_one_something_else(word: FaultKind) -> None:
    assert lived(word, 7, 1) == lived(word, 7, 1)
    assert lived(word, 7, 1) != lived(word, 8, 1)
    if "sensor" not in word.unit:  # a pen's own seed makes its sensors' own noise as well
        assert lived(word, 7, 1) == lived(word, 7, 2)
    assert lived(word, 0, 1) != lived(word, 0, 2)


@pytest.mark.parametrize("kind", ["bit_rot", "reordering"])
def test_a_seed_draws_what_a_flash_does(kind: str) -> None:
    def image(seed: int) -> bytes:
        rig = Rig()
        rig.pen.faults.inject("flash", kind, seed=seed)
        rig.say(" ".join(f"w{sector * 4_096},00" for sector in range(12)), 100)
        rig.pen.power.cut()
        return rig.pen.flash_image()

    assert image(3) == image(3)
    assert len({image(seed) for seed in range(3, 9)}) > 3


def test_without_a_seed_what_begins_twice_is_drawn_anew() -> None:
    rig = Rig()
    rig.pen.faults.inject("flash", "bit_rot", sector=1)
    once = rig.pen.flash_image()
    rig.pen.faults.inject("flash", "bit_rot", sector=1)
    assert rig.pen.flash_image() not in (once, BLANK)
