"""What stock Bumble gets wrong is right here; where it can be seen on both, stock Bumble is seen to be wrong still."""

import asyncio
import gc
import logging
import struct
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from bumble import att, core, hci, ll
from bumble.controller import Controller
from bumble.device import Advertisement, Device
from bumble.host import Host

from dermalink_simulator.hardware.air import AirConditions
from dermalink_simulator.radio.air import Air
from dermalink_simulator.radio.controller import OVERFLOW, PACKETS, CorrectedController, terminate_all
from dermalink_simulator.radio.corrections import make_controller, not_cancelled, static_address, switch_on
from dermalink_simulator.radio.errors import LinkLost, RadioGone
from dermalink_simulator.radio.host import CorrectedHost
from dermalink_simulator.radio.link import CONTROLS_MAX
from tests.air.radio.rig import (
    HOST_ADDRESS,
    PEN_ADDRESS,
    advertise,
    bare,
    corrected,
    devices,
    initiate,
    linked,
    scan,
)
from tests.support.running import in_virtual_time

NAME = bytes(core.AdvertisingData([(core.AdvertisingData.COMPLETE_LOCAL_NAME, b"Dermalink")]))
FLAGS = bytes(core.AdvertisingData([(core.AdvertisingData.FLAGS, b"\x06")]))
INTERVAL_MS = 100.0

Scenario = Callable[[bool], Awaitable[object]]


async def names_heard(stock: bool) -> object:
    """Names that an active scanner hears of a device whose name is only in its scan response."""
    async with devices(stock=stock) as (pen, host):
        heard: set[object] = set()

        def on_advertisement(seen: Advertisement) -> None:
            heard.add(seen.data.get(core.AdvertisingData.COMPLETE_LOCAL_NAME))

        host.on(Device.EVENT_ADVERTISEMENT, on_advertisement)
        await pen.start_advertising(advertising_data=FLAGS, scan_response_data=NAME)
        await host.start_scanning()
        await asyncio.sleep(5)
        return "Dermalink" in heard


async def heard_in_10_s(stock: bool) -> object:
    """How often a device that advertises every 100 ms (160 units) is heard by legacy means."""
    async with devices(stock=stock) as (pen, host):
        for device in (pen, host):
            device.host.local_le_features &= ~hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
        heard: list[float] = []
        await pen.start_advertising(advertising_interval_min=INTERVAL_MS, advertising_interval_max=INTERVAL_MS)
        await host.start_scanning(active=False)
        host.host.on("advertising_report", lambda _: heard.append(0.0))
        await asyncio.sleep(10)
        return 92 <= len(heard) <= 101  # 100 to 110 ms between two


async def gives_up_on_an_absent_device(stock: bool) -> object:
    """Whether connecting to a device that is not there ends, and the next attempt can be made."""
    async with devices(stock=stock) as (pen, host):
        attempt = asyncio.ensure_future(host.connect(static_address("nobody"), timeout=1.0))
        await asyncio.wait([attempt], timeout=60)
        if not attempt.done():
            attempt.cancel()
            await asyncio.wait([attempt])
            return False
        assert isinstance(attempt.exception(), core.TimeoutError)
        await pen.start_advertising()
        return (await host.connect(PEN_ADDRESS, timeout=5.0)).peer_address == PEN_ADDRESS


async def both_know_the_parameters(stock: bool) -> object:
    """Whether both hosts are told of the same connection interval and time-out."""
    async with devices(stock=stock) as (pen, host):
        there: list[object] = []
        pen.on(Device.EVENT_CONNECTION, lambda connection: there.append(connection.parameters))
        await pen.start_advertising()
        ours = await host.connect(PEN_ADDRESS)
        await asyncio.sleep(0.1)
        return there == [ours.parameters]


async def packets_are_251_octets(stock: bool) -> object:
    """Whether hosts may hand over data in full packets, a few at a time."""
    async with devices(stock=stock) as (pen, _):
        queue = pen.host.le_acl_packet_queue
        assert queue is not None
        return (queue.max_packet_size, queue.max_in_flight) == (251, PACKETS)


