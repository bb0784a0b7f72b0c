"""What a pen writes into its history: one class for each kind of record, of the same wire types as the messages.

The frame around an entry (number, times, hashes) is `dermalink_protocol.history`.
"""

from enum import IntEnum
from typing import Annotated, ClassVar, Final

from dermalink_protocol.codec import Packed, declare
from dermalink_protocol.codewords import Reason, RecordKind
from dermalink_protocol.errors import DeclarationError
from dermalink_protocol.limits import RECORD_BYTES_MAX
from dermalink_protocol.messages.identity import SelfTestStep
from dermalink_protocol.wire import I32, U8, U16, U32, Raw, u8, u16
from dermalink_protocol.zones import Direction, Symptom, Zone

HASH_BYTES: Final = 32
BLIND_BYTES: Final = 16
# Number, kind, owner and two times, a blind, and two hashes.
FRAME_BYTES: Final = 4 + 2 + 4 + 4 + 4 + BLIND_BYTES + 2 * HASH_BYTES
ENTRY_BYTES_MAX: Final = RECORD_BYTES_MAX - FRAME_BYTES


class Entry(Packed):
    """Base of all entries; unknown flag bits are ignored, since a newer pen may know more of itself."""

    kind: ClassVar[RecordKind]
    by_kind: ClassVar[dict[int, type["Entry"]]] = {}

    def __init_subclass__(cls, *, kind: RecordKind) -> None:
        super().__init_subclass__()
        if kind in Entry.by_kind:
            raise DeclarationError(f"{cls.__name__}: {kind.name} is taken")
        cls.kind = kind
        declare(cls)
        if cls.size[1] > ENTRY_BYTES_MAX:
            raise DeclarationError(f"{cls.__name__} has {cls.size[1]} bytes, over {ENTRY_BYTES_MAX}")
        Entry.by_kind[kind] = cls


class PowerCause(IntEnum):
    """Why the firmware started."""

    SWITCHED_ON = 1
    POWER_LOSS = 2
    WATCHDOG = 3


class PoweredUp(Entry, kind=RecordKind.POWERED_UP):
    """The firmware started: why, and what it is (SR-TRACE-1)."""

    cause: Annotated[PowerCause, u8]
    boot_id: U32
    firmware_version: U32
    calibration_id: U32
    serial_number: Annotated[bytes, Raw(16)]


class SelfTested(Entry, kind=RecordKind.SELF_TESTED):
    """A self-test ended (SR-POST-1): steps done, steps failed, what was measured."""

    done: Annotated[SelfTestStep, u16]
    failed: Annotated[SelfTestStep, u16]
    retraction_ms: U16
    disagreement_um: U16


class ClockSetEntry(Entry, kind=RecordKind.CLOCK_SET):
    """The clock was set (SR-INT-2): from (0: it was lost), to, and the wait left, which did not change by it."""

    before_utc_s: U32
    after_utc_s: U32
    wait_left_s: U32


class SessionOpenedEntry(Entry, kind=RecordKind.SESSION_OPENED):
    """A session was opened; number and hash are those of the host's own last record (SR-LOG-1)."""

    session_id: U32
    host_record_number: U32
    host_record_hash: Annotated[bytes, Raw(32)]


class SessionAdoptedEntry(Entry, kind=RecordKind.SESSION_ADOPTED):
    """Another connection took the session over."""

    session_id: U32


class SessionClosedEntry(Entry, kind=RecordKind.SESSION_CLOSED):
    """A session ended: why, its passes (a bit for each zone and direction), and the host's last record then.

    `touched` is 1 when the session touched skin, which starts the wait of SR-INT-1. Number and hash are 0 when no
    host closed it.
    """

    session_id: U32
    reason: Annotated[Reason, u16]
    touched: Annotated[int, u8.within(0, 1)]
    passes_done: U32
    host_record_number: U32
    host_record_hash: Annotated[bytes, Raw(32)]


class HeadSeated(Entry, kind=RecordKind.HEAD_SEATED):
    """A head was fitted, or sat there when an owner was paired (SR-TRACE-1).

    `reason` says why it is refused for therapy, NONE if it is not.
    """

    tag_id: Annotated[bytes, Raw(8)]
    maker: U16
    lot: U32
    head: U8
    needles: U8
    width_um: U16
    protrusion_um: U16
    sterile_until_s: U32
    reason: Annotated[Reason, u16]


class HeadUsed(Entry, kind=RecordKind.HEAD_USED):
    """A head was marked used, before its first stroke in the session (SR-CART-1)."""

    session_id: U32
    tag_id: Annotated[bytes, Raw(8)]
    sessions_used: U16


