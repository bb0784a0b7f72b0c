"""What a device may ask of the host that is linked to it, and what becomes of everything else that it sends.

A device may read the host's name, wish for other connection parameters, and answer a pairing that the host has begun
(`bleak_security`; nothing reaches Bumble's own).
Whatever else it sends, in whatever order and however much of it, is refused or dropped: it ends nothing but a pairing,
is written into no log, and makes nothing grow.
"""

import contextlib
import struct
from collections.abc import Coroutine
from typing import Any, Final

from bumble import att, core, hci, l2cap, smp, utils
from bumble.device import Connection, Device
from bumble.profiles.gap import GenericAccessService

from dermalink_simulator.radio.attributes import QuietServer
from dermalink_simulator.radio.besides_att import SIGNALLING_HEADER_BYTES, Takes, offer_attributes_only
from dermalink_simulator.radio.host import under_way
from dermalink_simulator.radio.link import parameters_of

# So many packets of a link may be under way before the host's answers on it are dropped: the commands that a client may
# have there (16, `COMMANDS_QUEUED_MAX`), a request, a confirmation and one answer on each channel, and as much again of
# the latter. Who is owed more asks on without taking answers (Core, Vol 3, Part F, 3.3.2: one request at a time).
ANSWERED_BELOW: Final = 24
# Core, Vol 3, Part A, 4.20 and 4.21: shortest and longest interval, latency and supervision time-out; the answer.
PARAMETERS_REQUEST: Final = 0x12
PARAMETERS_RESPONSE: Final = 0x13
ACCEPTED, REJECTED = 0, 1
ANSWERED: Final = frozenset(
    (
        att.Opcode.ATT_EXCHANGE_MTU_REQUEST,
        att.Opcode.ATT_FIND_INFORMATION_REQUEST,
        att.Opcode.ATT_FIND_BY_TYPE_VALUE_REQUEST,
        att.Opcode.ATT_READ_BY_TYPE_REQUEST,
        att.Opcode.ATT_READ_REQUEST,
        att.Opcode.ATT_READ_BLOB_REQUEST,
        att.Opcode.ATT_READ_BY_GROUP_TYPE_REQUEST,
    )
)

_parameters = struct.Struct("<HHHH")


def listens(connection: Connection) -> bool:
    """Whether it takes what it is sent, so that it may be answered."""
    queue = connection.data_packet_queue
    return queue is not None and under_way(queue, connection.handle) < ANSWERED_BELOW


class NameServer(QuietServer):
    """The host's own attributes, which are read and never written."""

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self.add_service(GenericAccessService(device.name))

    def on_gatt_pdu(self, bearer: att.Bearer, att_pdu: att.ATT_PDU) -> None:
        """A request; a command or a confirmation is of no use here."""
        if att_pdu.op_code in ANSWERED:
            super().on_gatt_pdu(bearer, att_pdu)
        elif att_pdu.op_code not in (att.Opcode.ATT_WRITE_COMMAND, att.Opcode.ATT_HANDLE_VALUE_CONFIRMATION):
            self.refuse(bearer, att_pdu.op_code, 0, att.ErrorCode.REQUEST_NOT_SUPPORTED)

    def on_att_exchange_mtu_request(self, bearer: att.Bearer, request: att.ATT_Exchange_MTU_Request) -> None:
        """What the host itself agreed on stays, as what it has under way was cut for that."""
        del request
        self.send_response(bearer, att.ATT_Exchange_MTU_Response(server_rx_mtu=self.max_mtu))

    def send_gatt_pdu(self, bearer: att.Bearer, pdu: bytes) -> None:
        """An answer, to whom takes answers."""
        if isinstance(bearer, Connection) and listens(bearer):
            super().send_gatt_pdu(bearer, pdu)


class Asked:
    """What the devices that are linked to one host ask of it."""

    def __init__(self, device: Device, pairing: Takes) -> None:
        """Take the place of what stock Bumble has for it; `device` was made without services.

        `pairing` takes what answers a pairing that this host has begun.
        """
        self._device = device
        self._adopting: set[int] = set()  # the handles of links whose parameters are being changed
        self._server = device.gatt_server = NameServer(device)
        offer_attributes_only(device, self._reply, pairing=pairing, signalling=self._signalling)

    def attribute(self, connection: Connection, pdu: bytes) -> None:
        """A request of the device's to the host's own attributes."""
        self._server.take_pdu(connection, pdu)

    def pair(self, handle: int, pdu: bytes) -> None:
        """Say something of a pairing that this host has begun."""
        self._reply(handle, smp.SMP_CID, pdu)

    def _reply(self, handle: int, cid: int, pdu: bytes) -> None:
        connection = self._device.lookup_connection(handle)
        if connection is not None and listens(connection):
            connection.send_l2cap_pdu(cid, pdu)

    def _signalling(self, handle: int, pdu: bytes) -> bool:
        """Other parameters, which the device has if the specification has them."""
        size = SIGNALLING_HEADER_BYTES + _parameters.size
        if len(pdu) != size or pdu[0] != PARAMETERS_REQUEST or pdu[2:4] != struct.pack("<H", _parameters.size):
            return False
        shortest, longest, latency, supervision = _parameters.unpack_from(pdu, SIGNALLING_HEADER_BYTES)
        in_range = shortest <= longest and all(parameters_of(one, latency, supervision) for one in (shortest, longest))
        adopts = in_range and handle not in self._adopting and self._device.lookup_connection(handle) is not None
        answer = struct.pack("<H", ACCEPTED if adopts else REJECTED)
        self._reply(
            handle,
            l2cap.L2CAP_LE_SIGNALING_CID,
            bytes([PARAMETERS_RESPONSE, pdu[1], len(answer), 0]) + answer,
        )
        if adopts:
            self._adopting.add(handle)
            _quietly(self._adopt(handle, shortest, longest, latency, supervision))
        return True

    async def _adopt(self, handle: int, shortest: int, longest: int, latency: int, supervision: int) -> None:
        try:
            await self._device.host.send_async_command(
                hci.HCI_LE_Connection_Update_Command(
                    connection_handle=handle,
                    connection_interval_min=shortest,
                    connection_interval_max=longest,
                    max_latency=latency,
                    supervision_timeout=supervision,
                    min_ce_length=0,
                    max_ce_length=0,
                )
            )
        finally:
            self._adopting.discard(handle)


def _quietly(work: Coroutine[Any, Any, object]) -> None:
    """Do `work`; that the link has gone, or the controller refuses, is no news."""

    async def quiet() -> None:
        with contextlib.suppress(core.BaseBumbleError):
            await work

    utils.AsyncRunner.spawn(quiet())  # type: ignore[no-untyped-call]
