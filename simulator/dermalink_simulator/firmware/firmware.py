"""The pen's firmware in Python: one implementation of the seam, sans-I/O, the same bytes for the same calls."""

import pickle
from typing import Final

from dermalink_protocol.codewords import Reason, State
from dermalink_simulator.firmware import bonding, core, dispatcher, effects, gatt_values, memory, pairing, sensing
from dermalink_simulator.firmware.access import keeps
from dermalink_simulator.firmware.button import button_step, settled
from dermalink_simulator.firmware.clock import ClockWatch, at_boot
from dermalink_simulator.firmware.entropy import Entropy
from dermalink_simulator.firmware.gatt import GattPort
from dermalink_simulator.firmware.gatt_rules import att_error
from dermalink_simulator.firmware.indicator import shown
from dermalink_simulator.firmware.inside import Inside, Nobody, Trace, limits_for
from dermalink_simulator.firmware.memory_fault import cut, latch, looked
from dermalink_simulator.firmware.monitor import watch
from dermalink_simulator.firmware.ports import Port, StreamCodec
from dermalink_simulator.firmware.safeguards import Profile, checked
from dermalink_simulator.firmware.selftest import Declared
from dermalink_simulator.firmware.twice import gate_inverse, monitor_inverse
from dermalink_simulator.seam import Bench, DriveOrder, FlashOp, Indicator, PortKind, PowerCause, Sensors, Tag
from dermalink_simulator.therapy import gate
from dermalink_simulator.therapy.events import Event, EventKind
from dermalink_simulator.therapy.state import MOVING

BUSY_WAKE_MS: Final = 10
IDLE_WAKE_MS: Final = 1_000
BOOT_ID_MAX: Final = 0xFFFF_FFFE
AWAKE: Final = frozenset(
    {
        int(state)
        for state in (State.SELF_TEST, State.OPENING, State.WAITING, State.RECORDING, State.STOPPING, State.CLOSING)
    }
) | frozenset(MOVING)


