"""From a connected pen to an open session: the plan held against the pen, a self-test if one is due, then open."""

from dermalink.errors import HostRefusal, Refusal
from dermalink.pen import Pen
from dermalink.plan.load import Plan
from dermalink.rules import Facts
from dermalink.session.applying import apply
from dermalink.session.events import PassPlan, SelfTested, SessionOpened, SessionPlanned
from dermalink.session.left_open import open_already
from dermalink.session.loop import SessionLoop
from dermalink.session.preflight import check_plan
from dermalink.session.self_test import self_tested
from dermalink.session.upkeep import rested
from dermalink_protocol.codewords import Reason
from dermalink_protocol.zones import Head


async def open_session(loop: SessionLoop, plan: Plan, steps: tuple[PassPlan, ...]) -> None:
    """Open a session with the loop's pen. Raises a `Refusal`, `SelfTestFailed`, or what the link raises."""
    pen = loop.pen
    facts = await rested(pen)
    try:
        ticket = pen.gate.open_session(lease_ms=loop.lease_ms)
    except HostRefusal as refusal:
        if refusal.reason is Reason.WRONG_STATE and facts.status.session_id:
            raise await open_already(pen, facts.status.session_id, refusal) from None
        raise
    check_plan(facts, plan.steps)
    loop.show(_planned(pen, plan, steps, facts))
    try:
        opened = await apply(pen, ticket)
    except Refusal as refusal:
        if refusal.reason is not Reason.SELF_TEST_DUE:
            raise
        await _self_test(loop)
        await pen.look()
        opened = await apply(pen, pen.gate.open_session(lease_ms=loop.lease_ms))
    facts = await pen.look()
    loop.session_id = opened.session_id if opened is not None else facts.pen.session_id
    loop.take_status(facts.status)
    loop.show(SessionOpened(session_id=loop.session_id, lease_ms=int(loop.lease_ms)))


async def _self_test(loop: SessionLoop) -> None:
    pen = loop.pen
    await pen.look()
    await apply(pen, pen.gate.run_self_test())
    report = await self_tested(pen)
    loop.show(SelfTested(retraction_ms=report.retraction_ms, disagreement_um=report.disagreement_um))


def _planned(pen: Pen, plan: Plan, steps: tuple[PassPlan, ...], facts: Facts) -> SessionPlanned:
    version = facts.hello.firmware_version
    return SessionPlanned(
        plan=plan.source,
        url=pen.connection.link.url,
        serial_number=pen.serial_number,
        firmware=f"{version >> 16}.{version >> 8 & 0xFF}.{version & 0xFF}",
        head=Head(facts.cartridge.head).name.lower(),
        needles=facts.cartridge.needles,
        passes=steps,
    )
