"""`dermalink clock --set` where the change needs a press of the pen's button: it waits for one, or says so."""

import asyncio

import click
import pytest

from dermalink.cli.commands.clock import set_once_pressed
from dermalink.errors import PenRefusal
from dermalink_protocol.codewords import Reason
from tests.support.running import in_virtual_time
from tests.unit.host.simulated import a_desk

DAYS_2 = 2 * 86_400


@pytest.mark.sr("SR-INT-2", side="host")
@pytest.mark.parametrize("after_s", [0.5, 7.0, 55.0])
@in_virtual_time
async def test_it_asks_once_and_waits_for_a_short_press(after_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(click, "echo", lambda words, **_: said.append(words))
    async with a_desk() as desk, await desk.connect() as pen:
        wanted = desk.sim.clock.utc_s + DAYS_2
        asyncio.get_running_loop().call_later(after_s, lambda: desk.do(lambda sim: sim.button.press()))
        await set_once_pressed(pen, lambda: wanted, waits=True)
        assert desk.do(lambda sim: sim.clock.utc_s) - wanted in range(5)
    assert len(said) == 1
    assert "Press the pen's button now, shortly" in said[0]


@pytest.mark.sr("SR-INT-2", side="host")
@pytest.mark.parametrize(("waits", "least_s", "most_s"), [(False, 0, 5), (True, 60, 70)])
@in_virtual_time
async def test_without_a_press_it_is_refused(
    waits: bool, least_s: int, most_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(click, "echo", lambda *_, **__: None)
    async with a_desk() as desk, await desk.connect() as pen:
        wanted = desk.sim.clock.utc_s + DAYS_2
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(PenRefusal) as caught:
            await set_once_pressed(pen, lambda: wanted, waits=waits)
        assert caught.value.reason is Reason.CLOCK_JUMP_NEEDS_PRESS
        assert least_s <= asyncio.get_running_loop().time() - began_s <= most_s
