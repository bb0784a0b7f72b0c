"""A simulated person: presses the button when the pen waits for it, and sweeps the zone that was prepared.

It learns what to do as a real one does, from the outside: the pen's light says that it waits, and a screen (here a link
of its own, which asks for the status as anybody may) says where and which way. It never starts anything by itself.
"""

import asyncio
from typing import Final

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import State
from dermalink_protocol.envelope import Envelope, decode_envelope, encode_envelope
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.framing import Frame, FrameDecoder, encode_frame
from dermalink_protocol.messages.identity import GetStatus, StateChanged, Status
from dermalink_protocol.schema import Message
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.runner import PenRunner, RunningPort

REACTION_S: Final = 0.4  # from seeing to pressing, an unhurried person (assumption)
LOOK_AGAIN_S: Final = 1.0  # a screen is looked at now and then, also when nothing seems to change
STROKES_PER_MM: Final = 3  # 60 Hz at 20 mm/s, as an ordinary plan has it
SLOWEST_MM_S: Final = 10
FASTEST_MM_S: Final = 80
WORKING: Final = frozenset({State.SPIN_UP, State.ARMED, State.RUNNING, State.LIFTED})


class SimulatedPerson:
    """Works one pen for as long as its runner runs, until `leave`."""

    def __init__(self, runner: PenRunner, pen: SimulatedPen) -> None:
        """Must be called on the runner's loop."""
        self._runner, self._pen = runner, pen
        self._loop = asyncio.get_running_loop()
        self._screen: RunningPort | None = None
        self._decoder = FrameDecoder()
        self._timer: asyncio.TimerHandle | None = None
        self._press: asyncio.TimerHandle | None = None
        self._sweeping = False
        self._gone = False
        self._look()

    def leave(self) -> None:
        """Lift the pen and go; may be called twice."""
        self._gone = True
        for timer in (self._timer, self._press):
            if timer is not None:
                timer.cancel()
        self._close_screen()
        self._lift()

    def _look(self) -> None:
        """Ask how the pen stands; with no power there is nothing to see, and the next look tries again."""
        if self._gone or self._runner.stopped:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(LOOK_AGAIN_S, self._look)
        if self._screen is None:
            self._decoder = FrameDecoder()
            try:
                self._screen = self._runner.connect(self._heard, self._close_screen, door="person")
            except DermalinkError:
                return
        request = Envelope(Channel.STATUS, 1, GetStatus())
        self._screen.feed(encode_frame(Channel.STATUS, encode_envelope(request)))

    def _close_screen(self) -> None:
        if self._screen is not None:
            screen, self._screen = self._screen, None
            screen.close()
        self._lift()

    def _heard(self, data: bytes) -> None:
        for event in self._decoder.feed(data):
            if isinstance(event, Frame):
                message = _message(event)
                if isinstance(message, StateChanged):
                    self._loop.call_soon(self._look)
                elif isinstance(message, Status):
                    self._loop.call_soon(self._see, message)

    def _see(self, status: Status) -> None:
        if self._gone or self._runner.stopped:
            return
        if status.state == State.WAITING and self._press is None:
            self._press = self._loop.call_later(REACTION_S, self._press_button)
        if status.state not in WORKING:
            self._lift()
        elif not self._sweeping and status.zone and status.direction:
            self._sweeping = True
            zone, direction = Zone(status.zone), Direction(status.direction)
            speed = max(SLOWEST_MM_S, min(FASTEST_MM_S, status.rate_hz // STROKES_PER_MM))
            self._runner.act(lambda: self._pen.hand.sweep(zone, direction, speed_mm_s=speed))

    def _press_button(self) -> None:
        self._press = None
        if not (self._gone or self._runner.stopped):
            self._runner.act(self._pen.button.press)

    def _lift(self) -> None:
        if self._sweeping:
            self._sweeping = False
            if not self._runner.stopped:
                self._runner.act(self._pen.hand.lift)


def _message(frame: Frame) -> Message | None:
    try:
        return decode_envelope(frame.channel, frame.body).message
    except DermalinkError:
        return None
