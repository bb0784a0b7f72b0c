"""What bleak on real BlueZ was measured to do to a host, point by point, and what becomes of it here."""

import asyncio
import threading
from collections.abc import Callable

import pytest
from bleak.exc import BleakDBusError

from dermalink.errors import (
    CannotOpen,
    ForeignTable,
    LinkClosed,
    LinkLost,
    NoBluetooth,
    NoSuchPen,
    PairingRefused,
)
from dermalink.links import ble_calls
from dermalink.links.ble_client import CONNECT_WITHIN_S, DISCONNECT_WITHIN_S
from dermalink.links.ble_finding import NAMESAKE_S
from dermalink.links.ble_tries import OPEN_WITHIN_S, TRIES
from dermalink.links.ble_writer import COPY_AFTER_S, WRITE_WITHIN_S
from dermalink_protocol.channels import CHANNEL_RULES, Channel, Gatt
from tests.air.host.fake_bleak import FOREVER, Computer, Peripheral, UnknownObjectError
from tests.air.host.rig import bench, opened, using
from tests.support.running import in_real_time, in_virtual_time

# Notifications multiply with each drop, unless disconnect() is called after the disconnected callback


@in_virtual_time
async def test_ten_drops_leave_no_copies_behind_for_disconnect_is_always_called() -> None:
    computer = Computer(Peripheral())
    for _ in range(10):
        link = await opened(computer)
        await link.secure(pairs=False)
        computer.say(computer.peripherals[0], Channel.TELEMETRY, b"sample")
        assert await link.receive() == (Channel.TELEMETRY, b"sample")
        assert link.counters.repeated == 0
        computer.drop(computer.peripherals[0])
        with pytest.raises(LinkLost):
            await link.receive()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await link.close()
    assert [client.disconnects for client in computer.clients] == [1] * 10
    assert computer.left_over[computer.peripherals[0].address] == 0


@pytest.mark.parametrize("copies", [1, 2, 4])
@in_virtual_time
async def test_values_that_come_several_times_are_taken_once(copies: int) -> None:
    async with bench() as at:
        at.computer.left_over[at.device.address] = copies
        for number in range(20):
            at.computer.say(at.device, Channel.TELEMETRY, bytes([number]) * 60)
        assert [(await at.link.receive())[1][0] for _ in range(20)] == list(range(20))
        assert at.link.counters.frames_received == 20
        assert at.link.counters.repeated == 20 * 4 * copies  # four segments a message
        assert at.link.counters.broken_frames == 0


# BlueZ subscribes by itself after a drop


@in_virtual_time
async def test_what_a_pen_says_before_all_is_subscribed_is_not_taken_for_an_end_or_a_fault() -> None:
    device = Peripheral()
    computer = Computer(device)
    device.on_subscribe = lambda _channel: computer.notify(device, Channel.STATUS, device.cut(Channel.STATUS, b"x")[0])
    link = await opened(computer)
    assert await link.receive() == (Channel.STATUS, b"x")
    assert link.counters.broken_frames == 0
    await link.close()


@in_virtual_time
async def test_what_a_pen_tells_anybody_is_subscribed_to_at_once_and_the_rest_for_who_may_run_it_each_once() -> None:
    subscribed: list[Channel] = []
    device = Peripheral()
    device.on_subscribe = subscribed.append
    link = await opened(Computer(device))
    assert subscribed == [Channel.PAIRING, Channel.STATUS, Channel.STOP]
    for _ in range(2):
        await link.secure(pairs=False)
        assert subscribed[3:] == [Channel.COMMAND, Channel.TELEMETRY, Channel.RECORDS]
    saying = [channel for channel, rule in CHANNEL_RULES.items() if rule.gatt & (Gatt.INDICATE | Gatt.NOTIFY)]
    assert sorted(subscribed) == saying == list(Channel)
    assert not device.written
    await link.close()


# A table that changed while an old one was kept


@in_virtual_time
async def test_another_value_where_the_version_should_be_is_a_foreign_table_after_one_more_try() -> None:
    device = Peripheral()
    device.version = b"\x55\x01"
    computer = Computer(device)
    with pytest.raises(ForeignTable, match="protocol version") as caught:
        await opened(computer)
    assert "forget" in caught.value.advice
    assert [client.disconnects for client in computer.clients] == [1, 1]


