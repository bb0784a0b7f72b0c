"""Waiting for the pen's self-test, and whether it passed (SR-POST-1)."""

from typing import Final

from dermalink.errors import HostError
from dermalink.pen import Pen
from dermalink_protocol.codewords import State
from dermalink_protocol.messages.identity import GetSelfTest, SelfTestReport

SELF_TEST_WITHIN_S: Final = 10.0  # the exercise takes a second, and a board's flash check a few
DONE: Final = (State.IDLE, State.FAULT, State.LOCKED)


class SelfTestFailed(HostError):
    """The pen's self-test did not pass; it takes no session."""


async def self_tested(pen: Pen) -> SelfTestReport:
    """The report of the self-test that runs now. Raises `SelfTestFailed`, `Timeout`, or what the link raises."""
    await pen.wait_for(*DONE, within_s=SELF_TEST_WITHIN_S)
    report = await pen.request(GetSelfTest())
    if report.failed:
        steps = ", ".join((step.name or "?").lower().replace("_", " ") for step in report.failed)
        raise SelfTestFailed(
            "The pen's self-test failed",
            rule="SR-POST-1",
            limit=f"these steps: {steps}",
            advice="Take the pen off the skin and switch it off and on; if it fails again, have it serviced",
        )
    return report
