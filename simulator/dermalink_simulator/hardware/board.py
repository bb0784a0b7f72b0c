"""The board: reads every part into `Sensors`, calls the firmware when it is due, and carries out what it orders.

While the drive is on, or the firmware asks for it, the guard is called every 5 ms and the main loop every 10; else
time jumps to the next wake-up. Between calls the mechanism runs in closed form.
"""

from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from typing import Final, cast

from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.hardware.air import AirConditions
from dermalink_simulator.hardware.chance import generator
from dermalink_simulator.hardware.clock import BatteryClock
from dermalink_simulator.hardware.crash import CrashWatch, be_told
from dermalink_simulator.hardware.flash import Cells, Flash, Tear
from dermalink_simulator.hardware.halt import HaltingFirmware, memory_of
from dermalink_simulator.hardware.line import Line
from dermalink_simulator.hardware.mechanism import Mechanism
from dermalink_simulator.hardware.physics import Physics
from dermalink_simulator.hardware.places import Places
from dermalink_simulator.hardware.port import PenPort
from dermalink_simulator.seam import Firmware, Indicator, PortKind, PowerCause

GUARD_MS: Final = 5
TICK_MS: Final = 10
NEVER: Final = 1 << 62
PORTS_MAX: Final = 8
ENTROPY_BITS: Final = 256  # what the hardware has gathered for keys when the firmware starts


class PenOffError(DermalinkError):
    """The pen has no power."""


