"""What came of a command, as a table of the facts; and the belief over every history, against the truth."""

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import dermalink.belief
from dermalink.belief import Belief
from dermalink.journal import Entry
from dermalink.outcome import CHANGED_NOTHING, Answer, CommandFacts, PenFacts, Verdict, verdict
from dermalink.records import Intended, PassOver, Record, SessionOver, Settled
from dermalink.settling import facts_of
from dermalink_protocol.codewords import Opcode
from dermalink_protocol.zones import Direction, Zone

BEGIN, OPEN = int(Opcode.BEGIN_PASS), int(Opcode.OPEN_SESSION)
COMMAND = CommandFacts(boot_id=1, command_id=7, opcode=BEGIN, expires_tick=1_000, sent=True, answer=Answer.NONE)


def pen(boot_id: int = 1, tick_ms: int = 500, command_id: int = 6, opcode: int = OPEN) -> PenFacts:
    return PenFacts(boot_id, tick_ms, command_id, opcode)


@pytest.mark.sr("SR-UNC-1", side="host")
@pytest.mark.parametrize(
    ("command", "asked", "expected"),
    [
        (COMMAND._replace(answer=Answer.APPLIED), None, Verdict.APPLIED),
        (COMMAND._replace(answer=Answer.APPLIED), pen(boot_id=2), Verdict.APPLIED),
        (COMMAND._replace(answer=Answer.REFUSED), None, Verdict.REFUSED),
        (COMMAND._replace(answer=Answer.REFUSED), pen(command_id=7, opcode=BEGIN), Verdict.REFUSED),
        (COMMAND._replace(sent=False), None, Verdict.NOT_SENT),
        (COMMAND._replace(sent=False), pen(boot_id=2), Verdict.NOT_SENT),
        (COMMAND, None, Verdict.OPEN),
        (COMMAND, pen(command_id=7, opcode=BEGIN), Verdict.APPLIED),
        (COMMAND, pen(command_id=7, opcode=BEGIN, tick_ms=9_999), Verdict.APPLIED),
        (COMMAND, pen(command_id=7, opcode=OPEN), Verdict.NEVER_KNOWN),
        (COMMAND, pen(command_id=8, opcode=BEGIN), Verdict.NEVER_KNOWN),
        (COMMAND, pen(boot_id=2), Verdict.NEVER_KNOWN),
        (COMMAND, pen(boot_id=2, command_id=7, opcode=BEGIN), Verdict.NEVER_KNOWN),
        (COMMAND, pen(tick_ms=999), Verdict.OPEN),
        (COMMAND, pen(tick_ms=1_000), Verdict.OPEN),
        (COMMAND, pen(tick_ms=1_001), Verdict.NOT_APPLIED),
        (COMMAND, pen(tick_ms=1_001, command_id=0), Verdict.NOT_APPLIED),
        (COMMAND._replace(expires_tick=0xFFFF_FFFF), pen(tick_ms=0xFFFF_FFFE), Verdict.OPEN),
        (COMMAND._replace(expires_tick=0xFFFF_FFFF), pen(tick_ms=3), Verdict.NOT_APPLIED),
        (COMMAND._replace(expires_tick=5), pen(tick_ms=0xFFFF_FFFE), Verdict.OPEN),
    ],
)
def test_the_verdict_by_its_facts(command: CommandFacts, asked: PenFacts | None, expected: Verdict) -> None:
    assert verdict(command, asked) is expected


@pytest.mark.sr("SR-UNC-1", side="host")
@given(
    applied_at=st.one_of(st.none(), st.integers(0, 1_200)),
    asked_at=st.integers(0, 2_000),
    expires=st.integers(1, 1_000),
    answered=st.booleans(),
)
def test_what_is_said_to_be_not_applied_never_is_applied_after(
    applied_at: int | None, asked_at: int, expires: int, *, answered: bool
) -> None:
    """A pen applies only what has not expired; whenever it is asked, the verdict fits what truly came of it."""
    truly = applied_at is not None and applied_at <= expires
    known_when_asked = truly and applied_at is not None and applied_at <= asked_at
    command = COMMAND._replace(expires_tick=expires, answer=Answer.APPLIED if answered and truly else Answer.NONE)
    found = verdict(command, pen(tick_ms=asked_at, command_id=7 if known_when_asked else 6, opcode=BEGIN))
    if found is Verdict.APPLIED:
        assert truly
    if found in CHANGED_NOTHING:
        assert not truly


# The belief

PLACES = [(Zone.NOSE, Direction.VERTICAL), (Zone.NOSE, Direction.HORIZONTAL), (Zone.CHIN, Direction.VERTICAL)]
TAGS = ["aa", "bb"]
FATES = ["never sent", "lost", "refused", "applied", "applied, reply lost", "applied, then power lost"]


