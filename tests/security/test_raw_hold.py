"""A hold of the pen's button is a symptom (SR-SYM-1): in every state, with a host or without, and when it is none."""

import struct

import pytest

from dermalink_protocol.channels import STATUS_VALUE
from dermalink_protocol.codewords import Reason, RecordKind, State
from dermalink_protocol.history import decode_record
from dermalink_protocol.history_entries import SymptomEntry
from dermalink_protocol.zones import Symptom
from dermalink_simulator.firmware.core import feed
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.therapy.events import Event, EventKind
from tests.support import raw_pen as raw
from tests.support.pairing_host import ON_PAIRING, PairedClient, PairingHost, press
from tests.support.raw_pen import RawClient, raw_pen, states
from tests.support.sealed_client import SealedClient, inside, owned_pen, owner_of

DAY_S = 86_400
LOCK_S = 28 * DAY_S
ADVICE_DUE, SYMPTOM_BARS = 2048, 1024
RELEASE_OWNER, OWNER_RELEASED = 0x391B, 0xE692
LET_GO_REPORTS, TAKEN, OPEN_FOR_PAIRING, ALARM = 10, 11, 9, 7
STATES = ["open", "prepared", "waiting", "armed", "running", "lifted", "paused"]


def symptoms(pen: SimulatedPen) -> list[SymptomEntry]:
    """Those that the history tells."""
    found = (decode_record(record) for record in inside(pen).store.history.records)
    return [entry for each in found if isinstance(entry := each.entry(), SymptomEntry)]


def taken(pen: SimulatedPen, session_id: int = 0) -> bool:
    """Whether the pen has taken a symptom of its button: locked, written down with its entry, all of it or nothing."""
    known = inside(pen)
    record, state = known.store.record, known.state
    if not (state.symptom_s or state.symptom or state.advice_due or record.lock_s or symptoms(pen)):
        return False
    assert LOCK_S - 90 <= state.symptom_s <= LOCK_S
    assert LOCK_S - 90 <= record.lock_s <= LOCK_S
    assert (state.advice_due, record.advice_due) == (1, 1)
    assert symptoms(pen) == [SymptomEntry(symptom=Symptom.UNSAID, by_owner=1, session_id=session_id)]
    return True


def held(pen: SimulatedPen, ms: int, then_ms: int = 200) -> None:
    """A hold from the press to the letting go, on a pen that rests, and a little time."""
    pen.button.press(ms)
    pen.advance(ms + then_ms)


def client_in(state: str) -> RawClient:
    return next(client for name, client in states() if name == state)


def rebooted(pen: SimulatedPen) -> RawClient:
    pen.hand.lift()
    pen.power.cut()
    pen.power.restore()
    pen.advance(1_000)
    client = RawClient(pen)
    client.hello()
    return client


@pytest.mark.sr("SR-SYM-1", "SR-STOP-6", side="pen")
@pytest.mark.parametrize("state", STATES)
def test_three_seconds_in_a_session_are_a_symptom(state: str) -> None:
    client = client_in(state)
    pen = client.pen
    client.status()
    client.renew()
    pen.button.hold()
    pen.advance(30)
    assert not pen.needles_out
    client.live(2_900)
    assert not taken(pen)
    client.live(200)
    assert taken(pen, client.session_id)
    assert inside(pen).state.symptom == 1
    assert pen.indicator.light == TAKEN
    assert not pen.needles_out
    status = client.status()
    assert status["flags"] & (SYMPTOM_BARS | ADVICE_DUE) == SYMPTOM_BARS | ADVICE_DUE
    assert status["state"] == raw.OPEN_STATE
    assert client.prepare().reason == Reason.SYMPTOM_LOCK
    pen.advance(60_000)
    pen.button.release()
    pen.advance(200)
    assert taken(pen, client.session_id)
    assert rebooted(pen).open().reason == Reason.SYMPTOM_LOCK


@pytest.mark.sr("SR-SYM-1", side="pen")
def test_the_sessions_owner_is_told_of_it_unasked() -> None:
    client = client_in("open")
    client.pen.button.hold()
    client.live(2_900)
    client.pump()
    client.notes.clear()
    client.live(200)
    told = [note for note in client.notes if note.opcode == raw.STATE_CHANGED]
    assert len(told) == 1
    *_, flags = struct.unpack("<HIHHH", told[0].payload)
    assert flags & (SYMPTOM_BARS | ADVICE_DUE) == SYMPTOM_BARS | ADVICE_DUE


