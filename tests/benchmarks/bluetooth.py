"""bleak on a Bumble radio against Bumble's own GATT client, and our whole host against it: one process, no air between.

Both are centrals of the same peripheral on the same corrected controllers, so what differs is the asking side alone.
Whole sessions over the full stack are measured in virtual time.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, cast

from dermalink.connection import Connection
from dermalink.journal import MemoryJournal
from dermalink.links.open import open_link
from dermalink.pen import Pen
from dermalink.plan.load import plan_from_bytes
from dermalink.session import events
from dermalink.session.events import Event
from dermalink.session.outcome import Ending
from dermalink.session.runner import Session
from dermalink.session.words import Word, WordQueue
from dermalink_protocol.channels import CHANNEL_RULES, Channel
from dermalink_protocol.envelope import Envelope, encode_envelope
from dermalink_protocol.messages.identity import GetStatus
from dermalink_protocol.segmentation import Segmenter
from dermalink_simulator.pen import SimulatedPen, serial_number
from dermalink_simulator.runner import PenRunner
from dermalink_simulator.virtual_time import VirtualTimeLoop
from tests.benchmarks.measure import Missing, Row
from tests.benchmarks.round_trip import in_pairs

try:
    from bleak import BleakClient, BleakScanner
    from bumble import hci
    from bumble.core import UUID
    from bumble.device import Connection as BumbleConnection
    from bumble.device import Device, DeviceConfiguration, Peer
    from bumble.gatt import Characteristic, CharacteristicValue, Service
    from bumble.gatt_client import CharacteristicProxy

    from dermalink_simulator.doors.ble import BleDoor
    from dermalink_simulator.hardware.air import PERFECT
    from dermalink_simulator.radio.air import Air
    from dermalink_simulator.radio.backends import backends
    from dermalink_simulator.radio.corrections import make_controller, make_device, static_address
    from dermalink_simulator.radio.spaces import find_air, published_air
    from tests.benchmarks.sealed_air import sealed_by_ble
except ImportError as missing:
    raise Missing(f"{missing} (the extra `simulator` has it)") from missing

ATT_MTU: Final = 247
LEAST_SEALED: Final = 185  # from there on a sealed status fits one value, as one in the clear does
SHORT, LONG = 20, 244  # what a notification holds at the least ATT_MTU, and at the one that is usual
TRIPS: Final = 200
NOTIFICATIONS: Final = 1_000
ROUND_WITHIN_S: Final = 30.0  # a round takes a fraction of a second
NAME: Final = "Echo"
SERVICE, ECHO, STREAM = (f"bb0000{slot:02x}-1111-4222-8333-444444444444" for slot in range(3))
SEED: Final = 3
BOTH_CHEEKS: Final = b"""plan = 1
rate_hz = 100
speed_mm_s = 40
[[zone]]
name = "left_cheek"
directions = ["vertical", "horizontal", "diagonal"]
depth = "0.25 mm"
[[zone]]
name = "right_cheek"
directions = ["vertical", "horizontal", "diagonal"]
depth = "0.25 mm"
"""
PAUSE_S: Final = 120.0  # between passes: a person who moves on in no hurry, as in the session in memory

Trip = Callable[[], Awaitable[None]]


def rows() -> Iterator[Row]:
    """Round trips and notifications against bare Bumble, then sessions."""
    with asyncio.Runner() as runner:
        yield from in_turn(runner, echoes)
        yield from in_turn(runner, statuses)
        for att_mtu in (LEAST_SEALED, ATT_MTU):
            yield runner.run(sealed_by_ble(att_mtu))
    yield from sessions()


def in_turn(runner: asyncio.Runner, of: "Callable[[asyncio.Runner, AsyncExitStack], Iterator[Row]]") -> Iterator[Row]:
    """The rows of a room that is set up first and taken down afterwards."""
    stack = AsyncExitStack()
    try:
        yield from of(runner, stack)
    finally:
        runner.run(stack.aclose())


# bleak


class Waited:
    """Values that come, counted; `wait` waits for so many."""

    def __init__(self) -> None:
        self.came = 0
        self._wanted = 0
        self._there: asyncio.Future[None] | None = None

    def take(self, *_: object) -> None:
        """One more."""
        self.came += 1
        if self.came >= self._wanted and self._there is not None and not self._there.done():
            self._there.set_result(None)

    def expect(self, count: int) -> "asyncio.Future[None]":
        """Done when so many more have come."""
        self._wanted = self.came + count
        self._there = asyncio.get_running_loop().create_future()
        return self._there


def echoes(runner: asyncio.Runner, stack: AsyncExitStack) -> Iterator[Row]:
    """Bumble's server echoes what is written by an indication, and notifies as fast as it may."""
    air = Air(PERFECT)
    stack.enter_context(published_air("bench", air))
    echo = runner.run(stack.enter_async_context(echoing(air)))
    ours, our_stream = runner.run(asyncio.wait_for(by_bleak(stack), ROUND_WITHIN_S))
    theirs, their_stream = runner.run(asyncio.wait_for(by_bumble(air, stack), ROUND_WITHIN_S))

    def trips(trip: Trip) -> Callable[[], float]:
        return lambda: seconds(runner, times(trip, TRIPS)) / TRIPS

    mine, bare, ratio = in_pairs(trips(ours), trips(theirs))
    yield Row("write + indication, bleak", mine * 1e6, "µs", "bare Bumble", bare * 1e6, ratio, "≤ 1.2")
    for size in (SHORT, LONG):
        mine, bare, ratio = in_pairs(
            lambda size=size: seconds(runner, stream(echo, 0, our_stream, size)) / NOTIFICATIONS,  # type: ignore[misc]
            lambda size=size: seconds(runner, stream(echo, 1, their_stream, size)) / NOTIFICATIONS,  # type: ignore[misc]
        )
        name = f"notifications of {size} bytes, bleak"
        yield Row(name, 1 / mine, "/s", "bare Bumble", 1 / bare, ratio, "≤ 1.2 of the time")


