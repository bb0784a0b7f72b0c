"""Runs a simulated pen along an event loop's clock, real or virtual: no polling, the next wake-up is a timer.

Before anything touches the pen (bytes, a press, a fault) it is brought up to the loop's present, so what a host or a
tester does happens at the millisecond at which they do it. What the pen says is handed on after that, never within.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol, TypeVar

from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.segmentation import ATT_MTU_MIN
from dermalink_simulator.seam import PortKind
from dermalink_simulator.virtual_time import VirtualTimeLoop

T = TypeVar("T")

SPEED_MAX: Final = 100
# In real time a pen that is behind (the process was suspended) catches up in steps, so that Stop gets in between.
CATCH_UP_MS: Final = 100


class PortOfAPen(Protocol):
    """A pen's end of a link; its callbacks come while the pen works, and only take note."""

    on_output: Callable[[bytes], None] | None
    on_hang_up: Callable[[], None] | None
    closed: bool

    @property
    def is_owner(self) -> bool:
        """Whether it is the session's owner, which gives way to nobody."""

    def write(self, data: bytes) -> None:
        """Bytes for the pen."""

    def clog(self, *, clogged: bool) -> None:
        """While a link is clogged the pen keeps, or drops by its own rules, what it has to say on it."""

    def refusal(self, value: bytes) -> int:
        """What the write of a value is to be refused with (an `AttError`), 0 for nothing; changes nothing."""

    def agree_mtu(self, att_mtu: int) -> None:
        """The ATT_MTU was agreed."""

    def subscribe(self, channel: int, *, on: bool) -> int:
        """A channel's notifications or indications were switched: 0, or what that is refused with (an `AttError`)."""

    def bonding(self, *, begins: bool) -> bool:
        """Whether a pairing of Bluetooth's own may begin, or go on."""

    def encrypted(self, key: bytes) -> None:
        """Bluetooth has encrypted the link with that key."""

    def bond_key(self) -> bytes:
        """The key of the bond that the pen keeps; zeros for none."""

    def handed_on(self) -> None:
        """The host's side has one more of the values of a GATT port."""

    def close(self) -> None:
        """The host is gone."""


class RunnablePen(Protocol):
    """What a runner needs of a pen: `SimulatedPen` is one."""

    @property
    def now_ms(self) -> int:
        """The pen's own time, virtual milliseconds."""

    def advance(self, ms: int) -> None:
        """Let `ms` of its time pass."""

    def next_wake_ms(self) -> int:
        """How long nothing happens in the pen by itself."""

    def connect(self, kind: PortKind = PortKind.STREAM) -> PortOfAPen:
        """A new link; a `DermalinkError` when the pen takes none."""

    def read_gatt(self, uuid16: int) -> bytes:
        """The present value of a readable characteristic; a `DermalinkError` without power."""


class Host(NamedTuple):
    """One who is connected: by which door, and the ATT_MTU where there is one."""

    door: str
    att_mtu: int | None


class Radio(Protocol):
    """The pen's own radio, as far as a tester wants to know of it."""

    @property
    def advertising(self) -> bool:
        """Whether hosts can find the pen now."""


class PenFailedError(DermalinkError):
    """The simulated pen itself broke: a mistake in the simulator or in the firmware behind its seam."""


class RunningPort:
    """One link to a running pen; whoever opened it gets the pen's bytes, and its hanging up, by callback."""

    def __init__(self, runner: "PenRunner", port: PortOfAPen, host: Host) -> None:
        """Made by `PenRunner.connect`."""
        self.host = host
        self._runner, self._port = runner, port
        self._open = True

    @property
    def is_owner(self) -> bool:
        """Whether it is the session's owner, which gives way to nobody."""
        return self._open and self._port.is_owner

    def feed(self, data: bytes) -> None:
        """Bytes for the pen; Stop takes effect before this returns. On a link that is gone they are lost."""
        if self._open:
            self._runner.exchange(lambda: None if self._port.closed else self._port.write(data))

    def refusal(self, value: bytes) -> int:
        """What the write of this value is to be refused with (an `AttError`), 0 if `feed` is to have it.

        `feed` must follow at once, and only on 0. On a link that is gone nothing is refused: it is lost.
        """
        return self._asked(lambda: self._port.refusal(value), 0)

    def agree_mtu(self, att_mtu: int) -> None:
        """The ATT_MTU was agreed; what the pen says from now on fits it."""
        if self._open:
            self.host = self.host._replace(att_mtu=att_mtu)
            self._runner.exchange(lambda: self._port.agree_mtu(att_mtu))

    def subscribe(self, channel: int, *, on: bool) -> int:
        """The host wrote a channel's CCCD: 0, or what that is to be refused with (an `AttError`)."""
        return self._asked(lambda: self._port.subscribe(channel, on=on), 0)

    def bonding(self, *, begins: bool) -> bool:
        """Whether a pairing of Bluetooth's own may begin on this link, or go on."""
        return self._asked(lambda: self._port.bonding(begins=begins), unknown=False)

    def encrypted(self, key: bytes) -> None:
        """Bluetooth has encrypted the link, or has done so anew, with that key."""
        self._asked(lambda: self._port.encrypted(key), None)

    def bond_key(self) -> bytes:
        """The key of the bond that the pen keeps; empty or zeros for none."""
        return self._asked(self._port.bond_key, b"")

    def _asked(self, ask: Callable[[], T], unknown: T) -> T:
        """What the pen says; `unknown` on a link that is gone."""
        answers = [unknown]
        if self._open:
            self._runner.exchange(lambda: answers.append(ask()))
        return answers[-1]

    def clog(self, *, clogged: bool) -> None:
        """Say whether the host reads too slowly for what the pen says; may be called from within `on_output`."""
        if self._open:
            self._runner.exchange(lambda: self._port.clog(clogged=clogged))

    def close(self) -> None:
        """The host is gone; may be called twice."""
        if self._open:
            self._open = False
            self._runner.forget(self)
            self._runner.exchange(self._port.close)


