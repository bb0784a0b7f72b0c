"""A client that speaks raw frames to a simulated pen: byte stuffing, checksum and fields by hand, no codec of ours.

So whatever the codec refuses to build can be sent all the same, and the pen has to refuse it on its own.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from zlib import crc32

from dermalink_simulator.firmware.firmware import PenFirmware
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.seam import PortKind

# Opcodes and code words as the protocol's reference has them, written out so that a change there is seen here.
HELLO, HELLO_REPLY, GET_STATUS, STATUS = 0xAEBF, 0x7E0F, 0xFA22, 0x3C27
GET_LAST, LAST, GET_CARTRIDGE, CARTRIDGE = 0x0213, 0xCA06, 0xA33F, 0x904D
OPEN, OPENED, ADOPT, ADOPTED, CLOSE, CLOSED = 0x4B17, 0x8136, 0xBC92, 0x8C91, 0x933C, 0xD051
PREPARE, PREPARED, BEGIN, BEGUN, RESUME, RESUMED = 0xF85D, 0x2C3E, 0x3767, 0x158F, 0x5B29, 0x25E0
PAUSE, PAUSED, END, ENDED, RENEW, RENEWED = 0x1368, 0x5E98, 0x0432, 0x051B, 0xD1D2, 0x8302
ACKNOWLEDGE, SELF_TEST, SET_CLOCK, CLOCK_SET = 0xF93F, 0x353F, 0x36E4, 0x1502
STOP, STOPPED, SYMPTOM, SYMPTOM_REPORTED = 0xC7EA, 0xA069, 0xFB40, 0x7D9F
TELEMETRY, STATE_CHANGED, REFUSED = 0x7884, 0x9783, 0xDC19
GET_HISTORY, GET_HISTORY_STATE, HISTORY_STATE = 0xB17E, 0xD3AD, 0x4E47
ON_STATUS, ON_COMMAND, ON_TELEMETRY, ON_RECORDS, ON_STOP = 2, 3, 4, 5, 6

IDLE, OPEN_STATE, PREPARED_STATE, WAITING, RUNNING, PAUSED_STATE = 0xB4CF, 0xC2F1, 0x5572, 0xD881, 0x8E0F, 0xEFE6
SPIN_UP, ARMED, LIFTED, STOPPING = 0x4FC4, 0x177D, 0x0AAF, 0xEA3B
FAULT, LOCKED, STOP_FAILED = 0x01A4, 0x0F55, 0xC416
NO_HASH = bytes(32)
NOSE, CHEEK, FOREHEAD, UPPER_LIP = 5, 2, 1, 6
VERTICAL, HORIZONTAL, DIAGONAL = 1, 2, 4


def stuff(data: bytes) -> bytes:
    """COBS, as its paper has it."""
    out, block = bytearray(), bytearray()
    for byte in data:
        if byte == 0:
            out += bytes([len(block) + 1]) + block
            block.clear()
            continue
        block.append(byte)
        if len(block) == 254:
            out += b"\xff" + block
            block.clear()
    return bytes(out + bytes([len(block) + 1]) + block)


def unstuff(data: bytes) -> bytes:
    """The way back."""
    out, at = bytearray(), 0
    while at < len(data):
        code = data[at]
        out += data[at + 1 : at + code]
        at += code
        if code < 0xFF and at < len(data):
            out.append(0)
    return bytes(out)


def frame(channel: int, opcode: int, request_id: int, payload: bytes = b"") -> bytes:
    """A frame as it stands on the wire."""
    body = bytes([channel]) + struct.pack("<HH", opcode, request_id) + payload
    return b"\0" + stuff(body + struct.pack("<I", crc32(body))) + b"\0"


@dataclass
class Got:
    """A message from the pen."""

    channel: int
    opcode: int
    request_id: int
    payload: bytes

    @property
    def refusal(self) -> tuple[int, int, int] | None:
        """Opcode, reason and limit of a refusal."""
        return struct.unpack("<HHi", self.payload) if self.opcode == REFUSED else None

    @property
    def reason(self) -> int:
        """The reason of a refusal, 0 if it is none."""
        return self.refusal[1] if self.refusal else 0


@dataclass
class RawClient:
    """One connection; `seen_tick` is the newest tick that it was told."""

    pen: SimulatedPen
    kind: PortKind = PortKind.STREAM
    seen_tick: int = 0
    next_request: int = 1
    command_id: int = 1
    boot_id: int = 0
    session_id: int = 0
    notes: list[Got] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.port = self.pen.connect(self.kind)
        self._rest = b""
        self._replies: dict[int, Got] = {}

    def send(self, channel: int, opcode: int, payload: bytes = b"") -> int:
        """Send one request; returns its id."""
        request_id, self.next_request = self.next_request, self.next_request % 0xFFFF + 1
        data = frame(channel, opcode, request_id, payload)
        self.sent.append(data)
        self.port.write(data)
        return request_id

    def pump(self) -> None:
        """Take what the pen sent."""
        self._rest += self.port.read()
        *runs, self._rest = self._rest.split(b"\0")
        for run in filter(None, runs):
            plain = unstuff(run)
            assert crc32(plain[:-4]) == struct.unpack("<I", plain[-4:])[0]
            opcode, request_id = struct.unpack_from("<HH", plain, 1)
            self._take(Got(plain[0], opcode, request_id, plain[5:-4]))

    def _take(self, got: Got) -> None:
        at = {STATUS: 0, TELEMETRY: 2, STATE_CHANGED: 2, HELLO_REPLY: len(got.payload) - 4, RENEWED: 0, STOPPED: 0}
        if got.opcode in at:
            self.seen_tick = max(self.seen_tick, struct.unpack_from("<I", got.payload, at[got.opcode])[0])
        if got.request_id:
            self._replies[got.request_id] = got
        else:
            self.notes.append(got)

    def reply(self, request_id: int, within_ms: int = 500) -> Got:
        """The reply to a request, in the pen's time."""
        for _ in range(within_ms // 5 + 1):
            self.pump()
            if request_id in self._replies:
                return self._replies.pop(request_id)
            self.pen.advance(5)
        raise AssertionError(f"no reply to {request_id} within {within_ms} ms")

    def ask(self, channel: int, opcode: int, payload: bytes = b"") -> Got:
        """Send and wait."""
        return self.reply(self.send(channel, opcode, payload))

    def header(self) -> bytes:
        """A command's header, with a new id and the newest tick."""
        self.status()
        command_id, self.command_id = self.command_id, self.command_id + 1
        return struct.pack("<IHI", command_id, 500, self.seen_tick)

    # What a host would do

    def hello(self) -> Got:
        """Say hello; learns boot id and tick."""
        got = self.ask(ON_STATUS, HELLO, struct.pack("<HI", 1, 7))
        self.boot_id = struct.unpack_from("<I", got.payload, 22)[0]
        return got

    def status(self) -> dict[str, int]:
        """How the pen stands."""
        names = "tick state reason flags session zone direction depth rate peak force punctures left resumes lease"
        names += " session_left wait utc battery overruns"
        got = self.ask(ON_STATUS, GET_STATUS)
        values = struct.unpack("<IHHHIBBHBHHIIBHHIIBH", got.payload)
        return dict(zip(names.split(), values, strict=True))

    def open(self, lease_ms: int = 500) -> Got:
        """Open a session."""
        fields = struct.pack("<IHI32s", self.boot_id, lease_ms, 0, NO_HASH)
        got = self.ask(ON_COMMAND, OPEN, self.header() + fields)
        if got.opcode == OPENED:
            self.session_id = struct.unpack_from("<I", got.payload, 10)[0]
        return got

    def tag_id(self) -> bytes:
        """The seated head's identity."""
        return self.ask(ON_STATUS, GET_CARTRIDGE).payload[2:10]

    def prepare(
        self, zone: int = NOSE, direction: int = VERTICAL, depth: int = 250, rate: int = 100, speed: int = 40
    ) -> Got:
        """Prepare a frame."""
        fields = struct.pack("<IBBHBB8s", self.session_id, zone, direction, depth, rate, speed, self.tag_id())
        return self.ask(ON_COMMAND, PREPARE, self.header() + fields)

    def begin(self, frame_id: int) -> Got:
        """The host's word."""
        return self.ask(ON_COMMAND, BEGIN, self.header() + struct.pack("<IH", self.session_id, frame_id))

    def resume(self) -> Got:
        """Go on with the pass."""
        return self.ask(ON_COMMAND, RESUME, self.header() + struct.pack("<I", self.session_id))

    def renew(self) -> Got:
        """Renew the lease with the newest tick."""
        return self.ask(ON_COMMAND, RENEW, struct.pack("<II", self.session_id, self.seen_tick))

    def live(self, ms: int) -> None:
        """Let time pass while renewing, as a living host does."""
        for _ in range(ms // 100):
            self.pen.advance(100)
            self.status()
            self.renew()

    def press(self) -> None:
        """Renew, and press the pen's button."""
        self.status()
        self.renew()
        self.pen.button.press()

    def start_pass(self, zone: int = NOSE, direction: int = VERTICAL, **fields: int) -> None:
        """Prepare, begin, press; the motor is up and the pen is armed afterwards."""
        got = self.prepare(zone, direction, **fields)
        assert got.opcode == PREPARED, hex(got.reason)
        frame_id = struct.unpack_from("<H", got.payload, 10)[0]
        got = self.begin(frame_id)
        assert got.opcode == BEGUN, hex(got.reason)
        self.press()
        self.live(500)

    def run_pass(self, zone: int = NOSE, direction: int = VERTICAL, **fields: int) -> None:
        """Start a pass and touch down."""
        self.start_pass(zone, direction, **fields)
        self.pen.hand.sweep(zone, direction, speed_mm_s=40)  # type: ignore[arg-type]
        self.live(300)


def raw_pen(*disabled: str, seed: int = 0, **options: object) -> RawClient:
    """A pen that has tested itself, and a client that has said hello; safeguards by name are off."""
    make = lambda: PenFirmware(disabled=frozenset(disabled))  # noqa: E731
    pen = SimulatedPen(seed=seed, firmware=make, **options)  # type: ignore[arg-type]
    pen.advance(1_000)
    client = RawClient(pen)
    client.hello()
    return client


def states(*disabled: str) -> Iterator[tuple[str, RawClient]]:
    """A pen in each state that a host can bring it to, with its owner's connection."""
    client = raw_pen(*disabled)
    yield "idle", client
    client = raw_pen(*disabled)
    client.open()
    yield "open", client
    client = raw_pen(*disabled)
    client.open()
    client.prepare()
    yield "prepared", client
    client = raw_pen(*disabled)
    client.open()
    client.begin(struct.unpack_from("<H", client.prepare().payload, 10)[0])
    yield "waiting", client
    client = raw_pen(*disabled)
    client.open()
    client.start_pass()
    yield "armed", client
    client = raw_pen(*disabled)
    client.open()
    client.run_pass()
    yield "running", client
    client = raw_pen(*disabled)
    client.open()
    client.run_pass()
    client.pen.hand.lift()
    client.live(500)
    yield "lifted", client
    client = raw_pen(*disabled)
    client.open()
    client.run_pass()
    client.ask(ON_COMMAND, PAUSE, struct.pack("<I", client.session_id))
    client.live(200)
    yield "paused", client
