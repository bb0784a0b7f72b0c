"""Pairing a pen over raw frames, with the code on its card and without: the window, and one run at a time."""

from hashlib import sha256

import pytest

from dermalink_protocol.codewords import Reason
from dermalink_protocol.history_entries import OwnerPairedEntry
from dermalink_protocol.pairing import steps
from dermalink_protocol.pairing.errors import WrongConfirmation
from dermalink_protocol.pairing.owner_keys import SEALED_BYTES
from dermalink_protocol.pairing.p256 import DRAWN_BYTES, POINT_BYTES
from dermalink_protocol.pairing.spake2plus import CONFIRMATION_BYTES, HOST_ID_BYTES
from dermalink_protocol.sealing.keys import public_key
from dermalink_simulator.firmware import pairing
from dermalink_simulator.firmware.identity import FIRMWARE_VERSION
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.seam import PortKind
from tests.support import raw_pen as raw
from tests.support.pairing_host import PAIR_REPLY, PairingHost, press
from tests.support.raw_pen import raw_pen
from tests.support.sealed_client import inside
from tests.unit.firmware.pens_to_pair import entries, new_pen

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
        OwnerPairedEntry(
            owner_number=1,
            host_key_hash=hashed,
            before=0,
            wrong_codes=0,
            firmware_version=FIRMWARE_VERSION,
            calibration_id=1,
        )
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


# What is kept to itself


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
