"""The seam between a pen's firmware and its hardware: C-sized calls in, polled outputs out.

Whatever implements `Firmware` runs behind the same physics, doors, faults, clock and tests. Times are milliseconds,
every field is an integer of the declared width, and nothing here knows of asyncio or of the hardware model.
"""

from enum import IntEnum
from typing import Annotated, Final, NamedTuple, Protocol, runtime_checkable

from dermalink_protocol.history_entries import PowerCause as PowerCause  # noqa: PLC0414 (handed on)
from dermalink_protocol.wire import U8, U16, U32, i16

# The flash: NOR, erased to ones by the sector; a write only clears bits, and may tear anywhere when power goes.
SECTOR_BYTES: Final = 4_096
FLASH_BYTES: Final = 1_589_248
# How far above the parked position the self-test's mechanical stop stands, still below the head's face (SR-POST-1).
EXERCISE_STOP_UM: Final = 300


class PortKind(IntEnum):
    """How bytes reach a port: a framed stream (serial, TCP), or segmented characteristics (BLE).

    On a GATT port each `handle` and each `tx` carries one characteristic's value: the channel's number as one byte,
    then a segment. It begins with an ATT_MTU of 23 and with no channel subscribed.
    """

    STREAM = 1
    GATT = 2


class Sensors(NamedTuple):
    """What the hardware measures, since the last tick where it says so; one packed record.

    `depth_um` is the independent sensor's protrusion of the seated head now, `peak_um` its held peak since the last
    tick, `feedback_um` the drive's own belief of the peak, `strokes` those completed since the last tick (at most one
    in a guard tick), `stroke_us` the last stroke's period. `dx_um`, `dy_um` are displacement since the last tick.
    "Since the last tick" is since the last call of the same kind, `tick` or `guard_tick`. `tag_ok` is 1 when the tag
    could be read; the tag itself is asked for through `Tag`. `utc_s` is 0 when the clock was lost, until it is set.
    `ran_s` counts the seconds that the clock chip has really run, on and off; nobody can set it, and it starts anew
    when the clock is lost. `travel_um` and `travel_feedback_um` are the carriage's travel above its parked position, by
    sensor and by drive; they mean something only while `DriveOrder.exercise` is ordered and until the carriage is back.
    """

    depth_um: U16 = 0
    peak_um: U16 = 0
    feedback_um: U16 = 0
    strokes: U8 = 0
    stroke_us: U16 = 0
    force_mn: U16 = 0
    contact: U8 = 0
    dx_um: Annotated[int, i16] = 0
    dy_um: Annotated[int, i16] = 0
    button: U8 = 0
    head_present: U8 = 0
    tag_ok: U8 = 0
    supply: U8 = 0
    battery_percent: U8 = 100
    battery_mv: U16 = 3700
    temperature_c: U8 = 25
    motor_c: U8 = 25
    motor_ma: U16 = 0
    motor_on: U8 = 0
    utc_s: U32 = 0
    travel_um: U16 = 0
    travel_feedback_um: U16 = 0
    ran_s: U32 = 0


class Tag(NamedTuple):
    """What a cartridge's tag says: identity, maker, kind and dimensions; widths as in messages.identity.Cartridge."""

    tag_id: bytes
    maker: U16
    lot: U32
    head: U8
    needles: U8
    width_um: U16
    protrusion_um: U16
    sterile_until_s: U32
    sessions_allowed: U8
    strokes_max: U32


class DriveOrder(NamedTuple):
    """What the firmware orders of the drive; after `valid_ms` the hardware retracts by itself (SR-STOP-3).

    `motor_hz` 0 is off; `target_um` 0 is needles in. A cut does not finish the stroke (SR-STOP-2). `exercise` 1, with
    motor and target 0, drives the carriage against the self-test's stop, below the head's face.
    """

    motor_hz: U8 = 0
    target_um: U16 = 0
    valid_ms: U8 = 0
    exercise: U8 = 0


class FlashOp(NamedTuple):
    """One flash operation: a write of `data` at `address`, or, with no data, an erase of the sector there."""

    address: U32
    data: bytes

    def __repr__(self) -> str:  # an owner's sector holds the pen's private key
        return f"FlashOp(address={self.address:#x}, {len(self.data)} bytes not shown)"


class Indicator(NamedTuple):
    """What the pen shows by itself: a pattern number of light and of vibration, 0 is dark and still."""

    light: U8 = 0
    vibration: U8 = 0