class Board:
    """One pen's electronics around its mechanism; `make_firmware` gives a fresh firmware for each power-up."""

    def __init__(
        self,
        physics: Physics,
        seed: int,
        clock: BatteryClock,
        flash: Cells,
        make_firmware: Callable[[], Firmware],
    ) -> None:
        self.seed = seed
        self._physics = physics
        self._make_firmware = make_firmware
        self._random = generator(seed, "board")
        self._line_random = generator(seed, "line")
        self._places = Places(generator(seed, "places"), self.keeps)
        self.mechanism = Mechanism(physics, seed, clock)
        self.clock = clock
        self.flash = Flash(physics, generator(seed, "flash"), flash)
        self.flash.on_cut = self._power_goes
        self.now_ms = 0
        self.firmware: Firmware | None = None
        self.ports: dict[int, PenPort] = {}
        self.on_connect: Callable[[PenPort], None] | None = None
        self.on_reset: Callable[[], None] | None = None
        self.crash_watch: CrashWatch | None = None
        self.air: AirConditions | None = None
        self.main_hung = False
        self.main_slow_ms = 0
        self.guard_hung = False
        self._halted = self._may_halt = False
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._numbered = 0
        self._guard_due = self._main_due = NEVER
        self._guard_last = self._main_last = 0
        self._line_changed = False
        self._inbox: list[tuple[PenPort, bytes]] = []
        self._woken = False
        self._power_going = False
        self._flash_busy = self._tag_busy = False
        self._boot = 0

    # Power

    @property
    def powered(self) -> bool:
        """Whether the firmware runs."""
        return self.firmware is not None

    def power_on(self, cause: PowerCause) -> None:
        """Start a fresh firmware from what the flash holds; nothing happens when it runs already."""
        if self.firmware is not None:
            return
        self._boot += 1
        self._guard_last = self._main_last = self.now_ms
        self._flash_busy = self._tag_busy = self._power_going = self._woken = False
        self._halted = self._may_halt = False
        self.mechanism.forget(self.now_ms)
        self.firmware = self._make_firmware()
        self.watch(self.crash_watch)
        self.firmware.power_on(self.flash.image(), cause, self._random.getrandbits(ENTROPY_BITS))
        self._main_due = self.now_ms + TICK_MS
        self.serve()

    def power_off(self, tear: Tear = Tear.WITHIN) -> None:
        """Power goes away now: the firmware is gone, the flash may tear, the spring retracts, connections end."""
        if self.firmware is None:
            return
        self.firmware = None
        self.flash.lose_power(tear)
        self.mechanism.drive.cut(self.now_ms * 1_000)
        self._guard_due = self._main_due = NEVER
        self._inbox.clear()
        ports, self.ports = list(self.ports.values()), {}
        for port in ports:
            port.vanish()

    def reset(self) -> None:
        """The processor starts again by itself, a moment later, as after its watchdog."""
        self.power_off()
        self.at(self._physics.restart_ms, lambda: self.power_on(PowerCause.WATCHDOG))
        if self.on_reset is not None:
            self.on_reset()

    def _power_goes(self) -> None:
        """The flash's fault: power goes away in the operation that has just begun."""
        self._power_going = True

    def watch(self, crash_watch: CrashWatch | None) -> None:
        """Wait for a command to crash at, or no longer."""
        self.crash_watch = crash_watch
        be_told(self.firmware, crash_watch)

    def flip(self, variable: int, bit: int) -> None:
        """Flip a bit of the firmware's memory (`seam.Remembering`); from then on it may trip over that, and halt."""
        firmware, memory = self.firmware, memory_of(self.firmware)
        if firmware is None or memory is None:
            return
        memory.kept_flip(variable, bit)
        if not self._may_halt:
            self._may_halt = True
            self.firmware = cast("Firmware", HaltingFirmware(firmware, self._halt))
        self.wake()

    def _halt(self) -> None:
        self._halted = True
        self._main_due = min(self._main_due, self.now_ms + TICK_MS)

    @property
    def _main_away(self) -> bool:
        """Whether the main loop takes no bytes now: it stands still, or is late."""
        return self.main_hung or self._halted or self.now_ms - self._main_last < self.main_slow_ms

    # Connections

    def connect(self, kind: PortKind) -> PenPort:
        """A new connection on the lowest free port; raises `PenOffError` when nobody is there to take it.

        Where all are in use one gives way, as `Places` has it, or `NoPlaceError` is raised; never the session's owner.
        """
        if self.firmware is None:
            raise PenOffError("A connection was refused", limit="the pen has no power", advice="Restore its power")
        self._places.came(self.now_ms)
        number = next((free for free in range(1, PORTS_MAX + 1) if free not in self.ports), 0)
        if number == 0:
            gone = self._places.gives_way(self.ports.values(), self.now_ms, kind)
            self.lost(gone)
            number = gone.number
        port = PenPort(number, kind, self._line_random, self)
        port.came_ms = port.heard_ms = self.now_ms
        self.ports[number] = port
        if self.on_connect is not None:
            self.on_connect(port)
        self._catch_up()
        self.firmware.link_up(number, kind)
        self.serve()
        return port

    def keeps(self, port: PenPort) -> bool:
        """Whether this connection is the session's owner, which gives way to nobody."""
        return self.firmware is not None and self.firmware.keeps(port.number)

    def send(self, port: PenPort, data: bytes) -> None:
        """A host's bytes set out on its line."""
        for delay_ms, chunk in port.to_pen.send(data):
            port.under_way += 1
            if delay_ms:
                self.at(delay_ms, lambda port=port, chunk=chunk: self._arrive(port, chunk))  # type: ignore[misc]
            else:
                self._arrive(port, chunk)
        if port.to_pen.cut:
            self.lost(port)

    def _arrive(self, port: PenPort, data: bytes) -> None:
        if self.ports.get(port.number) is not port:
            return
        port.heard_ms, port.spoke = self.now_ms, True
        self._inbox.append((port, data))
        if not self._main_away:
            self._take_inbox()
        elif self.main_slow_ms:
            self._main_due = min(self._main_due, self._main_last + self.main_slow_ms)

    def _take_inbox(self) -> None:
        while self._inbox and self.firmware is not None:
            port, data = self._inbox.pop(0)
            port.under_way -= 1
            if self.ports.get(port.number) is not port:
                continue
            if self.crash_watch is not None and self.crash_watch.sees_command(port.number, data, port.kind):
                self.reset()
                return
            self._catch_up()
            if self.firmware is not None:
                self.firmware.handle(port.number, data)
                self.serve()

    def refusal(self, port: PenPort, value: bytes) -> int:
        """What the write of a value is refused with; nobody can say while values before it are still on their way."""
        if self.firmware is None or port.under_way or self._main_away:
            return 0
        return self.firmware.gatt_error(port.number, value)

    def agree_mtu(self, port: PenPort, att_mtu: int) -> None:
        """The ATT_MTU of a GATT port was agreed."""
        if self.firmware is not None:
            self.firmware.link_mtu(port.number, att_mtu)

    def subscribe(self, port: PenPort, channel: int, on: int) -> int:
        """A host switched a channel's notifications or indications: 0, or what that is refused with."""
        return 0 if self.firmware is None else self.firmware.gatt_subscribe(port.number, channel, on)

    def read_gatt(self, uuid16: int) -> bytes:
        """A readable characteristic's value, after the main loop has looked; raises `PenOffError`."""
        self._catch_up()
        if self.firmware is None:
            raise PenOffError("A read was refused", limit="the pen has no power", advice="Restore its power")
        value = self.firmware.gatt_read(uuid16)
        self.serve()
        return value

    def lost(self, port: PenPort) -> None:
        """A line was cut: both ends find the connection gone."""
        self.drop(port)
        port.vanish()

    def drop(self, port: PenPort) -> None:
        """A host is gone."""
        if self.ports.get(port.number) is port:
            del self.ports[port.number]
            if self.firmware is not None:
                self.firmware.link_down(port.number)
                self.serve()

    # Time

    def at(self, after_ms: int, action: Callable[[], None]) -> None:
        """Do something `after_ms` from now."""
        self._numbered += 1
        heappush(self._agenda, (self.now_ms + after_ms, self._numbered, action))

    def wake(self) -> None:
        """A line of the processor changed (button, head, clock): its main loop runs soon."""
        self.mechanism.changed()
        self._line_changed = True
        if self.firmware is not None:
            self._woken = True
            self._main_due = min(self._main_due, max(self.now_ms, self._main_last + TICK_MS))

    def advance(self, ms: int) -> None:
        """Let `ms` pass."""
        end = self.now_ms + ms
        move = self.mechanism.move
        while True:
            due = min(self._guard_due, self._main_due)
            if self._agenda and self._agenda[0][0] < due:
                due = self._agenda[0][0]
            if due > end:
                break
            if due > self.now_ms:
                move(self.now_ms, due)
                self.now_ms = due
            while self._agenda and self._agenda[0][0] <= due:
                heappop(self._agenda)[2]()
            if self._guard_due <= due:
                self._guard()
            if self._main_due <= due:
                self._main()
        if end > self.now_ms:
            move(self.now_ms, end)
            self.now_ms = end

    def next_due_ms(self) -> int:
        """How long until anything is due by itself; `NEVER` when nothing is (power off, at rest)."""
        due = min(self._main_due, self._guard_due, self._agenda[0][0] if self._agenda else NEVER)
        return due if due == NEVER else max(0, due - self.now_ms)

    def _catch_up(self) -> None:
        """A firmware that slept takes note of the time before it takes bytes, as its main loop would.

        So it does of a line that changed; while the drive is on, the guard sees to that at its own times.
        """
        if self.firmware is not None and self.now_ms - self._main_last >= TICK_MS:
            self._main()
        elif self._line_changed and self.mechanism.drive.idle:
            self._guard()

    def _guard(self) -> None:
        firmware, now = self.firmware, self.now_ms
        dt = now - self._guard_last
        if firmware is None:
            return
        if dt > 0 and not (self.guard_hung or self._halted):
            self._guard_last = now
            self._line_changed = False
            firmware.guard_tick(dt, self.mechanism.guard_sensors(now))
            self.mechanism.drive.take(firmware.drive(), now * 1_000)
        if self.mechanism.drive.idle:
            self._guard_due = NEVER
            return
        self._guard_due = now + GUARD_MS
        if self._main_due > self._main_last + TICK_MS:
            self._main_due = max(now, self._main_last + TICK_MS)

    def _main(self) -> None:
        now = self.now_ms
        if self._guard_last < now:
            self._guard()
        firmware = self.firmware
        if firmware is None:
            return
        dt = now - self._main_last
        if self._main_away:
            stands = self.main_hung or self._halted
            self._main_due = now + TICK_MS if stands else self._main_last + self.main_slow_ms
            if stands and dt >= self._physics.hard_watchdog_ms:
                self.main_hung = False
                self.reset()
            return
        if dt > 0:
            self._main_last = now
            self._woken = False
            firmware.tick(dt, self.mechanism.main_sensors(now, dt))
        if self.mechanism.battery.flat:
            self.mechanism.brown_out(now)
        if self._inbox:
            self._take_inbox()
        self.serve()

    # What the firmware wants

    def serve(self) -> None:
        """Poll every output of the firmware; an order that raises waits for the guard."""
        firmware = self.firmware
        if firmware is None:
            return
        if self.crash_watch is not None and self.crash_watch.due:
            self.reset()  # of all that the command would have had done, nothing was polled yet
            return
        if self.mechanism.drive.ease(firmware.drive(), self.now_ms * 1_000):
            self._guard_due = min(self._guard_due, max(self._guard_last + GUARD_MS, self.now_ms))
        if not self._serve_ports(firmware):
            return
        if not self._flash_busy:
            self._next_operation(firmware)
        if not self._tag_busy and firmware.tag_wanted():
            self._tag_busy = True
            self.at(self._physics.tag_read_ms, partial(self._tag_read, self._boot))
        utc_s = firmware.clock_set()
        if utc_s:
            self.clock.set(utc_s, self.now_ms)
        if self._power_going:
            self._power_going = False
            self.power_off(self.flash.tear)
            return
        wake = firmware.wake_ms()
        if wake > TICK_MS and not self.mechanism.drive.idle:
            wake = TICK_MS
        # A wake-up holds until the main loop ran, whatever is served before that.
        self._main_due = self._main_last + (min(wake, TICK_MS) if self._woken else wake)
        if self._main_due <= self.now_ms:
            self._main_due = self.now_ms + 1 if self._main_last == self.now_ms else self.now_ms
        if wake <= TICK_MS and self._guard_due == NEVER:
            self._guard_due = max(self._guard_last + GUARD_MS, self.now_ms)

    def _serve_ports(self, firmware: Firmware) -> bool:
        """Send what is to be sent; False when the pen crashed over it."""
        for number, port in list(self.ports.items()):
            while self.ports.get(number) is port and port.has_room:
                data = firmware.tx(number)
                if not data:
                    break
                if not self._transmit(port, data):
                    return False
        return True

    def _transmit(self, port: PenPort, data: bytes) -> bool:
        """Send what the firmware gave; False when the pen crashed instead."""
        if self.crash_watch is not None and self.crash_watch.sees_answer(port.number, data):
            self.reset()
            return False
        line: Line = port.from_pen
        for delay_ms, chunk in line.send(data):
            if delay_ms:
                self.at(delay_ms, lambda port=port, chunk=chunk: port.arrive(chunk))  # type: ignore[misc]
            else:
                port.arrive(chunk)
        if line.cut:
            self.lost(port)
        return True

    def _next_operation(self, firmware: Firmware) -> None:
        op = firmware.flash_next()
        if op is not None:
            self._flash_busy = True
            self.at(self.flash.begin(op), partial(self._operation_done, self._boot))

    def _operation_done(self, boot: int) -> None:
        firmware = self.firmware
        if firmware is not None and self._boot == boot:
            ok = self.flash.end()
            self._flash_busy = False
            firmware.flash_done(ok)
            self.serve()

    def _tag_read(self, boot: int) -> None:
        firmware = self.firmware
        if firmware is not None and self._boot == boot:
            self._tag_busy = False
            firmware.tag_read(self.mechanism.seat.read_tag())
            self.serve()

    def indicator(self) -> Indicator:
        """What the pen shows; dark without power."""
        return self.firmware.indicator() if self.firmware is not None else Indicator()
