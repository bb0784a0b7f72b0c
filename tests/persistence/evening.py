"""An evening with the pen, from switching it on to closing the session, and the power that goes away somewhere in it.

What the pen has told its host is kept, and what the skin truly got; after the power is back the pen must know as much.
"""

from dataclasses import dataclass, field
from functools import cache

from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.history import Anchor, check_chain, origin
from dermalink_protocol.limits import INTERVAL_S
from dermalink_protocol.messages import identity, records, therapy
from dermalink_protocol.messages.refusal import Refused
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.hardware.board import PenOffError
from dermalink_simulator.hardware.port import PortClosedError
from dermalink_simulator.pen import SimulatedPen
from tests.support.raw_host import NoAnswerError, RawHost

NO_CUT = 0


@dataclass
class Told:
    """What the pen has acknowledged to its host so far."""

    sessions: int = 0
    history: list[Anchor] = field(default_factory=list)
    passes: int = 0
    strokes: int = 0
    motor_s: int = 0


class Evening:
    """A pen, a host, and the skin; `cut` is the flash operation in which power goes away, 0 for none.

    `cached` is how many operations lie in a cache of the flash although it called them done.
    """

    def __init__(self, cut: int = NO_CUT, tear: int = 1, seed: int = 1, cached: int = 0) -> None:
        self.pen = SimulatedPen(seed=seed, power=False)
        self.told = Told()
        self.finished = False
        if cut:
            self.pen.faults.inject("flash", "power_cut", operation=cut, tear=tear)
        if cached:
            self.pen.faults.inject("flash", "reordering", operations=cached)
        self.pen.power.restore()
        try:
            self._spend()
            self.finished = True
        except (PortClosedError, PenOffError, NoAnswerError):
            assert not self.pen.power.on, "only a loss of power may end an evening early"
        self.operations = self.pen.flash_operations
        self.pen.hand.lift()
        self.pen.advance(100)

    def _spend(self) -> None:
        host = RawHost(self.pen)
        host.hello()
        host.wait_for(State.IDLE)
        self._open(host)
        for direction in (Direction.VERTICAL, Direction.HORIZONTAL):
            self._pass(host, direction)
            self._note_head(host)
        closed = host.expect(
            therapy.SessionClosed,
            therapy.CloseSession(session_id=host.session_id, record_number=1, record_hash=bytes(32)),
        )
        self.told.history.append(Anchor(closed.history_number, closed.history_hash))
        host.session_id = 0
        host.run(300)

    def _open(self, host: RawHost) -> None:
        opened = host.expect(
            therapy.SessionOpened,
            host.command(
                therapy.OpenSession, boot_id=host.boot_id, lease_ms=500, record_number=0, record_hash=bytes(32)
            ),
        )
        host.session_id = opened.session_id
        self.told.sessions = opened.session_id
        self.told.history.append(Anchor(opened.history_number, opened.history_hash))

    def _pass(self, host: RawHost, direction: Direction) -> None:
        prepared = host.prepare(Zone.NOSE, direction)
        host.begin(prepared.frame_id)
        host.wait_for(State.ARMED)
        self.told.passes += 1
        self.pen.hand.sweep(Zone.NOSE, direction)
        host.wait_for(State.RUNNING)
        host.run(300)
        host.expect(therapy.PassEnded, therapy.EndPass(session_id=host.session_id))
        host.wait_for(State.OPEN)
        self.pen.hand.lift()

    def _note_head(self, host: RawHost) -> None:
        head = host.expect(identity.Cartridge, identity.GetCartridge())
        self.told.strokes, self.told.motor_s = head.strokes, head.motor_s


class Afterwards:
    """The same pen when its power is back: same flash, same head, same clock."""

    def __init__(self, evening: Evening, gone_s: int = 1) -> None:
        clock = evening.pen.clock
        profile = evening.pen.profile._replace(utc_s=clock.utc_s + gone_s, ran_s=clock.ran_s + gone_s)
        self._told, self._skin = evening.told, evening.pen.skin
        self.pen = SimulatedPen(profile, evening.pen.seed, evening.pen.flash_image(), power=False)
        head = evening.pen.cartridge.head
        assert head is not None
        self.pen.cartridge.fit(head)

    def power_back(self, cut: int = NO_CUT) -> int:
        """Power is back, and goes away again in the `cut`-th flash operation if that comes; how many there were."""
        before = self.pen.flash_operations
        if cut:
            self.pen.faults.inject("flash", "power_cut", operation=cut)
        self.pen.power.restore()
        self.pen.advance(3_000)
        self.pen.faults.clear()
        return self.pen.flash_operations - before

    def check(self) -> None:
        """After the power is back, the pen knows at least what it told and what the skin got."""
        host = RawHost(self.pen)
        hello = host.hello()
        status = host.status()
        assert status.state is State.IDLE, f"{status.state!r} {status.reason!r}"
        assert status.session_id == 0
        self._check_history(host, hello.serial_number)
        self._check_head(host)
        self._check_wait(host, status)

    def _check_history(self, host: RawHost, serial_number: bytes) -> None:
        state = host.expect(records.HistoryState, records.GetHistoryState())
        assert state.first_hole == 0
        raw = [
            host.expect(records.HistoryRecord, records.GetHistory(number=number)).record
            for number in range(1, state.last_number + 1)
        ]
        last = Anchor(state.last_number, state.last_hash)
        assert check_chain(raw, origin(serial_number), [*self._told.history, last]) == []

    def _check_head(self, host: RawHost) -> None:
        head = host.expect(identity.Cartridge, identity.GetCartridge())
        assert head.strokes >= max(self._told.strokes, self._skin.strokes)
        assert head.motor_s >= self._told.motor_s
        if self._skin.strokes or self._told.passes:
            assert head.sessions_used >= 1
            assert head.reason == Reason.CARTRIDGE_USED

    def _check_wait(self, host: RawHost, status: identity.Status) -> None:
        """One that touched skin starts the wait; nobody opens a second session, and an id never comes again."""
        answer = host.ask(
            host.command(
                therapy.OpenSession, boot_id=host.boot_id, lease_ms=500, record_number=0, record_hash=bytes(32)
            )
        )
        if self._skin.strokes:
            assert status.wait_s >= INTERVAL_S - 60
            assert isinstance(answer, Refused)
            assert answer.reason == Reason.INTERVAL_NOT_OVER
        if isinstance(answer, therapy.SessionOpened):
            assert not self._skin.strokes
            assert answer.session_id > self._told.sessions


@cache
def evening_with_cut(cut: int, tear: int) -> Evening:
    """The evening, spent once and looked at many times."""
    return Evening(cut, tear)
