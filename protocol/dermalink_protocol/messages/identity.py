"""Who the pen is, what it can do, how it stands: anybody may ask."""

from enum import IntFlag
from typing import Annotated

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode, Reason, State
from dermalink_protocol.schema import Notification, Reply, Request
from dermalink_protocol.wire import U8, U16, U32, Raw, u16, u32


class Capability(IntFlag):
    """What a pen offers beyond the spine; unknown bits are ignored."""

    EVIDENCE = 1
    OWNER = 2
    CALIBRATION = 4
    UPDATE = 8
    STAMP_HEADS = 16
    ISOLATED_SUPPLY = 32
    CONTROL_CHANNEL = 64


class StatusFlag(IntFlag):
    """What the pen measures of itself right now; unknown bits are ignored.

    SYMPTOM is set while a symptom that was reported bars sessions, ADVICE_DUE while a clinician's advice is missing
    (SR-SYM-1). A stranger is told neither, nor BUTTON, nor a symptom's time to wait; a symptom as the reason is
    HOST_STOP to him (SR-DATA-1).
    """

    ARMED = 1
    NEEDLES_IN = 2
    MOTOR_OFF = 4
    CONTACT = 8
    CARTRIDGE = 16
    SUPPLY = 32
    BUTTON = 64
    CLOCK_VALID = 128
    SESSION_OPEN = 256
    PASS_OPEN = 512
    SYMPTOM = 1024
    ADVICE_DUE = 2048


class SelfTestStep(IntFlag):
    """Steps of the self-test (SR-POST-1), and those that did not pass."""

    RETRACTION = 1
    DEPTH_MONITOR = 2
    SENSORS_AGREE = 4
    WATCHDOG = 8
    STORAGE = 16
    CLOCK = 32
    BUTTON = 64
    SEATING = 128


class HelloReply(Reply, opcode=Opcode.HELLO_REPLY, channel=Channel.STATUS, since=1):
    """The pen's identity, and the limits that it enforces itself.

    `serial_number` is ASCII, padded with zero bytes. `boot_id` is new at every power-up. `firmware_version` is
    major << 16 | minor << 8 | patch. `drive_tolerance_um` and `sensor_accuracy_um` are 0 when the pen declares none
    (then it gets no therapy). `suite` names the security suite: 0 is none. `budget_per_cm2` is punctures per cm² and
    pass.
    """

    protocol_version: U16
    firmware_version: U32
    serial_number: Annotated[bytes, Raw(16)]
    boot_id: U32
    capabilities: Annotated[Capability, u32]
    suite: U8
    calibration_id: U32
    depth_cap_um: U16
    depth_min_um: U16
    depth_step_um: U16
    drive_tolerance_um: U16
    sensor_accuracy_um: U16
    rate_min_hz: U8
    rate_max_hz: U8
    needles_max: U8
    passes_per_zone: U8
    budget_per_cm2: U16
    density_max_per_cm2: U16
    lease_max_ms: U16
    ttl_max_ms: U16
    press_within_ms: U16
    session_max_s: U16
    interval_s: U32
    tick_ms: U32


class Hello(Request[HelloReply], opcode=Opcode.HELLO, channel=Channel.STATUS, since=1):
    """The first word on a connection; to the pen it is a new connection, so a session on this door loses its owner."""

    protocol_version: U16
    host_nonce: U32


class Status(Reply, opcode=Opcode.STATUS, channel=Channel.STATUS, since=1):
    """How the pen stands at `tick_ms` of its own clock.

    `reason` is why it paused, stopped or latched. `zone`, `direction`, `depth_um`, `rate_hz` are those of the prepared
    frame, 0 for none. `peak_depth_um` is the deepest protrusion since the pass began. `punctures_left` is what is left
    of the pass's budget. `wait_s` is how long no session can be opened. `session_id` is 0 when none is open.
    """

    tick_ms: U32
    state: Annotated[State, u16]
    reason: Annotated[Reason, u16]
    flags: Annotated[StatusFlag, u16]
    session_id: U32
    zone: U8
    direction: U8
    depth_um: U16
    rate_hz: U8
    peak_depth_um: U16
    force_mn: U16
    punctures: U32
    punctures_left: U32
    resumes_left: U8
    lease_left_ms: U16
    session_left_s: U16
    wait_s: U32
    utc_s: U32
    battery_percent: U8
    overruns: U16


class GetStatus(Request[Status], opcode=Opcode.GET_STATUS, channel=Channel.STATUS, since=1):
    """Ask how the pen stands."""


class StateChanged(Notification, opcode=Opcode.STATE_CHANGED, channel=Channel.STATUS, since=1):
    """The therapy state changed, said by the pen unasked."""

    sequence: U16
    tick_ms: U32
    state: Annotated[State, u16]
    reason: Annotated[Reason, u16]
    flags: Annotated[StatusFlag, u16]


class LastCommand(Reply, opcode=Opcode.LAST_COMMAND, channel=Channel.STATUS, since=1):
    """The last therapy command that the pen applied since power-up; `command_id` 0 means none (SR-UNC-1)."""

    boot_id: U32
    session_id: U32
    command_id: U32
    applied_opcode: U16
    tick_ms: U32


class GetLastCommand(Request[LastCommand], opcode=Opcode.GET_LAST_COMMAND, channel=Channel.STATUS, since=1):
    """Ask which therapy command was applied last; asking disturbs nothing."""


class CartridgeFlag(IntFlag):
    """What pen and tag know of a head; unknown bits are ignored."""

    PRESENT = 1
    READABLE = 2
    MAKER_KNOWN = 4
    USED_IN_LEDGER = 8
    USED_THIS_SESSION = 16
    EXPIRED = 32
    REUSABLE = 64


class Cartridge(Reply, opcode=Opcode.CARTRIDGE, channel=Channel.STATUS, since=1):
    """The seated head: what its tag says, and what the pen's own ledger counts of it.

    `protrusion_um` is the greatest possible protrusion, tolerance included. `sterile_until_s` is UTC. `head` is a
    `zones.Head`, 0 when there is none to read. `reason` says why the head is refused for therapy, NONE if it is not.
    """

    flags: Annotated[CartridgeFlag, u16]
    tag_id: Annotated[bytes, Raw(8)]
    maker: U16
    lot: U32
    head: U8
    needles: U8
    width_um: U16
    protrusion_um: U16
    sterile_until_s: U32
    sessions_allowed: U8
    sessions_used: U16
    strokes: U32
    motor_s: U32
    reason: Annotated[Reason, u16]


class GetCartridge(Request[Cartridge], opcode=Opcode.GET_CARTRIDGE, channel=Channel.STATUS, since=1):
    """Ask for the seated head's record."""


class SelfTestReport(Reply, opcode=Opcode.SELF_TEST_REPORT, channel=Channel.STATUS, since=1):
    """How the last self-test ended: steps done, steps that failed, and the measured retraction."""

    tick_ms: U32
    done: Annotated[SelfTestStep, u16]
    failed: Annotated[SelfTestStep, u16]
    retraction_ms: U16
    disagreement_um: U16


class GetSelfTest(Request[SelfTestReport], opcode=Opcode.GET_SELF_TEST, channel=Channel.STATUS, since=1):
    """Ask for the last self-test's report."""
