"""Declared now so that no later version has to move a word: evidence, owner and pairing, calibration, update mode.

A pen that lacks the capability refuses them as NOT_BUILT.
"""

from enum import IntEnum
from typing import Annotated

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode
from dermalink_protocol.messages.therapy import Applied, TherapyCommand
from dermalink_protocol.schema import Effect, Reply, Request
from dermalink_protocol.wire import U8, U16, U32, Raw, Tail, u8


class Evidence(IntEnum):
    """What a host states that a pen cannot see (rows held by P(H))."""

    CLEANSED = 1
    SOAKED = 2
    AIR_DRIED = 3
    PACK_INTACT = 4
    SCREENING = 5
    CLEANED_AFTER = 6
    ADVICE = 7


class EvidenceTaken(Applied, opcode=Opcode.EVIDENCE_TAKEN, channel=Channel.COMMAND, since=1):
    """The evidence is held until it is stale."""

    stale_in_s: U16


class DeclareEvidence(
    TherapyCommand[EvidenceTaken],
    opcode=Opcode.DECLARE_EVIDENCE,
    channel=Channel.COMMAND,
    effect=Effect.RAISES,
    since=1,
):
    """State a kind of evidence, its result (0 failed, 1 passed) and its age, for the head named."""

    kind: Annotated[Evidence, u8]
    passed: Annotated[int, u8.within(0, 1)]
    age_s: U16
    tag_id: Annotated[bytes, Raw(8)]


class Owner(Reply, opcode=Opcode.OWNER, channel=Channel.PAIRING, since=1):
    """Whether the pen has an owner, how long a pairing window is open, and how long pairing is barred."""

    owned: Annotated[int, u8.within(0, 1)]
    window_s: U8
    barred_s: U32


class GetOwner(Request[Owner], opcode=Opcode.GET_OWNER, channel=Channel.PAIRING, since=1):
    """Ask how the pen stands to owners."""


class PairReply(Reply, opcode=Opcode.PAIR_REPLY, channel=Channel.PAIRING, since=1):
    """The pen's side of a pairing step: its number again, and

    1: iterations (u32, little-endian) and salt, 16 to 32 bytes; 2: shareV (65) and confirmV (32); 3: the pen's static
    key, sealed (48). See `dermalink_protocol.pairing`.
    """

    step: U8
    share: Annotated[bytes, Tail(1, 0, 160)]


class PairStep(
    TherapyCommand[PairReply],
    opcode=Opcode.PAIR_STEP,
    channel=Channel.PAIRING,
    effect=Effect.RAISES,
    since=1,
):
    """The host's side of a pairing step; an owner can run the pen, so it raises exposure.

    1: nothing; 2: the host's id (16) and shareP (65); 3: confirmP (32) and the host's static key, sealed (48).
    """

    step: U8
    share: Annotated[bytes, Tail(1, 0, 160)]


class OwnerReleased(Reply, opcode=Opcode.OWNER_RELEASED, channel=Channel.PAIRING, since=1):
    """The owner is gone; ledger, waits and history stay."""


class ReleaseOwner(
    Request[OwnerReleased], opcode=Opcode.RELEASE_OWNER, channel=Channel.PAIRING, effect=Effect.REDUCES, since=1
):
    """The owner gives the pen up; nobody can run it until it is paired again."""


class ChannelOpened(Reply, opcode=Opcode.CHANNEL_OPENED, channel=Channel.PAIRING, since=1):
    """The pen's message of the handshake; what the owner says from here on is sealed."""

    message: Annotated[bytes, Raw(48)]


class OpenChannel(Request[ChannelOpened], opcode=Opcode.OPEN_CHANNEL, channel=Channel.PAIRING, since=1):
    """The owner's message of the handshake, bound to this connection's hello (`dermalink_protocol.sealing`)."""

    message: Annotated[bytes, Raw(48)]


class Calibration(Reply, opcode=Opcode.CALIBRATION, channel=Channel.STATUS, since=1):
    """The calibration in force: id, date, check value, scales in parts per million and offsets."""

    calibration_id: U32
    serial_number: Annotated[bytes, Raw(16)]
    made_s: U32
    expires_s: U32
    depth_scale_ppm: U32
    depth_offset_um: U16
    force_scale_ppm: U32
    rate_scale_ppm: U32
    check: U32


class GetCalibration(Request[Calibration], opcode=Opcode.GET_CALIBRATION, channel=Channel.STATUS, since=1):
    """Ask for the calibration in force."""


class CalibrationWritten(Applied, opcode=Opcode.CALIBRATION_WRITTEN, channel=Channel.COMMAND, since=1):
    """The calibration is stored; it counts after the next self-test."""

    calibration_id: U32


class WriteCalibration(
    TherapyCommand[CalibrationWritten],
    opcode=Opcode.WRITE_CALIBRATION,
    channel=Channel.COMMAND,
    effect=Effect.RAISES,
    since=1,
):
    """Store a calibration for this serial number (service only)."""

    calibration_id: U32
    serial_number: Annotated[bytes, Raw(16)]
    made_s: U32
    depth_scale_ppm: U32
    depth_offset_um: U16
    force_scale_ppm: U32
    rate_scale_ppm: U32
    check: U32


class UpdateEntered(Applied, opcode=Opcode.UPDATE_ENTERED, channel=Channel.COMMAND, since=1):
    """The pen restarts into its update mode."""


class EnterUpdate(
    TherapyCommand[UpdateEntered],
    opcode=Opcode.ENTER_UPDATE,
    channel=Channel.COMMAND,
    effect=Effect.RAISES,
    since=1,
):
    """Restart into update mode: only when idle, with no session."""
