"""The host's own watch over depth and over the stream itself; and the ring that keeps the newest samples."""

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermalink.errors import DepthAlarm, LinkClosed, NoTelemetry
from dermalink.telemetry import TelemetryRing
from dermalink.watch import FRESH_WITHIN_S, DepthWatch, Guardian
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.limits import DEPTH_CAP_UM, HOST_STOP_WITHIN_MS, OVER_SETTING_STROKES
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.messages.therapy import EndPass
from dermalink_protocol.samples import ARMED, PACK_SAMPLE, view_samples
from tests.support.running import in_virtual_time
from tests.unit.host.scripted_pen import a_pen, begin_pass

SETTING_UM, ACCURACY_UM = 300, 15


def packed(depths: list[int], flags: int = ARMED) -> bytes:
    return b"".join(PACK_SAMPLE.pack(depth, 0, 60, flags, 0, 0) for depth in depths)


def plainly(depths: list[int]) -> int | None:
    """After which sample a person with a pencil would stop; None is never."""
    run = 0
    for index, depth in enumerate(depths):
        run = run + 1 if depth > SETTING_UM + ACCURACY_UM else 0
        if depth > DEPTH_CAP_UM + ACCURACY_UM or run >= OVER_SETTING_STROKES:
            return index
    return None


def batches(depths: list[int], cuts: list[int]) -> Iterator[tuple[int, list[int]]]:
    at = 0
    for size in cuts:
        if at >= len(depths):
            return
        yield at, depths[at : at + size]
        at += size
    if at < len(depths):
        yield at, depths[at:]


depths = st.lists(st.sampled_from([0, 290, 315, 316, 400, 515, 516, 65_535]), max_size=40)


@pytest.mark.sr("SR-DEPTH-5", side="host")
@given(depths, st.lists(st.integers(1, 10), max_size=10))
def test_the_watch_stops_in_the_batch_where_a_person_would_however_it_is_cut(peaks: list[int], cuts: list[int]) -> None:
    watch = DepthWatch(SETTING_UM, ACCURACY_UM)
    expected = plainly(peaks)
    for start, batch in batches(peaks, cuts):
        alarm = watch.check(view_samples(packed(batch)))
        due = expected is not None and start <= expected < start + len(batch)
        assert (alarm is not None) is due
        if due:
            assert alarm is not None
            assert alarm.rule == "SR-DEPTH-5"
            return
    assert expected is None


@pytest.mark.sr("SR-DEPTH-5", side="host", twin=True)
def test_the_persons_pencil_can_stop_and_not_stop() -> None:
    assert plainly([316, 316, 315, 316, 316]) is None
    assert plainly([316, 316, 316]) == 2
    assert plainly([515, 0, 516]) == 2


@pytest.mark.parametrize(("setting", "accuracy"), [(501, 15), (-1, 15), (300, 26), (300, -1)])
def test_nobody_can_watch_over_what_may_not_be(setting: int, accuracy: int) -> None:
    with pytest.raises(ValueError, match="watch over"):
        DepthWatch(setting, accuracy)


@pytest.mark.sr("SR-DEPTH-5", "SR-STOP-7", side="host")
@in_virtual_time
async def test_the_pen_is_stopped_when_it_is_too_deep_also_while_the_session_hangs() -> None:
    async with a_pen() as (pen, far):
        await begin_pass(pen)
        far.telemetry(300, 315, 300)
        await asyncio.sleep(0.1)
        assert far.stops() == 0
        far.telemetry(300, 516)
        await asyncio.sleep(HOST_STOP_WITHIN_MS / 1000)
        assert far.stops() == 1
        assert isinstance(pen.alarm, DepthAlarm)
        assert "516" in str(pen.alarm)
        far.telemetry(600)
        await asyncio.sleep(0.1)
        assert far.stops() == 1


@pytest.mark.sr("SR-DEPTH-5", side="host")
@in_virtual_time
async def test_a_stream_that_falls_silent_while_armed_stops_the_pen() -> None:
    async with a_pen() as (pen, far):
        await begin_pass(pen)
        for _ in range(10):
            far.telemetry(300)
            await asyncio.sleep(0.1)
        assert far.stops() == 0
        await asyncio.sleep(FRESH_WITHIN_S)
        assert far.stops() == 1
        assert isinstance(pen.alarm, NoTelemetry)


@in_virtual_time
async def test_a_stream_that_falls_silent_at_rest_is_no_alarm() -> None:
    async with a_pen() as (pen, far):
        far.telemetry(0, flags=0)
        await asyncio.sleep(10)
        await begin_pass(pen)
        far.telemetry(0, flags=0)
        await asyncio.sleep(10)
        assert far.stops() == 0
        far.telemetry(100, flags=ARMED)
        await asyncio.sleep(0.1)
        await pen.request(EndPass(session_id=41))
        await pen.look()
        await asyncio.sleep(10)
        assert far.stops() == 0
        assert pen.alarm is None


def test_a_guardian_that_is_off_judges_nothing() -> None:
    alarms: list[DermalinkError] = []
    guardian = Guardian(alarms.append, ACCURACY_UM)
    guardian.offer(Telemetry(sequence=0, tick_ms=0, samples=packed([600], flags=0)))
    guardian.begin(SETTING_UM)
    guardian.offer(Telemetry(sequence=0, tick_ms=0, samples=packed([300], flags=0)))
    guardian.end(LinkClosed("over"))
    guardian.offer(Telemetry(sequence=0, tick_ms=0, samples=packed([600], flags=0)))
    assert not alarms


# The ring


@given(st.lists(st.integers(1, 10), max_size=80), st.integers(10, 40))
def test_the_ring_holds_the_newest_samples_with_their_ticks(sizes: list[int], capacity: int) -> None:
    ring = TelemetryRing(capacity)
    everything: list[tuple[int, int]] = []
    tick = 0xFFFF_FF00  # it wraps on the way
    for size in sizes:
        peaks = list(range(len(everything), len(everything) + size))
        ring.offer(Telemetry(sequence=0, tick_ms=tick, samples=packed(peaks)))
        everything += [(peak, tick + 10 * index & 0xFFFF_FFFF) for index, peak in enumerate(peaks)]
        tick = tick + 100 & 0xFFFF_FFFF
    assert ring.total == len(everything)
    assert len(ring) == min(len(everything), capacity)
    for newest in (None, 0, 1, 7, capacity * 2):
        kept = everything[-min(len(ring), len(ring) if newest is None else newest) :] if newest != 0 else []
        assert list(zip(ring.samples(newest)["depth_um"].tolist(), ring.ticks(newest).tolist(), strict=True)) == kept


def test_what_the_ring_gives_is_a_view_that_nobody_can_write() -> None:
    ring = TelemetryRing()
    ring.offer(Telemetry(sequence=0, tick_ms=0, samples=packed([1, 2, 3])))
    samples: Any = ring.samples()
    assert not samples.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        samples["depth_um"][0] = 9
    assert samples["depth_um"].dtype == np.uint16