def seconds(runner: asyncio.Runner, work: Any) -> float:
    """How long a coroutine takes."""
    begun = time.perf_counter()
    runner.run(asyncio.wait_for(work, ROUND_WITHIN_S))
    return time.perf_counter() - begun


async def times(trip: Trip, count: int) -> None:
    """One after the other."""
    for _ in range(count):
        await trip()


class Echoing:
    """A peripheral on stock Bumble's server."""

    def __init__(self, device: "Device") -> None:
        self.device = device
        self.centrals: list[BumbleConnection] = []
        properties = Characteristic.Properties.WRITE | Characteristic.Properties.INDICATE
        written: CharacteristicValue[bytes] = CharacteristicValue(write=self._echo)
        self._echoed: Characteristic[bytes] = Characteristic(ECHO, properties, Characteristic.WRITEABLE, written)
        self.stream: Characteristic[bytes] = Characteristic(
            STREAM, Characteristic.Properties.NOTIFY, Characteristic.READABLE, b""
        )
        device.add_service(Service(SERVICE, [self._echoed, self.stream]))
        device.on(device.EVENT_CONNECTION, self._connected)
        self._tasks: set[asyncio.Task[None]] = set()

    def _connected(self, connection: "BumbleConnection") -> None:
        self.centrals.append(connection)
        self._spawn(self.advertise())  # the first central has ended it, and the next one looks for it

    async def advertise(self) -> None:
        """By name."""
        await self.device.start_advertising(auto_restart=False)

    def _echo(self, connection: "BumbleConnection", value: bytes) -> None:
        self._spawn(self.device.gatt_server.indicate_subscriber(connection, self._echoed, value))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@asynccontextmanager
async def echoing(air: "Air") -> AsyncIterator[Echoing]:
    """It advertises until the end."""
    controller = make_controller(NAME, air)
    ends = cast("Any", controller)
    config = DeviceConfiguration(classic_enabled=False)
    device = make_device(NAME, static_address(NAME), ends, ends, config=config)
    echo = Echoing(device)
    await device.power_on()
    name = NAME.encode()
    device.advertising_data = bytes([len(name) + 1, 0x09]) + name
    await echo.advertise()
    try:
        yield echo
    finally:
        controller.leave()