class Histories(RuleBasedStateMachine):
    """A host that journals, a pen that truly moves, and everything that may happen between them.

    `truth` is kept apart: the places whose passes touched skin in this session, the heads that were used, and whether
    skin was touched. After every step, and after every crash, what the journal's fold believes is at least that.
    """

    def __init__(self) -> None:
        super().__init__()
        self.journal: list[Entry] = []
        self.boot, self.session, self.last_id, self.last_opcode, self.tick = 1, 0, 0, 0, 0
        self.touched: set[tuple[int, int]] = set()
        self.used: set[str] = set()
        self.ever_touched = False
        self.running: tuple[int, int] | None = None
        self.belief = Belief()

    def keep(self, record: Record) -> int:
        entry = Entry(len(self.journal) + 1, record, "")
        self.journal.append(entry)
        self.belief.take(entry)
        return entry.number

    @property
    def pen(self) -> object:
        return self.belief.pen("P")

    def settled(self, number: int, found: Verdict, *, session_id: int = 0) -> None:
        self.keep(Settled(pen="P", utc_s=self.tick, intended=number, verdict=found.value, session_id=session_id))

    @initialize()
    def begin(self) -> None:
        self.open_session()

    @precondition(lambda self: self.session == 0 and not self.belief.pen("P").unsettled)
    @rule()
    def open_session(self) -> None:
        self.tick += 1
        self.last_id += 1
        number = self.keep(self.intended(OPEN))
        self.session += 1 + len(self.journal)
        self.last_opcode = OPEN
        self.touched.clear()
        self.settled(number, Verdict.APPLIED, session_id=self.session)

    def intended(self, opcode: int, place: tuple[int, int] = (0, 0), tag: str = "") -> Intended:
        return Intended(
            pen="P",
            utc_s=self.tick,
            boot_id=self.boot,
            session_id=self.session,
            command_id=self.last_id,
            opcode=opcode,
            expires_tick=self.tick + 500,
            zone=place[0],
            direction=place[1],
            tag=tag,
        )

    @precondition(lambda self: self.session and self.running is None and not self.belief.pen("P").unsettled)
    @rule(place=st.sampled_from(PLACES), tag=st.sampled_from(TAGS), fate=st.sampled_from(FATES), touches=st.booleans())
    def begin_pass(self, place: tuple[Zone, Direction], tag: str, fate: str, *, touches: bool) -> None:
        where = (int(place[0]), int(place[1]))
        if where in self.belief.pen("P").passes:
            return
        self.tick += 10
        self.last_id += 1
        number = self.keep(self.intended(BEGIN, where, tag))
        if fate == "never sent":
            self.settled(number, Verdict.NOT_SENT)
        elif fate == "refused":
            self.settled(number, Verdict.REFUSED)
        if fate.startswith("applied"):
            self.last_opcode, self.applied_id = BEGIN, self.last_id
            self.running = where
            if touches:
                self.touched.add(where)
                self.used.add(tag)
                self.ever_touched = True
        if fate == "applied":
            self.settled(number, Verdict.APPLIED)
        if fate == "applied, then power lost":
            self.power_lost()

    @precondition(lambda self: self.running is not None and not self.belief.pen("P").unsettled)
    @rule(told=st.booleans())
    def pass_ends(self, *, told: bool) -> None:
        """The host may learn that nothing was touched; it never learns so of a pass that was."""
        assert self.running is not None
        zone, direction = self.running
        touched = self.running in self.touched or not told
        self.keep(
            PassOver(
                pen="P", utc_s=self.tick, session_id=self.session, zone=zone, direction=direction, touched=touched,
                punctures=0, peak_depth_um=0, reason="",
            )
        )  # fmt: skip
        self.running = None

    @rule()
    def power_lost(self) -> None:
        self.boot += 1
        self.session = self.last_opcode = 0
        self.applied_id = 0
        self.running = None
        self.touched.clear()

    @rule(waited=st.booleans())
    def host_settles(self, *, waited: bool) -> None:
        if waited:
            self.tick += 600
        applied = getattr(self, "applied_id", 0)
        asked = PenFacts(self.boot, self.tick, applied, self.last_opcode)
        for number, intended in list(self.belief.pen("P").unsettled.items()):
            found = verdict(facts_of(intended), asked)
            if found is not Verdict.OPEN:
                self.settled(number, found)
        believed = self.belief.pen("P")
        if believed.session_id and believed.session_id != self.session and not believed.unsettled:
            self.keep(SessionOver(pen="P", utc_s=self.tick, session_id=believed.session_id))

    @rule()
    def host_crashes(self) -> None:
        self.belief = Belief(self.journal)

    @invariant()
    def believed_is_at_least_true(self) -> None:
        assert self.touched <= self.belief.pen("P").passes or self.belief.pen("P").session_id == 0
        if self.session:
            assert self.touched <= self.belief.pen("P").passes
        assert self.used <= self.belief.used_heads.keys()
        assert not self.ever_touched or self.belief.last_touch_utc_s > 0

    @invariant()
    def a_crash_changes_no_belief(self) -> None:
        again = Belief(self.journal)
        assert again.pen("P") == self.belief.pen("P")
        assert again.used_heads == self.belief.used_heads
        assert again.last_touch_utc_s == self.belief.last_touch_utc_s


TestHistories = pytest.mark.sr("SR-UNC-2", "SR-CART-1", "SR-INT-1", side="host")(Histories.TestCase)
TestHistories.settings = settings(max_examples=60, stateful_step_count=25)


@pytest.mark.sr("SR-UNC-2", side="host", twin=True)
def test_a_belief_that_forgets_what_is_unknown_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof's twin: with the unknown taken for "did not happen", the same histories break it."""
    forgiving = CHANGED_NOTHING | {Verdict.NEVER_KNOWN}
    monkeypatch.setattr(dermalink.belief, "CHANGED_NOTHING", forgiving)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Histories, settings=settings(max_examples=400, phases=[Phase.generate]))