@pytest.mark.sr("SR-SYM-1", "SR-STOP-6", side="pen")
def test_no_host_is_needed() -> None:
    client = client_in("running")
    session_id = client.session_id
    client.port.close()
    held(client.pen, 3_100)
    assert taken(client.pen, session_id)


@pytest.mark.sr("SR-SYM-1", side="pen")
@pytest.mark.parametrize("in_session", [True, False], ids=["in a session", "with none"])
def test_in_a_fault_it_counts(in_session: bool) -> None:
    client = client_in("paused" if in_session else "idle")
    pen = client.pen
    feed(inside(pen), Event(kind=EventKind.FAULT, reason=int(Reason.STALLED)))
    pen.advance(200)
    assert inside(pen).state.state == State.FAULT
    held(pen, 3_100)
    assert taken(pen, client.session_id)
    assert inside(pen).state.state == State.FAULT


@pytest.mark.sr("SR-SYM-1", side="pen")
def test_a_pen_that_can_be_handed_over_to_nobody_takes_it_at_three_seconds() -> None:
    client = client_in("running")
    pen, session_id = client.pen, client.session_id
    feed(inside(pen), Event(kind=EventKind.FAULT, reason=int(Reason.DEPTH_EXCEEDED)))
    pen.advance(500)
    assert inside(pen).state.state == State.LOCKED
    assert session_id
    pen.button.hold()
    pen.advance(3_100)
    assert taken(pen)
    pen.advance(10_000)
    assert PairingHost(pen).standing().window_s == 0


@pytest.mark.sr("SR-SYM-1", "SR-STOP-8", side="pen")
def test_an_alarm_goes_on_while_a_symptom_is_taken() -> None:
    client = client_in("running")
    pen = client.pen
    pen.faults.inject("drive", "stuck")
    pen.button.hold()
    pen.advance(3_100)
    assert inside(pen).state.state == State.STOP_FAILED
    assert inside(pen).state.symptom_s
    assert pen.indicator.light == ALARM


@pytest.mark.sr("SR-SYM-1", "SR-OWN-1", side="pen")
@pytest.mark.parametrize("owned", [False, True], ids=["nobody's", "owned"])
@pytest.mark.parametrize(
    ("ms", "becomes"),
    [(2_900, ""), (3_050, "symptom"), (9_900, "symptom"), (10_050, "hand-over"), (30_000, "hand-over")],
)
def test_with_no_session_it_is_a_symptom_or_the_hand_over_and_never_both(ms: int, becomes: str, owned: bool) -> None:
    pen = owned_pen() if owned else raw_pen().pen
    pen.button.press(ms)
    pen.advance(ms - 20)
    assert not taken(pen)
    assert (pen.indicator.light == LET_GO_REPORTS) is (becomes == "symptom")
    pen.advance(220)
    assert taken(pen) is (becomes == "symptom")
    assert (pen.indicator.light == TAKEN) is (becomes == "symptom")
    assert inside(pen).pairing.desk.hand_over == int(owned and becomes == "hand-over")
    pen.advance(5_000)
    assert pen.indicator.light != TAKEN


@pytest.mark.sr("SR-SYM-1", side="pen")
@pytest.mark.parametrize("slow_ms", [0, 2_000])
def test_it_outlives_a_loss_of_power_as_soon_as_the_light_says_so(slow_ms: int) -> None:
    pen = raw_pen().pen
    if slow_ms:
        pen.faults.inject("flash", "slow", ms=slow_ms)
    pen.button.press(4_000)
    pen.advance(4_000 + slow_ms)
    assert pen.indicator.light != TAKEN
    while pen.indicator.light != TAKEN:
        pen.advance(1)
    pen.faults.clear()
    client = rebooted(pen)
    assert taken(pen)
    assert client.open().reason == Reason.SYMPTOM_LOCK
    assert client.status()["flags"] & (SYMPTOM_BARS | ADVICE_DUE) == SYMPTOM_BARS | ADVICE_DUE


