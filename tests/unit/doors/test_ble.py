"""The pen over BLE as anybody sees it: what is advertised, found and read, and what is refused at ATT level."""

import asyncio
import struct

import pytest
from bumble import att, core
from bumble.core import PhysicalTransport
from bumble.device import AdvertisingType, Device, Peer

from dermalink_protocol.advertising import device_name, read_advertised
from dermalink_protocol.channels import (
    BATTERY_LEVEL,
    CHANNEL_RULES,
    CURRENT_TIME,
    READABLES,
    SERIAL_NUMBER,
    SERVICE_UUID,
    SOFTWARE_REVISION,
    STATUS_VALUE,
    AttError,
    Channel,
    Gatt,
)
from dermalink_protocol.envelope import decode_envelope
from dermalink_protocol.limits import PROTOCOL_VERSION
from dermalink_protocol.messages import identity, therapy
from dermalink_protocol.segmentation import FIRST, LAST
from dermalink_simulator.doors.ble_table import WORDS
from dermalink_simulator.hardware.air import AirConditions
from dermalink_simulator.pen import serial_number
from tests.support.running import in_virtual_time
from tests.unit.doors.ble_central import Bench, RawCentral, Refused, bench, central_on

GAP_NAME, GAP_APPEARANCE = 0x2A00, 0x2A01
SERVICE_CHANGED, CLIENT_FEATURES, DATABASE_HASH = 0x2A05, 0x2B29, 0x2B2A
INVALID_LENGTH = att.ErrorCode.INVALID_ATTRIBUTE_LENGTH
HELLO = identity.Hello(protocol_version=int(PROTOCOL_VERSION), host_nonce=1)


async def code_of(central: RawCentral, pdu: bytes) -> int:
    """The ATT error code that a request is refused with; 0 when it is not."""
    try:
        await central.request(pdu)
    except Refused as refused:
        return refused.code
    return 0


async def write_code(central: RawCentral, handle: int, value: bytes) -> int:
    return await code_of(central, struct.pack("<BH", att.Opcode.ATT_WRITE_REQUEST, handle) + value)


# Read as any browser reads


@in_virtual_time
async def test_a_generic_browser_finds_and_reads_it_all() -> None:
    async with bench() as pen, central_on(pen.air) as central:
        device = central.device
        device.l2cap_channel_manager.register_fixed_channel(att.ATT_CID, device.on_gatt_pdu)
        central.connection = await device.connect(pen.address, PhysicalTransport.LE)
        peer = Peer(central.connection)
        await peer.discover_all()  # type: ignore[no-untyped-call]
        services = [str(service.uuid.to_hex_str("-")).lower() for service in peer.services]
        assert services[-1] == str(SERVICE_UUID)
        assert services[:-1] == ["1800", "1801", "180a", "180f", "1805"]
        ours = peer.services[-1]
        found = {one.uuid.to_hex_str("-").lower(): one for one in ours.characteristics}
        for channel, rule in CHANNEL_RULES.items():
            characteristic = found[str(rule.uuid)]
            assert {declared.name for declared in Gatt if declared in rule.gatt} == {
                flag.name for flag in characteristic.properties
            }
            words = next(one for one in characteristic.descriptors if one.type.to_hex_str() == "2901")
            assert await peer.read_value(words) == WORDS[channel].encode()
        for one in READABLES:
            (characteristic,) = peer.get_characteristics_by_uuid(core.UUID.from_16_bits(one.uuid16))
            assert await characteristic.read_value() == pen.runner.read_gatt(one.uuid16)


@in_virtual_time
async def test_identity_name_and_contract_version_are_what_hello_says() -> None:
    async with bench(seed=42) as pen, pen.host() as host:
        await host.subscribe(*Channel)
        reply = await host.hello()
        said = reply.serial_number.rstrip(b"\0")
        assert await host.read(SERIAL_NUMBER) == said == serial_number(42).encode()
        assert await host.read(SOFTWARE_REVISION) == str(int(PROTOCOL_VERSION)).encode()
        assert await host.read(GAP_NAME) == device_name(serial_number(42)).encode()
        assert await host.read(GAP_APPEARANCE) == bytes(2)
        assert len(await host.read(DATABASE_HASH)) == 16
        assert SERVICE_CHANGED in host.handles


