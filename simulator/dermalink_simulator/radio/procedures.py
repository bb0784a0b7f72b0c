"""The procedures of a link layer: those that this one has, one at a time, whatever the host on the other side begins.

Core specification 5.4, Vol 6, Part B, 5.3. Stock Bumble begins what it is told to as often as it is told to, and lets
its peer begin channel sounding and isochronous channels, which nothing here uses.
"""

from typing import Final

from bumble import controller, hci, ll

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
        if isinstance(connection, controller.Connection):
            if any(one is connection for one in self._encrypting) or connection.role != hci.Role.CENTRAL:
                self._send_hci_command_status(DISALLOWED, command.op_code)
                return
            self._encrypting.append(connection)
        super().on_hci_le_enable_encryption_command(command)

    def on_le_encryption_change(self, connection: controller.Connection, status: int) -> None:
        """It is encrypted, or not."""
        self._encrypting = [one for one in self._encrypting if one is not connection]
        super().on_le_encryption_change(connection, status)

    def on_ll_control_pdu(self, sender_address: hci.Address, packet: ll.ControlPdu) -> None:
        """What the other side begins or answers; what this one has not, and what is for no link, is dropped."""
        if isinstance(packet, KNOWN) and sender_address in self.le_connections:
            super().on_ll_control_pdu(sender_address, packet)