async def says_what_it_does_not_know(stock: bool) -> object:
    """Whether a command that no controller in software has is answered."""
    async with devices(stock=stock) as (pen, host):
        await pen.start_advertising()
        connection = await host.connect(PEN_ADDRESS)
        host.command_timeout = 5.0
        command = hci.HCI_LE_Set_PHY_Command(
            connection_handle=connection.handle, all_phys=0, tx_phys=1, rx_phys=1, phy_options=0
        )
        try:
            return await host.send_async_command(command, check_status=False) == hci.HCI_UNKNOWN_HCI_COMMAND_ERROR
        except core.BaseBumbleError:
            return False


async def announces_only_what_it_has(stock: bool) -> object:
    """Whether every command that it says it has is one that it answers."""
    async with devices(stock=stock) as (pen, _):
        controller = pen.host.controller
        names = [hci.HCI_Command.command_name(each).lower() for each in pen.host.supported_commands]
        return len(names) > 30 and all(hasattr(controller, f"on_{name}") for name in names)


async def says_whose_doing_the_end_was(stock: bool) -> object:
    """Whether the side that hung up is told that it was its own doing, and the other why."""
    async with devices(stock=stock) as (pen, host):
        reasons: list[int] = []
        pen.on(Device.EVENT_CONNECTION, lambda one: one.on(one.EVENT_DISCONNECTION, reasons.append))
        await pen.start_advertising()
        connection = await host.connect(PEN_ADDRESS)
        connection.on(connection.EVENT_DISCONNECTION, reasons.append)
        await asyncio.sleep(0.1)
        await connection.disconnect(hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR)
        await asyncio.sleep(0.1)
        return sorted(reasons) == [0x13, 0x16]


async def handles_are_not_used_again_at_once(stock: bool) -> object:
    """Whether what is still meant for the link before can't reach the next one."""
    async with devices(stock=stock) as (pen, host):
        handles = []
        for _ in range(2):
            await pen.start_advertising()
            connection = await host.connect(PEN_ADDRESS)
            handles.append(connection.handle)
            await connection.disconnect()
            await asyncio.sleep(0.1)
        return handles[0] != handles[1]


async def a_reset_ends_everything(stock: bool) -> object:
    """Whether a host that begins anew has left its links and its advertising behind."""
    async with devices(stock=stock) as (pen, host):
        reasons: list[int] = []
        await pen.start_advertising()
        connection = await host.connect(PEN_ADDRESS)
        connection.on(connection.EVENT_DISCONNECTION, reasons.append)
        await asyncio.sleep(0.1)
        await pen.host.send_sync_command(hci.HCI_Reset_Command())
        await asyncio.sleep(5)
        return reasons == [0x08]


async def an_answer_belongs_to_its_own_command(stock: bool) -> object:
    """Whether the late answer to a command that was cancelled is neither an error nor the answer to the next one."""
    sent: list[hci.HCI_Packet] = []

    class Controller:
        def on_packet(self, packet: bytes) -> None:
            sent.append(hci.HCI_Packet.from_bytes(packet))

    host = (Host if stock else CorrectedHost)(cast("Any", None), Controller())
    host.ready = True

    def answered(command: type[hci.HCI_Command], parameters: hci.HCI_ReturnParameters) -> bool:
        event = hci.HCI_Command_Complete_Event(1, command.op_code, parameters)
        try:
            host.on_command_processed(event)
        except asyncio.InvalidStateError:
            return False
        return True

    cut = asyncio.ensure_future(host.send_sync_command(hci.HCI_Read_BD_ADDR_Command()))
    await asyncio.sleep(0)
    cut.cancel()
    await asyncio.sleep(0)  # what it waits for is cancelled, and it has not been told yet
    address = hci.HCI_Read_BD_ADDR_ReturnParameters(hci.HCI_ErrorCode.SUCCESS, hci.Address.ANY)
    quiet = answered(hci.HCI_Read_BD_ADDR_Command, address)
    await asyncio.wait([cut])
    next_one = asyncio.ensure_future(host.send_sync_command(hci.HCI_Read_Local_Name_Command()))
    await asyncio.sleep(0)
    answered(hci.HCI_Read_BD_ADDR_Command, address)
    name = hci.HCI_Read_Local_Name_ReturnParameters(hci.HCI_ErrorCode.SUCCESS, b"name")
    answered(hci.HCI_Read_Local_Name_Command, name)
    answered(hci.HCI_Read_Local_Name_Command, name)  # nobody waits
    got = await next_one
    last = asyncio.ensure_future(host.send_sync_command(hci.HCI_Read_Local_Name_Command()))
    await asyncio.sleep(0)
    answered(hci.HCI_Read_Local_Name_Command, name)
    return quiet and got is name and (await asyncio.wait_for(last, 1)) is name and len(sent) == 3