@in_virtual_time
async def test_status_is_read_as_it_stands_at_that_moment() -> None:
    async with bench() as pen, pen.host() as host:
        await pen.at_rest()
        status = decode_envelope(Channel.STATUS, await host.read(CHANNEL_RULES[Channel.STATUS].uuid)).message
        assert isinstance(status, identity.Status)
        assert status.battery_percent == 99
        pen.runner.act(lambda: pen.pen.power.set_battery(41))
        await asyncio.sleep(0.02)  # its main loop measures
        status = decode_envelope(Channel.STATUS, await host.read(CHANNEL_RULES[Channel.STATUS].uuid)).message
        assert isinstance(status, identity.Status)
        assert status.battery_percent == 41
        assert await host.read(BATTERY_LEVEL) == bytes([41])


@in_virtual_time
async def test_a_long_value_is_of_one_moment_whatever_changes_while_it_is_read() -> None:
    async with bench() as pen, pen.host(mtu=0) as host:
        await pen.at_rest()
        handle = host.handle(Channel.STATUS)
        whole = pen.runner.read_gatt(STATUS_VALUE)
        value = (await host.request(struct.pack("<BH", att.Opcode.ATT_READ_REQUEST, handle)))[1:]
        pen.runner.act(lambda: pen.pen.power.set_battery(12))
        await asyncio.sleep(1)
        while len(value) < len(whole):
            value += (await host.request(struct.pack("<BHH", att.Opcode.ATT_READ_BLOB_REQUEST, handle, len(value))))[1:]
        status = decode_envelope(Channel.STATUS, value).message
        assert isinstance(status, identity.Status)
        assert status.battery_percent == 99
        too_far = struct.pack("<BHH", att.Opcode.ATT_READ_BLOB_REQUEST, handle, len(whole) + 1)
        assert await code_of(host, too_far) == att.ErrorCode.INVALID_OFFSET


@in_virtual_time
async def test_battery_and_clock_are_told_to_those_who_asked_and_to_nobody_else() -> None:
    async with bench() as pen, pen.host(1) as told, pen.host(2) as other:
        await pen.at_rest()
        for number in (BATTERY_LEVEL, CURRENT_TIME):
            await told.write(told.cccds[told.handles[number]], b"\1\0")
        await asyncio.sleep(5)
        assert not told.values
        pen.runner.act(lambda: pen.pen.power.set_battery(50))
        await asyncio.sleep(5)
        assert told.values[0] == (told.handles[BATTERY_LEVEL], bytes([50]))
        assert {handle for handle, _ in told.values} == {told.handles[BATTERY_LEVEL]}
        told.values.clear()
        pen.runner.act(lambda: pen.pen.clock.set(1_800_000_000))
        await asyncio.sleep(5)
        (value,) = [value for handle, value in told.values if handle == told.handles[CURRENT_TIME]]
        assert value[:7] == struct.pack("<HBBBBB", 2027, 1, 15, 8, 0, value[6])
        told.values.clear()
        pen.runner.act(pen.pen.clock.lose)
        await asyncio.sleep(5)
        assert [value[:7] for handle, value in told.values if handle == told.handles[CURRENT_TIME]] == [bytes(7)]
        assert not other.values


# Every size


@pytest.mark.parametrize("air", ["perfect", "room"])
@pytest.mark.parametrize("mtu", [23, 185, 247, 517])
def test_hello_status_and_telemetry_at_every_att_mtu(mtu: int, air: str) -> None:
    @in_virtual_time
    async def test() -> None:
        async with bench(air) as pen, pen.host(mtu=mtu, interval_ms=7.5) as host:
            if air == "room":  # at ATT_MTU 23 a status takes four round trips: with 30 ms each the lease would lapse
                pen.air.conditions.become(AirConditions(interval_us=7_500, loss=5, bursts=5))
            assert host.mtu == mtu
            await host.subscribe(*Channel)
            await host.to_running(pen.runner)
            async with host.renewing():
                await asyncio.sleep(2)
                assert (await host.status()).session_id == host.session_id
            assert pen.pen.needles_out
            assert any(one.channel is Channel.TELEMETRY for one in host.said)
            assert host.broken == []

    test()


