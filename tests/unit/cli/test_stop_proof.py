"""`dermalink stop` on a pen whose keys this computer has: stopped first, in the clear, and proved under seal after."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dermalink import stop_proof
from dermalink.cli import stopping
from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.failures import code_for
from dermalink.cli.stopping import StopResult, stop_one, stop_pens
from dermalink.errors import StopFailed
from dermalink.links.link import Link
from dermalink.links.stream import StreamLink
from dermalink.ownership.owned_pen import OwnedPen
from dermalink.ownership.store import KeyStore
from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode, State
from dermalink_protocol.envelope import peek_opcode
from dermalink_protocol.messages.identity import GetStatus, Hello, StatusFlag
from dermalink_protocol.messages.owner import OpenChannel
from dermalink_protocol.messages.stop import Stop
from dermalink_protocol.schema import Reply
from tests.support.memory_pipe import MemoryPipe
from tests.support.running import in_virtual_time
from tests.unit.cli.test_finding import CABLE, OTHER, Room
from tests.unit.host.scripted_pen import SERIAL
from tests.unit.host.sealed_pen import OWNED, SealedPen

URL = "serial:/dev/ttyACM0"
WITHIN_S = 1.0  # by a cable, Stop and proof together
SAYS_STOPPED = f"{URL}: the pen that answers here says stopped: "


class Pens:
    """What `open_link` finds at each URL, and what was told of the Stops, with the seconds since the first."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = KeyStore(folder, lambda: None)
        self.store.keep(OWNED)
        self.changed: dict[str, Callable[[SealedPen], None]] = {}
        self.at: dict[str, SealedPen] = {}
        self.told: list[tuple[StopResult, float]] = []
        monkeypatch.setenv("DERMALINK_KEYS", str(folder))
        monkeypatch.setattr(stopping, "open_link", self.open)

    async def open(self, url: str, **_: object) -> Link:
        pen = self.at[url] = SealedPen(MemoryPipe())
        if url in self.changed:
            self.changed[url](pen)
        return StreamLink(pen.pipe, url)

    def tell(self, result: StopResult) -> None:
        self.told.append((result, asyncio.get_running_loop().time()))

    async def stop(self, changed: Callable[[SealedPen], None] = lambda _pen: None) -> tuple[StopResult, float]:
        """Of one pen: what is told, and after how long."""
        self.changed[URL] = changed
        began_s = asyncio.get_running_loop().time()
        self.told.clear()
        await stop_one(URL, self.tell)
        ((result, told_s),) = self.told
        return result, told_s - began_s


@pytest.fixture
def pens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pens:
    return Pens(tmp_path / "keys", monkeypatch)


def silent(*kinds: type) -> Callable[[SealedPen], None]:
    """A pen that answers none of these."""
    return lambda pen: pen.scripts.update(dict.fromkeys(kinds, lambda _: None))


def under_seal(state: State, flags: StatusFlag) -> Callable[[SealedPen], None]:
    """A pen whose status is another once the channel is sealed: in the clear, somebody else answers in its place."""

    def change(pen: SealedPen) -> None:
        def status(asked: GetStatus) -> Reply | None:
            if pen.session is not None:
                pen.status |= {"state": state, "flags": flags}
            reply = pen.behave(asked)
            assert isinstance(reply, Reply)
            return reply

        pen.scripts[GetStatus] = status

    return change


@pytest.mark.sr("SR-STOP-2", "SR-SEC-1", "SR-STOP-4", side="host")
@in_virtual_time
async def test_stop_goes_first_in_the_clear_and_what_the_pen_says_under_seal_proves_it(pens: Pens) -> None:
    result, took_s = await pens.stop()
    assert (result.code, result.proved) == (ExitCode.DONE, True)
    assert result.said.startswith(f"your pen {SERIAL} says stopped, and proves under seal that it is: needles in and ")
    assert json.loads(result.as_json())["proved"] is True
    assert took_s < 0.1
    pen = pens.at[URL]
    assert pen.heard[0][0] is Channel.STOP
    assert peek_opcode(pen.heard[0][1]) == Opcode.STOP
    assert GetStatus in [type(each) for each in pen.opened]


@pytest.mark.parametrize("module", ["dermalink.pen", "dermalink.cli.stopping"])
def test_nothing_that_ciphers_or_keeps_keys_is_loaded_before_a_stop_is_out(module: str) -> None:
    heavy = {"cryptography", "noise", "keyring", "platformdirs", "bleak"}
    script = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.sr("SR-STOP-2", side="host")
