"""Pairing a pen, handing it over, giving it up: over raw frames, with the code on its card and without."""

import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from dermalink_protocol.codewords import Reason, RecordKind, State
from dermalink_protocol.history import check_chain, decode_record, origin
from dermalink_protocol.history_entries import (
    Entry,
    OwnerPairedEntry,
    OwnerReleasedEntry,
    PairingBarredEntry,
    RefusedCount,
)
from dermalink_protocol.pairing import steps
from dermalink_protocol.pairing.errors import WrongConfirmation
from dermalink_protocol.pairing.owner_keys import SEALED_BYTES, HostOffer
from dermalink_protocol.pairing.p256 import DRAWN_BYTES, POINT_BYTES, G, M, encoded
from dermalink_protocol.pairing.spake2plus import CONFIRMATION_BYTES, HOST_ID_BYTES, Answer, SharedKey
from dermalink_protocol.sealing.keys import public_key
from dermalink_simulator.firmware import pairing
from dermalink_simulator.firmware.core import feed
from dermalink_simulator.firmware.flash_layout import HISTORY
from dermalink_simulator.firmware.history_store import OWNER_SLOTS, REFUSED_SLOTS, RESERVE_SLOTS
from dermalink_simulator.firmware.inside import Inside
from dermalink_simulator.firmware.owner_record import NO_OWNER
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.seam import PortKind
from dermalink_simulator.therapy.events import Event, EventKind
from tests.support import raw_pen as raw
from tests.support.pairing_host import ON_PAIRING, PAIR_REPLY, WRONG_CODE, PairedClient, PairingHost, hold, press
from tests.support.raw_pen import RawClient, raw_pen
from tests.support.sealed_client import inside

RELEASE_OWNER, OWNER_RELEASED = 0x391B, 0xE692


ROOT = Path(__file__).parents[3]


def new_pen(seed: int = 3) -> SimulatedPen:
    return raw_pen(seed=seed).pen


def owned_pen(seed: int = 3) -> tuple[SimulatedPen, PairingHost]:
    pen = new_pen(seed)
    host = PairingHost(pen)
    press(pen)
    host.pair()
    return pen, host


def entries(pen: SimulatedPen, *kinds: type[Entry]) -> list[Entry]:
    found = [decode_record(record).entry() for record in inside(pen).store.history.records]
    return [entry for entry in found if isinstance(entry, kinds)]


def offer_of(host: PairingHost, key: bytes) -> HostOffer:
    return HostOffer(SharedKey(key), public_key(host.private))


# The window


@pytest.mark.sr("SR-SEC-2", side="pen")
def test_without_a_press_nobody_pairs() -> None:
    host = PairingHost(new_pen())
    for step, share in ((steps.DERIVE, b""), (steps.SHARE, bytes(81)), (steps.CONFIRM, bytes(80))):
        assert host.step(step, share).reason == Reason.PAIRING_SHUT
    assert inside(host.pen).pairing.desk.wrong == 0


@pytest.mark.sr("SR-SEC-2", side="pen")
@pytest.mark.parametrize(("after_ms", "opens"), [(58_000, True), (61_000, False)])
def test_a_press_opens_the_pen_for_a_minute_and_its_light_says_so(after_ms: int, opens: bool) -> None:
    pen = new_pen()
    host = PairingHost(pen)
    assert pen.indicator.light == 1
    press(pen)
    assert pen.indicator.light == 9
    assert host.standing().window_s == 60
    pen.advance(after_ms)
    assert (host.step(steps.DERIVE).opcode == PAIR_REPLY) is opens
    assert (pen.indicator.light == 9) is opens
    assert (host.standing().window_s > 0) is opens


@pytest.mark.sr("SR-SEC-2", "SR-OWN-1", side="pen")
def test_the_code_and_a_press_make_an_owner_and_both_have_the_same_keys() -> None:
    pen = new_pen()
    host = PairingHost(pen)
    press(pen)
    keys = host.pair()
    owner = inside(pen).owner
    assert owner.number == 1
    assert (owner.host_public, public_key(owner.pen_private), owner.binding) == (keys.host, keys.pen, keys.binding)
    assert host.standing() == (1, 0, 0)
    hashed = sha256(keys.host).digest()[:8]
    assert entries(pen, OwnerPairedEntry) == [
        OwnerPairedEntry(owner_number=1, host_key_hash=hashed, before=0, wrong_codes=0)
    ]
    pen.power.cut()
    pen.power.restore()
    pen.advance(1_000)
    assert inside(pen).owner == owner


