"""The procedures of a link layer: those that this one has, one at a time, whatever the host on the other side begins.

Core specification 5.4, Vol 6, Part B, 5.3. Stock Bumble begins what it is told to as often as it is told to, and lets
its peer begin channel sounding and isochronous channels, which nothing here uses.
"""

from typing import Final

from bumble import controller, hci, ll

from dermalink_simulator.radio.link_end import AirConnection

KEY_MISSING: Final = hci.HCI_ErrorCode.PIN_OR_KEY_MISSING_ERROR
UNKNOWN_CONNECTION: Final = hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR
DISALLOWED: Final = hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR
KNOWN: Final = (ll.EncReq, ll.StartEncRsp, ll.RejectExtInd, ll.FeatureReq, ll.PeripheralFeatureReq, ll.FeatureRsp)


class OneProcedureAtATime(controller.Controller):
    """A controller that waits for the end of what it has begun."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self._encrypting: list[controller.Connection] = []

    def on_hci_le_enable_encryption_command(self, command: hci.HCI_LE_Enable_Encryption_Command) -> None:
        """Begin to encrypt a link of which this is the central, unless that has been begun."""
        connection = self.find_connection_by_handle(command.connection_handle)
        # Those that are gone end nothing any more.
        self._encrypting = [one for one in self._encrypting if self.le_connections.get(one.peer_address) is one]
        if connection is None:  # it has ended, which its host has yet to hear
            self._send_hci_command_status(UNKNOWN_CONNECTION, command.op_code)
            return
        if isinstance(connection, controller.Connection):
            if any(one is connection for one in self._encrypting) or connection.role != hci.Role.CENTRAL:
                self._send_hci_command_status(DISALLOWED, command.op_code)
                return
            self._encrypting.append(connection)
        super().on_hci_le_enable_encryption_command(command)

    def on_le_encryption_change(self, connection: controller.Connection, status: int) -> None:
        """It is encrypted, or not; one that was already, has another key (Vol 4, Part E, 7.7.39)."""
        self._encrypting = [one for one in self._encrypting if one is not connection]
        if not isinstance(connection, AirConnection) or not connection.encrypted:
            if isinstance(connection, AirConnection):
                connection.encrypted = status == hci.HCI_ErrorCode.SUCCESS
            super().on_le_encryption_change(connection, status)
            return
        self.send_hci_packet(
            hci.HCI_Encryption_Key_Refresh_Complete_Event(status=status, connection_handle=connection.handle)
        )

    def on_le_long_term_key_reply(
        self, connection: controller.Connection, request: ll.EncReq, long_term_key: bytes | None
    ) -> None:
        """The peripheral's host has given a key, or has none; without one a link that is encrypted can't go on so.

        A key that is not the central's ends the link on both sides (Vol 6, Part B, 5.1.3): neither can read the other.
        """
        if self.le_connections.get(connection.peer_address) is not connection:
            return  # the link has gone meanwhile
        if long_term_key is None and isinstance(connection, AirConnection) and connection.encrypted:
            connection.send_ll_control_pdu(ll.TerminateInd(KEY_MISSING))
            self.on_le_disconnected(connection, KEY_MISSING)
        else:
            super().on_le_long_term_key_reply(connection, request, long_term_key)

    def on_ll_control_pdu(self, sender_address: hci.Address, packet: ll.ControlPdu) -> None:
        """What the other side begins or answers; what this one has not, and what is for no link, is dropped."""
        if isinstance(packet, KNOWN) and sender_address in self.le_connections:
            super().on_ll_control_pdu(sender_address, packet)
