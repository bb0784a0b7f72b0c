"""`SimulatedPen`: a pen in software with its firmware, and all that a tester can do to it."""

from collections.abc import Callable
from typing import Final

from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.limits import RATE_MAX_HZ, RATE_MIN_HZ
from dermalink_protocol.pairing.setup_code import Label
from dermalink_protocol.zones import Direction, Head, Zone
from dermalink_simulator.card import card_of, history_key_of, setup_of
from dermalink_simulator.card import serial_number as serial_number  # noqa: PLC0414 (handed on)
from dermalink_simulator.hardware.air import AirConditions
from dermalink_simulator.hardware.board import NEVER, Board
from dermalink_simulator.hardware.button import PRESS_MS
from dermalink_simulator.hardware.cartridge import HEADS, Cartridge
from dermalink_simulator.hardware.clock import UTC_MAX_S, BatteryClock
from dermalink_simulator.hardware.drive import STILL_HZ
from dermalink_simulator.hardware.flash import Cells
from dermalink_simulator.hardware.hand import HARD_MN, LIGHT_MN
from dermalink_simulator.hardware.path import Way
from dermalink_simulator.hardware.physics import HEAD_WIDTH_UM
from dermalink_simulator.hardware.port import PenPort
from dermalink_simulator.hardware.skin import Skin
from dermalink_simulator.overlay import Faults
from dermalink_simulator.profile import Profile, profile_named
from dermalink_simulator.seam import Firmware, Indicator, PortKind, PowerCause

CHANGE_MS: Final = 100  # a hand that changes a head takes longer (assumption)
NARROWEST_UM: Final = 1_000  # a row of needles; what a tag says of itself may be anything
LIVED_THROUGH_S: Final = 3_600
OFF_FOR_MS: Final = 1_000  # after which everything in the pen has come to rest
NOTHING_DUE_MS: Final = 60_000  # what `next_wake_ms` says of a pen without power


class Hand:
    """A hand that works the pen. Times are ms of the pen's time, forces mN, speeds mm/s."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._part = board.mechanism.hand

    def sweep(
        self,
        zone: Zone,
        direction: Direction,
        *,
        speed_mm_s: int = 20,
        overlap_percent: int = 15,
        force_mn: int = LIGHT_MN,
    ) -> int:
        """Touch down and go over a zone, lane by lane to and fro, until lifted; a stamp head presses and lifts.

        Returns about how long once over the zone takes. Raises `HandError`.
        """
        head = self._board.mechanism.seat.head
        width = HEAD_WIDTH_UM if head is None else max(head.width_um, NARROWEST_UM)
        way = Way(Zone(zone), Direction(direction), speed_mm_s, overlap_percent, width_um=width)
        stamping = head is not None and head.tag is not None and head.tag.head == Head.STAMP
        return self._part.work(way, self._board.now_ms, force_mn, stamping=stamping)

    def touch(self, zone: Zone, direction: Direction = Direction.VERTICAL, *, force_mn: int = LIGHT_MN) -> None:
        """Touch down and stay in one spot."""
        self._part.touch(Zone(zone), Direction(direction), self._board.now_ms, force_mn)

    def lift(self) -> None:
        """Take the pen off the skin."""
        self._part.lift(self._board.now_ms)

    def stay(self) -> None:
        """Stop moving where it is, still in contact."""
        self._part.stay(self._board.now_ms)

    def go_on(self) -> None:
        """Go on where it was lifted or stopped."""
        self._part.go_on(self._board.now_ms)

    def press_hard(self, force_mn: int = HARD_MN, for_ms: int | None = None) -> None:
        """Press with that force from now on, or for so long."""
        self._part.press_hard(force_mn, self._board.now_ms, for_ms)

    @property
    def touching(self) -> bool:
        """Whether the head is on the skin."""
        return self._part.touching

    def covered_percent(self, zone: Zone, direction: Direction) -> int:
        """How much of a zone was truly gone over, needles out, in that direction."""
        return self._part.covered_percent(Zone(zone), Direction(direction))


class Button:
    """The pen's button."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._pressed = 0

    def press(self, for_ms: int = PRESS_MS) -> None:
        """A press, short if nothing is said, which ends by itself; a longer one is a hold."""
        if for_ms < 1:
            raise DermalinkError(f"a press of {for_ms} ms was refused", limit="1 ms or longer")
        self.hold()
        number = self._pressed
        self._board.at(for_ms, lambda: self.release() if self._pressed == number else None)

    def hold(self) -> None:
        """Press and keep it down."""
        self._pressed += 1
        self._set(held=True)

    def release(self) -> None:
        """Let go."""
        self._set(held=False)

    def _set(self, *, held: bool) -> None:
        self._board.mechanism.button.held = held
        self._board.wake()


