"""Attribute packets: the quick parser reads what Bumble's reads, and nothing is written out for a log."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from bumble import att, core, gatt
from bumble.device import Device, Peer
from hypothesis import given
from hypothesis import strategies as st

from dermalink_simulator.radio.attributes import QuietServer, parse
from dermalink_simulator.radio.bleak_att import AttClient
from tests.air.radio.rig import PEN_ADDRESS, devices
from tests.support.running import in_virtual_time

UUID = "d3a100ff-5f0e-4c1b-9b57-0d6e7a11ce05"


OP_CODES = [b"\x12", b"\x52", b"\x1b", b"\x1d", b"\x13", b"\x1e", b"\x01", b"\x0b"]


@given(st.binary(min_size=1, max_size=40) | st.builds(bytes.__add__, st.sampled_from(OP_CODES), st.binary(max_size=30)))
def test_the_quick_parser_reads_what_bumble_reads(pdu: bytes) -> None:
    try:
        expected = att.ATT_PDU.from_bytes(pdu)
    except Exception as wrong:  # noqa: BLE001 (whatever a short packet makes it raise)
        with pytest.raises(type(wrong)):
            parse(pdu)
        return
    got = parse(pdu)
    assert type(got) is type(expected)
    assert bytes(got) == bytes(expected) == pdu
    for name in ("attribute_handle", "attribute_value"):
        assert getattr(got, name, None) == getattr(expected, name, None)


@asynccontextmanager
async def served(write: gatt.CharacteristicValue[bytes]) -> AsyncIterator[tuple[Device, Device, Peer]]:
    """A quiet server with one characteristic, and a quiet client that has found it."""
    properties = gatt.Characteristic.Properties
    one: gatt.Characteristic[bytes] = gatt.Characteristic(
        UUID,
        properties.READ | properties.WRITE | properties.NOTIFY | properties.INDICATE,
        gatt.Characteristic.READABLE | gatt.Characteristic.WRITEABLE,
        write,
    )
    async with devices() as (pen, host):
        pen.gatt_server = QuietServer(pen)
        pen.gatt_server.add_service(gatt.Service(UUID, [one]))
        await pen.start_advertising()
        connection = await host.connect(PEN_ADDRESS)
        connection.gatt_client = AttClient(connection)
        peer = Peer(connection)
        await peer.discover_all()  # type: ignore[no-untyped-call]
        yield pen, host, peer


@in_virtual_time
async def test_a_session_of_packets_is_answered_and_never_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    told: list[bytes] = []
    value = gatt.CharacteristicValue(read=lambda _: b"value", write=lambda _, new: written.append(new))
    async with served(value) as (pen, _, peer):
        (one,) = peer.get_characteristics_by_uuid(core.UUID(UUID))
        client = peer.gatt_client
        assert isinstance(client, AttClient)
        client.subscribers[one.handle] = lambda news: told.append(bytes(news))
        monkeypatch.setattr(att.ATT_PDU, "__str__", _written_out)
        await peer.write_value(one, b"asked", with_response=True)
        await peer.write_value(one, b"told")
        assert await peer.read_value(one) == b"value"
        for kind in (att.ATT_Handle_Value_Notification, att.ATT_Handle_Value_Indication):
            pen.gatt_server.send_gatt_pdu(next(iter(pen.connections.values())), bytes(kind(one.handle, b"news")))
        await asyncio.sleep(1)
        assert written == [b"asked", b"told"]
        assert told == [b"news", b"news"]


def _written_out(_: object) -> str:
    raise AssertionError("a packet was written out")


@in_virtual_time
async def test_a_refusal_and_a_mistake_are_answered_and_a_second_answer_is_left_out() -> None:
    async with served(gatt.CharacteristicValue(read=lambda _: b"value")) as (pen, _, peer):
        server = pen.gatt_server

        def refuse(bearer: object, request: att.ATT_Write_Request) -> None:
            if request.attribute_value == b"mistake":
                raise RuntimeError("a mistake")
            raise att.ATT_Error(att.ErrorCode.VALUE_NOT_ALLOWED, request.attribute_handle)

        server.on_att_write_request = refuse
        handle = peer.get_characteristics_by_uuid(core.UUID(UUID))[0].handle
        with pytest.raises(att.ATT_Error) as refused:
            await peer.write_value(handle, b"refused", with_response=True)
        assert refused.value.error_code == att.ErrorCode.VALUE_NOT_ALLOWED
        bearer = next(iter(pen.connections.values()))
        sent: list[bytes] = []
        server.send_gatt_pdu = lambda bearer, pdu: sent.append(pdu)  # type: ignore[method-assign]
        with pytest.raises(RuntimeError):
            server.on_gatt_pdu(bearer, att.ATT_Write_Request(handle, b"mistake"))
        assert sent == [bytes(att.ATT_Error_Response(0x12, 0, att.ErrorCode.UNLIKELY_ERROR))]
        client = peer.gatt_client
        client.on_gatt_pdu(att.ATT_Read_Response(b"late"))
        assert client.pending_response is None
