"""The margin of a connection: what goes into it, what comes out, and that it decides about nothing."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermalink.connection import Connection
from dermalink.display.link import lease_words, link_words
from dermalink.errors import PenRefusal, PenRestarted, Timeout
from dermalink.lease import Lease
from dermalink.margin.lateness import BEST_OF_S, Lateness
from dermalink.margin.margin import FRESH_MAX, NEAR_SHARE, LinkMargin
from dermalink.ticks import WRAP
from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.messages.identity import GetCartridge, GetStatus, Status
from dermalink_protocol.messages.telemetry import Telemetry
from tests.support.running import in_virtual_time
from tests.unit.host.scripted_pen import ScriptedPen, a_connection

LEASE_MS = 500


async def renewed(connection: Connection, pen: ScriptedPen, *pauses: float) -> Lease:
    """A lease that was renewed with each batch, after such pauses."""
    lease = Lease(connection, 1, LEASE_MS)
    for pause in pauses:
        await asyncio.sleep(pause)
        pen.telemetry(100)
        await asyncio.sleep(0)
        lease.earn(Telemetry(sequence=0, tick_ms=pen.tick, samples=bytes(8)))
        await lease.renew()
        await asyncio.sleep(0.001)
    return lease


@in_virtual_time
async def test_every_answered_request_is_a_round_trip_and_a_renewal_is_one_apart() -> None:
    async with a_connection() as (connection, pen):
        for _ in range(FRESH_MAX + 3):
            await connection.request(GetStatus())
        await connection.request(GetCartridge())  # tells no tick
        pen.refuse(GetStatus, Reason.BUSY)
        with pytest.raises(PenRefusal):
            await connection.request(GetStatus())
        await renewed(connection, pen, 0.1, 0.1)
        margin = connection.margin
        assert margin.round_trips.count == FRESH_MAX + 5
        assert margin.clock.replies == FRESH_MAX + 3 + 2
        assert margin.renewals.count == 2
        assert margin.unanswered == 0


@in_virtual_time
async def test_a_round_trip_is_as_long_as_it_took_and_what_got_no_answer_is_counted() -> None:
    async with a_connection() as (connection, pen):
        pen.silent_to(GetStatus)
        asked = asyncio.ensure_future(connection.request(GetStatus()))
        await asyncio.sleep(0.04)
        pen.send(pen.ids[-1], Status(**pen.status, tick_ms=pen.tick))
        await asked
        assert connection.margin.round_trips.greatest == pytest.approx(40)
        with pytest.raises(Timeout):
            await connection.request(GetStatus(), within_s=0.5)
        assert connection.margin.unanswered == 1
        assert connection.margin.round_trips.count == 1


@in_virtual_time
async def test_the_clock_is_fitted_and_the_slowest_answer_is_split_into_its_ways() -> None:
    async with a_connection() as (connection, pen):
        for _ in range(50):
            await connection.request(GetStatus())
            await asyncio.sleep(0.0137)
        pen.silent_to(GetStatus)
        asked = asyncio.ensure_future(connection.request(GetStatus()))
        await asyncio.sleep(0.1)
        answer = Status(**pen.status, tick_ms=pen.tick)
        await asyncio.sleep(0.2)
        pen.send(pen.ids[-1], answer)
        await asked
        relation, ways = connection.margin.relation, connection.margin.slowest_way
        assert relation is not None
        assert ways is not None
        assert relation.pen_ms_at(0.1) - relation.pen_ms_at(0.0) == pytest.approx(100, abs=0.3)
        assert ways.there_ms.low - 0.01 <= 100 <= ways.there_ms.high + 0.01
        assert ways.back_ms.low - 0.01 <= 200 <= ways.back_ms.high + 0.01
        assert ways.back_ms.high - ways.back_ms.low < 13


@in_virtual_time
async def test_what_is_left_of_each_lease_is_kept_and_a_near_miss_is_counted() -> None:
    async with a_connection() as (connection, pen):
        lease = await renewed(connection, pen, 0.1, 0.1, 0.45, 0.3)
        margin = connection.margin
        assert margin.lease_left.count == 3
        assert margin.lease_left.least == lease.lowest_margin_ms
        assert 0 < margin.lease_left.least < NEAR_SHARE * LEASE_MS
        assert (margin.near_misses, margin.lapses) == (1, 0)
        assert "1 near miss" in lease_words(margin.as_dict())
        lease.rest()
        assert margin.lease_left.count == 3


@in_virtual_time
async def test_a_lapse_is_counted_once_however_often_and_in_which_order_it_is_told() -> None:
    async with a_connection() as (connection, pen):
        connection_margin = connection.margin
        old = Status(**pen.status | {"reason": Reason.LEASE_LAPSED}, tick_ms=pen.tick)
        pen.on(GetStatus, lambda _: old)
        await connection.request(GetStatus())  # one of before this connection
        pen.on(GetStatus, pen.behave)
        for at in range(2):
            pen.status |= {"state": State.RUNNING, "reason": Reason.NONE, "lease_left_ms": 300 - at}
            await connection.request(GetStatus())
            moving = Status(**pen.status, tick_ms=pen.tick)
            await asyncio.sleep(0.1)
            pen.status |= {"state": State.PAUSED, "reason": Reason.LEASE_LAPSED, "lease_left_ms": 0}
            await connection.request(GetStatus())
            connection_margin.told_state(moving, moving=True)  # late
            await connection.request(GetStatus())
        assert connection_margin.lapses == 2
        assert connection_margin.lowest_told_ms == 299
        assert "lapsed 2 times" in lease_words(connection_margin.as_dict())


@in_virtual_time
async def test_a_pass_that_ended_otherwise_is_no_lapse() -> None:
    async with a_connection() as (connection, pen):
        pen.status |= {"state": State.RUNNING}
        await connection.request(GetStatus())
        await asyncio.sleep(0.1)
        pen.status |= {"state": State.PAUSED, "reason": Reason.LIFT_OFF}
        await connection.request(GetStatus())
        assert connection.margin.lapses == 0


@in_virtual_time
async def test_a_restarted_pen_is_told_as_before() -> None:
    async with a_connection() as (connection, pen):
        await asyncio.sleep(1)
        await connection.request(GetStatus())
        pen.restart()
        with pytest.raises(PenRestarted):
            await connection.request(GetStatus())
        assert connection.margin.clock.restarts == 1


@in_virtual_time
async def test_joined_margins_hold_both_and_a_copy_stays() -> None:
    async with a_connection() as (first, pen), a_connection() as (second, other):
        await renewed(first, pen, 0.1, 0.1)
        await renewed(second, other, 0.1, 0.3)
        await second.request(GetStatus())
        whole = LinkMargin()
        whole.merge(first.margin)
        whole.merge(second.margin)
        copied = whole.copy()
        whole.merge(second.margin)
        assert copied.lease_left.count == 2
        assert copied.renewals.count == 4
        assert copied.round_trips.count == 1
        assert copied.relation == second.margin.relation
        assert copied.lease_ms == LEASE_MS
        assert json.loads(json.dumps(copied.as_dict())) == copied.as_dict()
        assert link_words(copied.as_dict()).count(",") >= 3


def test_nothing_heard_is_sayable_as_well() -> None:
    said = json.loads(json.dumps(LinkMargin().as_dict()))
    assert said["clock"] is None
    assert link_words(said) == "no answers yet, clock not fitted yet, no telemetry yet, no lease was seen running"


@in_virtual_time
async def test_telemetry_is_as_late_as_it_was_held_back() -> None:
    async with a_connection() as (connection, pen):
        for number in range(20):
            pen.telemetry(*range(10))
            await asyncio.sleep(0.1)
            if number == 12:
                pen.tick_offset -= 70  # as if the batch had been on its way 70 ms longer
                pen.telemetry(*range(10))
                pen.tick_offset += 70
        assert connection.margin.telemetry_late.count == 21
        assert connection.margin.telemetry_late.greatest == pytest.approx(70)
        assert connection.margin.telemetry_late.quantile(0.9) == pytest.approx(0, abs=1)  # a tick's rounding


@given(st.lists(st.floats(0, 300), min_size=1, max_size=300), st.integers(0, WRAP - 1), st.sampled_from([0.1, 1.0]))
def test_lateness_is_the_delay_over_the_best_of_late(delays_ms: list[float], first: int, every_s: float) -> None:
    lateness = Lateness()
    sent = [5.0 + number * every_s for number in range(len(delays_ms))]
    came = [at + delay / 1_000 for at, delay in zip(sent, delays_ms, strict=True)]
    for at, received in enumerate(came):
        late = lateness.of(received, (first + round((sent[at] - 5.0) * 1_000)) % WRAP)
        known = list(zip(delays_ms, came, strict=True))[: at + 1]
        lately = min(delay for delay, then in known if then >= received - BEST_OF_S)
        best = min(delays_ms[: at + 1])
        assert delays_ms[at] - lately - 0.01 <= late <= delays_ms[at] - best + 0.01
