"""A crash that waits for a command: just before the pen would act on it, or when its answer is ready to go out."""

from enum import Enum
from typing import Final

from dermalink_protocol.channels import Channel
from dermalink_protocol.envelope import peek_opcode, peek_request_id
from dermalink_protocol.framing import Frame, FrameDecoder
from dermalink_protocol.messages.therapy import RenewLease
from dermalink_protocol.segmentation import Joined, Reassembler
from dermalink_simulator.seam import PortKind

NOT_APPLIED: Final = frozenset({int(RenewLease.opcode)})  # on the command channel, but no command to be applied


class When(Enum):
    """On which side of applying the command the pen crashes."""

    BEFORE = "before"
    AFTER = "after"


class _Ear:
    """Hears the messages of one port and way, whatever carries them."""

    def __init__(self, kind: PortKind) -> None:
        self._frames = FrameDecoder() if kind is PortKind.STREAM else None
        self._channels: dict[int, Reassembler] = {}

    def hear(self, data: bytes) -> list[tuple[int, bytes]]:
        """Channel and body of each message that `data` completes."""
        if self._frames is not None:
            return [(event.channel, event.body) for event in self._frames.feed(data) if isinstance(event, Frame)]
        segments = self._channels.setdefault(data[0], Reassembler()) if data else Reassembler()
        return [(data[0], event.body) for event in segments.feed(data[1:]) if isinstance(event, Joined)]


class CrashWatch:
    """Watches both ways of all ports for the next command (of one opcode, or 0 for any) and its answer."""

    def __init__(self, when: When, opcode: int = 0) -> None:
        self._when = when
        self._opcode = opcode
        self._to_pen: dict[tuple[int, PortKind], _Ear] = {}
        self._from_pen: _Ear | None = None
        self._waits_on = 0
        self._request_id = 0

    def sees_command(self, port: int, data: bytes, kind: PortKind = PortKind.STREAM) -> bool:
        """Feed bytes on their way to the pen; True when it is to crash instead of handling them."""
        if self._from_pen is not None:
            return False
        for channel, body in self._to_pen.setdefault((port, kind), _Ear(kind)).hear(data):
            if channel == Channel.COMMAND and self._fits(peek_opcode(body)):
                if self._when is When.BEFORE:
                    return True
                self._from_pen = _Ear(kind)
                self._waits_on, self._request_id = port, peek_request_id(body)
                return False
        return False

    def sees_answer(self, port: int, data: bytes) -> bool:
        """Feed bytes that the pen is about to send; True when it is to crash instead of sending them."""
        if self._from_pen is None or port != self._waits_on:
            return False
        return any(peek_request_id(body) == self._request_id for _, body in self._from_pen.hear(data))

    def _fits(self, opcode: int) -> bool:
        return opcode == self._opcode if self._opcode else opcode not in NOT_APPLIED
