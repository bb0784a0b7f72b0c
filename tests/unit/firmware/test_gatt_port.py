"""The pen's end of a BLE connection: segments that fit, nothing that was not asked for, Stop's answer first."""

import struct
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermalink_protocol import channels
from dermalink_protocol.channels import READABLES, Channel
from dermalink_protocol.envelope import decode_envelope
from dermalink_protocol.messages.identity import GetStatus, HelloReply, StateChanged, Status
from dermalink_protocol.messages.records import GetHistory, HistoryRecord
from dermalink_protocol.messages.stop import Stop, Stopped
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.schema import Message
from dermalink_simulator.firmware.gatt_values import current_time
from dermalink_simulator.hardware.board import PenOffError
from dermalink_simulator.hardware.port import GATT_VALUES_MAX
from dermalink_simulator.pen import SimulatedPen
from tests.support import raw_pen as raw
from tests.unit.firmware.ble_host import ALL, HELLO, BleHost

ATT_MTUS = [23, 185, 247, 517]


def taken(host: BleHost) -> list[bytes]:
    """Every value that the firmware has to send now, from behind the port."""
    values = []
    while value := host.firmware.tx(host.port.number):
        values.append(value)
    return values


def joined(host: BleHost, values: list[bytes]) -> list[Message]:
    return [message for value in values if (message := host.joins(value)) is not None]


def clogged(att_mtu: int = 23) -> BleHost:
    host = BleHost(att_mtu=att_mtu)
    host.port.clog(clogged=True)
    return host


# The ATT_MTU


@pytest.mark.parametrize("att_mtu", ATT_MTUS)
def test_whole_messages_both_ways_at_every_att_mtu(att_mtu: int) -> None:
    host = clogged(att_mtu)
    for message, reply in ((HELLO, HelloReply), (GetHistory(number=1), HistoryRecord)):
        host.say(message)
        values = taken(host)
        assert all(len(value) <= 1 + att_mtu - 3 for value in values)
        assert [type(each) for each in joined(host, values)] == [reply]
        assert len(values) > 1 or att_mtu > 100


def test_until_one_is_agreed_it_is_23() -> None:
    host = BleHost()
    host.port.clog(clogged=True)
    host.say(HELLO)
    assert {len(value) for value in taken(host)[:-1]} == {21}


@pytest.mark.parametrize(("told", "longest"), [(0, 21), (22, 21), (518, 513), (65_535, 513)])
def test_an_att_mtu_that_can_not_be_counts_as_the_nearer_end(told: int, longest: int) -> None:
    host = clogged()
    host.port.agree_mtu(told)
    host.say(HELLO)
    values = taken(host)
    assert max(map(len, values)) <= longest
    assert [type(each) for each in joined(host, values)] == [HelloReply]


@pytest.mark.parametrize("sent", range(5))
def test_growing_amid_a_message_leaves_it_whole_and_helps_the_next(sent: int) -> None:
    host = clogged()
    host.say(HELLO)
    host.say(GetStatus())
    first = [host.firmware.tx(host.port.number) for _ in range(sent)]
    host.port.agree_mtu(247)
    values = first + taken(host)
    assert [type(each) for each in joined(host, values)] == [HelloReply, Status]
    assert values[-1][0] == Channel.STATUS
    assert len(values[-1]) > 21


@pytest.mark.parametrize("sent", range(4))
def test_shrinking_amid_a_message_sends_it_again_in_values_that_fit(sent: int) -> None:
    host = clogged(40)
    host.say(HELLO)
    host.say(GetStatus())
    first = [host.firmware.tx(host.port.number) for _ in range(sent)]
    host.port.agree_mtu(23)
    rest = taken(host)
    assert all(len(value) <= 21 for value in rest)
    messages = joined(host, first + rest)
    assert [type(each) for each in messages[-2:]] == [HelloReply, Status]
    assert len(messages) == 2
    assert host.inside.lost == 0


def test_shrinking_between_messages_sends_nothing_twice() -> None:
    host = clogged(185)
    host.say(HELLO)
    values = taken(host)
    host.port.agree_mtu(23)
    assert taken(host) == []
    assert [type(each) for each in joined(host, values)] == [HelloReply]


