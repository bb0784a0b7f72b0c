"""The pairing desk: its limits one by one, every way through it, and the walk that finds each planted mistake."""

from collections.abc import Callable

import pytest

from dermalink_protocol.limits import PAIR_BARRED_MAX_S
from dermalink_simulator.firmware import owner_desk
from dermalink_simulator.firmware.owner_desk import Desk, DeskEvent, EventKind, Stage, Verdict, bar_s, desk_step
from tests.unit.firmware.desk_walk import Step, walk

PRESS, HELD = DeskEvent(EventKind.PRESS, ok=1), DeskEvent(EventKind.HELD)
ONE, OTHER = 1, 2


def tick(ms: int, *, idle: int = 1) -> DeskEvent:
    return DeskEvent(EventKind.TICK, idle, dt_ms=ms)


def tried(port: int = ONE) -> DeskEvent:
    return DeskEvent(EventKind.TRY, port=port)


def written(ok: int = 1) -> DeskEvent:
    return DeskEvent(EventKind.WRITTEN, ok=ok)


def confirmed(port: int = ONE, ok: int = 1) -> DeskEvent:
    return DeskEvent(EventKind.CONFIRM, port=port, ok=ok)


def go(desk: Desk, *events: DeskEvent) -> tuple[Desk, list[Verdict]]:
    verdicts = []
    for event in events:
        desk, verdict = desk_step(desk, event)
        verdicts.append(verdict)
    return desk, verdicts


def wrong(desk: Desk, times: int) -> Desk:
    for _ in range(times):
        desk, verdicts = go(desk, tried(), written(), confirmed(ok=0))
        assert verdicts == [Verdict.COUNT, Verdict.ANSWER, Verdict.FAILED]
    return desk


@pytest.mark.sr("SR-SEC-2", side="pen")
@pytest.mark.parametrize(("ms", "verdict"), [(59_999, Verdict.TELL_TERMS), (60_000, Verdict.SHUT)])
def test_a_press_opens_a_pen_without_an_owner_for_60_s(ms: int, verdict: Verdict) -> None:
    assert go(Desk(), DeskEvent(EventKind.TERMS, port=ONE))[1] == [Verdict.SHUT]
    desk, _ = go(Desk(), PRESS, tick(1_000), tick(ms - 1_000))
    assert go(desk, DeskEvent(EventKind.TERMS, port=ONE))[1] == [verdict]


@pytest.mark.sr("SR-SEC-2", side="pen")
def test_the_code_is_to_be_confirmed_within_the_window_as_well() -> None:
    desk, _ = go(Desk(), PRESS, tick(59_000), tried(), written(), tick(1_000))
    assert go(desk, confirmed())[1] == [Verdict.SHUT]
    assert desk.wrong == 1


@pytest.mark.sr("SR-OWN-1", side="pen")
@pytest.mark.parametrize(("events", "opens"), [([PRESS], 0), ([PRESS, HELD], 1), ([PRESS, HELD._replace(idle=0)], 0)])
def test_a_hold_opens_an_owned_pen_that_rests_and_a_press_does_not(events: list[DeskEvent], opens: int) -> None:
    desk, _ = go(Desk(owned=1), *events)
    assert (desk.window_ms, desk.hand_over) == (60_000 * opens, opens)
    assert go(desk, DeskEvent(EventKind.TERMS, port=ONE))[1] == [Verdict.TELL_TERMS if opens else Verdict.OWNED]


@pytest.mark.sr("SR-OWN-1", "SR-SEC-2", side="pen")
def test_where_a_fault_stands_a_hold_opens_and_a_press_does_not() -> None:
    for owned in (0, 1):
        desk, _ = go(Desk(owned=owned), PRESS._replace(ok=0))
        assert not desk.window_ms
        desk, _ = go(desk, HELD)
        assert (desk.window_ms, desk.hand_over) == (60_000, owned)


@pytest.mark.sr("SR-SEC-2", side="pen")
def test_three_wrong_codes_shut_the_window_and_each_bar_is_twice_the_last() -> None:
    desk, told = Desk(), []
    for _ in range(15):
        desk, _ = go(desk, PRESS)
        desk = wrong(desk, 3)
        told.append(desk.barred_s)
        assert desk.window_ms == 0
        assert desk.bar_due == 1
        desk, verdicts = go(desk, PRESS, HELD, DeskEvent(EventKind.TERMS, port=ONE), tried())
        assert (desk.window_ms, verdicts[2:]) == (0, [Verdict.BARRED, Verdict.BARRED])
        desk, _ = go(desk, DeskEvent(EventKind.RAN, seconds=desk.barred_s - 1), PRESS)
        assert desk.window_ms == 0
        desk, _ = go(desk, DeskEvent(EventKind.RAN, seconds=1))
    assert told == [600 << at for at in range(13)] + [PAIR_BARRED_MAX_S] * 2


