"""The safety gate: the only maker of checked therapy commands.

A `Checked` is a ticket. What it stands for is kept in here, is checked once more when the ticket is redeemed, and is
redeemed once. So a forged, copied or changed ticket is worth nothing. What Python can't prevent is code that reaches
into this object's own private dictionaries, replaces its functions, or writes bytes on a link of its own: against that
the pen stands alone.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, Generic, NamedTuple, NoReturn, TypeVar

from dermalink import rules
from dermalink.belief import Frame
from dermalink.errors import HostRefusal
from dermalink.rules import Facts
from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import LEASE_DEFAULT_MS, TTL_MAX_MS
from dermalink_protocol.messages import therapy
from dermalink_protocol.messages.therapy import TherapyCommand
from dermalink_protocol.schema import R, Request
from dermalink_protocol.zones import Direction, Zone

TICKETS_MAX: Final = 64  # not redeemed; older ones lose their worth

R_co = TypeVar("R_co", covariant=True)


class Checked(Generic[R_co]):
    """A therapy command that passed the gate; `Pen.apply` sends it, once. Only the gate makes one."""

    __slots__ = ("__weakref__",)

    def __init__(self, *_: object, **__: object) -> None:
        raise _forged("made")

    def __init_subclass__(cls, **_: Any) -> None:
        raise _forged("derived from")

    def __copy__(self) -> NoReturn:
        raise _forged("copied")

    def __deepcopy__(self, _: Any) -> NoReturn:
        raise _forged("copied")

    def __reduce_ex__(self, _: Any) -> NoReturn:
        raise _forged("pickled")

    def __replace__(self, **_: Any) -> NoReturn:
        raise _forged("changed")


def _forged(how: str) -> HostRefusal:
    return HostRefusal(
        f"A checked command cannot be {how}",
        Reason.OUT_OF_RANGE,
        rule="SR-DEPTH-8",
        limit="only the pen's gate makes one",
        advice="Ask `pen.gate`",
    )


class Plan(NamedTuple):
    """What a ticket stands for: the message's class, what has to hold, the fields, and the frame that it concerns."""

    kind: type[TherapyCommand[Any]]
    check: rules.Check
    fields: dict[str, Any]
    frame: Frame | None


class Redeemed(NamedTuple):
    """A ticket's worth: the message as it goes out, and the frame that it concerns."""

    message: TherapyCommand[Any]
    frame: Frame | None


