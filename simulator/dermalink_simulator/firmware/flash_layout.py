"""The pen's flash, byte for byte: which region is where, and what a slot in it holds.

Everything is little-endian and packed in the order of the fields. A slot is its record, padded with 0xFF, and a CRC-32
over all of that in its last four bytes; a blank slot is all 0xFF. A slot is written once, by one flash operation.

========  ==========  =========  =====  ======================================================================
region    address     slot       slots  holds
========  ==========  =========  =====  ======================================================================
factory   0x000000    256        2      `FactoryRecord`, twice (one sector each), written once at manufacture
setup     0x000100    256        2      `SetupRecord`, behind each `FactoryRecord` in its sector, written with it
calib. A  0x000200    128        28     `CalibrationRecord`, behind it: the last slot written is what holds
calib. B  0x001200    128        28     the same records again, written after those of A
state A   0x002000    512        128    `StateRecord`, a ring: the newest is what holds now
state B   0x012000    512        128    the same records again, written after those of A
ledger    0x022000    32         12032  `HeadRecord`, append-only: the newest of a tag is what holds
history   0x080000    192        5461   a u16 length and a record of `dermalink_protocol.history`, append-only
owner A   0x180000    128        2      `OwnerRecord`, one sector each: even owners at 0x180000, odd at 0x181000
owner B   0x182000    128        2      the same again: even owners at 0x182000, odd at 0x183000
========  ==========  =========  =====  ======================================================================

The first calibration is written at manufacture; a workshop writes the next one into the next slot of A, then of B. An
older one never comes back into force: where the newest can't be read in either, the pen has a damaged calibration.

Whose pen it is stands in the newest `StateRecord`: while `owned` is 1 it is the owner whose number is `owners`, in
whichever of his two copies is sound. A new owner is written beside the old one first, then the state that names him;
owners whom the state does not name are erased. Bluetooth's own bond is a part of its owner's record: another one is
written in the place of the whole record, first in the one copy, then in the other.
"""

import struct
from typing import Annotated, Final, NamedTuple, TypeVar, cast, get_type_hints
from zlib import crc32

from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import RECORD_BYTES_MAX
from dermalink_protocol.wire import U8, U16, U32, Raw, Wire
from dermalink_simulator.firmware.calibration import CalibrationRecord, calibrated
from dermalink_simulator.firmware.owner_record import OwnerRecord
from dermalink_simulator.seam import FLASH_BYTES, SECTOR_BYTES

FORMAT: Final = 4
HISTORY_KEY_BYTES: Final = 32
MAGIC_FACTORY: Final = 0x434C4D44  # "DMLC"
MAGIC_STATE: Final = 0x534C4D44  # "DMLS"
BLANK: Final = b"\xff"
CRC_BYTES: Final = 4
RETRACTION_MS: Final = 15  # the spring's time of design.md, as calibrated at manufacture
FACTORY_S: Final = 1_767_225_600  # 2026-01-01, when the example pen was made


class Region(NamedTuple):
    """A run of equal slots."""

    start: int
    slot_bytes: int
    slots: int

    def address(self, slot: int) -> int:
        """Where a slot begins; slots count from 0."""
        return self.start + slot * self.slot_bytes

    def slot(self, flash: bytes, slot: int) -> bytes:
        """A slot's bytes in a flash image."""
        begin = self.start + slot * self.slot_bytes
        return flash[begin : begin + self.slot_bytes]

    def is_blank(self, flash: bytes, slot: int) -> bool:
        """Whether nothing was ever written to a slot."""
        return self.slot(flash, slot) == BLANK * self.slot_bytes


FACTORY_A: Final = Region(0x000000, 256, 1)
FACTORY_B: Final = Region(0x001000, 256, 1)
SETUP_A: Final = Region(0x000100, 256, 1)
SETUP_B: Final = Region(0x001100, 256, 1)
CALIBRATION_A: Final = Region(0x000200, 128, 28)
CALIBRATION_B: Final = Region(0x001200, 128, 28)
STATE_A: Final = Region(0x002000, 512, 128)
STATE_B: Final = Region(0x012000, 512, 128)
LEDGER: Final = Region(0x022000, 32, 12_032)
HISTORY: Final = Region(0x080000, 192, 5_461)
# Of each copy, where even owners are and where odd ones.
OWNER_A: Final = Region(0x180000, 128, 1), Region(0x181000, 128, 1)
OWNER_B: Final = Region(0x182000, 128, 1), Region(0x183000, 128, 1)
SALT_BYTES_MAX: Final = 32
REGISTRATION_BYTES: Final = 97
HISTORY_LENGTH: Final = struct.Struct("<H")
HISTORY_ENTRIES_MAX: Final = 2  # history records that one write of the state can bring with it


