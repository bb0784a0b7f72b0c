"""A Bluetooth controller in software that behaves as one of metal does where Bumble's own does not.

What is set right, and the test that fails without it, is listed in `corrections`. Classic Bluetooth, isochronous
channels and extended advertising are left as they are: nothing here uses them, and extended advertising is not
announced.
"""

import asyncio
import struct
from collections import deque
from typing import Final, cast

from bumble import controller, core, hci
from bumble.core import PhysicalTransport

from dermalink_simulator.hardware.chance import generator
from dermalink_simulator.radio.advertiser import ADVERTISING_MAX, ADVERTISING_MIN, KINDS, Advertiser
from dermalink_simulator.radio.air import Air, Member
from dermalink_simulator.radio.link import CENTRAL, PERIPHERAL, TIMED_OUT, Parameters, parameters_of
from dermalink_simulator.radio.link_end import ACL, SECOND_FRAGMENT, AirConnection
from dermalink_simulator.radio.procedures import OneProcedureAtATime

ACCEPT_LIST_MAX: Final = 8
DATA_OCTETS: Final = 251
DATA_US: Final = 2_120  # 251 octets, integrity check included, at 1 Mbit/s
# Packets a host may have under way; dongles have 3 to 20. Few, so that a host soon sees that the air is slow.
PACKETS: Final = 8
OVERFLOW: Final = 8 * PACKETS  # a host that has so many under way has not listened
HANDLE_MAX: Final = 0x0EFF

_Event = hci.HCI_LE_Advertising_Report_Event.EventType
SUCCESS: Final = hci.HCI_ErrorCode.SUCCESS
INVALID: Final = hci.HCI_ErrorCode.INVALID_COMMAND_PARAMETERS_ERROR
DISALLOWED: Final = hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR
UNKNOWN_CONNECTION: Final = hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR
UNKNOWN_COMMAND: Final = hci.HCI_ErrorCode.UNKNOWN_HCI_COMMAND_ERROR
COMMANDS: Final = frozenset(
    op_code
    for op_code in controller.Controller.supported_commands
    if hasattr(controller.Controller, f"on_{hci.HCI_Command.command_name(op_code).lower()}")
)
ANNOUNCED_WRONGLY: Final = hci.LeFeatureMask.LE_EXTENDED_ADVERTISING | hci.LeFeatureMask.LE_PERIODIC_ADVERTISING