def begin_to_encrypt(host: Device, handle: int, times: int) -> None:
    """By the controller, past whatever its host would wait for."""
    for _ in range(times):
        command = hci.HCI_LE_Enable_Encryption_Command(handle, bytes(8), 0, bytes(16))
        cast("Controller", host.host.controller).on_packet(bytes(command))


async def encryption_is_begun_once_at_a_time(stock: bool) -> object:
    """Whether a central that begins to encrypt three times at once is told so, and its peer asked once."""
    async with devices(stock=stock) as (pen, host):
        loop, asked = asyncio.get_running_loop(), 0
        raised: list[object] = []
        loop.set_exception_handler(lambda _, context: raised.append(context))

        async def no_key(*_: object) -> None:
            nonlocal asked
            asked += 1

        pen.host.long_term_key_provider = no_key
        await pen.start_advertising()
        connection = await host.connect(PEN_ADDRESS)
        begin_to_encrypt(host, connection.handle, 3)
        await asyncio.sleep(1)
        begin_to_encrypt(host, connection.handle, 1)  # the first has ended
        await asyncio.sleep(1)
        gc.collect()
        return not raised and asked == 2


async def a_request_to_encrypt_that_nobody_waits_for_any_more_is_no_error(stock: bool) -> object:
    """Whether a peripheral's host that is asked for a key several times answers once, and its controller may refuse."""
    sent: list[hci.HCI_Packet] = []

    class Controller:
        def on_packet(self, packet: bytes) -> None:
            sent.append(hci.HCI_Packet.from_bytes(packet))

    raised: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
    host = (Host if stock else CorrectedHost)(cast("Any", None), Controller())
    host.ready = True
    host.connections[1] = cast("Any", None)
    for _ in range(3):
        host.on_hci_event_packet(hci.HCI_LE_Long_Term_Key_Request_Event(1, bytes(8), 0))
    await asyncio.sleep(0.1)
    for _ in range(len(sent)):
        refused = hci.HCI_StatusAndConnectionHandleReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR, 1)
        negative = hci.HCI_LE_Long_Term_Key_Request_Negative_Reply_Command
        host.on_command_processed(hci.HCI_Command_Complete_Event(1, negative.op_code, refused))
        await asyncio.sleep(0.1)
    others = [one for one in asyncio.all_tasks() if one is not asyncio.current_task() and "key" in repr(one)]
    for one in others:
        one.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    gc.collect()
    return not raised and len(sent) == 1


async def a_packet_longer_than_it_says_is_dropped_in_silence(stock: bool) -> object:
    """Whether whoever sends such packets writes nothing into the other side's log, and the next packet arrives."""
    said: list[logging.LogRecord] = []
    watch = logging.Handler(logging.WARNING)
    watch.emit = said.append  # type: ignore[method-assign, assignment]
    async with devices(stock=stock) as (pen, host):
        for device in (pen, host):
            device.l2cap_channel_manager.register_fixed_channel(0x3F, lambda _, pdu: heard.append(pdu))
        heard: list[bytes] = []
        await pen.start_advertising()
        connection = await host.connect(PEN_ADDRESS)
        logging.getLogger("bumble").addHandler(watch)
        try:
            queue = host.host.le_acl_packet_queue
            assert queue is not None
            for size, data, flag in ((3, b"long", 0), (0, b"x", 0), (5, b"ab", 0), (0, b"cdef", 1), (2, b"ok", 0)):
                head = b"" if flag else size.to_bytes(2, "little") + b"\x3f\0"
                whole = head + data
                queue.enqueue(hci.HCI_AclDataPacket(connection.handle, flag, 0, len(whole), whole), connection.handle)
            await asyncio.sleep(1)
        finally:
            logging.getLogger("bumble").removeHandler(watch)
        return heard == [b"ok"] and not said