@in_virtual_time
async def test_an_att_mtu_is_agreed_once() -> None:
    async with bench() as pen, pen.host(mtu=185) as host:
        assert await host.exchange_mtu(517) == 517  # as the answer reads; what holds is what was agreed first
        host.mtu = 185
        assert len(await host.read(DATABASE_HASH)) == 16
        await host.subscribe(*Channel)
        too_long = bytes([FIRST | LAST]) + bytes(185 - 3)
        assert await write_code(host, host.handle(Channel.STATUS), too_long) == att.ErrorCode.INVALID_ATTRIBUTE_LENGTH


# Refused at ATT level


@in_virtual_time
async def test_what_can_only_be_read_is_not_written_and_what_can_only_be_written_not_read() -> None:
    async with bench() as pen, pen.host() as host:
        values = set(host.handles.values())
        for handle in range(1, max(host.cccds.values()) + 1):
            if handle in host.cccds.values() or handle == host.handles[CLIENT_FEATURES]:
                continue
            writable = handle in values and host.properties[handle] & 0x08
            expected = 0 if writable else att.ErrorCode.WRITE_NOT_PERMITTED
            code = await write_code(host, handle, bytes([FIRST | LAST]) + bytes(12))
            assert (code == att.ErrorCode.WRITE_NOT_PERMITTED) == bool(expected), handle
        assert await write_code(host, max(host.cccds.values()) + 1, b"x") == att.ErrorCode.INVALID_HANDLE
        assert await write_code(host, host.handle(Channel.TELEMETRY), b"x") == AttError.WRITE_NOT_PERMITTED
        for channel, rule in CHANNEL_RULES.items():
            code = await code_of(host, struct.pack("<BH", att.Opcode.ATT_READ_REQUEST, host.handle(channel)))
            assert code == (0 if Gatt.READ in rule.gatt else att.ErrorCode.READ_NOT_PERMITTED)
        by_type = struct.pack("<BHH", att.Opcode.ATT_READ_BY_TYPE_REQUEST, 1, 0xFFFF)
        for channel, rule in CHANNEL_RULES.items():
            code = await code_of(host, by_type + rule.uuid.bytes[::-1])
            assert code == (0 if Gatt.READ in rule.gatt else att.ErrorCode.READ_NOT_PERMITTED), channel


@in_virtual_time
async def test_a_value_that_is_too_long_for_its_write_is_refused() -> None:
    async with bench() as pen, pen.host(mtu=0) as host:
        await host.subscribe(*Channel)
        handle = host.handle(Channel.STATUS)
        assert await write_code(host, handle, bytes([FIRST | LAST]) + bytes(20)) == AttError.INVALID_LENGTH
        assert isinstance(await host.ask(HELLO), identity.HelloReply)  # nothing was taken of it


@in_virtual_time
async def test_who_has_not_subscribed_is_told_so_by_every_channel_but_stop() -> None:
    async with bench() as pen, pen.host() as host:
        first = bytes([FIRST | LAST]) + bytes(12)
        for channel in (Channel.PAIRING, Channel.STATUS, Channel.COMMAND, Channel.RECORDS):
            assert await write_code(host, host.handle(channel), first) == AttError.CCCD_IMPROPERLY_CONFIGURED
            await host.subscribe(channel)
            assert await write_code(host, host.handle(channel), first) != AttError.CCCD_IMPROPERLY_CONFIGURED
        assert await write_code(host, host.handle(Channel.STOP), first) == 0


@pytest.mark.parametrize(
    ("segments", "code"),
    [
        ([b""], AttError.OUT_OF_RANGE),
        ([bytes([FIRST])], AttError.OUT_OF_RANGE),
        ([bytes([0, 1])], AttError.COUNTER),
        ([bytes([FIRST, 1]), bytes([LAST | 2, 1])], AttError.COUNTER),
        ([bytes([FIRST, 1]), bytes([1, 1]), bytes([LAST | 1, 1])], AttError.COUNTER),
    ],
)
def test_a_segment_that_does_not_follow_is_refused(segments: list[bytes], code: int) -> None:
    @in_virtual_time
    async def test() -> None:
        async with bench() as pen, pen.host() as host:
            await host.subscribe(*Channel)
            codes = [await write_code(host, host.handle(Channel.STATUS), segment) for segment in segments]
            assert codes == [0] * (len(segments) - 1) + [code]

    test()


