"""Bluetooth's own pairing at the pen's door: each check, who goes before whom, and what keys a link is given."""

import asyncio
import logging
from contextlib import AsyncExitStack

import pytest
from bumble import hci, ll, smp
from bumble.device import Connection
from bumble.pairing import PairingConfig, PairingDelegate

from dermalink_protocol.channels import SERIAL_NUMBER, AttError, Channel
from dermalink_protocol.limits import BOND_WINDOW_MS, BONDS_PER_WINDOW
from dermalink_simulator.doors.ble import BleDoor
from dermalink_simulator.doors.ble_bonding import GIVES_WAY_S, REFUSALS_MAX, SMP_TIMEOUT_S
from dermalink_simulator.pen import SimulatedPen, serial_number
from dermalink_simulator.radio.corrections import static_address
from dermalink_simulator.radio.just_works import B, P
from dermalink_simulator.radio.transports import open_controller
from dermalink_simulator.runner import PenRunner
from tests.security.test_raw_bonds import sealed, under_seal
from tests.support.running import in_real_time, in_virtual_time
from tests.support.sealed_client import inside, owned_pen
from tests.unit.doors.ble_central import RawCentral, Refused, central_device
from tests.unit.doors.smp_central import (
    CHECK,
    CONFIRM,
    FAILED,
    PUBLIC_KEY,
    RANDOM,
    REQUEST,
    SEED,
    NotEncrypted,
    SmpCentral,
    bonding_bench,
    central,
    kept,
    keys_of_links,
    press,
)

NOT_SUPPORTED, REPEATED = bytes([FAILED, 5]), bytes([FAILED, 9])
UNSPECIFIED, INVALID = bytes([FAILED, 8]), bytes([FAILED, 10])
KEY_MISSING = int(hci.HCI_ErrorCode.PIN_OR_KEY_MISSING_ERROR)
KEY_REFRESH = Connection.EVENT_CONNECTION_ENCRYPTION_KEY_REFRESH
MIC_FAILURE = int(hci.HCI_ErrorCode.CONNECTION_TERMINATED_DUE_TO_MIC_FAILURE_ERROR)


# A pairing that is right


@pytest.mark.sr("SR-SEC-1", side="pen")
@in_virtual_time
async def test_after_a_press_a_bond_is_made_and_with_it_the_owners_channels_may_be_subscribed_to() -> None:
    async with bonding_bench() as pen, central(pen) as one:
        for channel in (Channel.COMMAND, Channel.TELEMETRY, Channel.RECORDS):
            with pytest.raises(Refused) as refused:
                await one.host.subscribe(channel)
            assert refused.value.code == AttError.INSUFFICIENT_AUTHENTICATION
            assert await one.host.request(bytes([0x0A]) + _cccd(one.host, channel)) == b"\x0b\0\0"
        await press(pen)
        key = await one.pair()
        assert keys_of_links(pen) == [b""]  # it has a key, and is not encrypted yet
        await one.encrypt(key)
        assert keys_of_links(pen) == [key]
        await one.host.subscribe(*Channel)
        assert kept(pen) == bytes(16), "nobody has shown that he is the owner"
        assert key not in pen.pen.flash_image()


def _cccd(host: object, channel: Channel) -> bytes:
    return int(host.cccds[host.handle(channel)]).to_bytes(2, "little")  # type: ignore[attr-defined]


@in_virtual_time
async def test_bumbles_own_central_pairs_with_the_pen_and_has_the_same_key() -> None:
    async with bonding_bench() as pen, pen.host() as host:
        await press(pen)
        host.device.pairing_config_factory = lambda _: PairingConfig(
            sc=True, mitm=False, bonding=True, delegate=PairingDelegate()
        )
        assert host.connection is not None
        keys: list[object] = []
        host.connection.on(host.connection.EVENT_PAIRING, keys.append)
        async with asyncio.timeout(5):
            await host.device.pair(host.connection)
        await asyncio.sleep(0.5)
        assert keys_of_links(pen) == [keys[0].ltk.value]  # type: ignore[attr-defined]
        await host.subscribe(*Channel)


# Who may, and when