async def channel_sounding_that_nobody_asked_for_is_not_taken(stock: bool) -> object:
    """Whether a peer that begins a procedure which this side has not gets neither an event nor an answer out of it."""
    async with devices(stock=stock) as (pen, host):
        await pen.start_advertising()
        await host.connect(PEN_ADDRESS)
        await asyncio.sleep(0.1)
        theirs = cast("Controller", pen.host.controller)
        events: list[hci.HCI_Packet] = []
        theirs.send_hci_packet = events.append  # type: ignore[method-assign, assignment]
        (end,) = cast("Controller", host.host.controller).le_connections.values()
        end.send_ll_control_pdu(ll.CsSecReq())
        await asyncio.sleep(1)
        return not events


SCENARIOS = [
    names_heard,
    heard_in_10_s,
    gives_up_on_an_absent_device,
    both_know_the_parameters,
    packets_are_251_octets,
    says_what_it_does_not_know,
    announces_only_what_it_has,
    says_whose_doing_the_end_was,
    handles_are_not_used_again_at_once,
    a_reset_ends_everything,
    an_answer_belongs_to_its_own_command,
    encryption_is_begun_once_at_a_time,
    a_request_to_encrypt_that_nobody_waits_for_any_more_is_no_error,
    a_packet_longer_than_it_says_is_dropped_in_silence,
    channel_sounding_that_nobody_asked_for_is_not_taken,
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.__name__)
def test_it_is_right_here(scenario: Scenario) -> None:
    in_virtual_time(_holds)(scenario, False, True)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.__name__)
def test_stock_bumble_still_gets_it_wrong(scenario: Scenario) -> None:
    in_virtual_time(_holds)(scenario, True, False)


async def _holds(scenario: Scenario, stock: bool, expected: bool) -> None:
    assert await scenario(stock) is expected


# What only a controller of ours has


@in_virtual_time
async def test_a_passive_scanner_is_given_no_scan_response() -> None:
    air = Air()
    pen, host = bare("pen", air, PEN_ADDRESS), bare("host", air, HOST_ADDRESS)
    advertise(pen, data=FLAGS, answer=NAME)
    scan(host, active=False)
    await asyncio.sleep(1)
    assert {(report.event_type, report.data) for report in host.reports} == {(0, FLAGS)}
    host.command(hci.HCI_LE_Set_Scan_Enable_Command(le_scan_enable=0, filter_duplicates=0))
    host.heard.clear()
    scan(host, active=True)
    await asyncio.sleep(1)
    assert [(report.event_type, report.data) for report in host.reports[:2]] == [(0, FLAGS), (4, NAME)]
    air.close()


@pytest.mark.parametrize(("kind", "events"), [(0, {0, 4}), (2, {2, 4}), (3, {3}), (1, {1}), (4, {1})])
def test_each_kind_of_advertising_is_reported_as_what_it_is(kind: int, events: set[int]) -> None:
    async def run() -> None:
        air = Air()
        pen, host = bare("pen", air, PEN_ADDRESS), bare("host", air, HOST_ADDRESS)
        advertise(pen, kind=kind)
        scan(host)
        initiate(host, PEN_ADDRESS)
        await asyncio.sleep(1)
        assert {report.event_type for report in host.reports} == events
        assert len(host.connected) == (1 if kind in (0, 1, 4) else 0)
        air.close()

    in_virtual_time(run)()