def test_a_shrunk_att_mtu_keeps_the_order_of_what_is_said_unasked() -> None:
    host = clogged(30)
    host.say(HELLO)
    joined(host, taken(host))
    host.pen.advance(3_500)
    first = host.firmware.tx(host.port.number)
    assert first[0] == Channel.TELEMETRY
    host.port.agree_mtu(23)
    told = joined(host, [first, *taken(host)])
    sequences = [each.sequence for each in told if isinstance(each, Telemetry)]
    assert sequences == sorted(sequences)
    assert len(sequences) >= 3


# Subscriptions


def test_nothing_unasked_comes_before_hello_whatever_is_subscribed() -> None:
    host = BleHost()
    host.pen.advance(3_000)
    host.pen.cartridge.pull()
    host.pen.advance(1_000)
    assert host.heard() == []
    assert host.inside.lost == 0
    host.say(HELLO)
    host.pen.advance(3_000)
    assert {type(each) for each in host.heard()} == {HelloReply, Telemetry}


def test_what_is_not_subscribed_is_not_sent_and_is_no_loss() -> None:
    host = BleHost(subscribe=(Channel.STATUS,))
    host.say(HELLO)
    host.pen.advance(5_000)
    assert [type(each) for each in host.heard()] == [HelloReply]
    assert host.inside.lost == 0


def test_a_subscription_ends_what_waits_on_its_channel_only() -> None:
    host = clogged()
    host.say(HELLO)
    joined(host, taken(host))
    host.say(GetStatus())
    host.say(GetHistory(number=1))
    host.say(GetStatus())
    host.port.subscribe(Channel.STATUS, on=False)
    host.port.subscribe(Channel.STATUS, on=True)
    assert [type(each) for each in joined(host, taken(host))] == [HistoryRecord]
    assert host.inside.lost == 2


def test_a_message_cut_off_by_the_end_of_its_subscription_is_lost_once_and_the_next_is_whole() -> None:
    host = clogged()
    host.say(HELLO)
    host.joins(host.firmware.tx(host.port.number))
    host.port.subscribe(Channel.STATUS, on=False)
    assert taken(host) == []
    assert host.inside.lost == 1
    host.port.subscribe(Channel.STATUS, on=True)
    host.say(GetStatus())
    assert [type(each) for each in joined(host, taken(host))] == [Status]


def test_a_new_connection_begins_with_nothing_subscribed() -> None:
    host = BleHost()
    host.say(HELLO)
    host.port.close()
    again = BleHost(host.pen, ())
    assert again.port.number == host.port.number
    assert again.first(HELLO) == channels.AttError.CCCD_IMPROPERLY_CONFIGURED
    again.pen.advance(2_000)
    assert again.heard() == []


def test_no_channel_of_ours_is_no_subscription() -> None:
    host = BleHost(subscribe=())
    for channel in (-1, 0, 7, 0xFFFF):
        host.firmware.gatt_subscribe(host.port.number, channel, 1)
    host.firmware.gatt_subscribe(99, Channel.STATUS, 1)
    assert not any(host.inside.subscribed(channel) for channel in Channel)


# Stop's answer


@pytest.mark.sr("SR-STOP-4", side="pen")
@pytest.mark.parametrize("sent", range(4))
def test_stops_answer_overtakes_a_message_under_way_and_tears_nothing(sent: int) -> None:
    host = clogged()
    host.say(HELLO)
    values = [host.firmware.tx(host.port.number) for _ in range(sent)]
    host.say(Stop())
    values.append(host.firmware.tx(host.port.number))
    assert values[-1][0] == Channel.STOP
    assert [type(each) for each in joined(host, values + taken(host))] == [Stopped, HelloReply]


@pytest.mark.sr("SR-STOP-4", side="pen")
def test_a_slow_host_has_stops_answer_behind_no_more_than_lies_at_the_link() -> None:
    host = BleHost()
    heard: list[bytes] = []
    host.port.on_output = heard.append
    host.say(HELLO)
    for _ in range(5):
        host.say(GetStatus())
    assert len(heard) == GATT_VALUES_MAX
    host.say(Stop())
    while len(heard) < 100 and heard[-1][0] != Channel.STOP:
        host.port.handed_on()
    assert len(heard) == GATT_VALUES_MAX + 1


