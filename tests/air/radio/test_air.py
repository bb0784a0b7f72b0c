"""The air: events, losses and supervision; data is late, and never lost, doubled or overtaken while a link lives."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from bumble import hci
from hypothesis import given
from hypothesis import strategies as st

from dermalink_simulator.hardware.air import (
    AIR_PROFILES,
    DATA_OCTETS_MAX,
    EVENT_US,
    PERFECT,
    ROOM,
    AirConditions,
    Losses,
    exchange_us,
)
from dermalink_simulator.radio.air import Air
from dermalink_simulator.radio.controller import CorrectedController
from dermalink_simulator.radio.corrections import static_address
from dermalink_simulator.radio.link import Parameters
from dermalink_simulator.virtual_time import VirtualTimeLoop
from tests.air.radio.rig import HOST_ADDRESS, PEN_ADDRESS, BareHost, Pair, advertise, bare, initiate, linked
from tests.support.running import in_real_time, in_virtual_time

EVENTS = AirConditions()  # with connection events, as the hosts agreed, and no losses
INTERVAL_S = 0.03
SUPERVISION_S = 1.0
Acl = hci.HCI_AclDataPacket
Ended = hci.HCI_Disconnection_Complete_Event
Updated = hci.HCI_LE_Connection_Update_Complete_Event
Completed = hci.HCI_Number_Of_Completed_Packets_Event


def run(test: Callable[[], object]) -> None:
    in_virtual_time(test)()  # type: ignore[arg-type]


def spoilt(**numbers: int) -> AirConditions:
    return AirConditions(**numbers)  # type: ignore[arg-type]


def now() -> float:
    return asyncio.get_running_loop().time()


async def until(host: BareHost) -> None:
    """Until it is connected."""
    for _ in range(10_000):
        await asyncio.sleep(0.001)
        if host.connected:
            return
    pytest.fail("not connected")


# Losses


@pytest.mark.parametrize("share", [10, 100, 500, 900])
@pytest.mark.parametrize("burst", [1, 3, 20])
def test_as_many_events_are_lost_as_was_said_and_in_bursts_of_that_length(share: int, burst: int) -> None:
    losses, conditions = Losses(Random(1)), AirConditions(bursts=share, burst_events=burst)
    lost = [losses.lost(conditions) for _ in range(300_000)]
    assert sum(lost) / len(lost) == pytest.approx(share / 1_000, rel=0.25)
    bursts = sum(1 for before, after in zip([False, *lost], lost, strict=False) if after and not before)
    mean = max(burst, 1 / (1 - share / 1_000))  # chance alone makes longer ones where much is lost
    assert sum(lost) / bursts == pytest.approx(mean, rel=0.15)


def test_an_ordinary_room_loses_one_event_in_a_hundred_half_of_them_in_bursts_of_three() -> None:
    one_by_one, in_bursts = replace(ROOM, bursts=0), replace(ROOM, loss=0)
    for conditions, mean in ((one_by_one, 1.0), (in_bursts, 3.0)):
        losses = Losses(Random(1))
        lost = [losses.lost(conditions) for _ in range(400_000)]
        bursts = sum(1 for before, after in pairwise([False, *lost]) if after and not before)
        assert sum(lost) / len(lost) == pytest.approx(0.005, rel=0.1)
        assert sum(lost) / bursts == pytest.approx(mean, rel=0.1)


def test_single_losses_and_bursts_add_up_and_all_is_all() -> None:
    losses = Losses(Random(1))
    both = AirConditions(loss=100, bursts=100)
    assert sum(losses.lost(both) for _ in range(100_000)) / 100_000 == pytest.approx(0.19, rel=0.05)
    for everything in (AirConditions(loss=1_000), AirConditions(bursts=1_000), AirConditions(silence=True)):
        assert all(losses.lost(everything) for _ in range(1_000))
    assert not any(losses.lost(AirConditions()) for _ in range(1_000))


def test_the_room_loses_one_event_in_a_hundred() -> None:
    losses = Losses(Random(1))
    assert sum(losses.lost(ROOM) for _ in range(300_000)) / 300_000 == pytest.approx(0.01, rel=0.15)


def test_three_full_packets_one_way_fit_into_an_event_and_four_do_not() -> None:
    assert 3 * exchange_us(DATA_OCTETS_MAX, 0) <= EVENT_US < 4 * exchange_us(DATA_OCTETS_MAX, 0)
    assert exchange_us(0, 0) == 460  # two empty packets of 80 us and two spaces of 150


def test_profiles_are_what_they_say_and_copies_are_watched_by_nobody() -> None:
    assert AIR_PROFILES["perfect"].perfect
    assert not AIR_PROFILES["room"].perfect
    air_conditions = ROOM.copy()
    air_conditions.watchers.append(lambda _: None)
    assert air_conditions.copy().watchers == ROOM.watchers == []


@pytest.mark.parametrize("spoiler", ["interval_us", "latency", "loss", "bursts", "delay_ms", "silence"])
def test_a_perfect_air_with_anything_wrong_is_perfect_no_longer(spoiler: str) -> None:
    conditions = PERFECT.copy()
    assert conditions.perfect
    setattr(conditions, spoiler, 10_000)
    assert not conditions.perfect


@given(st.integers(6, 3_200), st.integers(0, 499), st.integers(10, 3_200), st.integers(0, 3_200), st.integers(-1, 499))
def test_whatever_the_air_overrules_the_parameters_are_ones_that_bluetooth_has(
    interval: int, latency: int, supervision: int, overruled: int, sleeps: int
) -> None:
    conditions = AirConditions(interval_us=1_250 * overruled if overruled >= 6 else 0, latency=sleeps)
    held = Parameters(interval * 1_250, latency, supervision * 10).under(conditions)
    assert held.supervision_ms * 1_000 > (1 + held.latency) * held.interval_us * 2
    assert 100 <= held.supervision_ms <= 32_000
    assert held.supervision_ms % 10 == 0
    assert held.said() == (held.interval_us // 1_250, held.latency, held.supervision_ms // 10)


# Events


@in_virtual_time
async def test_data_passes_in_events_and_both_ways_in_the_same() -> None:
    pair = await linked(EVENTS)
    for number in range(5):
        await asyncio.sleep(0.1003)
        pair.host.data(pair.to_pen, b"down %d" % number)
        pair.pen.data(pair.to_host, b"up %d" % number)
    await asyncio.sleep(0.1)
    assert pair.pen.received == [b"down %d" % number for number in range(5)]
    assert pair.host.received == [b"up %d" % number for number in range(5)]
    assert pair.pen.times(Acl) == pair.host.times(Acl)
    for at in pair.pen.times(Acl):
        events = (at - pair.connected_at) / INTERVAL_S
        assert events == pytest.approx(round(events), abs=1e-6)
    pair.air.close()


@in_virtual_time
async def test_in_a_perfect_air_nothing_takes_any_time() -> None:
    pair = await linked()
    pair.host.data(pair.to_pen, b"down")
    begun = now()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert pair.pen.times(Acl) == [begun]
    pair.air.close()


@in_virtual_time
async def test_an_event_has_room_for_three_full_packets() -> None:
    pair = await linked(EVENTS)
    for number in range(8):
        pair.host.data(pair.to_pen, bytes([number]) * DATA_OCTETS_MAX)
    await asyncio.sleep(1)
    events = [round((at - pair.connected_at) / INTERVAL_S) for at in pair.pen.times(Acl)]
    assert events == [1, 1, 1, 2, 2, 2, 3, 3]
    assert pair.host.times(Completed) == pair.pen.times(Acl), "the host is told of room when there is some"
    pair.air.close()


@in_virtual_time
async def test_a_pen_that_sleeps_through_events_is_reached_late_and_speaks_when_it_likes() -> None:
    pair = await linked(spoilt(latency=3))
    await asyncio.sleep(0.5)
    waited = []
    for _ in range(8):
        begun = now()
        pair.host.data(pair.to_pen, b"down")
        await asyncio.sleep(0.2)
        waited.append(pair.pen.times(Acl)[-1] - begun)
    assert max(waited) > 2 * INTERVAL_S
    assert max(waited) <= 4 * INTERVAL_S + 1e-6
    for _ in range(8):
        begun = now()
        pair.pen.data(pair.to_host, b"up")
        await asyncio.sleep(0.2)
        assert pair.host.times(Acl)[-1] - begun <= INTERVAL_S + 1e-6
    pair.air.close()


@in_virtual_time
async def test_what_is_delayed_comes_so_much_later_and_in_order_when_the_delay_ends() -> None:
    pair = await linked(spoilt(delay_ms=200))
    begun = now()
    pair.host.data(pair.to_pen, b"late")
    await asyncio.sleep(0.1)
    pair.air.conditions.become(PERFECT)
    pair.host.data(pair.to_pen, b"later")
    await asyncio.sleep(1)
    assert pair.pen.received == [b"late", b"later"]
    assert pair.pen.times(Acl)[0] == pytest.approx(begun + INTERVAL_S + 0.2)
    pair.air.close()


@in_virtual_time
async def test_nothing_runs_while_nothing_waits() -> None:
    pair = await linked(EVENTS)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    turns = 0
    select = loop._virtual.select

    def counted(timeout: float | None = None) -> object:
        nonlocal turns
        turns += 1
        return select(timeout)

    loop._virtual.select = counted  # type: ignore[method-assign,assignment]
    await asyncio.sleep(3_600)
    assert turns < 10
    pair.air.conditions.become(ROOM)
    turns = 0
    await asyncio.sleep(3_600)
    assert turns <= 2 * 3_600, "a look at the link, once a supervision time-out"
    pair.host.data(pair.to_pen, b"still there")
    await asyncio.sleep(1)
    assert pair.pen.received == [b"still there"]
    pair.air.close()


@in_virtual_time
async def test_other_parameters_hold_at_once_and_are_said_to_both() -> None:
    pair = await linked(EVENTS)
    pair.air.conditions.become(spoilt(interval_us=7_500))
    for number in range(3):
        pair.host.data(pair.to_pen, b"%d" % number)
        await asyncio.sleep(0.0075)
    await asyncio.sleep(0.1)
    assert [round((at - pair.connected_at) / 0.0075) for at in pair.pen.times(Acl)] == [1, 2, 3]
    for side in (pair.host, pair.pen):
        assert [(one.connection_interval, one.supervision_timeout) for one in side.of(Updated)] == [(6, 100)]
    pair.air.conditions.become(spoilt(interval_us=1_000_000))
    await asyncio.sleep(0.1)
    assert pair.host.of(Updated)[-1].connection_interval == 800
    assert pair.host.of(Updated)[-1].supervision_timeout == 201, "longer than two intervals"
    pair.air.close()


@in_virtual_time
async def test_a_host_may_ask_for_other_parameters() -> None:
    pair = await linked(EVENTS)
    command = hci.HCI_LE_Connection_Update_Command(pair.to_pen, 40, 80, 2, 200, 0, 0)
    pair.host.command(command)
    await asyncio.sleep(0.1)
    for side in (pair.host, pair.pen):
        (said,) = side.of(Updated)
        assert (said.connection_interval, said.peripheral_latency, said.supervision_timeout) == (80, 2, 200)
    for wrong in ((pair.to_pen, 40, 5, 2, 200), (0x0EEE, 40, 80, 2, 200), (pair.to_pen, 40, 80, 2, 5)):
        pair.host.command(hci.HCI_LE_Connection_Update_Command(*wrong, 0, 0))
    await asyncio.sleep(0.1)
    assert pair.host.statuses[-3:] == [0x12, 0x02, 0x12]
    assert len(pair.pen.of(Updated)) == 1
    pair.air.close()


# Ends


@pytest.mark.parametrize("before", [PERFECT, EVENTS, ROOM], ids=["perfect", "events", "room"])
@pytest.mark.parametrize("busy", [False, True])
def test_after_silence_both_sides_give_up_when_their_time_is_over(before: AirConditions, busy: bool) -> None:
    async def test() -> None:
        pair = await linked(before)
        await asyncio.sleep(5.011)
        begun = now()
        silent = before.copy()
        silent.silence = True
        pair.air.conditions.become(silent)
        if busy:
            pair.host.data(pair.to_pen, b"never")
        await asyncio.sleep(10)
        supervision = (before.supervision_ms or SUPERVISION_S * 1_000) / 1_000
        for side in (pair.host, pair.pen):
            assert side.ended == [hci.HCI_CONNECTION_TIMEOUT_ERROR]
            (at,) = side.times(Ended)
            last_good = at - supervision
            if before == PERFECT:
                assert last_good == pytest.approx(begun)
            else:
                # Two events before, at the most, may have been lost by chance.
                assert begun - 3 * INTERVAL_S - 1e-6 <= last_good <= begun
                events = (last_good - pair.connected_at) / INTERVAL_S
                assert events == pytest.approx(round(events), abs=1e-6)
        assert pair.host.times(Ended) == pair.pen.times(Ended)
        assert pair.pen.received == []
        pair.air.close()

    run(test)


@in_virtual_time
async def test_silence_that_ends_in_time_loses_nothing() -> None:
    pair = await linked(EVENTS)
    pair.air.conditions.become(AirConditions(silence=True))
    for number in range(4):
        pair.host.data(pair.to_pen, b"%d" % number)
    await asyncio.sleep(SUPERVISION_S - 0.1)
    assert pair.pen.received == []
    pair.air.conditions.become(EVENTS)
    await asyncio.sleep(5)
    assert pair.pen.received == [b"0", b"1", b"2", b"3"]
    assert pair.host.ended == pair.pen.ended == []
    pair.air.close()


@in_virtual_time
async def test_two_that_never_meet_have_not_been_connected() -> None:
    air = Air(AirConditions(interval_us=30_000))
    pen, host = bare("pen", air, PEN_ADDRESS), bare("host", air, HOST_ADDRESS)
    advertise(pen)
    initiate(host, PEN_ADDRESS)
    await until(host)
    air.conditions.become(AirConditions(interval_us=30_000, silence=True))
    begun = now()
    await asyncio.sleep(5)
    assert host.ended == pen.ended == [hci.HCI_CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR]
    assert host.times(Ended)[0] - begun == pytest.approx(6 * 0.03, abs=0.002)
    air.close()


@in_virtual_time
async def test_an_end_goes_over_the_air_behind_what_was_said_before_it() -> None:
    pair = await linked(EVENTS)
    pair.host.data(pair.to_pen, b"last words")
    pair.host.command(hci.HCI_Disconnect_Command(connection_handle=pair.to_pen, reason=0x13))
    pair.host.data(pair.to_pen, b"too late")
    begun = now()
    await asyncio.sleep(1)
    assert pair.pen.received == [b"last words"]
    assert (pair.pen.ended, pair.host.ended) == ([0x13], [0x16])
    assert pair.pen.times(Ended)[0] - begun == pytest.approx(INTERVAL_S)
    pair.host.command(hci.HCI_Disconnect_Command(connection_handle=pair.to_pen, reason=0x13))
    await asyncio.sleep(1)
    assert pair.host.statuses[-1] == hci.HCI_UNKNOWN_CONNECTION_IDENTIFIER_ERROR
    pair.air.close()


@in_virtual_time
async def test_an_end_that_nobody_hears_is_one_by_time_for_the_other() -> None:
    pair = await linked(EVENTS)
    pair.air.conditions.become(AirConditions(silence=True))
    pair.host.command(hci.HCI_Disconnect_Command(connection_handle=pair.to_pen, reason=0x13))
    await asyncio.sleep(5)
    assert (pair.pen.ended, pair.host.ended) == ([0x08], [0x16])
    pair.air.close()


@in_virtual_time
async def test_a_controller_that_dies_is_missed_after_the_supervision_time() -> None:
    pair = await linked(EVENTS)
    await asyncio.sleep(1)
    assert isinstance(pair.host.controller, CorrectedController)
    begun = now()
    pair.host.controller.leave()
    pair.pen.data(pair.to_host, b"anybody?")
    await asyncio.sleep(5)
    assert pair.pen.ended == [0x08]
    assert (pair.host.ended, pair.host.received) == ([], [])
    assert pair.pen.times(Ended)[0] - begun == pytest.approx(SUPERVISION_S, abs=INTERVAL_S + 1e-6)
    pair.air.close()


@in_virtual_time
async def test_a_controller_that_dies_is_missed_also_when_the_air_becomes_perfect_meanwhile() -> None:
    pair = await linked(EVENTS)
    assert isinstance(pair.host.controller, CorrectedController)
    pair.host.controller.leave()
    pair.air.conditions.become(PERFECT)
    await asyncio.sleep(5)
    assert pair.pen.ended == [0x08]
    pair.air.close()


@in_virtual_time
async def test_a_closed_air_is_silent_for_good() -> None:
    pair = await linked(ROOM)
    pair.host.data(pair.to_pen, b"never")
    pair.air.close()
    pair.air.conditions.become(PERFECT)
    await asyncio.sleep(60)
    assert (pair.pen.received, pair.pen.ended) == ([], [])


# Advertisements


@pytest.mark.parametrize(("conditions", "share"), [(spoilt(loss=500), 0.5), (AirConditions(silence=True), 0.0)])
def test_advertisements_are_lost_as_well(conditions: AirConditions, share: float) -> None:
    async def test() -> None:
        air = Air(conditions)
        pen, host = bare("pen", air, PEN_ADDRESS), bare("host", air, HOST_ADDRESS)
        advertise(pen)
        host.command(hci.HCI_LE_Set_Scan_Parameters_Command(0, 16, 16, 1, 0))
        host.command(hci.HCI_LE_Set_Scan_Enable_Command(1, 0))
        await asyncio.sleep(105)
        assert len(host.reports) == pytest.approx(1_000 * share, rel=0.1)
        air.close()

    run(test)


# All of it

conditions_of = st.builds(
    AirConditions,
    instant=st.booleans(),
    interval_us=st.sampled_from([0, 7_500, 30_000, 100_000]),
    latency=st.sampled_from([-1, 0, 2]),
    loss=st.sampled_from([0, 10, 300, 700]),
    bursts=st.sampled_from([0, 20, 400]),
    burst_events=st.integers(1, 6),
    delay_ms=st.sampled_from([0, 1, 250]),
)
steps = st.lists(
    st.tuples(st.sampled_from(["down", "up", "wait", "change"]), st.integers(1, DATA_OCTETS_MAX), conditions_of),
    max_size=40,
)


async def live(begin: AirConditions, what: list[tuple[str, int, AirConditions]], seed: int) -> tuple[Pair, list[bytes]]:
    """Do `what` on a link with a long time-out; ends with nothing under way. Returns what was sent by both."""
    pair = await linked(begin, seed, supervision=3_200)
    sent: list[bytes] = []
    for step, size, conditions in what:
        if step in ("down", "up"):
            data = (step.encode() + b"%d " % len(sent)).ljust(size, b"x")[:DATA_OCTETS_MAX]
            sent.append(data)
            if step == "down":
                pair.host.data(pair.to_pen, data)
            else:
                pair.pen.data(pair.to_host, data)
        elif step == "wait":
            await asyncio.sleep(size / 1_000)
        else:
            pair.air.conditions.become(conditions)
    await asyncio.sleep(60)
    return pair, sent


@given(conditions_of, steps, st.integers(0, 1_000))
def test_order_and_content_survive_whatever_is_lost(
    begin: AirConditions, what: list[tuple[str, int, AirConditions]], seed: int
) -> None:
    async def test() -> None:
        pair, sent = await live(begin, what, seed)
        if pair.pen.ended or pair.host.ended:
            # Lost for longer than the time-out: then what came is the beginning of what was sent.
            assert pair.pen.ended == pair.host.ended == [0x08]
        down = [data for data in sent if data.startswith(b"down")]
        up = [data for data in sent if data.startswith(b"up")]
        assert pair.pen.received == down[: len(pair.pen.received)]
        assert pair.host.received == up[: len(pair.host.received)]
        if not pair.pen.ended:
            assert (pair.pen.received, pair.host.received) == (down, up)
            assert len(pair.host.of(Completed)) == len(down)
        pair.air.close()

    run(test)


@given(conditions_of, steps, st.integers(0, 1_000))
def test_the_same_seed_gives_the_same_run(
    begin: AirConditions, what: list[tuple[str, int, AirConditions]], seed: int
) -> None:
    async def test() -> list[tuple[float, bytes]]:
        pair, _ = await live(begin, what, seed)
        pair.air.close()
        return [(one.at, bytes(one.packet)) for side in (pair.host, pair.pen) for one in side.heard]

    runs = []
    for _ in range(2):
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runs.append(runner.run(test()))
    assert runs[0] == runs[1]


def test_another_seed_gives_another_run() -> None:
    async def times(seed: int) -> list[float]:
        pair = await linked(spoilt(loss=300), seed)
        for _ in range(50):
            pair.host.data(pair.to_pen, b"x")
            await asyncio.sleep(0.3)
        pair.air.close()
        return pair.pen.times(Acl)

    runs = []
    for seed in (1, 2):
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runs.append(runner.run(times(seed)))
    assert runs[0] != runs[1]


@in_virtual_time
async def test_many_hosts_have_each_their_own_link_and_losses() -> None:
    air = Air(spoilt(loss=200), seed=3)
    pen = bare("pen", air, PEN_ADDRESS)
    advertise(pen)
    hosts: list[BareHost] = []
    for number in range(8):
        host = bare(f"host {number}", air, static_address(f"host {number}"))
        initiate(host, PEN_ADDRESS, supervision=3_200)
        await until(host)
        hosts.append(host)
        pen.command(hci.HCI_LE_Set_Advertising_Enable_Command(advertising_enable=1))
    for number, host in enumerate(hosts):
        for _ in range(10):
            host.data(host.connected[0].connection_handle, b"from %d" % number)
    await asyncio.sleep(20)
    handles = [one.connection_handle for one in pen.connected]
    assert len(set(handles)) == 8
    for number, handle in enumerate(handles):
        got = [one.data for one in pen.of(Acl) if one.connection_handle == handle]
        assert got == [b"from %d" % number] * 10
    assert len({tuple(host.times(Completed)) for host in hosts}) == 8
    air.close()


@in_real_time
async def test_on_the_real_clock_it_is_the_same_air() -> None:
    pair = await linked(spoilt(interval_us=7_500, loss=100), seed=5)
    begun = now()
    for number in range(60):
        pair.host.data(pair.to_pen, b"%d" % number)
        pair.pen.data(pair.to_host, b"%d" % number)
        await asyncio.sleep(0.005)
    await asyncio.sleep(1)
    sent = [b"%d" % number for number in range(60)]
    assert (pair.pen.received, pair.host.received) == (sent, sent)
    assert pair.pen.times(Acl)[0] > begun, "nothing before its event"
    silent = pair.air.conditions.copy()
    silent.silence = True
    pair.air.conditions.become(silent)
    begun = now()
    for _ in range(100):
        await asyncio.sleep(0.1)
        if pair.pen.ended:
            break
    assert pair.pen.ended == pair.host.ended == [0x08]
    assert pair.pen.times(Ended)[0] - begun >= SUPERVISION_S - 0.1
    pair.air.close()


@in_real_time
async def test_a_loop_that_was_busy_finds_the_link_alive_and_everything_in_order() -> None:
    pair = await linked(spoilt(interval_us=7_500))
    for number in range(5):
        pair.host.data(pair.to_pen, b"%d" % number)
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            pass  # what holds the loop up, holds up both ends alike
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)
    assert pair.pen.received == [b"%d" % number for number in range(5)]
    assert pair.pen.ended == []
    pair.air.close()