@pytest.mark.parametrize(("mtu", "longest"), [(23, 20), (247, 244), (515, 512), (516, 512), (517, 512)])
def test_a_write_of_more_than_the_mtu_or_an_attribute_holds_is_refused(mtu: int, longest: int) -> None:
    @in_virtual_time
    async def test() -> None:
        async with bench() as pen, pen.host(mtu=mtu) as host:
            await host.subscribe(*Channel)
            assert host.mtu == mtu
            handle = host.handle(Channel.STATUS)
            assert await write_code(host, handle, bytes([FIRST]) + bytes(longest)) == INVALID_LENGTH
            assert await write_code(host, handle, bytes([FIRST]) + bytes(longest - 1)) != INVALID_LENGTH

    test()


@pytest.mark.parametrize("number", [STATUS_VALUE, SERIAL_NUMBER, BATTERY_LEVEL])
def test_the_end_of_a_value_is_read_as_nothing_and_what_is_beyond_it_refused(number: int) -> None:
    @in_virtual_time
    async def test() -> None:
        async with bench() as pen, pen.host() as host:
            what = CHANNEL_RULES[Channel.STATUS].uuid if number == STATUS_VALUE else number
            length, handle = len(await host.read(what)), host.handles[what]
            for begun in (True, False):  # behind a read of the same value, and of another
                if not begun:
                    await host.read(GAP_NAME)
                end = await host.request(struct.pack("<BHH", att.Opcode.ATT_READ_BLOB_REQUEST, handle, length))
                assert end == bytes([att.Opcode.ATT_READ_BLOB_RESPONSE])
                for beyond in (length + 1, 0xFFFF):
                    too_far = struct.pack("<BHH", att.Opcode.ATT_READ_BLOB_REQUEST, handle, beyond)
                    assert await code_of(host, too_far) == att.ErrorCode.INVALID_OFFSET
                last = await host.request(struct.pack("<BHH", att.Opcode.ATT_READ_BLOB_REQUEST, handle, length - 1))
                assert len(last) == 2

    test()


@in_virtual_time
async def test_a_message_longer_than_any_is_refused() -> None:
    async with bench() as pen, pen.host(mtu=517) as host:
        await host.subscribe(*Channel)
        handle = host.handle(Channel.STATUS)
        codes = [await write_code(host, handle, bytes([n or FIRST]) + bytes(500)) for n in range(8)]
        assert AttError.OUT_OF_RANGE in codes
        host._segmenters[Channel.STATUS]._sequence = 0
        assert isinstance(await host.ask(HELLO), identity.HelloReply)


@in_virtual_time
async def test_a_second_command_while_one_is_unanswered_is_refused_as_in_progress() -> None:
    async with bench() as pen, pen.host() as host:
        await host.subscribe(*Channel)
        await host.hello()
        await pen.at_rest()
        opening = host.command(
            therapy.OpenSession, boot_id=host.boot_id, lease_ms=500, record_number=0, record_hash=bytes(32)
        )
        codes = []
        for number in range(100, 102):
            _, segments = host.segments(opening, number)
            codes += [await write_code(host, host.handle(Channel.COMMAND), segment) for segment in segments]
        assert codes == [0, AttError.IN_PROGRESS]
        assert isinstance(await host.answer_to(100), therapy.SessionOpened)
        host._segmenters[Channel.COMMAND]._sequence = 1  # the refused segment was not taken
        assert isinstance(await host.ask(identity.GetStatus()), identity.Status)
        await host.renew()


@in_virtual_time
async def test_only_stop_is_written_without_response() -> None:
    async with bench() as pen, pen.host() as host:
        await host.subscribe(*Channel)
        _, segments = host.segments(HELLO, 1)
        for channel in (Channel.PAIRING, Channel.STATUS, Channel.COMMAND, Channel.TELEMETRY, Channel.RECORDS):
            for segment in segments:
                host.write_without_response(host.handle(channel), segment)
        await asyncio.sleep(1)
        assert not host.replies
        number = host.stop_now()
        await host.answer_to(number)