@pytest.mark.sr("SR-SYM-1", "SR-LOG-1", side="pen")
@pytest.mark.parametrize("again", [False, True], ids=["once", "again"])
def test_the_light_says_so_only_of_what_is_written(again: bool) -> None:
    pen = raw_pen().pen
    pen.faults.inject("flash", "write_failure", operations=1_000)
    for _ in range(1 + again):
        pen.button.press(4_000)
        for _ in range(450):
            pen.advance(10)
            assert pen.indicator.light != TAKEN
    assert inside(pen).state.fault == Reason.FLASH_FAILED
    assert inside(pen).state.symptom_s > LOCK_S - 90


@pytest.mark.sr("SR-SYM-1", "SR-LOG-1", side="pen")
def test_one_that_is_held_again_is_not_shown_before_the_first_is_written() -> None:
    pen = raw_pen().pen
    pen.faults.inject("flash", "slow", ms=10_000)
    for _ in range(2):
        held(pen, 4_000)
        assert inside(pen).symptoms.written < inside(pen).symptoms.said
        assert pen.indicator.light != TAKEN
    pen.advance(120_000)
    pen.faults.clear()
    held(pen, 4_000)
    assert pen.indicator.light == TAKEN


@pytest.mark.sr("SR-SYM-1", side="pen")
@pytest.mark.parametrize("ends_ms", [1_000, 5_000], ids=["before", "after"])
def test_a_hold_that_goes_on_past_the_sessions_end_counts_once(ends_ms: int) -> None:
    client = client_in("open")
    pen, session_id = client.pen, client.session_id
    pen.button.hold()
    client.live(ends_ms)
    client.ask(raw.ON_COMMAND, raw.CLOSE, struct.pack("<II32s", session_id, 0, raw.NO_HASH))
    pen.advance(20_000)
    assert inside(pen).state.session_id == 0
    pen.button.release()
    pen.advance(200)
    assert taken(pen, session_id if ends_ms > 3_000 else 0)
    assert PairingHost(pen).standing().window_s == 0


@pytest.mark.sr("SR-SYM-1", "SR-STOP-5", side="pen")
def test_a_button_that_is_stuck_or_held_from_power_up_reports_nothing() -> None:
    for lets_go_ms in (1_500, 8_000, 30_000):
        pen = raw_pen().pen
        pen.power.cut()
        pen.button.hold()
        pen.power.restore()
        pen.advance(lets_go_ms)
        pen.button.release()
        pen.advance(1_000)
        assert not taken(pen)
        assert (inside(pen).state.fault == Reason.BUTTON_STUCK) is (lets_go_ms > 2_000)
    pen = raw_pen().pen
    pen.power.cut()
    pen.faults.inject("button", "stuck")
    pen.power.restore()
    pen.advance(30_000)
    assert not taken(pen)
    assert inside(pen).state.fault == Reason.BUTTON_STUCK


def set_clock(client: RawClient, days: int) -> int:
    """Ask for a clock that is so many days and a minute ahead; the reason of a refusal, 0 if it is set."""
    wanted = struct.pack("<I", client.pen.clock.utc_s + days * DAY_S + 60)
    return client.ask(raw.ON_COMMAND, raw.SET_CLOCK, client.header() + wanted).reason


@pytest.mark.sr("SR-INT-2", side="pen")
def test_a_short_press_speaks_for_one_new_clock_and_for_ten_seconds() -> None:
    client = raw_pen()
    for after_ms, reason in ((9_000, 0), (10_300, Reason.CLOCK_JUMP_NEEDS_PRESS)):
        client.pen.button.press()
        client.pen.advance(after_ms)
        assert set_clock(client, 2) == reason
        assert set_clock(client, 2) == Reason.CLOCK_JUMP_NEEDS_PRESS
    assert not taken(client.pen)


@pytest.mark.sr("SR-INT-2", "SR-STOP-5", side="pen")
def test_a_button_that_is_stuck_from_power_up_speaks_for_no_clock() -> None:
    pen = raw_pen().pen
    pen.power.cut()
    pen.button.hold()
    pen.power.restore()
    pen.advance(1_500)
    client = RawClient(pen)
    client.hello()
    assert set_clock(client, 2) != 0
    pen.button.release()
    pen.advance(2_000)
    assert inside(pen).state.state == State.IDLE
    assert set_clock(client, 2) == Reason.CLOCK_JUMP_NEEDS_PRESS


