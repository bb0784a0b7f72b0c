"""Refusals in words: a code word and a number become an error that names rule, limit and what a person can do."""

from typing import Any

from dermalink.errors import HostRefusal, PenRefusal
from dermalink_protocol.codewords import Reason
from dermalink_protocol.messages.refusal import Refused
from dermalink_protocol.schema import Effect, Request
from dermalink_protocol.units import quantity
from dermalink_protocol.wording import WORDING


def _number(reason: Reason, value: int) -> str:
    wording = WORDING[reason]
    return wording.number.format(quantity(value, wording.unit)) if value and wording.number else ""


def refusal_of(request: Request[Any], reply: Refused) -> PenRefusal:
    """What the pen's refusal of `request` means."""
    wording = WORDING[reply.reason]
    return PenRefusal(
        f"The pen refused {type(request).__name__}: {wording.said}",
        reply.reason,
        value=reply.limit,
        rule=wording.rule,
        limit=_number(reply.reason, reply.limit),
        advice=wording.advice,
    )


def not_admitted(request: Request[Any]) -> HostRefusal:
    """The host's own no to a plain request that raises exposure, or keeps it alive."""
    raises = request.effect is Effect.RAISES
    return HostRefusal(
        f"{type(request).__name__} was not sent",
        Reason.OUT_OF_RANGE,
        rule="SR-DEPTH-8" if raises else "SR-STOP-1",
        limit="what raises exposure goes only as a checked command" if raises else "renewals are earned",
        advice="Make it with the pen's gate and send it with `apply`" if raises else "Earn it with the pen's `lease`",
    )


def host_refusal(what: str, reason: Reason, value: int = 0, *, rule: str = "", because: str = "") -> HostRefusal:
    """The host's own no to `what`; `because` says more than the code word does, `rule` names another than its own."""
    wording = WORDING[reason]
    return HostRefusal(
        f"{what} was refused: {wording.said}",
        reason,
        value=value,
        rule=rule or wording.rule,
        limit=because or _number(reason, value),
        advice=wording.advice,
    )