@in_virtual_time
async def test_duplicates_are_left_out_where_that_was_asked_for_until_the_data_changes() -> None:
    air = Air()
    pen, host = bare("pen", air, PEN_ADDRESS), bare("host", air, HOST_ADDRESS)
    advertise(pen, data=FLAGS)
    scan(host, once=True)
    await asyncio.sleep(2)
    assert len(host.reports) == 2  # the advertisement and the scan response
    pen.command(hci.HCI_LE_Set_Advertising_Data_Command(advertising_data=NAME))
    await asyncio.sleep(2)
    assert len(host.reports) == 3
    host.command(hci.HCI_LE_Set_Scan_Enable_Command(le_scan_enable=0, filter_duplicates=0))
    scan(host)
    await asyncio.sleep(2)
    assert len(host.reports) > 30
    air.close()


@in_virtual_time
async def test_an_advertiser_that_nobody_hears_costs_nothing_and_goes_on_when_somebody_listens() -> None:
    air = Air()
    pen, host = bare("pen", air, PEN_ADDRESS), bare("host", air, HOST_ADDRESS)
    advertise(pen, interval=1600)
    await asyncio.sleep(1)
    assert pen.controller.le_legacy_advertiser.timer_handle is None
    scan(host)
    await asyncio.sleep(1.1)
    assert host.reports
    air.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"interval": 5},
        {"interval": 3_201},
        {"latency": 500},
        {"supervision": 9},
        {"supervision": 3_201},
        {"interval": 800, "latency": 1, "supervision": 400},
    ],
)
def test_parameters_that_bluetooth_has_not_are_refused(wrong: dict[str, int]) -> None:
    async def run() -> None:
        air = Air()
        pen, host = bare("pen", air, PEN_ADDRESS), bare("host", air, HOST_ADDRESS)
        advertise(pen)
        initiate(host, PEN_ADDRESS, **wrong)
        await asyncio.sleep(1)
        assert host.statuses == [hci.HCI_INVALID_HCI_COMMAND_PARAMETERS_ERROR]
        assert host.connected == []
        air.close()

    in_virtual_time(run)()


@pytest.mark.parametrize("interval", [0x001F, 0x4001])
def test_an_advertising_interval_that_bluetooth_has_not_is_refused(interval: int) -> None:
    async def run() -> None:
        air = Air()
        pen = bare("pen", air, PEN_ADDRESS)
        advertise(pen, interval=interval, on=False)
        await asyncio.sleep(0.1)
        codes = [one.return_parameters.status for one in pen.of(hci.HCI_Command_Complete_Event)]
        assert hci.HCI_INVALID_HCI_COMMAND_PARAMETERS_ERROR in codes
        air.close()

    in_virtual_time(run)()


@in_virtual_time
async def test_cancelling_says_so_by_the_event_and_with_nothing_under_way_is_refused() -> None:
    air = Air()
    host = bare("host", air, HOST_ADDRESS)
    initiate(host, PEN_ADDRESS)
    host.command(hci.HCI_LE_Create_Connection_Cancel_Command())
    host.command(hci.HCI_LE_Create_Connection_Cancel_Command())
    await asyncio.sleep(0.1)
    codes = [one.return_parameters.status for one in host.of(hci.HCI_Command_Complete_Event)]
    assert codes[-2:] == [hci.HCI_SUCCESS, hci.HCI_COMMAND_DISALLOWED_ERROR]
    assert [one.status for one in host.connected] == [hci.HCI_UNKNOWN_CONNECTION_IDENTIFIER_ERROR]
    assert host.controller.pending_le_connection is None
    air.close()


@in_virtual_time
async def test_a_device_that_stopped_advertising_is_not_half_connected_to() -> None:
    air = Air()
    pen, host = bare("pen", air, PEN_ADDRESS), bare("host", air, HOST_ADDRESS)
    advertise(pen)
    initiate(host, PEN_ADDRESS)
    pen.command(hci.HCI_LE_Set_Advertising_Enable_Command(advertising_enable=0))
    await asyncio.sleep(5)
    assert (host.connected, pen.connected) == ([], [])
    air.close()


