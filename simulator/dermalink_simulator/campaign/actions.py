"""What can be done in a campaign, by name: to the pen as its host, its hand, its thief, its supply, or its fault.

An action has numbers with ranges, so that a script can be checked before it runs. It may be refused by the pen; whoever
plays a script takes that as it comes.
"""

from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Final, NamedTuple

from dermalink_protocol.codewords import State
from dermalink_protocol.limits import LEASE_DEFAULT_MS, LEASE_MAX_MS
from dermalink_protocol.messages import identity, stop, therapy
from dermalink_protocol.zones import Direction, Symptom, Zone
from dermalink_simulator.campaign.raw_host import OtherAnswerError
from dermalink_simulator.campaign.world import TellingHost, World
from dermalink_simulator.hardware.hand import HARD_MN

FIT_MS: Final = 300  # from pulling a head to fitting the next
HELD_MS: Final = 200  # a press has been seen by then
SOON_MS: Final = 3_000
A_YEAR_S: Final = 366 * 86_400
SETTLE_MS: Final = 3_000
HEAD_NAMES: Final = ("", "glide", "stamp", "long", "blank")  # 0 leaves the seat empty
ZONES: Final = (1, max(Zone))


class Number(NamedTuple):
    """A number of an action: its range, both ends included, or the only values that it may have."""

    name: str
    low: int
    high: int
    only: tuple[int, ...] = ()


class Action(NamedTuple):
    """One action: what does it, with which numbers, and what it is in words."""

    do: Callable[..., None]
    numbers: tuple[Number, ...]
    says: str


# The host


def _start(it: World) -> None:
    it.host.hello()
    it.note_history()
    it.host.wait_for(State.IDLE, within_ms=SOON_MS)
    it.host.open()


def _prepare(it: World, zone: int, direction: int, depth_um: int) -> None:
    it.host.status()
    prepared = it.host.prepare(Zone(zone), Direction(direction), depth_um)
    it.pen.hand.sweep(Zone(zone), Direction(direction))
    it.truth.moves()
    it.host.send(it.host.command(therapy.BeginPass, session_id=it.host.session_id, frame_id=prepared.frame_id))
    it.press()


def _renew(it: World) -> None:
    it.host.listen()
    it.host.renew()


def _run(it: World, ms: int) -> None:
    it.host.run(ms)


def _wait(it: World, ms: int) -> None:
    it.pen.advance(ms)


def _resume(it: World) -> None:
    it.host.listen()
    it.host.send(it.host.command(therapy.ResumePass, session_id=it.host.session_id))
    it.press()


def _end_pass(it: World) -> None:
    it.host.send(therapy.EndPass(session_id=it.host.session_id))


def _pause_pass(it: World) -> None:
    it.host.send(therapy.PausePass(session_id=it.host.session_id))


def _close(it: World) -> None:
    it.host.send(therapy.CloseSession(session_id=it.host.session_id, record_number=0, record_hash=bytes(32)))


def _adopt(it: World, lease_ms: int, keeps: int) -> None:
    old = it.host
    it.reconnect()
    it.host.send(it.host.command(therapy.AdoptSession, session_id=old.session_id, lease_ms=lease_ms))
    if not keeps:
        old.port.close()


def _lose_link(it: World) -> None:
    it.host.port.close()


def _replay(it: World, older_ms: int) -> None:
    it.host.tick_ms = max(0, it.host.tick_ms - older_ms)
    it.host.renew()


def _say_again(it: World) -> None:
    it.host.say_again()
    it.press()


def _stop_now(it: World) -> None:
    it.host.send(stop.Stop())


def _symptom(it: World, which: int) -> None:
    it.host.send(stop.ReportSymptom(symptom=Symptom(which)))


def _stranger(it: World) -> None:
    other = TellingHost(it)
    for session_id in range(1, 6):
        other.send(therapy.CloseSession(session_id=session_id, record_number=0, record_hash=bytes(32)))
    other.hello()
    with suppress(OtherAnswerError):
        other.open()
    other.port.close()


def _noise(it: World, seed: int, length: int) -> None:
    it.host.port.write(Random(f"noise/{seed}").randbytes(length))


def _look(it: World) -> None:
    it.host.ask(identity.GetStatus())


def _set_clock_right(it: World) -> None:
    it.hold()
    it.pen.advance(HELD_MS)
    it.host.status()
    it.host.send(it.host.command(therapy.SetClock, utc_s=it.true_utc_s))
    it.release()
    it.host.run(2_000)


def _ask_self_test(it: World) -> None:
    it.host.status()
    it.host.send(it.host.command(therapy.RunSelfTest))


# The hand


def _lift(it: World) -> None:
    it.truth.moves()
    it.pen.hand.lift()


def _stay(it: World) -> None:
    if it.pen.hand.touching:
        it.truth.stays()
    it.pen.hand.stay()


def _go_on(it: World) -> None:
    it.truth.moves()
    it.pen.hand.go_on()


def _press_hard(it: World, mn: int) -> None:
    it.pen.hand.press_hard(mn)


def _press(it: World) -> None:
    it.press()


