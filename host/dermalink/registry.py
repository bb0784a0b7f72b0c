"""Which checked commands were issued, and what each is worth; the gate's back room, which only a pen holds.

Whatever goes out that raises exposure, or keeps it alive, was redeemed or vouched for in here: the connection asks.

A `Checked` is a ticket. What it stands for is kept in here, is checked once more when the ticket is redeemed, and is
redeemed once. So a forged, copied or changed ticket is worth nothing. What Python can't prevent is code that reaches
into private attributes, replaces functions, or writes bytes on a link of its own: against that the pen stands alone.
"""

from typing import Any, Final, NamedTuple

from dermalink.belief import Frame
from dermalink.checked import Checked
from dermalink.errors import HostRefusal
from dermalink.rules import Check, Facts
from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import TTL_MAX_MS
from dermalink_protocol.messages.therapy import RenewLease, TherapyCommand
from dermalink_protocol.schema import R, Request

TICKETS_MAX: Final = 64  # not redeemed; older ones lose their worth


class Plan(NamedTuple):
    """What a ticket stands for: the message's class, what has to hold, the fields, and the frame that it concerns."""

    kind: type[TherapyCommand[Any]]
    check: Check
    fields: dict[str, Any]
    frame: Frame | None


class Redeemed(NamedTuple):
    """A ticket's worth: the message as it goes out, and the frame that it concerns."""

    message: TherapyCommand[Any]
    frame: Frame | None


class Registry:
    """One connection's tickets; `look` tells it what is known of the pen."""

    def __init__(self) -> None:
        self._facts: Facts | None = None
        self._issued: dict[int, tuple[Checked[Any], Plan]] = {}
        self._admitted: list[Request[Any]] = []

    def look(self, facts: Facts) -> None:
        """What is known of the pen from now on."""
        self._facts = facts

    @property
    def facts(self) -> Facts:
        """What is known of the pen; raises `HostRefusal` when nothing is."""
        if self._facts is None:
            raise HostRefusal(
                "A command was refused",
                Reason.WRONG_STATE,
                limit="the pen was not looked at",
                advice="Await `pen.look()` first",
            )
        return self._facts

    def issue(self, plan: Plan) -> Checked[Any]:
        """A ticket for what was just checked."""
        ticket: Checked[Any] = object.__new__(Checked)
        self._issued[id(ticket)] = ticket, plan
        while len(self._issued) > TICKETS_MAX:
            del self._issued[next(iter(self._issued))]
        return ticket

    def redeem(self, ticket: Checked[R], *, command_id: int, seen_tick_ms: int) -> Redeemed:
        """The message that `ticket` stands for, checked against what is known now; raises `HostRefusal`.

        A ticket is redeemed once, by the gate that issued it, also when it is refused.
        """
        held = self._issued.pop(id(ticket), None)
        if held is None or held[0] is not ticket:
            raise HostRefusal(
                "A command was refused",
                Reason.OUT_OF_RANGE,
                rule="SR-DEPTH-8",
                limit="it is none that this pen's gate has checked, or it was sent before",
                advice="Make a new one with the pen's gate",
            )
        plan = held[1]
        facts = self.facts
        plan.check(facts)
        ttl_ms = min(int(TTL_MAX_MS), facts.hello.ttl_max_ms)
        message = plan.kind(command_id=command_id, ttl_ms=ttl_ms, seen_tick_ms=seen_tick_ms, **plan.fields)
        self._admitted.append(message)
        return Redeemed(message, plan.frame)

    def vouch(self, renewal: RenewLease) -> None:
        """A lease has earned this renewal."""
        self._admitted.append(renewal)

    def admit(self, message: Request[Any]) -> bool:
        """Whether this very object was redeemed or vouched for, and has not gone out; asked once for each."""
        for index, held in enumerate(self._admitted):
            if held is message:
                del self._admitted[index]
                return True
        return False