class _Link:
    """A port of the pen with what the runner owes its host: a stream's bytes at once, values one by one, in order."""

    __slots__ = ("forgotten", "hung_up", "kind", "noted", "on_hang_up", "on_output", "port", "said")

    def __init__(
        self, port: PortOfAPen, kind: PortKind, on_output: Callable[[bytes], None], on_hang_up: Callable[[], None]
    ) -> None:
        self.port, self.kind, self.on_output, self.on_hang_up = port, kind, on_output, on_hang_up
        self.said: deque[bytes] = deque()
        self.noted = self.forgotten = self.hung_up = False

    def hand_on(self) -> None:
        """Give the host what the pen said, and what it says once there is room for more."""
        if self.kind is PortKind.STREAM:
            said = b"".join(self.said)
            self.said.clear()
            if said and not self.forgotten:
                self.on_output(said)
            return
        while self.said and not self.forgotten:
            self.on_output(self.said.popleft())
            self.port.handed_on()

    def hang_up(self) -> None:
        """Tell the host, once, that the pen's side is gone."""
        if self.port.closed and not self.forgotten and not self.hung_up:
            self.hung_up = True
            self.on_hang_up()


class PenRunner:
    """A pen that lives along the running loop's clock, `speed` times as fast.

    `failed` ends with an error when the pen can't go on, and is cancelled by `stop`. Those in `after` are called
    whenever time has passed in the pen or something was done to it; they only look.
    """

    def __init__(self, pen: RunnablePen, *, speed: int = 1) -> None:
        """`speed` is 1 to 100; more than 1 means something only to a tester. Must be called on the loop."""
        if not 1 <= speed <= SPEED_MAX:
            raise ValueError(f"a speed of {speed} was refused: 1 to {SPEED_MAX}")
        self.pen = pen
        self.after: list[Callable[[], None]] = []
        self.radio: Radio | None = None
        self._loop = asyncio.get_running_loop()
        self._at_once = isinstance(self._loop, VirtualTimeLoop)
        self._ms_per_s = 1_000 * speed
        self._links: dict[RunningPort, _Link] = {}
        self._noted: list[_Link] = []
        self._handing_on = False
        self._timer: asyncio.TimerHandle | None = None
        self._due_ms = 0
        self._stopped = False
        self.failed: asyncio.Future[None] = self._loop.create_future()
        self._anchor()
        self._plan()

    @property
    def stopped(self) -> bool:
        """Whether it stands still for good."""
        return self._stopped

    @property
    def links(self) -> int:
        """How many links there are now."""
        return len(self._links)

    @property
    def hosts(self) -> list[Host]:
        """Who is connected now, whoever came first first."""
        return [running.host for running in self._links]

    def connect(
        self,
        on_output: Callable[[bytes], None],
        on_hang_up: Callable[[], None],
        kind: PortKind = PortKind.STREAM,
        *,
        door: str = "sim",
    ) -> RunningPort:
        """A new link: `on_output` gets what the pen says, `on_hang_up` is told when the pen's side goes.

        `door` is what testers know it by.

        On a GATT link `on_output` gets one value a call. Raises a `DermalinkError` when the pen takes no link: it is
        off, or all its ports are in use.
        """
        port = self.act(lambda: self.pen.connect(kind))
        link = _Link(port, kind, on_output, on_hang_up)

        def note() -> None:
            if not link.noted:
                link.noted = True
                self._noted.append(link)

        def take(data: bytes) -> None:
            link.said.append(data)
            note()

        port.on_output, port.on_hang_up = take, note
        running = RunningPort(self, port, Host(door, ATT_MTU_MIN if kind is PortKind.GATT else None))
        self._links[running] = link
        self.look()
        return running

    def read_gatt(self, uuid16: int) -> bytes:
        """The present value of a readable characteristic; raises a `DermalinkError` when the pen has no power."""
        return self.act(lambda: self.pen.read_gatt(uuid16))

    def forget(self, running: RunningPort) -> None:
        """The link is closed by its host, who wants to hear no more."""
        self._links.pop(running).forgotten = True

    def act(self, do: Callable[[], T]) -> T:
        """Bring the pen to the present, do something to it, hand on what it says, and plan its next wake-up.

        A `DermalinkError` of `do` comes out as it is; any other means that the pen broke (`PenFailedError`).
        """
        try:
            return self._act(do)
        except DermalinkError:
            raise
        except Exception as error:
            raise self._broke(error) from error

    def exchange(self, do: Callable[[], None]) -> None:
        """As `act`, for what a host does to its link: nothing comes out of it, a pen that broke is in `failed`."""
        if self._stopped:
            return
        try:
            self._act(do)
        except Exception as error:  # noqa: BLE001 (whatever it is, everybody who waits for the pen is told)
            self._broke(error)

    def _act(self, do: Callable[[], T]) -> T:
        self._catch_up()
        before_ms = self.pen.now_ms
        try:
            return do()
        finally:
            if self.pen.now_ms != before_ms:  # the tester moved time itself
                self._anchor()
            self._settle()

    def fail(self, error: DermalinkError) -> None:
        """The pen can't go on: whoever waits for `failed` gets `error`, and everybody is hung up."""
        if not self.failed.done():
            self.failed.set_exception(error)
            self.failed.exception()  # whoever does not wait for it gets no second report
        self.stop()

    def stop(self) -> None:
        """Stand still and hang up; may be called twice."""
        if self._stopped:
            return
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        for link in list(self._links.values()):
            link.on_hang_up()
        if not self.failed.done():
            self.failed.cancel()

    def _anchor(self) -> None:
        """From here on the pen's `now_ms` and the loop's `time()` run together."""
        self._zero_s = self._loop.time()
        self._zero_ms = self.pen.now_ms

    def _catch_up(self, at_most_ms: int | None = None) -> bool:
        """Advance the pen to the present; False if it is still behind after `at_most_ms`."""
        elapsed_s = self._loop.time() - self._zero_s
        # A timer set for a millisecond may come a rounding error early.
        behind_ms = self._zero_ms + int(elapsed_s * self._ms_per_s + 1e-4) - self.pen.now_ms
        if self._stopped or behind_ms <= 0:
            return True
        if at_most_ms is not None and behind_ms > at_most_ms:
            self.pen.advance(at_most_ms)
            return False
        self.pen.advance(behind_ms)
        return True

    def _settle(self) -> None:
        """Hand on what was said and who hung up, then plan."""
        self.look()
        if self._handing_on:  # a host did something to its link while it was handed a value; that goes on afterwards
            self._plan()
            return
        self._handing_on = True
        try:
            while self._noted:
                link = self._noted.pop()
                link.noted = False
                link.hand_on()
                link.hang_up()
        finally:
            self._handing_on = False
        self._plan()

    def look(self) -> None:
        """Something may have changed that did not go through here."""
        for look in self.after:
            look()

    def _plan(self) -> None:
        """A timer for the pen's next wake-up, unless there is an earlier one."""
        if self._stopped:
            return
        due_ms = self.pen.now_ms + max(1, self.pen.next_wake_ms())
        if self._timer is not None:
            if self._due_ms <= due_ms:
                return
            self._timer.cancel()
        self._due_ms = due_ms
        at_s = self._zero_s + (due_ms - self._zero_ms) / self._ms_per_s
        self._timer = self._loop.call_at(at_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        try:
            present = self._catch_up(None if self._at_once else CATCH_UP_MS)
            if not present:
                self._due_ms = self.pen.now_ms
                self._timer = self._loop.call_at(self._loop.time(), self._wake)
            self._settle()
        except Exception as error:  # noqa: BLE001 (whatever it is, everybody who waits for the pen is told)
            self._broke(error)

    def _broke(self, error: Exception) -> PenFailedError:
        failure = PenFailedError(
            f"The simulated pen broke at {self.pen.now_ms} ms of its time",
            limit=f"{type(error).__name__}: {error}",
            advice="This is a mistake in the simulator, or in the firmware behind its seam",
        )
        failure.__cause__ = error
        self.fail(failure)
        return failure