@in_virtual_time
async def test_two_hosts_with_one_address_do_not_take_each_others_link() -> None:
    air = Air()
    pen = bare("pen", air, PEN_ADDRESS)
    first, second = bare("first", air, HOST_ADDRESS), bare("second", air, HOST_ADDRESS)
    advertise(pen)
    initiate(first, PEN_ADDRESS)
    await asyncio.sleep(1)
    pen.command(hci.HCI_LE_Set_Advertising_Enable_Command(advertising_enable=1))
    initiate(second, PEN_ADDRESS)
    await asyncio.sleep(1)
    assert [len(one.connected) for one in (pen, first, second)] == [1, 1, 0]
    first.data(first.connected[0].connection_handle, b"hello")
    await asyncio.sleep(1)
    assert pen.received == [b"hello"]
    air.close()


@in_virtual_time
async def test_whoever_is_on_the_accept_list_is_connected_to() -> None:
    air = Air()
    pen, host = bare("pen", air, PEN_ADDRESS), bare("host", air, HOST_ADDRESS)
    advertise(pen)
    initiate(host, hci.Address.ANY)
    host.command(hci.HCI_LE_Create_Connection_Cancel_Command())
    command = hci.HCI_LE_Create_Connection_Command(16, 16, 1, 0, hci.Address.ANY, 1, 24, 24, 0, 100, 0, 0)
    host.command(command)
    await asyncio.sleep(1)
    assert len(host.connected) == 1  # the cancelled one
    for address in (static_address("other"), PEN_ADDRESS):
        host.command(hci.HCI_LE_Add_Device_To_Filter_Accept_List_Command(1, address))
    await asyncio.sleep(1)
    assert [one.status for one in host.connected[1:]] == [hci.HCI_SUCCESS]
    air.close()


@in_virtual_time
async def test_a_link_that_ends_twice_ends_once() -> None:
    pair = await linked()
    (end,) = pair.pen.controller.le_connections.values()
    terminate_all(corrected_of(pair.pen.controller), hci.HCI_CONNECTION_TIMEOUT_ERROR)
    terminate_all(corrected_of(pair.pen.controller))
    pair.pen.controller.on_le_disconnected(end, 0x13)
    await asyncio.sleep(0.1)
    assert (pair.host.ended, pair.pen.ended) == ([0x08], [0x08])
    pair.air.close()


@in_virtual_time
async def test_the_controller_of_a_host_that_died_leaves_and_the_pen_is_found_by_the_next() -> None:
    pair = await linked()
    corrected_of(pair.host.controller).leave()
    await asyncio.sleep(0.1)
    assert pair.pen.ended == [0x08]
    pair.pen.command(hci.HCI_LE_Set_Advertising_Enable_Command(advertising_enable=1))
    following = bare("following", pair.air, static_address("following"))
    initiate(following, PEN_ADDRESS)
    await asyncio.sleep(1)
    assert len(following.connected) == 1
    assert pair.air.members == [pair.pen.controller, following.controller]
    pair.air.close()


@in_virtual_time
async def test_what_is_no_packet_is_refused_and_what_is_for_no_link_ignored() -> None:
    pair = await linked()
    for packet in (b"\x02\x01\x00\x05\x00ab", b"\x02\x01\x00\x00\x00", b"\x02\x01\x00\x00\x01" + bytes(256)):
        with pytest.raises(core.InvalidPacketError):
            pair.host.controller.on_packet(packet)
    pair.host.data(0x0ABC, b"hello")
    await asyncio.sleep(1)
    assert pair.pen.received == []
    pair.air.close()


@in_virtual_time
async def test_a_command_that_is_none_is_refused_and_written_into_no_log(caplog: pytest.LogCaptureFixture) -> None:
    pair = await linked()
    for packet in (b"\x01", b"\x01\x0d\x20", b"\x01\x0d\x20\x05ab", b"\x01\x0d\x20\x02ab"):
        with pytest.raises((core.BaseBumbleError, struct.error, IndexError)):
            pair.host.controller.on_packet(packet)
    pair.host.controller.on_packet(b"\x05\x01\x00")
    assert not caplog.records
    pair.air.close()