class Gate:
    """One connection's gate; `look` tells it what is known of the pen."""

    def __init__(self) -> None:
        self.__facts: Facts | None = None
        self.__issued: dict[int, tuple[Checked[Any], Plan]] = {}
        self.__admitted: list[Request[Any]] = []

    def look(self, facts: Facts) -> None:
        """What is known of the pen from now on."""
        self.__facts = facts

    @property
    def facts(self) -> Facts:
        """What is known of the pen; raises `HostRefusal` when nothing is."""
        if self.__facts is None:
            raise HostRefusal(
                "A command was refused",
                Reason.WRONG_STATE,
                limit="the pen was not looked at",
                advice="Await `pen.look()` first",
            )
        return self.__facts

    # Making tickets. Each raises `HostRefusal`.

    def open_session(self, *, lease_ms: int = LEASE_DEFAULT_MS) -> Checked[therapy.SessionOpened]:
        """Open a session with a lease of `lease_ms`; the host's last record goes with it (SR-LOG-1)."""
        facts = self.facts
        lease = rules.check_open_session(facts, lease_ms)
        fields: dict[str, Any] = {"boot_id": facts.hello.boot_id, "lease_ms": lease}
        fields |= {"record_number": facts.record_number, "record_hash": facts.record_hash}
        return self.__issue(therapy.OpenSession, lambda now: _same(rules.check_open_session(now, lease), lease), fields)

    def adopt_session(self, session_id: int, *, lease_ms: int = LEASE_DEFAULT_MS) -> Checked[therapy.SessionAdopted]:
        """Take over the pen's open session, disarmed."""
        found = rules.check_adopt_session(self.facts, session_id, lease_ms)
        fields = {"session_id": found[0], "lease_ms": found[1]}
        return self.__issue(
            therapy.AdoptSession, lambda now: _same(rules.check_adopt_session(now, *found), found), fields
        )

    def prepare(
        self, *, zone: Zone, direction: Direction, depth_um: int, rate_hz: int, speed_mm_s: int
    ) -> Checked[therapy.Prepared]:
        """Prepare one frame with the seated head (SR-DEPTH-8)."""
        facts = self.facts
        build = partial(rules.check_frame, facts, zone, direction, depth_um, rate_hz, speed_mm_s)
        frame = rules.check_prepare(facts, build)
        fields: dict[str, Any] = frame._asdict()
        del fields["frame_id"], fields["tag"]
        fields |= {"session_id": facts.pen.session_id, "tag_id": bytes.fromhex(frame.tag)}

        def check(now: Facts) -> None:
            anew = partial(
                rules.check_frame, now, frame.zone, frame.direction, frame.depth_um, frame.rate_hz, frame.speed_mm_s
            )
            _same(rules.check_prepare(now, anew), frame)
            _same(now.pen.session_id, fields["session_id"])

        return self.__issue(therapy.Prepare, check, fields, frame)

    def begin_pass(self) -> Checked[therapy.PassBegun]:
        """The host's word that the prepared frame may run; the pen waits for a press then (SR-STOP-5)."""
        facts = self.facts
        frame = rules.check_begin_pass(facts)
        fields = {"session_id": facts.pen.session_id, "frame_id": frame.frame_id}
        return self.__issue(therapy.BeginPass, lambda now: _same(rules.check_begin_pass(now), frame), fields, frame)

    def resume_pass(self) -> Checked[therapy.PassResumed]:
        """Go on with the paused pass; the pen waits for a press then (SR-PASS-2, SR-STOP-5)."""
        facts = self.facts
        frame = rules.check_resume_pass(facts)
        fields = {"session_id": facts.pen.session_id}
        return self.__issue(therapy.ResumePass, lambda now: _same(rules.check_resume_pass(now), frame), fields, frame)

    def acknowledge_fault(self, fault: Reason) -> Checked[therapy.FaultAcknowledged]:
        """Ask to clear the latched fault, by its name."""
        name = rules.check_acknowledge_fault(self.facts, fault)

        def check(now: Facts) -> None:
            rules.check_acknowledge_fault(now, name)

        return self.__issue(therapy.AcknowledgeFault, check, {"fault": name})

    def run_self_test(self) -> Checked[therapy.SelfTestStarted]:
        """Run the self-test (SR-POST-1)."""
        rules.check_self_test(self.facts)
        return self.__issue(therapy.RunSelfTest, rules.check_self_test, {})

    def set_clock(self, utc_s: int) -> Checked[therapy.ClockSet]:
        """Set the pen's clock, in seconds since 1970 UTC; no wait becomes shorter by it (SR-INT-2)."""
        wanted = rules.check_set_clock(self.facts, utc_s)
        return self.__issue(
            therapy.SetClock, lambda now: _same(rules.check_set_clock(now, wanted), wanted), {"utc_s": wanted}
        )

    def __issue(
        self,
        kind: type[TherapyCommand[R]],
        check: Callable[[Facts], None],
        fields: dict[str, Any],
        frame: Frame | None = None,
    ) -> Checked[R]:
        ticket: Checked[R] = object.__new__(Checked)
        self.__issued[id(ticket)] = ticket, Plan(kind, check, fields, frame)
        while len(self.__issued) > TICKETS_MAX:
            del self.__issued[next(iter(self.__issued))]
        return ticket

    # Redeeming them

    def redeem(self, ticket: Checked[R], *, command_id: int, seen_tick_ms: int) -> Redeemed:
        """The message that `ticket` stands for, checked against what is known now; raises `HostRefusal`.

        A ticket is redeemed once, by the gate that issued it, also when it is refused.
        """
        held = self.__issued.pop(id(ticket), None)
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
        self.__admitted.append(message)
        return Redeemed(message, plan.frame)

    def admit(self, message: Request[Any]) -> bool:
        """Whether this very object was redeemed and has not gone out; asked by the connection, once for each."""
        for index, held in enumerate(self.__admitted):
            if held is message:
                del self.__admitted[index]
                return True
        return False


def _same(now: object, then: object) -> None:
    """What was checked and what would be checked now are one."""
    if now != then:
        raise HostRefusal(
            "A command was refused",
            Reason.FRAME_CHANGED,
            rule="SR-DEPTH-8",
            limit="the pen or its head has changed since it was checked",
            advice="Look at the pen and make it anew",
        )
