"""Stop and report-symptom: in the clear, from anybody, in every state, on a channel of their own (SR-STOP-4)."""

from typing import Annotated

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode, State
from dermalink_protocol.schema import Effect, Reply, Request
from dermalink_protocol.wire import U32, u8, u16
from dermalink_protocol.zones import Symptom


class Stopped(Reply, opcode=Opcode.STOPPED, channel=Channel.STOP, since=1):
    """The drive is cut and the needles are going in; "measured in" is said by a later state."""

    tick_ms: U32
    state: Annotated[State, u16]


class Stop(Request[Stopped], opcode=Opcode.STOP, channel=Channel.STOP, effect=Effect.REDUCES, since=1):
    """Stop, whatever the pen is doing."""


class SymptomReported(Reply, opcode=Opcode.SYMPTOM_REPORTED, channel=Channel.STOP, since=1):
    """The drive is cut; the session's passes are over if the report came from its owner (SR-SYM-1)."""

    tick_ms: U32
    state: Annotated[State, u16]


class ReportSymptom(
    Request[SymptomReported],
    opcode=Opcode.REPORT_SYMPTOM,
    channel=Channel.STOP,
    effect=Effect.REDUCES,
    since=1,
):
    """Pain, bleeding, a rash, or one that was not named: stop, and no more passes in this session."""

    symptom: Annotated[Symptom, u8]
