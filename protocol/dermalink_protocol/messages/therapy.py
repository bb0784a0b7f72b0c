"""What changes therapy: sessions, frames, passes, the lease, faults, self-test and clock.

Whatever raises exposure starts with the command header: an id that only grows, a time to live, and the newest tick of
the pen that the host has seen, from which the pen tells the command's age by its own clock (SR-CMD-1).
"""

from typing import Annotated, Final

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode, Reason, State
from dermalink_protocol.limits import (
    DEPTH_CAP_UM,
    DEPTH_MIN_UM,
    LEASE_MAX_MS,
    LEASE_MIN_MS,
    RATE_MAX_HZ,
    RATE_MIN_HZ,
    SPEED_MAX_MM_S,
    SPEED_MIN_MM_S,
    TTL_MAX_MS,
)
from dermalink_protocol.schema import Effect, R, Reply, Request
from dermalink_protocol.wire import U16, U32, Raw, u8, u16, u32
from dermalink_protocol.zones import Direction, Zone

TTL: Final = u16.within(1, TTL_MAX_MS, under=Reason.OUT_OF_RANGE, over=Reason.TTL_TOO_LONG)
LEASE: Final = u16.within(LEASE_MIN_MS, LEASE_MAX_MS, over=Reason.LEASE_OUT_OF_RANGE)
DEPTH: Final = u16.within(DEPTH_MIN_UM, DEPTH_CAP_UM, under=Reason.DEPTH_UNDER_MIN, over=Reason.DEPTH_OVER_CAP)
RATE: Final = u8.within(RATE_MIN_HZ, RATE_MAX_HZ, over=Reason.RATE_OUT_OF_RANGE)
SPEED: Final = u8.within(SPEED_MIN_MM_S, SPEED_MAX_MM_S, over=Reason.SPEED_OUT_OF_RANGE)


class TherapyCommand(Request[R]):
    """Base of what raises exposure: the command header."""

    command_id: Annotated[int, u32.within(1, 0xFFFF_FFFF)]
    ttl_ms: Annotated[int, TTL]
    seen_tick_ms: U32


class Applied(Reply):
    """Base of the replies to therapy commands: which one was applied, when, and the state it led to."""

    command_id: U32
    tick_ms: U32
    state: Annotated[State, u16]


class Done(Reply):
    """Base of the replies to what reduces exposure: when it was done, and the state it led to."""

    tick_ms: U32
    state: Annotated[State, u16]


class SessionOpened(Applied, opcode=Opcode.SESSION_OPENED, channel=Channel.COMMAND, since=1):
    """A session is open; the pen's last history number and hash go into the host's record (SR-LOG-1)."""

    session_id: U32
    history_number: U32
    history_hash: Annotated[bytes, Raw(32)]


class OpenSession(
    TherapyCommand[SessionOpened],
    opcode=Opcode.OPEN_SESSION,
    channel=Channel.COMMAND,
    effect=Effect.RAISES,
    since=1,
):
    """Open a session, owned by this connection; `boot_id` is hello's, the record's number and hash are the host's."""

    boot_id: U32
    lease_ms: Annotated[int, LEASE]
    record_number: U32
    record_hash: Annotated[bytes, Raw(32)]


class SessionAdopted(Applied, opcode=Opcode.SESSION_ADOPTED, channel=Channel.COMMAND, since=1):
    """The session belongs to this connection now, disarmed; `passes_done` has a bit for each zone and direction."""

    session_id: U32
    passes_done: U32


class AdoptSession(
    TherapyCommand[SessionAdopted],
    opcode=Opcode.ADOPT_SESSION,
    channel=Channel.COMMAND,
    effect=Effect.RAISES,
    since=1,
):
    """Take over a session whose connection was lost."""

    session_id: U32
    lease_ms: Annotated[int, LEASE]


class SessionClosed(Done, opcode=Opcode.SESSION_CLOSED, channel=Channel.COMMAND, since=1):
    """The session is closing; it cannot be opened again."""

    history_number: U32
    history_hash: Annotated[bytes, Raw(32)]


class CloseSession(
    Request[SessionClosed],
    opcode=Opcode.CLOSE_SESSION,
    channel=Channel.COMMAND,
    effect=Effect.REDUCES,
    since=1,
):
    """End the session; needles go in first if they are out."""

    session_id: U32
    record_number: U32
    record_hash: Annotated[bytes, Raw(32)]


class Prepared(Applied, opcode=Opcode.PREPARED, channel=Channel.COMMAND, since=1):
    """The frame is held; `budget` is the punctures that its pass may make (SR-PASS-3)."""

    frame_id: U16
    budget: U32


