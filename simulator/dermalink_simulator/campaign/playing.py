"""Playing a script: its steps, safe after each; then all is healed, and the pen must settle and tell its history."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from dermalink_protocol.codewords import State
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.history import check_chain, origin
from dermalink_protocol.messages import records
from dermalink_simulator.campaign.actions import ACTIONS
from dermalink_simulator.campaign.invariants import (
    BREAKS,
    HISTORY,
    IN_US,
    INVARIANTS,
    SETTLES,
    Broken,
    Invariant,
    first_broken,
)
from dermalink_simulator.campaign.raw_host import RawHost
from dermalink_simulator.campaign.script import Script, Step
from dermalink_simulator.campaign.world import World
from dermalink_simulator.faults.spelling import Fault
from dermalink_simulator.hardware.board import PenOffError

HEALED_MS: Final = 200  # until the links are gone
SETTLED_MS: Final = 70_000  # armed without contact disarms in 60 s (SR-STOP-6); and some to come to rest
BOOTED_MS: Final = 3_000
MOVING: Final = (State.RUNNING, State.ARMED, State.SPIN_UP, State.STOPPING)


class Played(NamedTuple):
    """What a script came to: what it broke, after how many steps, how many strokes reached skin, how long it lasted."""

    broken: Broken | None
    steps: int
    strokes: int
    pen_ms: int


def play(
    script: Script,
    trace: Callable[[str], None] | None = None,
    watch: Callable[[World], None] | None = None,
) -> Played:
    """Play it. `trace` gets the lines of a trace, `watch` is called once, with the world, before the first step."""
    world = World(script.seed, script.without, sold=script.sold, trace=trace)
    if watch is not None:
        watch(world)
    broken, done = None, 0
    for step in script.steps:
        broken = _step(world, step)
        done += 1
        if broken:
            break
    world.truth.look()
    broken = first_broken(world.truth) or broken
    if broken is None:
        broken = _healed(world)
    return Played(broken, done, world.pen.skin.strokes, world.pen.now_ms)


def _step(world: World, step: Step) -> Broken | None:
    """Do it, however it is taken, let time pass, and see whether needles stand out that should not."""
    try:
        with suppress(DermalinkError):
            if step.fault is not None:
                _put_on(world, step.fault)
            else:
                ACTIONS[step.do].do(world, **step.numbers)
        world.pen.advance(step.then_ms)
    except Exception as error:  # noqa: BLE001 (whatever a firmware does: it is what the campaign looks for)
        return _says(BREAKS, f"{type(error).__name__}: {error} in {step}")
    truth = world.truth
    truth.look()
    if world.pen.needles_out and not truth.stuck_out and truth.quiet_us() > truth.lease_us + IN_US:
        lease = next(one for one in INVARIANTS if one.name == "lease")
        return _says(lease, f"needles stand out at {truth.now_us} µs, {truth.quiet_us()} µs after a renewal")
    return None


def _put_on(world: World, fault: Fault) -> None:
    world.pen.faults.put_on(fault)
    world.truth.put_on(fault)
    world.on_fault(fault)


def _healed(world: World) -> Broken | None:
    """No fault, no host, no hand: it must come to rest, answer, and tell a history that hangs together."""
    pen = world.pen
    try:
        pen.faults.clear()
        world.truth.mended()
        world.truth.moves()
        pen.button.release()
        pen.hand.lift()
        with suppress(PenOffError):
            world.host.port.close()
        pen.advance(HEALED_MS)
        pen.power.restore()
        pen.power.set_battery(100)
        pen.advance(SETTLED_MS)
        world.truth.look()
        if pen.needles_out or pen.motor_turns:
            return _says(SETTLES, "needles are out" if pen.needles_out else "the motor turns")
        host = RawHost(pen)
        state = host.status().state
        if state in MOVING:
            return _says(SETTLES, f"it stands in {State(state).name}")
        return first_broken(world.truth) or _history(world)
    except DermalinkError as error:
        return _says(SETTLES, str(error))
    except Exception as error:  # noqa: BLE001 (as above)
        return _says(BREAKS, f"{type(error).__name__}: {error}")


def _history(world: World) -> Broken | None:
    """The whole history after one more loss of power, read as a host reads it.

    A pen that has no owner tells none, and a flash that was spoilt may lock the pen, which then says so.
    """
    if world.truth.owner_missing or world.truth.flash_spoilt:
        return None
    world.pen.power.cut()
    world.pen.advance(HEALED_MS)
    world.pen.power.restore()
    world.pen.advance(BOOTED_MS)
    host = RawHost(world.pen)
    hello = host.hello()
    told = host.expect(records.HistoryState, records.GetHistoryState())
    numbers = range(told.first_number, told.last_number + 1)
    chain = [host.expect(records.HistoryRecord, records.GetHistory(number=number)).record for number in numbers]
    damages = check_chain(chain, origin(hello.serial_number)) if told.first_number == 1 else []
    if told.first_hole or damages:
        return _says(HISTORY, "; ".join(map(str, damages)) or f"record {told.first_hole} is missing")
    if told.last_number < world.truth.last_number:
        return _says(HISTORY, f"it ends at {told.last_number}, and went to {world.truth.last_number}")
    return None


def _says(one: Invariant, says: str) -> Broken:
    return Broken(one.name, one.rule, says)