@pytest.mark.sr("SR-SEC-2", side="pen")
def test_an_open_session_shuts_the_window_and_no_press_in_it_opens_one() -> None:
    client = raw_pen(seed=3)
    host = PairingHost(client.pen)
    press(client.pen)
    assert client.open().opcode == raw.OPENED
    client.live(100)
    assert host.step(steps.DERIVE).reason == Reason.PAIRING_SHUT
    press(client.pen)
    assert host.standing().window_s == 0


@pytest.mark.sr("SR-SEC-2", side="pen")
def test_a_session_that_opens_between_the_steps_ends_the_run() -> None:
    client = raw_pen(seed=3)
    host = PairingHost(client.pen)
    press(client.pen)
    _, share = host.offer(host.agree())
    assert client.open().opcode == raw.OPENED
    assert host.step(steps.CONFIRM, share).reason == Reason.PAIRING_SHUT
    assert not inside(client.pen).owner.owned


# Tries


@pytest.mark.sr("SR-SEC-2", "SR-SEC-3", side="pen")
def test_three_wrong_codes_shut_and_bar_and_twice_as_long_the_next_time() -> None:
    pen = new_pen()
    host = PairingHost(pen)
    for bar_s in (600, 1_200, 2_400):
        press(pen)
        for _ in range(3):
            assert host.try_wrong().reason == Reason.PAIRING_FAILED
        got = host.step(steps.DERIVE)
        assert got.reason == Reason.PAIRING_BARRED
        assert got.refusal is not None
        assert bar_s - 2 <= got.refusal[2] <= bar_s
        press(pen)
        assert host.standing().window_s == 0
        pen.clock.advance(bar_s - 10)
        press(pen)
        assert host.standing().window_s == 0
        pen.clock.advance(10)
    told = [(each.wrong_codes, each.barred_s) for each in entries(pen, PairingBarredEntry)]  # type: ignore[attr-defined]
    assert told == [(3, 600), (6, 1_200), (9, 2_400)]


@pytest.mark.sr("SR-SEC-2", side="pen")
def test_tries_count_over_windows_and_over_power_and_a_bar_runs_by_time_that_really_ran() -> None:
    pen = new_pen()
    for _ in range(3):
        press(pen)
        PairingHost(pen).try_wrong()
        pen.power.cut()
        pen.clock.advance(120)
        pen.power.restore()
        pen.advance(1_000)
    left = PairingHost(pen).standing().barred_s
    assert 600 - 130 <= left <= 600 - 110
    pen.clock.set(pen.clock.utc_s + 80_000)
    pen.advance(2_000)
    assert PairingHost(pen).standing().barred_s >= left - 5
    press(pen)
    assert PairingHost(pen).step(steps.DERIVE).reason == Reason.PAIRING_BARRED


@pytest.mark.sr("SR-SEC-2", side="pen")
def test_an_answer_is_a_try_that_is_on_the_flash_before_it_is_sent() -> None:
    pen = new_pen()
    host = PairingHost(pen)
    press(pen)
    _, share = host.prover(WRONG_CODE)
    host.send_step(steps.SHARE, share)
    counted: list[int] = []
    while not host.port.read():
        counted.append(inside(SimulatedPen(seed=3, flash=pen.flash_image())).store.record.wrong_codes)
        pen.advance(1)
        assert len(counted) < 20
    assert counted[0] == 0
    assert inside(SimulatedPen(seed=3, flash=pen.flash_image())).store.record.wrong_codes == 1


@pytest.mark.sr("SR-SEC-2", side="pen")
def test_who_goes_away_after_the_answer_has_spent_a_try() -> None:
    pen = new_pen()
    press(pen)
    for at in range(3):
        host = PairingHost(pen, f"host {at}")
        prover, share = host.prover(WRONG_CODE)
        got = host.step(steps.SHARE, share)
        with pytest.raises(WrongConfirmation):
            prover.finish(*steps.PenShare.unpack(got.payload[1:]))
        host.port.close()
        pen.advance(50)
    assert PairingHost(pen).standing()[1:] == (0, 600)
    assert len(entries(pen, PairingBarredEntry)) == 1


@pytest.mark.sr("SR-SEC-2", side="pen")
@pytest.mark.parametrize("wrong", [1, 2])
def test_the_right_code_takes_wrong_tries_back_also_in_the_last_try(wrong: int) -> None:
    pen = new_pen()
    host = PairingHost(pen)
    press(pen)
    for _ in range(wrong):
        host.try_wrong()
    _, share = host.offer(host.agree())
    pen.advance(2_000)
    assert host.step(steps.CONFIRM, share).opcode == PAIR_REPLY
    record = inside(pen).store.record
    assert (record.wrong_codes, record.barred_s, record.bar_due, record.owned) == (0, 0, 0, 1)
    assert entries(pen, PairingBarredEntry) == []
    assert [each.wrong_codes for each in entries(pen, OwnerPairedEntry)] == [wrong]  # type: ignore[attr-defined]


