"""The safety gate: the only maker of checked therapy commands.

What it refuses, `rules` says; what a checked command is worth, `registry` does. The gate issues tickets and nothing
else: to tell it of the pen, and to redeem, is the pen's alone.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from dermalink import rules
from dermalink.belief import Frame
from dermalink.checked import Checked
from dermalink.errors import HostRefusal
from dermalink.registry import Plan, Registry
from dermalink.rules import Facts
from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import LEASE_DEFAULT_MS
from dermalink_protocol.messages import therapy
from dermalink_protocol.messages.therapy import TherapyCommand
from dermalink_protocol.schema import R
from dermalink_protocol.zones import Direction, Zone


class Gate:
    """One connection's gate. Each call raises `HostRefusal`, or gives a command that `Pen.apply` sends."""

    def __init__(self, registry: Registry) -> None:
        """Tickets are written into `registry`."""
        self.__registry = registry

    @property
    def facts(self) -> Facts:
        """What is known of the pen; raises `HostRefusal` before it was looked at."""
        return self.__registry.facts

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
        return self.__registry.issue(Plan(kind, check, fields, frame))


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
