"""The pen's attribute server: what is written is refused or taken at once, in the order in which it arrives.

Bumble's own answers discovery; here is what a pen owes its hosts beyond that. No task is between a write and the pen,
and so nothing between Stop and the needles (SR-STOP-4).
"""

from typing import TYPE_CHECKING, Final

from bumble import att, gatt

from dermalink_simulator.doors.ble_link import BleLink
from dermalink_simulator.doors.ble_table import Table
from dermalink_simulator.radio.attributes import QuietServer

if TYPE_CHECKING:
    from bumble.device import Connection, Device

VALUE_BYTES_MAX: Final = 512  # Core, Vol 3, Part F, 3.2.9
ATT_HEADER_BYTES: Final = 3


class PenServer(QuietServer):
    """The attribute server of a pen; `links` are those of the centrals that are there now."""

    def __init__(self, device: "Device", table: Table) -> None:
        """Put the table into a device, in place of the server it was made with."""
        super().__init__(device)
        self.links: dict[Connection, BleLink] = {}
        self._table = table
        # Where Bumble's own handlers read it (by its type) as where ours do: what this client has announced.
        table.features.value = att.AttributeValue(read=self._features)
        self.add_services(table.services)
        self._channels = {one.handle: channel for channel, one in table.channels.items()}
        self._without_response = {
            handle: channel
            for handle, channel in self._channels.items()
            if table.channels[channel].properties & gatt.Characteristic.Properties.WRITE_WITHOUT_RESPONSE
        }
        self._configured: dict[int, gatt.Characteristic[bytes]] = {}
        for service in table.services:
            for characteristic in service.characteristics:
                self._note_configuration(characteristic)

    def _note_configuration(self, characteristic: "gatt.Characteristic[bytes]") -> None:
        """The handle at which Bumble put a characteristic's configuration."""
        wanted = gatt.GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR
        for handle in range(characteristic.handle + 1, characteristic.end_group_handle + 1):
            attribute = self.get_attribute(handle)
            if attribute is not None and attribute.type == wanted:
                self._configured[handle] = characteristic

    def link_at(self, handle: int) -> BleLink | None:
        """The link of the connection with that handle."""
        connection = self.device.lookup_connection(handle)
        return None if connection is None else self.links.get(connection)

    def take(self, handle: int, pdu: bytes) -> None:
        """An ATT packet of the connection with that handle."""
        connection = self.device.lookup_connection(handle)
        if connection is None or not pdu:
            return
        self.take_pdu(connection, pdu)

    def reply(self, handle: int, cid: int, pdu: bytes) -> None:
        """An answer on another channel than ATT's, to the connection with that handle."""
        link = self.link_at(handle)
        if link is not None:
            link.reply(cid, pdu)

    def on_gatt_pdu(self, bearer: att.Bearer, att_pdu: att.ATT_PDU) -> None:
        """A request, a command or a confirmation of a central."""
        link = self._link(bearer)
        if link is None:
            return
        link.begin()
        try:
            super().on_gatt_pdu(bearer, att_pdu)
        finally:
            link.settle()

    def on_att_exchange_mtu_request(self, bearer: att.Bearer, request: att.ATT_Exchange_MTU_Request) -> None:
        """Agree once on an ATT_MTU, as the specification has it; asked again the answer stays, and so does the MTU."""
        link = self._link(bearer)
        assert link is not None
        self.send_response(bearer, att.ATT_Exchange_MTU_Response(server_rx_mtu=self.max_mtu))
        if not link.mtu_agreed:
            link.connection.on_att_mtu_update(max(att.ATT_DEFAULT_MTU, min(self.max_mtu, request.client_rx_mtu)))
            link.agreed()

    def send_gatt_pdu(self, bearer: att.Bearer, pdu: bytes) -> None:
        """Every answer goes the way of all that its central is told."""
        link = self._link(bearer)
        if link is not None:
            link.answer(pdu)

    # Writes

    def on_att_write_request(self, bearer: att.Bearer, request: att.ATT_Write_Request) -> None:
        """A write that wants an answer."""
        code = self._write(bearer, request.attribute_handle, request.attribute_value)
        if code:
            self.refuse(bearer, request.op_code, request.attribute_handle, code)
        else:
            self.send_response(bearer, att.ATT_Write_Response())

    def on_att_write_command(self, bearer: att.Bearer, request: att.ATT_Write_Command) -> None:
        """A write without response: Stop alone takes one, any other is dropped, as nobody can be told."""
        if request.attribute_handle in self._without_response:
            self._write(bearer, request.attribute_handle, request.attribute_value)

    def on_att_prepare_write_request(self, bearer: att.Bearer, request: att.ATT_Prepare_Write_Request) -> None:
        """A part of a long value: there are none here, a message comes in segments."""
        self.refuse(bearer, request.op_code, request.attribute_handle, att.ErrorCode.REQUEST_NOT_SUPPORTED)

    def on_att_execute_write_request(self, bearer: att.Bearer, request: att.ATT_Execute_Write_Request) -> None:
        """Nothing was prepared."""
        self.refuse(bearer, request.op_code, 0, att.ErrorCode.REQUEST_NOT_SUPPORTED)

    def on_att_handle_value_confirmation(
        self, bearer: att.Bearer, confirmation: att.ATT_Handle_Value_Confirmation
    ) -> None:
        """The indication that was under way has arrived."""
        del confirmation
        link = self._link(bearer)
        if link is not None:
            link.confirmed()

    def _write(self, bearer: att.Bearer, handle: int, value: bytes) -> int:
        """Take a write, or say by which ATT error it is refused."""
        link, attribute = self._link(bearer), self.get_attribute(handle)
        if attribute is None or link is None:
            return att.ErrorCode.INVALID_HANDLE
        if not attribute.permissions & att.Attribute.Permissions.WRITEABLE:
            return att.ErrorCode.WRITE_NOT_PERMITTED
        if len(value) > min(link.connection.att_mtu - ATT_HEADER_BYTES, VALUE_BYTES_MAX):
            return att.ErrorCode.INVALID_ATTRIBUTE_LENGTH
        if handle in self._channels:
            return link.write(self._channels[handle], value)
        if handle in self._configured:
            return link.configure(self._configured[handle], value)
        if attribute is self._table.features:
            return link.announce(value)
        return att.ErrorCode.WRITE_NOT_PERMITTED

    # Reads

    def on_att_find_by_type_value_request(
        self, bearer: att.Bearer, request: att.ATT_Find_By_Type_Value_Request
    ) -> None:
        """Services by their UUID; nothing else is found by its value."""
        services = (gatt.GATT_PRIMARY_SERVICE_ATTRIBUTE_TYPE, gatt.GATT_SECONDARY_SERVICE_ATTRIBUTE_TYPE)
        if not 0 < request.starting_handle <= request.ending_handle:
            self.refuse(bearer, request.op_code, request.starting_handle, att.ErrorCode.INVALID_HANDLE)
        elif request.attribute_type not in services:
            self.refuse(bearer, request.op_code, request.starting_handle, att.ErrorCode.ATTRIBUTE_NOT_FOUND)
        else:
            super().on_att_find_by_type_value_request(bearer, request)

    def on_att_read_by_group_type_request(
        self, bearer: att.Bearer, request: att.ATT_Read_By_Group_Type_Request
    ) -> None:
        """The services, one after the other."""
        if not 0 < request.starting_handle <= request.ending_handle:
            self.refuse(bearer, request.op_code, request.starting_handle, att.ErrorCode.INVALID_HANDLE)
        else:
            super().on_att_read_by_group_type_request(bearer, request)

    def on_att_read_multiple_request(self, bearer: att.Bearer, request: att.ATT_Read_Multiple_Request) -> None:
        """Optional in the specification, and not offered."""
        self.refuse(bearer, request.op_code, 0, att.ErrorCode.REQUEST_NOT_SUPPORTED)

    def on_att_read_multiple_variable_request(
        self, bearer: att.Bearer, request: att.ATT_Read_Multiple_Variable_Request
    ) -> None:
        """Optional in the specification, and not offered."""
        self.refuse(bearer, request.op_code, 0, att.ErrorCode.REQUEST_NOT_SUPPORTED)

    def on_att_read_request(self, bearer: att.Bearer, request: att.ATT_Read_Request) -> None:
        """A value; what doesn't fit is kept for the requests that ask for the rest of it."""
        value, code = self._read(bearer, request.attribute_handle)
        link = self._link(bearer)
        if code or link is None:
            self.refuse(bearer, request.op_code, request.attribute_handle, code)
            return
        link.long_value = (request.attribute_handle, value)
        self.send_response(bearer, att.ATT_Read_Response(value[: link.connection.att_mtu - 1]))

    def on_att_read_blob_request(self, bearer: att.Bearer, request: att.ATT_Read_Blob_Request) -> None:
        """The rest of a value, of the same moment as its beginning."""
        link, handle = self._link(bearer), request.attribute_handle
        if link is None:
            return
        begun_at, value = link.long_value
        if begun_at != handle or not request.value_offset:
            value, code = self._read(bearer, handle)
            if code:
                self.refuse(bearer, request.op_code, handle, code)
                return
            link.long_value = (handle, value)
        if request.value_offset > len(value):
            self.refuse(bearer, request.op_code, handle, att.ErrorCode.INVALID_OFFSET)
            return
        part = value[request.value_offset : request.value_offset + link.connection.att_mtu - 1]
        self.send_response(bearer, att.ATT_Read_Blob_Response(part))

    def read_cccd(self, bearer: att.Bearer, characteristic: "gatt.Characteristic[bytes]") -> bytes:
        """What the central has configured."""
        link = self._link(bearer)
        return bytes(2) if link is None else link.configuration(characteristic)

    def _read(self, bearer: att.Bearer, handle: int) -> tuple[bytes, int]:
        """A value, or the ATT error by which it is refused."""
        attribute, link = self.get_attribute(handle), self._link(bearer)
        if attribute is None or link is None:
            return b"", att.ErrorCode.INVALID_HANDLE
        if not attribute.permissions & att.Attribute.Permissions.READABLE:
            return b"", att.ErrorCode.READ_NOT_PERMITTED
        value = attribute.value
        try:
            if isinstance(value, att.AttributeValue):
                value = value.read(link.connection)
            elif isinstance(value, att.AttributeValueV2):
                value = value.read(bearer)
        except att.ATT_Error as error:
            return b"", error.error_code
        assert isinstance(value, bytes)
        return value, 0

    def _features(self, bearer: att.Bearer) -> bytes:
        link = self._link(bearer)
        return b"\0" if link is None else link.features

    def _link(self, bearer: att.Bearer) -> BleLink | None:
        return None if att.is_enhanced_bearer(bearer) else self.links.get(bearer)