@pytest.mark.sr("SR-SEC-2", "SR-SEC-3", side="pen")
def test_power_lost_in_the_third_try_leaves_its_bar_and_the_next_boot_tells_of_it() -> None:
    pen = new_pen()
    host = PairingHost(pen)
    press(pen)
    host.try_wrong()
    host.try_wrong()
    _, share = host.prover(WRONG_CODE)
    assert host.step(steps.SHARE, share).opcode == PAIR_REPLY
    assert entries(pen, PairingBarredEntry) == []
    pen.power.cut()
    pen.power.restore()
    pen.advance(1_000)
    assert entries(pen, PairingBarredEntry) == [PairingBarredEntry(wrong_codes=3, barred_s=600)]
    assert PairingHost(pen).standing().barred_s > 590
    pen.power.cut()
    pen.power.restore()
    pen.advance(1_000)
    assert len(entries(pen, PairingBarredEntry)) == inside(pen).store.history.owner_records == 1


@pytest.mark.sr("SR-SEC-2", side="pen")
@pytest.mark.parametrize(
    "share", [bytes(65), b"\x04" + bytes(64), b"\x04" + b"\xff" * 64], ids=["no", "infinity", "off"]
)
def test_a_share_that_is_no_point_is_no_try_and_is_looked_at_four_times_a_second(share: bytes) -> None:
    pen = new_pen()
    host = PairingHost(pen)
    press(pen)
    operations = pen.flash_operations
    failed = 0
    for _ in range(100):
        got = host.step(steps.SHARE, bytes(16) + share)
        failed += got.reason == Reason.PAIRING_FAILED
        assert got.reason in (Reason.PAIRING_FAILED, Reason.BUSY)
        pen.advance(10)
    assert 4 <= failed <= 1 + 100 * 20 // pairing.NO_POINT_EVERY_MS
    assert pen.flash_operations == operations
    assert (inside(pen).pairing.desk.wrong, inside(pen).store.record.wrong_codes) == (0, 0)
    PairingHost(pen, "other").pair()


@pytest.mark.sr("SR-SEC-2", side="pen")
def test_a_point_that_fails_only_for_one_code_is_a_try() -> None:
    """Else whoever sends the point that a code hides could ask the pen of as many codes as he likes."""
    pen = new_pen()
    host = PairingHost(pen)
    press(pen)
    w0 = int.from_bytes(inside(pen).store.setup.registration[:32], "big")  # type: ignore[union-attr]
    assert host.step(steps.SHARE, bytes(16) + encoded(M * w0)).reason == Reason.PAIRING_FAILED
    assert inside(pen).store.record.wrong_codes == 1


@pytest.mark.sr("SR-SEC-2", "SR-OWN-1", side="pen")
def test_a_stranger_who_answers_no_more_holds_the_desk_for_six_seconds_and_not_for_the_window() -> None:
    pen = new_pen()
    press(pen)
    stranger, host = PairingHost(pen, "stranger"), PairingHost(pen)
    assert stranger.step(steps.SHARE, bytes(16) + encoded(G)).opcode == PAIR_REPLY
    assert host.step(steps.DERIVE).reason == Reason.BUSY
    pen.advance(6_000)
    host.pair()
    assert inside(pen).owner.owned


@pytest.mark.sr("SR-SEC-2", side="pen")
@pytest.mark.parametrize("at", [0, 31, 32, 79])
def test_a_flipped_bit_in_the_last_step_is_a_wrong_code(at: int) -> None:
    pen = new_pen()
    host = PairingHost(pen)
    press(pen)
    _, share = host.offer(host.agree())
    broken = bytearray(share)
    broken[at] ^= 1
    assert host.step(steps.CONFIRM, bytes(broken)).reason == Reason.PAIRING_FAILED
    assert host.step(steps.CONFIRM, share).reason == Reason.PAIRING_FAILED
    assert inside(pen).store.record.wrong_codes == 1
    assert not inside(pen).owner.owned


