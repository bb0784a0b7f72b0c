"""A calibration that is missing, damaged, another pen's or expired: raw frames get no session and no pass."""

import struct

import pytest

from dermalink_protocol.codewords import Reason
from dermalink_simulator.firmware import sensing
from dermalink_simulator.firmware.calibration import calibrated, with_checks
from dermalink_simulator.firmware.flash_layout import CALIBRATION_A, CALIBRATION_B, FACTORY_S, pack
from dermalink_simulator.pen import factory_image
from dermalink_simulator.profile import START_UTC_S
from tests.support import raw_pen as raw
from tests.support.raw_pen import RawClient, raw_pen

YEAR_S = 365 * 86_400
BLANK, TORN = b"\xff" * 128, b"\0" * 64 + b"\xff" * 64
ANOTHERS = pack(calibrated(b"DL-OTHER".ljust(16, b"\0"), calibration_id=3, made_s=FACTORY_S), 128)


def with_calibration(slot: bytes, *disabled: str) -> RawClient:
    """A pen whose only calibration is this slot, and a client that said hello."""
    flash = bytearray(factory_image())
    for region in (CALIBRATION_A, CALIBRATION_B):
        flash[region.start : region.start + len(slot)] = slot
    return raw_pen(*disabled, flash=flash)


def aged(left_s: int) -> RawClient:
    """A pen whose calibration holds for so many seconds more."""
    serial = factory_image()[6:22]
    made_s = START_UTC_S + left_s - YEAR_S
    return with_calibration(pack(calibrated(serial, calibration_id=9, made_s=made_s), 128))


def frame_of(client: RawClient) -> int:
    return int(struct.unpack_from("<H", client.prepare().payload, 10)[0])


@pytest.mark.sr("SR-CAL-1", side="pen")
@pytest.mark.parametrize(
    ("slot", "reason"),
    [
        (BLANK, Reason.CALIBRATION_MISSING),
        (TORN, Reason.CALIBRATION_DAMAGED),
        (ANOTHERS, Reason.CALIBRATION_OTHER_PEN),
    ],
    ids=["missing", "damaged", "another pen's"],
)
def test_no_session_without_the_pens_own_whole_calibration(slot: bytes, reason: Reason) -> None:
    client = with_calibration(slot)
    assert client.open().reason == reason
    assert client.status()["state"] == raw.IDLE
    assert client.ask(raw.ON_STOP, raw.STOP).opcode == raw.STOPPED


def later(client: RawClient, seconds: int) -> RawClient:
    """The same pen after so much time, switched on again and tested."""
    client.pen.clock.advance(seconds)
    client.pen.advance(3_000)
    after = RawClient(client.pen)
    after.hello()
    return after


@pytest.mark.sr("SR-CAL-1", side="pen")
def test_no_session_with_an_expired_calibration() -> None:
    assert later(aged(90), 60).open().opcode == raw.OPENED
    assert later(aged(60), 60).open().reason == Reason.CALIBRATION_EXPIRED


@pytest.mark.sr("SR-CAL-1", side="pen")
@pytest.mark.parametrize(("lasts_s", "reason"), [(1_000, Reason.CALIBRATION_EXPIRED), (9_000, None)])
def test_a_clock_that_was_lost_and_set_back_makes_it_no_younger(lasts_s: int, reason: Reason | None) -> None:
    made = calibrated(factory_image()[6:22], calibration_id=9, made_s=START_UTC_S - 10)
    slot = pack(with_checks(made._replace(expires_s=made.made_s + lasts_s)), 128)
    client = with_calibration(slot, "wait")
    client.pen.clock.lose()
    client.pen.clock.advance(1_200)
    client.pen.button.press()
    client.pen.advance(500)
    set_back = struct.pack("<I", START_UTC_S + 60)
    assert client.ask(raw.ON_COMMAND, raw.SET_CLOCK, client.header() + set_back).opcode == raw.CLOCK_SET
    client.pen.advance(2_000)
    assert client.status()["utc"] < START_UTC_S + 100
    client.ask(raw.ON_COMMAND, raw.SELF_TEST, client.header())
    client.pen.advance(1_500)
    got = client.open()
    assert got.reason == reason if reason else got.opcode == raw.OPENED


@pytest.mark.sr("SR-CAL-1", side="pen")
def test_no_pass_begins_once_it_expires_in_the_middle_of_a_session() -> None:
    client = aged(20)
    assert client.open().opcode == raw.OPENED
    frame_id = frame_of(client)
    client.live(25_000)
    assert client.begin(frame_id).reason == Reason.CALIBRATION_EXPIRED
    assert client.prepare().reason == Reason.CALIBRATION_EXPIRED
    assert client.pen.skin.strokes == 0


@pytest.mark.sr("SR-CAL-1", side="pen")
@pytest.mark.parametrize(("left_s", "starts"), [(3, False), (60, True)], ids=["expired", "holds"])
def test_no_press_starts_a_pass_once_it_has_expired(left_s: int, starts: bool) -> None:
    client = aged(left_s)
    client.open()
    assert client.begin(frame_of(client)).opcode == raw.BEGUN
    client.live(4_000)
    assert client.status()["state"] == raw.WAITING
    client.press()
    client.live(400)
    assert (client.status()["state"] != raw.WAITING) is starts


@pytest.mark.sr("SR-CAL-1", side="pen", twin=True)
def test_without_the_look_at_it_a_session_opens_on_no_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensing, "calibration_refusal", lambda *_: Reason.NONE)
    assert with_calibration(BLANK).open().opcode == raw.OPENED


@pytest.mark.sr("SR-CAL-1", side="pen")
def test_its_id_stands_in_hello_and_none_is_0() -> None:
    assert aged(60).hello().payload[31:35] == struct.pack("<I", 9)
    assert with_calibration(TORN).hello().payload[31:35] == bytes(4)
