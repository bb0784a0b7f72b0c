"""Whether a calibration may be worked by: whose it is, whole or not, how old by whatever makes it older."""

import struct
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import CALIBRATION_S
from dermalink_simulator.firmware.calibration import (
    NO_CALIBRATION,
    SCALE_FAR_PPM,
    CalibrationRecord,
    age_s,
    calibrated,
    refusal,
    with_checks,
)
from dermalink_simulator.firmware.flash_layout import (
    CALIBRATION_A,
    CALIBRATION_B,
    LAYOUTS,
    pack,
)
from tests.unit.firmware.flash_chip import FACTORY, Chip

PEN, OTHER = b"DL-1".ljust(16, b"\0"), b"DL-2".ljust(16, b"\0")
MADE_S, YEAR_S = 1_767_225_600, 31_536_000
SOUND = calibrated(PEN, calibration_id=7, made_s=MADE_S, made_run_s=1_000)
U32 = st.integers(0, 0xFFFF_FFFF)


def changed(name: str, value: int | bytes) -> CalibrationRecord:
    fields: dict[str, Any] = {name: value}
    return SOUND._replace(**fields)


def judged(
    record: CalibrationRecord | None, *, utc_s: int = MADE_S, noted_s: int = MADE_S, run_s: int = 1_000
) -> Reason:
    return refusal(record, PEN, utc_s, noted_s, run_s)


@pytest.mark.sr("SR-CAL-1", side="pen")
def test_each_way_of_not_holding_has_its_own_reason() -> None:
    assert judged(SOUND) is Reason.NONE
    assert judged(NO_CALIBRATION) is Reason.CALIBRATION_MISSING
    assert judged(None) is Reason.CALIBRATION_DAMAGED
    assert judged(calibrated(OTHER, calibration_id=7, made_s=MADE_S)) is Reason.CALIBRATION_OTHER_PEN
    assert judged(SOUND, utc_s=MADE_S + YEAR_S) is Reason.CALIBRATION_EXPIRED


@pytest.mark.sr("SR-CAL-1", side="pen")
@pytest.mark.parametrize("clock", ["utc_s", "noted_s", "run_s"])
def test_it_expires_with_its_twelfth_month_by_whatever_makes_it_older(clock: str) -> None:
    begin = 1_000 if clock == "run_s" else MADE_S
    lost = {"utc_s": 0}  # and the time of day says nothing
    assert judged(SOUND, **(lost | {clock: begin + YEAR_S - 1})) is Reason.NONE
    assert judged(SOUND, **(lost | {clock: begin + YEAR_S})) is Reason.CALIBRATION_EXPIRED


@pytest.mark.sr("SR-CAL-1", side="pen")
def test_its_own_date_may_end_it_sooner_and_never_later() -> None:
    sooner = with_checks(SOUND._replace(expires_s=MADE_S + 100))
    assert judged(sooner, utc_s=MADE_S + 99) is Reason.NONE
    assert judged(sooner, utc_s=MADE_S + 100) is Reason.CALIBRATION_EXPIRED
    later = with_checks(SOUND._replace(expires_s=MADE_S + 2 * YEAR_S))
    assert judged(later, utc_s=MADE_S + CALIBRATION_S) is Reason.CALIBRATION_EXPIRED


@pytest.mark.sr("SR-CAL-1", side="pen")
@given(U32, U32, U32, U32, U32)
def test_no_clock_makes_it_younger(utc_s: int, noted_s: int, run_s: int, back_s: int, on_s: int) -> None:
    before = age_s(SOUND, utc_s, noted_s, run_s)
    noted_s = max(noted_s, utc_s)  # what a pen has written down before its clock is moved
    assert age_s(SOUND, max(0, utc_s - back_s), noted_s, run_s) >= before
    assert age_s(SOUND, 0, noted_s, run_s + on_s) >= before


@pytest.mark.sr("SR-CAL-1", side="pen")
@pytest.mark.parametrize("name", CalibrationRecord._fields)
@pytest.mark.parametrize("bit", [0, 9, 15])
def test_every_number_stands_under_a_check_value(name: str, bit: int) -> None:
    value = getattr(SOUND, name)
    altered = value ^ 1 << bit if isinstance(value, int) else bytes([value[0] ^ 1, *value[1:]])
    assert judged(changed(name, altered)) is Reason.CALIBRATION_DAMAGED


@pytest.mark.sr("SR-CAL-1", side="pen")
@pytest.mark.parametrize("name", ["depth_scale_ppm", "force_scale_ppm", "rate_scale_ppm"])
def test_a_scale_that_cannot_be_is_damage_though_its_check_value_fits(name: str) -> None:
    at_most = 1_000_000 + SCALE_FAR_PPM
    assert judged(with_checks(changed(name, at_most))) is Reason.NONE
    assert judged(with_checks(changed(name, at_most + 1))) is Reason.CALIBRATION_DAMAGED
    assert judged(with_checks(changed(name, 0))) is Reason.CALIBRATION_DAMAGED


@pytest.mark.sr("SR-CAL-1", side="pen")
def test_the_slot_and_its_check_values_byte_for_byte() -> None:
    named = struct.pack("<16s4I", PEN, 7, MADE_S, 1_000, MADE_S + YEAR_S)
    depth, force, rate = (crc32(named + struct.pack("<3I", at, 1_000_000, 0)) for at in (1, 2, 3))
    body = struct.pack("<IHI16s3I", 0x4B4C4D44, 1, 7, PEN, MADE_S, 1_000, MADE_S + YEAR_S)
    body += struct.pack("<IHIIIII", 1_000_000, 0, depth, 1_000_000, force, 1_000_000, rate)
    body = body.ljust(124, b"\xff")
    assert pack(SOUND, CALIBRATION_A.slot_bytes) == body + struct.pack("<I", crc32(body))
    assert LAYOUTS[CalibrationRecord].size <= CALIBRATION_A.slot_bytes - 4


def loaded(*slots: tuple[int, bytes]) -> CalibrationRecord | None:
    """What a store reads from a factory's flash with these bytes put over it."""
    cells = bytearray(FACTORY)
    for address, data in slots:
        cells[address : address + len(data)] = data
    return Chip(bytes(cells)).boot().calibration


@pytest.mark.sr("SR-CAL-1", side="pen")
def test_the_newest_slot_holds_and_an_older_one_never_comes_back() -> None:
    new, torn, blank = pack(SOUND, 128), b"\0" * 64, b"\xff" * 128
    second_a, second_b = CALIBRATION_A.address(1), CALIBRATION_B.address(1)
    first = loaded()
    assert first is not None
    assert (first.calibration_id, first.serial_number) == (1, b"DL-TEST".ljust(16, b"\0"))
    assert loaded((second_a, new), (second_b, new)) == SOUND
    assert loaded((second_a, new)) == loaded((second_b, new)) == SOUND  # power went between the two
    assert loaded((second_a, torn), (second_b, new)) == SOUND
    assert loaded((second_a, torn)) is None
    assert loaded((CALIBRATION_A.start, torn)) == first
    assert loaded((CALIBRATION_A.start, torn), (CALIBRATION_B.start, torn)) is None
    assert loaded((CALIBRATION_A.start, blank), (CALIBRATION_B.start, blank)) == NO_CALIBRATION
