"""A crash that waits for a command: just before the pen would act on it, or when its answer is ready to go out."""

from enum import Enum
from typing import Final

from dermalink_protocol.channels import Channel
from dermalink_protocol.envelope import peek_opcode, peek_request_id
from dermalink_protocol.framing import Frame, FrameDecoder
from dermalink_protocol.messages.therapy import RenewLease

NOT_APPLIED: Final = frozenset({int(RenewLease.opcode)})  # on the command channel, but no command to be applied


class When(Enum):
    """On which side of applying the command the pen crashes."""

    BEFORE = "before"
    AFTER = "after"


class CrashWatch:
    """Watches both ways of stream ports for the next command (of one opcode, or 0 for any) and its answer."""

    def __init__(self, when: When, opcode: int = 0) -> None:
        self._when = when
        self._opcode = opcode
        self._to_pen: dict[int, FrameDecoder] = {}
        self._from_pen: FrameDecoder | None = None
        self._waits_on = 0
        self._request_id = 0

    def sees_command(self, port: int, data: bytes) -> bool:
        """Feed bytes on their way to the pen; True when it is to crash instead of handling them."""
        if self._from_pen is not None:
            return False
        for event in self._to_pen.setdefault(port, FrameDecoder()).feed(data):
            if isinstance(event, Frame) and event.channel is Channel.COMMAND and self._fits(peek_opcode(event.body)):
                if self._when is When.BEFORE:
                    return True
                self._from_pen = FrameDecoder()
                self._waits_on, self._request_id = port, peek_request_id(event.body)
                return False
        return False

    def sees_answer(self, port: int, data: bytes) -> bool:
        """Feed bytes that the pen is about to send; True when it is to crash instead of sending them."""
        if self._from_pen is None or port != self._waits_on:
            return False
        frames = [event for event in self._from_pen.feed(data) if isinstance(event, Frame)]
        return any(peek_request_id(frame.body) == self._request_id for frame in frames)

    def _fits(self, opcode: int) -> bool:
        return opcode == self._opcode if self._opcode else opcode not in NOT_APPLIED