def told_in(status: bytes) -> tuple[int, int, int]:
    """What a status tells of a person's health: its flags, its reason if that is a symptom, the time to wait."""
    (reason, flags) = struct.unpack_from("<HH", status, 6)
    (wait_s,) = struct.unpack_from("<I", status, len(status) - 11)
    return flags & (SYMPTOM_BARS | ADVICE_DUE), reason if reason == Reason.SYMPTOM_UNSAID else 0, wait_s


@pytest.mark.sr("SR-SYM-1", "SR-DATA-1", side="pen")
def test_a_stranger_is_not_told_of_it_and_the_owner_is() -> None:
    pen = owned_pen()
    owner, stranger = owner_of(pen), SealedClient(pen)
    owner.open()
    owner.start_pass()
    pen.button.press(4_000)
    owner.live(4_200)
    assert taken(pen, owner.session_id)
    flags, reason, wait_s = told_in(owner.ask(raw.ON_STATUS, raw.GET_STATUS).payload)
    assert (flags, reason) == (SYMPTOM_BARS | ADVICE_DUE, Reason.SYMPTOM_UNSAID)
    assert wait_s > LOCK_S - 90
    assert told_in(stranger.say(raw.ON_STATUS, raw.GET_STATUS).payload) == (0, 0, 0)
    assert told_in(pen.read_gatt(STATUS_VALUE)[4:]) == (0, 0, 0)


@pytest.mark.sr("SR-SYM-1", "SR-LOG-1", "SR-SEC-5", side="pen")
def test_holding_it_again_and_again_begins_the_lock_anew_and_fills_no_history() -> None:
    pen = raw_pen().pen
    for _ in range(20):
        held(pen, 4_000)
        assert pen.indicator.light == TAKEN
    assert taken(pen)
    kinds = [decode_record(record).kind for record in inside(pen).store.history.records]
    assert kinds.count(RecordKind.SYMPTOM) == 1


def sold_pen(profile: str) -> SimulatedPen:
    pen = SimulatedPen(profile)
    pen.advance(1_000)
    return pen


@pytest.mark.sr("SR-SYM-1", "SR-OWN-1", side="pen")
@pytest.mark.parametrize("profile", ["product", "boxed"])
@pytest.mark.parametrize("ms", [4_000, 9_900])
def test_a_pen_that_was_never_anybodys_nobody_locks_by_its_button(profile: str, ms: int) -> None:
    pen = sold_pen(profile)
    pen.button.press(ms)
    for _ in range(ms + 300):
        assert pen.indicator.light not in (LET_GO_REPORTS, TAKEN)
        pen.advance(1)
    assert not taken(pen)
    press(pen)
    host = PairingHost(pen)
    host.pair()
    owner = PairedClient(pen, host.private, host.keys)
    owner.connect()
    assert owner.open().opcode == raw.OPENED


@pytest.mark.sr("SR-SYM-1", "SR-STOP-6", side="pen")
def test_its_button_stops_it_all_the_same_and_opens_it_for_pairing() -> None:
    pen = SimulatedPen("product")
    while inside(pen).state.state != State.SELF_TEST:
        pen.advance(1)
    pen.advance(30)
    pen.button.press(4_000)
    pen.advance(30)
    assert inside(pen).state.reason == Reason.BUTTON
    pen.advance(4_500)
    assert not taken(pen)
    held(pen, 10_050)
    assert PairingHost(pen).standing().window_s


@pytest.mark.sr("SR-SYM-1", "SR-OWN-1", side="pen")
@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("without_power", [False, True])
def test_once_it_had_an_owner_a_hold_counts(*, released: bool, without_power: bool) -> None:
    pen = sold_pen("product")
    press(pen)
    host = PairingHost(pen)
    host.pair()
    if released:
        owner = PairedClient(pen, host.private, host.keys)
        owner.connect()
        assert owner.ask(ON_PAIRING, RELEASE_OWNER).opcode == OWNER_RELEASED
    if without_power:
        pen.power.cut()
        pen.power.restore()
        pen.advance(1_000)
    held(pen, 4_000)
    assert taken(pen)


@pytest.mark.sr("SR-SYM-1", side="pen")
@pytest.mark.parametrize("field", ["owners", "session_id"])
def test_a_pen_that_was_run_takes_it_whoever_its_ledger_names(field: str) -> None:
    pen = sold_pen("product")
    store, run = inside(pen).store, {field: 1}
    store.record = store.record._replace(**run)  # type: ignore[arg-type]
    held(pen, 4_000)
    assert taken(pen)