@pytest.mark.sr("SR-SEC-2", side="pen")
def test_a_count_that_goes_no_further_bars_at_each_try() -> None:
    desk, _ = go(Desk(wrong=0xFFFE), PRESS)
    desk = wrong(desk, 1)
    assert (desk.wrong, desk.barred_s) == (0xFFFF, PAIR_BARRED_MAX_S)
    desk, _ = go(desk, DeskEvent(EventKind.RAN, seconds=desk.barred_s), PRESS)
    desk = wrong(desk, 1)
    assert (desk.wrong, desk.barred_s, desk.window_ms) == (0xFFFF, PAIR_BARRED_MAX_S, 0)


@pytest.mark.sr("SR-SEC-2", side="pen")
@pytest.mark.parametrize("before", [0, 1, 2, 5])
def test_a_right_code_takes_wrong_ones_and_bar_back_also_in_the_last_try(before: int) -> None:
    desk, _ = go(Desk(wrong=before), PRESS, tried(), written())
    desk, verdicts = go(desk, confirmed(), DeskEvent(EventKind.TAKEN, ok=1))
    assert verdicts == [Verdict.TAKE, Verdict.PAIRED]
    assert desk == Desk(owned=1)


@pytest.mark.sr("SR-SEC-2", side="pen")
def test_an_answer_is_a_try_whether_the_host_comes_back_or_not() -> None:
    gone = DeskEvent(EventKind.GONE, port=ONE)
    desk, verdicts = go(Desk(), PRESS, tried(), gone, written(), tried(), written(), gone, tried(), written(), gone)
    assert verdicts.count(Verdict.ANSWER) == 2
    assert (desk.wrong, desk.barred_s, desk.window_ms, desk.run) == (3, 600, 0, 0)


@pytest.mark.sr("SR-SEC-2", side="pen")
def test_one_run_at_a_time_by_one_port() -> None:
    desk, _ = go(Desk(), PRESS, tried())
    assert go(desk, tried(OTHER))[1] == [Verdict.BUSY]
    assert go(desk, tried())[1] == [Verdict.BUSY]
    desk, _ = go(desk, written())
    other, verdicts = go(desk, tried(OTHER), confirmed(OTHER), DeskEvent(EventKind.GONE, port=OTHER))
    assert verdicts[:2] == [Verdict.BUSY, Verdict.BUSY]
    assert other == desk
    assert go(other, confirmed())[1] == [Verdict.TAKE]


@pytest.mark.sr("SR-SEC-2", "SR-OWN-1", side="pen")
@pytest.mark.parametrize(("ms", "verdict"), [(5_999, Verdict.BUSY), (6_000, Verdict.COUNT)])
def test_an_answer_that_nobody_confirms_keeps_others_out_for_6_s(ms: int, verdict: Verdict) -> None:
    desk, _ = go(Desk(), PRESS, tried(), written(), tick(1_000), tick(ms - 1_000))
    other, verdicts = go(desk, tried(OTHER))
    assert verdicts == [verdict]
    assert go(desk, confirmed())[1] == [Verdict.TAKE]  # as long as no other has begun
    if verdict is Verdict.COUNT:
        assert other.wrong == 2
        other, verdicts = go(other, confirmed(), written(), confirmed(), confirmed(OTHER))
        assert verdicts == [Verdict.BUSY, Verdict.ANSWER, Verdict.BUSY, Verdict.TAKE]


def test_a_try_that_can_not_be_written_down_is_not_answered_and_stays_counted() -> None:
    desk, verdicts = go(Desk(), PRESS, tried(), written(0))
    assert verdicts[-1] is Verdict.FAILED
    assert (desk.wrong, desk.stage, desk.run) == (1, Stage.NONE, 0)


@pytest.mark.sr("SR-SEC-2", "SR-OWN-1", side="pen")
@pytest.mark.parametrize("event", [tried(), confirmed(), DeskEvent(EventKind.TERMS, port=ONE)])
def test_a_session_ends_all_of_it(event: DeskEvent) -> None:
    desk, _ = go(Desk(), PRESS, tried(), written())
    after, verdicts = go(desk, event._replace(idle=0))
    assert (verdicts[-1], after.window_ms, after.stage) == (Verdict.SHUT, 0, Stage.NONE)


def test_only_an_owner_can_be_released_and_only_at_rest() -> None:
    release = DeskEvent(EventKind.RELEASE, port=ONE)
    assert go(Desk(), release)[1] == [Verdict.NO_OWNER]
    assert go(Desk(owned=1), release._replace(idle=0))[1] == [Verdict.WRONG_STATE]
    desk, verdicts = go(Desk(owned=1, wrong=4, barred_s=9), release, release, DeskEvent(EventKind.RELEASED, ok=1))
    assert verdicts == [Verdict.RELEASE, Verdict.BUSY, Verdict.RELEASED]
    assert desk == Desk(wrong=4, barred_s=9)


@pytest.mark.sr("SR-SEC-2", "SR-OWN-1", side="pen", kind="proof")
def test_every_way_through_the_desk_keeps_the_rules() -> None:
    assert walk(desk_step) > 10_000


# Planted mistakes: what the desk does instead at one kind of event.

Mistake = Callable[[Desk, DeskEvent], tuple[Desk, Verdict]]


