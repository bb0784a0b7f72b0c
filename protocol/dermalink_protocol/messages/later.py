"""Declared now so that no later version has to move a word: evidence, calibration, update mode.

A pen that lacks the capability refuses them as NOT_BUILT.
"""

from enum import IntEnum
from typing import Annotated

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode
from dermalink_protocol.messages.therapy import Applied, TherapyCommand
from dermalink_protocol.schema import Effect, Reply, Request
from dermalink_protocol.wire import U16, U32, Raw, u8


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