class Firmware(Protocol):
    """A pen's firmware, of whatever language, as its hardware sees it."""

    def power_on(self, flash: bytes, cause: PowerCause, seed: int) -> None:
        """Start from what the flash holds; `seed`, 256 bits, feeds the pen's own random numbers (boot id, keys)."""

    def link_up(self, port: int, kind: PortKind) -> None:
        """A host's connection begins on `port`."""

    def link_down(self, port: int) -> None:
        """The connection on `port` is gone."""

    def keeps(self, port: int) -> bool:
        """Whether this connection is not to be given up for a new one: it owns the session (SR-SEC-5)."""

    def handle(self, port: int, data: bytes) -> None:
        """Bytes arrived, after a `guard_tick` if a line changed at rest; Stop takes effect before this returns."""

    def link_mtu(self, port: int, att_mtu: int) -> None:
        """The ATT_MTU of a GATT port was agreed; one outside 23 to 517 counts as the nearer end."""

    def gatt_subscribe(self, port: int, channel: int, on: int) -> int:
        """The CCCD of a channel was written: 0, or what that is refused with (an `AttError`), and nothing changed.

        Nothing is sent on a channel that is off, it counts as lost. Switching one off is never refused.
        """

    def gatt_error(self, port: int, data: bytes) -> int:
        """What a write is to be refused with (an `AttError`), 0 if `handle` takes it now; changes nothing."""

    def bonding_open(self) -> int:
        """1 while a pairing of Bluetooth's own (LE Secure Connections, Just Works) that has begun may go on."""

    def bonding_begin(self) -> int:
        """1 if one may begin now: somebody has pressed, and not too many have begun since; it counts then."""

    def link_encrypted(self, port: int, key: bytes) -> None:
        """A GATT port's link was encrypted, or encrypted anew, with this key (16 bytes, made by LE Secure Connections).

        It can't be undone but by `link_down`. The key is never to be shown.
        """

    def bond_key(self) -> bytes:
        """The key that a central which asks for one is given (16 bytes); zeros for none. Never to be shown."""

    def gatt_read(self, uuid16: int) -> bytes:
        """The present value of a readable characteristic; empty for one that the pen does not have."""

    def tick(self, dt_ms: int, sensors: Sensors) -> None:
        """The main loop, `dt_ms` (1 to 1000) after the last one."""

    def guard_tick(self, dt_ms: int, sensors: Sensors) -> None:
        """The timer interrupt (at most 5 ms apart while the drive is on): monitor, lease, watchdog, gate, button."""

    def tag_read(self, tag: Tag | None) -> None:
        """The tag that was asked for by `tag_wanted`; None is unreadable."""

    def tag_wanted(self) -> bool:
        """Whether the firmware asks for the seated head's tag."""

    def flash_done(self, ok: bool) -> None:
        """The operation taken by `flash_next` ended; it is on the flash when `ok`."""

    def flash_next(self) -> FlashOp | None:
        """The next flash operation, taken; only one is under way at a time."""

    def drive(self) -> DriveOrder:
        """What the drive is to do, now."""

    def clock_set(self) -> int:
        """UTC seconds that the hardware's clock is to be set to, taken; 0 is nothing to set."""

    def tx(self, port: int) -> bytes:
        """Bytes to send on `port`, taken; empty when there are none."""

    def indicator(self) -> Indicator:
        """What light and vibration show."""

    def wake_ms(self) -> int:
        """At most how long until the next tick is due (1 to 1000)."""

    def snapshot(self) -> bytes:
        """For tests: the whole volatile state."""

    def restore(self, snapshot: bytes) -> None:
        """For tests: take a snapshot's state."""


class Bench(Protocol):
    """Who listens on a test bench to what a firmware makes of the bytes that came, whatever seal they were under."""

    def heard(self, port: int, channel: int, opcode: int, request_id: int) -> None:
        """A request came on a port, before anything is made of it; what it orders is polled after `handle` returns."""

    def answered(self, port: int, request_id: int) -> None:
        """Its answer waits to be taken by `tx`."""


@runtime_checkable
class Telling(Protocol):
    """What a firmware may offer beside `Firmware`; of one that does not, a bench sees what goes in the clear."""

    def tell(self, bench: Bench | None) -> None:
        """Tell this bench from now on, or nobody."""


class Kept(IntEnum):
    """What a firmware keeps from one call to the next and decides by; one that has no such variable says 0 bits."""

    THERAPY = 1
    LIMITS = 2
    GATE = 3
    MONITOR = 4
    SETTING = 5
    BUTTON = 6


@runtime_checkable
class Remembering(Protocol):
    """What a firmware may offer beside `Firmware`: its memory, for tests that flip a bit of it (SR-BIST-1).

    A variable's bits are numbered from 0, field after field as it is declared, lowest bit of each first.
    """

    def kept_bits(self, variable: int) -> int:
        """How many bits a variable has (a `Kept`); 0 for one that is not kept."""

    def kept_flip(self, variable: int, bit: int) -> None:
        """Flip one bit of it, in place; nothing else happens."""