@in_virtual_time
async def test_configurations_that_a_characteristic_does_not_have_are_refused() -> None:
    async with bench() as pen, pen.host() as host:
        status, telemetry = host.cccds[host.handle(Channel.STATUS)], host.cccds[host.handle(Channel.TELEMETRY)]
        assert await write_code(host, status, b"\1\0") == att.ErrorCode.VALUE_NOT_ALLOWED
        assert await write_code(host, telemetry, b"\2\0") == att.ErrorCode.VALUE_NOT_ALLOWED
        assert await write_code(host, status, b"\2\1") == att.ErrorCode.VALUE_NOT_ALLOWED
        assert await write_code(host, status, b"\2") == att.ErrorCode.INVALID_ATTRIBUTE_LENGTH
        assert await write_code(host, status, b"\2\0") == 0
        read = struct.pack("<BH", att.Opcode.ATT_READ_REQUEST, status)
        assert (await host.request(read))[1:] == b"\2\0"
        async with pen.host(2) as other:
            assert (await other.request(read))[1:] == b"\0\0"
            features = other.handles[CLIENT_FEATURES]
            assert await write_code(other, features, b"\1") == 0
            assert await write_code(other, features, b"\0") == att.ErrorCode.VALUE_NOT_ALLOWED
            assert await write_code(other, features, b"\1\0") == att.ErrorCode.INVALID_ATTRIBUTE_LENGTH
            by_type = struct.pack("<BHHH", att.Opcode.ATT_READ_BY_TYPE_REQUEST, 1, 0xFFFF, CLIENT_FEATURES)
            for one, announced in ((other, b"\1"), (host, b"\0")):
                assert await one.read(CLIENT_FEATURES) == announced
                assert (await one.request(by_type))[4:] == announced


@pytest.mark.parametrize(
    ("pdu", "code"),
    [
        (b"\x12", att.ErrorCode.INVALID_PDU),
        (b"\x0a\x01", att.ErrorCode.INVALID_PDU),
        (b"\x02", att.ErrorCode.INVALID_PDU),
        (b"\x3e", att.ErrorCode.REQUEST_NOT_SUPPORTED),
        (b"\x3e\x00\x00", att.ErrorCode.REQUEST_NOT_SUPPORTED),
        (struct.pack("<BHH", att.Opcode.ATT_PREPARE_WRITE_REQUEST, 59, 0) + b"x", att.ErrorCode.REQUEST_NOT_SUPPORTED),
        (struct.pack("<BB", att.Opcode.ATT_EXECUTE_WRITE_REQUEST, 1), att.ErrorCode.REQUEST_NOT_SUPPORTED),
        (struct.pack("<BHH", att.Opcode.ATT_READ_MULTIPLE_REQUEST, 3, 5), att.ErrorCode.REQUEST_NOT_SUPPORTED),
        (struct.pack("<BHHH", att.Opcode.ATT_READ_BY_GROUP_TYPE_REQUEST, 0, 9, 0x2800), att.ErrorCode.INVALID_HANDLE),
        (struct.pack("<BHHH", att.Opcode.ATT_READ_BY_GROUP_TYPE_REQUEST, 9, 1, 0x2800), att.ErrorCode.INVALID_HANDLE),
        (struct.pack("<BHHH", att.Opcode.ATT_FIND_BY_TYPE_VALUE_REQUEST, 0, 9, 0x2800), att.ErrorCode.INVALID_HANDLE),
        (
            struct.pack("<BHHH", att.Opcode.ATT_FIND_BY_TYPE_VALUE_REQUEST, 1, 9, 0x2A19) + b"d",
            att.ErrorCode.ATTRIBUTE_NOT_FOUND,
        ),
        (struct.pack("<BHH", att.Opcode.ATT_FIND_INFORMATION_REQUEST, 0, 9), att.ErrorCode.INVALID_HANDLE),
        (struct.pack("<BH", att.Opcode.ATT_READ_REQUEST, 0xFFFF), att.ErrorCode.INVALID_HANDLE),
        (struct.pack("<BHH", att.Opcode.ATT_READ_BLOB_REQUEST, 0xFFFF, 0), att.ErrorCode.INVALID_HANDLE),
    ],
)
def test_packets_that_are_malformed_or_not_offered_are_refused_and_the_link_goes_on(pdu: bytes, code: int) -> None:
    @in_virtual_time
    async def test() -> None:
        async with bench() as pen, pen.host() as host:
            assert await code_of(host, pdu) == code
            assert await host.read(SERIAL_NUMBER) == serial_number(7).encode()

    test()


