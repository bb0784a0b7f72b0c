"""A pen that does what a test says, in memory and in virtual time: good manners by default, any misdeed on demand."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from dermalink.connecting import greet
from dermalink.connection import Connection
from dermalink.journal import Journal, MemoryJournal
from dermalink.links.stream import StreamLink
from dermalink.pen import Pen
from dermalink_protocol import limits
from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.envelope import Envelope, decode_envelope, encode_envelope
from dermalink_protocol.framing import Frame, FrameDecoder, encode_frame
from dermalink_protocol.history import Anchor, encode_record
from dermalink_protocol.history_entries import PowerCause, PoweredUp
from dermalink_protocol.messages import identity, records, stop, therapy
from dermalink_protocol.messages.identity import Capability, CartridgeFlag, StatusFlag
from dermalink_protocol.messages.refusal import Refused
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.samples import PACK_SAMPLE
from dermalink_protocol.schema import Effect, Message, Notification, Reply, Request
from dermalink_protocol.zones import Direction, Head, Zone
from tests.support.memory_pipe import MemoryPipe

NOW_S = 1_800_000_000
SERIAL = "DP-SCRIPTED"
TAG = bytes(range(8))
AT_REST = StatusFlag.NEEDLES_IN | StatusFlag.MOTOR_OFF | StatusFlag.CARTRIDGE | StatusFlag.CLOCK_VALID
FRAME: dict[str, Any] = {
    "zone": Zone.LEFT_CHEEK,
    "direction": Direction.VERTICAL,
    "depth_um": 300,
    "rate_hz": 60,
    "speed_mm_s": 20,
}

Script = Callable[[Any], Reply | None]


class ScriptedPen:
    """The far end of a `MemoryPipe`; `status`, `hello`, `cartridge` hold fields to change, `on` replaces an answer."""

    def __init__(self, pipe: MemoryPipe) -> None:
        self.pipe = pipe
        self.pipe.on_written = self._take
        self.seen: deque[Request[Any]] = deque(maxlen=10_000)
        self.ids: deque[int] = deque(maxlen=10_000)
        self.scripts: dict[type, Script] = {}
        self.last = (0, 0, 0, 0)
        self.sequences: dict[type, int] = {}
        self.tick_offset = 1_000
        self.history_seed = 1
        self.hello: dict[str, Any] = {
            "protocol_version": limits.PROTOCOL_VERSION,
            "firmware_version": 1 << 16,
            "serial_number": SERIAL.encode().ljust(16, b"\0"),
            "boot_id": 77,
            "capabilities": Capability.CONTROL_CHANNEL | Capability.STAMP_HEADS,
            "suite": 0,
            "calibration_id": 5,
            "depth_cap_um": 500,
            "depth_min_um": 200,
            "depth_step_um": 10,
            "drive_tolerance_um": 30,
            "sensor_accuracy_um": 15,
            "rate_min_hz": 50,
            "rate_max_hz": 120,
            "needles_max": 16,
            "passes_per_zone": 3,
            "budget_per_cm2": 1_000,
            "density_max_per_cm2": 650,
            "lease_max_ms": 1_000,
            "ttl_max_ms": 500,
            "press_within_ms": 10_000,
            "session_max_s": 3_600,
            "interval_s": limits.INTERVAL_S,
        }
        self.status: dict[str, Any] = {
            "state": State.IDLE,
            "reason": Reason.NONE,
            "flags": AT_REST,
            "session_id": 0,
            "zone": 0,
            "direction": 0,
            "depth_um": 0,
            "rate_hz": 0,
            "peak_depth_um": 0,
            "force_mn": 0,
            "punctures": 0,
            "punctures_left": 0,
            "resumes_left": 0,
            "lease_left_ms": 0,
            "session_left_s": 0,
            "wait_s": 0,
            "utc_s": NOW_S,
            "battery_percent": 90,
            "overruns": 0,
        }
        self.cartridge: dict[str, Any] = {
            "flags": CartridgeFlag.PRESENT | CartridgeFlag.READABLE | CartridgeFlag.MAKER_KNOWN,
            "tag_id": TAG,
            "maker": 1,
            "lot": 20,
            "head": Head.GLIDE,
            "needles": 12,
            "width_um": 6_000,
            "protrusion_um": 500,
            "sterile_until_s": NOW_S + 10_000_000,
            "sessions_allowed": 1,
            "sessions_used": 0,
            "strokes": 0,
            "motor_s": 0,
            "reason": Reason.NONE,
        }

    # What a test does

    def on(self, kind: type[Request[Any]], script: Script) -> None:
        """Answer `kind` so from now on; None is silence."""
        self.scripts[kind] = script

    def silent_to(self, kind: type[Request[Any]]) -> None:
        """Neither apply nor answer it."""
        self.scripts[kind] = lambda _: None

    def lose_reply_to(self, kind: type[Request[Any]]) -> None:
        """Apply it and never answer."""

        def apply(request: Any) -> None:
            self.behave(request)

        self.scripts[kind] = apply

    def refuse(self, kind: type[Request[Any]], reason: Reason, limit: int = 0) -> None:
        """Say no to it."""
        self.scripts[kind] = lambda request: Refused(refused_opcode=request.opcode, reason=reason, limit=limit)

    def restart(self) -> None:
        """Power off and on: a new boot, and a clock that begins anew."""
        self.hello["boot_id"] += 1
        self.tick_offset = -int(asyncio.get_running_loop().time() * 1000) + 10
        self.last = (0, 0, 0, 0)
        self.status |= {"state": State.IDLE, "session_id": 0, "flags": AT_REST}

    def notify(self, kind: type[Notification], *, sequence: int | None = None, **fields: Any) -> None:
        """Say something unasked, numbered on from the last of its kind."""
        number = self.sequences.get(kind, 0) if sequence is None else sequence
        self.sequences[kind] = (number + 1) & 0xFFFF
        self.send(0, kind(sequence=number, **fields))

    def telemetry(self, *depths_um: int, flags: int = 7) -> None:
        """A batch with these peaks."""
        samples = b"".join(PACK_SAMPLE.pack(depth, 300, 60, flags, 10, 0) for depth in depths_um)
        self.notify(Telemetry, tick_ms=self.tick, samples=samples)

    def send(self, request_id: int, message: Message, channel: Channel | None = None) -> None:
        """Send a message under any id."""
        where = channel or message.channel
        assert where is not None
        self.pipe.feed(encode_frame(where, encode_envelope(Envelope(where, request_id, message))))

    def stops(self) -> int:
        """How many Stops have come."""
        return sum(isinstance(each, stop.Stop) for each in self.seen)

    def count(self, kind: type[Request[Any]]) -> int:
        """How many of this kind have come."""
        return sum(type(each) is kind for each in self.seen)

    def record(self, number: int) -> tuple[bytes, Anchor]:
        """A record of its history; `history_seed` makes it another history."""
        entry = PoweredUp(
            cause=PowerCause.SWITCHED_ON, boot_id=1, firmware_version=1, calibration_id=1, serial_number=bytes(16)
        )
        last = Anchor(number - 1, bytes([self.history_seed]) * 32)
        return encode_record(last, entry, owner=1, run_s=1, utc_s=NOW_S, blind=bytes(16))

    # How it behaves

    @property
    def tick(self) -> int:
        """Its clock."""
        return int(asyncio.get_running_loop().time() * 1000) + self.tick_offset

    def _take(self, data: bytes) -> None:
        for event in FrameDecoder().feed(data):
            assert isinstance(event, Frame)
            envelope = decode_envelope(event.channel, event.body)
            request = envelope.message
            assert isinstance(request, Request)
            self.seen.append(request)
            self.ids.append(envelope.request_id)
            script = self.scripts.get(type(request), self.behave)
            reply = script(request)
            if reply is not None:
                self.send(envelope.request_id, reply, event.channel)

    def behave(self, request: Any) -> Reply:  # noqa: C901, PLR0912  (one case a message is the plainest)
        """A well-mannered answer."""
        header: dict[str, Any] = {"tick_ms": self.tick}
        if isinstance(request, therapy.TherapyCommand):
            header |= {"command_id": request.command_id}
        match request:
            case identity.Hello():
                return identity.HelloReply(**self.hello, tick_ms=self.tick)
            case identity.GetStatus():
                return identity.Status(**self.status, tick_ms=self.tick)
            case identity.GetCartridge():
                return identity.Cartridge(**self.cartridge)
            case identity.GetLastCommand():
                session, number, opcode, tick = self.last
                return identity.LastCommand(
                    boot_id=self.hello["boot_id"],
                    session_id=session,
                    command_id=number,
                    applied_opcode=opcode,
                    tick_ms=tick,
                )
            case records.GetHistory():
                return records.HistoryRecord(number=request.number, record=self.record(request.number)[0])
            case records.GetHistoryState():
                return records.HistoryState(first_number=1, last_number=9, last_hash=bytes(32), first_hole=0)
            case stop.Stop():
                self.status |= {"state": State.OPEN if self.status["session_id"] else State.IDLE, "flags": AT_REST}
                return stop.Stopped(**header, state=self.status["state"])
            case stop.ReportSymptom():
                return stop.SymptomReported(**header, state=self.status["state"])
            case therapy.OpenSession():
                self.status |= {"state": State.OPEN, "session_id": 41, "session_left_s": 3_600}
                extra: dict[str, Any] = {"session_id": 41, "history_number": 3, "history_hash": self.record(3)[1].hash}
                reply: Reply = therapy.SessionOpened(**header, state=State.OPEN, **extra)
            case therapy.AdoptSession():
                reply = therapy.SessionAdopted(
                    **header, state=self.status["state"], session_id=request.session_id, passes_done=0
                )
            case therapy.Prepare():
                self.status |= {"state": State.PREPARED, "zone": request.zone, "direction": request.direction}
                self.status |= {"depth_um": request.depth_um, "rate_hz": request.rate_hz}
                reply = therapy.Prepared(**header, state=State.PREPARED, frame_id=1, budget=45_000)
            case therapy.BeginPass():
                self.status |= {"state": State.WAITING}
                reply = therapy.PassBegun(**header, state=State.WAITING, press_within_ms=10_000)
            case therapy.ResumePass():
                self.status |= {"state": State.WAITING}
                reply = therapy.PassResumed(
                    **header, state=State.WAITING, press_within_ms=10_000, punctures_left=self.status["punctures_left"]
                )
            case therapy.PausePass():
                self.status |= {"state": State.PAUSED, "punctures_left": 100, "resumes_left": 5}
                return therapy.PassPaused(**header, state=State.PAUSED)
            case therapy.EndPass():
                self.status |= {"state": State.OPEN, "wait_s": limits.INTERVAL_S}
                return therapy.PassEnded(**header, state=State.OPEN)
            case therapy.CloseSession():
                self.status |= {"state": State.IDLE, "session_id": 0, "flags": AT_REST}
                return therapy.SessionClosed(
                    **header, state=State.CLOSING, history_number=8, history_hash=self.record(8)[1].hash
                )
            case therapy.RenewLease():
                return therapy.LeaseRenewed(**header, lease_left_ms=500)
            case therapy.RunSelfTest():
                reply = therapy.SelfTestStarted(**header, state=State.SELF_TEST)
            case therapy.SetClock():
                reply = therapy.ClockSet(**header, state=self.status["state"], utc_s=request.utc_s)
            case _:
                return Refused(refused_opcode=request.opcode, reason=Reason.NOT_BUILT, limit=0)
        self.last = (self.status["session_id"], request.command_id, int(request.opcode), self.tick)
        return reply


@asynccontextmanager
async def a_connection() -> AsyncIterator[tuple[Connection, ScriptedPen]]:
    """A connection without gate, to a scripted pen; it lets renewals go, and no command that raises exposure."""
    pipe = MemoryPipe()
    pen = ScriptedPen(pipe)
    connection = Connection(StreamLink(pipe, "memory:"), admit=lambda request: request.effect is Effect.KEEPS_ALIVE)
    connection.start()
    try:
        yield connection, pen
    finally:
        await connection.close()


class Clock:
    """The host's wall clock, in the test's hand."""

    def __init__(self) -> None:
        self.utc_s = NOW_S

    def __call__(self) -> int:
        return self.utc_s


async def connect_to(
    script: ScriptedPen, *, journal: Journal | None = None, inspect_only: bool = False, utc: Clock | None = None
) -> Pen:
    """Connect to a scripted pen; the journal is in memory unless one is given."""
    link = StreamLink(script.pipe, "memory:")
    kept = journal or MemoryJournal()
    return Pen(await greet(link, journal=kept, inspect_only=inspect_only, utc=utc or Clock()))


@asynccontextmanager
async def a_pen(
    script: ScriptedPen | None = None, *, journal: Journal | None = None, inspect_only: bool = False
) -> AsyncIterator[tuple[Pen, ScriptedPen]]:
    """A connected pen and the script behind it."""
    script = script or ScriptedPen(MemoryPipe())
    pen = await connect_to(script, journal=journal, inspect_only=inspect_only)
    try:
        yield pen, script
    finally:
        await pen.close()


async def open_session(pen: Pen) -> None:
    """With a session open."""
    await pen.look()
    outcome = await pen.apply(pen.gate.open_session())
    assert hasattr(outcome, "reply"), outcome


async def begin_pass(pen: Pen, **frame: Any) -> None:
    """With a session open, a frame prepared and a pass begun."""
    await open_session(pen)
    await pen.look()
    await pen.apply(pen.gate.prepare(**(FRAME | frame)))
    await pen.look()
    outcome = await pen.apply(pen.gate.begin_pass())
    assert hasattr(outcome, "reply"), outcome