class PenFirmware:
    """`seam.Firmware` in Python.

    `disabled` names safeguards that are off (`safeguards.SAFEGUARDS`; refused with `ValueError` in a product), `trace`
    gets a line for each event: what, the answer, a digest of the state.
    """

    def __init__(
        self,
        *,
        profile: Profile = Profile.TEST,
        disabled: frozenset[str] = frozenset(),
        trace: Trace | None = None,
    ) -> None:
        self._disabled = checked(frozenset(disabled), profile)
        self._profile = profile
        self._trace = trace
        self._bench: Bench = Nobody()
        self._pen = Inside(profile, self._disabled)

    # Power

    def power_on(self, flash: bytes, cause: PowerCause, seed: int) -> None:
        """Start from what the flash holds; `seed`, 256 bits, feeds the pen's own random numbers."""
        pen = self._pen = Inside(self._profile, self._disabled)
        pen.bench = self._bench
        store = pen.store
        store.load(flash)
        pairing.loaded(pen)
        pen.entropy = Entropy(seed, store.record.boot_count)
        pen.boot_id = 1 + int.from_bytes(pen.entropy.draw(8), "little") % BOOT_ID_MAX
        factory = store.factory
        pen.declared = Declared(factory.sensor_accuracy_um, factory.drive_tolerance_um, factory.retraction_ms)
        pen.limits = limits_for(factory.rate_min_hz, factory.rate_max_hz, self._disabled)
        pen.compiled = gate.compiled(pen.limits)
        pen.second.keep_limits(pen.limits)
        pen.cause = cause

    def _boot(self, sensors: Sensors) -> None:
        """The rest of the boot, at the first tick: it needs the hardware's clock."""
        pen, record = self._pen, self._pen.store.record
        pen.sensors, pen.started_s = sensors, sensors.ran_s
        was_open = bool(record.reserved_strokes)
        recorded = ClockWatch(record.clock_s, record.chip_s, record.clock_trouble)
        pen.clock, ran_s = at_boot(recorded, sensors.utc_s, sensors.ran_s, pass_was_open=was_open)
        pen.run_s = pen.checkpoint_s = record.run_s + ran_s
        if pen.store.trouble is Reason.NONE:
            pen.clock_sets.load(pen.store.history.records, pen.run_s, pen.store.record.owners)
        fault = pen.store.trouble if pen.store.trouble is not Reason.NONE else record.fault
        if fault == Reason.NONE and pen.cause == PowerCause.WATCHDOG:
            fault = Reason.WATCHDOG
        loaded = Event(
            kind=EventKind.LOADED,
            boot_id=pen.boot_id,
            wait_s=record.wait_s,
            symptom_s=record.lock_s,
            advice_due=record.advice_due,
            reason=int(fault),
        )
        core.feed(pen, loaded, self._trace)
        sensing.tell_clock(pen, self._trace)
        if ran_s:
            core.feed(pen, Event(kind=EventKind.TIME_RAN, seconds=ran_s), self._trace)
            pairing.ran(pen, ran_s)
        effects.heads_told(pen)
        effects.powered_up(pen, pen.cause)
        pairing.tell_bar(pen)
        pen.booted = True
        if pen.clock.trouble != record.clock_trouble:
            effects.clock_changed(pen, record.clock_s)

    # Memory

    def _in_main(self) -> Inside:
        """What the pen keeps, compared (SR-BIST-1); the main loop has to write down and say what was found."""
        pen = looked(self._pen)
        if pen.memory_fault and pen.booted and not pen.memory_told:
            latch(pen)
            sensing.tell_clock(pen, self._trace)
        return pen

    # Connections

    def link_up(self, port: int, kind: PortKind) -> None:
        """A host's connection begins."""
        self._pen.ports[port] = Port(port, kind, StreamCodec()) if kind is PortKind.STREAM else GattPort(port)

    def link_down(self, port: int) -> None:
        """A connection is gone; a session that it owned has no owner, and what moved stops."""
        pen = self._in_main()
        gone = pen.ports.pop(port, None)
        if gone is not None:
            gone.end_seal()
            dispatcher.forget_port(pen, port)
            pairing.gone(pen, port)
            pen.lost += gone.lost
            core.feed(pen, Event(kind=EventKind.LINK_LOST, port=port + 1), self._trace)
            core.wind(pen)

    def keeps(self, port: int) -> bool:
        """Whether this connection gives way to nobody: it owns the session, or it is where the pen's owner is."""
        return keeps(looked(self._pen), port)

    def handle(self, port: int, data: bytes) -> None:
        """Bytes arrived; Stop takes effect before this returns."""
        pen = self._in_main()
        known = pen.ports.get(port)
        if isinstance(known, GattPort) and att_error(pen, known, data):
            known.count_broken()  # whoever wrote it was told so, or asked for no response
        elif known is not None:
            dispatcher.handle(pen, known, data, self._trace)
            core.settle_writes(pen, self._trace)
            dispatcher.resolve_deferred(pen)

    def tx(self, port: int) -> bytes:
        """Bytes to send on a port, taken."""
        known = self._pen.ports.get(port)
        return known.take() if known is not None else b""

    # Characteristics

    def link_mtu(self, port: int, att_mtu: int) -> None:
        """The ATT_MTU of a GATT port was agreed."""
        known = self._pen.ports.get(port)
        if isinstance(known, GattPort):
            known.agree_mtu(att_mtu)

    def gatt_subscribe(self, port: int, channel: int, on: int) -> int:
        """The CCCD of a channel was written; whoever subscribes is told nothing unasked before hello."""
        known = self._pen.ports.get(port)
        if not isinstance(known, GattPort):
            return 0
        refusal = bonding.refusal(self._pen, known, channel) if on else 0
        if not refusal:
            known.subscribe(channel, on)
        return int(refusal)

    def gatt_error(self, port: int, data: bytes) -> int:
        """What a write is to be refused with, 0 if `handle` takes it now; changes nothing."""
        known = self._pen.ports.get(port)
        return int(att_error(self._pen, known, data)) if isinstance(known, GattPort) else 0

    def gatt_read(self, uuid16: int) -> bytes:
        """The present value of a readable characteristic; empty for one that the pen does not have."""
        return gatt_values.value_of(looked(self._pen), uuid16)

    # Time

    def tick(self, dt_ms: int, sensors: Sensors) -> None:
        """The main loop."""
        pen = self._in_main()
        if not pen.booted:
            self._boot(sensors)
            if pen.memory_fault:
                cut(pen)
            self._in_main()
        sensing.main_tick(pen, dt_ms, sensors, self._trace)
        if pen.deferred is not None or pen.symptoms.replies:
            dispatcher.resolve_deferred(pen)

    def guard_tick(self, dt_ms: int, sensors: Sensors) -> None:
        """The timer interrupt: monitor, lease, watchdog, gate, the button as stop; whatever the main loop does."""
        pen, disabled = looked(self._pen), self._disabled
        second = pen.second
        pen.guarded_ms += dt_ms
        button, pressed = button_step(pen.button, dt_ms, sensors.button)
        if button is not pen.button:
            pen.button = button
            second.keep_button(button)
        if pressed:
            pen.pressed = True
        seated = sensors.head_present
        depth_um, peak_um, feedback_um, strokes = sensors[:4]
        if not (disabled and "monitor" in disabled):
            # Where there is no head there is nothing that the sensor could agree with the drive about.
            seen = (depth_um, peak_um, feedback_um, strokes if seated else 0)
            accuracy_um, tolerance_um, _ = pen.declared
            monitor = watch(pen.monitor, seen, pen.setting_um if seated else 0, accuracy_um, tolerance_um)
            if monitor is not pen.monitor:
                pen.monitor = monitor
                second.monitor_of, second.monitor = monitor, monitor_inverse(monitor)
        if peak_um:
            pen.sampler.peak(peak_um)
        if pen.self_test.runs:
            pen.self_test.guard(dt_ms, sensors, pen.declared)
        wants = pen.gate.wants
        if wants:
            if disabled:
                pressed = self._without(dt_ms, pressed)
            if not seated and wants != gate.EXERCISE:
                pressed = 1  # a head that goes stops the drive as a press does (SR-CART-3)
            pen.gate = pen.compiled.guard(pen.gate, (dt_ms, 1 if pen.monitor.latched else 0, pressed, sensors.contact))
            second.gate_of, second.gate = pen.gate, gate_inverse(pen.gate)
            pen.order = None

    def _without(self, dt_ms: int, pressed: int) -> int:
        """For tests: give back to the gate what a safeguard that is off would have run down, or not see the press."""
        pen = self._pen
        if "watchdog" in self._disabled:
            pen.gate = pen.gate._replace(watchdog_left_ms=pen.limits.watchdog_ms)
        if "lease" in self._disabled and pen.gate.lease_left_ms:
            pen.gate = pen.gate._replace(lease_left_ms=pen.gate.lease_left_ms + dt_ms)
        return 0 if "button-stop" in self._disabled else pressed

    def wake_ms(self) -> int:
        """At most how long until the next tick is due."""
        pen = looked(self._pen)
        head_unknown = pen.head.unread and pen.head.tag is None
        busy = not pen.booted or pen.state[0] in AWAKE or pen.deferred is not None or head_unknown
        return BUSY_WAKE_MS if busy or not settled(pen.button) else IDLE_WAKE_MS

    # Bluetooth's own bond

    def bonding_open(self) -> int:
        """Whether a pairing of Bluetooth's own that has begun may go on."""
        pen = looked(self._pen)
        return bonding.is_open(pen, pairing.idle(pen))

    def bonding_begin(self) -> int:
        """Whether one may begin now; it counts then."""
        pen = looked(self._pen)
        return bonding.begin(pen, pairing.idle(pen))

    def link_encrypted(self, port: int, key: bytes) -> None:
        """Bluetooth has encrypted the link of a GATT port, or has done so anew."""
        known = self._pen.ports.get(port)
        if known is not None:
            bonding.encrypted(self._pen, known, key)

    def bond_key(self) -> bytes:
        """The key of the bond that is kept; zeros for none."""
        return bonding.kept(self._pen)

    # Hardware

    def tag_read(self, tag: Tag | None) -> None:
        """The tag that was asked for."""
        pen = self._in_main()
        pen.head.read(tag)
        if pen.booted and pen.head.changed:
            sensing.tell_head(pen, self._trace)
            core.settle_writes(pen, self._trace)
            core.wind(pen)
        if pen.press_waits:
            sensing.press_counts(pen, self._trace)

    def tag_wanted(self) -> bool:
        """Whether the firmware asks for the seated head's tag."""
        return self._pen.head.wanted()

    def flash_next(self) -> FlashOp | None:
        """The next flash operation, taken."""
        return self._pen.store.next()

    def flash_done(self, ok: bool) -> None:
        """The operation taken by `flash_next` ended."""
        pen = self._in_main()
        ended = pen.store.done(ok)
        if ended is not None:
            pen.written.append(ended)
            core.settle_writes(pen, self._trace)
            dispatcher.resolve_deferred(pen)
            core.wind(pen)

    def drive(self) -> DriveOrder:
        """What the drive is to do, now."""
        pen = self._pen
        if pen.order is None:
            if pen.gate is not pen.second.gate_of or pen.limits is not pen.second.limits_of:
                looked(pen)
            pen.order = pen.compiled.order(pen.gate)
        return pen.order

    def clock_set(self) -> int:
        """UTC seconds to set the hardware's clock to, taken; 0 is nothing."""
        return sensing.clock_taken(self._pen)

    def indicator(self) -> Indicator:
        """What light and vibration show."""
        return shown(looked(self._pen))

    # For tests

    def tell(self, bench: Bench | None) -> None:
        """Tell this bench what comes and what is answered, or nobody (`seam.Telling`)."""
        self._bench = self._pen.bench = bench or Nobody()

    def kept_bits(self, variable: int) -> int:
        """How many bits a variable has that it keeps (`seam.Remembering`)."""
        return memory.kept_bits(variable)

    def kept_flip(self, variable: int, bit: int) -> None:
        """Flip one bit of a variable that it keeps, in place (`seam.Remembering`)."""
        memory.flip(self._pen, variable, bit)

    def snapshot(self) -> bytes:
        """The whole volatile state, for `restore` in the same version of this program.

        Sealed channels are left out: on a restored pen each is to be opened anew.
        """
        return pickle.dumps(self._pen)

    def restore(self, snapshot: bytes) -> None:
        """Take a snapshot's state; only ever what `snapshot` of this program gave."""
        self._pen = pickle.loads(snapshot)  # noqa: S301 (a test's own bytes, never a host's)
        self._pen.bench = self._bench