@in_virtual_time
async def test_a_table_that_is_fresh_after_a_drop_is_taken() -> None:
    device = Peripheral()
    device.version = b"9"
    device.on_unlink = lambda: setattr(device, "version", b"1")
    async with bench(device) as at:
        await at.link.send(Channel.STATUS, b"hello")
        assert len(at.computer.clients) == 2


def _without(channel: Channel) -> Callable[[Peripheral], None]:
    def spoil(device: Peripheral) -> None:
        del device.properties[channel]

    return spoil


def _lacking(channel: Channel, flag: Gatt) -> Callable[[Peripheral], None]:
    return lambda device: device.properties.update({channel: device.properties[channel] & ~flag})


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_without(Channel.STOP), "stop is missing"),
        (_without(Channel.RECORDS), "records is missing"),
        (_lacking(Channel.STOP, Gatt.WRITE_WITHOUT_RESPONSE), "stop lacks write-without-response"),
        (_lacking(Channel.STATUS, Gatt.INDICATE), "status lacks indicate"),
        (_lacking(Channel.COMMAND, Gatt.WRITE), "command lacks write"),
        (_lacking(Channel.TELEMETRY, Gatt.NOTIFY), "telemetry lacks notify"),
        (lambda device: device.properties.clear(), "pairing is missing; status is missing"),
    ],
)
@in_virtual_time
async def test_a_table_that_lacks_something_is_refused_in_words(spoil: Callable[[Peripheral], None], says: str) -> None:
    device = Peripheral()
    spoil(device)
    with pytest.raises(ForeignTable) as caught:
        await opened(Computer(device))
    assert says in str(caught.value)


@in_virtual_time
async def test_a_device_without_the_service_is_refused() -> None:
    device = Peripheral()
    whole = device.services()
    device.services = type(whole)  # type: ignore[method-assign]
    with pytest.raises(CannotOpen):
        await opened(Computer(device))


# The ghost connection: nothing returns, nobody is told, and it says that it is connected


@pytest.mark.sr("SR-STOP-7", side="host")
@in_virtual_time
async def test_a_ghost_is_found_out_by_a_write_that_nobody_answers() -> None:
    async with bench() as at:
        at.computer.drop(at.device, tell=False)
        at.link.send_now(Channel.STOP, b"stop")
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(LinkLost, match="not answered"):
            await at.link.receive()
        assert loop.time() - began == pytest.approx(WRITE_WITHIN_S + COPY_AFTER_S, abs=0.01)
        assert at.client.is_connected
        await asyncio.sleep(0.1)
        assert at.client.disconnects == 1


@pytest.mark.parametrize("call", ["connect_s", "read_s", "subscribe_s"])
@in_virtual_time
async def test_each_call_while_it_opens_is_bounded(call: str) -> None:
    device = Peripheral()
    setattr(device, call, FOREVER)
    computer = Computer(device)
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(CannotOpen):
        await opened(computer)
    assert loop.time() - began <= OPEN_WITHIN_S
    await asyncio.sleep(0.1)
    assert all(client.disconnects == 1 for client in computer.clients)
    await asyncio.sleep(DISCONNECT_WITHIN_S)
    assert ble_calls.left() == 0


# Pairing


@in_virtual_time
async def test_a_refused_pairing_is_disconnected_at_once_and_not_tried_again() -> None:
    device = Peripheral()
    device.subscribe_error = BleakDBusError("org.bluez.Error.AuthenticationFailed", ["Authentication Failed"])
    computer = Computer(device)
    with pytest.raises(PairingRefused, match="AuthenticationFailed") as caught:
        await opened(computer)
    assert "bluetoothctl remove" in caught.value.advice
    assert computer.pairings == 1
    assert [client.disconnects for client in computer.clients] == [1]


@pytest.mark.parametrize("hangs", [True, False])
@in_virtual_time
async def test_a_pen_that_let_go_of_its_bond_is_told_as_what_it_may_be(hangs: bool) -> None:
    device = Peripheral()
    if hangs:
        device.connect_s = FOREVER
    else:
        device.connect_error = BleakDBusError("org.bluez.Error.AuthenticationRejected", [])
    with pytest.raises(CannotOpen) as caught:
        await opened(Computer(device))
    assert isinstance(caught.value, PairingRefused) is not hangs
    if not hangs:
        assert "bluetoothctl remove" in caught.value.advice


