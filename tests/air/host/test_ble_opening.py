"""Opening a link: each limit as it is written, and a pen that is free again however it ends."""

import asyncio
from collections.abc import Callable

import pytest

from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.stopping import stop_one
from dermalink.errors import CannotOpen, WrongPen
from dermalink.links import ble_calls
from dermalink.links.ble_client import DISCONNECT_WITHIN_S
from dermalink.links.ble_stop_first import stop_within_s
from dermalink.links.link import Link
from dermalink.links.open import open_link
from dermalink.pen import Pen
from dermalink_protocol.channels import Channel
from dermalink_simulator.doors.ble import BleDoor
from dermalink_simulator.doors.ble_link import BleLink
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.runner import PenRunner
from dermalink_simulator.virtual_time import VirtualTimeLoop
from tests.air.host.fake_bleak import FOREVER, Computer, Peripheral, pass_time
from tests.air.host.rig import opened, using
from tests.support.running import in_virtual_time

ANNOUNCED = "DP1-99999"
SEED = 5


class Linked:
    """For how long a device was linked, each time."""

    def __init__(self, device: Peripheral) -> None:
        self.for_s: list[float] = []
        self.up = False
        self._since = 0.0
        device.on_link, device.on_unlink = self._link, self._unlink

    def _link(self) -> None:
        self._since = asyncio.get_running_loop().time()
        self.up = True

    def _unlink(self) -> None:
        self.for_s.append(asyncio.get_running_loop().time() - self._since)
        self.up = False


# Limits


@pytest.mark.parametrize(
    ("hangs", "what", "before_s"), [("read_s", "read version", 0.0), ("subscribe_s", "subscribe to", 0.01)]
)
@in_virtual_time
async def test_a_pen_that_does_not_answer_while_it_is_set_up_is_given_five_seconds(
    hangs: str, what: str, before_s: float
) -> None:
    device = Peripheral()
    setattr(device, hangs, FOREVER)
    computer = Computer(device)
    computer.disconnect_s = 0.0
    linked = Linked(device)
    with pytest.raises(CannotOpen, match=f"{what}.* took longer than 5 s"):
        await opened(computer)
    assert linked.for_s == [pytest.approx(5.0 + before_s)] * 3


@in_virtual_time
async def test_a_connect_that_keeps_no_time_of_its_own_is_given_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object, **__: object) -> None:
        await pass_time(FOREVER)

    monkeypatch.setattr("tests.air.host.fake_bleak.FakeClient.connect", hang)
    device = Peripheral()
    computer = Computer(device)
    opening = asyncio.ensure_future(opened(computer, device.address))  # heard after 0.1 s
    await asyncio.sleep(10.05)
    assert [client.disconnects for client in computer.clients] == [0]
    await asyncio.sleep(0.1)
    assert [client.disconnects for client in computer.clients] == [1]
    opening.cancel()
    await asyncio.wait([opening])


@pytest.mark.parametrize("stop_first", [False, True])
@pytest.mark.parametrize(("within_s", "limit_s"), [(None, 30.0), (3.0, 3.0), (12.0, 12.0)])
@in_virtual_time
async def test_all_of_it_is_bounded_whatever_each_step_may_take(
    within_s: float | None, limit_s: float, stop_first: bool
) -> None:
    devices = [Peripheral("DP1-00042", address=f"C0:00:00:00:00:0{number}") for number in range(5 if stop_first else 1)]
    if stop_first and within_s is None:
        limit_s = stop_within_s(5)
    for device in devices:
        device.connect_s = FOREVER
    with using(Computer(*devices)), pytest.raises(CannotOpen, match=f"not open after {limit_s:g} s"):
        await open_link("ble:DP1-00042", within_s=within_s, stop_first=stop_first)
    assert asyncio.get_running_loop().time() == pytest.approx(limit_s)
    await asyncio.sleep(DISCONNECT_WITHIN_S)
    assert ble_calls.left() == 0


# Given up


