"""One link over the air: its connection events, what waits for them, and when it counts as lost.

Nothing runs while nothing waits: events without data are worked out when somebody next looks (or, where events can be
lost, once a supervision time-out), so virtual time jumps over them. Data is late, and never lost, doubled or overtaken
while the link lives. Terminating goes over the air as well, behind the data that was sent before it.
"""

import asyncio
from collections import deque
from math import floor
from typing import Final, NamedTuple, Protocol

from bumble import hci, ll

from dermalink_simulator.hardware.air import (
    EVENT_US,
    INTERVAL_MAX_US,
    INTERVAL_MIN_US,
    INTERVAL_STEP_US,
    LATENCY_MAX,
    SUPERVISION_MAX_MS,
    SUPERVISION_MIN_MS,
    SUPERVISION_STEP_MS,
    AirConditions,
    Losses,
    exchange_us,
)

US: Final = 1_000_000
MS: Final = 1_000
# Core specification 5.4, Vol 6, Part B, 4.5.2: not established unless a packet comes within six intervals.
ESTABLISH_EVENTS: Final = 6
CONTROL_OCTETS: Final = 27  # a control PDU has no more
# Control PDUs of one side that have not arrived; what is beyond is dropped. A link layer has one procedure of its own
# under way at a time and answers one (the same, 5.3), so that a few are more than any that keeps to that has.
CONTROLS_MAX: Final = 8
CENTRAL: Final = 0
PERIPHERAL: Final = 1
TIMED_OUT: Final = int(hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
NEVER_MET: Final = int(hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR)
BY_OWN_HOST: Final = int(hci.HCI_ErrorCode.CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR)


class Parameters(NamedTuple):
    """When two sides meet: every interval, the peripheral at the latest after `latency` it slept through."""

    interval_us: int
    latency: int
    supervision_ms: int

    def under(self, conditions: AirConditions) -> "Parameters":
        """What holds when the air overrules; the time-out is kept as long as the specification asks for.

        Core specification 5.4, Vol 4, Part E, 7.8.12: longer than two intervals that the peripheral attends.
        """
        interval = conditions.interval_us or self.interval_us
        latency = self.latency if conditions.latency < 0 else conditions.latency
        latency = max(0, min(latency, (SUPERVISION_MAX_MS * MS - 1) // (2 * interval) - 1))
        least_ms = (1 + latency) * interval * 2 // MS
        least_ms += SUPERVISION_STEP_MS - least_ms % SUPERVISION_STEP_MS
        return Parameters(
            interval, latency, min(SUPERVISION_MAX_MS, max(conditions.supervision_ms or self.supervision_ms, least_ms))
        )

    def said(self) -> tuple[int, int, int]:
        """As HCI events say it: in 1.25 ms, events, 10 ms."""
        return self.interval_us // INTERVAL_STEP_US, self.latency, self.supervision_ms // SUPERVISION_STEP_MS


def parameters_of(interval: int, latency: int, supervision: int) -> Parameters | None:
    """Parameters as HCI says them (in 1.25 ms, events, 10 ms); None where the specification has no such ones."""
    said = Parameters(interval * INTERVAL_STEP_US, latency, supervision * SUPERVISION_STEP_MS)
    in_range = (
        INTERVAL_MIN_US <= said.interval_us <= INTERVAL_MAX_US
        and 0 <= latency <= LATENCY_MAX
        and SUPERVISION_MIN_MS <= said.supervision_ms <= SUPERVISION_MAX_MS
    )
    return said if in_range and said.supervision_ms * MS > (1 + latency) * said.interval_us * 2 else None


class Packet(NamedTuple):
    """One packet on its way: data of a host, or a control PDU of the link itself."""

    octets: int
    first: bool
    data: bytes
    control: ll.ControlPdu | None = None


class End(Protocol):
    """What a link tells the controller on one side of it, and through that its host."""

    def passed(self) -> None:
        """A packet of this end's host passed: there is room for another."""

    def arrived(self, first: bool, data: bytes) -> None:
        """A packet of the other end's host came."""

    def control_arrived(self, pdu: ll.ControlPdu) -> None:
        """A control PDU of the other end's controller came."""

    def ended(self, reason: int) -> None:
        """The link is gone, for that reason as seen from here."""

    def adopted(self, parameters: Parameters) -> None:
        """These parameters hold from now on."""


class _Way:
    """One direction: what waits for an event, and what passed one and is still to arrive."""

    __slots__ = ("arriving", "soon", "timer", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Packet] = deque()
        self.arriving: deque[tuple[float, Packet]] = deque()
        self.timer: asyncio.TimerHandle | None = None
        self.soon = 0  # control PDUs that arrive in the next turn of the loop, which nothing may overtake


class Link:
    """A link between a central and a peripheral; `ends` are theirs, the central's first."""

    def __init__(
        self, conditions: AirConditions, losses: Losses, central: End, peripheral: End, agreed: Parameters
    ) -> None:
        self._conditions = conditions
        self._losses = losses
        self._loop = asyncio.get_running_loop()
        self.ends = (central, peripheral)
        self._agreed = agreed
        self.parameters = agreed.under(conditions)
        self._ways = (_Way(), _Way())
        self._anchor = self._loop.time()
        self._next = 1  # the number of the next event; event n takes place n intervals after the anchor
        self._last_good = self._anchor
        self._attended = 0
        self._met = conditions.perfect
        self._perfect = conditions.perfect
        self._left_alone = False  # one end's controller is gone for good
        self._gone = [False, False]
        self._closing = [False, False]
        self._event: asyncio.TimerHandle | None = None
        self._supervision: asyncio.TimerHandle | None = None
        self.alive = True
        conditions.watchers.append(self._conditions_change)
        self._watch()

    # What the two controllers say

    def send(self, side: int, *, first: bool, data: bytes) -> None:
        """Data of the host on one side."""
        self._put(side, Packet(len(data), first, data))

    def waiting(self, side: int) -> int:
        """How many packets of one side have not passed yet."""
        return len(self._ways[side].waiting)

    def send_control(self, side: int, pdu: ll.ControlPdu) -> None:
        """A control PDU of the controller on one side; one that ends the link is `terminate`."""
        if isinstance(pdu, ll.TerminateInd):
            self.terminate(side, pdu.error_code)
        elif self._controls(side) < CONTROLS_MAX:
            self._put(side, Packet(CONTROL_OCTETS, first=False, data=b"", control=pdu))

    def _controls(self, side: int) -> int:
        """How many control PDUs of one side are on their way."""
        way = self._ways[side]
        return way.soon + sum(1 for packet in way.waiting if packet.control is not None)

    def terminate(self, side: int, reason: int) -> None:
        """One side ends the link: the other hears why when that passes, this one then that it was its own doing."""
        self._put(side, Packet(CONTROL_OCTETS, first=False, data=b"", control=ll.TerminateInd(reason)))
        self._closing[side] = True

    def abandon(self, side: int) -> None:
        """The controller on one side is gone: the other finds out by supervision, at once where there is no air."""
        if not self.alive:
            return
        self._gone[side] = True
        if self._perfect:
            self._loop.call_soon(self._end, TIMED_OUT)
            return
        self._catch_up(self._loop.time())
        self._left_alone = True
        self._watch()

    def end_now(self, reason: int) -> None:
        """End at once, without the air, on both sides."""
        self._end(reason)

    def agree(self, agreed: Parameters) -> None:
        """The hosts agreed on other parameters; both are told what holds."""
        self._catch_up(self._loop.time())
        self._agreed = agreed
        self._adopt(tell=True)

    # Events

    def _put(self, side: int, packet: Packet) -> None:
        if not self.alive or self._closing[side] or self._gone[side]:
            return
        if self._perfect:
            self._arrive(side, packet, 0.0)
            return
        waiting = self._ways[side].waiting
        waiting.append(packet)
        if self._event is None:
            self._catch_up(self._loop.time())
            self._event = self._loop.call_at(self._time(self._next), self._on_event)

    def _time(self, number: int) -> float:
        return self._anchor + number * self.parameters.interval_us / US

    def _on_event(self) -> None:
        """An event for which something waits."""
        self._event = None
        now = max(self._loop.time(), self._time(self._next))
        # A loop that was busy comes late: what it missed took place without it, and data passes in the last.
        last = max(self._next, floor((now - self._anchor) * US / self.parameters.interval_us))
        while self._next < last:
            self._takes_place()
        if self._takes_place():
            self._exchange()
        if self.alive and (self._ways[CENTRAL].waiting or self._ways[PERIPHERAL].waiting):
            self._event = self._loop.call_at(self._time(self._next), self._on_event)

    def _takes_place(self) -> bool:
        """Go through the next event: whether the two met in it."""
        number = self._next
        self._next += 1
        lost = self._losses.lost(self._conditions) or self._left_alone
        wakes = number - self._attended > self.parameters.latency or bool(self._ways[PERIPHERAL].waiting)
        if not wakes:
            return False
        self._attended = number
        if lost:
            return False
        self._last_good = self._time(number)
        self._met = True
        return True

    def _catch_up(self, now: float) -> None:
        """Go through the events up to now in which nothing waited."""
        if self._perfect:
            self._last_good = now
            return
        if self._event is not None:
            return  # each event is gone through when it takes place
        last = floor((now - self._anchor) * US / self.parameters.interval_us)
        if self._conditions.lossless and not self._left_alone and not self.parameters.latency:
            if last >= self._next:
                self._next, self._attended, self._met = last + 1, last, True
                self._last_good = self._time(last)
            return
        while self._next <= last:
            self._takes_place()

    def _exchange(self) -> None:
        """Have pass what there is time for in one event."""
        down, up = self._ways[CENTRAL].waiting, self._ways[PERIPHERAL].waiting
        budget = min(EVENT_US, self.parameters.interval_us)
        used = 0
        while self.alive and (down or up):
            cost = exchange_us(down[0].octets if down else 0, up[0].octets if up else 0)
            if used and used + cost > budget:
                return
            used += cost
            late = self._last_good + self._conditions.delay_ms / MS if self._conditions.delay_ms else 0.0
            if down:
                self._arrive(CENTRAL, down.popleft(), late)
            if up:
                self._arrive(PERIPHERAL, up.popleft(), late)

    # Arriving

    def _arrive(self, side: int, packet: Packet, due: float) -> None:
        """A packet of one side reaches the other's host, at once or when it is due, behind those before it."""
        if packet.control is None:
            self.ends[side].passed()
        way = self._ways[side]
        if not due and not way.arriving:
            if packet.control is None and not way.soon:
                self._deliver(side, packet)  # into a queue before the host
            else:
                way.soon += 1
                self._loop.call_soon(self._deliver_soon, side, packet)
            return
        way.arriving.append((max(due, way.arriving[-1][0] if way.arriving else 0.0), packet))
        if way.timer is None:
            way.timer = self._loop.call_at(way.arriving[0][0], self._deliver_due, side)

    def _deliver_soon(self, side: int, packet: Packet) -> None:
        self._ways[side].soon -= 1
        self._deliver(side, packet)

    def _deliver_due(self, side: int) -> None:
        way = self._ways[side]
        way.timer = None
        now = self._loop.time()
        while way.arriving and way.arriving[0][0] <= now:
            self._deliver(side, way.arriving.popleft()[1])
        if self.alive and way.arriving:
            way.timer = self._loop.call_at(way.arriving[0][0], self._deliver_due, side)

    def _deliver(self, side: int, packet: Packet) -> None:
        if not self.alive:
            return
        receiver = self.ends[1 - side]
        if packet.control is None:
            receiver.arrived(packet.first, packet.data)
        elif isinstance(packet.control, ll.TerminateInd):
            self._end(packet.control.error_code)
        elif not self._gone[1 - side]:
            receiver.control_arrived(packet.control)

    # Ending

    def _watch(self) -> None:
        """Look after the link where it can be lost: not before it could be."""
        if self._supervision is not None:
            self._supervision.cancel()
            self._supervision = None
        if self.alive and not self._perfect and (self._left_alone or not self._conditions.lossless):
            self._supervision = self._loop.call_at(self._deadline(), self._look)

    def _deadline(self) -> float:
        if self._met:
            return self._last_good + self.parameters.supervision_ms / MS
        return self._time(ESTABLISH_EVENTS)

    def _look(self) -> None:
        """Whether the two met since the last look."""
        self._supervision = None
        now = self._loop.time()
        self._catch_up(now)
        if now >= self._deadline():
            self._end(TIMED_OUT if self._met else NEVER_MET)
        else:
            self._watch()

    def _end(self, reason: int) -> None:
        """Both sides find the link ended, each with its own reason."""
        if not self.alive:
            return
        self.drop()
        for side, end in enumerate(self.ends):
            if not self._gone[side]:
                end.ended(BY_OWN_HOST if self._closing[side] else reason)

    def drop(self) -> None:
        """Let go of everything, and tell nobody."""
        self.alive = False
        for timer in (self._event, self._supervision, *(way.timer for way in self._ways)):
            if timer is not None:
                timer.cancel()
        for way in self._ways:
            way.waiting.clear()
            way.arriving.clear()
        if self._conditions_change in self._conditions.watchers:
            self._conditions.watchers.remove(self._conditions_change)

    # Other conditions

    def _conditions_change(self, changed: bool) -> None:
        if not self.alive:
            return
        if not changed:
            self._catch_up(self._loop.time())
            return
        self._adopt(tell=False)

    def _adopt(self, *, tell: bool) -> None:
        """Go on by the parameters that now hold, and tell both hosts where they are others than before."""
        now = self._loop.time()
        before, self.parameters = self.parameters, self._agreed.under(self._conditions)
        was_perfect, self._perfect = self._perfect, self._conditions.perfect and not self._left_alone
        if was_perfect or before.interval_us != self.parameters.interval_us:
            self._anchor, self._next, self._attended = now, 1, 0
            self._last_good = now if was_perfect else self._last_good
        if self._event is not None:
            self._event.cancel()
            self._event = None
        if self._perfect:
            self._met = True
            for side in (CENTRAL, PERIPHERAL):
                while self._ways[side].waiting:
                    self._arrive(side, self._ways[side].waiting.popleft(), 0.0)
        elif self._ways[CENTRAL].waiting or self._ways[PERIPHERAL].waiting:
            self._event = self._loop.call_at(self._time(self._next), self._on_event)
        self._watch()
        if tell or before != self.parameters:
            for side, end in enumerate(self.ends):
                if not self._gone[side]:
                    end.adopted(self.parameters)
