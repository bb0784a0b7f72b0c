"""Each side is killed at each message of a pairing and of a handshake, and at each write to the keys: both agree after.

A killed computer runs nothing more of what it was about to do, and is started anew, with the keys that it had written.
A killed pen is one whose power goes away; `tests/persistence/test_owner_power_cuts.py` cuts in each operation of its
flash.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from dermalink.connection import Connection
from dermalink.errors import LinkError, Timeout
from dermalink.ownership.private_folder import PrivateFolder
from dermalink.ownership.results import CutOff, Owned, Paired, PairingResult, WindowShut
from dermalink.ownership.store import KeyStore
from dermalink.ownership.system_keyring import SystemKeyring
from dermalink_protocol.messages.owner import ReleaseOwner
from dermalink_protocol.sealing.keys import public_key
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.pytest_plugin import Bench, SimulatedPenDesk, desk
from tests.support.sealed_client import inside
from tests.system.guided_session import PERFECT, STREAM, Way
from tests.system.home import AT_REST_S, Home, Story, Tell, hold, press, seconds, without_power
from tests.unit.ownership.keyrings import Desktop

# Hello, owner, last command, then a status before each of three steps; by radio the owner's channel is opened after it.
MESSAGES: Final = {STREAM: 9, PERFECT: 12}
STEPS: Final = {"the try": 7, "the last word": 9}
OPENING: Final = 3  # hello, handshake, the first status under seal
WRITES: Final = 6  # to keyring and folder: what is unfinished, then the keys; then what was unfinished is removed
AFTER_MS: Final = (0, 1, 2, 3, 5, 8)  # what the pen does with a step takes it this long
EACH_MESSAGE: Final = [(way, number) for way, most in MESSAGES.items() for number in range(1, most + 1)]


class Killed(BaseException):
    """No part of the program runs on."""


@pytest.fixture(params=[STREAM, PERFECT], ids=str)
def tell(request: pytest.FixtureRequest, tmp_path: Path) -> Tell:
    """Run a story of a person with one pen, in virtual time; its keys lie in a keyring."""
    way: Way = request.param

    def run(story: Story) -> None:
        with (
            contextlib.closing(Bench(virtual=True)) as bench,
            desk(bench, SimulatedPen("product"), by=way.by, air=way.air) as made,
        ):

            async def told() -> None:
                await seconds(AT_REST_S)
                first, second = (Home(made, tmp_path, name) for name in ("first", "second"))
                await story(made, first, second)

            bench.run(told())

    return run


@contextlib.contextmanager
def at_message(number: int, when: str, act: Callable[[], None]) -> Iterator[list[str]]:
    """`act` at the message of that number: before it is sent, once it is, or once it was answered.

    Yields the names of the messages that went out.
    """
    request, sent = Connection.request, []

    async def watched(self: Connection, message: Any, **how: Any) -> Any:
        sent.append(type(message).__name__)
        if len(sent) != number:
            return await request(self, message, **how)
        if when == "unsent":
            act()
        asked = asyncio.ensure_future(request(self, message, **how))
        try:
            if when == "sent":
                await asyncio.sleep(0)
                act()
            return await asked
        finally:
            asked.cancel()
            if when == "answered":  # also where the answer is a no
                act()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "request", watched)
        yield sent


def killed() -> None:
    raise Killed


async def until_killed(work: Awaitable[object]) -> object:
    """What comes of it; None when it was killed."""
    try:
        return await work
    except Killed:
        return None


def agree(made: SimulatedPenDesk, home: Home) -> None:
    """If the pen has an owner it is this computer, which has all that it takes to find that out."""
    owner = inside(made.model).owner
    assert owner == inside(made.model).store.owner
    if owner.owned:
        known, run = (
            home.store.known(made.model.card.serial_number),
            home.store.unfinished(made.model.card.serial_number),
        )
        mine = {public_key(each.host_private) for each in (known, run) if each is not None}
        assert owner.host_public in mine


async def pairs_again(made: SimulatedPenDesk, home: Home, *, lost_power: bool = False) -> None:
    """Trying again works; a pen that lost power may have to be pressed, or held if it forgot its last word."""
    result: PairingResult = await home.pair()
    if result == WindowShut():
        assert lost_power
        await press(made)
        result = await home.pair()
    if result == Owned(ours=False):
        assert lost_power
        await hold(made)
        result = await home.pair()
    assert isinstance(result, Paired) or result == Owned(ours=True), result
    assert await home.is_obeyed()


def restarted(home: Home, folder: Path, keyring: Desktop | None = None) -> None:
    """The program of this computer begins anew; only what was written down is left."""
    home.store = KeyStore(folder / home.name, lambda: None if keyring is None else SystemKeyring(keyring))


@pytest.mark.sr("SR-OWN-1", "SR-SEC-2")
@pytest.mark.parametrize("when", ["unsent", "sent", "answered"])
@pytest.mark.parametrize(("tell", "number"), EACH_MESSAGE, indirect=["tell"])
def test_a_computer_that_is_killed_at_any_message_of_pairing_agrees_with_the_pen_and_pairs_again(
    number: int, when: str, tell: Tell, tmp_path: Path
) -> None:
    async def story(made: SimulatedPenDesk, mine: Home, _: Home) -> None:
        await press(made)
        with at_message(number, when, killed) as sent:
            assert await until_killed(mine.pair()) is None
        assert len(sent) == number
        await seconds(0.1)
        restarted(mine, tmp_path)
        agree(made, mine)
        await pairs_again(made, mine)

    tell(story)


@pytest.mark.sr("SR-OWN-1", "SR-SEC-2")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, WRITES + 1))
def test_a_computer_that_is_killed_at_any_write_of_its_keys_agrees_with_the_pen_and_pairs_again(
    number: int, after: bool, tell: Tell, tmp_path: Path
) -> None:
    keyring = Desktop()

    async def story(made: SimulatedPenDesk, mine: Home, _: Home) -> None:
        restarted(mine, tmp_path, keyring)
        await press(made)
        with at_write(number, after=after) as written:
            assert await until_killed(mine.pair()) is None
        assert len(written) == number
        await seconds(0.1)
        restarted(mine, tmp_path, keyring)
        agree(made, mine)
        await pairs_again(made, mine)

    tell(story)


@contextlib.contextmanager
def at_write(number: int, *, after: bool) -> Iterator[list[str]]:
    """Killed before or after that write to the keyring or the folder; yields the writes that were begun."""
    begun: list[str] = []

    def watched(name: str, write: Callable[..., Any]) -> Callable[..., Any]:
        def do(*args: Any) -> Any:
            begun.append(name)
            if len(begun) != number:
                return write(*args)
            if after:
                write(*args)
            raise Killed

        return do

    with pytest.MonkeyPatch.context() as patch:
        for kind in (SystemKeyring, PrivateFolder):
            for name in ("write", "remove"):
                patch.setattr(kind, name, watched(f"{kind.__name__}.{name}", getattr(kind, name)))
        yield begun


@pytest.mark.parametrize(("tell", "most"), MESSAGES.items(), indirect=["tell"])
def test_a_pairing_has_as_many_messages_and_writes_as_are_tried(most: int, tell: Tell, tmp_path: Path) -> None:
    async def story(made: SimulatedPenDesk, mine: Home, _: Home) -> None:
        restarted(mine, tmp_path, Desktop())
        await press(made)
        with at_message(0, "", killed) as sent, at_write(0, after=False) as written:
            assert isinstance(await mine.pair(), Paired)
        assert len(sent) == most
        assert len(written) == WRITES
        with at_message(0, "", killed) as sent:
            async with await mine.connect():
                assert len(sent) >= OPENING

    tell(story)


@pytest.mark.sr("SR-OWN-1", "SR-SEC-2", "SR-RST-1")
@pytest.mark.parametrize("when", ["unsent", "sent", "answered"])
@pytest.mark.parametrize(("tell", "number"), EACH_MESSAGE, indirect=["tell"])
def test_a_pen_that_is_killed_at_any_message_of_pairing_agrees_with_the_computer_and_is_paired_again(
    number: int, when: str, tell: Tell
) -> None:
    async def story(made: SimulatedPenDesk, mine: Home, _: Home) -> None:
        await press(made)
        with at_message(number, when, lambda: made.act(made.model.power.cut)):
            await cut_off(mine)
        await without_power(made)
        agree(made, mine)
        await pairs_again(made, mine, lost_power=True)

    tell(story)


async def cut_off(home: Home) -> None:
    """A pairing in which the pen's power goes away; which may have been done by then."""
    with contextlib.suppress(LinkError, Timeout):
        assert isinstance(await home.pair(), CutOff | Paired)