@pytest.mark.sr("SR-SEC-2", "SR-SEC-5", side="pen")
def test_a_stranger_who_asks_all_day_makes_the_pen_compute_no_more_than_its_tries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dermalink_simulator.firmware.pairing_run import Run

    computed = []
    answer = Run._answer

    def noted(run: Run) -> Answer:
        computed.append(run)
        return answer(run)

    monkeypatch.setattr(Run, "_answer", noted)
    pen = new_pen()
    host = PairingHost(pen)
    press(pen)
    _, share = host.prover(WRONG_CODE)
    operations = pen.flash_operations
    records = len(inside(pen).store.history.records)
    for _ in range(200):
        host.step(steps.SHARE, share)
        host.step(steps.CONFIRM, bytes(80))
        pen.advance(10)
    assert len(computed) <= 2 * 3
    assert pen.flash_operations - operations < 20
    assert len(inside(pen).store.history.records) == records + 1  # the bar


@pytest.mark.sr("SR-SEC-5", side="pen")
def test_no_step_makes_a_pen_load_the_curve_before_the_window_is_open() -> None:
    program = """
import sys
from dermalink_simulator.firmware.flash_layout import SetupRecord, factory_flash
from dermalink_simulator.pen import SimulatedPen
from tests.support.raw_pen import ON_STATUS, HELLO, RawClient
pen = SimulatedPen(flash=factory_flash("DL-1", setup=SetupRecord.of(1000, bytes(16), bytes(97))))
pen.advance(1000)
client = RawClient(pen)
client.hello()
for step, size in ((1, 0), (2, 81), (3, 80)):
    print(hex(client.ask(1, 0x064D, client.header() + bytes([step]) + bytes(size)).reason))
print("Crypto" in sys.modules)
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert told.stdout.split() == [hex(Reason.PAIRING_SHUT)] * 3 + ["False"]


# One run at a time, bound to its hello


@pytest.mark.sr("SR-SEC-2", side="pen")
def test_another_port_has_to_wait_for_the_run_and_can_not_end_it() -> None:
    pen = new_pen()
    host, other = PairingHost(pen), PairingHost(pen, "other")
    press(pen)
    offer, share = host.offer(host.agree())
    assert other.step(steps.DERIVE).reason == Reason.BUSY
    assert other.step(steps.CONFIRM, share).reason == Reason.BUSY
    other.port.close()
    got = host.step(steps.CONFIRM, share)
    assert offer.finish(got.payload[1:]).host == inside(pen).owner.host_public


@pytest.mark.sr("SR-SEC-1", "SR-SEC-2", side="pen")
def test_a_hello_that_is_said_again_ends_the_run() -> None:
    pen = new_pen()
    host = PairingHost(pen)
    press(pen)
    _, share = host.offer(host.agree())
    host.greet()
    assert host.step(steps.CONFIRM, share).reason == Reason.PAIRING_FAILED


@pytest.mark.sr("SR-SEC-1", "SR-SEC-2", side="pen")
@pytest.mark.parametrize("which", [0, 1])
def test_a_hello_that_was_changed_on_the_way_fails_the_pairing(which: int) -> None:
    pen = new_pen()
    host = PairingHost(pen)
    press(pen)
    changed = [bytearray(body) for body in host.said]
    changed[which][-1] ^= 1
    host.said = (bytes(changed[0]), bytes(changed[1]))
    with pytest.raises(WrongConfirmation):
        host.pair()


@pytest.mark.sr("SR-CMD-1", side="pen")
def test_a_step_that_is_late_or_of_another_size_is_not_looked_at() -> None:
    pen = new_pen()
    host = PairingHost(pen)
    press(pen)
    assert host.step(steps.DERIVE, ttl_ms=501).reason == Reason.TTL_TOO_LONG
    assert host.step(steps.DERIVE, b"x").reason == Reason.WRONG_LENGTH
    assert host.step(steps.SHARE, bytes(80)).reason == Reason.WRONG_LENGTH
    assert host.step(4).reason == Reason.OUT_OF_RANGE
    host.status()
    pen.advance(600)
    late = host.seen_tick
    host.status = dict  # type: ignore[method-assign]
    host.seen_tick = late
    assert host.step(steps.SHARE, bytes(81)).reason == Reason.COMMAND_LATE
    host.seen_tick = late + 100_000
    assert host.step(steps.SHARE, bytes(81)).reason == Reason.COMMAND_FROM_FUTURE
    assert inside(pen).pairing.desk.wrong == 0


@pytest.mark.sr("SR-CMD-1", "SR-SEC-2", side="pen")
@pytest.mark.parametrize("later_ms", [0, 50])
def test_the_same_step_twice_is_one_try_and_gets_the_same_answer(later_ms: int) -> None:
    pen = new_pen()
    host = PairingHost(pen)
    press(pen)
    prover, share = host.prover()
    first = host.send_step(steps.SHARE, share)
    pen.advance(later_ms)
    host.port.write(host.sent[-1])
    pen.advance(50)
    second = host.step(steps.SHARE, share)
    answer = host.reply(first)
    assert inside(pen).pairing.desk.wrong == 1
    assert answer.payload == second.payload
    _, share = host.offer(prover.finish(*steps.PenShare.unpack(answer.payload[1:])))
    assert host.step(steps.CONFIRM, share).opcode == PAIR_REPLY


@pytest.mark.sr("SR-SEC-2", side="pen")
@pytest.mark.parametrize("step", [steps.SHARE, steps.CONFIRM])
def test_a_flash_that_fails_answers_no_try_and_makes_no_owner(step: int) -> None:
    pen = new_pen()
    host = PairingHost(pen)
    press(pen)
    if step == steps.SHARE:
        _, share = host.prover()
    else:
        _, share = host.offer(host.agree())
    pen.faults.inject("flash", "write_failure", operations=40)
    assert host.step(step, share).reason == Reason.FLASH_FAILED
    pen.faults.clear()
    pen.advance(500)
    assert not inside(pen).owner.owned
    assert SimulatedPen(seed=3, flash=pen.flash_image()).firmware is not None
    again = SimulatedPen(seed=3, flash=pen.flash_image())
    again.advance(1_000)
    assert not inside(again).owner.owned
    assert inside(again).store.trouble is Reason.NONE


@pytest.mark.sr("SR-SEC-2", side="pen")
def test_it_pairs_over_characteristics_as_well() -> None:
    pen = new_pen()
    press(pen)
    keys = PairingHost(pen, kind=PortKind.GATT).pair()
    assert inside(pen).owner.host_public == keys.host


# Owned


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_an_owned_pen_is_paired_by_nobody_else_with_a_press_and_the_code() -> None:
    pen, _ = owned_pen()
    host = PairingHost(pen, "second")
    press(pen)
    for step, share in ((steps.DERIVE, b""), (steps.SHARE, bytes(81))):
        assert host.step(step, share).reason == Reason.OWNED
    assert inside(pen).owner.number == 1


@pytest.mark.sr("SR-OWN-1", side="pen")
@pytest.mark.parametrize(("ms", "opens"), [(9_800, False), (10_100, True)])
def test_ten_seconds_of_the_button_open_it_for_the_next_owner(ms: int, opens: bool) -> None:
    pen, _ = owned_pen()
    before = inside(pen).owner
    hold(pen, ms)
    host = PairingHost(pen, "second")
    assert (host.standing().window_s > 0) is opens
    if opens:
        keys = host.pair()
        owner = inside(pen).owner
        assert (owner.number, owner.host_public) == (2, keys.host)
        assert not {owner.host_public, owner.pen_private, owner.binding} & set(before[1:])
        assert [each.before for each in entries(pen, OwnerPairedEntry)] == [0, 1]  # type: ignore[attr-defined]


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_a_hand_over_that_nobody_takes_changes_nothing() -> None:
    pen, host = owned_pen()
    before = inside(pen).owner
    hold(pen)
    pen.advance(61_000)
    assert host.standing() == (1, 0, 0)
    assert inside(pen).owner == before


@pytest.mark.sr("SR-OWN-1", "SR-RST-1", "SR-RST-3", side="pen")
def test_a_fault_hinders_no_hand_over_and_outlives_it() -> None:
    pen, host = owned_pen()
    host.greet()
    known = inside(pen)
    feed(known, Event(kind=EventKind.FAULT, reason=int(Reason.FLASH_FAILED)))
    pen.advance(100)
    assert known.state.state == State.FAULT
    press(pen)
    assert host.standing().window_s == 0
    hold(pen)
    PairingHost(pen, "second").pair()
    assert known.owner.number == 2
    assert (known.state.state, known.state.fault) == (State.FAULT, Reason.FLASH_FAILED)
    assert known.store.record.fault == Reason.FLASH_FAILED


@pytest.mark.sr("SR-OWN-1", "SR-RST-1", side="pen")
@pytest.mark.parametrize("reason", [Reason.FLASH_FAILED, Reason.WATCHDOG])
def test_a_fault_in_a_session_shuts_the_hand_over_until_the_sessions_time_is_over(reason: Reason) -> None:
    pen, host = owned_pen()
    client = PairedClient(pen, host.private, host.keys).connect()
    assert client.open().opcode == raw.OPENED
    client.run_pass()
    feed(inside(pen), Event(kind=EventKind.FAULT, reason=int(reason)))
    client.port.close()
    pen.advance(1_000)
    left_ms = inside(pen).state.session_left_ms
    assert left_ms > 60_000
    hold(pen)
    assert PairingHost(pen, "early").standing().window_s == 0
    pen.advance(left_ms)
    assert (inside(pen).state.state, inside(pen).state.session_left_ms) == (State.FAULT, 0)
    hold(pen)
    PairingHost(pen, "next").pair()
    known = inside(pen)
    assert (known.owner.number, known.state.state, known.state.fault) == (2, State.FAULT, reason)


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_a_locked_pen_is_handed_over_to_nobody() -> None:
    pen, host = owned_pen()
    client = PairedClient(pen, host.private, host.keys).connect()
    assert client.open().opcode == raw.OPENED
    client.run_pass()
    feed(inside(pen), Event(kind=EventKind.FAULT, reason=int(Reason.DEPTH_EXCEEDED)))
    client.port.close()
    pen.advance(1_000)
    assert inside(pen).state.state == State.LOCKED
    hold(pen)
    assert PairingHost(pen, "next").standing().window_s == 0


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_a_button_that_was_down_at_power_up_opens_no_hand_over() -> None:
    pen, _ = owned_pen()
    pen.button.hold()
    pen.power.cut()
    pen.power.restore()
    pen.advance(30_000)
    assert PairingHost(pen).standing().window_s == 0


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_a_lost_last_answer_can_be_had_again_and_after_a_loss_of_power_the_hand_over_is_the_way() -> None:
    pen = new_pen()
    host = PairingHost(pen)
    press(pen)
    confirmed = host.agree()
    key = confirmed.key.take()
    offer = offer_of(host, key)
    share = steps.HostOffered(confirmed.confirmation, offer.sealed).pack()
    host.send_step(steps.CONFIRM, share)
    pen.advance(100)
    assert inside(pen).owner.owned
    got = host.step(steps.CONFIRM, share)
    assert offer_of(host, key).finish(got.payload[1:]).host == inside(pen).owner.host_public
    host.port.close()
    again = PairingHost(pen, "host again")
    got = again.step(steps.CONFIRM, share)
    assert offer.finish(got.payload[1:]).host == inside(pen).owner.host_public
    pen.power.cut()
    pen.power.restore()
    pen.advance(1_000)
    third = PairingHost(pen, "third")
    assert third.step(steps.CONFIRM, share).reason == Reason.OWNED
    hold(pen)
    assert third.pair().host == inside(pen).owner.host_public
    third.greet()
    assert third.step(steps.CONFIRM, share).reason == Reason.OWNED


@pytest.mark.sr("SR-OWN-1", "SR-SEC-1", side="pen")
def test_only_the_owner_gives_the_pen_up_and_hears_that_it_was_taken() -> None:
    pen = new_pen()
    host = PairingHost(pen)
    assert host.ask(ON_PAIRING, RELEASE_OWNER).reason == Reason.NO_OWNER
    press(pen)
    keys = host.pair()
    assert host.ask(ON_PAIRING, RELEASE_OWNER).reason == Reason.NOT_AUTHENTICATED
    first, second = (PairedClient(pen, host.private, keys).connect() for _ in range(2))
    assert first.open().opcode == raw.OPENED
    assert first.ask(ON_PAIRING, RELEASE_OWNER).reason == Reason.WRONG_STATE
    first.live(100)
    first.ask(raw.ON_COMMAND, raw.CLOSE, first.session_id.to_bytes(4, "little") + bytes(36))
    assert first.ask(ON_PAIRING, RELEASE_OWNER).opcode == OWNER_RELEASED
    known = inside(pen)
    assert known.owner == NO_OWNER
    assert entries(pen, OwnerReleasedEntry) == [OwnerReleasedEntry(owner_number=1)]
    assert not any(port.seal.number for port in known.ports.values())
    for client in (first, second):
        with pytest.raises(AssertionError, match="no reply"):
            client.ask(raw.ON_STATUS, raw.GET_STATUS)
    pen.power.cut()
    pen.power.restore()
    pen.advance(1_000)
    assert inside(pen).owner == NO_OWNER
    press(pen)
    PairingHost(pen, "next").pair()
    assert inside(pen).owner.number == 2


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_a_pen_that_was_given_up_tells_its_history_to_nobody_until_it_has_an_owner_again() -> None:
    pen = new_pen()
    asked = ((raw.GET_HISTORY, (1).to_bytes(4, "little")), (raw.GET_HISTORY_STATE, b""))

    def told(client: RawClient) -> list[int]:
        return [client.ask(raw.ON_RECORDS, *each).reason for each in asked]

    host = PairingHost(pen)
    host.greet()
    assert told(host) == [0, 0]  # a pen for tests that nobody has had yet
    press(pen)
    client = PairedClient(pen, host.private, host.pair()).connect()
    assert told(client) == [0, 0]
    assert client.ask(ON_PAIRING, RELEASE_OWNER).opcode == OWNER_RELEASED
    stranger = RawClient(pen)
    stranger.hello()
    assert told(stranger) == [Reason.NO_OWNER] * 2
    pen.power.cut()
    pen.power.restore()
    pen.advance(1_000)
    stranger = RawClient(pen)
    stranger.hello()
    assert told(stranger) == [Reason.NO_OWNER] * 2
    press(pen)
    following = PairingHost(pen, "next")
    assert told(PairedClient(pen, following.private, following.pair()).connect()) == [0, 0]


@pytest.mark.sr("SR-OWN-1", "SR-SEC-1", side="pen")
def test_every_channel_of_the_old_owner_ends_when_the_next_one_is_paired() -> None:
    pen = new_pen()
    host = PairingHost(pen)
    press(pen)
    keys = host.pair()
    clients = [PairedClient(pen, host.private, keys).connect() for _ in range(2)]
    hold(pen)
    PairingHost(pen, "second").pair()
    assert not any(port.seal.number for port in inside(pen).ports.values())
    for client in clients:
        with pytest.raises(AssertionError, match="no reply"):
            client.ask(raw.ON_STATUS, raw.GET_STATUS)
    stale = PairedClient(pen, host.private, keys)
    stale.hello()
    assert stale.open_channel().opcode == raw.REFUSED


# What stays


def spent_pen() -> SimulatedPen:
    """A pen with a session behind it: a head used, a wait running, a symptom's lock, a history."""
    client = raw_pen(seed=3)
    client.open()
    client.run_pass()
    client.pen.hand.lift()
    client.ask(raw.ON_STOP, raw.SYMPTOM, bytes([1]))
    client.live(500)
    client.ask(raw.ON_COMMAND, raw.CLOSE, client.session_id.to_bytes(4, "little") + bytes(36))
    client.pen.advance(2_000)
    client.port.close()
    return client.pen


