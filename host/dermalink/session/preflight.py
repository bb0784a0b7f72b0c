"""The whole plan against this pen and its head, before a session is opened."""

from dermalink import rules
from dermalink.errors import HostRefusal
from dermalink.plan.model import Step
from dermalink.refusals import host_refusal
from dermalink.rules import Facts
from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import BATTERY_START_PERCENT


class PlanRefused(HostRefusal):
    """One or more passes of a plan can't be made with this pen and this head; `refusals` has each by its number."""

    def __init__(self, refusals: dict[int, HostRefusal]) -> None:
        """`refusals` is not empty."""
        self.refusals = refusals
        first = next(iter(refusals.values()))
        numbers = ", ".join(map(str, refusals))
        passes = f"pass {numbers}" if len(refusals) == 1 else f"passes {numbers}"
        alike = {str(refusal): refusal for refusal in refusals.values()}
        if len(alike) == 1:
            refused = f"The plan's {passes} can't be made with this pen and head: {first.refused}"
            super().__init__(
                refused, first.reason, value=first.value, rule=first.rule, limit=first.limit, advice=first.advice
            )
            return
        said = "".join(f"\n  pass {number}: {refusal}" for number, refusal in refusals.items())
        super().__init__(f"The plan's {passes} can't be made with this pen and head:{said}", first.reason)


def check_plan(facts: Facts, steps: tuple[Step, ...]) -> None:
    """Raise `PlanRefused` with all that the gate would refuse later (SR-DEPTH-8, SR-PASS-6, SR-CART-2)."""
    refusals: dict[int, HostRefusal] = {}
    if facts.status.battery_percent < BATTERY_START_PERCENT:
        raise host_refusal("Starting", Reason.BATTERY_LOW, int(BATTERY_START_PERCENT))
    for number, step in enumerate(steps, start=1):
        try:
            rules.check_frame(facts, *step)
        except HostRefusal as refusal:
            refusals[number] = refusal
    if refusals:
        raise PlanRefused(refusals)
