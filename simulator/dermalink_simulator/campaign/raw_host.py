"""A host that speaks raw frames to a simulated pen in virtual time; it checks nothing and believes nothing.

Times are ms of the pen's own time; while it waits for an answer, that time passes.
"""

from typing import Any, TypeVar

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import State
from dermalink_protocol.envelope import Envelope, decode_envelope, encode_envelope
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.framing import Frame, FrameDecoder, encode_frame
from dermalink_protocol.limits import LEASE_DEFAULT_MS, PROTOCOL_VERSION, TTL_MAX_MS
from dermalink_protocol.messages import identity, stop, therapy
from dermalink_protocol.schema import Message
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.hardware.port import PenPort
from dermalink_simulator.pen import SimulatedPen

M = TypeVar("M", bound=Message)

ANSWER_WITHIN_MS = 2_000
RENEW_EVERY_MS = 100
POLL_EVERY_MS = 20


class NoAnswerError(DermalinkError, AssertionError):
    """The pen did not answer in time."""


class OtherAnswerError(DermalinkError, AssertionError):
    """The pen answered something else."""


class RawHost:
    """One connection. `tick_ms` is the newest tick of the pen that was seen, `notes` what came unasked."""

    def __init__(self, pen: SimulatedPen, port: PenPort | None = None) -> None:
        """On a port of the pen that is open, or on one of its own."""
        self.pen = pen
        self.port = pen.connect() if port is None else port
        self.tick_ms = 0
        self.session_id = 0
        self.boot_id = 0
        self.notes: list[Message] = []
        self.replies: dict[int, Message] = {}
        self._decoder = FrameDecoder()
        self._request_id = 0
        self._command_id = 0

    def send(self, message: Message) -> int:
        """Send a message now; returns its request id."""
        self._request_id += 1
        channel = message.channel if message.channel is not None else Channel.COMMAND
        self.port.write(encode_frame(channel, encode_envelope(Envelope(channel, self._request_id, message))))
        return self._request_id

    def listen(self) -> None:
        """Take in what the pen has sent."""
        for event in self._decoder.feed(self.port.read()):
            if isinstance(event, Frame):
                envelope = decode_envelope(event.channel, event.body)
                self.tick_ms = max(self.tick_ms, getattr(envelope.message, "tick_ms", 0))
                if envelope.request_id:
                    self.replies[envelope.request_id] = envelope.message
                else:
                    self.notes.append(envelope.message)

    def answer_to(self, request_id: int, within_ms: int = ANSWER_WITHIN_MS) -> Message:
        """The answer to a request, however long it takes; raises `NoAnswerError`."""
        self.listen()
        for _ in range(within_ms):
            if request_id in self.replies:
                return self.replies.pop(request_id)
            self.pen.advance(1)
            self.listen()
        raise NoAnswerError(f"nothing answered request {request_id} within {within_ms} ms")

    def ask(self, message: Message) -> Message:
        """Send, and wait for the answer."""
        return self.answer_to(self.send(message))

    def command(self, kind: type[M], **fields: Any) -> M:
        """A therapy command with a fresh id and the newest tick."""
        self._command_id += 1
        header = {"command_id": self._command_id, "ttl_ms": int(TTL_MAX_MS), "seen_tick_ms": self.tick_ms}
        return kind(**{**header, **fields})

    def expect(self, wanted: type[M], message: Message) -> M:
        """Ask, and have exactly that kind of answer."""
        answer = self.ask(message)
        if not isinstance(answer, wanted):
            raise OtherAnswerError(f"{answer!r} to {message!r}")
        return answer

    # The way of a session

    def hello(self) -> identity.HelloReply:
        """Say hello, and go on from the last command that was applied."""
        reply = self.expect(identity.HelloReply, identity.Hello(protocol_version=int(PROTOCOL_VERSION), host_nonce=1))
        self.boot_id = reply.boot_id
        last = self.expect(identity.LastCommand, identity.GetLastCommand())
        self._command_id = last.command_id
        return reply

    def status(self) -> identity.Status:
        """How the pen stands."""
        return self.expect(identity.Status, identity.GetStatus())

    def wait_for(self, *states: State, within_ms: int = 20_000) -> identity.Status:
        """Let time pass, with the lease renewed, until the pen stands in one of these states."""
        status = self.status()
        for _ in range(within_ms // POLL_EVERY_MS):
            if status.state in states:
                return status
            self.run(POLL_EVERY_MS)
            status = self.status()
        raise NoAnswerError(f"the pen stands in {status.state!r} ({status.reason!r}) and not in {states}")

    def open(self) -> int:
        """Open a session; gives its id."""
        opened = self.expect(
            therapy.SessionOpened,
            self.command(
                therapy.OpenSession,
                boot_id=self.boot_id,
                lease_ms=int(LEASE_DEFAULT_MS),
                record_number=0,
                record_hash=bytes(32),
            ),
        )
        self.session_id = opened.session_id
        return opened.session_id

    def prepare(
        self, zone: Zone, direction: Direction, depth_um: int = 250, rate_hz: int = 60, speed_mm_s: int = 20
    ) -> therapy.Prepared:
        """Prepare a frame for the head that is fitted."""
        head = self.pen.cartridge.head
        tag_id = head.tag.tag_id if head is not None and head.tag is not None else bytes(8)
        return self.expect(
            therapy.Prepared,
            self.command(
                therapy.Prepare,
                session_id=self.session_id,
                zone=zone,
                direction=direction,
                depth_um=depth_um,
                rate_hz=rate_hz,
                speed_mm_s=speed_mm_s,
                tag_id=tag_id,
            ),
        )

    def begin(self, frame_id: int) -> None:
        """The host's word, and a press of the button."""
        self.expect(therapy.PassBegun, self.command(therapy.BeginPass, session_id=self.session_id, frame_id=frame_id))
        self.pen.button.press()

    def renew(self) -> None:
        """Renew the lease, without waiting for the answer."""
        self.send(therapy.RenewLease(session_id=self.session_id, seen_tick_ms=self.tick_ms))

    def run(self, ms: int, renew_every_ms: int = RENEW_EVERY_MS) -> None:
        """Let time pass, with the lease renewed."""
        while ms > 0 and not self.port.closed:
            if self.session_id:
                self.renew()
            step = min(ms, renew_every_ms)
            self.pen.advance(step)
            self.listen()
            ms -= step

    def stop(self) -> int:
        """Send Stop; gives its request id at once."""
        return self.send(stop.Stop())

    def to_running(
        self, zone: Zone = Zone.NOSE, direction: Direction = Direction.VERTICAL, **frame: int
    ) -> therapy.Prepared:
        """From a pen that has just been switched on to needles in skin, with a hand that sweeps."""
        self.hello()
        self.wait_for(State.IDLE)
        self.open()
        prepared = self.prepare(zone, direction, **frame)
        self.begin(prepared.frame_id)
        self.wait_for(State.ARMED)
        self.pen.hand.sweep(zone, direction, speed_mm_s=frame.get("speed_mm_s", 20))
        self.wait_for(State.RUNNING)
        return prepared