class PassBegunEntry(Entry, kind=RecordKind.PASS_BEGUN):
    """A pass is spent, with its whole budget, before its first stroke (SR-PASS-1, SR-PASS-3)."""

    session_id: U32
    zone: Annotated[Zone, u8]
    direction: Annotated[Direction, u8]
    depth_um: U16
    rate_hz: U8
    speed_mm_s: U8
    tag_id: Annotated[bytes, Raw(8)]
    budget: U32


class PassInterrupted(Entry, kind=RecordKind.PASS_INTERRUPTED):
    """A pass was paused or interrupted and may be resumed: why, and what it has made so far (SR-PASS-2)."""

    session_id: U32
    zone: Annotated[Zone, u8]
    direction: Annotated[Direction, u8]
    reason: Annotated[Reason, u16]
    punctures: U32
    peak_depth_um: U16


class PassResumedEntry(Entry, kind=RecordKind.PASS_RESUMED):
    """A pass went on (SR-PASS-2)."""

    session_id: U32
    zone: Annotated[Zone, u8]
    direction: Annotated[Direction, u8]
    resumes_left: U8


class PassEndedEntry(Entry, kind=RecordKind.PASS_ENDED):
    """A pass is over: why, what it made, how deep it measured; what it left of its budget comes back (SR-PASS-3)."""

    session_id: U32
    zone: Annotated[Zone, u8]
    direction: Annotated[Direction, u8]
    reason: Annotated[Reason, u16]
    punctures: U32
    budget_left: U32
    peak_depth_um: U16


class StoppedEntry(Entry, kind=RecordKind.STOPPED):
    """Motion was stopped: why, and after how many milliseconds the needles measured in (0xFFFF: not measured)."""

    session_id: U32
    reason: Annotated[Reason, u16]
    needles_in_ms: U16


class FaultLatched(Entry, kind=RecordKind.FAULT_LATCHED):
    """A fault was latched, with what was measured and the limit that it broke, in the reason's unit."""

    fault: Annotated[Reason, u16]
    measured: I32
    limit: I32


class FaultCleared(Entry, kind=RecordKind.FAULT_CLEARED):
    """A fault was acknowledged and is clear (SR-RST-3)."""

    fault: Annotated[Reason, u16]


class SymptomEntry(Entry, kind=RecordKind.SYMPTOM):
    """A symptom was reported (SR-SYM-1); `by_owner` is 1 when the report counts, `session_id` 0 outside a session."""

    symptom: Annotated[Symptom, u8]
    by_owner: Annotated[int, u8.within(0, 1)]
    session_id: U32


class RefusedCount(Entry, kind=RecordKind.REFUSED_COUNT):
    """How many commands were refused since the last such record, and the latest reason: a flood takes one record."""

    refusals: U32
    opcode: U16
    reason: Annotated[Reason, u16]


class OwnerPairedEntry(Entry, kind=RecordKind.OWNER_PAIRED):
    """A host was paired (SR-OWN-1): the how-manieth owner it is, and the first bytes of its key's SHA-256.

    `before` is 1 when another was the owner until then. `wrong_codes` is how many were tried since the last pairing.
    It is the first record that this owner is told whole, so it says what the pen is (SR-TRACE-1).
    """

    owner_number: U32
    host_key_hash: Annotated[bytes, Raw(8)]
    before: Annotated[int, u8.within(0, 1)]
    wrong_codes: U16
    firmware_version: U32
    calibration_id: U32


class OwnerReleasedEntry(Entry, kind=RecordKind.OWNER_RELEASED):
    """The owner gave the pen up; ledger, waits and locks stay as they are (SR-RST-1)."""

    owner_number: U32


class PairingBarredEntry(Entry, kind=RecordKind.PAIRING_BARRED):
    """Wrong codes have shut the window (SR-SEC-2): how many since the last pairing, and for how long it is barred."""

    wrong_codes: U16
    barred_s: U32


class StartsCounted(Entry, kind=RecordKind.STARTS_COUNTED):
    """Starts and self-tests since the last such record that have none of their own: their room is used up (SR-RST-2).

    `power_losses` and `watchdogs` are the starts with that cause; `failed` are the self-tests that failed, and
    `failed_steps` all steps that any of them failed in.
    """

    starts: U32
    power_losses: U32
    watchdogs: U32
    self_tests: U32
    failed: U32
    failed_steps: Annotated[SelfTestStep, u16]


class WrongCodesEntry(Entry, kind=RecordKind.WRONG_CODES):
    """A window for pairing shut after wrong codes, with no bar (SR-SEC-3): its own, and all since the last pairing."""

    tried: U16
    wrong_codes: U16
