"""The pen's owner comes and goes: the desk's verdicts carried out, tries and owners written down, hosts answered.

A step whose answer needs a write is answered once that is on the flash: the second by a try (an answer is a try, so it
is counted first), the third by the new owner. A lost last answer can be had again with the same third step, on any
connection, until the power goes; after that the hand-over is the way: a hold of the button, and the same code.

The arithmetic takes a small processor a second or so, and is done only while the pen is idle: there is nothing then
that Stop, lease or monitor could be late for (SR-SEC-5), and it is done once or twice a try.

Whatever comes and goes, ledger, locks, waits and history stay as they are (SR-RST-1). Owners and bars stand in the
history, in room of their own (`history_store`); without room left there, nobody is paired.
"""

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from dermalink_protocol.codewords import Reason, RecordKind, State
from dermalink_protocol.history_entries import (
    Entry,
    OwnerPairedEntry,
    OwnerReleasedEntry,
    PairingBarredEntry,
    WrongCodesEntry,
)
from dermalink_protocol.limits import TTL_MAX_MS
from dermalink_protocol.messages import owner
from dermalink_protocol.pairing.errors import PairingError
from dermalink_protocol.schema import Message
from dermalink_protocol.sealing.keys import KEY_BYTES
from dermalink_simulator.firmware import bonding, disclosure, effects
from dermalink_simulator.firmware.access import end_channels
from dermalink_simulator.firmware.flash_store import Transaction
from dermalink_simulator.firmware.hold import may_hand_over
from dermalink_simulator.firmware.identity import FIRMWARE_VERSION
from dermalink_simulator.firmware.inside import Inside
from dermalink_simulator.firmware.owner_desk import Desk, DeskEvent, EventKind, Stage, Verdict, bar_s, desk_step, quiet
from dermalink_simulator.firmware.owner_record import OwnerRecord
from dermalink_simulator.firmware.pairing_state import LastWord
from dermalink_simulator.firmware.ports import Port
from dermalink_simulator.firmware.replies import refused

if TYPE_CHECKING:
    from dermalink_simulator.firmware.pairing_run import Run

# Steps and what each carries, as `pairing.steps` has them, which loads the curve: no stranger makes a pen that works do
# that, so nothing here imports it before the desk has let somebody in (a test compares).
DERIVE, SHARE, CONFIRM = 1, 2, 3
CARRIES: Final = {DERIVE: 0, SHARE: 16 + 65, CONFIRM: 32 + 48}
DRAWN_BYTES: Final = 40  # for a scalar, see `pairing.p256`
# After a share that is no point a port has to wait so long for the next look at one, whoever is connected there. A look
# is a few products in the field, well under 10 ms on a small processor (assumption): eight ports cost it under a third.
NO_POINT_EVERY_MS: Final = 250
HALF_RANGE: Final = 0x8000_0000
TICK_MASK: Final = 0xFFFF_FFFF
WRITES: Final = (owner.PairStep, owner.ReleaseOwner)
"""Requests that may have to wait for a write."""
REASONS: Final[dict[Verdict, Reason]] = {
    Verdict.SHUT: Reason.PAIRING_SHUT,
    Verdict.BARRED: Reason.PAIRING_BARRED,
    Verdict.BUSY: Reason.BUSY,
    Verdict.OWNED: Reason.OWNED,
    Verdict.FAILED: Reason.PAIRING_FAILED,
    Verdict.NO_OWNER: Reason.NO_OWNER,
    Verdict.WRONG_STATE: Reason.WRONG_STATE,
}
AT_REST: Final = (State.IDLE, State.FAULT)
TESTING: Final = (State.SELF_TEST, State.STOPPING)  # with no session, the second is the end of the first
BAR_MAY_BE_TAKEN_BACK: Final = (Stage.COUNTING, Stage.ANSWERED)


# Time, button, connections


def loaded(pen: Inside) -> None:
    """What the flash holds is what the pen knows of owners and tries."""
    record = pen.store.record
    pen.owner = pen.store.owner
    pen.pairing.desk = Desk(
        owned=int(pen.owner.owned), wrong=record.wrong_codes, barred_s=record.barred_s, bar_due=record.bar_due
    )
    if pen.store.trouble is Reason.NONE:
        pen.pairing.told_wrong = _told_wrong(pen)


def idle(pen: Inside) -> int:
    """1 while no session is open, and nothing moves or is about to.

    A fault keeps the session that it came in until somebody clears it, and a lost owner can't: one whose time is over
    hinders nobody.
    """
    state = pen.state
    no_session = not state.session_id or disclosure.session_is_over(pen)
    return int(state.state in AT_REST and no_session and not pen.gate.wants)