async def stream(echo: Echoing, central: int, waited: Waited, size: int) -> None:
    """So many notifications, until the last has arrived."""
    value = bytes(size)
    done = waited.expect(NOTIFICATIONS)
    for _ in range(NOTIFICATIONS):
        await echo.device.gatt_server.notify_subscriber(echo.centrals[central], echo.stream, value)
    await done


async def by_bleak(stack: AsyncExitStack) -> tuple[Trip, Waited]:
    """A bleak client of the peripheral: its round trip, and what its stream brings."""
    client_type, scanner_type = backends("air:bench")
    device = await BleakScanner.find_device_by_name(NAME, backend=scanner_type)
    assert device is not None
    client = await stack.enter_async_context(BleakClient(device, backend=client_type))
    echoed, streamed = Waited(), Waited()
    await client.start_notify(ECHO, echoed.take)
    await client.start_notify(STREAM, streamed.take)
    echo = client.services.get_characteristic(ECHO)
    assert echo is not None
    value = bytes(SHORT)

    async def trip() -> None:
        there = echoed.expect(1)
        await client.write_gatt_char(echo, value, response=True)
        await there

    return trip, streamed


async def central_of(air: "Air", stack: AsyncExitStack, address: "hci.Address") -> "Peer":
    """Bumble's own client, connected and with the table discovered."""
    controller = make_controller("bare", air)
    stack.callback(controller.leave)
    ends = cast("Any", controller)
    config = DeviceConfiguration(classic_enabled=False)
    device = make_device("bare", static_address("bare"), ends, ends, config=config)
    await device.power_on()
    peer = Peer(await device.connect(address))
    await peer.request_mtu(ATT_MTU)
    await peer.discover_all()  # type: ignore[no-untyped-call]
    return peer


def found(peer: "Peer", uuid: str) -> "CharacteristicProxy[bytes]":
    """The characteristic of that UUID."""
    (one,) = peer.get_characteristics_by_uuid(UUID(uuid))
    return one


async def by_bumble(air: "Air", stack: AsyncExitStack) -> tuple[Trip, Waited]:
    """The same by Bumble itself."""
    peer = await central_of(air, stack, static_address(NAME))
    echoed, streamed = Waited(), Waited()
    echo = found(peer, ECHO)
    await echo.subscribe(echoed.take, prefer_notify=False)
    await found(peer, STREAM).subscribe(streamed.take)
    value = bytes(SHORT)

    async def trip() -> None:
        there = echoed.expect(1)
        await echo.write_value(value, with_response=True)
        await there

    return trip, streamed


# Our host


def statuses(runner: asyncio.Runner, stack: AsyncExitStack) -> Iterator[Row]:
    """A status of the simulated pen: by our host, and as bytes that Bumble's client writes and waits for."""
    connection = runner.run(asyncio.wait_for(our_host(stack), ROUND_WITHIN_S))
    bare_trip = runner.run(asyncio.wait_for(bare_status(stack), ROUND_WITHIN_S))

    async def trip() -> None:
        await connection.request(GetStatus())

    mine, bare, ratio = in_pairs(
        lambda: seconds(runner, times(trip, TRIPS)) / TRIPS, lambda: seconds(runner, times(bare_trip, TRIPS)) / TRIPS
    )
    yield Row("status round trip, BLE, our host", mine * 1e6, "µs", "bare Bumble", bare * 1e6, ratio, "≤ 1.2")


async def our_host(stack: AsyncExitStack) -> Connection:
    """A connection to a simulated pen on an air of its own."""
    runner = PenRunner(SimulatedPen(seed=SEED))
    stack.callback(runner.stop)
    door = await BleDoor.open(runner, "air:pen", serial_number=serial_number(SEED), seed=SEED, air="perfect")
    stack.push_async_callback(door.close)
    connection = Connection(await open_link(f"{door.url}?radio={door.radio}"))
    stack.push_async_callback(connection.close)
    connection.start()
    await connection.link.secure(pairs=False)
    return connection


