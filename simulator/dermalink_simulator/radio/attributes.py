"""Bumble's attribute server and client without what they write for a log that nobody reads, and a quick parser.

A packet written out costs five times what it costs to read and answer it. Whoever serves or asks builds on these two;
the rules of the protocol that Bumble leaves out are theirs.
"""

import logging
from collections.abc import Callable
from typing import Final

from bumble import att, gatt_client, gatt_server

VALUE_AT: Final = 3  # behind the opcode and the handle
# Bits of an opcode (Core, Vol 3, Part F, 3.3.1): what servers send is odd, and nobody answers a command.
FROM_SERVER: Final = 0x01
COMMAND: Final = 0x40

logger = logging.getLogger(__name__)

_with_value: Final[dict[int, Callable[[int, bytes], att.ATT_PDU]]] = {
    att.Opcode.ATT_WRITE_REQUEST: att.ATT_Write_Request,
    att.Opcode.ATT_WRITE_COMMAND: att.ATT_Write_Command,
    att.Opcode.ATT_HANDLE_VALUE_NOTIFICATION: att.ATT_Handle_Value_Notification,
    att.Opcode.ATT_HANDLE_VALUE_INDICATION: att.ATT_Handle_Value_Indication,
}
_empty: Final[dict[int, type[att.ATT_PDU]]] = {
    att.Opcode.ATT_WRITE_RESPONSE: att.ATT_Write_Response,
    att.Opcode.ATT_HANDLE_VALUE_CONFIRMATION: att.ATT_Handle_Value_Confirmation,
}


def parse(pdu: bytes) -> att.ATT_PDU:
    """The packet that `pdu` is; those that make up a session without the detour that Bumble's parser takes.

    Raises whatever Bumble's parser does for one that is too short.
    """
    op_code = pdu[0]
    kind = _with_value.get(op_code)
    if kind is not None and len(pdu) >= VALUE_AT:
        return kind(int.from_bytes(pdu[1:VALUE_AT], "little"), pdu[VALUE_AT:])
    empty = _empty.get(op_code)
    if empty is not None and len(pdu) == 1:
        return empty()
    return att.ATT_PDU.from_bytes(pdu)


class QuietServer(gatt_server.Server):
    """A server whose handlers are called without more ado, and none for what is no packet."""

    def take_pdu(self, bearer: att.Bearer, pdu: bytes) -> None:
        """Bytes of a client, at least one; what can't be understood is refused if it is a request, or else dropped."""
        op_code = pdu[0]
        if op_code & FROM_SERVER or (op_code & COMMAND and op_code != att.Opcode.ATT_WRITE_COMMAND):
            return  # no client's, or a signed write, or none; nobody answers a command
        try:
            parsed = parse(pdu)
        except Exception:  # noqa: BLE001 (Bumble's parser raises whatever a short packet makes it raise)
            self._refuse_packet(bearer, op_code, att.ErrorCode.INVALID_PDU)
            return
        if type(parsed) is att.ATT_PDU:
            self._refuse_packet(bearer, op_code, att.ErrorCode.REQUEST_NOT_SUPPORTED)
        else:
            self.on_gatt_pdu(bearer, parsed)

    def _refuse_packet(self, bearer: att.Bearer, op_code: int, code: int) -> None:
        if not op_code & COMMAND and op_code != att.Opcode.ATT_HANDLE_VALUE_CONFIRMATION:
            self.refuse(bearer, op_code, 0, code)

    def refuse(self, bearer: att.Bearer, op_code: int, handle: int, code: int) -> None:
        """The answer to a request that is refused."""
        self.send_response(bearer, att.ATT_Error_Response(op_code, handle, code))

    def on_gatt_pdu(self, bearer: att.Bearer, att_pdu: att.ATT_PDU) -> None:
        """A request, a command or a confirmation."""
        handler = getattr(self, f"on_{att_pdu.name.lower()}", None)
        if handler is None or logger.isEnabledFor(logging.DEBUG):
            super().on_gatt_pdu(bearer, att_pdu)
            return
        try:
            handler(bearer, att_pdu)
        except att.ATT_Error as error:
            self.send_response(bearer, att.ATT_Error_Response(att_pdu.op_code, error.att_handle, error.error_code))
        except Exception:
            # A mistake of ours: whoever asked is not left to wait for it.
            self.send_response(bearer, att.ATT_Error_Response(att_pdu.op_code, 0, att.ErrorCode.UNLIKELY_ERROR))
            raise

    def send_response(self, bearer: att.Bearer, response: att.ATT_PDU) -> None:
        """The answer to a request."""
        self.send_gatt_pdu(bearer, bytes(response))


class QuietClient(gatt_client.Client):
    """A client that takes answers without more ado."""

    async def send_command(self, command: att.ATT_PDU) -> None:
        """Send what is not answered."""
        self.send_gatt_pdu(bytes(command))

    def send_confirmation(self, confirmation: att.ATT_Handle_Value_Confirmation) -> None:
        """Confirm an indication."""
        self.send_gatt_pdu(bytes(confirmation))

    def on_gatt_pdu(self, att_pdu: att.ATT_PDU) -> None:
        """An answer, a notification or an indication; an answer that nobody waits for is left out."""
        request, waits = self.pending_request, self.pending_response
        if att_pdu.op_code not in att.ATT_RESPONSES or logger.isEnabledFor(logging.DEBUG):
            super().on_gatt_pdu(att_pdu)
        elif request is not None and waits is not None and not waits.done():
            failed = att_pdu.op_code == att.Opcode.ATT_ERROR_RESPONSE
            if failed or att_pdu.op_code == request.op_code + 1:  # Core specification 5.4, Vol 3, Part F, 3.4.8
                waits.set_result(att_pdu)