@pytest.mark.sr("SR-SEC-1", "SR-OWN-1", side="pen")
@pytest.mark.parametrize("owned", [True, False])
@in_virtual_time
async def test_without_a_press_nobody_makes_a_bond(owned: bool) -> None:
    async with bonding_bench(None if owned else SimulatedPen(seed=SEED)) as pen, central(pen) as one:
        await asyncio.sleep(2)
        assert await one.ask(REQUEST) == NOT_SUPPORTED
        await press(pen)
        await asyncio.sleep(int(BOND_WINDOW_MS) / 1_000)
        assert await one.ask(REQUEST) == NOT_SUPPORTED


@pytest.mark.sr("SR-SEC-1", side="pen")
@in_virtual_time
async def test_a_bond_gives_no_right_to_make_another_one_later() -> None:
    async with bonding_bench() as pen, central(pen) as one:
        await press(pen)
        await one.encrypt(await one.pair())
        await one.host.subscribe(*Channel)
        async with sealed(one.host) as session:
            await under_seal(one.host, session)
        await asyncio.sleep(int(BOND_WINDOW_MS) / 1_000)
        assert await one.ask(REQUEST) == NOT_SUPPORTED
        await one.encrypt(one.key)  # the first goes on


@pytest.mark.sr("SR-SEC-1", side="pen")
@in_virtual_time
async def test_a_session_that_begins_between_the_steps_ends_the_pairing() -> None:
    async with bonding_bench(SimulatedPen(seed=SEED)) as pen, central(pen) as one, pen.host(2) as other:
        await asyncio.sleep(2)
        await press(pen)
        await one.to_response()
        await other.subscribe(*Channel)
        await other.hello()
        await other.open()
        assert await one.ask(one.public_key) == NOT_SUPPORTED
        assert await one.ask(REQUEST) == NOT_SUPPORTED


@pytest.mark.sr("SR-SEC-5", side="pen")
@in_virtual_time
async def test_so_many_are_begun_for_a_press_and_no_more() -> None:
    async with bonding_bench() as pen, AsyncExitStack() as stack:
        await press(pen)
        for number in range(BONDS_PER_WINDOW):
            async with central(pen, 1 + number) as each:
                await each.to_response()
        late = await stack.enter_async_context(central(pen, 30))
        assert await late.ask(REQUEST) == REPEATED


# What a request has to say


@pytest.mark.sr("SR-SEC-1", side="pen")
@pytest.mark.parametrize(
    ("request_", "reason"),
    {
        "legacy": (bytes([1, 3, 0, 0x01, 16, 0, 0]), 3),
        "legacy with all keys": (bytes([1, 3, 0, 0x05, 16, 7, 7]), 3),
        "no bond": (bytes([1, 3, 0, 0x08, 16, 0, 0]), 3),
        "a reserved kind of bond": (bytes([1, 3, 0, 0x0B, 16, 0, 0]), 3),
        "a key of 7": (bytes([1, 3, 0, 0x09, 7, 0, 0]), 6),
        "a key of 15": (bytes([1, 3, 0, 0x09, 15, 0, 0]), 6),
        "a key of 17": (bytes([1, 3, 0, 0x09, 17, 0, 0]), 6),
        "out of band": (bytes([1, 3, 1, 0x09, 16, 0, 0]), 2),
        "no such capability": (bytes([1, 5, 0, 0x09, 16, 0, 0]), 10),
        "too short": (REQUEST[:-1], 10),
        "a code alone": (REQUEST[:1], 10),
        "too long": (REQUEST + b"\0", 10),
        "far too long": (REQUEST + bytes(200), 10),
    }.values(),
)
@in_virtual_time
async def test_a_request_that_is_not_just_this_one_is_refused(request_: bytes, reason: int) -> None:
    async with bonding_bench() as pen, central(pen) as one:
        await press(pen)
        assert await one.ask(request_) == bytes([FAILED, reason])
        await one.to_response()  # it has begun nothing


@pytest.mark.parametrize("capability", range(5))
@pytest.mark.parametrize("auth", [0x09, 0x0D, 0x2D, 0x19])
@in_virtual_time
async def test_whatever_a_central_can_and_wishes_it_is_just_works(capability: int, auth: int) -> None:
    async with bonding_bench() as pen, central(pen) as one:
        await press(pen)
        assert await one.ask(bytes([1, capability, 0, auth, 16, 3, 3])) == bytes([2, 3, 0, 0x09, 16, 0, 0])