@pytest.mark.parametrize("stop_first", [False, True])
@in_virtual_time
async def test_whoever_is_cancelled_at_any_moment_leaves_no_link_behind(stop_first: bool) -> None:
    ends_s = await _opening_takes_s(stop_first)
    steps = [number * 0.0025 for number in range(round(ends_s / 0.0025) + 1)]
    linked_at_all = 0
    for after_s in steps:
        device = Peripheral()
        computer = Computer(device)
        linked = Linked(device)
        with using(computer):
            opening = asyncio.ensure_future(open_link("ble:DP1-00042", stop_first=stop_first))
            await asyncio.sleep(after_s)
            opening.cancel()
            await asyncio.wait([opening])
        if opening.cancelled():
            await asyncio.sleep(computer.disconnect_s + 0.1)
            linked_at_all += bool(linked.for_s)
        else:
            await opening.result().close()
        assert not linked.up, after_s
        assert not computer.linked(device)
        assert not any(scanner.running for scanner in computer.scanners)
        assert [client.disconnects for client in computer.clients] in ([], [1])
    assert linked_at_all > 10
    assert ble_calls.left() == 0


async def _opening_takes_s(stop_first: bool) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with using(Computer(Peripheral())):
        link = await open_link("ble:DP1-00042", stop_first=stop_first)
    took_s = loop.time() - began
    await link.close()
    return took_s


@pytest.mark.parametrize("closes", [False, True])
def test_a_loop_that_ends_at_once_ends_the_link_first(closes: bool) -> None:
    """As when Ctrl-C ends a command: whoever ends a loop cancels all that is on it, what lets go of a link as well."""
    device = Peripheral()
    linked = Linked(device)
    ends: list[bool] = []

    async def close(opening: "asyncio.Future[Link]") -> None:
        await (await opening).close()

    async def give_up() -> None:
        subscribing = asyncio.Event()
        device.on_subscribe = lambda _channel: subscribing.set()
        with using(Computer(device)):
            opening = asyncio.ensure_future(open_link("ble:DP1-00042"))
            await (asyncio.wait([opening]) if closes else subscribing.wait())
            doing = asyncio.ensure_future(close(opening))
            await asyncio.sleep(0.01 if closes else 0)
            doing.cancel()
            await asyncio.wait([doing])
        ends.append(linked.up)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(give_up())
    ends.append(linked.up)
    assert ends == [True, False]
    assert ble_calls.left() == 0


# Another pen than was announced


class Announcing:
    """A simulated pen that announces a serial number which is another's, and what came in at its door."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.came: list[Channel] = []
        write = BleLink.write

        def note(link: BleLink, channel: Channel, segment: bytes) -> int:
            self.came.append(channel)
            return write(link, channel, segment)

        monkeypatch.setattr(BleLink, "write", note)

    async def at(self, name: str, story: Callable[[str, BleDoor], object]) -> None:
        runner = PenRunner(SimulatedPen(seed=SEED))
        door = await BleDoor.open(runner, f"air:{name}", serial_number=ANNOUNCED, seed=SEED, air="perfect")
        try:
            await story(f"ble:{ANNOUNCED}?radio=air:{name}", door)  # type: ignore[misc]
        finally:
            await door.close()
            runner.stop()


@in_virtual_time
async def test_a_pen_that_announces_another_s_serial_number_hears_hello_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    announcing = Announcing(monkeypatch)
    said: list[str] = []

    async def story(url: str, door: BleDoor) -> None:
        with pytest.raises(WrongPen, match=f"{ANNOUNCED} was announced, DL-SIM-00000005 said hello"):
            await Pen.connect(
                url,
                inspect_only=False,
                trace=lambda connection: setattr(
                    connection, "on_message", lambda way, envelope: said.append(type(envelope.message).__name__)
                ),
            )
        await asyncio.sleep(1.0)
        assert door.links == 0

    await announcing.at("liar", story)
    assert said == ["Hello", "HelloReply"]
    assert announcing.came
    assert set(announcing.came) == {Channel.STATUS}


@in_virtual_time
async def test_it_takes_stop_all_the_same_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    announcing = Announcing(monkeypatch)

    async def story(url: str, door: BleDoor) -> None:
        assert (await stop_one(url)).code is ExitCode.DONE
        await asyncio.sleep(1.0)
        assert door.links == 0

    await announcing.at("liar", story)
    assert announcing.came[0] is Channel.STOP
    assert Channel.COMMAND not in announcing.came