class CorrectedController(OneProcedureAtATime, Member):
    """A controller in an `Air`."""

    le_features = controller.Controller.le_features & ~ANNOUNCED_WRONGLY
    le_acl_data_packet_length = DATA_OCTETS
    total_num_le_acl_data_packets = PACKETS
    acl_data_packet_length = DATA_OCTETS
    total_num_acl_data_packets = PACKETS
    supported_max_tx_octets = supported_max_rx_octets = suggested_max_tx_octets = DATA_OCTETS
    supported_max_tx_time = supported_max_rx_time = suggested_max_tx_time = DATA_US
    filter_accept_list_size = ACCEPT_LIST_MAX

    def __init__(self, name: str, air: Air, public_address: hci.Address, seed: int = 0) -> None:
        self.air = air
        self.supported_commands = set(COMMANDS)
        super().__init__(name, link=air, public_address=public_address)
        self._random = generator(seed, f"air/controller/{name}")
        self._outbox: list[bytes] = []
        self._ends: dict[int, AirConnection] = {}
        self._last_handle = 0
        self._reported: set[tuple[bytes, int, bytes]] = set()
        self._accept_list: list[hci.Address] = []
        self.le_legacy_advertiser: Advertiser = Advertiser(self, air, self.number)

    # The host's side

    def on_packet(self, packet: bytes) -> None:
        """A packet of the host; data, which is nearly all there is, without taking it apart and putting it together."""
        if packet[0] == ACL:
            head, length = struct.unpack_from("<HH", packet, 1)
            end = self._ends.get(head & 0x0FFF)
            if length != len(packet) - 5 or not 0 < length <= DATA_OCTETS:
                raise core.InvalidPacketError(f"a data packet of {length} octets")
            if end is not None and end.air_link is not None:
                if end.air_link.waiting(end.side) >= OVERFLOW:
                    raise core.InvalidPacketError(f"data beyond the {PACKETS} packets that there is room for")
                end.air_link.send(end.side, first=(head >> 12) & 3 != SECOND_FRAGMENT, data=packet[5:])
            return
        if packet[0] == hci.HCI_COMMAND_PACKET:  # not by `HCI_Packet`, which writes what is none into the log
            self.on_hci_command_packet(hci.HCI_Command.from_bytes(packet))

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """An event for the host, in its turn."""
        self.to_host(bytes(packet))

    def to_host(self, packet: bytes) -> None:
        """Bytes for the host, in their turn: never within what it is just doing."""
        if not self._outbox:
            asyncio.get_running_loop().call_soon(self._hand_over)
        self._outbox.append(packet)

    def _hand_over(self) -> None:
        """What there is by now; what comes of it waits until others had their turn."""
        outbox, self._outbox = deque(self._outbox), []
        try:
            while outbox and self.hci_sink is not None:
                self.hci_sink.on_packet(outbox.popleft())
        finally:
            if outbox and self.hci_sink is not None:  # the host raised over one: the others are still for it
                self._outbox[:0] = outbox
                asyncio.get_running_loop().call_soon(self._hand_over)

    def on_hci_command(self, command: hci.HCI_Command) -> hci.HCI_StatusReturnParameters | None:  # type: ignore[override]
        """A command that this controller does not have: said so, in the form that its host waits for."""
        if isinstance(command, hci.HCI_SyncCommand):
            return hci.HCI_StatusReturnParameters(UNKNOWN_COMMAND)
        self._send_hci_command_status(UNKNOWN_COMMAND, command.op_code)
        return None

    def on_hci_reset_command(self, _command: hci.HCI_Reset_Command) -> hci.HCI_StatusReturnParameters:
        """Forget everything: links, advertising, scanning, connecting."""
        self.forget()
        return hci.HCI_StatusReturnParameters(SUCCESS)

    def on_hci_le_rand_command(self, _command: hci.HCI_LE_Rand_Command) -> hci.HCI_LE_Rand_ReturnParameters:
        """Random numbers, from the seed."""
        return hci.HCI_LE_Rand_ReturnParameters(status=SUCCESS, random_number=self._random.randbytes(8))

    def forget(self) -> None:
        """As after a reset; whoever was linked to this controller finds out over the air."""
        for end in list(self._ends.values()):
            self._remove(end)
            if end.air_link is not None:
                end.air_link.abandon(end.side)
        self.le_legacy_advertiser.stop()
        self.le_scan_enable = False
        self.pending_le_connection = None
        self._accept_list.clear()

    def leave(self) -> None:
        """This controller is gone for good."""
        self.hci_sink = None
        self.forget()
        self.air.remove_controller(self)

    def lose(self) -> None:
        """The air is gone: so is this controller, and its host is told."""
        host = self.hci_sink
        self.leave()
        if not self.terminated.done():
            self.terminated.set_result(None)
        on_lost = getattr(host, "on_transport_lost", None)
        if on_lost is not None:
            on_lost()

    # Advertising and scanning

    def on_hci_le_set_advertising_parameters_command(
        self, command: hci.HCI_LE_Set_Advertising_Parameters_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Within the specification's limits, and not while advertising."""
        if self.le_legacy_advertiser.enabled:
            return hci.HCI_StatusReturnParameters(DISALLOWED)
        shortest, longest = command.advertising_interval_min, command.advertising_interval_max
        directed = int(command.advertising_type) in (1, 4)  # those have no use for an interval, or another range
        in_range = ADVERTISING_MIN <= shortest <= longest <= ADVERTISING_MAX
        if int(command.advertising_type) not in KINDS or not (in_range or directed):
            return hci.HCI_StatusReturnParameters(INVALID)
        return super().on_hci_le_set_advertising_parameters_command(command)

    def on_hci_le_set_scan_enable_command(
        self, command: hci.HCI_LE_Set_Scan_Enable_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Begin or end scanning; each scan reports everything once more."""
        self._reported.clear()
        answer = super().on_hci_le_set_scan_enable_command(command)
        self.air.listening_changed()
        return answer

    @property
    def listens(self) -> bool:
        """Whether it would hear an advertisement."""
        return self.le_scan_enable or self.pending_le_connection is not None

    def on_advertisement(self, advertiser: Advertiser) -> None:
        """An advertisement is heard."""
        event, scannable, connectable = advertiser.kind
        if self.le_scan_enable:
            directed = event == _Event.ADV_DIRECT_IND
            self._report(advertiser, event, b"" if directed else advertiser.advertising_data)
            # An active scanner asks at once, and reports the answer by itself: a name may be only there.
            if scannable and self.le_scan_type and self.air.heard():
                self._report(advertiser, _Event.SCAN_RSP, advertiser.scan_response_data)
        if connectable and self._wanted(advertiser):
            self._connect(advertiser)

    def _report(self, advertiser: Advertiser, event: int, data: bytes) -> None:
        address = advertiser.address
        seen = (bytes(address), int(event), bytes(data))
        if self.filter_duplicates:
            if seen in self._reported:
                return
            self._reported.add(seen)
        report = hci.HCI_LE_Advertising_Report_Event.Report(
            event_type=event, address_type=address.address_type, address=address, data=data, rssi=-50
        )
        self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))

    # The list of devices to connect to

    def on_hci_le_clear_filter_accept_list_command(
        self, _command: hci.HCI_LE_Clear_Filter_Accept_List_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Nobody is on it."""
        self._accept_list.clear()
        return hci.HCI_StatusReturnParameters(SUCCESS)

    def on_hci_le_add_device_to_filter_accept_list_command(
        self, command: hci.HCI_LE_Add_Device_To_Filter_Accept_List_Command
    ) -> hci.HCI_StatusReturnParameters:
        """One more, if there is room."""
        if command.address not in self._accept_list:
            if len(self._accept_list) >= ACCEPT_LIST_MAX:
                return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.MEMORY_CAPACITY_EXCEEDED_ERROR)
            self._accept_list.append(command.address)
        return hci.HCI_StatusReturnParameters(SUCCESS)

    def on_hci_le_remove_device_from_filter_accept_list_command(
        self, command: hci.HCI_LE_Remove_Device_From_Filter_Accept_List_Command
    ) -> hci.HCI_StatusReturnParameters:
        """One less."""
        self._accept_list = [one for one in self._accept_list if one != command.address]
        return hci.HCI_StatusReturnParameters(SUCCESS)

    # Connecting

    def on_hci_le_create_connection_command(self, command: hci.HCI_LE_Create_Connection_Command) -> None:
        """Connect when the device is next heard; parameters that the specification has not are refused."""
        shortest = command.connection_interval_min
        agreed = parameters_of(shortest, command.max_latency, command.supervision_timeout)
        if agreed is None or shortest > command.connection_interval_max:
            self._send_hci_command_status(INVALID, command.op_code)
            return
        super().on_hci_le_create_connection_command(command)
        self.air.listening_changed()

    def on_hci_le_create_connection_cancel_command(
        self, _command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Give up connecting, and say so by the event that the host waits for."""
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is None:
            return hci.HCI_StatusReturnParameters(DISALLOWED)
        asyncio.get_running_loop().call_soon(
            self._say_connection, UNKNOWN_CONNECTION, 0, hci.Role.CENTRAL, pending.peer_address, (0, 0, 0)
        )
        return hci.HCI_StatusReturnParameters(SUCCESS)

    def _wanted(self, advertiser: Advertiser) -> bool:
        pending = self.pending_le_connection
        if not isinstance(pending, hci.HCI_LE_Create_Connection_Command) or not advertiser.enabled:
            return False
        if pending.initiator_filter_policy == 1:
            return advertiser.address in self._accept_list
        return pending.peer_address == advertiser.address

    def _connect(self, advertiser: Advertiser) -> None:
        """Both sides have a link, at the same moment and with the same parameters."""
        pending = cast("hci.HCI_LE_Create_Connection_Command", self.pending_le_connection)
        theirs = cast("CorrectedController", advertiser.controller)
        own = self.public_address if pending.own_address_type in (0, 2) else self.random_address
        # A lost request, or an address that is there already: the next advertisement brings another chance.
        if own in theirs.le_connections or advertiser.address in self.le_connections or not self.air.heard():
            return
        agreed = parameters_of(pending.connection_interval_min, pending.max_latency, pending.supervision_timeout)
        assert agreed is not None
        self.pending_le_connection = None
        address = advertiser.address
        advertiser.stop()
        ours = self._make_end(CENTRAL, own, address)
        other = theirs._make_end(PERIPHERAL, address, own)  # noqa: SLF001 (a controller like this one)
        made = self.air.connect(ours, other, agreed)
        for one, end in ((self, ours), (theirs, other)):
            end.air_link = made
            one._say_connection(SUCCESS, end.handle, end.role, end.peer_address, made.parameters.said())  # noqa: SLF001

    def _make_end(self, side: int, own: hci.Address, peer: hci.Address) -> AirConnection:
        end = AirConnection(
            controller=self,
            handle=self.allocate_connection_handle(),
            role=hci.Role.CENTRAL if side == CENTRAL else hci.Role.PERIPHERAL,
            self_address=own,
            peer_address=peer,
            link=self.air,
            transport=PhysicalTransport.LE,
            link_type=hci.HCI_Connection_Complete_Event.LinkType.ACL,
            side=side,
        )
        self.le_connections[peer] = end
        self._ends[end.handle] = end
        return end

    def allocate_connection_handle(self) -> int:
        """The next handle: one that is used again at once could be given what was meant for the link before."""
        while True:
            self._last_handle = self._last_handle % HANDLE_MAX + 1
            if self._last_handle not in self._ends:
                return self._last_handle

    def _say_connection(
        self, status: int, handle: int, role: int, peer: hci.Address, said: tuple[int, int, int]
    ) -> None:
        self.send_hci_packet(
            hci.HCI_LE_Connection_Complete_Event(
                status=status,
                connection_handle=handle,
                role=role,
                peer_address_type=peer.address_type,
                peer_address=peer,
                connection_interval=said[0],
                peripheral_latency=said[1],
                supervision_timeout=said[2],
                central_clock_accuracy=0,
            )
        )

    # Connected

    def on_hci_le_connection_update_command(self, command: hci.HCI_LE_Connection_Update_Command) -> None:
        """Other parameters, for both sides at the same moment."""
        end = self._ends.get(command.connection_handle)
        agreed = parameters_of(command.connection_interval_max, command.max_latency, command.supervision_timeout)
        status = UNKNOWN_CONNECTION if end is None else INVALID if agreed is None else hci.HCI_COMMAND_STATUS_PENDING
        self._send_hci_command_status(status, command.op_code)
        if end is not None and agreed is not None and end.air_link is not None:
            end.air_link.agree(agreed)

    def say_parameters(self, handle: int, parameters: Parameters) -> None:
        """The host is told what holds on a link."""
        interval, latency, supervision = parameters.said()
        self.send_hci_packet(
            hci.HCI_LE_Connection_Update_Complete_Event(
                status=SUCCESS,
                connection_handle=handle,
                connection_interval=interval,
                peripheral_latency=latency,
                supervision_timeout=supervision,
            )
        )

    def on_hci_disconnect_command(self, command: hci.HCI_Disconnect_Command) -> None:
        """End a link over the air; both hosts hear of it when that has passed."""
        end = self._ends.get(command.connection_handle)
        if end is None or end.air_link is None:
            self._send_hci_command_status(UNKNOWN_CONNECTION, command.op_code)
            return
        self._send_hci_command_status(hci.HCI_COMMAND_STATUS_PENDING, command.op_code)
        end.air_link.terminate(end.side, command.reason)

    def on_le_disconnected(self, connection: controller.Connection, reason: int) -> None:
        """A link is gone, which is said once."""
        end = cast("AirConnection", connection)
        if self._ends.get(end.handle) is not end:
            return
        self._remove(end)
        self.send_hci_packet(
            hci.HCI_Disconnection_Complete_Event(status=SUCCESS, connection_handle=end.handle, reason=reason)
        )

    def _remove(self, end: AirConnection) -> None:
        self._ends.pop(end.handle, None)
        if self.le_connections.get(end.peer_address) is end:
            del self.le_connections[end.peer_address]


def terminate_all(one: CorrectedController, reason: int = TIMED_OUT) -> None:
    """End every link of a controller now, on both sides, for that reason (a lost connection when none is given)."""
    for end in list(one.le_connections.values()):
        if isinstance(end, AirConnection) and end.air_link is not None:
            end.air_link.end_now(reason)
