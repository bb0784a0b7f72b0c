"""Bumble's host without what costs half of its time: packets written out for a log that nobody reads.

Data and its acknowledgements, which are nearly all there is, are read and written directly; everything else is
Bumble's, but for what the other side of a link may ask of it: each of that is answered once at a time, and nothing that
becomes of it (the link has gone, the controller refuses the answer) is written into a log.
"""

import contextlib
import logging
import struct
from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

from bumble import hci, utils
from bumble.core import BaseBumbleError
from bumble.host import Connection, DataPacketQueue, Host
from bumble.snoop import Snooper

ACL: Final = hci.HCI_ACL_DATA_PACKET
COMPLETED: Final = bytes((hci.HCI_EVENT_PACKET, hci.HCI_NUMBER_OF_COMPLETED_PACKETS_EVENT))
FRAGMENT: Final = 1
HEADER_OCTETS: Final = 4  # L2CAP: length and channel

logger = logging.getLogger(__name__)
_acl_head = struct.Struct("<BHH")
_l2cap_head = struct.Struct("<HH")
_whole = struct.Struct("<BHHHH")
OnPdu = Callable[[int, bytes], None]
Answer = hci.HCI_Command_Complete_Event[Any] | hci.HCI_Command_Status_Event
Ask = hci.HCI_LE_Long_Term_Key_Request_Event | hci.HCI_LE_Remote_Connection_Parameter_Request_Event


def under_way(queue: DataPacketQueue, handle: int) -> int:
    """How many packets of one connection the other side has not yet; Bumble counts them, but has no word for it."""
    state = queue._connection_state.get(handle)  # noqa: SLF001
    queued = sum(1 for _, owner in queue._packets if owner == handle)  # noqa: SLF001
    return queued + (0 if state is None else state.in_flight)