@pytest.mark.sr("SR-STOP-4", side="pen")
def test_stop_from_a_host_that_hears_no_answer_stops_all_the_same() -> None:
    client = raw.raw_pen()
    client.open()
    client.run_pass()
    host = BleHost(client.pen, tuple(channel for channel in ALL if channel is not Channel.STOP))
    host.say(HELLO)
    host.heard()
    host.say(Stop())
    client.pen.advance(25)
    assert not client.pen.needles_out
    told = host.heard()
    assert any(isinstance(each, StateChanged) for each in told)
    assert not any(isinstance(each, Stopped) for each in told)


# Reading


def test_device_information_is_text() -> None:
    pen = SimulatedPen(seed=7)
    said = {
        each.uuid16: pen.read_gatt(each.uuid16) for each in READABLES if each.service == channels.DEVICE_INFORMATION
    }
    assert said == {
        0x2A29: b"Dermalink",
        0x2A24: b"Dermalink pen, simulated",
        0x2A25: b"DL-SIM-00000007",
        0x2A26: b"0.1.0",
        0x2A27: b"simulated 1",
        0x2A28: b"1",
    }


def test_the_battery_is_the_present_one() -> None:
    pen = SimulatedPen()
    for percent in (100, 42, 7):
        pen.power.set_battery(percent)
        pen.advance(1_000)
        (read,) = pen.read_gatt(channels.BATTERY_LEVEL)
        assert percent - 1 <= read <= percent


def test_the_time_is_the_pens_and_unknown_once_its_clock_was_lost() -> None:
    pen = SimulatedPen()
    pen.advance(1_000)
    now = datetime.fromtimestamp(pen.clock.utc_s, UTC)
    year, *rest = struct.unpack("<HBBBBBBBB", pen.read_gatt(channels.CURRENT_TIME))
    assert [year, *rest] == [*now.timetuple()[:6], now.isoweekday(), 0, 0]
    pen.clock.lose()
    pen.advance(1_000)
    assert pen.read_gatt(channels.CURRENT_TIME) == bytes(10)


def test_a_clock_that_went_back_is_not_told_as_the_time() -> None:
    pen = SimulatedPen()
    pen.advance(1_000)
    pen.clock.set(pen.clock.utc_s - 1_000_000)
    pen.advance(1_000)
    assert pen.clock.utc_s
    assert pen.read_gatt(channels.CURRENT_TIME) == bytes(10)


@given(st.integers(1, 0xFFFF_FFFF))
def test_every_second_of_the_wire_is_the_calendars(utc_s: int) -> None:
    then = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=utc_s)
    expected = struct.pack("<HBBBBBBBB", *then.timetuple()[:6], then.isoweekday(), 0, 0)
    assert current_time(utc_s) == expected


@pytest.mark.parametrize("day", ["2000-02-29", "2024-02-29", "2024-03-01", "2023-12-31", "2100-02-28", "2100-03-01"])
def test_the_ends_of_months_and_years(day: str) -> None:
    then = datetime.fromisoformat(day).replace(tzinfo=UTC)
    year, month, of_month = struct.unpack_from("<HBB", current_time(int(then.timestamp())))
    assert (year, month, of_month) == (then.year, then.month, then.day)


def test_the_status_is_read_as_it_would_be_answered() -> None:
    host = BleHost()
    host.say(GetStatus())
    (answered,) = host.heard()
    read = decode_envelope(Channel.STATUS, host.pen.read_gatt(channels.STATUS_VALUE))
    assert read == (Channel.STATUS, 0, answered)
    host.pen.advance(2_500)
    later = decode_envelope(Channel.STATUS, host.pen.read_gatt(channels.STATUS_VALUE)).message
    assert isinstance(later, Status)
    assert isinstance(answered, Status)
    assert later.tick_ms - answered.tick_ms == 2_500


def test_reading_changes_nothing_and_what_is_not_there_is_empty() -> None:
    host = BleHost()
    before = host.firmware.snapshot()
    for uuid16 in (*(each.uuid16 for each in READABLES), channels.STATUS_VALUE, 0, 0x2A00, 0xFFFF):
        assert bool(host.firmware.gatt_read(uuid16)) == (uuid16 not in (0, 0x2A00, 0xFFFF))
    assert host.firmware.snapshot() == before


def test_a_pen_without_power_is_not_read() -> None:
    pen = SimulatedPen(power=False)
    with pytest.raises(PenOffError, match="no power"):
        pen.read_gatt(channels.BATTERY_LEVEL)