def _hold(it: World) -> None:
    it.hold()


def _release(it: World) -> None:
    it.release()


def _head(it: World, kind: int) -> None:
    it.truth.look()
    old = it.pen.cartridge.pull()
    if old is not None:
        it.heads.append(old)
    it.pen.advance(FIT_MS)
    if kind:
        it.pen.cartridge.fit(HEAD_NAMES[kind])


def _old_head(it: World, which: int) -> None:
    it.truth.look()
    old = it.pen.cartridge.pull()
    if old is not None:
        it.heads.append(old)
    it.pen.advance(FIT_MS)
    if it.heads:
        it.pen.cartridge.fit(it.heads[which % len(it.heads)])


# Supply, clock, faults


def _power_cut(it: World, ms: int) -> None:
    it.pen.power.cut()
    it.pen.advance(ms)
    it.pen.power.restore()
    it.pen.advance(FIT_MS)
    it.reconnect()


def _night(it: World, seconds: int) -> None:
    it.truth.moves()
    it.pen.hand.lift()
    before_ms = it.pen.now_ms
    it.pen.power.cut()
    it.pen.clock.advance(seconds)
    it.truth.slept(max(0, seconds - (it.pen.now_ms - before_ms) // 1_000))
    it.pen.power.restore()
    it.pen.advance(SETTLE_MS)
    it.reconnect()


def _tamper(it: World, seconds: int) -> None:
    it.pen.clock.set(max(1, it.pen.clock.utc_s + seconds))


def _lose_clock(it: World) -> None:
    it.pen.clock.lose()


def _mend(it: World) -> None:
    it.pen.faults.clear()
    it.truth.mended()


_MS: Final = Number("ms", 0, 120_000)
_FRAME: Final = (
    Number("zone", *ZONES),
    Number("direction", 1, 4, tuple(map(int, Direction))),
    Number("depth_um", 1, 2_000),
)
ACTIONS: Final = {
    "start": Action(_start, (), "the host says hello and opens a session"),
    "prepare": Action(_prepare, _FRAME, "the host asks for motion, the hand sweeps and presses"),
    "renew": Action(_renew, (), "the host renews the lease"),
    "run": Action(_run, (_MS,), "time passes, with the lease renewed"),
    "wait": Action(_wait, (_MS,), "time passes, and nobody says anything"),
    "resume": Action(_resume, (), "the host resumes the pass, the hand presses"),
    "end_pass": Action(_end_pass, (), "the host ends the pass"),
    "pause_pass": Action(_pause_pass, (), "the host pauses the pass"),
    "close": Action(_close, (), "the host closes the session"),
    "adopt": Action(
        _adopt,
        (Number("lease_ms", int(LEASE_DEFAULT_MS), int(LEASE_MAX_MS)), Number("keeps", 0, 1)),
        "another connection adopts the session; the old one stays or goes",
    ),
    "lose_link": Action(_lose_link, (), "the connection is gone"),
    "replay": Action(_replay, (Number("older_ms", 0, 60_000),), "a renewal that quotes an old tick"),
    "say_again": Action(_say_again, (), "the last word for motion is repeated as it was, and the hand presses"),
    "stop": Action(_stop_now, (), "the host says Stop"),
    "symptom": Action(_symptom, (Number("which", 1, max(Symptom)),), "the host reports a symptom"),
    "stranger": Action(_stranger, (), "somebody else closes sessions by guess and opens one"),
    "noise": Action(_noise, (Number("seed", 0, 1 << 31), Number("length", 1, 4_096)), "bytes of chance on the link"),
    "look": Action(_look, (), "the host asks how the pen stands"),
    "set_clock_right": Action(_set_clock_right, (), "the host sets the clock to what it is, the hand holds the button"),
    "ask_self_test": Action(_ask_self_test, (), "the host asks for a self-test"),
    "lift": Action(_lift, (), "the hand lifts"),
    "stay": Action(_stay, (), "the hand stays in one spot"),
    "go_on": Action(_go_on, (), "the hand goes on"),
    "press_hard": Action(_press_hard, (Number("mn", 0, 2 * HARD_MN),), "the hand presses with that force"),
    "press": Action(_press, (), "a press of the button"),
    "hold": Action(_hold, (), "the button is held"),
    "release": Action(_release, (), "the button is let go"),
    "head": Action(_head, (Number("kind", 0, len(HEAD_NAMES) - 1),), "another head (0 none, 1 glide, 2 stamp, 3 long)"),
    "old_head": Action(_old_head, (Number("which", 0, 1_000),), "a head that was fitted before"),
    "power_cut": Action(_power_cut, (Number("ms", 0, 60_000),), "power is gone for so long"),
    "night": Action(_night, (Number("seconds", 1, A_YEAR_S),), "the pen lies switched off"),
    "tamper": Action(_tamper, (Number("seconds", -A_YEAR_S, A_YEAR_S),), "somebody sets the clock back or forward"),
    "lose_clock": Action(_lose_clock, (), "the clock's battery is empty for a moment"),
    "mend": Action(_mend, (), "all faults are taken off"),
}
