"""A lease over the air, for hours: what the host does is the host's own, what the air does is the air's own.

Ours as it is: the session's loop, the lease, the watch over telemetry, the connection, the link over BLE (host);
connection events, losses, retransmission (`radio.air`); the port's segments (firmware). In their stead stand here only
the pen's mechanics, which cost most and delay nothing, and Bumble's host with both attribute protocols, of which the
order of things is kept: one request at a time, its response before what it causes, one indication until it is
confirmed, notifications in between. `tests/system/test_lease_air.py` holds it against the whole of it: a session over
bleak, Bumble and the simulated pen through the same air, event for event.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, Final, cast

from bumble import att, ll

from dermalink.connection import Connection
from dermalink.errors import LinkLost, Timeout
from dermalink.lease import Lease
from dermalink.links.ble_link import BleLink
from dermalink.links.link import Link
from dermalink.session.loop import SessionLoop
from dermalink.ticks import elapsed_ms, newer
from dermalink_protocol.channels import CHANNEL_RULES, Channel, Gatt
from dermalink_protocol.codewords import State
from dermalink_protocol.envelope import UNASKED, Envelope, decode_envelope, encode_envelope
from dermalink_protocol.limits import LEASE_MAX_MS, TELEMETRY_BATCH
from dermalink_protocol.messages.identity import GetStatus, Status
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.messages.therapy import LeaseRenewed, RenewLease
from dermalink_protocol.samples import PACK_SAMPLE, SAMPLE_MS
from dermalink_protocol.schema import Message
from dermalink_simulator.firmware.gatt import GattCodec
from dermalink_simulator.firmware.ports import Arrived
from dermalink_simulator.hardware.air import AirConditions
from dermalink_simulator.radio.air import Air
from dermalink_simulator.radio.link import CENTRAL, PERIPHERAL, Parameters
from dermalink_simulator.radio.link import Link as AirLink
from tests.benchmarks.codec import a_status
from tests.benchmarks.lease_hold_ups import HeldUpLink, HoldUps
from tests.benchmarks.lease_stops import Stops, Watch

# Clocks of pen and radio part by as much (assumption: two crystals of 25 ppm), so that no phase between batches and
# connection events lasts; the first phase is chance.
CLOCKS_PART: Final = 50e-6
INTERVAL_US: Final = 30_000  # where the air does not say: as in the profile of an ordinary room
SUPERVISION_MS: Final = 2_000  # the same
ATT_MTU: Final = 247
L2CAP_HEAD: Final = bytes(4)  # length and channel: on the air, and read by nobody here
BATCH_S: Final = TELEMETRY_BATCH * SAMPLE_MS / 1_000
SESSION: Final = 1
TICK_MASK: Final = 0xFFFF_FFFF
CLOCK_BEGAN_MS: Final = 1_000

_WRITE, _WRITTEN = bytes([att.Opcode.ATT_WRITE_REQUEST]), bytes([att.Opcode.ATT_WRITE_RESPONSE])
_COMMAND = bytes([att.Opcode.ATT_WRITE_COMMAND])
_NOTIFY, _INDICATE = bytes([att.Opcode.ATT_HANDLE_VALUE_NOTIFICATION]), bytes([att.Opcode.ATT_HANDLE_VALUE_INDICATION])
_CONFIRM = bytes([att.Opcode.ATT_HANDLE_VALUE_CONFIRMATION])
_SAMPLES = b"".join(PACK_SAMPLE.pack(231 + n, 640, 100, 7, 12, -3) for n in range(TELEMETRY_BATCH))
_HANDLES = {channel: int(channel).to_bytes(2, "little") for channel in Channel}

OnGap = Callable[[int, float], None]  # ms, and the loop's time


class AttEnd:
    """One side of the air's link, for packets of the attribute protocol."""

    def __init__(self, side: int, take: Callable[[bytes], None], on_lost: Callable[[], None]) -> None:
        self._side = side
        self._take = take
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self.air_link: AirLink | None = None

    def send(self, pdu: bytes) -> None:
        """On its way."""
        assert self.air_link is not None
        self.air_link.send(self._side, first=True, data=L2CAP_HEAD + pdu)

    def ended(self, _reason: int) -> None:
        """Nothing came through for a supervision time-out."""
        self._on_lost()

    def adopted(self, _parameters: Parameters) -> None:
        """The air has another interval: nobody here asks."""

    def control_arrived(self, _pdu: ll.ControlPdu) -> None:
        """Nobody here sends one."""

    def passed(self) -> None:
        """There is room for another: more than is ever under way here."""

    def arrived(self, _first: bool, data: bytes) -> None:
        """From the other side: its host has it a moment later, so its answer waits for the next event."""
        self._loop.call_soon(self._take, data[len(L2CAP_HEAD) :])