def pressed(pen: Inside) -> None:
    """The button was freshly pressed."""
    bonding.pressed(pen, idle(pen))
    _step(pen, DeskEvent(EventKind.PRESS, idle(pen), ok=int(pen.state.state == State.IDLE)))


def held(pen: Inside) -> None:
    """The button was held for the hand-over."""
    _step(pen, DeskEvent(EventKind.HELD, idle(pen)))
    if idle(pen):
        bonding.opened(pen)


def hands_over(pen: Inside) -> bool:
    """Whether a hold goes that may become the hand-over, or has become it: no order ends its rest then (SR-OWN-1)."""
    desk = pen.pairing.desk
    return bool(idle(pen)) and (may_hand_over(pen.hold, pen.button) or bool(desk.hand_over and desk.window_ms))


def rests(pen: Inside) -> int:
    """1 while a hold may become the hand-over: the pen is idle, or tests itself, which takes it nowhere else.

    Else an old owner could keep the pen from the next one by tests without end; and a hold that begins while a pen that
    was just switched on tests itself is sure to come before any session.
    """
    testing = pen.state.state in TESTING and not pen.state.session_id
    return idle(pen) or int(testing)


def passed(pen: Inside, dt_ms: int) -> None:
    """So much time passed, by the pen's ticks."""
    bonding.passed(pen, dt_ms, idle(pen))
    if not quiet(pen.pairing.desk):
        _step(pen, DeskEvent(EventKind.TICK, idle(pen), dt_ms=dt_ms))
        tell_bar(pen)
    if pen.pairing.desk.wrong != pen.pairing.told_wrong:
        _tell_tries(pen)


def ran(pen: Inside, seconds: int) -> None:
    """So much time really ran, by the pen's clock."""
    _step(pen, DeskEvent(EventKind.RAN, seconds=seconds))


def gone(pen: Inside, port: int) -> None:
    """A connection is over, or says hello again: a run is bound to its hello."""
    _step(pen, DeskEvent(EventKind.GONE, port=port + 1))
    tell_bar(pen)


