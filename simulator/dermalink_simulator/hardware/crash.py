"""A crash that waits for a command: just before the pen would act on it, or when its answer is ready to go out.

Commands are what comes on the command channel, and what pairs or releases. A firmware that tells its bench what it
decoded (`seam.Telling`) is believed, so that commands under seal are seen; of any other the bytes are heard, and of
those what goes in the clear.
"""

from enum import Enum
from typing import Final

from dermalink_protocol.channels import Channel
from dermalink_protocol.envelope import peek_opcode, peek_request_id
from dermalink_protocol.framing import Frame, FrameDecoder
from dermalink_protocol.messages.owner import GetOwner, OpenChannel
from dermalink_protocol.messages.sealed import Sealed
from dermalink_protocol.messages.therapy import RenewLease
from dermalink_protocol.segmentation import Joined, Reassembler
from dermalink_simulator.seam import PortKind, Telling

COMMANDED_ON: Final = (Channel.COMMAND, Channel.PAIRING)
# On those channels, but no command to be applied, or one that only who has the keys can tell.
NOT_APPLIED: Final = frozenset(int(each.opcode) for each in (RenewLease, GetOwner, OpenChannel, Sealed))


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
    """Watches all ports for the next command (of one opcode, or 0 for any) and its answer.

    `is_told`: the firmware tells it, by `heard` and `answered`, and bytes count no more. `due`: to crash at once.
    """

    def __init__(self, when: When, opcode: int = 0) -> None:
        self.is_told = self.due = False
        self._when = when
        self._opcode = opcode
        self._to_pen: dict[tuple[int, PortKind], _Ear] = {}
        self._from_pen: _Ear | None = None
        self._waits_on: tuple[int, int] | None = None
        self._answer_waits = False

    # Told by the firmware

    def heard(self, port: int, channel: int, opcode: int, request_id: int) -> None:
        """See `seam.Bench`."""
        if self._waits_on is None and self._fits(channel, opcode):
            if self._when is When.BEFORE:
                self.due = True
            else:
                self._waits_on = port, request_id

    def answered(self, port: int, request_id: int) -> None:
        """See `seam.Bench`."""
        self._answer_waits = self._answer_waits or (port, request_id) == self._waits_on

    # By bytes

    def sees_command(self, port: int, data: bytes, kind: PortKind = PortKind.STREAM) -> bool:
        """Feed bytes on their way to the pen; True when it is to crash instead of handling them."""
        if self.is_told or self._waits_on is not None:
            return False
        for channel, body in self._to_pen.setdefault((port, kind), _Ear(kind)).hear(data):
            if self._fits(channel, peek_opcode(body)):
                if self._when is When.BEFORE:
                    return True
                self._from_pen, self._waits_on = _Ear(kind), (port, peek_request_id(body))
                return False
        return False

    def sees_answer(self, port: int, data: bytes) -> bool:
        """Feed bytes that the pen is about to send; True when it is to crash instead of sending them."""
        if self._waits_on is None or port != self._waits_on[0]:
            return False
        if self._from_pen is None:
            return self._answer_waits
        return any(peek_request_id(body) == self._waits_on[1] for _, body in self._from_pen.hear(data))

    def _fits(self, channel: int, opcode: int) -> bool:
        return channel in COMMANDED_ON and (opcode == self._opcode if self._opcode else opcode not in NOT_APPLIED)


def be_told(firmware: object, watch: CrashWatch | None) -> None:
    """Have a firmware that tells what it decodes tell this watch, or nobody; any other is heard by its bytes."""
    if isinstance(firmware, Telling):
        firmware.tell(watch)
        if watch is not None:
            watch.is_told = True
