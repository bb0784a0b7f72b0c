"""One scanner and one connect at a time in the whole process, whichever loops and threads ask for it."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from dermalink.errors import RadioBusy
from dermalink.links import ble_turns
from dermalink.links.ble_client import CONNECT_WITHIN_S
from dermalink.links.ble_finding import FIND_WITHIN_S, START_WITHIN_S, STOP_WITHIN_S, find_pen, listening
from dermalink.links.ble_link import BleLink
from dermalink.links.ble_radio import Radio
from dermalink.links.ble_tries import OPEN_WITHIN_S
from dermalink.links.ble_turns import CONNECT, LISTEN, LOOK_AGAIN_S, TURN_WITHIN_S, Place, turn
from dermalink_simulator.virtual_time import VirtualTimeLoop
from tests.air.host.fake_bleak import Computer, FakeScanner, Peripheral
from tests.air.host.rig import opened, using
from tests.support.running import in_real_time, in_virtual_time

HALL = Radio("air:hall")


ADDRESS = Peripheral("DP1-00001").address


def waiting(what: str, radio: Radio) -> int:
    """How many are in the line, the one with the turn included."""
    return len(ble_turns._lines.get((what, radio.spec), []))


async def until(done: Callable[[], bool]) -> None:
    """Let other threads run, until it is so."""
    while not done():  # noqa: ASYNC110 (a thread sets no event of this loop)
        await asyncio.sleep(0)


def pens() -> Computer:
    computer = Computer(Peripheral("DP1-00001"), Peripheral("DP1-00002"))
    for pen in computer.peripherals:
        pen.interval_s = 0.01
    computer.disconnect_s = 0.0
    return computer


class Elsewhere:
    """A coroutine on a loop of its own, in a thread of its own, as `SyncPen` has one."""

    def __init__(self, work: Coroutine[Any, Any, Any]) -> None:
        self.error: BaseException | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, name="elsewhere")
        self._thread.start()

    def _run(self) -> None:
        try:
            asyncio.run(self._work)
        except BaseException as error:  # noqa: BLE001 (told in `over`)
            self.error = error

    async def over(self) -> None:
        """Wait for it; raises what it raised."""
        await until(lambda: not self._thread.is_alive())
        self._thread.join()
        if self.error is not None:
            raise self.error


def another_loop() -> asyncio.Runner:
    return asyncio.Runner(loop_factory=VirtualTimeLoop)


# Listening


@in_real_time
async def test_who_listens_on_another_loop_waits_until_nobody_listens_here() -> None:
    computer = pens()
    radio = computer.radio()
    async with listening(radio):
        elsewhere = Elsewhere(find_pen(radio, ADDRESS))
        await until(lambda: waiting(LISTEN, radio) == 2 or elsewhere.error is not None)
        assert len(computer.scanners) == 1
    await elsewhere.over()
    assert len(computer.scanners) == 2
    assert not any(scanner.running for scanner in computer.scanners)
    assert waiting(LISTEN, radio) == 0


@in_real_time
async def test_nobody_joins_while_another_loop_waits_so_that_its_turn_comes() -> None:
    computer = pens()
    radio = computer.radio()
    async with listening(radio):
        elsewhere = Elsewhere(find_pen(radio, ADDRESS))
        await until(lambda: waiting(LISTEN, radio) == 2 or elsewhere.error is not None)
        second = asyncio.ensure_future(find_pen(radio, "DP1-00002"))
        await until(lambda: waiting(LISTEN, radio) == 3 or second.done())
        assert not second.done()
    await elsewhere.over()
    assert (await second).serial_number == "DP1-00002"
    assert len(computer.scanners) == 3


@in_virtual_time
async def test_the_turn_is_held_until_a_scanner_that_did_not_start_has_been_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    computer = pens()
    computer.scan_error, computer.scan_stop_s = OSError("odd"), 1.0
    radio = computer.radio()
    with pytest.raises(Exception, match="odd"):
        await find_pen(radio, ADDRESS)
    assert waiting(LISTEN, radio) == 1
    began: list[float] = []

    async def start(_: FakeScanner) -> None:
        began.append(asyncio.get_running_loop().time())
        raise OSError("odd")

    monkeypatch.setattr("tests.air.host.fake_bleak.FakeScanner.start", start)
    with pytest.raises(Exception, match="odd"):
        await find_pen(radio, ADDRESS)
    assert began == [pytest.approx(1.0)]
    await asyncio.sleep(1.5)
    assert waiting(LISTEN, radio) == 0


# Connecting


@in_real_time
async def test_one_connects_at_a_time_on_all_loops() -> None:
    computer = pens()
    computer.peripherals[0].connect_s = 0.3
    links: list[BleLink] = []

    async def there() -> None:
        links.append(await opened(computer, computer.peripherals[1].address))
        await links[0].close()

    with using(computer):
        here = asyncio.ensure_future(opened(computer, computer.peripherals[0].address))
        await until(lambda: computer.connecting == 1)
        elsewhere = Elsewhere(there())
        await until(lambda: waiting(CONNECT, computer.radio()) == 2 or computer.connecting == 2)
        link = await here
        await elsewhere.over()
    assert [client.connects for client in computer.clients] == [1, 1]
    await link.close()


@in_virtual_time
async def test_another_radio_has_a_turn_of_its_own() -> None:
    async with turn(CONNECT, HALL, "x"), turn(CONNECT, Radio("air:room"), "x"), turn(LISTEN, HALL, "x"):
        assert asyncio.get_running_loop().time() == 0


# Whoever waits


def test_who_waits_too_long_is_told_for_whom_and_leaves_the_line() -> None:
    with another_loop() as here, another_loop() as there:
        first = here.run(_make())
        here.run(first.take())

        async def second() -> None:
            loop = asyncio.get_running_loop()
            with pytest.raises(RadioBusy, match=r"listening for pens \(thread MainThread\)"):
                await Place(LISTEN, HALL, "too").take()
            assert loop.time() == pytest.approx(TURN_WITHIN_S)

        there.run(second())
        assert waiting(LISTEN, HALL) == 1
        first.give_back()
        there.run(_has_it_at_once())
    assert waiting(LISTEN, HALL) == 0


async def _has_it_at_once() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with turn(LISTEN, HALL, "listening"):
        assert loop.time() == began


def test_orderly_listening_is_over_in_time_and_then_there_is_time_to_connect() -> None:
    assert START_WITHIN_S + FIND_WITHIN_S + STOP_WITHIN_S <= TURN_WITHIN_S <= OPEN_WITHIN_S - CONNECT_WITHIN_S


@in_virtual_time
async def test_turns_come_in_the_order_of_asking_and_the_cancelled_leave_the_line() -> None:
    had: list[int] = []

    async def one(number: int) -> None:
        async with turn(CONNECT, HALL, f"{number}"):
            had.append(number)
            await asyncio.sleep(1)

    tasks = [asyncio.ensure_future(one(number)) for number in range(5)]
    await asyncio.sleep(0.5)
    tasks[2].cancel()
    await asyncio.sleep(0)
    assert waiting(CONNECT, HALL) == 4
    await asyncio.sleep(0.6)
    tasks[1].cancel()  # it has the turn
    await asyncio.wait(tasks)
    assert had == [0, 1, 3, 4]
    assert asyncio.get_running_loop().time() == pytest.approx(3.1)
    assert waiting(CONNECT, HALL) == 0


@in_virtual_time
async def test_a_stop_comes_behind_whoever_has_the_turn_and_other_stops_and_before_all_else() -> None:
    had: list[str] = []
    first = Place(CONNECT, HALL, "x")
    await first.take()
    assert not first.keeps_stops_waiting

    async def one(name: str) -> None:
        place = Place(CONNECT, HALL, name, for_stop=name.startswith("stop"))
        await place.take()
        had.append(name)
        place.give_back()

    tasks = []
    for name in ("connect", "stop 1", "connect too", "stop 2"):
        tasks.append(asyncio.ensure_future(one(name)))
        await asyncio.sleep(0)
        assert first.keeps_stops_waiting == (name != "connect")
    first.give_back()
    await asyncio.wait(tasks)
    assert had == ["stop 1", "stop 2", "connect", "connect too"]
    assert waiting(CONNECT, HALL) == 0


# Loops that end


def test_a_stop_whose_loop_is_closed_waits_no_more() -> None:
    async def place_for_stop() -> Place:
        return Place(CONNECT, HALL, "stopping", for_stop=True)

    with another_loop() as here:
        first = here.run(place_for_stop())
        here.run(first.take())
        with another_loop() as gone:
            ble_turns._lines[CONNECT, HALL.spec].append(gone.run(place_for_stop()))
            waits = [first.keeps_stops_waiting]
        waits.append(first.keeps_stops_waiting)
        first.give_back()
    ble_turns._lines.clear()
    assert waits == [True, False]


def test_a_loop_that_is_closed_at_its_turn_leaves_it() -> None:
    with another_loop() as gone:
        gone.run(_take())
    assert waiting(LISTEN, HALL) == 1
    with another_loop() as there:
        there.run(_has_it_at_once())
    assert waiting(LISTEN, HALL) == 0


def test_a_loop_whose_thread_ended_at_its_turn_leaves_it() -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(_take()))
    thread.start()
    thread.join()
    with another_loop() as there:
        there.run(_has_it_at_once())
    loop.close()
    assert waiting(LISTEN, HALL) == 0


def test_a_loop_that_is_closed_while_others_wait_is_found_out() -> None:
    gone = asyncio.new_event_loop()
    gone.run_until_complete(_take())

    async def wait() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(1.0, gone.close)
        async with turn(LISTEN, HALL, "listening"):
            assert 1.0 <= loop.time() <= 1.0 + LOOK_AGAIN_S

    with another_loop() as there:
        there.run(wait())


def test_a_loop_that_is_closed_while_it_waits_is_passed_over() -> None:
    with another_loop() as here, another_loop() as there:
        first = here.run(_make())
        here.run(first.take())
        with another_loop() as gone:
            ble_turns._lines[LISTEN, HALL.spec].append(gone.run(_make()))
        there.run(_handed_over(first))
    assert waiting(LISTEN, HALL) == 0


async def _handed_over(first: Place) -> None:
    loop = asyncio.get_running_loop()
    loop.call_later(1.0, first.give_back)
    async with turn(LISTEN, HALL, "listening"):
        assert 1.0 <= loop.time() <= 1.0 + LOOK_AGAIN_S


async def _make() -> Place:
    return Place(LISTEN, HALL, "listening for pens")


async def _take() -> None:
    await (await _make()).take()
