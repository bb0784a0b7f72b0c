"""The pen as a tester has it: profiles, clock, cartridges, what is refused."""

import pytest

from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.hardware.cartridge import HEADS
from dermalink_simulator.pen import SimulatedPen, factory_image
from dermalink_simulator.profile import PROFILES, START_UTC_S, UnknownProfileError
from dermalink_simulator.seam import FLASH_BYTES, PowerCause
from tests.unit.hardware.rig import BLANK, Rig
from tests.unit.hardware.small_firmware import SmallFirmware


def test_an_unknown_profile_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(UnknownProfileError, match="nominal, boxed, product"):
        SimulatedPen("fancy")


@pytest.mark.sr("SR-SEC-4", side="pen")
def test_only_the_product_has_no_control_channel_and_a_pen_in_its_box_is_nobodys_as_well() -> None:
    assert [name for name, profile in PROFILES.items() if not profile.control_channel] == ["product"]
    assert [name for name, profile in PROFILES.items() if profile.owners_only] == ["boxed", "product"]


@pytest.mark.parametrize("name", PROFILES)
def test_each_profile_has_a_factory_image_of_its_own_pen(name: str) -> None:
    image = factory_image(name, 7)
    assert len(image) == FLASH_BYTES
    assert image == factory_image(name, 7)
    assert image != factory_image(name, 8)


@pytest.mark.sr("SR-DEPTH-6", side="pen")
def test_every_profile_that_gets_therapy_keeps_what_it_declares() -> None:
    for profile in PROFILES.values():
        physics = profile.physics
        if 0 < physics.drive_tolerance_um <= 50:
            assert physics.seat_limit_um + physics.drive_error_um <= physics.drive_tolerance_um
            assert physics.sensor_noise_um < physics.sensor_accuracy_um <= 25


def test_a_pen_that_is_on_lives_through_an_hour() -> None:
    rig = Rig()
    rig.pen.clock.advance(3_600)
    assert rig.pen.now_ms == 3_600_000
    assert rig.pen.clock.utc_s == START_UTC_S + 3_600
    assert not rig.port.closed


def test_a_pen_is_off_for_days_and_then_on_again() -> None:
    rig = Rig()
    rig.pen.clock.advance(14 * 86_400)
    assert rig.pen.clock.utc_s == START_UTC_S + 14 * 86_400
    assert rig.port.closed
    assert rig.pen.power.on
    assert rig.firmware.cause is PowerCause.SWITCHED_ON


def test_a_pen_that_was_off_stays_off() -> None:
    rig = Rig()
    rig.pen.power.cut()
    rig.pen.clock.advance(10)
    assert rig.pen.clock.utc_s == START_UTC_S + 10
    assert not rig.pen.power.on


def test_time_never_goes_back() -> None:
    rig = Rig()
    with pytest.raises(DermalinkError, match="forwards"):
        rig.pen.advance(-1)
    with pytest.raises(DermalinkError, match="forwards"):
        rig.pen.clock.advance(-1)


@pytest.mark.sr("SR-INT-2", side="pen")
def test_what_the_clock_ran_is_apart_from_what_it_shows() -> None:
    rig = Rig()
    rig.pen.clock.advance(100)
    rig.pen.clock.set(1_900_000_000)
    rig.pen.clock.advance(7_200)
    rig.pen.advance(1_000)
    assert rig.pen.clock.ran_s == rig.firmware.ticks[-1].ran_s == 7_301
    rig.pen.clock.lose()
    rig.pen.advance(5_000)
    assert rig.pen.clock.ran_s == 5


@pytest.mark.parametrize("utc_s", [0, -1, 1 << 32])
def test_a_clock_shows_what_fits_it(utc_s: int) -> None:
    with pytest.raises(DermalinkError):
        Rig().pen.clock.set(utc_s)


def test_a_clock_that_was_set_goes_on_from_there() -> None:
    rig = Rig()
    rig.pen.clock.set(1_700_000_000)
    rig.pen.advance(5_000)
    assert rig.pen.clock.utc_s == 1_700_000_005


def test_a_clock_never_shows_more_than_it_can() -> None:
    rig = Rig()
    rig.pen.clock.set(0xFFFF_FFFF)
    rig.pen.advance(5_000)
    assert rig.pen.clock.utc_s == 0xFFFF_FFFF


@pytest.mark.parametrize("name", HEADS)
def test_every_named_head_can_be_fitted_and_is_a_fresh_one(name: str) -> None:
    rig = Rig()
    first, second = rig.pen.cartridge.fit(name), rig.pen.cartridge.fit(name)
    assert rig.pen.cartridge.head == second
    assert first.tag is None or first != second
    assert rig.pen.cartridge.pull() == second
    assert rig.pen.cartridge.pull() is None


def test_an_unknown_head_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(DermalinkError, match="glide, stamp, long, blank"):
        Rig().pen.cartridge.fit("round")


def test_a_held_button_stays_down_until_it_is_let_go() -> None:
    rig = Rig()
    rig.awake()
    rig.pen.button.press()
    rig.pen.button.hold()
    rig.pen.advance(1_000)
    assert rig.firmware.ticks[-1].button == 1
    rig.pen.button.release()
    rig.pen.advance(20)
    assert rig.firmware.ticks[-1].button == 0


@pytest.mark.parametrize(("given", "down_ms"), [((), 80), ((80,), 80), ((3_500,), 3_500)])
def test_a_press_ends_by_itself_after_its_time(given: tuple[int, ...], down_ms: int) -> None:
    rig = Rig()
    rig.awake()
    rig.pen.button.press(*given)
    rig.pen.advance(down_ms - 1)
    assert rig.pen._board.mechanism.button.down == 1
    rig.pen.advance(1)
    assert rig.pen._board.mechanism.button.down == 0
    with pytest.raises(DermalinkError, match="1 ms or longer"):
        rig.pen.button.press(0)


def test_a_press_ends_no_later_one() -> None:
    rig = Rig()
    rig.awake()
    rig.pen.button.press(100)
    rig.pen.button.press(3_000)
    rig.pen.advance(2_999)
    assert rig.pen._board.mechanism.button.down == 1


def test_battery_and_supply_show() -> None:
    rig = Rig()
    rig.awake()
    rig.pen.power.set_battery(15)
    rig.pen.power.supply(present=True)
    rig.pen.advance(20)
    last = rig.firmware.ticks[-1]
    assert (last.battery_percent, last.supply) == (15, 1)
    assert 3_450 < last.battery_mv < 3_600
    with pytest.raises(DermalinkError):
        rig.pen.power.set_battery(101)


def test_the_battery_runs_down_in_minutes_with_the_motor_on_and_in_hours_without() -> None:
    rig = Rig()
    rig.pen.clock.advance(1_800)
    assert rig.firmware.ticks[-1].battery_percent == 99
    rig.run_at(0, ms=240_000)
    assert rig.firmware.ticks[-1].battery_percent == 98


def test_a_pen_may_start_without_power() -> None:
    pen = SimulatedPen(flash=BLANK, firmware=SmallFirmware, power=False)
    pen.advance(10_000)
    assert pen.firmware is None
    assert pen.next_wake_ms() > 0
    assert pen.indicator == (0, 0)


def test_the_next_wake_is_when_something_is_due() -> None:
    rig = Rig()
    rig.pen.advance(300)
    assert rig.pen.next_wake_ms() == 700
    rig.pen.button.press()
    assert rig.pen.next_wake_ms() == 0
    rig.pen.advance(0)
    assert rig.pen.next_wake_ms() == 80