def standing(pen: Inside) -> owner.Owner:
    """How the pen stands to owners."""
    desk = pen.pairing.desk
    return owner.Owner(owned=int(pen.owner.owned), window_s=-(-desk.window_ms // 1_000), barred_s=desk.barred_s)


def _step(pen: Inside, event: DeskEvent) -> Verdict:
    pairing = pen.pairing
    pairing.desk, verdict = desk_step(pairing.desk._replace(owned=int(pen.owner.owned)), event)
    if pairing.desk.run == 0:
        pairing.run = pairing.answered = None
    return verdict


def tell_bar(pen: Inside) -> None:
    """The history tells of a bar once its last try can't be right any more."""
    desk = pen.pairing.desk
    if desk.bar_due and desk.stage not in BAR_MAY_BE_TAKEN_BACK:
        _step(pen, DeskEvent(EventKind.TOLD))
        pen.pairing.told_wrong = desk.wrong
        entry = PairingBarredEntry(wrong_codes=desk.wrong, barred_s=bar_s(desk.wrong))
        told = (entry,) if pen.store.history.has_owner_room else ()
        _write(pen, effects.UNTRACKED, {"bar_due": 0}, told)


def _tell_tries(pen: Inside) -> None:
    """The history tells of wrong codes that brought no bar, once for each window, when it is shut."""
    pairing, desk = pen.pairing, pen.pairing.desk
    if desk.window_ms or desk.bar_due or desk.stage != Stage.NONE:
        return
    tried, pairing.told_wrong = desk.wrong - pairing.told_wrong, desk.wrong
    if tried > 0 and pen.store.history.has_tries_room:
        _write(pen, effects.UNTRACKED, None, (WrongCodesEntry(tried=tried, wrong_codes=desk.wrong),))


def _told_wrong(pen: Inside) -> int:
    """How many wrong codes since the last pairing the history tells of."""
    kinds = RecordKind.WRONG_CODES, RecordKind.PAIRING_BARRED, RecordKind.OWNER_PAIRED
    found = [each for each in map(pen.store.history.newest, kinds) if each is not None]
    told = max(found, key=lambda each: each.number).entry() if found else None
    return told.wrong_codes if isinstance(told, WrongCodesEntry | PairingBarredEntry) else 0


# Requests


def take(pen: Inside, port: Port, message: Any) -> Message | None:
    """The answer to a request of `WRITES`; None where it waits for a write (`outcome`)."""
    if isinstance(message, owner.ReleaseOwner):
        return _release(pen, port)
    last = pen.pairing.last_word
    if last is not None and (message.step, message.share, pen.owner.number) == (CONFIRM, last.share, last.number):
        return owner.PairReply(step=CONFIRM, share=last.reply)
    reason, limit = _refusal(pen, port, message)
    if reason is not Reason.NONE:
        return refused(message.opcode, reason, limit)
    if message.step == DERIVE:
        return _derive(pen, port)
    if message.step == SHARE:
        return _share(pen, port, message.share)
    return _confirm(pen, port, message.share)


def _refusal(pen: Inside, port: Port, message: Any) -> tuple[Reason, int]:
    """Why a step is not looked at, whatever the desk says."""
    age = (pen.tick_ms - message.seen_tick_ms) & TICK_MASK
    if not 0 < message.ttl_ms <= TTL_MAX_MS:
        return Reason.TTL_TOO_LONG, int(TTL_MAX_MS)
    if age >= HALF_RANGE:
        return Reason.COMMAND_FROM_FUTURE, 0
    if age > message.ttl_ms:
        return Reason.COMMAND_LATE, message.ttl_ms
    if not DERIVE <= message.step <= CONFIRM:
        return Reason.OUT_OF_RANGE, CONFIRM
    if len(message.share) != CARRIES[message.step]:
        return Reason.WRONG_LENGTH, 0
    if pen.store.setup is None:
        return Reason.NOT_BUILT, 0
    if port.seal.said is None:
        return Reason.WRONG_STATE, 0  # a run is bound to a hello that no handshake has used
    if not pen.store.history.has_owner_room:
        return Reason.HISTORY_FULL, 0
    return Reason.NONE, 0


def _no(pen: Inside, verdict: Verdict, request: type[Message]) -> Message:
    limit = pen.pairing.desk.barred_s if verdict is Verdict.BARRED else 0
    return refused(request.opcode, REASONS[verdict], limit)


def _derive(pen: Inside, port: Port) -> Message:
    verdict = _step(pen, DeskEvent(EventKind.TERMS, idle(pen), port=port.number + 1))
    if verdict is not Verdict.TELL_TERMS or pen.store.setup is None:
        return _no(pen, verdict, owner.PairStep)
    from dermalink_simulator.firmware.pairing_run import terms_of

    return owner.PairReply(step=DERIVE, share=terms_of(pen.store.setup))


def _share(pen: Inside, port: Port, share: bytes) -> Message | None:
    setup, said = pen.store.setup, port.seal.said
    assert setup is not None
    assert said is not None
    pairing, run = pen.pairing, pen.pairing.run
    mine = pairing.desk.stage == Stage.ANSWERED and pairing.desk.run == port.number + 1
    if mine and run is not None and run.share == share and pairing.answered is not None:
        return owner.PairReply(step=SHARE, share=pairing.answered)  # what comes twice changes nothing (SR-CMD-1)
    verdict = _step(pen, DeskEvent(EventKind.TERMS, idle(pen), port=port.number + 1))
    if verdict is not Verdict.TELL_TERMS:
        return _no(pen, verdict, owner.PairStep)
    from dermalink_simulator.firmware.pairing_run import Run

    no_point = _no_point(pen, port, share)
    if no_point is not None:
        return no_point
    verdict = _step(pen, DeskEvent(EventKind.TRY, idle(pen), port=port.number + 1))
    if verdict is not Verdict.COUNT:
        return _no(pen, verdict, owner.PairStep)
    pen.press_left_ms, pen.press_free = 0, False  # what the press was for, so for no new clock
    serial = pen.store.factory.serial_number.rstrip(b"\0").decode("ascii")
    pairing.run, pairing.answered = Run(setup, serial, said, share, pen.entropy.draw(DRAWN_BYTES)), None
    _write(pen, effects.PAIRING)
    return None


def _no_point(pen: Inside, port: Port, share: bytes) -> Message | None:
    """The no to a share that is no point, None for one that is.

    It is not answered, so there is nothing to compare a code with, and it is no try. What fails only once the code has
    a part in it (the point that a code hides) is one: that tells of the code.
    """
    from dermalink_simulator.firmware.pairing_run import is_share

    found = pen.pairing.no_point_ms
    since_ms = (pen.tick_ms - found[port.number]) & TICK_MASK if port.number in found else NO_POINT_EVERY_MS
    if since_ms < NO_POINT_EVERY_MS:
        return refused(owner.PairStep.opcode, Reason.BUSY, NO_POINT_EVERY_MS - since_ms)
    found.pop(port.number, None)
    if is_share(share):
        return None
    found[port.number] = pen.tick_ms
    return refused(owner.PairStep.opcode, Reason.PAIRING_FAILED)


def _confirm(pen: Inside, port: Port, share: bytes) -> Message | None:
    pairing, desk = pen.pairing, pen.pairing.desk
    mine = desk.stage == Stage.ANSWERED and desk.run == port.number + 1
    found = _finished(pen, pairing.run, share) if mine and pairing.run is not None else None
    if found is not None:  # before the try is taken back, which nothing but the owner's own write may say
        effects.count_refusals(pen)
    effects.tell_untold(pen)
    verdict = _step(pen, DeskEvent(EventKind.CONFIRM, idle(pen), port=port.number + 1, ok=int(found is not None)))
    if verdict is not Verdict.TAKE or found is None:
        tell_bar(pen)
        return _no(pen, verdict, owner.PairStep)
    new, sealed = found
    pairing.told_wrong = 0
    pairing.last_word = LastWord(new.number, share, sealed)
    entry = OwnerPairedEntry(
        owner_number=new.number,
        host_key_hash=sha256(new.host_public).digest()[:8],
        before=int(pen.owner.owned),
        wrong_codes=desk.wrong - 1,
        firmware_version=FIRMWARE_VERSION,
        calibration_id=pen.store.calibration_id,
    )
    _write(pen, effects.PAIRING, {"owners": new.number, "owned": 1}, (entry,), new)
    return None


def _finished(pen: Inside, run: "Run", share: bytes) -> tuple[OwnerRecord, bytes] | None:
    """The new owner, and what to tell him; None for a wrong code."""
    try:
        return run.finish(share, pen.entropy.draw(KEY_BYTES), pen.store.record.owners + 1)
    except PairingError:
        return None


def _release(pen: Inside, port: Port) -> Message | None:
    if pen.owner.owned and not pen.store.history.has_owner_room:
        return refused(owner.ReleaseOwner.opcode, Reason.HISTORY_FULL)
    verdict = _step(pen, DeskEvent(EventKind.RELEASE, idle(pen), port=port.number + 1))
    tell_bar(pen)
    if verdict is not Verdict.RELEASE:
        return _no(pen, verdict, owner.ReleaseOwner)
    effects.count_refusals(pen)
    effects.tell_untold(pen)
    _write(pen, effects.PAIRING, {"owned": 0}, (OwnerReleasedEntry(owner_number=pen.owner.number),))
    return None


def outcome(pen: Inside, message: Message) -> Message | None:
    """The answer to a request that waited for a write, None while it still does; `settle` once it was given."""
    pairing = pen.pairing
    ok, pairing.written = pairing.written, None
    if ok is None:
        return None
    if isinstance(message, owner.ReleaseOwner):
        done = _step(pen, DeskEvent(EventKind.RELEASED, ok=int(not pen.store.owner.owned)))
        return owner.OwnerReleased() if done is Verdict.RELEASED else refused(message.opcode, Reason.FLASH_FAILED)
    assert isinstance(message, owner.PairStep)
    if message.step == SHARE:
        return _answer_try(pen, ok=ok)
    last = pairing.last_word
    taken = last is not None and pen.store.owner.number == last.number
    if _step(pen, DeskEvent(EventKind.TAKEN, ok=int(taken))) is not Verdict.PAIRED or last is None:
        return refused(message.opcode, Reason.FLASH_FAILED)
    return owner.PairReply(step=CONFIRM, share=last.reply)


def _answer_try(pen: Inside, *, ok: bool) -> Message:
    run, port = pen.pairing.run, pen.pairing.desk.run
    verdict = _step(pen, DeskEvent(EventKind.WRITTEN, idle(pen), ok=int(ok)))
    try:
        if verdict is Verdict.ANSWER and run is not None:
            pen.pairing.answered = run.answer()
            return owner.PairReply(step=SHARE, share=pen.pairing.answered)
    except PairingError:
        _step(pen, DeskEvent(EventKind.CONFIRM, idle(pen), port=port))
    tell_bar(pen)
    return refused(owner.PairStep.opcode, Reason.PAIRING_FAILED if ok else Reason.FLASH_FAILED)


def settle(pen: Inside) -> None:
    """Whom the flash names is the owner; when that is another, nobody's channel outlives it."""
    if pen.owner.number != pen.store.owner.number:
        pen.owner = pen.store.owner
        bonding.settle(pen)
        end_channels(pen)
        disclosure.forget(pen)


def _write(
    pen: Inside,
    token: int,
    changes: dict[str, Any] | None = None,
    entries: tuple[Entry, ...] = (),
    new: OwnerRecord | None = None,
) -> None:
    """Write the desk's numbers down, with all else that outlives a loss of power; no room is a failed write."""
    changed = effects.durable(pen) | (changes or {})
    own = frozenset({"wrong_codes", "barred_s", "bar_due", *(changes or {})})
    if not pen.store.submit(Transaction(token, changed, entries, own=own, owner=new)) and token:
        pen.pairing.written = False
