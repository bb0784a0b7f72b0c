"""Raw frames over every limit: the pen refuses on its own, says why, and nothing has changed."""

import struct

import pytest

from dermalink_protocol.codewords import Reason
from tests.support import raw_pen as raw
from tests.support.raw_pen import RawClient, raw_pen


@pytest.fixture
def client() -> RawClient:
    client = raw_pen()
    client.open()
    return client


def prepare(client: RawClient, **fields: int) -> raw.Got:
    got = client.prepare(**fields)
    if got.opcode == raw.REFUSED:
        assert client.status()["state"] == raw.OPEN_STATE
    return got


@pytest.mark.sr("SR-DEPTH-1", side="pen")
def test_every_depth_there_is_only_those_allowed_are_taken(client: RawClient) -> None:
    tag_id, taken = client.tag_id(), []
    for depth in [*range(600), *range(600, 0x10000, 509), 0xFFFF]:
        fields = struct.pack("<IBBHBB8s", client.session_id, raw.FOREHEAD, 1, depth, 100, 40, tag_id)
        if client.ask(raw.ON_COMMAND, raw.PREPARE, client.header() + fields).opcode == raw.PREPARED:
            taken.append(depth)
    assert taken == list(range(200, 501, 10))


@pytest.mark.sr("SR-DEPTH-1", side="pen")
@pytest.mark.parametrize(
    ("depth", "reason", "limit"),
    [
        (510, Reason.DEPTH_OVER_CAP, 500),
        (0xFFFF, Reason.DEPTH_OVER_CAP, 500),
        (199, Reason.DEPTH_UNDER_MIN, 200),
        (0, Reason.DEPTH_UNDER_MIN, 200),
        (205, Reason.DEPTH_OFF_STEP, 10),
    ],
)
def test_a_refused_depth_names_its_limit(client: RawClient, depth: int, reason: int, limit: int) -> None:
    assert prepare(client, zone=raw.FOREHEAD, depth=depth).refusal == (raw.PREPARE, reason, limit)


@pytest.mark.sr("SR-DEPTH-3", side="pen")
def test_every_zone_there_is_keeps_its_cap(client: RawClient) -> None:
    client.pen.cartridge.fit("stamp")
    client.pen.advance(2_000)
    taken = {
        zone: depth
        for zone in range(256)
        for depth in range(200, 501, 50)
        if client.prepare(zone=zone, depth=depth, rate=60, speed=20).opcode == raw.PREPARED
    }
    assert taken == {1: 500, 2: 500, 3: 500, 4: 500, 5: 250, 6: 250, 7: 250, 8: 250}


@pytest.mark.sr("SR-DEPTH-3", side="pen", twin=True)
def test_without_the_limit_check_the_nose_gets_half_a_millimetre() -> None:
    client = raw_pen("limit-check")
    client.open()
    assert client.prepare(zone=raw.NOSE, depth=500).opcode == raw.PREPARED


@pytest.mark.sr("SR-DEPTH-3", side="pen")
@pytest.mark.parametrize("zone", [6, 7, 8])
def test_thin_skin_takes_a_stamp_head_only(client: RawClient, zone: int) -> None:
    assert prepare(client, zone=zone, depth=250).reason == Reason.ZONE_NEEDS_STAMP


@pytest.mark.sr("SR-PASS-1", side="pen")
def test_every_direction_there_is_only_three_are_taken(client: RawClient) -> None:
    taken = [each for each in range(256) if client.prepare(direction=each).opcode == raw.PREPARED]
    assert taken == [1, 2, 4]


@pytest.mark.sr("SR-RATE-1", "SR-PASS-6", side="pen")
def test_every_rate_there_is_only_those_in_range_are_taken(client: RawClient) -> None:
    taken = [rate for rate in range(256) if client.prepare(rate=rate, speed=40).opcode == raw.PREPARED]
    assert taken == list(range(50, 131))  # 130 Hz x 12 needles over 6 mm at 40 mm/s leave 650 per cm2
    assert client.prepare(rate=131, speed=40).refusal == (raw.PREPARE, Reason.DENSITY_TOO_HIGH, 650)
    assert client.prepare(rate=151, speed=40).refusal == (raw.PREPARE, Reason.RATE_OUT_OF_RANGE, 150)
    assert client.prepare(rate=49, speed=40).refusal == (raw.PREPARE, Reason.RATE_OUT_OF_RANGE, 50)


