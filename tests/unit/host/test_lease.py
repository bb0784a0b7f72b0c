"""The lease: earned by what was heard, bounded in what is under way, measured by the pen's own ticks."""

import asyncio

import pytest

from dermalink.errors import LinkLost, NoTelemetry, PenRefusal
from dermalink.lease import OVERDUE_PART, UNDER_WAY_MAX, Lease
from dermalink_protocol.codewords import Reason
from dermalink_protocol.messages.identity import Status, StatusFlag
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.messages.therapy import LeaseRenewed, RenewLease
from tests.support.running import in_virtual_time
from tests.unit.host.scripted_pen import AT_REST, ScriptedPen, a_connection


def heard(pen: ScriptedPen) -> Telemetry:
    """A batch that has just come."""
    return Telemetry(sequence=0, tick_ms=pen.tick, samples=bytes(8))


@pytest.mark.sr("SR-STOP-1", side="host")
@in_virtual_time
async def test_no_news_no_renewal() -> None:
    async with a_connection() as (connection, pen):
        lease = Lease(connection, 1, 500)
        with pytest.raises(NoTelemetry):
            await lease.renew()
        pen.telemetry(100)
        await asyncio.sleep(0.01)
        with pytest.raises(NoTelemetry):  # that the library has received it is nothing: the loop has to take it in
            await lease.renew()
        lease.earn(heard(pen))
        await lease.renew()
        with pytest.raises(NoTelemetry):
            await lease.renew()
        lease.earn(heard(pen))  # heard before, in the same millisecond: no news
        with pytest.raises(NoTelemetry):
            await lease.renew()
        await asyncio.sleep(0.1)
        lease.earn(heard(pen))
        await lease.renew()
        await asyncio.sleep(0.1)
        assert pen.count(RenewLease) == 2


@pytest.mark.sr("SR-STOP-1", side="host")
@in_virtual_time
async def test_nothing_renews_by_itself() -> None:
    async with a_connection() as (connection, pen):
        lease = Lease(connection, 1, 500)
        pen.telemetry(100)
        await asyncio.sleep(0.01)
        lease.earn(heard(pen))
        await lease.renew()
        for _ in range(100):
            pen.telemetry(100)
            await asyncio.sleep(0.1)
        assert pen.count(RenewLease) == 1


@pytest.mark.sr("SR-STOP-1", side="host")
@in_virtual_time
async def test_a_renewal_quotes_the_newest_tick_that_was_seen() -> None:
    async with a_connection() as (connection, pen):
        lease = Lease(connection, 1, 500)
        pen.telemetry(100)
        at = pen.tick
        await asyncio.sleep(0.25)
        lease.earn(heard(pen))
        await lease.renew()
        await asyncio.sleep(0.01)
        renewal = pen.seen[-1]
        assert isinstance(renewal, RenewLease)
        assert renewal.seen_tick_ms == at


@in_virtual_time
async def test_the_margin_is_what_was_left_by_the_pens_ticks() -> None:
    async with a_connection() as (connection, pen):
        lease = Lease(connection, 1, 500)
        for pause in (0.1, 0.3, 0.2):
            pen.telemetry(100)
            await asyncio.sleep(0.01)
            lease.earn(heard(pen))
            await lease.renew()
            await asyncio.sleep(pause)
        assert (lease.renewals, lease.margin_ms, lease.lowest_margin_ms) == (3, 180, 180)
        lease.rest()
        await asyncio.sleep(5)
        pen.telemetry(100)
        await asyncio.sleep(0.01)
        lease.earn(heard(pen))
        await lease.renew()
        await asyncio.sleep(0.01)
        assert lease.lowest_margin_ms == 180


@in_virtual_time
async def test_a_status_earns_while_the_pen_waits_and_not_while_it_is_armed() -> None:
    async with a_connection() as (connection, pen):
        lease = Lease(connection, 1, 500)
        connection.newest_tick = 5
        lease.earn(Status(**pen.status | {"flags": AT_REST | StatusFlag.ARMED}, tick_ms=pen.tick))
        assert not lease.earned
        lease.earn(Status(**pen.status, tick_ms=pen.tick))
        assert lease.earned


@in_virtual_time
async def test_a_link_that_stands_still_is_not_fed_more_and_more() -> None:
    async with a_connection() as (connection, pen):
        pen.silent_to(RenewLease)
        lease = Lease(connection, 1, 500)
        connection.newest_tick = 5
        for _ in range(30):
            await asyncio.sleep(0.01)
            lease.earn(heard(pen))
            await lease.renew()
        assert pen.count(RenewLease) == UNDER_WAY_MAX
        await asyncio.sleep(1)  # both were given up: one lost answer is no reason to stop renewing
        lease.earn(heard(pen))
        await lease.renew()
        assert pen.count(RenewLease) == UNDER_WAY_MAX + 1
        await lease.close()
        await lease.close()