class Prepare(TherapyCommand[Prepared], opcode=Opcode.PREPARE, channel=Channel.COMMAND, effect=Effect.RAISES, since=1):
    """Prepare one frame (SR-DEPTH-8): where, which way, how deep, how fast, with which head."""

    session_id: U32
    zone: Annotated[Zone, u8.refusing(Reason.UNKNOWN_ZONE)]
    direction: Annotated[Direction, u8.refusing(Reason.UNKNOWN_DIRECTION)]
    depth_um: Annotated[int, DEPTH]
    rate_hz: Annotated[int, RATE]
    speed_mm_s: Annotated[int, SPEED]
    tag_id: Annotated[bytes, Raw(8)]


class PassBegun(Applied, opcode=Opcode.PASS_BEGUN, channel=Channel.COMMAND, since=1):
    """The pass waits for a press of the pen's button."""

    press_within_ms: U16


class BeginPass(
    TherapyCommand[PassBegun],
    opcode=Opcode.BEGIN_PASS,
    channel=Channel.COMMAND,
    effect=Effect.RAISES,
    since=1,
):
    """The host's word that the prepared frame may run; motion needs a fresh press as well (SR-STOP-5)."""

    session_id: U32
    frame_id: U16


class PassResumed(Applied, opcode=Opcode.PASS_RESUMED, channel=Channel.COMMAND, since=1):
    """The interrupted pass waits for a press of the pen's button."""

    press_within_ms: U16
    punctures_left: U32


class ResumePass(
    TherapyCommand[PassResumed],
    opcode=Opcode.RESUME_PASS,
    channel=Channel.COMMAND,
    effect=Effect.RAISES,
    since=1,
):
    """Go on with the same pass, what is left of its budget (SR-PASS-2)."""

    session_id: U32


class PassPaused(Done, opcode=Opcode.PASS_PAUSED, channel=Channel.COMMAND, since=1):
    """Needles are going in; the pass can be resumed."""


class PausePass(Request[PassPaused], opcode=Opcode.PAUSE_PASS, channel=Channel.COMMAND, effect=Effect.REDUCES, since=1):
    """Interrupt the pass."""

    session_id: U32


class PassEnded(Done, opcode=Opcode.PASS_ENDED, channel=Channel.COMMAND, since=1):
    """The pass is over and used up if it touched skin."""


class EndPass(Request[PassEnded], opcode=Opcode.END_PASS, channel=Channel.COMMAND, effect=Effect.REDUCES, since=1):
    """End the pass, or drop a prepared frame."""

    session_id: U32


class LeaseRenewed(Reply, opcode=Opcode.LEASE_RENEWED, channel=Channel.COMMAND, since=1):
    """The lease runs for `lease_left_ms` more, counted from the tick that the renewal quoted."""

    tick_ms: U32
    lease_left_ms: U16


class RenewLease(
    Request[LeaseRenewed],
    opcode=Opcode.RENEW_LEASE,
    channel=Channel.COMMAND,
    effect=Effect.KEEPS_ALIVE,
    since=1,
):
    """Keep the pen running; `seen_tick_ms` is the newest tick of the pen that the host has seen (SR-STOP-1)."""

    session_id: U32
    seen_tick_ms: U32


class FaultAcknowledged(Applied, opcode=Opcode.FAULT_ACKNOWLEDGED, channel=Channel.COMMAND, since=1):
    """The fault is cleared as far as its kind can be: a self-test and a press are still owed."""


class AcknowledgeFault(
    TherapyCommand[FaultAcknowledged],
    opcode=Opcode.ACKNOWLEDGE_FAULT,
    channel=Channel.COMMAND,
    effect=Effect.RAISES,
    since=1,
):
    """Ask to clear a latched fault, by name."""

    fault: Annotated[Reason, u16]


class SelfTestStarted(Applied, opcode=Opcode.SELF_TEST_STARTED, channel=Channel.COMMAND, since=1):
    """The self-test runs; its report tells how it ended."""


class RunSelfTest(
    TherapyCommand[SelfTestStarted],
    opcode=Opcode.SELF_TEST,
    channel=Channel.COMMAND,
    effect=Effect.RAISES,
    since=1,
):
    """Run the self-test; it moves the needles below the head's face, so it raises exposure."""


class ClockSet(Applied, opcode=Opcode.CLOCK_SET, channel=Channel.COMMAND, since=1):
    """The pen's clock was set; no wait became shorter by it (SR-INT-2)."""

    utc_s: U32


class SetClock(
    TherapyCommand[ClockSet], opcode=Opcode.SET_CLOCK, channel=Channel.COMMAND, effect=Effect.RAISES, since=1
):
    """Set the pen's clock to `utc_s` (seconds since 1970, UTC)."""

    utc_s: U32
