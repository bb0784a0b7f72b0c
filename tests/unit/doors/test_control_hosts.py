"""What testers are told of who is connected, by which door, and of the pen's radio."""

import asyncio
from typing import Any

from dermalink_simulator.control.events import Watcher
from dermalink_simulator.control.truth import hosts_of
from dermalink_simulator.making import make_pen
from dermalink_simulator.runner import PenRunner
from tests.support.running import in_virtual_time
from tests.unit.doors.ble_central import Bench, bench


async def settled(pen: Bench, *, advertising: bool) -> None:
    """Until the controller has done what is wanted."""
    async with asyncio.timeout(5):
        while pen.door.advertising is not advertising:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@in_virtual_time
async def test_hosts_are_counted_by_door_with_the_mtu_of_each_link_by_ble() -> None:
    async with bench() as pen:
        await settled(pen, advertising=True)
        assert hosts_of(pen.runner) == {"links": {}, "att_mtu": [], "advertising": True}
        cable = pen.runner.connect(lambda _: None, lambda: None, door="tcp")
        async with pen.host(1, mtu=0), pen.host(2, mtu=185):
            await settled(pen, advertising=True)
            told = hosts_of(pen.runner)
            assert told == {"links": {"tcp": 1, "ble": 2}, "att_mtu": [23, 185], "advertising": True}
            cable.close()
            assert hosts_of(pen.runner)["links"] == {"ble": 2}
        await asyncio.sleep(1)
        assert hosts_of(pen.runner)["links"] == {}


@in_virtual_time
async def test_watchers_are_told_when_it_changes_and_not_otherwise() -> None:
    async with bench() as pen:
        await settled(pen, advertising=True)
        watcher, seen = Watcher(pen.runner, pen.pen), list[dict[str, Any]]()
        pen.runner.after.append(lambda: seen.extend(watcher.changes()))
        async with pen.host(mtu=100):
            pass
        await asyncio.sleep(1)
        of_hosts = [event for event in seen if event["event"] in ("links", "att_mtu", "advertising")]
        told = {name: [event["is"] for event in of_hosts if event["event"] == name] for name in ("links", "att_mtu")}
        assert told == {"links": [{"ble": 1}, {}], "att_mtu": [[23], [100], []]}
        advertising = [event["is"] for event in of_hosts if event["event"] == "advertising"]
        assert advertising == [False, True]  # a connection ends it, and it begins anew
        seen.clear()
        pen.runner.act(pen.pen.power.cut)
        await settled(pen, advertising=False)
        assert [event["is"] for event in seen if event["event"] == "advertising"] == [False]


@in_virtual_time
async def test_without_a_radio_nothing_is_said_of_advertising_and_a_closed_door_is_no_radio() -> None:
    runner = PenRunner(make_pen("exact", 3))
    assert hosts_of(runner)["advertising"] is None
    runner.stop()
    async with bench() as pen:
        await pen.door.close()
        assert hosts_of(pen.runner)["advertising"] is None