# Public keys

DEBUG_KEY = smp.SMP_DEBUG_KEY_PUBLIC_X[::-1] + smp.SMP_DEBUG_KEY_PUBLIC_Y[::-1]


def small_point() -> tuple[int, int]:
    """A point of the curve whose x has room for one more p in 32 bytes."""
    for x in range(1, 100):
        square = (x**3 - 3 * x + B) % P
        y = pow(square, (P + 1) // 4, P)
        if y * y % P == square:
            return x, y
    raise AssertionError


SMALL = small_point()
DEBUG_MIRRORED = DEBUG_KEY[:32] + (P - int.from_bytes(DEBUG_KEY[32:], "little")).to_bytes(32, "little")


@pytest.mark.sr("SR-SEC-1", side="pen")
@pytest.mark.parametrize("wrong", ["debug", "debug mirrored", "infinity", "x alone", "off the curve", "beyond p"])
@in_virtual_time
async def test_a_public_key_that_is_none_or_everybodys_ends_the_pairing(wrong: str) -> None:
    async with bonding_bench() as pen, central(pen) as one:
        await press(pen)
        await one.to_response()
        mine = one.public_key[1:]
        y = int.from_bytes(mine[32:], "little")
        keys = {
            "debug": DEBUG_KEY,
            "debug mirrored": DEBUG_MIRRORED,
            "infinity": bytes(64),
            "x alone": mine[:32] + bytes(32),
            "off the curve": mine[:32] + (y ^ 1).to_bytes(32, "little"),
            "beyond p": (SMALL[0] + P).to_bytes(32, "little") + SMALL[1].to_bytes(32, "little"),
        }
        assert await one.ask(bytes([PUBLIC_KEY]) + keys[wrong]) == INVALID
        one.say(bytes([RANDOM]) + bytes(16))
        assert await one.hears_nothing()
        await one.pair()


# Out of order, twice, too short, too long

STAGES = ("to_response", "to_keys", "to_random", "to_check")
DUE = (None, PUBLIC_KEY, RANDOM, CHECK)
SIZES = {
    1: 7,
    2: 7,
    CONFIRM: 17,
    RANDOM: 17,
    FAILED: 2,
    6: 17,
    7: 11,
    8: 17,
    9: 8,
    10: 17,
    11: 2,
    PUBLIC_KEY: 65,
    CHECK: 17,
}


@pytest.mark.sr("SR-SEC-1", side="pen")
@pytest.mark.parametrize("code", [0, *SIZES, 14, 15, 255])
@pytest.mark.parametrize("stage", [1, 2, 3])
@in_virtual_time
async def test_whatever_is_not_due_ends_the_pairing_and_is_told_once(stage: int, code: int) -> None:
    async with bonding_bench() as pen, central(pen) as one:
        await press(pen)
        for step in one.steps[:stage]:
            await step()
        if code == DUE[stage]:
            return
        one.say(bytes([code]) + bytes(SIZES.get(code, 2) - 1))
        assert one.said.empty() or code != FAILED
        if code != FAILED:
            assert await one.answer() == UNSPECIFIED
        one.say(bytes([RANDOM]) + bytes(16), bytes([CHECK]) + bytes(16))
        assert await one.hears_nothing()
        await one.pair()  # another one may begin, and is right


@pytest.mark.sr("SR-SEC-1", side="pen")
@pytest.mark.parametrize("size", [-1, 1, 100])
@pytest.mark.parametrize("stage", [1, 2, 3])
@in_virtual_time
async def test_what_is_due_but_too_short_or_too_long_ends_the_pairing(stage: int, size: int) -> None:
    async with bonding_bench() as pen, central(pen) as one:
        await press(pen)
        for step in one.steps[:stage]:
            await step()
        due = {1: one.public_key, 2: bytes([RANDOM]) + bytes(16), 3: bytes([CHECK]) + getattr(one, "check", b"")}[stage]
        assert await one.ask(due[:size] if size < 0 else due + bytes(size)) == UNSPECIFIED


@pytest.mark.sr("SR-SEC-1", side="pen")
@in_virtual_time
async def test_a_check_that_is_wrong_makes_no_key() -> None:
    async with bonding_bench() as pen, central(pen) as one:
        await press(pen)
        for step in one.steps[:3]:
            await step()
        wrong = bytes([one.check[0] ^ 1]) + one.check[1:]
        assert await one.ask(bytes([CHECK]) + wrong) == bytes([FAILED, 11])
        with pytest.raises(NotEncrypted) as refused:
            await one.encrypt(one.ltk)
        assert refused.value.args == (KEY_MISSING,)
        assert keys_of_links(pen) == [b""]


@in_virtual_time
async def test_each_pairing_has_keys_of_its_own_on_the_pens_side() -> None:
    async with bonding_bench() as pen, central(pen) as one:
        await press(pen)
        seen = []
        for _ in range(2):
            await one.pair()
            seen.append((one.theirs, one.nb, one.key))
        assert len({part for each in seen for part in each}) == 6


# One at a time, and none for ever


@pytest.mark.sr("SR-SEC-5", side="pen")
@in_virtual_time
async def test_one_goes_on_at_a_time_and_who_falls_silent_gives_way() -> None:
    async with bonding_bench() as pen, central(pen) as silent, central(pen, 2) as other:
        await press(pen)
        await silent.to_response()
        await asyncio.sleep(GIVES_WAY_S - 1)
        assert await other.ask(REQUEST) == REPEATED
        await asyncio.sleep(1.1)
        await other.pair()
        assert await silent.answer() == UNSPECIFIED
        silent.say(silent.public_key)
        assert await silent.hears_nothing()


@pytest.mark.sr("SR-SEC-5", side="pen")
@in_virtual_time
async def test_a_pairing_that_stalls_is_over_and_its_link_has_no_other_one() -> None:
    async with bonding_bench() as pen, central(pen) as one:
        await press(pen)
        await one.to_response()
        await asyncio.sleep(SMP_TIMEOUT_S - 1)
        await one.to_keys()  # in time, and the time begins anew
        await asyncio.sleep(SMP_TIMEOUT_S + 1)
        one.say(bytes([RANDOM]) + bytes(16), REQUEST)
        await press(pen)
        one.say(REQUEST)
        assert await one.hears_nothing()
        assert await one.host.read(SERIAL_NUMBER) == serial_number(SEED).encode()
        async with central(pen, 2) as other:
            await other.pair()


@pytest.mark.sr("SR-SEC-5", side="pen")
@pytest.mark.parametrize("stage", [1, 2, 3])
@in_virtual_time
async def test_a_pairing_whose_link_goes_is_over_at_once(stage: int) -> None:
    async with bonding_bench() as pen, central(pen, 2) as other:
        await press(pen)
        async with central(pen) as one:
            for step in one.steps[:stage]:
                await step()
        await other.pair()


@pytest.mark.sr("SR-SEC-5", side="pen")
@in_virtual_time
async def test_who_is_refused_again_and_again_is_hung_up_on() -> None:
    async with bonding_bench() as pen, central(pen) as one, central(pen, 2) as other:
        for _ in range(REFUSALS_MAX):
            assert await one.ask(REQUEST) == NOT_SUPPORTED
        one.say(REQUEST)
        assert await one.host.until_ended() == int(hci.HCI_ErrorCode.AUTHENTICATION_FAILURE_ERROR)
        assert await other.host.read(SERIAL_NUMBER) == serial_number(SEED).encode()


@pytest.mark.sr("SR-SEC-5", "SR-STOP-4", side="pen")
@in_virtual_time
async def test_the_sessions_owner_is_never_hung_up_on_for_it() -> None:
    async with bonding_bench(SimulatedPen(seed=SEED)) as pen, central(pen) as one:
        await asyncio.sleep(2)
        await one.host.subscribe(*Channel)
        await one.host.hello()
        await one.host.open()
        for _ in range(REFUSALS_MAX * 3):
            assert await one.ask(REQUEST) == NOT_SUPPORTED
        await one.host.status()


@pytest.mark.sr("SR-SEC-5", side="pen")
@in_virtual_time
async def test_what_belongs_to_no_pairing_is_dropped() -> None:
    """Among them a wish for security, over and over, which only a peripheral may have."""
    async with bonding_bench() as pen, central(pen) as one:
        await press(pen)
        for _ in range(20):
            one.say(bytes([0x0B, 0x09]), bytes([FAILED, 5]), b"", bytes([RANDOM]) + bytes(16), bytes(65))
        assert await one.hears_nothing()
        await one.pair()


@pytest.mark.sr("SR-SEC-5", side="pen")
@in_virtual_time
async def test_while_an_answer_waits_to_be_taken_the_pen_is_not_even_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    async with bonding_bench(air="room") as pen, central(pen):
        (link,) = pen.door._server.links.values()
        monkeypatch.setattr(link, "bonding", lambda *, begins: asked.append(begins))
        for _ in range(40):
            link._send(b"\x0b\0")  # what takes the place in the controller
            pen.door._bonding.take(link.connection.handle, REQUEST)
        assert len(asked) == 1


@pytest.mark.sr("SR-SEC-5", side="pen")
@in_virtual_time
async def test_nothing_of_a_pairing_is_logged_or_raised(caplog: pytest.LogCaptureFixture) -> None:
    raised: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
    with caplog.at_level(logging.INFO):
        async with bonding_bench() as pen, central(pen) as one, central(pen, 2) as other:
            await press(pen)
            await one.to_response()
            assert await one.ask(bytes([PUBLIC_KEY]) + bytes(64)) == INVALID
            await one.to_response()
            one.say(bytes([FAILED, 8]))
            await one.encrypt(await one.pair())
            await other.encrypt(await other.pair())
            with pytest.raises(ConnectionError):
                await other.encrypt(bytes(16))
            caplog.clear()  # Bumble's central has something to say of it
            await asyncio.sleep(1)
    assert not raised
    assert not caplog.records


# Keys


@pytest.mark.sr("SR-SEC-1", side="pen")
@in_virtual_time
async def test_without_a_bond_there_is_no_key_and_the_link_stands_as_it_was() -> None:
    async with bonding_bench() as pen, central(pen) as one:
        with pytest.raises(NotEncrypted) as refused:
            await one.encrypt(bytes(range(16)))
        assert refused.value.args == (KEY_MISSING,)
        assert keys_of_links(pen) == [b""]
        assert await one.host.read(SERIAL_NUMBER) == serial_number(SEED).encode()


@pytest.mark.sr("SR-SEC-1", side="pen")
@pytest.mark.parametrize("anew", [False, True], ids=["first", "anew"])
@in_virtual_time
async def test_another_key_ends_that_link_on_both_sides_and_no_other(anew: bool) -> None:
    async with bonding_bench() as pen, central(pen) as one, central(pen, 2) as other:
        await press(pen)
        key = await one.pair()
        if anew:
            await one.encrypt(key)
        with pytest.raises(ConnectionError):
            await one.encrypt(bytes(16))
        assert one.host.ended == MIC_FAILURE
        await asyncio.sleep(1)
        assert keys_of_links(pen) == [b""]
        assert pen.door.links == 1
        assert await other.host.read(SERIAL_NUMBER) == serial_number(SEED).encode()


@pytest.mark.sr("SR-SEC-1", side="pen")
@pytest.mark.parametrize(("random", "diversifier"), [(b"12345678", 0), (bytes(8), 1)])
@in_virtual_time
async def test_a_key_of_legacy_pairing_is_asked_for_in_vain(random: bytes, diversifier: int) -> None:
    async with bonding_bench() as pen, central(pen) as one:
        await press(pen)
        key = await one.pair()
        with pytest.raises(NotEncrypted):
            await one.encrypt(key, random=random, diversifier=diversifier)
        await one.encrypt(key)


@in_virtual_time
async def test_a_link_is_encrypted_anew_with_the_same_key_and_with_one_that_was_made_since() -> None:
    async with bonding_bench() as pen, central(pen) as one:
        await press(pen)
        first = await one.pair()
        await one.encrypt(first)
        await one.encrypt(first)
        second = await one.pair()
        assert keys_of_links(pen) == [first]
        await one.encrypt(second)
        assert keys_of_links(pen) == [second]


@in_virtual_time
async def test_both_hosts_are_told_of_another_key_and_not_of_another_beginning() -> None:
    async with bonding_bench() as pen, central(pen) as one:
        await press(pen)
        key = await one.pair()
        (link,) = pen.door._server.links.values()
        told: list[str] = []
        for side in (one.connection, link.connection):
            for event in (side.EVENT_CONNECTION_ENCRYPTION_CHANGE, side.EVENT_CONNECTION_ENCRYPTION_KEY_REFRESH):
                side.on(event, lambda event=event: told.append(event))
        for expected in (one.connection.EVENT_CONNECTION_ENCRYPTION_CHANGE, *2 * (KEY_REFRESH,)):
            await one.encrypt(key)
            assert told == [expected] * 2
            told.clear()


@pytest.mark.sr("SR-SEC-1", side="pen")
@in_virtual_time
async def test_a_link_to_which_a_key_was_given_is_not_encrypted_before_the_controller_says_so() -> None:
    async with bonding_bench() as pen, central(pen) as one:
        await press(pen)
        key = await one.pair()
        (link,) = pen.door._server.links.values()
        assert await pen.door._bonding.key(link.connection.handle, bytes(8), 0) == key
        link.connection.emit(link.connection.EVENT_CONNECTION_ENCRYPTION_CHANGE)
        assert keys_of_links(pen) == [b""]


@pytest.mark.sr("SR-SEC-1", side="pen")
@in_virtual_time
async def test_a_link_that_is_encrypted_does_not_go_on_without_a_key() -> None:
    async with bonding_bench() as pen, central(pen) as one:
        await press(pen)
        await one.encrypt(await one.pair())
        pen.door._bonding._links.clear()
        with pytest.raises(ConnectionError):
            await one.encrypt(one.key)
        assert one.host.ended == KEY_MISSING


@in_virtual_time
async def test_a_key_that_comes_when_the_link_has_gone_is_told_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bonding_bench() as pen, central(pen) as one:
        controller = one.host.controller
        assert controller is not None
        (end,) = controller._ends.values()
        await one.host.disconnect()
        told: list[object] = []
        monkeypatch.setattr(controller, "send_hci_packet", told.append)
        controller.on_le_long_term_key_reply(end, ll.EncReq(bytes(8), 0, bytes(16)), bytes(16))
        assert not told


@pytest.mark.sr("SR-OWN-1", side="pen")
@in_virtual_time
async def test_a_bond_counts_for_its_link_alone_unless_the_owner_made_it() -> None:
    async with bonding_bench() as pen:
        async with central(pen) as one:
            await press(pen)
            key = await one.pair()
            await one.encrypt(key)
        async with central(pen) as again:
            with pytest.raises(NotEncrypted):
                await again.encrypt(key)


@pytest.mark.sr("SR-OWN-1", side="pen")
@in_virtual_time
async def test_whoever_has_the_kept_key_is_encrypted_from_whatever_address() -> None:
    async with bonding_bench() as pen:
        key = b"the owner's bond"
        pen.runner.act(lambda: inside(pen.pen).store.keep_bond(key))
        await asyncio.sleep(2)
        for number in (1, 9):
            async with central(pen, number) as one:
                with pytest.raises(Refused) as refused:
                    await one.host.subscribe(Channel.COMMAND)
                assert refused.value.code == AttError.INSUFFICIENT_ENCRYPTION
                await one.encrypt(key)
                await one.host.subscribe(*Channel)
        async with central(pen) as other:
            with pytest.raises(ConnectionError):
                await other.encrypt(bytes(16))


@pytest.mark.sr("SR-SEC-1", side="pen")
@in_real_time
async def test_for_a_host_in_another_process_a_link_is_encrypted_and_anew_and_another_key_ends_it() -> None:
    runner = PenRunner(owned_pen(seed=SEED))
    serial = serial_number(SEED)
    door = await BleDoor.open(runner, "tcp-server:127.0.0.1:0", serial_number=serial, seed=SEED, air="perfect")
    try:
        async with open_controller(door.radio) as (source, sink):
            device = central_device(source, sink, 1)
            await device.power_on()
            one = SmpCentral(await RawCentral(device, None).connect(static_address(f"pen/{serial}"), 247))
            pen = runner.pen
            assert isinstance(pen, SimulatedPen)
            runner.act(pen.button.press)
            await asyncio.sleep(0.5)
            key = await one.pair()
            await one.encrypt(key)
            await one.encrypt(key)
            await one.host.subscribe(*Channel)
            with pytest.raises(ConnectionError):
                await one.encrypt(bytes(16))
            assert one.host.ended == MIC_FAILURE
    finally:
        await door.close()
        runner.stop()