class FactoryRecord(NamedTuple):
    """What the maker wrote, once: identity, and what drive and sensor are declared to keep.

    `drive_tolerance_um` is that of drive and seated head together. 0 means undeclared, for tolerance and accuracy.
    `history_key` is drawn by chance for each pen, and never told: it makes the blinds of the history's records.
    """

    magic: U32
    format: U16
    serial_number: Annotated[bytes, Raw(16)]
    drive_tolerance_um: U16
    sensor_accuracy_um: U16
    rate_min_hz: U8
    rate_max_hz: U8
    retraction_ms: U16
    made_s: U32
    history_key: Annotated[bytes, Raw(HISTORY_KEY_BYTES)]

    def __repr__(self) -> str:
        return f"FactoryRecord({self.serial_number!r}, history key not shown)"


class SetupRecord(NamedTuple):
    """What the maker wrote, once, instead of the code on the pen's card (`pairing.registration`).

    `salt` counts its first `salt_bytes`, 16 to 32; `registration` is w0 ‖ L. Without this record nobody can pair.
    """

    iterations: U32
    salt_bytes: U8
    salt: Annotated[bytes, Raw(SALT_BYTES_MAX)]
    registration: Annotated[bytes, Raw(REGISTRATION_BYTES)]

    @classmethod
    def of(cls, iterations: int, salt: bytes, registration: bytes) -> "SetupRecord":
        """From the salt as it is told."""
        return cls(iterations, len(salt), salt.ljust(SALT_BYTES_MAX, b"\0"), registration)

    def __repr__(self) -> str:
        return "SetupRecord(not shown)"


class HeadRecord(NamedTuple):
    """What the ledger counts of a head: sessions begun, strokes, seconds of motor; none of them ever goes back."""

    tag_id: Annotated[bytes, Raw(8)]
    sessions: U16
    strokes: U32
    motor_s: U32
    session_id: U32


class StateRecord(NamedTuple):
    """All that has to outlive a loss of power, whole, so that one write changes all of it at once.

    `sequence` grows by one a record. `run_s` is how long the pen's clock has really run, in all. `clock_s` is the last
    sound time, `chip_s` the clock chip's own count then, `clock_trouble` a `therapy.state.Clock`. `wait_s` is what is
    left until a session may be opened, `lock_s` of a symptom's lock. `session_id` is the newest session's. `touched`
    says that it may have touched skin. `head_*` is the head last worked with, as it stood before the pass under way,
    and `reserved_*` what that pass may come to at most: a boot that finds them counts them as spent. `ledger_slots` and
    `ledger_records` count slots written and sound records in them, before this record. `history_number` and
    `history_hash` are those of the newest history record; `history` holds those that came with this record, each with
    its u16 length, so that a boot can write what a loss of power kept from being written. `owners` is how many owners
    there have been, `owned` 1 while the last of them is it. `wrong_codes` were tried since the last pairing, `barred_s`
    is what is left until the next may be, and `bar_due` 1 while the history does not tell of that bar yet.
    `session_owner` is the owner's number in whose time the newest session was opened. `untold_*` are the starts and
    self-tests that no record of the history tells of yet (`untold`).
    """

    magic: U32
    format: U16
    sequence: U32
    boot_count: U32
    run_s: U32
    clock_s: U32
    chip_s: U32
    clock_trouble: U8
    wait_s: U32
    lock_s: U32
    advice_due: U8
    fault: U16
    session_id: U32
    session_open: U8
    touched: U8
    passes: U32
    head_tag_id: Annotated[bytes, Raw(8)]
    head_sessions: U16
    head_strokes: U32
    head_motor_s: U32
    head_session_id: U32
    reserved_strokes: U32
    reserved_motor_s: U32
    ledger_slots: U16
    ledger_records: U16
    history_number: U32
    history_hash: Annotated[bytes, Raw(32)]
    history: Annotated[bytes, Raw(HISTORY_ENTRIES_MAX * (RECORD_BYTES_MAX + 2))]
    owners: U32
    owned: U8
    wrong_codes: U16
    barred_s: U32
    bar_due: U8
    session_owner: U32
    untold_starts: U32
    untold_power_losses: U32
    untold_watchdogs: U32
    untold_self_tests: U32
    untold_failed: U32
    untold_failed_steps: U16


