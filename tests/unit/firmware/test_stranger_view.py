"""What a stranger is told of how the pen stands: of a symptom and of a plain stop exactly the same."""

from itertools import product
from typing import Any

import pytest

from dermalink_protocol.channels import STATUS_VALUE
from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.limits import INTERVAL_S
from dermalink_protocol.messages.identity import Status, StatusFlag
from dermalink_protocol.zones import Symptom
from dermalink_simulator.firmware import replies, stranger_view
from dermalink_simulator.pen import SimulatedPen
from tests.support import raw_pen as raw
from tests.support.raw_pen import RawClient, raw_pen, states
from tests.support.sealed_client import SealedClient, inside, owned_pen, owner_of

SYMPTOMS = [reason for reason in Reason if reason.name.startswith("SYMPTOM_")]
HEALTH = StatusFlag.SYMPTOM, StatusFlag.ADVICE_DUE, StatusFlag.SYMPTOM | StatusFlag.ADVICE_DUE, StatusFlag(0)
WAIT_S, LOCK_S = 1_000, 2_419_200
STATES = ["idle", "open", "prepared", "waiting", "armed", "running", "lifted", "paused", "self-test"]
KINDS = list(Symptom)
# What runs by itself, or is noisy: in each run a little different, as a write more takes its time.
RUNS = ("tick_ms", "lease_left_ms", "session_left_s", "utc_s", "force_mn", "wait_s")


def status(**fields: Any) -> Status:
    plain: dict[str, Any] = dict.fromkeys(Status.__annotations__, 0)
    return Status(**plain | {"state": State.OPEN, "reason": Reason.NONE, "flags": StatusFlag(0)} | fields)


@pytest.mark.sr("SR-DATA-1", "SR-SYM-1", side="pen")
@pytest.mark.parametrize("state", State)
def test_in_no_state_a_symptom_looks_like_anything_but_a_stop(state: State) -> None:
    for reason, health, measured in product(SYMPTOMS, HEALTH, (StatusFlag(0), *StatusFlag)):
        symptom = status(state=state, reason=reason, flags=health | measured, wait_s=LOCK_S)
        stop = status(state=state, reason=Reason.HOST_STOP, flags=measured, wait_s=WAIT_S)
        assert stranger_view.told(symptom, WAIT_S) == stranger_view.told(stop, WAIT_S)


@pytest.mark.sr("SR-DATA-1", "SR-STOP-6", side="pen")
@pytest.mark.parametrize("state", State)
def test_all_else_he_is_told_as_it_is_but_for_the_button(state: State) -> None:
    for reason, flag in product(set(Reason) - set(SYMPTOMS), StatusFlag):
        whole = status(state=state, reason=reason, flags=flag, wait_s=WAIT_S, depth_um=250, punctures=7)
        seen = stranger_view.told(whole, WAIT_S)
        assert (seen == whole) is (flag not in stranger_view.KEPT_FROM_HIM)
        assert (seen.reason, seen.depth_um, seen.punctures) == (reason, 250, 7)
        assert seen.flags == flag & ~(StatusFlag.SYMPTOM | StatusFlag.ADVICE_DUE | StatusFlag.BUTTON)


def client_in(name: str) -> RawClient:
    if name == "self-test":
        client = raw_pen()
        assert client.ask(raw.ON_COMMAND, raw.SELF_TEST, client.header()).reason == 0
        return client
    return next(client for state, client in states() if state == name)


def watched(pen: SimulatedPen, ms: int) -> list[tuple[Any, ...]]:
    """What a stranger sees who asks each millisecond: every status that is another than the one before."""
    seen: list[tuple[Any, ...]] = []
    for _ in range(ms):
        now = replies.status(inside(pen), to_stranger=True)
        assert now.wait_s <= INTERVAL_S
        news = tuple(getattr(now, name) for name in Status.__annotations__ if name not in RUNS)
        if seen[-1:] != [news]:
            seen.append(news)
        pen.advance(1)
    return seen


@pytest.mark.sr("SR-DATA-1", "SR-SYM-1", side="pen")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", STATES)
def test_who_watches_the_pen_sees_the_same_of_a_symptom_and_of_a_stop(name: str, kind: Symptom) -> None:
    seen = []
    for opcode, payload in ((raw.STOP, b""), (raw.SYMPTOM, bytes([kind]))):
        client = client_in(name)
        client.send(raw.ON_STOP, opcode, payload)
        seen.append(watched(client.pen, 300))
        assert (inside(client.pen).state.symptom_s != 0) is (opcode == raw.SYMPTOM)
    assert seen[0] == seen[1]


def while_living(client: RawClient, ms: int) -> list[tuple[Any, ...]]:
    """The same, while a host keeps its lease."""
    seen = []
    for _ in range(ms // 100):
        seen += watched(client.pen, 100)
        client.status()
        client.renew()
    return [news for at, news in enumerate(seen) if seen[at - 1 : at] != [news]]


@pytest.mark.sr("SR-DATA-1", "SR-SYM-1", "SR-STOP-6", side="pen")
@pytest.mark.parametrize("name", ["open", "prepared", "waiting", "armed", "running", "paused"])
def test_a_hold_looks_like_a_press_and_a_stop_later(name: str) -> None:
    seen = []
    for held_ms in (60, 4_000):
        client = client_in(name)
        client.status()
        client.renew()
        client.pen.button.press(held_ms)
        news = while_living(client, 2_900)
        if held_ms == 60:
            client.send(raw.ON_STOP, raw.STOP)
        news += while_living(client, 1_500)
        seen.append([each for at, each in enumerate(news) if news[at - 1 : at] != [each]])
        assert (inside(client.pen).state.symptom_s != 0) is (held_ms == 4_000)
    assert seen[0] == seen[1]


@pytest.mark.sr("SR-DATA-1", "SR-SYM-1", side="pen")
def test_neither_asking_nor_the_readable_value_shows_the_button_to_a_stranger() -> None:
    pen = owned_pen()
    owner, stranger = owner_of(pen), SealedClient(pen)
    pen.button.press(4_000)
    pen.advance(1_000)
    assert owner.status()["flags"] & StatusFlag.BUTTON
    for payload in (stranger.say(raw.ON_STATUS, raw.GET_STATUS).payload, pen.read_gatt(STATUS_VALUE)[4:]):
        assert not Status.decode(payload).flags & StatusFlag.BUTTON


@pytest.mark.sr("SR-DATA-1", "SR-SYM-1", side="pen")
@pytest.mark.parametrize("fails", [False, True])
def test_a_stranger_who_reports_one_finds_out_of_none_that_is_being_written(*, fails: bool) -> None:
    pen = owned_pen()
    owner, stranger = owner_of(pen), SealedClient(pen)
    if fails:
        pen.faults.inject("flash", "write_failure", operations=1_000)
    owner.send(raw.ON_STOP, raw.SYMPTOM, bytes([Symptom.BLEEDING]))
    assert inside(pen).symptoms.written < inside(pen).symptoms.said
    asked_ms = inside(pen).tick_ms
    assert stranger.say(raw.ON_STOP, raw.SYMPTOM, bytes([Symptom.PAIN])).opcode == raw.SYMPTOM_REPORTED
    assert inside(pen).tick_ms == asked_ms
