"""Links, devices and radios that go away in the middle of a call: an error of bleak's in bounded time, and no rest."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.exc import BleakBluetoothNotAvailableError, BleakDeviceNotFoundError, BleakError
from bumble import att, hci
from bumble.controller import Controller
from bumble.link import LocalLink
from bumble.pairing import PairingConfig, PairingDelegate

from dermalink_simulator.hardware.air import AIR_PROFILES
from dermalink_simulator.radio import adapter
from dermalink_simulator.radio.backends import backends
from dermalink_simulator.radio.transports import serve_controllers
from dermalink_simulator.virtual_time import VirtualTimeLoop
from tests.support.bleak_bench import Bench, bench
from tests.support.little_peripheral import ADDRESS, COMMAND, INDICATE, LONG, NOTIFY, READ, SLOW, WRITE
from tests.support.running import in_real_time, in_virtual_time

NOBODY = "F0:00:00:00:00:09"


def now() -> float:
    return asyncio.get_running_loop().time()


@in_virtual_time
async def test_an_address_that_nobody_advertises_is_not_found_in_the_time_given() -> None:
    async with bench() as room:
        client = BleakClient(NOBODY, backend=room.client, timeout=4)
        before = now()
        with pytest.raises(BleakDeviceNotFoundError, match=NOBODY):
            await client.connect()
        assert 4 <= now() - before < 4.5
        assert room.air.members == [room.peripheral.controller]
        async with await room.client_of() as other:
            assert other.is_connected


@in_virtual_time
async def test_a_device_that_went_away_after_the_scan_is_a_time_out() -> None:
    async with bench() as room:
        gone = BLEDevice(NOBODY, "Gone", {"address": hci.Address(NOBODY)})
        client = BleakClient(gone, backend=room.client, timeout=4)
        for _ in range(2):
            before = now()
            with pytest.raises(TimeoutError):
                await client.connect()
            assert 4 <= now() - before < 4.5
        async with await room.client_of() as other:  # the radio is free again
            assert other.is_connected


@in_virtual_time
async def test_giving_up_a_connection_attempt_frees_the_radio_for_the_next() -> None:
    async with bench() as room:
        gone = BLEDevice(NOBODY, "Gone", {"address": hci.Address(NOBODY)})
        client = BleakClient(gone, backend=room.client)
        connecting = asyncio.create_task(client.connect())
        await asyncio.sleep(1)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        connecting = asyncio.create_task(client.connect())
        await asyncio.sleep(1)
        with pytest.raises(BleakError, match="already connected, or connecting"):
            await client.connect()
        await client.disconnect()
        with pytest.raises(BleakError, match="was given up"):
            await connecting
        assert not client.is_connected
        async with await room.client_of() as other:
            assert other.is_connected


@in_virtual_time
async def test_two_connections_at_once_are_made_one_after_the_other() -> None:
    async with bench() as room:
        device = await room.found()
        gone = BleakClient(BLEDevice(NOBODY, "Gone", {"address": hci.Address(NOBODY)}), backend=room.client, timeout=3)
        there = BleakClient(device, backend=room.client)
        results = await asyncio.gather(gone.connect(), there.connect(), return_exceptions=True)
        assert isinstance(results[0], TimeoutError)
        assert results[1] is None
        assert await there.read_gatt_char(READ) == b"hello"
        await there.disconnect()


Work = Callable[[Bench, BleakClient], Awaitable[Any]]

UNDER_WAY: dict[str, Work] = {
    "read": lambda room, client: client.read_gatt_char(SLOW),
    "long read": lambda room, client: client.read_gatt_char(LONG),
    "write": lambda room, client: client.write_gatt_char(WRITE, b"x", response=True),
    "long write": lambda room, client: client.write_gatt_char(WRITE, bytes(512), response=True),
    "start_notify": lambda room, client: client.start_notify(INDICATE, lambda _, __: None),
    "pair": lambda room, client: client.pair(),
    "flood": lambda room, client: flood(client),
}


async def flood(client: BleakClient) -> None:
    while True:
        await client.write_gatt_char(COMMAND, bytes(20), response=False)


@pytest.mark.parametrize("what", UNDER_WAY)
@pytest.mark.parametrize("how", ["vanish", "hang up"])
@in_virtual_time
async def test_a_device_that_goes_in_the_middle_of_a_call_ends_it(what: str, how: str) -> None:
    async with bench(AIR_PROFILES["room"]) as room:
        ended: list[bool] = []
        over = asyncio.Event()

        def note(one: BleakClient) -> None:
            ended.append(one.is_connected)
            over.set()

        slow = room.with_options(f"host={what.replace(' ', '')},interval=100,supervision=2000,mtu=23")
        client = await slow.connected(disconnected_callback=note)
        call = asyncio.ensure_future(UNDER_WAY[what](room, client))
        await asyncio.sleep(0.05)  # less than a connection interval: the request is on its way
        assert not call.done()
        before = now()
        if how == "vanish":
            room.peripheral.vanish()
        else:
            await room.peripheral.connection.disconnect()
        outcome = (await asyncio.gather(call, return_exceptions=True))[0]
        answered_first = how == "hang up" and what in ("write", "start_notify")  # in the same connection event
        assert isinstance(outcome, BleakError) or (answered_first and outcome is None)
        await over.wait()
        assert now() - before < 3
        assert ended == [False]
        assert not client.is_connected
        await client.disconnect()
        assert ended == [False]
        assert slow.air.members in ([], [room.peripheral.controller])


@pytest.mark.parametrize("tenth", range(1, 10))
@in_virtual_time
async def test_a_device_that_goes_while_connecting_or_being_discovered_ends_it(tenth: int) -> None:
    async with bench(AIR_PROFILES["room"]) as room:
        slow = room.with_options("interval=50,mtu=23")
        device = await slow.found()
        whole = BleakClient(device, backend=slow.client)
        before = now()
        await whole.connect()
        takes = now() - before
        await whole.disconnect()
        ended: list[bool] = []
        client = BleakClient(device, lambda one: ended.append(one.is_connected), backend=slow.client, timeout=5)
        call = asyncio.create_task(client.connect())
        await asyncio.sleep(takes * tenth / 10)
        before = now()
        room.peripheral.vanish()
        with pytest.raises((BleakError, TimeoutError)):
            await call
        assert now() - before < 5.5
        assert not client.is_connected
        assert len(ended) <= 1  # once, where a link stood
        assert slow.air.members == []
        await client.disconnect()
        assert len(ended) <= 1


@in_virtual_time
async def test_nobody_waits_for_a_link_that_is_lost_between_calls() -> None:
    async with bench() as room:
        ended: list[bool] = []
        client = await room.connected(disconnected_callback=lambda one: ended.append(one.is_connected))
        await client.start_notify(NOTIFY, lambda _, __: None)
        await room.peripheral.connection.disconnect()
        await asyncio.sleep(0.1)
        assert ended == [False]
        with pytest.raises(BleakError):
            await client.read_gatt_char(READ)
        assert room.air.members == [room.peripheral.controller]  # nobody called disconnect(), and still it is closed
        await client.connect()
        assert await client.read_gatt_char(READ) == b"hello"
        await client.disconnect()
        assert ended == [False, False]


@in_virtual_time
async def test_several_calls_at_once_all_end_when_the_link_does() -> None:
    async with bench() as room:
        client = await room.connected()
        calls = [asyncio.ensure_future(client.read_gatt_char(which)) for which in (SLOW, READ, LONG, READ)]
        await room.peripheral.silent.wait()
        await room.peripheral.connection.disconnect()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [isinstance(one, BleakError) for one in results] == [True] * 4
        await client.disconnect()


@in_virtual_time
async def test_a_late_answer_is_nobody_elses() -> None:
    async with bench() as room, await room.client_of() as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await client.read_gatt_char(SLOW)
        second = asyncio.create_task(client.read_gatt_char(READ))
        await asyncio.sleep(1)
        assert not second.done()  # one request at a time, whoever still wants its answer
        room.peripheral.go_on.set()
        assert await second == b"hello"


@in_virtual_time
async def test_a_device_that_never_answers_is_given_up_after_the_specifications_30_s() -> None:
    async with bench() as room:
        client = await room.connected()
        before = now()
        with pytest.raises(BleakError, match="unanswered for 30 s"):
            await client.read_gatt_char(SLOW)
        assert 30 <= now() - before < 32
        assert not client.is_connected


@in_virtual_time
async def test_a_cancelled_call_is_the_callers_own_cancellation() -> None:
    async with bench() as room:
        client = await room.connected()
        call = asyncio.create_task(client.read_gatt_char(SLOW))
        await room.peripheral.silent.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await client.disconnect()


@in_virtual_time
async def test_a_long_write_given_up_half_way_leaves_nothing_queued_for_the_next() -> None:
    async with bench(AIR_PROFILES["room"]) as room:
        async with await room.with_options("mtu=23,interval=50").client_of() as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.6):
                    await client.write_gatt_char(WRITE, bytes(300), response=True)
            await client.write_gatt_char(WRITE, b"next" * 10, response=True)
        assert room.peripheral.written == [(WRITE, bytes(300)), (WRITE, b"next" * 10)]


@in_virtual_time
async def test_disconnect_is_bounded_when_the_device_no_longer_confirms_it() -> None:
    async with bench(AIR_PROFILES["room"]) as room:
        client = await room.connected()
        room.peripheral.vanish()
        before = now()
        await asyncio.gather(client.disconnect(), client.disconnect())
        assert now() - before < 2
        assert not client.is_connected


@in_virtual_time
async def test_a_disconnected_callback_that_fails_is_told_and_hurts_nobody() -> None:
    async with bench() as room:
        told: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
        client = await room.connected(disconnected_callback=lambda _: 1 // 0)
        await client.disconnect()
        assert [type(one) for one in told] == [ZeroDivisionError]
        assert room.air.members == [room.peripheral.controller]


@in_virtual_time
async def test_a_callback_may_begin_the_next_connection() -> None:
    async with bench() as room:
        again: list[asyncio.Task[None]] = []
        client = await room.connected(
            disconnected_callback=lambda one: again.append(asyncio.create_task(one.connect())) if not again else None
        )
        await room.peripheral.connection.disconnect()
        await asyncio.sleep(1)
        await again[0]
        assert await client.read_gatt_char(READ) == b"hello"
        await client.disconnect()


# Radios


@in_real_time
async def test_a_radio_that_dies_ends_all_clients_and_the_next_use_opens_a_new_one() -> None:
    async with bench(tcp=True) as room:
        ended: list[bool] = []
        client = await room.connected(disconnected_callback=lambda one: ended.append(one.is_connected))
        call = asyncio.create_task(client.read_gatt_char(SLOW))
        await room.peripheral.silent.wait()
        async with BleakScanner(backend=room.scanner):
            await room.room.aclose()
            with pytest.raises(BleakError, match="lost"):
                await call
        assert ended == [False]
        with pytest.raises(BleakBluetoothNotAvailableError):
            await client.connect()
        await client.disconnect()
        assert ended == [False]


@in_real_time
async def test_a_radio_that_is_back_serves_the_client_it_had_lost() -> None:
    async with bench(tcp=True) as room:
        client = await room.connected()
        await room.room.aclose()
        address = room.spec.removeprefix("tcp-client:")
        async with serve_controllers(f"tcp-server:{address}", room.air):
            await client.connect()
            assert await client.read_gatt_char(READ) == b"hello"
            await client.disconnect()


@in_virtual_time
async def test_a_controller_that_never_lets_go_of_an_attempt_is_left_for_a_new_one() -> None:
    opened = []

    @asynccontextmanager
    async def stock(_: str) -> AsyncIterator[tuple[Controller, Controller]]:
        link = LocalLink()  # type: ignore[no-untyped-call]
        one = Controller("stock", link=link, public_address=hci.Address("00:00:00:00:00:09/P"))
        opened.append(one)
        yield one, one

    client, _ = backends("air:[host=stock]stock")
    gone = BleakClient(BLEDevice(NOBODY, "Gone", {"address": hci.Address(NOBODY)}), backend=client, timeout=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adapter, "open_controller", stock)
        for number in (1, 2):
            before = now()
            with pytest.raises(TimeoutError):
                await gone.connect()
            assert now() - before < 3 + adapter.COMMAND_S + adapter.CLOSE_S + 1
            assert len(opened) == number
    assert opened[0].pending_le_connection is not None  # as ever with stock Bumble


@in_virtual_time
async def test_an_answer_that_is_none_fails_its_call_and_nothing_else() -> None:
    async with bench() as room, await room.client_of() as client:
        call = asyncio.create_task(client.read_gatt_char(SLOW))
        await room.peripheral.silent.wait()
        send = room.peripheral.connection.send_l2cap_pdu
        send(att.ATT_CID, bytes([att.Opcode.ATT_HANDLE_VALUE_NOTIFICATION, 1]))  # too short to be one
        with pytest.raises(BleakError, match="out of order"):
            await call
        send(att.ATT_CID, b"\xff")
        send(att.ATT_CID, bytes([att.Opcode.ATT_READ_RESPONSE]) + b"unasked")
        await room.settle()
        assert await client.read_gatt_char(READ) == b"hello"


@in_virtual_time
async def test_a_refused_pairing_is_said_and_costs_the_link_nothing() -> None:
    async with bench() as room:

        class Refuses(PairingDelegate):
            async def accept(self) -> bool:
                return False

        room.peripheral.device.pairing_config_factory = lambda _: PairingConfig(delegate=Refuses())
        async with await room.with_options("host=refused").client_of() as client:
            with pytest.raises(BleakError, match="AuthenticationFailed"):
                await client.pair()
            assert await client.read_gatt_char(READ) == b"hello"
        with pytest.raises(BleakError, match="AuthenticationFailed"):
            await room.with_options("host=refused").connected(pair=True)


def test_a_program_that_forgets_to_let_go_still_ends_in_peace(caplog: pytest.LogCaptureFixture) -> None:
    """The event loop cancels what is left; the radio is closed on the way, and the peripheral knows."""
    ended: list[bool] = []

    async def forgets() -> None:
        room = await stack.enter_async_context(bench(tcp=True))
        scanner = BleakScanner(backend=room.scanner)
        await scanner.start()
        forgotten.append((scanner, await room.connected(disconnected_callback=lambda one: ended.append(True))))

    forgotten: list[object] = []
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        runner.run(forgets())
        left = [task for task in asyncio.all_tasks(runner.get_loop()) if "bleak radio" in task.get_name()]
        for task in left:
            task.cancel()
        runner.run(asyncio.sleep(0.1))
        assert [task.done() for task in left] == [True]
        assert ended == [True]
        runner.run(stack.aclose())
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("work", ["search and connect", "scan", "scan, connect and read"])
def test_a_program_that_ends_in_the_middle_of_anything_ends_in_silence(
    work: str, tcp: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """All that is under way is cancelled at once, as `asyncio.run` does when its program ends: nothing is reported."""

    async def does(room: Bench) -> None:
        if work == "search and connect":  # the address alone: the client listens for it first
            async with BleakClient(ADDRESS, backend=room.client) as client:
                await client.read_gatt_char(SLOW)
        elif work == "scan":
            await BleakScanner.discover(1, backend=room.scanner)
        else:
            async with await room.client_of() as client:
                await client.read_gatt_char(SLOW)

    async def begins(room: Bench, turns: int) -> set[asyncio.Task[Any]]:
        before = asyncio.all_tasks()
        asyncio.get_running_loop().set_exception_handler(lambda _, told: reported.append(told))
        asyncio.create_task(does(room))  # noqa: RUF006 (it is among those that are cancelled)
        for turn in range(turns):
            await asyncio.sleep(0 if turn % 8 else 0.003)
        return asyncio.all_tasks() - before - {asyncio.current_task()}

    async def ends(left: set[asyncio.Task[Any]]) -> None:
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    reported: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=None if tcp else VirtualTimeLoop) as runner:
        for turns in range(1, 240, 16 if tcp else 5):
            stack = AsyncExitStack()
            room = runner.run(stack.enter_async_context(bench(tcp=tcp)))
            left = runner.run(begins(room, turns))
            runner.run(ends(left))
            wrong = [task.exception() for task in left if not task.cancelled() and task.exception() is not None]
            assert wrong == [], f"after {turns} turns"
            runner.run(asyncio.sleep(0.01))
            assert room.air.members == [room.peripheral.controller], f"after {turns} turns"
            runner.run(stack.aclose())
    assert reported == []
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@in_real_time
async def test_a_radio_that_accepts_and_says_nothing_is_given_up() -> None:
    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client, _ = backends(f"tcp-client:127.0.0.1:{port}")
    with pytest.raises(TimeoutError):
        await BleakClient(ADDRESS, backend=client, timeout=0.3).connect()
    for writer in held:
        writer.close()
        await writer.wait_closed()
    server.close()
    await server.wait_closed()


@in_virtual_time
async def test_several_users_share_one_radio_which_closes_with_the_last() -> None:
    async with bench() as room:
        sizes = []
        first = BleakScanner(backend=room.scanner)
        second = BleakScanner(backend=room.scanner)
        await asyncio.gather(first.start(), second.start())
        sizes.append(len(room.air.members))
        client = await room.connected()
        await first.stop()
        sizes.append(len(room.air.members))
        await client.disconnect()
        sizes.append(len(room.air.members))
        await second.stop()
        sizes.append(len(room.air.members))
        assert sizes == [2, 2, 2, 1]


@in_virtual_time
async def test_opening_that_is_cancelled_leaves_nothing() -> None:
    async with bench() as room:
        for rounds in range(8):
            task = asyncio.create_task(BleakScanner.discover(1, backend=room.scanner))
            for _ in range(rounds * 7):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(0.1)
            assert room.air.members == [room.peripheral.controller]


@in_virtual_time
async def test_a_cancelled_connect_leaves_nothing_wherever_it_was() -> None:
    async with bench(AIR_PROFILES["room"]) as room:
        device = await room.found()
        for step in range(12):
            client = BleakClient(device, backend=room.client)
            connecting = asyncio.create_task(client.connect())
            await asyncio.sleep(0.02 + step * 0.06)
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
            await client.disconnect()
            assert room.air.members == [room.peripheral.controller]
            await asyncio.sleep(1)


@in_virtual_time
async def test_the_same_seed_gives_the_same_times() -> None:
    moments = []
    for _ in range(2):
        async with bench(AIR_PROFILES["room"], seed=5) as room:
            start = now()
            async with await room.client_of() as client:
                await client.read_gatt_char(LONG)
            moments.append(now() - start)
    assert all(abs(one - other) < 1e-6 for one, other in pairwise(moments))