FACTORY_NEW: Final = StateRecord(
    magic=MAGIC_STATE,
    format=FORMAT,
    sequence=1,
    boot_count=0,
    run_s=0,
    clock_s=FACTORY_S,
    chip_s=0,
    clock_trouble=0,
    wait_s=0,
    lock_s=0,
    advice_due=0,
    fault=int(Reason.NONE),
    session_id=0,
    session_open=0,
    touched=0,
    passes=0,
    head_tag_id=bytes(8),
    head_sessions=0,
    head_strokes=0,
    head_motor_s=0,
    head_session_id=0,
    reserved_strokes=0,
    reserved_motor_s=0,
    ledger_slots=0,
    ledger_records=0,
    history_number=0,
    history_hash=bytes(32),
    history=bytes(HISTORY_ENTRIES_MAX * (RECORD_BYTES_MAX + 2)),
    owners=0,
    owned=0,
    wrong_codes=0,
    barred_s=0,
    bar_due=0,
    session_owner=0,
    untold_starts=0,
    untold_power_losses=0,
    untold_watchdogs=0,
    untold_self_tests=0,
    untold_failed=0,
    untold_failed_steps=0,
)

AnyRecord = FactoryRecord | SetupRecord | CalibrationRecord | HeadRecord | StateRecord | OwnerRecord
R = TypeVar("R", FactoryRecord, SetupRecord, CalibrationRecord, HeadRecord, StateRecord, OwnerRecord)


Kind = type[AnyRecord]
KINDS: Final[tuple[Kind, ...]] = (FactoryRecord, SetupRecord, CalibrationRecord, HeadRecord, StateRecord, OwnerRecord)


def layout(kind: Kind) -> struct.Struct:
    """The packing of a record's fields, as their annotations declare it."""
    return LAYOUTS[kind]


def _layout(kind: Kind) -> struct.Struct:
    codes = []
    for hint in get_type_hints(kind, include_extras=True).values():
        wire = hint.__metadata__[0]
        codes.append(f"{wire.size}s" if isinstance(wire, Raw) else cast(Wire, wire).code)
    return struct.Struct("<" + "".join(codes))


LAYOUTS: Final[dict[Kind, struct.Struct]] = {kind: _layout(kind) for kind in KINDS}


def seal(payload: bytes, slot_bytes: int) -> bytes:
    """A slot that holds `payload`."""
    body = payload.ljust(slot_bytes - CRC_BYTES, BLANK)
    return body + crc32(body).to_bytes(CRC_BYTES, "little")


def is_sound(slot: bytes) -> bool:
    """Whether a slot's checksum fits; a blank one's does not."""
    return crc32(slot[:-CRC_BYTES]) == int.from_bytes(slot[-CRC_BYTES:], "little")


def pack(record: AnyRecord, slot_bytes: int) -> bytes:
    """The slot that holds `record`."""
    return seal(layout(type(record)).pack(*record), slot_bytes)


def unpack(kind: type[R], slot: bytes) -> R | None:
    """The record in a slot, or None where there is no sound one."""
    if not is_sound(slot):
        return None
    return kind(*layout(kind).unpack_from(slot))


def factory_flash(
    serial_number: str,
    *,
    drive_tolerance_um: int = 30,
    sensor_accuracy_um: int = 20,
    rate_min_hz: int = 50,
    rate_max_hz: int = 150,
    retraction_ms: int = RETRACTION_MS,
    setup: SetupRecord | None = None,
    history_key: bytes = bytes(HISTORY_KEY_BYTES),
) -> bytes:
    """The flash of a pen as it leaves the factory: marked as new, with its identity and its declared limits.

    `serial_number` is ASCII, 1 to 16 characters. Nobody can pair a pen without `setup`. `history_key` hides an earlier
    owner's records as well as it is a secret; the one that is assumed is none.
    """
    serial = serial_number.encode("ascii")
    if not 1 <= len(serial) <= 16:
        raise ValueError(f"serial number {serial_number!r} has to be 1 to 16 characters long")
    record = FactoryRecord(
        MAGIC_FACTORY,
        FORMAT,
        serial.ljust(16, b"\0"),
        drive_tolerance_um,
        sensor_accuracy_um,
        rate_min_hz,
        rate_max_hz,
        retraction_ms,
        FACTORY_S,
        history_key=history_key,
    )
    flash = bytearray(BLANK * FLASH_BYTES)
    for region in (FACTORY_A, FACTORY_B):
        _put(flash, region.start, pack(record, region.slot_bytes))
    first = calibrated(serial.ljust(16, b"\0"), calibration_id=1, made_s=FACTORY_S)
    for region in (CALIBRATION_A, CALIBRATION_B):
        _put(flash, region.start, pack(first, region.slot_bytes))
    if setup is not None:
        for region in (SETUP_A, SETUP_B):
            _put(flash, region.start, pack(setup, region.slot_bytes))
    for region in (STATE_A, STATE_B):
        _put(flash, region.start, pack(FACTORY_NEW, region.slot_bytes))
    return bytes(flash)


def sector_of(address: int) -> int:
    """The address of the sector that holds `address`."""
    return address - address % SECTOR_BYTES


def _put(flash: bytearray, address: int, data: bytes) -> None:
    flash[address : address + len(data)] = data