def given_up(pen: SimulatedPen, host: PairingHost) -> None:
    client = PairedClient(pen, host.private, host.keys).connect()
    assert client.ask(ON_PAIRING, RELEASE_OWNER).opcode == OWNER_RELEASED
    client.port.close()


def hand_over(pen: SimulatedPen, _host: PairingHost) -> None:
    hold(pen)
    PairingHost(pen, "next").pair()
    assert inside(pen).owner.number == 2


def lost_power(pen: SimulatedPen, _host: PairingHost) -> None:
    pen.power.cut()
    pen.power.restore()
    pen.advance(1_000)


def kept(pen: Inside) -> dict[str, Any]:
    """All that no owner may change."""
    record, state = pen.store.record, pen.state
    fields = {name: value for name, value in record._asdict().items() if name.startswith(("head_", "reserved"))}
    fields |= {name: getattr(record, name) for name in ("fault", "session_id", "advice_due", "clock_trouble")}
    fields |= {name: getattr(state, name) for name in ("fault", "advice_due", "head_verdict", "spent", "done")}
    return fields | {"heads": pen.store.ledger.find(record.head_tag_id), "limits": pen.limits}


@pytest.mark.sr("SR-RST-1", "SR-OWN-1", side="pen")
@pytest.mark.parametrize("change", [given_up, hand_over, lost_power])
def test_no_change_of_owner_frees_or_shortens_anything(change: Callable[[SimulatedPen, PairingHost], None]) -> None:
    pen = spent_pen()
    host = PairingHost(pen)
    press(pen)
    state = inside(pen).state
    assert state.wait_s > 0
    assert state.symptom_s > 0
    before, history = kept(inside(pen)), list(inside(pen).store.history.records)
    waits, then_ms = (state.wait_s, state.symptom_s), pen.now_ms
    host.pair()
    change(pen, host)
    after = inside(pen)
    assert kept(after) == before
    assert after.store.history.records[: len(history)] == history
    passed_s = (pen.now_ms - then_ms) // 1_000 + 2
    assert waits[0] - passed_s <= after.state.wait_s <= waits[0]
    assert waits[1] - passed_s <= after.state.symptom_s <= waits[1]
    for durable, waited in ((after.store.record.wait_s, waits[0]), (after.store.record.lock_s, waits[1])):
        assert waited - passed_s <= durable <= waited