# Two clients share a link


@in_virtual_time
async def test_another_client_on_the_same_link_doubles_what_comes_and_may_drop_it_and_both_are_told() -> None:
    async with bench() as at:
        stranger = type(at.client)(
            at.computer.scanners[0].seen_devices[at.device.address][0], disconnected_callback=None, timeout=30
        )
        stranger.up = stranger.says_connected = True
        at.computer.say(at.device, Channel.STATUS, b"said once")
        assert await at.link.receive() == (Channel.STATUS, b"said once")
        assert at.link.counters.repeated == 1
        await stranger.disconnect()
        with pytest.raises(LinkLost):
            await at.link.receive()


@in_virtual_time
async def test_our_close_is_told_as_a_close_though_the_callback_comes_with_it() -> None:
    async with bench() as at:
        receiving = asyncio.ensure_future(at.link.receive())
        await asyncio.sleep(0)
        await at.link.close()
        with pytest.raises(LinkClosed):
            await receiving


# One connect at a time


@in_virtual_time
async def test_connects_go_one_after_the_other_and_share_a_scanner() -> None:
    pens = [Peripheral(f"DP1-{number:05}") for number in range(4)]
    computer = Computer(*pens)
    with using(computer):
        links = await asyncio.gather(*(opened(computer, pen.serial_number) for pen in pens))
    assert [client.connects for client in computer.clients] == [1] * 4
    assert len(computer.scanners) == 1
    assert not computer.scanners[0].running
    await asyncio.gather(*(link.close() for link in links))


@in_virtual_time
async def test_a_client_whose_connect_failed_is_thrown_away_though_it_says_connected() -> None:
    device = Peripheral()
    computer = Computer(device)
    computer.connecting = 1  # somebody else's program connects at this moment

    async def done_soon() -> None:
        await asyncio.sleep(NAMESAKE_S + 0.3)
        computer.connecting -= 1

    other = asyncio.ensure_future(done_soon())
    link = await opened(computer)
    first, second = computer.clients
    assert first.is_connected
    assert first.disconnects == 1
    assert second.up
    await link.close()
    await other


@in_virtual_time
async def test_connects_that_fail_are_tried_a_few_times_and_each_is_let_go_of() -> None:
    device = Peripheral()
    device.connect_error = BleakDBusError("org.bluez.Error.Failed", ["le-connection-abort-by-local"])
    computer = Computer(device)
    with pytest.raises(CannotOpen, match="abort-by-local"):
        await opened(computer)
    assert [client.disconnects for client in computer.clients] == [1] * TRIES


# Disconnects


@pytest.mark.sr("SR-STOP-4", side="host")
@in_virtual_time
async def test_stop_never_waits_behind_a_disconnect() -> None:
    async with bench() as at:
        at.computer.disconnect_s = FOREVER
        closing = asyncio.ensure_future(at.link.close())
        at.link.send_now(Channel.STOP, b"stop")  # in the same turn, before the close has begun
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert at.device.messages == [(Channel.STOP, b"stop")]
        await closing


@in_virtual_time
async def test_a_disconnect_that_never_completes_is_cancelled_in_the_end() -> None:
    async with bench() as at:
        at.computer.disconnect_s = FOREVER
        await at.link.close()
        assert [task for task in asyncio.all_tasks() if "disconnect" in task.get_name()]
        await asyncio.sleep(DISCONNECT_WITHIN_S)
        assert not [task for task in asyncio.all_tasks() if "disconnect" in task.get_name()]
        assert ble_calls.left() == 0


# An absent pen


@in_virtual_time
async def test_a_pen_that_is_not_there_is_not_heard_and_nobody_connects() -> None:
    device = Peripheral()
    device.advertises = False
    computer = Computer(device)
    with pytest.raises(NoSuchPen, match="not heard within 10 s"):
        await opened(computer)
    assert not computer.clients
    assert not computer.scanners[0].running


@in_virtual_time
async def test_a_pen_that_advertises_and_never_connects_is_told_after_a_few_tries() -> None:
    device = Peripheral()
    device.connect_s = FOREVER
    computer = Computer(device)
    with pytest.raises(CannotOpen) as caught:
        await opened(computer)
    assert "not open after 30 s" in str(caught.value) or f"within {CONNECT_WITHIN_S:g} s" in str(caught.value)
    await asyncio.sleep(DISCONNECT_WITHIN_S)
    assert all(client.disconnects == 1 for client in computer.clients)


