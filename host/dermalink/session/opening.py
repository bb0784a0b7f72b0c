"""From a connected pen to an open session: the plan held against the pen, a self-test if one is due, then open."""

import contextlib
from typing import Final

from dermalink.errors import HostError, Refusal, Timeout
from dermalink.pen import Pen
from dermalink.plan.load import Plan
from dermalink.rules import Facts
from dermalink.session.events import PassPlan, SelfTested, SessionOpened, SessionPlanned
from dermalink.session.loop import SessionLoop
from dermalink.session.passing import apply
from dermalink.session.preflight import check_plan
from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.limits import LEASE_DEFAULT_MS
from dermalink_protocol.messages.identity import GetSelfTest
from dermalink_protocol.zones import Head

SELF_TEST_WITHIN_S: Final = 10.0  # the exercise takes a second, and a board's flash check a few
BOOTED_WITHIN_S: Final = 10.0
AT_REST: Final = (State.IDLE, State.FAULT, State.LOCKED, State.STOP_FAILED, State.OPEN)


class SelfTestFailed(HostError):
    """The pen's self-test did not pass; it is locked."""


async def open_session(loop: SessionLoop, plan: Plan, steps: tuple[PassPlan, ...]) -> None:
    """Open a session with the loop's pen. Raises a `Refusal`, `SelfTestFailed`, or what the link raises."""
    pen = loop.pen
    with contextlib.suppress(Timeout):  # then `look` tells how it stands, and the gate refuses
        await pen.wait_for(*AT_REST, within_s=BOOTED_WITHIN_S)
    facts = await pen.look()
    ticket = pen.gate.open_session()
    check_plan(facts, plan.steps)
    loop.show(_planned(pen, plan, steps, facts))
    try:
        opened = await apply(loop, ticket)
    except Refusal as refusal:
        if refusal.reason is not Reason.SELF_TEST_DUE:
            raise
        await _self_test(loop)
        await pen.look()
        opened = await apply(loop, pen.gate.open_session())
    facts = await pen.look()
    loop.session_id = opened.session_id if opened is not None else facts.pen.session_id
    loop.take_status(facts.status)
    loop.show(SessionOpened(session_id=loop.session_id, lease_ms=int(LEASE_DEFAULT_MS)))


async def _self_test(loop: SessionLoop) -> None:
    pen = loop.pen
    await pen.look()
    await apply(loop, pen.gate.run_self_test())
    await pen.wait_for(State.IDLE, State.FAULT, State.LOCKED, within_s=SELF_TEST_WITHIN_S)
    report = await pen.request(GetSelfTest())
    if report.failed:
        steps = ", ".join((step.name or "?").lower().replace("_", " ") for step in report.failed)
        raise SelfTestFailed(
            "The pen's self-test failed",
            rule="SR-POST-1",
            limit=f"these steps: {steps}",
            advice="Take the pen off the skin and switch it off and on; if it fails again, have it serviced",
        )
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