@in_virtual_time
async def test_a_host_that_sends_without_waiting_for_room_is_refused() -> None:
    pair = await linked(AirConditions(silence=True))
    for _ in range(OVERFLOW):
        pair.host.data(pair.to_pen, b"flood")
    with pytest.raises(core.InvalidPacketError, match="8 packets"):
        pair.host.data(pair.to_pen, b"flood")
    assert pair.air.links[0].waiting(0) == OVERFLOW
    pair.air.close()


@pytest.mark.sr("SR-SEC-5", side="pen")
@in_virtual_time
async def test_a_host_that_begins_procedures_without_waiting_makes_nothing_grow() -> None:
    pair = await linked(AirConditions(interval_us=30_000))
    (link,) = pair.air.links
    for _ in range(1_000):
        pair.host.command(hci.HCI_LE_Read_Remote_Features_Command(pair.to_pen))
    assert link.waiting(0) == CONTROLS_MAX
    await asyncio.sleep(1)
    assert len(pair.host.of(hci.HCI_LE_Read_Remote_Features_Complete_Event)) == CONTROLS_MAX
    pair.host.command(hci.HCI_LE_Read_Remote_Features_Command(pair.to_pen))
    await asyncio.sleep(1)
    assert len(pair.host.of(hci.HCI_LE_Read_Remote_Features_Complete_Event)) == CONTROLS_MAX + 1


@in_virtual_time
async def test_only_a_central_begins_to_encrypt() -> None:
    pair = await linked()
    pair.pen.command(hci.HCI_LE_Enable_Encryption_Command(pair.to_host, bytes(8), 0, bytes(16)))
    await asyncio.sleep(1)
    assert pair.pen.statuses[-1] == hci.HCI_COMMAND_DISALLOWED_ERROR
    assert not pair.host.of(hci.HCI_LE_Long_Term_Key_Request_Event)


@in_virtual_time
async def test_random_numbers_come_from_the_seed() -> None:
    drawn = []
    for seed in (1, 1, 2):
        air = Air()
        controller = make_controller("pen", air, seed)
        drawn.append(controller.on_hci_le_rand_command(hci.HCI_LE_Rand_Command()).random_number)
        air.close()
    assert drawn[0] == drawn[1] != drawn[2]


def test_an_address_belongs_to_its_name_and_is_a_static_one() -> None:
    assert static_address("a") == static_address("a") != static_address("b")
    assert all(static_address(str(number)).is_static for number in range(50))


def corrected_of(controller: object) -> CorrectedController:
    assert isinstance(controller, CorrectedController)
    return controller


@in_virtual_time
async def test_a_host_that_raises_over_one_packet_is_given_the_next_ones() -> None:
    pair = await linked()
    raised: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context["exception"]))
    take = pair.pen.on_packet

    def on_packet(packet: bytes) -> None:
        take(packet)
        if len(pair.pen.received) == 2:
            pair.pen.on_packet = take  # type: ignore[method-assign]
            raise RuntimeError("a mistake")

    pair.pen.on_packet = on_packet  # type: ignore[method-assign]
    for number in range(4):
        pair.host.data(pair.to_pen, b"%d" % number)
    await asyncio.sleep(1)
    assert pair.pen.received == [b"0", b"1", b"2", b"3"]
    assert [type(one) for one in raised] == [RuntimeError]
    pair.air.close()


@in_virtual_time
async def test_nothing_overtakes_a_control_packet_of_the_link() -> None:
    pair = await linked()
    pair.host.data(pair.to_pen, b"before")
    pair.host.command(hci.HCI_LE_Enable_Encryption_Command(pair.to_pen, bytes(8), 0, bytes(16)))
    pair.host.data(pair.to_pen, b"after")
    await asyncio.sleep(1)
    came = [type(one.packet) for one in pair.pen.heard][-3:]
    assert came == [hci.HCI_AclDataPacket, hci.HCI_LE_Long_Term_Key_Request_Event, hci.HCI_AclDataPacket]
    pair.air.close()


# The host