class CartridgeSeat:
    """The seat of the pen's cartridge; `fitted` is the number of the last fresh head, the next gets the next one."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self.fitted = 0

    @property
    def head(self) -> Cartridge | None:
        """What is fitted."""
        return self._board.mechanism.seat.head

    def fit(self, head: Cartridge | str = "glide") -> Cartridge:
        """Fit a cartridge, or a fresh one of a named kind (glide, stamp, long, blank); returns it."""
        if isinstance(head, str):
            make = HEADS.get(head)
            if make is None:
                raise DermalinkError(f"head {head!r} was refused", limit=f"there are {', '.join(HEADS)}")
            self.fitted += 1
            head = make(self.fitted)
        if self.head is not None:
            self._open()
        self._board.mechanism.seat.fit(head)
        self._changed()
        return head

    def pull(self) -> Cartridge | None:
        """Take the cartridge out; returns it, None if there was none."""
        head = self._board.mechanism.seat.pull()
        self._open()
        self._changed()
        return head

    def _open(self) -> None:
        seat = self._board.mechanism.seat
        seat.open_until_ms, seat.opened = self._board.now_ms + CHANGE_MS, True
        self._board.at(CHANGE_MS, self._board.wake)

    def _changed(self) -> None:
        self._board.mechanism.head_changed(self._board.now_ms)
        self._board.wake()


class Clock:
    """The pen's clock and the time that passes for it."""

    def __init__(self, board: Board) -> None:
        self._board = board

    @property
    def utc_s(self) -> int:
        """What it shows; 0 when it was lost."""
        return self._board.clock.utc_s(self._board.now_ms)

    @property
    def ran_s(self) -> int:
        """Seconds that it has really run, whatever it was set to; what keeps a clock across runs keeps this as well."""
        return self._board.clock.ran_s(self._board.now_ms)

    def advance(self, seconds: int) -> None:
        """So much time passes. A pen that is on lives through it; for more than an hour it is switched off meanwhile.

        Then its connections end, as they would in a drawer; a pen that was off stays off.
        """
        if seconds < 0:
            raise DermalinkError(f"{seconds} s was refused", limit="time only goes forwards; `set` moves the clock")
        board = self._board
        if board.powered and seconds <= LIVED_THROUGH_S:
            board.advance(seconds * 1_000)
            return
        was_on = board.powered
        board.power_off()
        rest_ms = min(seconds * 1_000, OFF_FOR_MS)
        board.advance(rest_ms)
        board.clock.skip(seconds - rest_ms // 1_000)
        if was_on:
            board.power_on(PowerCause.SWITCHED_ON)

    def set(self, utc_s: int) -> None:
        """Tamper with the clock: it shows `utc_s` now, without that time having passed."""
        if not 0 < utc_s <= UTC_MAX_S:
            raise DermalinkError(f"a time of {utc_s} s was refused", limit=f"1 to {UTC_MAX_S}, seconds since 1970")
        self._board.clock.set(utc_s, self._board.now_ms)
        self._board.wake()

    def lose(self) -> None:
        """The clock's own battery was empty for a moment."""
        self._board.clock.lose(self._board.now_ms)
        self._board.wake()


class Power:
    """The pen's supply."""

    def __init__(self, board: Board) -> None:
        self._board = board

    @property
    def on(self) -> bool:
        """Whether the firmware runs."""
        return self._board.powered

    def cut(self) -> None:
        """Power is gone this instant; connections end."""
        self._board.power_off()

    def restore(self) -> None:
        """Power is back: the pen starts from what its flash holds."""
        self._board.power_on(PowerCause.POWER_LOSS)

    def service(self) -> None:
        """A workshop undoes what the hardware did for good when needles did not come in (SR-STOP-8)."""
        self._board.mechanism.service()

    def set_battery(self, percent: int) -> None:
        """Charge or discharge the battery to 0-100 %."""
        if not 0 <= percent <= 100:
            raise DermalinkError(f"{percent} % was refused", limit="0 to 100")
        self._board.mechanism.battery.set_percent(percent)

    def supply(self, *, present: bool) -> None:
        """Plug an external supply in, or pull it."""
        self._board.mechanism.battery.supply = int(present)
        self._board.wake()


class SimulatedPen:
    """A pen in software: same arguments and same calls, same bytes.

    `flash` is an image of its flash (a mapped file or a bytearray is worked on in place), factory-new when None.
    `firmware` makes the firmware, anew for each power-up; this project's own when None. It starts switched on, with a
    fresh head of the profile's kind fitted, unless `power` is False. `trace` gets the lines of a recorded trace
    (`dermalink_simulator.trace`) of this project's own firmware.
    """

    def __init__(
        self,
        profile: str | Profile = "nominal",
        seed: int = 0,
        flash: Cells | None = None,
        firmware: Callable[[], Firmware] | None = None,
        *,
        power: bool = True,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self.profile = profile_named(profile) if isinstance(profile, str) else profile
        self.seed = seed
        if firmware is None:
            firmware = _own_firmware(self.profile, trace)
        physics = self.profile.physics
        cells = factory_image(self.profile, seed) if flash is None else flash
        self._board = Board(physics, seed, BatteryClock(self.profile.utc_s, self.profile.ran_s), cells, firmware)
        self._board.mechanism.battery.set_percent(self.profile.battery_percent)
        self.hand = Hand(self._board)
        self.button = Button(self._board)
        self.cartridge = CartridgeSeat(self._board)
        self.clock = Clock(self._board)
        self.power = Power(self._board)
        self.faults = Faults(self._board)
        self.cartridge.fit(self.profile.head)
        if power:
            self._board.power_on(PowerCause.SWITCHED_ON)

    @property
    def card(self) -> Label:
        """What is printed on the card that came with it: which pen, and the code to pair it with."""
        return card_of(self.seed)

    @property
    def now_ms(self) -> int:
        """Simulated ms since the pen was made."""
        return self._board.now_ms

    @property
    def skin(self) -> Skin:
        """The independent truth about every stroke."""
        return self._board.mechanism.skin

    @property
    def needles_out(self) -> bool:
        """Whether needles truly stand out of the head now."""
        return self.skin.needles_are_out

    @property
    def motor_turns(self) -> bool:
        """Whether the motor truly turns now."""
        return self._board.mechanism.drive.rate_hz > STILL_HZ

    @property
    def drive_cut_us(self) -> int:
        """When the drive last ended to follow an order, in µs of the pen's time; 0 when it never did."""
        return self._board.mechanism.drive.cut_us

    @property
    def firmware(self) -> Firmware | None:
        """The running firmware; None without power."""
        return self._board.firmware

    @property
    def indicator(self) -> Indicator:
        """What light and vibration show."""
        return self._board.indicator()

    @property
    def flash_operations(self) -> int:
        """How many flash operations were begun so far."""
        return self._board.flash.operations

    def advance(self, ms: int) -> None:
        """Let `ms` of simulated time pass; it jumps from one wake-up to the next."""
        if ms < 0:
            raise DermalinkError(f"{ms} ms was refused", limit="time only goes forwards")
        self._board.advance(ms)

    def next_wake_ms(self) -> int:
        """How long nothing happens in the pen by itself."""
        due = self._board.next_due_ms()
        return NOTHING_DUE_MS if due == NEVER else due

    def connect(self, kind: PortKind = PortKind.STREAM) -> PenPort:
        """A new connection; raises `PenOffError` without power, `NoPlaceError` in a storm of them."""
        return self._board.connect(kind)

    def read_gatt(self, uuid16: int) -> bytes:
        """The present value of a readable characteristic; raises `PenOffError` without power."""
        return self._board.read_gatt(uuid16)

    def attach_air(self, air: AirConditions | None) -> None:
        """Let faults of unit `air` change this air from now on; None: no air of ours is there to change."""
        self.faults.attach_air(air)

    def flash_image(self) -> bytes:
        """The whole flash as it is now."""
        return self._board.flash.image()


def factory_image(profile: str | Profile = "nominal", seed: int = 0) -> bytes:
    """The flash of a pen of that profile and seed as it leaves the factory."""
    from dermalink_simulator.firmware.flash_layout import factory_flash

    physics = (profile_named(profile) if isinstance(profile, str) else profile).physics
    return factory_flash(
        serial_number(seed),
        drive_tolerance_um=physics.drive_tolerance_um,
        sensor_accuracy_um=physics.sensor_accuracy_um,
        rate_min_hz=int(RATE_MIN_HZ),
        rate_max_hz=int(RATE_MAX_HZ),
        retraction_ms=physics.spring_ms,
        setup=setup_of(seed),
        history_key=history_key_of(seed),
    )


def _own_firmware(profile: Profile, trace: Callable[[str], None] | None) -> Callable[[], Firmware]:
    """What makes this project's own firmware for a profile, anew for each power-up."""
    from dermalink_simulator.firmware.firmware import PenFirmware
    from dermalink_simulator.firmware.safeguards import Profile as Build

    build = Build.PRODUCT
    if profile.control_channel:
        build = Build.BOXED if profile.owners_only else Build.TEST
    if trace is None:
        return lambda: PenFirmware(profile=build)
    from dermalink_simulator.trace import POWER_ON, head_line

    trace(head_line(RATE_MIN_HZ, RATE_MAX_HZ))

    def traced() -> Firmware:
        trace(POWER_ON)
        return PenFirmware(profile=build, trace=trace)

    return traced