class AirClient:
    """What `BleLink` needs of a bleak client: one write at a time, indications confirmed before they are looked at."""

    def __init__(self) -> None:
        self.on_value: Callable[[Channel, bytes], None] = lambda _channel, _value: None
        self.on_gone: Callable[[], None] = lambda: None
        self.end = AttEnd(CENTRAL, self._take, self._lost)
        self._written: asyncio.Future[None] | None = None

    def value_bytes(self, _channel: Channel) -> int:
        return ATT_MTU - 3

    async def secure(self, *, pairs: bool) -> None:
        """Nothing is refused here."""

    async def write(self, channel: Channel, value: bytes, *, response: bool) -> None:
        """Write, and wait for the answer where there is one."""
        if not response:
            self.end.send(_COMMAND + _HANDLES[channel] + value)
            return
        assert self._written is None
        self._written = asyncio.get_running_loop().create_future()
        self.end.send(_WRITE + _HANDLES[channel] + value)
        try:
            await self._written
        finally:
            self._written = None

    def _take(self, pdu: bytes) -> None:
        if pdu[:1] == _WRITTEN:
            if self._written is not None and not self._written.done():
                self._written.set_result(None)
            return
        if pdu[:1] == _INDICATE:
            self.end.send(_CONFIRM)
        self.on_value(Channel(pdu[1]), pdu[3:])

    def _lost(self) -> None:
        self.on_gone()

    def let_go(self) -> None:
        """There is nothing to let go of."""

    async def disconnect(self, _within_s: float) -> None:
        """There is nothing to disconnect."""


class LeasedPen:
    """A pen in a pass that never ends: batches, status, and a lease that is renewed; `on_gap` gets each renewal's gap.

    The gap is what the lease had to last for: from the tick that the renewal before it quoted to the moment at which
    this one took hold. The lease of `lease_ms` lapses in between where the gap is as long as that. By the firmware's
    rule it counts from the quoted tick, and is never made shorter by a renewal. Its clock counts in rounds of the main
    loop, as a running pen's does, and runs slow by `clocks_part`.
    """

    def __init__(self, lease_ms: int, on_gap: OnGap, clocks_part: float = CLOCKS_PART) -> None:
        """`begin` starts it."""
        self.end = AttEnd(PERIPHERAL, self._take, self._lost)
        self._loop = asyncio.get_running_loop()
        self._codec = GattCodec()
        self._codec.att_mtu = ATT_MTU
        self._lease_ms = lease_ms
        self._on_gap = on_gap
        self._slow = 1 + clocks_part
        self._quoted: int | None = None
        self._indications: deque[bytes] = deque()
        self._awaited = False
        self._batches = self._sequence = 0
        self._zero_s, self._zero_tick = self._loop.time(), CLOCK_BEGAN_MS
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, began_s: float) -> None:
        """A pass, whose samples are counted from `began_s`: that is now, or a moment to come."""
        self._zero_tick += max(0, self._round_of(began_s)) * SAMPLE_MS
        self._zero_s = began_s
        self._batches = 0
        self._quoted = None
        self._timer = self._loop.call_at(self._batch_at(), self._batch)

    def stop(self) -> None:
        """The pass is over."""
        if self._timer is not None:
            self._timer.cancel()

    def _round_of(self, at_s: float) -> int:
        """How many rounds of the main loop it has made by then."""
        return int((at_s - self._zero_s) / self._slow * 1_000 / SAMPLE_MS + 1e-4)

    @property
    def tick_ms(self) -> int:
        """Its clock, which began long before."""
        return self._zero_tick + self._round_of(self._loop.time()) * SAMPLE_MS

    def _batch_at(self) -> float:
        return self._zero_s + (self._batches + 1) * BATCH_S * self._slow

    def _batch(self) -> None:
        """A batch is sent with its last sample, and carries the tick of its first."""
        began = self.tick_ms - (TELEMETRY_BATCH - 1) * SAMPLE_MS
        self._say(UNASKED, Telemetry(sequence=self._sequence & 0xFFFF, tick_ms=began, samples=_SAMPLES))
        self._sequence += 1
        self._batches += 1
        self._timer = self._loop.call_at(self._batch_at(), self._batch)

    def _lost(self) -> None:
        """Without a link no renewal comes any more: the gap is no shorter than up to here."""
        self.stop()
        if self._quoted is not None:
            self._on_gap(elapsed_ms(self._quoted, self.tick_ms), self._loop.time())

    def _say(self, request_id: int, message: Message) -> None:
        assert message.channel is not None
        for value in self._codec.encode(
            message.channel, encode_envelope(Envelope(message.channel, request_id, message))
        ):
            pdu = _HANDLES[Channel(value[0])] + value[1:]
            if message.channel is Channel.TELEMETRY:
                self.end.send(_NOTIFY + pdu)
            else:
                self._indications.append(_INDICATE + pdu)
        self._pump()

    def _pump(self) -> None:
        if self._indications and not self._awaited:
            self._awaited = True
            self.end.send(self._indications.popleft())

    def _take(self, pdu: bytes) -> None:
        if pdu[:1] == _CONFIRM:
            self._awaited = False
            self._pump()
            return
        if pdu[:1] == _WRITE:
            self.end.send(_WRITTEN)
        elif Gatt.WRITE_WITHOUT_RESPONSE not in CHANNEL_RULES[Channel(pdu[1])].gatt:
            return  # as the pen's server does: nobody can be told
        for event in self._codec.decode(bytes([pdu[1]]) + pdu[3:]):
            assert isinstance(event, Arrived)
            envelope = decode_envelope(event.channel, event.body)
            self._say(envelope.request_id, self._answer(envelope.message))

    def _answer(self, message: Message) -> Message:
        now = self.tick_ms
        if isinstance(message, GetStatus):
            return _status_at(now, self._left(now))
        assert isinstance(message, RenewLease)
        if self._quoted is not None:
            self._on_gap(elapsed_ms(self._quoted, now), self._loop.time())
        self._quoted = newer(self._quoted, message.seen_tick_ms)
        return LeaseRenewed(tick_ms=now & TICK_MASK, lease_left_ms=self._left(now))

    def _left(self, now: int) -> int:
        if self._quoted is None:
            return 0
        return max(0, self._lease_ms - elapsed_ms(self._quoted, now))