async def bare_status(stack: AsyncExitStack) -> Trip:
    """The same exchange with the same pen by Bumble's client, each time the same bytes."""
    air = find_air("pen")
    address = next(one for one in air.members if one.name == "pen").random_address
    peer = await central_of(air, stack, address)
    status = found(peer, str(CHANNEL_RULES[Channel.STATUS].uuid))
    replied = Waited()
    await status.subscribe(replied.take, prefer_notify=False)
    (asked,) = Segmenter().cut(encode_envelope(Envelope(Channel.STATUS, 1, GetStatus())), ATT_MTU)

    async def trip() -> None:
        there = replied.expect(1)
        await status.write_value(asked, with_response=True)
        await there

    return trip


# Sessions


def sessions() -> Iterator[Row]:
    """Both cheeks in three directions, led by the host over bleak: with a pause before each pass, and without any."""
    session("perfect", 0.0)  # what is imported and cached at first is, before anything is measured
    for name, pause_s in (("session with pauses", PAUSE_S), ("session without a pause", 0.0)):
        for air in ("perfect", "room"):
            simulated_s, spent_s = session(air, pause_s)
            yield Row(
                f"{name} over BLE, {air} air",
                simulated_s / spent_s,
                "x real time",
                "CPU",
                spent_s,
                spent_s / simulated_s,
                "≥ 100 x",
                "s",
            )


def session(air: str, pause_s: float) -> tuple[float, float]:
    """Seconds of a session, simulated and of the CPU."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        begun = time.process_time()
        simulated_s = runner.run(whole_session(air, pause_s))
        return simulated_s, time.process_time() - begun


async def whole_session(air: str, pause_s: float) -> float:
    """From the first word to the last; returns simulated seconds."""
    loop = asyncio.get_running_loop()
    sim = SimulatedPen(seed=SEED)
    runner = PenRunner(sim)
    door = await BleDoor.open(runner, "air:session", serial_number=serial_number(SEED), seed=SEED, air=air)
    try:
        url = f"{door.url}?radio={door.radio}"
        async with await Pen.connect(url, journal=MemoryJournal(), utc=lambda: sim.clock.utc_s) as pen:
            person = Handy(runner, sim, pause_s)
            plan = plan_from_bytes(BOTH_CHEEKS, "the benchmark's plan")
            begun_s = loop.time()
            summary = await Session(pen, plan, person.words, person.see).run()
            if summary.ending is not Ending.DONE:
                raise Missing(f"the session over {air} air was not led to its end: {summary.why}")
            return loop.time() - begun_s
    finally:
        await door.close()
        runner.stop()


class Handy:
    """A person who does what the display says, each pass `pause_s` after the one before."""

    PRESS_AFTER_S: Final = 0.4
    COVERED_PERCENT: Final = 95

    def __init__(self, runner: PenRunner, sim: SimulatedPen, pause_s: float) -> None:
        self.words = WordQueue()
        self._runner, self._sim, self._pause_s = runner, sim, pause_s
        self._asked: Event | None = None

    def _go_on(self, asked: Event) -> None:
        """Only to what is asked still."""
        if self._asked is asked:
            self.words.say(Word.GO)

    def see(self, event: Event) -> None:
        """Do it."""
        later = asyncio.get_running_loop().call_later
        self._asked = self._asked if isinstance(event, events.Progress) else event
        act, hand = self._runner.act, self._sim.hand
        if isinstance(event, events.ReadyAsked):
            later(self._pause_s, self._go_on, event)
        elif isinstance(event, events.PressAsked):
            later(self.PRESS_AFTER_S, act, self._sim.button.press)
        elif isinstance(event, events.PassStarted):
            step = event.step
            act(lambda: hand.sweep(step.zone, step.direction, speed_mm_s=step.speed_mm_s))
        elif isinstance(event, events.PassOver) or (
            isinstance(event, events.Progress) and event.coverage_percent >= self.COVERED_PERCENT
        ):
            act(hand.lift)