@pytest.mark.sr("SR-SYM-1", "SR-STOP-4", "SR-OWN-1", side="pen")
@pytest.mark.parametrize("later_ms", range(0, 10, 2))
def test_a_symptom_said_while_an_owner_is_written_down_is_written_as_well_and_neither_is_lost(later_ms: int) -> None:
    pen = new_pen()
    host, other = PairingHost(pen), RawClient(pen)
    press(pen)
    _, share = host.offer(host.agree())
    host.send_step(steps.CONFIRM, share)
    pen.advance(later_ms)
    counts = not inside(pen).owner.owned  # from then on a stranger's locks nothing
    assert counts or later_ms
    assert other.ask(raw.ON_STOP, raw.SYMPTOM, bytes([1])).opcode == raw.SYMPTOM_REPORTED
    pen.advance(100)
    for known in (inside(pen), inside(SimulatedPen(seed=3, flash=pen.flash_image()))):
        assert known.store.owner.number == 1
        assert known.store.trouble is Reason.NONE
        assert check_chain(known.store.history.records, origin(known.store.factory.serial_number)) == []
    assert len(entries(pen, OwnerPairedEntry)) == 1
    assert (inside(pen).store.record.lock_s > 0) is counts


@pytest.mark.sr("SR-SEC-3", side="pen")
def test_owners_and_bars_have_room_of_their_own_and_take_no_sessions() -> None:
    pen = new_pen()
    history = inside(pen).store.history
    history.slots = HISTORY.slots - RESERVE_SLOTS - OWNER_SLOTS
    assert (history.has_room, history.has_owner_room) == (False, True)
    host = PairingHost(pen)
    press(pen)
    for _ in range(3):
        host.try_wrong()
    pen.advance(50)
    assert len(entries(pen, PairingBarredEntry)) == 1
    assert history.owner_records == 1
    history.kinds[RecordKind.OWNER_PAIRED] = OWNER_SLOTS
    pen.clock.advance(601)
    press(pen)
    assert host.step(steps.DERIVE).reason == Reason.HISTORY_FULL