@in_virtual_time
async def test_without_keys_in_a_file_nothing_more_is_asked_and_nothing_is_said_to_be_proved(
    pens: Pens, monkeypatch: pytest.MonkeyPatch
) -> None:
    pens.store.forget(SERIAL)
    result, took_s = await pens.stop()
    assert (result.code, result.proved) == (ExitCode.DONE, False)
    assert result.sentence().startswith(SAYS_STOPPED)
    assert took_s < 0.02
    assert Hello not in map(type, pens.at[URL].seen)
    pens.store.keep(OwnedPen("DP-OTHER", OWNED.host_private, OWNED.pen_public, OWNED.binding))
    result, _ = await pens.stop()
    assert (result.code, result.proved, pens.at[URL].handshakes) == (ExitCode.DONE, False, 0)


@pytest.mark.sr("SR-STOP-2", side="host")
@pytest.mark.parametrize("late_s", [0.0, 1.0], ids=["cable", "air"])
@pytest.mark.parametrize("kind", [Hello, OpenChannel])
@in_virtual_time
async def test_a_pen_that_answers_nothing_more_keeps_the_news_no_longer_than_a_stop_may_take(
    kind: type, late_s: float, pens: Pens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StreamLink, "late_s", late_s)
    result, took_s = await pens.stop(silent(kind))
    assert (result.code, result.proved) == (ExitCode.DONE, False)
    assert result.sentence().startswith(SAYS_STOPPED)
    assert took_s == pytest.approx(WITHIN_S + late_s, abs=0.01)


@pytest.mark.sr("SR-STOP-2", "SR-SEC-1", side="host")
@in_virtual_time
async def test_who_answers_without_the_pens_keys_proves_nothing(pens: Pens) -> None:
    def another(pen: SealedPen) -> None:
        pen.private = bytes(range(51, 83))

    result, _ = await pens.stop(another)
    assert (result.code, result.proved) == (ExitCode.DONE, False)
    assert pens.at[URL].handshakes == 1


@pytest.mark.sr("SR-STOP-2", side="host")
@in_virtual_time
async def test_a_mistake_of_ours_in_the_proof_takes_nothing_from_a_stop_that_was_confirmed(
    pens: Pens, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(stop_proof, "_at_hand", broken)
    result, _ = await pens.stop()
    assert (result.code, result.proved, result.milliseconds is None) == (ExitCode.DONE, False, False)


@pytest.mark.sr("SR-STOP-2", "SR-SEC-1", side="host")
@in_virtual_time
async def test_a_pen_that_moves_by_its_own_word_is_not_confirmed_whoever_said_stopped_in_the_clear(pens: Pens) -> None:
    moving = under_seal(State.RUNNING, StatusFlag.ARMED | StatusFlag.CONTACT)
    result, took_s = await pens.stop(moving)
    assert (result.code, result.proved, result.milliseconds) == (ExitCode.NOT_CONFIRMED, False, None)
    assert result.said.startswith("Lift the pen straight off the skin")
    assert "under seal the pen says running" in result.said
    assert took_s == pytest.approx(WITHIN_S, abs=0.01)


@pytest.mark.sr("SR-STOP-8", side="host")
@in_virtual_time
async def test_needles_that_did_not_go_in_by_the_pens_own_word_are_said_at_once(pens: Pens) -> None:
    result, took_s = await pens.stop(under_seal(State.STOP_FAILED, StatusFlag.MOTOR_OFF))
    assert (result.code, result.milliseconds) == (code_for(StopFailed("")), None)
    assert "The needles did not go in" in result.said
    assert took_s < 0.1


@pytest.mark.sr("SR-STOP-2", side="host")
@in_virtual_time
async def test_ctrl_c_while_it_is_proved_says_what_is_known(pens: Pens) -> None:
    pens.changed[URL] = silent(Hello)
    stopping_it = asyncio.ensure_future(stop_one(URL, pens.tell))
    await asyncio.sleep(0.5)
    stopping_it.cancel()
    await asyncio.wait([stopping_it])
    ((result, _),) = pens.told
    assert stopping_it.cancelled()
    assert (result.code, result.proved, result.milliseconds is None) == (ExitCode.DONE, False, False)


@pytest.mark.sr("SR-STOP-4", side="host")
@in_virtual_time
async def test_no_pens_stop_waits_for_the_proof_of_another(pens: Pens, monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(monkeypatch)
    room.pens, room.nearby = (CABLE,), (OTHER,)
    stopped_s: dict[str, float] = {}

    def note(url: str) -> Callable[[SealedPen], None]:
        def change(pen: SealedPen) -> None:
            def stop(asked: Stop) -> Reply | None:
                stopped_s.setdefault(url, asyncio.get_running_loop().time())
                reply = pen.behave(asked)
                assert isinstance(reply, Reply)
                return reply

            pen.scripts |= {Stop: stop, Hello: lambda _: None}

        return change

    pens.changed = {each.url: note(each.url) for each in (CABLE, OTHER)}
    await stop_pens(None, pens.tell)
    assert stopped_s == {CABLE.url: 0.0, OTHER.url: 0.0}
    assert [result.code for result, _ in pens.told] == [ExitCode.DONE, ExitCode.DONE]
