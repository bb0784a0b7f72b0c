"""How often the pen speaks by itself on its radio, and how long it waits: each number as it is written down."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from bumble import hci

from dermalink_protocol.channels import BATTERY_LEVEL
from dermalink_simulator.hardware.air import AirConditions
from tests.support.running import in_virtual_time
from tests.unit.doors.ble_central import bench, central_on

CHANCE_MS = 10  # advDelay (Core, Vol 6, Part B, 4.4.2.2.1)
CONNECTABLE = 0  # the event type of a report of such an advertisement, as against a scan response


@in_virtual_time
async def test_it_is_advertised_every_100_ms() -> None:
    async with bench() as pen, central_on(pen.air) as central:
        heard_s: list[float] = []

        def hear(report: Any) -> None:
            if report.event_type == CONNECTABLE:
                heard_s.append(asyncio.get_running_loop().time())

        central.device.host.on("advertising_report", hear)
        await central.device.start_scanning(active=False)
        await asyncio.sleep(10)
        await central.device.stop_scanning()
        between_ms = [1_000 * (late - early) for early, late in pairwise(heard_s)]
        assert len(between_ms) > 80
        assert 99 < min(between_ms) <= max(between_ms) < 101 + CHANCE_MS


@in_virtual_time
async def test_a_controller_that_refuses_to_advertise_is_asked_again_each_second() -> None:
    async with bench() as pen:
        device, asked_s = pen.door._device, list[float]()

        async def refuse(**_: Any) -> None:
            asked_s.append(asyncio.get_running_loop().time())
            raise hci.HCI_Error(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)  # type: ignore[no-untyped-call]

        device.start_advertising = refuse  # type: ignore[method-assign, assignment]
        pen.door._advertiser.taken()
        await asyncio.sleep(5.5)
        assert [late - early for early, late in pairwise(asked_s)] == pytest.approx([1.0] * 5)


@in_virtual_time
async def test_a_battery_that_changes_all_the_time_is_told_once_a_second() -> None:
    async with bench() as pen, pen.host() as host:
        await pen.at_rest()
        await host.write(host.cccds[host.handles[BATTERY_LEVEL]], b"\1\0")
        await asyncio.sleep(2)
        host.values.clear()
        told_s: list[float] = []
        for number in range(200):
            level = 20 + number % 79  # never what it was a second ago
            pen.runner.act(lambda level=level: pen.pen.power.set_battery(level))  # type: ignore[misc]
            await asyncio.sleep(0.05)
            told_s += [asyncio.get_running_loop().time()] * len(host.values)
            host.values.clear()
        between_s = [late - early for early, late in pairwise(told_s)]
        assert between_s == pytest.approx([1.0] * 9, abs=0.06)


@in_virtual_time
async def test_a_door_that_closes_waits_two_seconds_for_hosts_that_can_not_be_told() -> None:
    async with bench("room") as pen, pen.host() as host:
        pen.air.conditions.become(AirConditions(interval_us=30_000, supervision_ms=32_000, silence=True))
        loop = asyncio.get_running_loop()
        began = loop.time()
        await pen.door.close()
        assert loop.time() - began == pytest.approx(2.0, abs=0.05)
        host.die()