def _answers(pen: ScriptedPen, after_s: float) -> None:
    """Renewals are answered so late."""

    def answer(_: RenewLease) -> None:
        asked = pen.ids[-1]
        reply = lambda: pen.send(asked, LeaseRenewed(tick_ms=pen.tick, lease_left_ms=100))  # noqa: E731
        asyncio.get_running_loop().call_later(after_s, reply)

    pen.on(RenewLease, answer)


def _quoted(pen: ScriptedPen) -> list[int]:
    return [request.seen_tick_ms for request in pen.seen if isinstance(request, RenewLease)]


@pytest.mark.sr("SR-STOP-1", side="host")
@in_virtual_time
async def test_one_is_under_way_and_what_is_asked_for_meanwhile_goes_when_it_is_answered() -> None:
    async with a_connection() as (connection, pen):
        _answers(pen, after_s=0.15)
        lease = Lease(connection, 1, 500)
        asked_at = []
        for _ in range(3):  # at 0, 50 and 100 ms; the last two are one
            connection.newest_tick = pen.tick
            asked_at.append(pen.tick)
            lease.earn(heard(pen))
            await lease.renew()
            await asyncio.sleep(0.05)
        connection.newest_tick = pen.tick  # nobody has asked with it
        await asyncio.sleep(0.01)
        assert _quoted(pen) == [asked_at[0], asked_at[2]]
        await asyncio.sleep(5)
        assert len(_quoted(pen)) == 2


@pytest.mark.sr("SR-STOP-1", side="host")
@in_virtual_time
async def test_a_loop_that_hangs_has_no_renewal_go_out_later_than_a_third_of_its_lease() -> None:
    async with a_connection() as (connection, pen):
        _answers(pen, after_s=0.35)
        lease = Lease(connection, 1, 900)
        for _ in range(2):
            connection.newest_tick = pen.tick
            lease.earn(heard(pen))
            await lease.renew()
            await asyncio.sleep(0.01)
        await asyncio.sleep(5)  # the first one's answer came 340 ms after the second one was asked for
        assert len(_quoted(pen)) == 1


@pytest.mark.parametrize("end", ["close", "rest"])
@in_virtual_time
async def test_what_waits_does_not_go_once_nothing_runs(end: str) -> None:
    async with a_connection() as (connection, pen):
        _answers(pen, after_s=0.1)
        lease = Lease(connection, 1, 500)
        for _ in range(2):
            await asyncio.sleep(0.01)
            connection.newest_tick = pen.tick
            lease.earn(heard(pen))
            await lease.renew()
        if end == "close":
            await lease.close()
        else:
            lease.rest()
        await asyncio.sleep(1)
        assert len(_quoted(pen)) == 1


@pytest.mark.sr("SR-STOP-1", side="host")
@in_virtual_time
async def test_a_renewal_that_was_lost_is_followed_by_another_while_the_lease_still_runs() -> None:
    async with a_connection() as (connection, pen):
        pen.silent_to(RenewLease)
        lease = Lease(connection, 1, 500)
        loop = asyncio.get_running_loop()
        began = loop.time()
        while pen.count(RenewLease) < 2:
            connection.newest_tick = pen.tick
            lease.earn(heard(pen))
            await lease.renew()
            await asyncio.sleep(0.01)
        assert loop.time() - began == pytest.approx(500 / OVERDUE_PART / 1_000, abs=0.02)
        await lease.close()


@in_virtual_time
async def test_a_refused_renewal_and_a_lost_link_are_told_at_the_next_one() -> None:
    async with a_connection() as (connection, pen):
        pen.refuse(RenewLease, Reason.RENEWAL_STALE)
        lease = Lease(connection, 1, 500)
        connection.newest_tick = 5
        lease.earn(heard(pen))
        await lease.renew()
        await asyncio.sleep(0.01)
        with pytest.raises(PenRefusal):
            await lease.renew()
        other = Lease(connection, 1, 500)
        other.earn(heard(pen))
        pen.pipe.cut()
        await other.renew()
        await asyncio.sleep(0.01)
        with pytest.raises(LinkLost):
            await other.renew()


@in_virtual_time
async def test_the_reply_of_another_time_makes_no_margin_better() -> None:
    async with a_connection() as (connection, pen):
        late: list[int] = []
        pen.on(RenewLease, lambda _: late.append(pen.tick))
        lease = Lease(connection, 1, 500)
        connection.newest_tick = pen.tick
        lease.earn(heard(pen))
        await lease.renew()
        await asyncio.sleep(0.4)
        pen.send(pen.ids[-1], LeaseRenewed(tick_ms=pen.tick, lease_left_ms=100))
        await asyncio.sleep(0.01)
        assert lease.renewals == 1
        assert lease.round_trip_s == pytest.approx(0.4)
