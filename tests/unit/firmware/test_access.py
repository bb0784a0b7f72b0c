"""Who may do what, for every opcode that there can be; and how many handshakes a port has, at any times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode, Reason
from dermalink_protocol.limits import HANDSHAKE_EVERY_MS, HANDSHAKES_AT_ONCE
from dermalink_protocol.schema import Effect, Message, Request
from dermalink_simulator.firmware import access
from dermalink_simulator.firmware.access import CORNER, ONLY_CLEAR, STOP_OPCODES, port_is_authenticated, refusal_of
from dermalink_simulator.firmware.inside import Asked, Inside
from dermalink_simulator.firmware.owner_record import NO_OWNER
from dermalink_simulator.firmware.safeguards import Profile

EVERY_OPCODE = range(0x1_0000)
IN_CLEAR, UNDER_SEAL = Asked(1, Channel.COMMAND, 1, 0), Asked(1, Channel.COMMAND, 1, 7)


def a_pen(*, owned: bool, profile: Profile = Profile.TEST) -> Inside:
    pen = Inside(profile, frozenset())
    pen.owner = NO_OWNER._replace(number=int(owned))
    return pen


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_with_an_owner_seven_opcodes_of_all_are_taken_in_the_clear() -> None:
    pen = a_pen(owned=True)
    taken = {opcode for opcode in EVERY_OPCODE if refusal_of(pen, IN_CLEAR, opcode) is Reason.NONE}
    names = "HELLO GET_STATUS GET_OWNER PAIR_STEP OPEN_CHANNEL STOP REPORT_SYMPTOM"
    assert taken == {Opcode[name] for name in names.split()}
    assert {refusal_of(pen, IN_CLEAR, opcode) for opcode in EVERY_OPCODE} == {Reason.NONE, Reason.NOT_AUTHENTICATED}
    assert not port_is_authenticated(pen, IN_CLEAR)


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_under_seal_all_but_what_comes_before_it_is_looked_at() -> None:
    pen = a_pen(owned=True)
    refused = {opcode: refusal_of(pen, UNDER_SEAL, opcode) for opcode in EVERY_OPCODE}
    assert {opcode for opcode, reason in refused.items() if reason is not Reason.NONE} == ONLY_CLEAR
    assert {refused[opcode] for opcode in ONLY_CLEAR} == {Reason.WRONG_STATE}
    assert port_is_authenticated(pen, UNDER_SEAL)


@pytest.mark.sr("SR-SEC-1", "SR-OWN-1", side="pen")
@pytest.mark.parametrize("profile", [Profile.PRODUCT, Profile.BOXED])
def test_a_pen_that_is_built_to_be_sold_has_nobody_run_it_before_it_is_paired(profile: Profile) -> None:
    pen = a_pen(owned=False, profile=profile)
    assert pen.owners_only
    refused = {opcode: refusal_of(pen, IN_CLEAR, opcode) for opcode in EVERY_OPCODE}
    assert {opcode for opcode, reason in refused.items() if reason is Reason.NONE} == CORNER
    assert set(refused.values()) == {Reason.NONE, Reason.NO_OWNER}
    assert not port_is_authenticated(pen, IN_CLEAR)


def test_a_pen_for_tests_without_an_owner_hears_everybody() -> None:
    pen = a_pen(owned=False)
    assert all(refusal_of(pen, IN_CLEAR, opcode) is Reason.NONE for opcode in EVERY_OPCODE)
    assert port_is_authenticated(pen, IN_CLEAR)


@pytest.mark.sr("SR-SEC-1", "SR-STOP-4", side="pen")
def test_the_corner_lowers_exposure_or_leaves_it_but_for_the_steps_of_pairing() -> None:
    effects = {opcode: Message.by_opcode[opcode].effect for opcode in CORNER}
    assert {opcode for opcode, effect in effects.items() if effect is Effect.RAISES} == {Opcode.PAIR_STEP}
    assert Effect.KEEPS_ALIVE not in effects.values()
    assert set(STOP_OPCODES) < CORNER
    assert all(issubclass(Message.by_opcode[opcode], Request) for opcode in CORNER)


def granted(pen: Inside, port: int) -> int:
    """Ask for a handshake: 0 if the port has one, else the ms that it is told to wait."""
    return access._handshake_wait_ms(pen, port)


@pytest.mark.sr("SR-SEC-5", side="pen")
@given(st.integers(0, 0xFFFF_FFFF), st.lists(st.integers(0, 2 * HANDSHAKE_EVERY_MS), max_size=60))
def test_at_any_times_a_port_has_so_many_and_waits_as_long_as_it_is_told(begin_ms: int, gaps_ms: list[int]) -> None:
    pen, now_ms = a_pen(owned=True), 0
    pen.tick_ms, times, promised = begin_ms, [], 0
    for gap_ms in gaps_ms:
        now_ms += gap_ms
        pen.tick_ms = (begin_ms + now_ms) & 0xFFFF_FFFF
        wait_ms = granted(pen, 1)
        assert 0 <= wait_ms <= HANDSHAKE_EVERY_MS
        if wait_ms:
            assert promised in (0, now_ms + wait_ms)
            promised = now_ms + wait_ms
            continue
        assert now_ms >= promised
        promised = 0
        times.append(now_ms)
    for first, begun_ms in enumerate(times):
        for last in range(first, len(times)):
            most = HANDSHAKES_AT_ONCE + (times[last] - begun_ms) // HANDSHAKE_EVERY_MS
            assert last - first + 1 <= most


@pytest.mark.sr("SR-SEC-5", side="pen")
def test_ports_have_handshakes_of_their_own() -> None:
    pen = a_pen(owned=True)
    assert [granted(pen, 1) for _ in range(HANDSHAKES_AT_ONCE + 1)][-1] == HANDSHAKE_EVERY_MS
    assert [granted(pen, 2) for _ in range(HANDSHAKES_AT_ONCE)] == [0] * HANDSHAKES_AT_ONCE
    pen.tick_ms += int(HANDSHAKE_EVERY_MS)
    assert [granted(pen, 1), granted(pen, 1)] == [0, HANDSHAKE_EVERY_MS]
