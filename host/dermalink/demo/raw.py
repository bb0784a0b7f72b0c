"""Frames that no honest host sends: past the gate and past the codec, straight onto the link."""

import asyncio
from typing import Final

from dermalink.links.link import RECEIVED
from dermalink.pen import Pen
from dermalink_protocol.channels import Channel
from dermalink_protocol.envelope import Envelope, encode_envelope
from dermalink_protocol.limits import DEPTH_CAP_UM
from dermalink_protocol.messages.therapy import Prepare
from dermalink_protocol.schema import Message
from dermalink_protocol.zones import Direction, Zone

REQUEST_ID: Final = 0xBEEF
ANSWER_WITHIN_S: Final = 2.0
COMMANDS_AHEAD: Final = 1_000  # ids that the honest host of the same session does not reach


async def prepare(pen: Pen, session_id: int, zone: Zone, direction: Direction, depth_um: int) -> Message:
    """Ask the pen itself for a frame, whatever the host's gate would say; the pen's answer."""
    last = await pen.last_command()
    cartridge = (await pen.look()).cartridge
    tick_ms = (await pen.status()).tick_ms
    message = Prepare(
        command_id=last.command_id + COMMANDS_AHEAD,
        ttl_ms=500,
        seen_tick_ms=tick_ms,
        session_id=session_id,
        zone=zone,
        direction=direction,
        depth_um=min(depth_um, DEPTH_CAP_UM),
        rate_hz=100,
        speed_mm_s=40,
        tag_id=cartridge.tag_id,
    )
    body = bytearray(encode_envelope(Envelope(Channel.COMMAND, REQUEST_ID, message)))
    if depth_um > DEPTH_CAP_UM:  # there is no such message: it is written over the good one's bytes
        honest = int(DEPTH_CAP_UM).to_bytes(2, "little")
        at = body.index(bytes([zone, direction]) + honest) + 2
        body[at : at + 2] = depth_um.to_bytes(2, "little")
    return await _answer(pen, bytes(body))


async def _answer(pen: Pen, body: bytes) -> Message:
    answered: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    before = pen.connection.on_message

    def look(way: str, envelope: Envelope) -> None:
        if before is not None:
            before(way, envelope)
        if way == RECEIVED and envelope.request_id == REQUEST_ID and not answered.done():
            answered.set_result(envelope.message)

    pen.connection.on_message = look
    try:
        await pen.connection.link.send(Channel.COMMAND, body)
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await answered
    finally:
        pen.connection.on_message = before
