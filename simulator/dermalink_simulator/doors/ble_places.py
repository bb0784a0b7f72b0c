"""Keeps a place free on the pen's radio, so that somebody who comes can still say Stop (SR-STOP-4, SR-SEC-5).

A pen whose links are all taken can't be found: neither the controllers of real adapters nor the pen itself take more
than so many. So whoever is idle gives way before somebody comes, not when: as on the pen's other doors a host that
never said anything first, then the one that was silent for longest, never the session's owner.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bumble.device import Connection

    from dermalink_simulator.doors.ble_link import BleLink

# As many as the pen has ports: more would only push each other out.
LINKS_MAX: Final = 8
# Who has said nothing for so long is idle. From the connection to the first word a host that reads the whole table
# before it says Stop takes 2.1 s in an ordinary room (measured: ATT_MTU 23, events of 30 ms). It is also how long all
# places may be taken by hosts that have said something; then the one of them that was silent for longest gives way.
IDLE_S: Final = 3.0
# While all are taken, how soon is looked again.
LOOK_S: Final = 0.25


class Places:
    """The links that there are now, and who of them gives way; `hang_up` ends one."""

    def __init__(self, links: "Mapping[Connection, BleLink]", hang_up: "Callable[[BleLink], None]") -> None:
        self._links, self._hang_up = links, hang_up
        self._timer: asyncio.Handle | None = None
        self._taken_since_s = 0.0

    @property
    def free(self) -> bool:
        """Whether one more may come, as far as the pen is concerned."""
        return len(self._links) < LINKS_MAX

    def look(self, *, refused: bool) -> None:
        """Links may have come, gone or spoken; `refused`: the controller takes no more, however many there are.

        Some controllers have no other link than one: that one is left alone.
        """
        if self.free and not (refused and len(self._links) > 1):
            self.close()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._taken_since_s = loop.time()
            self._timer = loop.call_soon(self._make_room)  # not in the middle of what the pen is doing

    def close(self) -> None:
        """Leave everybody alone; may be called again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _make_room(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer, now_s = loop.call_later(LOOK_S, self._make_room), loop.time()
        link = self._gives_way(now_s)
        if link is not None:
            self._taken_since_s = now_s
            self._hang_up(link)

    def _gives_way(self, now_s: float) -> "BleLink | None":
        """Who is to go now, if anybody is; not while one is going that may still go in time."""
        if any(link.gone and now_s - link.ended_s < IDLE_S for link in self._links.values()):
            return None
        long_taken = now_s - self._taken_since_s >= IDLE_S
        if self.free and not long_taken:  # the controller refused: it may yet take one
            return None
        may_go = [
            link
            for link in self._links.values()
            if not (link.gone or link.is_owner or now_s < link.spared_until_s)
            and (long_taken or (not link.spoke and now_s - link.heard_s >= IDLE_S))
        ]
        return min(may_go, key=lambda link: (link.spoke, link.heard_s), default=None)