@pytest.mark.sr("SR-PASS-6", side="pen")
def test_every_speed_there_is_only_a_hands_are_taken(client: RawClient) -> None:
    taken = [speed for speed in range(256) if client.prepare(rate=50, speed=speed).opcode == raw.PREPARED]
    assert taken == list(range(16, 41))


@pytest.mark.sr("SR-STOP-1", side="pen")
@pytest.mark.parametrize("lease", [0, 99, 1_001, 0xFFFF])
def test_a_lease_out_of_range_opens_nothing(lease: int) -> None:
    client = raw_pen()
    assert client.open(lease).opcode == raw.REFUSED
    assert client.status()["session"] == 0


@pytest.mark.sr("SR-CMD-1", side="pen")
@pytest.mark.parametrize("ttl", [0, 501, 0xFFFF])
def test_a_time_to_live_out_of_range_is_refused(ttl: int) -> None:
    client = raw_pen()
    fields = struct.pack("<IHIIHI32s", 1, ttl, client.seen_tick, client.boot_id, 500, 0, raw.NO_HASH)
    assert client.ask(raw.ON_COMMAND, raw.OPEN, fields).opcode == raw.REFUSED
    assert client.status()["session"] == 0


@pytest.mark.sr("SR-DEPTH-8", side="pen")
def test_a_frame_for_another_head_is_refused(client: RawClient) -> None:
    fields = struct.pack("<IBBHBB8s", client.session_id, raw.NOSE, 1, 250, 100, 40, b"another!")
    assert client.ask(raw.ON_COMMAND, raw.PREPARE, client.header() + fields).reason == Reason.CARTRIDGE_CHANGED


@pytest.mark.sr("SR-DEPTH-8", side="pen")
def test_no_frame_is_taken_while_a_pass_runs(client: RawClient) -> None:
    client.run_pass()
    assert client.prepare(direction=raw.HORIZONTAL).reason == Reason.PASS_IN_PROGRESS
    assert client.status()["state"] == raw.RUNNING


@pytest.mark.sr("SR-DEPTH-8", side="pen")
def test_only_the_newest_frame_can_be_begun(client: RawClient) -> None:
    first = struct.unpack_from("<H", client.prepare(depth=200).payload, 10)[0]
    second = struct.unpack_from("<H", client.prepare(depth=250).payload, 10)[0]
    assert client.begin(first).reason == Reason.WRONG_FRAME
    assert client.begin(second).opcode == raw.BEGUN


@pytest.mark.parametrize(
    ("payload", "reason"),
    [(b"", Reason.WRONG_LENGTH), (b"x", Reason.WRONG_LENGTH), (bytes(200), Reason.WRONG_LENGTH)],
)
@pytest.mark.sr("SR-CMD-2", side="pen")
def test_a_message_of_the_wrong_length_is_refused(client: RawClient, payload: bytes, reason: int) -> None:
    got = client.ask(raw.ON_COMMAND, raw.PREPARE, payload)
    assert got.refusal is not None
    assert got.refusal[:2] == (raw.PREPARE, reason)


@pytest.mark.sr("SR-CMD-2", side="pen")
def test_what_is_no_request_or_comes_on_another_channel_is_refused(client: RawClient) -> None:
    assert client.ask(raw.ON_STATUS, 0x1234).reason == Reason.UNKNOWN_OPCODE
    assert client.ask(raw.ON_STATUS, raw.PREPARE, bytes(28)).reason == Reason.WRONG_CHANNEL
    assert client.ask(raw.ON_COMMAND, raw.STOP).reason == Reason.WRONG_CHANNEL
    assert client.ask(raw.ON_STOP, raw.STOPPED, bytes(6)).reason in (Reason.UNKNOWN_OPCODE, Reason.UNKNOWN_CODEWORD)
    assert client.ask(raw.ON_STATUS, 0x4968).reason == Reason.NOT_BUILT