@in_virtual_time
async def test_a_bare_timeout_of_bleak_s_own_is_in_our_words() -> None:
    device = Peripheral()
    device.connect_error = TimeoutError()
    with pytest.raises(CannotOpen, match="did not connect within"):
        await opened(Computer(device))


# A dead link, and a vanished adapter


@in_virtual_time
async def test_a_call_on_a_dead_link_is_a_lost_link() -> None:
    async with bench() as at:
        at.client.services = None
        at.client.says_connected = False
        with pytest.raises(LinkLost, match="the connection ended"):
            await at.link.send(Channel.STATUS, b"out")


@pytest.mark.parametrize(
    "error",
    [UnknownObjectError("no such object"), BleakDBusError("org.freedesktop.DBus.Error.UnknownObject", ["gone"])],
)
@in_virtual_time
async def test_a_vanished_adapter_is_said_while_open_and_while_opening(error: Exception) -> None:
    async with bench() as at:
        at.device.write_error = error
        with pytest.raises(LinkLost, match="vanished"):
            await at.link.send(Channel.STATUS, b"out")
    computer = Computer(Peripheral())
    computer.peripherals[0].connect_error = error
    with pytest.raises(NoBluetooth, match="vanished"):
        await opened(computer)
    assert [client.connects for client in computer.clients] == [1]  # it stays away until a person does something


# The disconnected callback


@in_virtual_time
async def test_it_may_come_late_and_twice_and_ends_only_its_own_link() -> None:
    computer = Computer(Peripheral())
    first = await opened(computer)
    ends: list[Exception] = []
    first.deliver_to(lambda _channel, _body: None, ends.append)
    computer.drop(computer.peripherals[0])
    old = computer.clients[0]
    second = await opened(computer)
    for _ in range(2):
        assert old._disconnected_callback is not None
        old._disconnected_callback()
    await second.send(Channel.STATUS, b"lives")
    assert [type(error) for error in ends] == [LinkLost]
    await first.close()
    await second.close()
    assert len(ends) == 1


@in_virtual_time
async def test_a_pen_that_hangs_up_while_it_is_being_subscribed_to_does_not_open() -> None:
    device = Peripheral()
    computer = Computer(device)
    device.on_subscribe = lambda channel: computer.drop(device) if channel is Channel.STOP else None
    with pytest.raises(CannotOpen, match="hung up at once"):
        await opened(computer)
    assert [client.disconnects for client in computer.clients] == [1] * TRIES


@in_real_time
async def test_it_may_come_from_another_thread() -> None:
    async with bench() as at:
        at.computer.disconnect_s = 0
        ended: asyncio.Queue[int] = asyncio.Queue()
        at.link.deliver_to(lambda _channel, _body: None, lambda _error: ended.put_nowait(threading.get_ident()))
        callback = at.client._disconnected_callback
        assert callback is not None
        threads = [threading.Thread(target=callback) for _ in range(3)]
        for thread in threads:
            thread.start()
        async with asyncio.timeout(5):
            assert await ended.get() == threading.get_ident()
        for thread in threads:
            thread.join()
        await asyncio.sleep(0.01)
        assert ended.empty()


# Giving up while it opens


@pytest.mark.parametrize("after_s", [0.05, 0.15, 0.25, 0.305, 0.335])
@in_virtual_time
async def test_whoever_gives_up_leaves_nothing_connected_and_nothing_scanning(after_s: float) -> None:
    computer = Computer(Peripheral())
    opening = asyncio.ensure_future(opened(computer))
    await asyncio.sleep(after_s)
    opening.cancel()
    await asyncio.wait([opening])
    assert opening.cancelled()
    await asyncio.sleep(DISCONNECT_WITHIN_S)
    assert not any(client.up for client in computer.clients)
    assert not any(scanner.running for scanner in computer.scanners)
    assert ble_calls.left() == 0
    link = await opened(computer)
    await link.close()


@in_virtual_time
async def test_a_connect_that_is_cancelled_from_the_inside_is_an_error_of_ours() -> None:
    device = Peripheral()
    device.connect_error = asyncio.CancelledError()  # type: ignore[assignment]
    with pytest.raises(CannotOpen, match="ended while it was in use"):
        await opened(Computer(device))
