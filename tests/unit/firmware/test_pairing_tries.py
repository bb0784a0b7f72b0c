"""Wrong codes: tries that are counted before they are answered, bars that double, and the room that they may take."""

import subprocess
import sys
from pathlib import Path

import pytest

from dermalink_protocol.codewords import Reason, RecordKind
from dermalink_protocol.history_entries import (
    OwnerPairedEntry,
    PairingBarredEntry,
    RefusedCount,
    WrongCodesEntry,
)
from dermalink_protocol.limits import PAIR_TRIES, PAIR_WINDOW_MS
from dermalink_protocol.pairing import steps
from dermalink_protocol.pairing.errors import WrongConfirmation
from dermalink_protocol.pairing.p256 import G, M, encoded
from dermalink_protocol.pairing.spake2plus import Answer
from dermalink_simulator.firmware import pairing
from dermalink_simulator.firmware.flash_layout import HISTORY
from dermalink_simulator.firmware.history_store import OWNER_SLOTS, REFUSED_SLOTS, RESERVE_SLOTS, TRIES_SLOTS
from dermalink_simulator.hardware.board import PORTS_MAX
from dermalink_simulator.pen import SimulatedPen
from tests.support.pairing_host import PAIR_REPLY, WRONG_CODE, PairingHost, press
from tests.support.sealed_client import inside
from tests.unit.firmware.pens_to_pair import entries, new_pen

ROOT = Path(__file__).parents[3]


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


@pytest.mark.sr("SR-SEC-2", "SR-SEC-5", side="pen")
@pytest.mark.parametrize("before", [0, 2])
def test_codes_at_speed_from_every_port_get_as_many_answers_as_there_are_tries(before: int) -> None:
    """Valid shares, one after the other, each as soon as the desk takes it, and connections anew in between."""
    pen = new_pen()
    press(pen)
    hosts = [PairingHost(pen, f"host {at}") for at in range(PORTS_MAX)]
    for _ in range(before):
        hosts[0].try_wrong()
    shares = [bytes(16) + encoded(G * (at + 1)) for at in range(PORTS_MAX)]
    answered = 0
    until_ms = pen.now_ms + PAIR_WINDOW_MS
    while pen.now_ms < until_ms:
        for host, share in zip(hosts, shares, strict=True):
            got = host.step(steps.SHARE, share)
            answered += got.opcode == PAIR_REPLY
            assert got.opcode == PAIR_REPLY or got.reason in (Reason.BUSY, Reason.PAIRING_BARRED)
            host.step(steps.CONFIRM, bytes(80))
        hosts[0].port.close()
        hosts[0] = PairingHost(pen, "again")
        pen.advance(200)
    assert answered == PAIR_TRIES - before
    assert not inside(pen).owner.owned
    assert hosts[0].standing().barred_s > 0


@pytest.mark.sr("SR-SEC-5", side="pen")
def test_no_step_makes_a_pen_load_the_curve_before_the_window_is_open() -> None:
    program = """
import sys
from dermalink_simulator.firmware.flash_layout import SetupRecord, factory_flash
from dermalink_simulator.hardware.board import PORTS_MAX
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


# Room in the history


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


@pytest.mark.sr("SR-SEC-3", side="pen")
@pytest.mark.parametrize("wrong", [1, 2])
@pytest.mark.parametrize("cut", [False, True], ids=["window shuts", "power goes"])
def test_one_or_two_wrong_codes_leave_a_record_of_their_window_once(wrong: int, *, cut: bool) -> None:
    pen = new_pen()
    host = PairingHost(pen)
    press(pen)
    for _ in range(wrong):
        host.try_wrong()
    assert entries(pen, WrongCodesEntry) == []
    for _ in range(2):
        if cut:
            pen.power.cut()
            pen.power.restore()
        pen.advance(int(PAIR_WINDOW_MS) + 1_000)
        assert entries(pen, WrongCodesEntry) == [WrongCodesEntry(tried=wrong, wrong_codes=wrong)]


@pytest.mark.sr("SR-SEC-3", side="pen")
def test_windows_with_wrong_codes_have_a_room_that_ends_and_take_none_of_the_owners() -> None:
    pen = new_pen()
    history = inside(pen).store.history
    history.kinds[RecordKind.WRONG_CODES] = TRIES_SLOTS - 1
    for _ in range(2):
        press(pen)
        PairingHost(pen).try_wrong()
        pen.advance(int(PAIR_WINDOW_MS) + 1_000)
    assert len(entries(pen, WrongCodesEntry)) == 1
    assert (history.owner_records, history.has_owner_room) == (0, True)
    press(pen)
    PairingHost(pen).try_wrong()
    pen.advance(1_000)
    assert entries(pen, PairingBarredEntry) == [PairingBarredEntry(wrong_codes=3, barred_s=600)]