@in_virtual_time
async def test_nothing_is_written_out_for_a_log_that_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    async with devices() as (pen, host):
        await pen.start_advertising()
        connection = await host.connect(PEN_ADDRESS)
        got: list[bytes] = []
        pen.l2cap_channel_manager.fixed_channels[att.ATT_CID] = lambda _, pdu: got.append(pdu)
        for kind in (hci.HCI_AclDataPacket, hci.HCI_Command, hci.HCI_Event):
            monkeypatch.setattr(kind, "__str__", _written_out)
        connection.send_l2cap_pdu(att.ATT_CID, b"hello")
        await connection.disconnect()
        assert got == [b"hello"]


def _written_out(_: object) -> str:
    raise AssertionError("a packet was written out")


@in_virtual_time
async def test_a_log_that_is_read_is_written(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with devices() as (pen, _):
            await pen.host.send_sync_command(hci.HCI_Read_BD_ADDR_Command())
    assert "HCI_COMMAND_COMPLETE_EVENT" in caplog.text


@pytest.mark.parametrize("size", [0, 1, 246, 247, 248, 498, 499, 517])
def test_a_pdu_of_any_size_arrives_as_it_was_sent(size: int) -> None:
    async def run() -> None:
        async with devices() as (pen, host):
            await pen.start_advertising()
            connection = await host.connect(PEN_ADDRESS)
            got: list[bytes] = []
            pen.l2cap_channel_manager.fixed_channels[att.ATT_CID] = lambda _, pdu: got.append(pdu)
            sent = [bytes([number]) * size for number in range(20)]
            for pdu in sent:
                connection.send_l2cap_pdu(att.ATT_CID, pdu)
            await asyncio.sleep(1)
            assert got == sent

    in_virtual_time(run)()


@in_virtual_time
async def test_parts_without_a_beginning_are_left_out() -> None:
    async with devices() as (pen, host):
        await pen.start_advertising()
        connection = await host.connect(PEN_ADDRESS)
        got: list[bytes] = []
        pen.l2cap_channel_manager.fixed_channels[att.ATT_CID] = lambda _, pdu: got.append(pdu)
        controller = corrected(host)
        for head in (0x1000, 0x0000):
            packet = bytes([2]) + (connection.handle | head).to_bytes(2, "little") + b"\x02\x00ab"
            controller.on_packet(packet)
        connection.send_l2cap_pdu(att.ATT_CID, b"whole")
        await asyncio.sleep(1)
        assert got == [b"whole"]


@in_virtual_time
async def test_a_lost_transport_ends_what_waits_and_never_raises() -> None:
    async with devices() as (pen, _):
        host: Host = pen.host
        waits = asyncio.ensure_future(pen.send_sync_command(hci.HCI_Read_BD_ADDR_Command()))
        await asyncio.sleep(0)
        corrected(pen).hci_sink = None
        host.on_transport_lost()  # type: ignore[no-untyped-call]
        await asyncio.wait([waits], timeout=1)
        assert waits.exception() is not None
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        host.pending_response = done
        host.on_transport_lost()  # type: ignore[no-untyped-call]


@in_virtual_time
async def test_a_controller_that_never_answers_is_an_error_within_its_time() -> None:
    air = Air()
    async with devices() as (pen, _):
        silent = make_controller("silent", air)
        pen.host.set_packet_sink(silent)
        begun = asyncio.get_running_loop().time()
        with pytest.raises(RadioGone, match="did not answer within 10 s"):
            await switch_on(pen)
        assert asyncio.get_running_loop().time() - begun == pytest.approx(10)
    air.close()


@in_virtual_time
async def test_a_cancellation_by_bumble_is_a_lost_link_and_one_of_ours_stays_one() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waits = asyncio.ensure_future(not_cancelled(future))
    await asyncio.sleep(0)
    future.cancel()
    with pytest.raises(LinkLost) as lost:
        await waits
    assert isinstance(lost.value, ConnectionError)
    future = asyncio.get_running_loop().create_future()
    waits = asyncio.ensure_future(not_cancelled(future))
    await asyncio.sleep(0)
    waits.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waits
    assert future.cancelled()
    future = asyncio.get_running_loop().create_future()
    future.set_exception(asyncio.CancelledError("abort"))
    with pytest.raises(LinkLost):
        await not_cancelled(future)
    assert await not_cancelled(asyncio.sleep(0, "given")) == "given"
