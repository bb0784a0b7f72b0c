"""Reasons in words: a pen answers with a code word and one number, host and pen put both into a sentence with this."""

from dermalink_protocol.codewords import Reason
from dermalink_protocol.errors import sentence
from dermalink_protocol.units import quantity
from dermalink_protocol.wording import WORDING


def rule_of(reason: Reason | None) -> str:
    """The requirement behind a reason; empty where there is none."""
    return WORDING[reason].rule if reason is not None else ""


def explain(reason: Reason, limit: int = 0) -> str:
    """What a refusal says, in a sentence or two: why, the number `limit` (0 is none), the rule, what can be done."""
    wording = WORDING[reason]
    number = wording.number.format(quantity(limit, wording.unit)) if limit and wording.number else ""
    return sentence(wording.said, number, wording.rule, wording.advice)
