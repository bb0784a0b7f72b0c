"""Bluetooth's own pairing at the pen's door: who may begin one, what becomes of it, and which key a link is given.

The packets are checked in `radio.just_works_peripheral`, one after the other; here is what belongs to links. Whether
anybody may pair is the firmware's word, asked before each packet. One pairing at a time; a key that was made counts for
the link it was made on, and the firmware alone decides whether it is kept. Whoever has no key, or another one, is a
stranger all the same: nothing here gives a right (SR-SEC-1).

Nothing waits here, so nothing that a central sends holds up Stop, the lease or another link (SR-SEC-5).
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from bumble import hci, smp
from bumble.smp import ErrorCode

from dermalink_protocol.limits import BOND_WINDOW_MS
from dermalink_simulator.radio.just_works import FAILED, REQUEST, Ends, NotPaired
from dermalink_simulator.radio.just_works_peripheral import Responder, why_not

if TYPE_CHECKING:
    from bumble.device import Connection

    from dermalink_simulator.doors.ble_link import BleLink

# Core specification 5.4, Vol 3, Part H, 3.4: a pairing in which nothing comes for so long has failed, and its link has
# no other one.
SMP_TIMEOUT_S: Final = 30.0
# One that is silent for so long gives way to another link's: as long as a run of pairing with the code keeps its desk.
GIVES_WAY_S: Final = 6.0
# So many refusals on one link, and the pen hangs up on it: BlueZ tries twice a second for 45 s.
REFUSALS_MAX: Final = 3
REFUSED: Final = int(hci.HCI_ErrorCode.AUTHENTICATION_FAILURE_ERROR)
NO_RANDOM: Final = bytes(8)  # a key of LE Secure Connections has neither number nor diversifier (the same, 2.4.4.1)

LinkAt = Callable[[int], "BleLink | None"]


class _OfLink:
    """What is remembered of a link while it lasts: the key that was made there, and the one that it was given last."""

    __slots__ = ("given", "made", "over", "refused")

    def __init__(self) -> None:
        self.made = self.given = b""
        self.refused = 0
        self.over = False


class _Run:
    """The pairing under way."""

    __slots__ = ("heard_s", "link", "responder", "timer")

    def __init__(self, link: "BleLink", responder: Responder) -> None:
        self.link, self.responder = link, responder
        self.heard_s = 0.0
        self.timer: asyncio.TimerHandle | None = None


class Bonding:
    """The pairings and keys of all links of a door; `link_at` finds one by its connection's handle."""

    def __init__(self, link_at: LinkAt) -> None:
        self._link_at = link_at
        self._links: dict[BleLink, _OfLink] = {}
        self._run: _Run | None = None

    def watch(self, link: "BleLink") -> None:
        """A link has come."""
        self._links[link] = _OfLink()
        connection = link.connection
        connection.on(connection.EVENT_CONNECTION_ENCRYPTION_CHANGE, lambda: self._encrypted(link))
        connection.on(connection.EVENT_CONNECTION_ENCRYPTION_KEY_REFRESH, lambda: self._encrypted(link))

    def forget(self, link: "BleLink") -> None:
        """A link is gone, and its key with it."""
        self._links.pop(link, None)
        if self._run is not None and self._run.link is link:
            self._end()

    def close(self) -> None:
        """The door is closing."""
        self._end()

    # Pairing

    def take(self, handle: int, pdu: bytes) -> bool:
        """A packet of the Security Manager's channel; what is in no pairing and begins none is dropped."""
        link = self._link_at(handle)
        known = None if link is None else self._links.get(link)
        if link is None or known is None or known.over or link.gone:
            return True
        if self._run is not None and self._run.link is link:
            self._go_on(self._run, pdu)
        elif pdu[:1] == bytes([REQUEST]) and link.is_heard_on(smp.SMP_CID):  # else the answer would be dropped
            self._begin(link, pdu)
        return True

    def _begin(self, link: "BleLink", request: bytes) -> None:
        now_s, wrong = asyncio.get_running_loop().time(), why_not(request)
        if not link.bonding(begins=False):
            self._refuse(link, ErrorCode.PAIRING_NOT_SUPPORTED)
        elif wrong is not None:
            self._refuse(link, wrong)
        elif (self._run is not None and now_s - self._run.heard_s < GIVES_WAY_S) or not link.bonding(begins=True):
            self._refuse(link, ErrorCode.REPEATED_ATTEMPTS)
        else:
            if self._run is not None:
                self._fail(self._run, ErrorCode.UNSPECIFIED_REASON)
            self._run = _Run(link, Responder(ends_of(link.connection)))
            link.tell(smp.SMP_CID, self._run.responder.begin(request))
            self._heard(self._run)

    def _go_on(self, run: _Run, pdu: bytes) -> None:
        if not run.link.bonding(begins=False):
            self._fail(run, ErrorCode.PAIRING_NOT_SUPPORTED)
            return
        try:
            answers = run.responder.take(pdu)
        except NotPaired as wrong:
            self._fail(run, wrong.reason if wrong.tells else None)
            return
        for answer in answers:
            run.link.tell(smp.SMP_CID, answer)
        self._heard(run)
        if run.responder.key is not None:
            self._made(run.link, run.responder.key)
            self._end()

    def _made(self, link: "BleLink", key: bytes) -> None:
        self._links[link].made = key
        asyncio.get_running_loop().call_later(BOND_WINDOW_MS / 1_000, self._judge, link, key)

    def _judge(self, link: "BleLink", key: bytes) -> None:
        """The window in which a key was made is over: one that nobody has proven goes, and its link with it."""
        known = self._links.get(link)
        if known is None or link.gone or known.made != key:
            return
        known.made = b""
        if link.bond_key() != key and not link.is_owner:
            link.end(REFUSED)

    def _heard(self, run: _Run) -> None:
        loop = asyncio.get_running_loop()
        run.heard_s = loop.time()
        if run.timer is not None:
            run.timer.cancel()
        run.timer = loop.call_later(SMP_TIMEOUT_S, self._stalled, run)

    def _stalled(self, run: _Run) -> None:
        self._links[run.link].over = True
        self._end()

    def _fail(self, run: _Run, reason: ErrorCode | None) -> None:
        """A pairing came to nothing; None: the central has said so itself."""
        self._end()
        if reason is not None:
            self._refuse(run.link, reason)

    def _end(self) -> None:
        run, self._run = self._run, None
        if run is not None and run.timer is not None:
            run.timer.cancel()

    def _refuse(self, link: "BleLink", reason: ErrorCode) -> None:
        """Say no, as often as it is heard; and hang up on who goes on, unless that is the owner."""
        known = self._links[link]
        if known.refused >= REFUSALS_MAX and not link.is_owner:
            link.end(REFUSED)
        elif link.reply(smp.SMP_CID, bytes([FAILED, reason])):
            known.refused += 1

    # Keys

    async def key(self, handle: int, random: bytes, diversifier: int) -> bytes | None:
        """What a link is encrypted with: the key that was made there, else the one that is kept; None for none."""
        link = self._link_at(handle)
        known = None if link is None else self._links.get(link)
        if link is None or known is None or link.gone or random != NO_RANDOM or diversifier:
            return None
        key = (link.bonding(begins=False) and known.made) or link.bond_key()
        known.given = key if any(key) else b""
        return known.given or None

    def _encrypted(self, link: "BleLink") -> None:
        known = self._links.get(link)
        if known is not None and known.given and link.connection.is_encrypted:
            link.encrypted(known.given)


def ends_of(connection: "Connection") -> Ends:
    """Both addresses of a link that a central has made, as they are on the air."""
    central = connection.peer_resolvable_address or connection.peer_address
    peripheral = connection.self_resolvable_address or connection.self_address
    return Ends(_in_key(central), _in_key(peripheral))


def _in_key(address: hci.Address) -> bytes:
    return bytes(address) + bytes([address.is_random])
