"""The control channel: every word has an action, nothing else is accepted, and a product has none."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from dermalink_simulator.control.actions import ACTIONS
from dermalink_simulator.control.server import ControlDoor, NoControlError
from dermalink_simulator.control.words import LINE_BYTES_MAX, REQUIRED, VOCABULARY, WORDS, ControlError, check
from dermalink_simulator.doors.address import Address, parse_address
from dermalink_simulator.doors.errors import AddressRefusedError
from dermalink_simulator.making import make_pen
from dermalink_simulator.runner import PenRunner
from tests.unit.doors.echo_pen import until

pytestmark = pytest.mark.asyncio


class Desk:
    """A client of the control channel, and the pen behind it."""

    def __init__(
        self, door: ControlDoor, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, runner: PenRunner
    ) -> None:
        self.door, self.reader, self.writer, self.runner = door, reader, writer, runner
        self.pen = door._pen

    async def line(self) -> dict[str, Any]:
        async with asyncio.timeout(2):
            record: dict[str, Any] = json.loads(await self.reader.readline())
            return record

    async def send(self, text: str) -> dict[str, Any]:
        self.writer.write(text.encode() + b"\n")
        return await self.line()

    async def do(self, word: str, **arguments: Any) -> dict[str, Any]:
        answer = await self.send(json.dumps({"id": 7, "do": word, "with": arguments}))
        assert answer["id"] == 7
        return answer

    async def ok(self, word: str, **arguments: Any) -> dict[str, Any]:
        answer = await self.do(word, **arguments)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result


@pytest_asyncio.fixture
async def tester() -> AsyncIterator[Desk]:
    pen = make_pen("exact", 3)
    runner = PenRunner(pen)
    door = await ControlDoor.open(runner, pen, Address("127.0.0.1", 0))
    reader, writer = await asyncio.open_connection(*door.address)
    yield Desk(door, reader, writer, runner)
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    await door.close()
    await door.close()
    runner.stop()


def least(word: str) -> dict[str, Any]:
    """Arguments that fit, as few as possible."""
    samples: dict[str, Any] = {"unit": "button", "kind": "stuck"}
    return {
        argument.name: samples.get(
            argument.name, argument.flag or (argument.choices[0] if argument.choices else argument.low)
        )
        for argument in WORDS[word].arguments
        if argument.default is REQUIRED
    }


async def test_every_word_has_an_action_and_every_action_a_word() -> None:
    assert {*ACTIONS, "watch"} == set(WORDS)
    assert len(WORDS) == len(VOCABULARY)


@pytest.mark.parametrize("word", sorted(WORDS))
async def test_every_word_works_with_what_it_needs(tester: Desk, word: str) -> None:
    await tester.ok(word, **least(word))


async def test_a_button_can_be_pressed_for_a_while(tester: Desk) -> None:
    tester.runner.act(lambda: tester.pen.advance(1_000))
    await tester.ok("button.press", for_ms=3_500)
    for ms, light in ((1_500, 9), (1_700, 10), (500, 11)):  # a press; letting go would report; it is taken
        tester.runner.act(lambda ms=ms: tester.pen.advance(ms))  # type: ignore[misc]
        assert (await tester.ok("truth"))["light"] == light


@pytest.mark.parametrize("word", sorted(WORDS))
async def test_every_word_refuses_what_it_does_not_know(tester: Desk, word: str) -> None:
    told = ("powered", "head", "touching", "faults")
    before = await tester.ok("truth")
    answer = await tester.do(word, **least(word), colour="red")
    assert answer["error"]["kind"] == "ControlError"
    assert "'colour'" in answer["error"]["message"]
    after = await tester.ok("truth")
    assert [after[name] for name in told] == [before[name] for name in told], "a refused word did something"


@pytest.mark.parametrize(
    ("word", "name"),
    [(word.name, argument.name) for word in VOCABULARY for argument in word.arguments if argument.default is REQUIRED],
)
async def test_what_is_needed_must_be_said(word: str, name: str) -> None:
    given = least(word)
    del given[name]
    with pytest.raises(ControlError, match=f"it needs {name}"):
        check(word, given)


@pytest.mark.parametrize(
    ("word", "name"), [(word.name, argument.name) for word in VOCABULARY for argument in word.arguments]
)
@pytest.mark.parametrize("value", [-1, 1 << 33, 1.5, float("nan"), [], {"a": True}, {"a": 1.0}, b"x", object()])
async def test_values_that_fit_no_argument_are_refused(word: str, name: str, value: object) -> None:
    with pytest.raises(ControlError, match=name):
        check(word, least(word) | {name: value})


@pytest.mark.parametrize(
    ("word", "name"),
    [
        (word.name, argument.name)
        for word in VOCABULARY
        for argument in word.arguments
        if not (argument.flag or argument.choices or argument.text or argument.numbers)
    ],
)
async def test_numbers_are_taken_at_both_ends_of_their_range_and_not_beyond(word: str, name: str) -> None:
    (argument,) = (argument for argument in WORDS[word].arguments if argument.name == name)
    for end in (argument.low, argument.high):
        assert check(word, least(word) | {name: end})[1][name] == end
    beyond: tuple[object, ...] = (argument.low - 1, argument.high + 1, True, str(argument.low))
    for value in beyond:
        with pytest.raises(ControlError, match="whole number from"):
            check(word, least(word) | {name: value})


@pytest.mark.parametrize(
    "line",
    [
        "x",
        "[]",
        "7",
        "null",
        "{}",
        '{"id": 1}',
        '{"do": 5}',
        '{"do": "explode"}',
        '{"do": "__init__"}',
        '{"do": "truth", "with": []}',
        '{"do": "truth", "also": 1}',
        '{"do": "clock.advance", "with": {"seconds": NaN}}',
        "[" * 5_000,
    ],
)
async def test_a_line_that_is_no_request_is_answered_and_the_next_one_served(tester: Desk, line: str) -> None:
    assert "message" in (await tester.send(line))["error"]
    assert (await tester.ok("truth"))["powered"] is True


async def test_an_endless_line_ends_the_connection_of_whoever_sent_it(tester: Desk) -> None:
    answer = await tester.send("x" * (LINE_BYTES_MAX * 2))
    assert "bytes at most" in answer["error"]["message"] or "not JSON" in answer["error"]["message"]
    reader, writer = await asyncio.open_connection(*tester.door.address)
    writer.write(b"y" * (LINE_BYTES_MAX + 1))
    assert b"bytes at most" in await reader.readline()
    assert await reader.read() == b""
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    assert (await tester.ok("truth"))["powered"] is True


async def test_button_head_and_hand_do_what_they_say(tester: Desk) -> None:
    await tester.ok("button.hold")
    assert tester.pen._board.mechanism.button.down
    await tester.ok("button.release")
    assert not tester.pen._board.mechanism.button.down
    assert (await tester.ok("cartridge.pull"))["pulled"] is True
    assert (await tester.ok("truth"))["head_fitted"] is False
    assert (await tester.ok("cartridge.pull"))["pulled"] is False
    first = await tester.ok("cartridge.fit", head="stamp", protrusion_um=450, needles=9)
    head = tester.pen.cartridge.head
    assert head is not None
    assert head.tag is not None
    assert (head.stop_um, head.tag.protrusion_um, head.tag.needles, head.needles) == (450, 450, 9, 9)
    second = await tester.ok("cartridge.fit", head="stamp")
    assert second["tag"] != first["tag"]
    again = await tester.ok("cartridge.fit", head="stamp", number=first["number"])
    assert again["tag"] == first["tag"]
    once = await tester.ok("hand.sweep", zone="nose", direction="diagonal", speed_mm_s=40)
    assert once["once_ms"] > 1_000
    assert (await tester.ok("truth"))["touching"] is True
    await tester.ok("hand.lift")
    assert (await tester.ok("truth"))["touching"] is False


async def test_faults_by_the_pens_own_vocabulary(tester: Desk) -> None:
    answer = await tester.ok("fault.inject", unit="depth_sensor", kind="offset", values={"um": 40})
    assert answer["fault"] == "depth_sensor offset um=40"
    assert (await tester.ok("fault.list"))["faults"] == ["depth_sensor offset um=40"]
    later = {"unit": "cartridge", "kind": "loose", "after_ms": 5, "for_ms": 60, "seed": 7}
    spelled = "cartridge loose permille=100 after_ms=5 for_ms=60 seed=7"
    assert (await tester.ok("fault.inject", **later))["fault"] == spelled
    assert (await tester.ok("fault.list"))["waiting"] == [spelled]
    await tester.ok("cartridge.pull")
    await tester.ok("clock.advance", seconds=1)
    listed = await tester.ok("fault.list")
    assert (listed["waiting"], len(listed["missed"])) == ([], 1)
    assert "no cartridge is fitted" in listed["missed"][0]
    refused = await tester.do("fault.inject", unit="depth_sensor", kind="melts")
    assert refused["error"]["kind"] == "UnknownFaultError"
    assert "stuck" in refused["error"]["limit"]
    refused = await tester.do("fault.inject", unit="depth_sensor", kind="offset", values={"um": 999_999})
    assert refused["error"]["kind"] == "ImpossibleFaultError"
    assert (await tester.ok("fault.clear", unit="depth_sensor"))["cleared"] == ["depth_sensor offset um=40"]


async def test_clock_and_power(tester: Desk) -> None:
    before = (await tester.ok("truth"))["utc_s"]
    await tester.ok("clock.advance", seconds=86_400)
    assert 86_400 <= (await tester.ok("truth"))["utc_s"] - before < 86_410
    await tester.ok("power.cut")
    truth = await tester.ok("truth")
    assert (truth["powered"], truth["light"]) == (False, 0)
    await tester.ok("power.restore")
    assert (await tester.ok("truth"))["powered"] is True


async def test_a_watcher_is_told_what_happens_in_its_order(tester: Desk) -> None:
    await tester.ok("watch")
    await tester.ok("watch")
    assert tester.pen.power.on
    tester.runner.act(tester.pen.power.cut)
    cut_ms = tester.pen.now_ms
    seen = [await tester.line()]
    while seen[-1]["event"] != "powered":
        seen.append(await tester.line())
    assert seen[-1]["is"] is False
    assert seen[-1]["at_ms"] == cut_ms


async def test_a_watcher_is_told_of_faults_that_begin_end_and_cannot(tester: Desk) -> None:
    await tester.ok("watch")
    pen, act = tester.pen, tester.runner.act
    act(lambda: pen.faults.inject("button", "stuck", after_ms=200, for_ms=500))
    act(lambda: pen.faults.inject("cartridge", "loose", after_ms=400))
    act(pen.cartridge.pull)
    seen = []
    for _ in range(3):
        act(lambda: pen.advance(250))
        seen.append(await tester.line())
        while seen[-1]["event"] not in ("faults", "missed"):
            seen[-1] = await tester.line()
    stuck = "button stuck after_ms=200 for_ms=500"
    assert [one["event"] for one in seen] == ["faults", "missed", "faults"]
    assert (seen[0]["is"], seen[2]["is"]) == ([stuck], [])
    assert "cartridge loose" in seen[1]["is"][0]
    assert "no cartridge is fitted" in seen[1]["is"][0]


async def test_a_product_has_no_control_channel() -> None:
    pen = make_pen("product")
    runner = PenRunner(pen)
    with pytest.raises(NoControlError, match=r"\[SR-SEC-4\]"):
        await ControlDoor.open(runner, pen, Address("127.0.0.1", 0))
    runner.stop()


async def test_it_never_listens_beyond_this_machine() -> None:
    pen = make_pen()
    runner = PenRunner(pen)
    with pytest.raises(AddressRefusedError):
        await ControlDoor.open(runner, pen, parse_address("0.0.0.0:0"))
    runner.stop()


async def test_testers_that_come_and_go_leave_nothing(tester: Desk) -> None:
    for _ in range(20):
        _, writer = await asyncio.open_connection(*tester.door.address)
        writer.close()
        await writer.wait_closed()
    await until(lambda: len(tester.door._clients) == 1)
    assert (await tester.ok("truth"))["powered"] is True