def not_counted(desk: Desk, event: DeskEvent) -> tuple[Desk, Verdict]:
    """A try that the host walks away from is given back."""
    after, verdict = desk_step(desk, event)
    vanished = desk.stage == Stage.ANSWERED and desk.run == event.port
    return (after._replace(wrong=desk.wrong - 1, barred_s=0, bar_due=0), verdict) if vanished else (after, verdict)


def answered_before_written(desk: Desk, event: DeskEvent) -> tuple[Desk, Verdict]:
    after, verdict = desk_step(desk, event)
    return (after._replace(stage=int(Stage.ANSWERED)), Verdict.ANSWER) if verdict is Verdict.COUNT else (after, verdict)


def not_barred(desk: Desk, event: DeskEvent) -> tuple[Desk, Verdict]:
    after, verdict = desk_step(desk, event)
    return (after._replace(barred_s=0) if verdict is Verdict.COUNT else after), verdict


def opened_while_barred(desk: Desk, event: DeskEvent) -> tuple[Desk, Verdict]:
    after, verdict = desk_step(desk._replace(barred_s=0), event)
    return after, verdict


def replaced_by_a_press(desk: Desk, event: DeskEvent) -> tuple[Desk, Verdict]:
    return desk_step(desk, event)[0]._replace(window_ms=60_000 * event.idle, hand_over=desk.owned), Verdict.NOTHING


def opened_by_a_hold_in_a_session(desk: Desk, event: DeskEvent) -> tuple[Desk, Verdict]:
    return desk_step(desk, event._replace(idle=1))


def never_shut(desk: Desk, event: DeskEvent) -> tuple[Desk, Verdict]:
    return desk_step(desk, event)[0]._replace(window_ms=desk.window_ms), Verdict.NOTHING


def shut_by_no_session(desk: Desk, event: DeskEvent) -> tuple[Desk, Verdict]:
    return desk_step(desk, event._replace(idle=1))


def taken_from_anybody(desk: Desk, event: DeskEvent) -> tuple[Desk, Verdict]:
    return desk_step(desk, event._replace(port=desk.run or event.port))


def taken_whatever_the_code(desk: Desk, event: DeskEvent) -> tuple[Desk, Verdict]:
    return desk_step(desk, event._replace(ok=1))


def run_forgotten_while_written(desk: Desk, event: DeskEvent) -> tuple[Desk, Verdict]:
    after, verdict = desk_step(desk, event)
    return after._replace(stage=int(Stage.NONE)) if after.stage == Stage.GIVEN_UP else after, verdict


def turn_never_over(desk: Desk, event: DeskEvent) -> tuple[Desk, Verdict]:
    after, verdict = desk_step(desk, event)
    return after._replace(run_ms=desk.run_ms if after.stage == Stage.ANSWERED else after.run_ms), verdict


def turn_over_at_once(desk: Desk, event: DeskEvent) -> tuple[Desk, Verdict]:
    return desk_step(desk._replace(run_ms=0), event)


def released_in_a_session(desk: Desk, event: DeskEvent) -> tuple[Desk, Verdict]:
    return desk_step(desk, event._replace(idle=1))


PLANTED: list[tuple[EventKind, Mistake]] = [
    (EventKind.GONE, not_counted),
    (EventKind.TRY, answered_before_written),
    (EventKind.TRY, not_barred),
    (EventKind.TRY, opened_while_barred),
    (EventKind.PRESS, replaced_by_a_press),
    (EventKind.HELD, opened_by_a_hold_in_a_session),
    (EventKind.TICK, never_shut),
    (EventKind.WRITTEN, shut_by_no_session),
    (EventKind.CONFIRM, shut_by_no_session),
    (EventKind.CONFIRM, taken_from_anybody),
    (EventKind.CONFIRM, taken_whatever_the_code),
    (EventKind.GONE, run_forgotten_while_written),
    (EventKind.TICK, turn_never_over),
    (EventKind.TRY, turn_over_at_once),
    (EventKind.RELEASE, released_in_a_session),
]


def with_mistake(at: EventKind, mistake: Mistake) -> Step:
    return lambda desk, event: mistake(desk, event) if event.kind is at else desk_step(desk, event)


@pytest.mark.sr("SR-SEC-2", "SR-OWN-1", side="pen", kind="proof", twin=True)
@pytest.mark.parametrize(("at", "mistake"), PLANTED, ids=lambda value: getattr(value, "__name__", None))
def test_the_walk_finds_each_planted_mistake(at: EventKind, mistake: Mistake) -> None:
    with pytest.raises(AssertionError, match=r"let in|answer|taken|released|second write|written down|turn"):
        walk(with_mistake(at, mistake))


@pytest.mark.sr("SR-SEC-2", side="pen", twin=True)
def test_a_bar_that_does_not_double_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bar_s(6) == 2 * bar_s(3)
    monkeypatch.setattr(owner_desk, "bar_s", lambda _wrong: 600)
    with pytest.raises(AssertionError):
        test_three_wrong_codes_shut_the_window_and_each_bar_is_twice_the_last()
