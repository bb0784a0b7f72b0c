"""Act two: five refusals, by the host, and by the pen against frames that no honest host sends."""

import asyncio
from typing import Final

from dermalink.demo import raw
from dermalink.demo.act import Act, write_plan
from dermalink.demo.hand import ScriptedPerson
from dermalink.display.units import um
from dermalink.errors import HostRefusal
from dermalink.outcome import Applied
from dermalink.pen import Pen
from dermalink.session import events
from dermalink.session.events import Event
from dermalink.session.loop import SessionLoop
from dermalink.session.passing import PassRunner
from dermalink.session.runner import plan_steps
from dermalink.session.tally import PassTally
from dermalink.session.words import Word
from dermalink_protocol.codewords import Reason
from dermalink_protocol.messages.refusal import Refused
from dermalink_protocol.reasons import explain
from dermalink_protocol.zones import Direction, Head, Zone

TOO_DEEP_UM: Final = 510
CAP_UM: Final = 250  # the nose's
TAG_READS: Final = 60  # a pen reads its head's tag at least twice a second
POLL_S: Final = 0.05
STEADY_READS: Final = 6  # 0.3 s; the seat of a simulated pen is open for 0.1 s when a head is changed
NO_TAG: Final = "00" * 8
DAYS_15_S: Final = 15 * 86_400
SHORT_PERCENT: Final = 5  # a pass that touched skin is used up, however short it was


async def play(act: Act) -> None:
    """One session with three short passes, and another one, 15 days later."""
    async with await act.connect() as pen:
        session_id = await _open(pen)
        await _too_deep(act, pen, session_id)
        await _three_passes(act, pen, session_id)
        await _fourth_pass(act, pen, session_id)
        await pen.close_session()
    act.stage.say("The head stays on, and 15 days go by for pen and host.", style="dim")
    await act.wait(DAYS_15_S)
    async with await act.connect() as pen:
        session_id = await _open(pen)
        await _both_refuse(act, pen, session_id, "a head that was used before", Reason.CARTRIDGE_USED)
        await _fit_long_head(act, pen)
        await _both_refuse(act, pen, session_id, "a cartridge with 1.0 mm needles", Reason.CARTRIDGE_OVER_CAP)
        await pen.close_session()
    truth = await act.simulator.truth()
    act.stage.result("the deepest puncture of this act", um(truth.deepest_um), good=0 < truth.deepest_um <= CAP_UM)


async def _fit_long_head(act: Act, pen: Pen) -> None:
    """Fit it, and wait until the pen has read its tag and goes on saying so: a head that is changed rattles."""
    before, steady = (await pen.look()).tag, 0
    await act.simulator.do("cartridge.fit", head="long", number=2)
    for _ in range(TAG_READS):
        steady = steady + 1 if (await pen.look()).tag not in (before, NO_TAG) else 0
        if steady == STEADY_READS:
            return
        await asyncio.sleep(POLL_S)


async def _open(pen: Pen) -> int:
    facts = await pen.look()
    outcome = await pen.apply(pen.gate.open_session())
    if isinstance(outcome, Applied):
        return outcome.reply.session_id
    raise HostRefusal(f"No session could be opened with {facts.serial_number}", Reason.WRONG_STATE)


async def _too_deep(act: Act, pen: Pen, session_id: int) -> None:
    await pen.look()
    by_host = _host_refuses(act, pen, "0.51 mm, by the host", TOO_DEEP_UM, Zone.CHIN, Reason.DEPTH_OVER_CAP)
    what = "0.51 mm, by the pen against a raw frame"
    by_pen = await _pen_refuses(act, pen, session_id, what, TOO_DEEP_UM, Zone.CHIN, Reason.DEPTH_OVER_CAP)
    act.stage.in_short("Refused: 0.51 mm, by the host.", good=by_host)
    act.stage.in_short("Refused: 0.51 mm, by the pen, in a raw frame that no host would send.", good=by_pen)


def _host_refuses(act: Act, pen: Pen, what: str, depth_um: int, zone: Zone, wanted: Reason) -> bool:
    try:
        pen.gate.prepare(zone=zone, direction=Direction.VERTICAL, depth_um=depth_um, rate_hz=100, speed_mm_s=40)
    except HostRefusal as refusal:
        return act.stage.result(what, str(refusal), good=refusal.reason is wanted)
    return act.stage.result(what, "the host took it", good=False)


async def _pen_refuses(
    act: Act, pen: Pen, session_id: int, what: str, depth_um: int, zone: Zone, *wanted: Reason
) -> bool:
    answer = await raw.prepare(pen, session_id, zone, Direction.VERTICAL, depth_um)
    if isinstance(answer, Refused):
        return act.stage.result(what, explain(answer.reason, answer.limit), good=answer.reason in wanted)
    return act.stage.result(what, "the pen took it", good=False)


async def _three_passes(act: Act, pen: Pen, session_id: int) -> None:
    plan = write_plan(act.folder, "vertical", "horizontal", "diagonal")

    def end_early(event: Event) -> None:
        if isinstance(event, events.Progress) and event.coverage_percent >= SHORT_PERCENT:
            person.words.say(Word.END)

    person = ScriptedPerson(act.simulator, end_early)
    loop = SessionLoop(person.words, person.show)
    loop.attach(pen)
    loop.listen()
    loop.session_id = session_id
    try:
        head = (await pen.look()).cartridge
        for step in plan_steps(plan):
            loop.forget_words()
            await PassRunner(loop, ask_ready=False).run(PassTally(step, Head(head.head), head.width_um))
    finally:
        await loop.close()
        await person.close()
    act.stage.say("Three short passes over the nose were made: vertical, horizontal, diagonal.", style="dim")


async def _fourth_pass(act: Act, pen: Pen, session_id: int) -> None:
    await pen.look()
    by_host = _host_refuses(act, pen, "a fourth pass, by the host", CAP_UM, Zone.NOSE, Reason.ZONE_FULL)
    what, reasons = "a fourth pass, by the pen against a raw frame", (Reason.ZONE_FULL, Reason.PASS_ALREADY_MADE)
    by_pen = await _pen_refuses(act, pen, session_id, what, CAP_UM, Zone.NOSE, *reasons)
    act.stage.in_short("Refused: a fourth pass over one zone, by both.", good=by_host and by_pen)


async def _both_refuse(act: Act, pen: Pen, session_id: int, what: str, wanted: Reason) -> None:
    await pen.look()
    by_host = _host_refuses(act, pen, f"{what}, by the host", CAP_UM, Zone.NOSE, wanted)
    against = f"{what}, by the pen against a raw frame"
    by_pen = await _pen_refuses(act, pen, session_id, against, CAP_UM, Zone.NOSE, wanted)
    act.stage.in_short(f"Refused: {what}, by both.", good=by_host and by_pen)