def _status_at(tick_ms: int, lease_left_ms: int) -> Status:
    fields = a_status().as_dict() | {"tick_ms": tick_ms & TICK_MASK, "lease_left_ms": lease_left_ms}
    return Status(**fields)


class NoTally:
    """In a pass that never ends there is nothing to add up."""

    stopped_here = False

    def telemetry(self, _batch: Telemetry) -> None: ...

    def status(self, _status: Status) -> None: ...

    def progress(self, *_: object) -> None: ...


class LeasingPen:
    """What the session's loop needs of a `Pen`, on a connection that admits everything."""

    alarm = None

    def __init__(self, connection: Connection, lease_ms: int) -> None:
        self.connection = connection
        self.margin = connection.margin
        self._lease_ms = lease_ms

    def lease(self, session_id: int, lease_ms: int) -> Lease:
        del lease_ms  # what the session asks for; here no lease may lapse, so that each gap is seen
        return Lease(self.connection, session_id, self._lease_ms)

    async def status(self) -> Status:
        return await self.connection.request(GetStatus())

    async def request(self, request: GetStatus) -> Status:
        return await self.connection.request(request)


class LeasedLink:
    """A host and a pen on one link through an air of their own, and passes over it, one after the other."""

    def __init__(
        self,
        conditions: AirConditions,
        seed: int,
        stops: Stops,
        *,
        lease_ms: int = int(LEASE_MAX_MS),
        clocks_part: float = CLOCKS_PART,
        hold_ups: HoldUps | None = None,
    ) -> None:
        """Connected from now on: the first connection event takes place an interval later."""
        self.air = Air(conditions, seed)
        client = AirClient()
        self._pen = LeasedPen(lease_ms, stops.gap, clocks_part)
        agreed = Parameters(conditions.interval_us or INTERVAL_US, 0, SUPERVISION_MS)
        client.end.air_link = self._pen.end.air_link = self.air.connect(client.end, self._pen.end, agreed)
        link: Link = BleLink(cast("Any", client), "ble:lease", "")
        self.connection = Connection(link if hold_ups is None else HeldUpLink(link, hold_ups), admit=lambda _: True)
        self.connection.start()
        self.connection.listen(Watch(stops))
        self._session = SessionLoop(cast("Any", None), lambda _: None)
        self._host_side = LeasingPen(self.connection, lease_ms)
        self._session.tally, self._session.session_id = cast("Any", NoTally()), SESSION

    async def run(self, began_s: float, until_s: float) -> bool:
        """One pass, whose samples are counted from `began_s`; whether the link still stands afterwards."""
        session, loop = self._session, asyncio.get_running_loop()
        session.attach(cast("Any", self._host_side))
        session.state = State.RUNNING
        await self.connection.link.secure(pairs=False)
        self._pen.begin(began_s)
        try:
            await session.begin_lease()
            while loop.time() < until_s:
                await session.next()
        except (LinkLost, Timeout):  # two seconds without a single event, which is a stop like any other
            return False
        finally:
            await session.detach()
            self._pen.stop()
        return True

    async def close(self) -> None:
        """Let go of all of it."""
        self.air.close()
        await self.connection.close()


async def renew_for(seconds: float, conditions: AirConditions, seed: int, stops: Stops) -> float:
    """One pass of so many seconds over one link, or until that is lost; returns how long it was."""
    random = Random(f"lease/{seed}")
    loop = asyncio.get_running_loop()
    mistakes: list[object] = []
    loop.set_exception_handler(lambda _, context: mistakes.append(context))  # a mistake must not pass for bad air
    began_s = loop.time()
    phase_s = random.uniform(0, BATCH_S)
    link = LeasedLink(conditions, seed, stops, hold_ups=HoldUps(random))
    try:
        await link.run(began_s + phase_s, began_s + seconds)
    finally:
        await link.close()
    if mistakes:
        raise RuntimeError(f"the model failed: {mistakes}")
    return loop.time() - began_s