@pytest.mark.sr("SR-OWN-1", "SR-SEC-2", "SR-RST-1")
@pytest.mark.parametrize("after_ms", AFTER_MS)
@pytest.mark.parametrize("number", STEPS.values(), ids=STEPS.keys())
def test_a_pen_that_is_killed_while_it_writes_down_what_a_message_says_agrees_with_the_computer(
    number: int, after_ms: int, tell: Tell
) -> None:
    async def story(made: SimulatedPenDesk, mine: Home, _: Home) -> None:
        loop = asyncio.get_running_loop()
        await press(made)

        def cut() -> None:
            loop.call_later(after_ms / 1_000, made.act, made.model.power.cut)

        with at_message(number, "sent", cut):
            await cut_off(mine)
        await without_power(made)
        agree(made, mine)
        await pairs_again(made, mine, lost_power=True)

    tell(story)


# Giving it up


@pytest.mark.sr("SR-OWN-1")
@pytest.mark.parametrize("kept_in", [Desktop(), None], ids=["keyring", "file"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", [1, 2])
def test_a_computer_that_is_killed_while_it_removes_keys_removes_them_the_next_time_and_pairs_anew(
    number: int, after: bool, kept_in: Desktop | None, tell: Tell, tmp_path: Path
) -> None:
    async def story(made: SimulatedPenDesk, mine: Home, _: Home) -> None:
        serial = made.model.card.serial_number
        restarted(mine, tmp_path, kept_in)
        await press(made)
        assert isinstance(await mine.pair(), Paired)
        async with await mine.connect(inspect_only=True) as pen:
            await pen.request(ReleaseOwner(), within_s=4.0)
        with at_write(number, after=after) as begun, contextlib.suppress(Killed):
            mine.store.forget(serial)
        assert len(begun) == (number if kept_in is not None else 1)
        restarted(mine, tmp_path, kept_in)
        mine.store.forget(serial)
        assert mine.store.list() == []
        assert kept_in is None or kept_in.held == {}
        await press(made)
        await pairs_again(made, mine)

    tell(story)


# The handshake


@pytest.mark.sr("SR-OWN-1", "SR-SEC-1")
@pytest.mark.parametrize("who", ["computer", "pen"])
@pytest.mark.parametrize("when", ["unsent", "sent", "answered"])
@pytest.mark.parametrize("number", range(1, OPENING + 1))
def test_whoever_is_killed_at_any_message_of_the_handshake_the_owner_stays_and_is_obeyed(
    number: int, when: str, who: str, tell: Tell, tmp_path: Path
) -> None:
    async def story(made: SimulatedPenDesk, mine: Home, other: Home) -> None:
        await press(made)
        await mine.pair()
        before = inside(made.model).owner
        act = killed if who == "computer" else lambda: made.act(made.model.power.cut)
        with at_message(number, when, act), contextlib.suppress(LinkError, Timeout):
            await until_killed(mine.connect())
        if who == "pen":
            await without_power(made)
        restarted(mine, tmp_path)
        owner = inside(made.model).owner
        assert owner._replace(bond=before.bond) == before  # Bluetooth's own, which is written when he shows himself
        assert await mine.is_obeyed()
        await press(made)
        assert await other.pair() == Owned(ours=False)

    tell(story)