class CorrectedHost(Host):
    """A host; `fixed_channels` are those of its device."""

    fixed_channels: "dict[int, OnPdu]"

    def __init__(self, *controller: Any) -> None:
        super().__init__(*controller)
        self._asked: set[tuple[type[Ask], int]] = set()

    def on_packet(self, packet: bytes) -> None:
        """A packet of the controller."""
        if self.ready and self.snooper is None:
            if packet[0] == ACL:
                self._on_data(packet)
                return
            if packet[:2] == COMPLETED:
                self._on_completed(packet)
                return
        super().on_packet(packet)

    def _on_data(self, packet: bytes) -> None:
        _, head, length = _acl_head.unpack_from(packet)
        connection = self.connections.get(head & 0x0FFF)
        if connection is None or length != len(packet) - _acl_head.size:
            return
        fragment = (head >> 12) & 3 == FRAGMENT
        if not fragment and length >= HEADER_OCTETS:
            size, cid = _l2cap_head.unpack_from(packet, _acl_head.size)
            if size <= length - HEADER_OCTETS:
                connection.assembler.current_data = None
                if size == length - HEADER_OCTETS:  # else there is more of it than it says
                    self._hand_over(connection, cid, packet[_acl_head.size + HEADER_OCTETS :])
                return
        elif not fragment or connection.assembler.current_data is None:
            return  # a beginning that is too short, or the rest of what was never begun
        elif length > self._missing(connection):
            connection.assembler.current_data = None
            return
        connection.assembler.feed_packet(
            hci.HCI_AclDataPacket(head & 0x0FFF, FRAGMENT if fragment else 2, 0, length, packet[_acl_head.size :])
        )

    @staticmethod
    def _missing(connection: Connection) -> int:
        """How much of a PDU that has been begun is still to come."""
        begun = connection.assembler.current_data
        return connection.assembler.l2cap_pdu_length + HEADER_OCTETS - len(begun or b"")

    def on_l2cap_pdu(self, connection: Connection, cid: int, pdu: bytes) -> None:
        """A PDU that came in parts."""
        self._hand_over(connection, cid, pdu)

    def _hand_over(self, connection: Connection, cid: int, pdu: bytes) -> None:
        on_pdu = self.fixed_channels.get(cid)
        if on_pdu is None:
            self.emit("l2cap_pdu", connection.handle, cid, pdu)
        else:
            on_pdu(connection.handle, pdu)

    def _on_completed(self, packet: bytes) -> None:
        for number in range(packet[3]):
            handle, count = _l2cap_head.unpack_from(packet, 4 + 4 * number)
            queue = self.get_data_packet_queue(handle)
            if queue is not None:
                queue.on_packets_completed(count, handle)

    def on_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """An event, which is written into the log only where somebody reads it."""
        if self.snooper is not None or logger.isEnabledFor(logging.DEBUG):
            super().on_hci_packet(packet)
        elif isinstance(packet, hci.HCI_Event):
            self.on_hci_event_packet(packet)
        elif isinstance(packet, hci.HCI_AclDataPacket):
            self.on_hci_acl_data_packet(packet)

    def send_hci_packet(self, packet: hci.HCI_Packet | bytes) -> None:
        """A packet for the controller."""
        raw = bytes(packet)
        if self.snooper is not None:
            self.snooper.snoop(raw, Snooper.Direction.HOST_TO_CONTROLLER)
        if self.hci_sink is not None:
            self.hci_sink.on_packet(raw)

    def send_l2cap_pdu(self, connection_handle: int, cid: int, pdu: bytes) -> None:
        """A PDU, in as many packets as it needs."""
        connection = self.connections.get(connection_handle)
        if connection is None:
            return  # the link is gone; whoever sends hears of that by itself
        queue = connection.acl_packet_queue
        size = len(pdu)
        if size + HEADER_OCTETS <= queue.max_packet_size:
            raw = _whole.pack(ACL, connection_handle, size + HEADER_OCTETS, size, cid) + pdu
            queue.enqueue(cast("hci.HCI_Packet", raw), connection_handle)
        else:
            self._send_in_parts(queue, connection_handle, _l2cap_head.pack(size, cid) + pdu)

    @staticmethod
    def _send_in_parts(queue: DataPacketQueue, handle: int, data: bytes) -> None:
        for at in range(0, len(data), queue.max_packet_size):
            part = data[at : at + queue.max_packet_size]
            head = handle | (FRAGMENT << 12 if at else 0)
            queue.enqueue(cast("hci.HCI_Packet", _acl_head.pack(ACL, head, len(part)) + part), handle)

    def on_hci_le_long_term_key_request_event(self, event: hci.HCI_LE_Long_Term_Key_Request_Event) -> None:
        """The other side begins to encrypt: it is given the key, or told that there is none."""
        self._reply(event, lambda: self._give_key(event))

    async def _give_key(self, event: hci.HCI_LE_Long_Term_Key_Request_Event) -> None:
        handle, provide, key = event.connection_handle, self.long_term_key_provider, None
        if provide is not None:
            asked = provide(handle, event.random_number, event.encryption_diversifier)
            key = await utils.cancel_on_event(self, "flush", asked)
        await self.send_sync_command_raw(
            hci.HCI_LE_Long_Term_Key_Request_Reply_Command(connection_handle=handle, long_term_key=key)
            if key
            else hci.HCI_LE_Long_Term_Key_Request_Negative_Reply_Command(connection_handle=handle)
        )

    def on_hci_le_remote_connection_parameter_request_event(
        self, event: hci.HCI_LE_Remote_Connection_Parameter_Request_Event
    ) -> None:
        """The other side wants another connection interval: it has it, as with Bumble."""
        wanted = hci.HCI_LE_Remote_Connection_Parameter_Request_Reply_Command(
            connection_handle=event.connection_handle,
            interval_min=event.interval_min,
            interval_max=event.interval_max,
            max_latency=event.max_latency,
            timeout=event.timeout,
            min_ce_length=0,
            max_ce_length=0,
        )
        self._reply(event, lambda: self.send_sync_command_raw(wanted))

    def _reply(self, event: Ask, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Have `work` answer what the other side asks, unless it asks again before it has its answer."""
        asked = type(event), event.connection_handle
        if asked in self._asked or event.connection_handle not in self.connections:
            return
        self._asked.add(asked)

        async def reply() -> None:
            try:
                with contextlib.suppress(BaseBumbleError):  # the way to the controller is lost
                    await work()
            finally:
                self._asked.discard(asked)

        utils.AsyncRunner.spawn(reply())  # type: ignore[no-untyped-call]

    def on_command_processed(self, event: Answer) -> None:
        """The answer to the command that waits for it; one to a command that was cancelled is dropped."""
        waiting, command = self.pending_response, self.pending_command
        if waiting is None:
            if event.num_hci_command_packets and self.command_semaphore.locked():
                self.command_semaphore.release()
        elif not waiting.done() and command is not None and command.op_code == event.command_opcode:
            waiting.set_result(event)

    def on_transport_lost(self) -> None:
        """The controller is gone: a command that waits is told, once."""
        if self.pending_response is not None and self.pending_response.done():
            self.pending_response = None
        super().on_transport_lost()  # type: ignore[no-untyped-call]
