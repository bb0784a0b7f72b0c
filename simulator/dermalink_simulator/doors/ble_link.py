"""One central's link to the pen: its writes go in as they arrive, what the pen says goes out as ATT allows.

Stop takes effect while its write is being handled: nothing that waits for an answer, a confirmation or the air is
before it (SR-STOP-4). What the pen says of Stop is indicated before whatever else waits for a confirmation.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from bumble import att, gatt, hci

from dermalink_protocol.channels import Channel
from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.radio.host import under_way
from dermalink_simulator.runner import PenRunner, RunningPort
from dermalink_simulator.seam import PortKind

if TYPE_CHECKING:
    from bumble.device import Connection
    from bumble.host import DataPacketQueue

    from dermalink_simulator.doors.ble_table import Table

# So many indications of a host that doesn't confirm may wait here; then the pen is told, and keeps or drops by its own
# rules. At ATT_MTU 23 a status takes four; eight of them are more than a host asks for at once (assumption), so that
# telemetry, which waits for no confirmation, is not held up by a host that is only slow.
INDICATIONS_WAIT_MAX: Final = 32
# So many packets may wait for the controller: more than a connection event takes at ATT_MTU 23 (assumption).
PACKETS_WAIT_MAX: Final = 8
# Of the controller's places for packets the session's owner has one in so many. Of eight that is four: telemetry at
# 100 Hz, ATT_MTU 23 and events of 30 ms, and the lease beside it, hold with four and lapse with two (measured). Were it
# more, an owner that falls silent would take with it the places of those that come to say Stop.
OWNERS_PART: Final = 2
# Who asks on without taking the answers breaks ATT (Core, Vol 3, Part F, 3.3.2: one request at a time).
OWED_MAX: Final = 64
# Without a confirmation for so long the bearer is dead (Core, Vol 3, Part F, 3.3.3).
CONFIRMED_WITHIN_S: Final = 30
INDICATION: Final = att.Opcode.ATT_HANDLE_VALUE_INDICATION
NOTIFICATION_BIT: Final = 1
INDICATION_BIT: Final = 2
NOT_CONFIGURED: Final = bytes(2)
# Who has just said Stop has its answer within: the indication under way and its own, each with its confirmation, over
# the events that a room loses in a row (four of 30 ms each), twice.
STOP_ANSWERED_S: Final = 1.0
# ... but not more often: who says Stop over and over keeps no place by it.
STOP_SPARED_EVERY_S: Final = 10.0


class BleLink:
    """A connection with its port of the pen, and what waits to be said on it.

    `hang_up(link, reason)` is called when the pen (reason 0), or a broken rule, ends it; it may be called again.
    """

    def __init__(
        self,
        connection: "Connection",
        runner: PenRunner,
        table: "Table",
        hang_up: Callable[["BleLink", int], None],
        links: "Mapping[Connection, BleLink]",
    ) -> None:
        """`open` gives it a port of the pen; `links` are all that there are."""
        self.connection = connection
        self.gone = False
        self.features = b"\0"
        self.long_value: tuple[int, bytes] = (0, b"")
        self.mtu_agreed = False
        self.unsolicited = 0
        self._loop = asyncio.get_running_loop()
        self.spoke = False
        self.heard_s = self._loop.time()
        self.ended_s = self.spared_until_s = self._spared_again_s = 0.0
        self._table, self._links = table, links
        self._hang_up = hang_up
        self._runner = runner
        self._port: RunningPort | None = None
        self._configured: dict[int, bytes] = {}
        self._stops: deque[tuple[int, bytes]] = deque()
        self._others: deque[tuple[int, bytes]] = deque()
        self._out: deque[tuple[int, bytes]] = deque()
        self._awaited: asyncio.TimerHandle | None = None
        self._handling = False
        self._clogged = False
        self._packets = connection.data_packet_queue
        if self._packets is not None:
            self._packets.on("flow", self._flow)

    def open(self) -> None:
        """Take a port of the pen; raises a `DermalinkError` when it takes no link."""
        self._port = self._runner.connect(self._said, self._pen_hung_up, kind=PortKind.GATT, door="ble")

    def close(self) -> None:
        """The connection is gone; may be called twice."""
        if not self.gone:
            self.gone, self.ended_s = True, self._loop.time()
        self._stops.clear()
        self._others.clear()
        self._out.clear()
        if self._awaited is not None:
            self._awaited.cancel()
            self._awaited = None
        if self._packets is not None:
            self._packets.remove_listener("flow", self._flow)
            self._packets = None
        if self._port is not None:
            port, self._port = self._port, None
            port.close()

    def end(self, reason: int) -> None:
        """End the connection, with that reason for the host."""
        self._hang_up(self, reason)

    @property
    def is_owner(self) -> bool:
        """Whether the pen keeps this link whoever comes: it is the session's owner."""
        return self._port is not None and self._port.is_owner

    # Bluetooth's own bond

    def bonding(self, *, begins: bool) -> bool:
        """Whether a pairing of Bluetooth's own may begin here, or go on."""
        return self._port is not None and self._port.bonding(begins=begins)

    def bond_key(self) -> bytes:
        """The key that the pen keeps; empty or zeros for none."""
        return b"" if self._port is None else self._port.bond_key()

    def encrypted(self, key: bytes) -> None:
        """The link is encrypted with that key."""
        if self._port is not None:
            self._port.encrypted(key)

    # What the host does

    def write(self, channel: Channel, segment: bytes) -> int:
        """A write on a channel: 0 when the pen took it, else the ATT error that it is refused with."""
        port = self._port
        value = bytes([channel]) + segment
        if port is None:
            return self._last_words(channel, value)
        refusal = port.refusal(value)
        if not refusal:
            self._heard(channel)
            port.feed(value)
        return refusal

    def _heard(self, channel: Channel) -> None:
        self.spoke, self.heard_s = True, self._loop.time()
        if channel is Channel.STOP and self.heard_s >= self._spared_again_s:
            self.spared_until_s = self.heard_s + STOP_ANSWERED_S
            self._spared_again_s = self.heard_s + STOP_SPARED_EVERY_S

    def _last_words(self, channel: Channel, value: bytes) -> int:
        """A write on a link that is being ended, or never had a port: of these the pen still takes Stop (SR-STOP-4)."""
        if channel is not Channel.STOP:
            return att.ErrorCode.UNLIKELY_ERROR
        try:
            port = self._runner.connect(_nobody_hears, _nobody_minds, kind=PortKind.GATT, door="ble")
        except DermalinkError:  # it is off, and so are its needles
            return att.ErrorCode.UNLIKELY_ERROR
        refusal = port.refusal(value)
        if not refusal:
            port.feed(value)
        port.close()
        return refusal

    def configure(self, characteristic: "gatt.Characteristic[bytes]", value: bytes) -> int:
        """A write of a client characteristic configuration: 0, or the ATT error that it is refused with."""
        if len(value) != len(NOT_CONFIGURED):
            return att.ErrorCode.INVALID_ATTRIBUTE_LENGTH
        allowed = 0
        if characteristic.properties & gatt.Characteristic.Properties.NOTIFY:
            allowed |= NOTIFICATION_BIT
        if characteristic.properties & gatt.Characteristic.Properties.INDICATE:
            allowed |= INDICATION_BIT
        if value[1] or value[0] & ~allowed:
            return att.ErrorCode.VALUE_NOT_ALLOWED
        channel = next((each for each, one in self._table.channels.items() if one is characteristic), None)
        if channel is not None and self._port is not None:
            refusal = self._port.subscribe(channel, on=bool(value[0]))
            if refusal:
                return refusal
        self._configured[characteristic.handle] = bytes(value)
        return 0

    def configuration(self, characteristic: "gatt.Characteristic[bytes]") -> bytes:
        """What the client has configured."""
        return self._configured.get(characteristic.handle, NOT_CONFIGURED)

    def announce(self, value: bytes) -> int:
        """A write of the client's features: 0, or the ATT error; a bit once set stays set (Vol 3, Part G, 7.2)."""
        if len(value) != 1:
            return att.ErrorCode.INVALID_ATTRIBUTE_LENGTH
        if self.features[0] & ~value[0]:
            return att.ErrorCode.VALUE_NOT_ALLOWED
        self.features = bytes(value)
        return 0

    def agreed(self) -> None:
        """An ATT_MTU was agreed."""
        self.mtu_agreed = True
        if self._port is not None:
            self._port.agree_mtu(self.connection.att_mtu)

    def confirmed(self) -> None:
        """The host has taken the indication that was under way."""
        if self._awaited is None:
            self.unsolicited += 1
            return
        self._awaited.cancel()
        self._awaited = None
        self._pump()
        self._unclog()

    def begin(self) -> None:
        """A request is being handled: what the pen says to it follows its response."""
        self._handling = True

    def settle(self) -> None:
        """The response is out."""
        self._handling = False
        self._pump()
        self._end_if_owed_too_much()

    def _end_if_owed_too_much(self) -> None:
        if len(self._out) > OWED_MAX:
            self.end(hci.HCI_REMOTE_USER_TERMINATED_CONNECTION_ERROR)

    # What the pen says

    def notify(self, characteristic: "gatt.Characteristic[bytes]", value: bytes) -> None:
        """Tell a host that asked for it that a standard value has changed, unless it is slow at taking what it gets."""
        if self.wants(characteristic) and len(self._out) < PACKETS_WAIT_MAX:
            self._send(bytes(att.ATT_Handle_Value_Notification(characteristic.handle, value)))

    def wants(self, characteristic: "gatt.Characteristic[bytes]") -> bool:
        """Whether it asked to be told of changes."""
        return bool(self.configuration(characteristic)[0] & NOTIFICATION_BIT)

    def answer(self, pdu: bytes) -> None:
        """A response of the attribute protocol, behind what waits already; who is owed too many is hung up on."""
        self._send(pdu)
        if not self._handling:  # else `settle` looks, when the request has been handled
            self._end_if_owed_too_much()

    def reply(self, cid: int, pdu: bytes) -> bool:
        """An answer on another channel than ATT's: dropped (False) while the one before it there still waits."""
        free = self.is_heard_on(cid)
        if free:
            self._send(pdu, cid)
        return free

    def is_heard_on(self, cid: int) -> bool:
        """Whether nothing waits to be taken on that channel."""
        return all(cid != waiting for waiting, _ in self._out)

    def tell(self, cid: int, pdu: bytes) -> None:
        """A packet on another channel than ATT's that must not be dropped; whoever says it, says few."""
        self._send(pdu, cid)

    def _send(self, pdu: bytes, cid: int = att.ATT_CID) -> None:
        """A packet, behind those that wait already; on a link that is being ended there is nobody to hear it."""
        if not self.gone:
            self._out.append((cid, pdu))
            self._flow()

    def _flow(self) -> None:
        """Give the controller what it has room for, and leave room for other links: one that is stuck blocks none."""
        packets = self._packets
        while packets is not None and self._out and self._has_place(packets):
            packets.remove_listener("flow", self._flow)
            packets.on("flow", self._flow)  # behind the others: the next place that gets free is theirs first
            connection = self.connection
            connection.device.send_l2cap_pdu(connection.handle, *self._out.popleft())
        self._unclog()

    def woken(self) -> None:
        """A link has ended, and what it had in the controller is free; Bumble tells nobody of that."""
        self._flow()

    def _has_place(self, packets: "DataPacketQueue") -> bool:
        """Whether one packet more of this link may lie in the controller, which keeps those of a silent link till lost.

        Who owns no session has one there: every answer and indication is asked for one by one, and of telemetry a link
        loses what it can't take. Only while nothing else is there, and nobody owns one, an indication goes with the
        answer before it: at events of 100 ms a host that opens a session has no event to lose (SR-CMD-1). The session's
        owner has up to half, as telemetry at ATT_MTU 23 needs, but of the last two places one is always its own and one
        somebody else's. So a controller with as many places as the pen has links (`LINKS_MAX`) has one for each, though
        many be stuck, but for the one that such an indication may take. With fewer, as many stuck links as there are
        places beside the owner's hold up what is said to others, never a Stop that comes; a single one is anybody's.
        """
        places, taken, own = packets.max_in_flight, packets.pending, self.under_way
        if taken >= places:
            return False
        owner = self if self.is_owner else next((link for link in self._links.values() if link.is_owner), None)
        if owner is self:
            return not own or (own < places // OWNERS_PART and taken < places - 1)
        if own:
            return owner is None and own == taken == 1 < places // OWNERS_PART and self._out[0][1][0] == INDICATION
        return owner is None or places == 1 or taken < places - 1 or owner.under_way > 0

    @property
    def under_way(self) -> int:
        """How many packets of this link the other side has not yet."""
        return 0 if self._packets is None else under_way(self._packets, self.connection.handle)

    def _said(self, value: bytes) -> None:
        if self.gone:
            return
        channel, segment = Channel(value[0]), value[1:]
        handle = self._table.channels[channel].handle
        if channel is Channel.TELEMETRY:
            if self.wants(self._table.channels[channel]):
                self._send(bytes(att.ATT_Handle_Value_Notification(handle, segment)))
        else:
            (self._stops if channel is Channel.STOP else self._others).append((handle, segment))
            self._pump()
        self._clog()

    def _pump(self) -> None:
        """Send the next indication, if none is under way."""
        if self._handling or self._awaited is not None or self.gone:
            return
        while queue := self._stops or self._others:
            handle, segment = queue.popleft()
            if self._configured.get(handle, NOT_CONFIGURED)[0] & INDICATION_BIT:
                self._awaited = self._loop.call_later(CONFIRMED_WITHIN_S, self._never_confirmed)
                self._send(bytes(att.ATT_Handle_Value_Indication(handle, segment)))
                return

    def _never_confirmed(self) -> None:
        self.end(hci.HCI_REMOTE_USER_TERMINATED_CONNECTION_ERROR)

    def _fuller_than(self, share: int) -> bool:
        """Whether more waits than the `share`-th part of what may."""
        indications = len(self._stops) + len(self._others)
        return indications > INDICATIONS_WAIT_MAX // share or len(self._out) > PACKETS_WAIT_MAX // share

    def _clog(self) -> None:
        if not self._clogged and self._port is not None and self._fuller_than(1):
            self._clogged = True
            self._port.clog(clogged=True)

    def _unclog(self) -> None:
        if self._clogged and self._port is not None and not self._fuller_than(2):
            self._clogged = False
            self._port.clog(clogged=False)

    def _pen_hung_up(self) -> None:
        self.end(0)


def _nobody_hears(_: bytes) -> None:
    return


def _nobody_minds() -> None:
    return