@pytest.mark.sr("SR-SEC-3", side="pen")
@pytest.mark.parametrize("left", [1, 0])
def test_refusals_take_one_record_an_hour_and_never_more_than_their_room(left: int) -> None:
    pen = new_pen()
    host = PairingHost(pen)
    history = inside(pen).store.history
    history.kinds[RecordKind.REFUSED_COUNT] = REFUSED_SLOTS - left
    for _ in range(3):
        for _ in range(20):
            host.step(steps.DERIVE)
        pen.clock.advance(3_600)
        pen.advance(2_000)
    told = [each.refusals for each in entries(pen, RefusedCount)]  # type: ignore[attr-defined]
    assert told == [20] * left
    assert inside(pen).refusals == 60 - 20 * left
    assert history.has_room


@pytest.mark.sr("SR-SEC-3", side="pen")
def test_wrong_codes_at_every_chance_fill_their_room_in_no_less_than_sixteen_years() -> None:
    from dermalink_simulator.firmware.owner_desk import bar_s

    barred_s = sum(bar_s(3 * bar) for bar in range(1, OWNER_SLOTS + 1))
    assert barred_s > 16 * 365 * 86_400


def test_no_secret_stands_in_a_trace_or_a_repr() -> None:
    lines: list[str] = []
    pen = SimulatedPen(seed=3, trace=lines.append)
    pen.advance(1_000)
    host = PairingHost(pen)
    press(pen)
    host.pair()
    whole = "\n".join([*lines, repr(inside(pen).owner), repr(inside(pen).pairing.run), repr(inside(pen).store.setup)])
    owner = inside(pen).owner
    for secret in (owner.pen_private, owner.binding, owner.host_public):
        assert secret.hex() not in whole
        assert repr(secret) not in whole
    assert pen.card.code.digits not in whole


def test_a_snapshot_in_the_middle_of_a_run_goes_on_as_it_would() -> None:
    pen = new_pen()
    host = PairingHost(pen)
    press(pen)
    offer, share = host.offer(host.agree())
    assert pen.firmware is not None
    said = inside(pen).ports[host.port.number].seal
    pen.firmware.restore(pen.firmware.snapshot())
    inside(pen).ports[host.port.number].seal = said  # a snapshot forgets a port's hello
    got = host.step(steps.CONFIRM, share)
    assert offer.finish(got.payload[1:]).host == inside(pen).owner.host_public


def test_the_pens_own_numbers_of_the_steps_are_those_of_the_arithmetic() -> None:
    assert pairing.CARRIES == {
        steps.DERIVE: 0,
        steps.SHARE: HOST_ID_BYTES + POINT_BYTES,
        steps.CONFIRM: CONFIRMATION_BYTES + SEALED_BYTES,
    }
    assert pairing.DRAWN_BYTES == DRAWN_BYTES