@pytest.mark.parametrize(
    "pdu", [b"", b"\x52", b"\x52\x25", b"\x7e", b"\xd2\x25\x00", b"\x1e", b"\x1b\x05\x00", b"\x01"]
)
def test_packets_that_nobody_answers_leave_the_link_as_it_was(pdu: bytes) -> None:
    @in_virtual_time
    async def test() -> None:
        async with bench() as pen, pen.host() as host:
            host.send(pdu)
            await asyncio.sleep(1)
            assert host._responses.empty()
            assert await host.read(SERIAL_NUMBER) == serial_number(7).encode()

    test()


# Advertising


class Scan:
    """What one scanner hears."""

    def __init__(self, device: Device) -> None:
        self.heard: list[tuple[float, object]] = []
        device.host.on("advertising_report", self._hear)

    def _hear(self, report: object) -> None:
        self.heard.append((asyncio.get_running_loop().time(), report))


@in_virtual_time
async def test_it_says_what_it_is_and_who_at_the_interval_that_is_named() -> None:
    async with bench() as pen, central_on(pen.air) as central:
        scan = Scan(central.device)
        await central.device.start_scanning(active=True)
        await asyncio.sleep(10)
        await central.device.stop_scanning()
        advertised = [(at, one) for at, one in scan.heard if one.event_type == 0]  # type: ignore[attr-defined]
        answered = [one for _, one in scan.heard if one.event_type == 4]  # type: ignore[attr-defined]
        assert len(advertised) == pytest.approx(10_000 / (100 + 5), rel=0.02), "every 100 ms, and 0 to 10 ms by chance"
        assert len(answered) == len(advertised)
        said = read_advertised(advertised[0][1].data, answered[0].data)  # type: ignore[attr-defined]
        assert said.is_pen
        assert said.serial_number == serial_number(7)
        only = read_advertised(advertised[0][1].data)  # type: ignore[attr-defined]
        assert (only.is_pen, only.serial_number) == (True, "")
        assert advertised[0][1].address == pen.address  # type: ignore[attr-defined]


@in_virtual_time
async def test_the_address_is_static_and_belongs_to_the_serial_number() -> None:
    addresses = []
    for seed in (7, 7, 8):
        async with bench(seed=seed) as pen:
            addresses.append(pen.address)
            assert pen.door._device.random_address == pen.address
            assert pen.address.is_static
    assert addresses[0] == addresses[1] != addresses[2]


async def advertising(pen: Bench) -> bool:
    """Whether a scanner hears it within a second."""
    await asyncio.sleep(0.1)
    async with central_on(pen.air, 200) as central:
        scan = Scan(central.device)
        await central.device.start_scanning(active=False)
        await asyncio.sleep(1)
        await central.device.stop_scanning()
        assert bool(scan.heard) == pen.door.advertising
        return bool(scan.heard)


@in_virtual_time
async def test_it_advertises_while_it_takes_hosts_and_not_without_power() -> None:
    async with bench() as pen:
        assert await advertising(pen)
        async with pen.host():
            assert await advertising(pen), "a stranger must be able to reach Stop"
        assert await advertising(pen)
        pen.runner.act(pen.pen.power.cut)
        assert not await advertising(pen)
        pen.runner.act(pen.pen.power.restore)
        assert await advertising(pen)


@in_virtual_time
async def test_device_type_is_connectable_and_scannable() -> None:
    async with bench() as pen:
        await asyncio.sleep(0.1)
        advertiser = pen.door._device.legacy_advertiser
        assert advertiser is not None
        assert advertiser.advertising_type == AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE


@pytest.mark.parametrize("turns", range(12))
def test_it_closes_at_any_moment_of_its_opening(turns: int) -> None:
    """Whatever command to the controller is under way then."""

    @in_virtual_time
    async def test() -> None:
        async with asyncio.timeout(5), bench() as pen:
            for _ in range(turns):
                await asyncio.sleep(0)
            await pen.door.close()
            assert not pen.door.advertising

    test()
