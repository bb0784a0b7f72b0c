"""The calibration of depth, force and rate: its record, and whether it may be worked by (SR-CAL-1).

It belongs to one serial number and carries its date. Each quantity has a check value of its own, over whose it is, from
when, and its numbers, so that no quantity of one calibration passes for that of another. Its age is told by whatever of
the pen's clock makes it older: the time of day, the newest time that was written down, and the seconds that really ran.
"""

import struct
from typing import Annotated, Final, NamedTuple
from zlib import crc32

from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import CALIBRATION_S
from dermalink_protocol.wire import U16, U32, Raw

MAGIC_CALIBRATION: Final = 0x4B4C4D44  # "DMLK"
CALIBRATION_FORMAT: Final = 1
PPM: Final = 1_000_000
SCALE_FAR_PPM: Final = 200_000  # a scale further than this from one is no calibration (assumption)
_CHECKED: Final = struct.Struct("<16s5I2I")


class CalibrationRecord(NamedTuple):
    """One calibration. Scales are in parts per million, `depth_offset_um` is added to what the sensor reads.

    `made_s` and `expires_s` are UTC, `made_run_s` is how long the pen's clock had really run by then (`StateRecord`).
    """

    magic: U32
    format: U16
    calibration_id: U32
    serial_number: Annotated[bytes, Raw(16)]
    made_s: U32
    made_run_s: U32
    expires_s: U32
    depth_scale_ppm: U32
    depth_offset_um: U16
    depth_check: U32
    force_scale_ppm: U32
    force_check: U32
    rate_scale_ppm: U32
    rate_check: U32


NO_CALIBRATION: Final = CalibrationRecord(0, 0, 0, bytes(16), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def check_values(record: CalibrationRecord) -> tuple[int, int, int]:
    """What the check values of depth, force and rate have to be.

    Each is a CRC-32 over serial number, id, `made_s`, `made_run_s`, `expires_s`, the quantity's number (1 depth, 2
    force, 3 rate), its scale and its offset (0 where it has none), each u32 little-endian behind the serial number.
    """
    named = (record.serial_number, record.calibration_id, record.made_s, record.made_run_s, record.expires_s)
    numbers = (record.depth_scale_ppm, record.depth_offset_um), (record.force_scale_ppm, 0), (record.rate_scale_ppm, 0)
    depth, force, rate = (crc32(_CHECKED.pack(*named, at, *each)) for at, each in enumerate(numbers, 1))
    return depth, force, rate


def calibrated(serial_number: bytes, *, calibration_id: int, made_s: int, made_run_s: int = 0) -> CalibrationRecord:
    """The record of an ideal pen's calibration: every scale is one. `serial_number` is 16 bytes, padded with zeros."""
    record = CalibrationRecord(
        MAGIC_CALIBRATION,
        CALIBRATION_FORMAT,
        calibration_id,
        serial_number,
        made_s,
        made_run_s,
        made_s + CALIBRATION_S,
        depth_scale_ppm=PPM,
        depth_offset_um=0,
        depth_check=0,
        force_scale_ppm=PPM,
        force_check=0,
        rate_scale_ppm=PPM,
        rate_check=0,
    )
    return with_checks(record)


def with_checks(record: CalibrationRecord) -> CalibrationRecord:
    """The same record with the check values that fit it."""
    depth, force, rate = check_values(record)
    return record._replace(depth_check=depth, force_check=force, rate_check=rate)


def age_s(record: CalibrationRecord, utc_s: int, noted_s: int, run_s: int) -> int:
    """How old it is at least, in seconds.

    `utc_s` is the time of day (0: lost), `noted_s` the newest that was written down while it was sound, `run_s` how
    long the clock has really run in all: a clock that was lost, or moved back, makes a calibration no younger.
    """
    return max(utc_s - record.made_s, noted_s - record.made_s, run_s - record.made_run_s, 0)


def refusal(record: CalibrationRecord | None, serial_number: bytes, utc_s: int, noted_s: int, run_s: int) -> Reason:
    """Why there is no therapy with this calibration, or NONE.

    `record` is None where one was written and can't be read, `NO_CALIBRATION` where none ever was.
    """
    if record is None:
        return Reason.CALIBRATION_DAMAGED
    if record == NO_CALIBRATION:
        return Reason.CALIBRATION_MISSING
    if not _whole(record):
        return Reason.CALIBRATION_DAMAGED
    if record.serial_number != serial_number:
        return Reason.CALIBRATION_OTHER_PEN
    lasts_s = min(record.expires_s - record.made_s, CALIBRATION_S)
    if age_s(record, utc_s, noted_s, run_s) >= lasts_s:
        return Reason.CALIBRATION_EXPIRED
    return Reason.NONE


def _whole(record: CalibrationRecord) -> bool:
    """Whether it is a calibration, its numbers can be, and each quantity's check value fits."""
    scales = record.depth_scale_ppm, record.force_scale_ppm, record.rate_scale_ppm
    return (
        record.magic == MAGIC_CALIBRATION
        and record.format == CALIBRATION_FORMAT
        and record.calibration_id != 0
        and record.made_s < record.expires_s
        and all(abs(scale - PPM) <= SCALE_FAR_PPM for scale in scales)
        and (record.depth_check, record.force_check, record.rate_check) == check_values(record)
    )
