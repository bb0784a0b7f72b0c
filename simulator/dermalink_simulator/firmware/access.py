"""Who may do what: on a pen that is its owner's only, strangers have a small corner, and all else is under his seal.

That is one that has an owner, and any that is built to be sold: before it is paired, nobody runs it (SR-OWN-1).

The corner (SR-SEC-1) is what anybody may ask in the clear: who the pen is, how it stands, whether it has an owner, the
steps of pairing and of the handshake; and Stop and a symptom, which are obeyed. A pen for tests asks no seal before
it has an owner.

A handshake costs the pen some X25519, and anybody can ask for one. Each port has `HANDSHAKES_AT_ONCE` and gains one
every `HANDSHAKE_EVERY_MS`, whoever is connected there, since a connection is soon made anew; those that the owner
proves are not counted. So strangers on all other ports take nothing from the owner's, and a port that one of them has
just left is free for a handshake after that time.
"""

from typing import Any, Final

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode, Reason
from dermalink_protocol.envelope import SEALED_HEADER
from dermalink_protocol.limits import HANDSHAKE_EVERY_MS, HANDSHAKES_AT_ONCE
from dermalink_protocol.messages import owner
from dermalink_protocol.schema import ENVELOPE_BYTES, Message
from dermalink_protocol.sealing.errors import HandshakeError
from dermalink_protocol.sealing.keys import KEY_BYTES
from dermalink_simulator.firmware import bonding, replies
from dermalink_simulator.firmware.core import feed
from dermalink_simulator.firmware.inside import Asked, Inside, Trace
from dermalink_simulator.firmware.ports import Port
from dermalink_simulator.therapy.events import Event, EventKind
from dermalink_simulator.therapy.state import Clock

STOP_OPCODES: Final = (Opcode.STOP, Opcode.REPORT_SYMPTOM)
CORNER: Final = frozenset(
    {Opcode.HELLO, Opcode.GET_STATUS, Opcode.GET_OWNER, Opcode.PAIR_STEP, Opcode.OPEN_CHANNEL, *STOP_OPCODES}
)
"""What a pen that is its owner's only takes in the clear."""
ONLY_CLEAR: Final = frozenset({Opcode.HELLO, Opcode.OPEN_CHANNEL})
"""What comes before a seal, and has no meaning under one."""
TICK_MASK: Final = 0xFFFF_FFFF


def port_is_authenticated(pen: Inside, asked: Asked) -> bool:
    """Whether this very message is the owner's: it came under seal, or the pen is anybody's."""
    return asked.seal != 0 or not pen.owners_only or "owner-check" in pen.disabled


def refusal_of(pen: Inside, asked: Asked, opcode: int) -> Reason:
    """Why a message is refused before anything in it is looked at, NONE if it is not; never Stop or a symptom."""
    if opcode not in CORNER and not port_is_authenticated(pen, asked):
        return Reason.NOT_AUTHENTICATED if pen.owner.owned else Reason.NO_OWNER
    if asked.seal and opcode in ONLY_CLEAR:
        return Reason.WRONG_STATE
    return Reason.NONE


def unsealed(pen: Inside, port: Port, channel: Channel, body: bytes) -> bytes | None:
    """The message in a sealed one; None for one that changes nothing and is answered by nothing."""
    record = body[ENVELOPE_BYTES:] if body.startswith(SEALED_HEADER) else b""  # its request id is none
    inner = port.unseal(channel, record)
    if inner is not None:
        pen.handshakes.pop(port.number, None)
        bonding.prove(pen, port)
    return inner


def keeps(pen: Inside, port: int) -> bool:
    """Whether a connection gives way to nobody: the session's owner, or while none is, where the owner came last."""
    if pen.state.owner:
        return pen.state.owner == port + 1
    newest = max(pen.ports.values(), key=lambda each: each.seal.number if each.seal.proven else 0, default=None)
    return newest is not None and newest.number == port and newest.seal.proven


def open_channel(pen: Inside, port: Port, message: Any, _trace: Trace | None) -> Message:
    """The pen's side of the handshake; the channel counts once the owner's first record opens (SR-SEC-1)."""
    if not pen.owner.owned:
        return replies.refused(message.opcode, Reason.NO_OWNER)
    if not port.seal.greeted:
        return replies.refused(message.opcode, Reason.WRONG_STATE)
    if not pen.store.counted and (why_not := _why_no_fresh_key(pen))[0] is not Reason.NONE:
        return replies.refused(message.opcode, *why_not)
    wait_ms = _handshake_wait_ms(pen, port.number)
    if wait_ms:
        return replies.refused(message.opcode, Reason.BUSY, wait_ms)
    pen.channels += 1
    pen.entropy.stir(pen.sensors.ran_s, pen.sensors.utc_s)
    try:
        answer = port.seal.begin(pen.channels, pen.owner, lambda: pen.entropy.draw(KEY_BYTES), message.message)
    except HandshakeError as error:
        return replies.refused(message.opcode, error.reason, error.limit_value)
    return owner.ChannelOpened(message=answer)


def _why_no_fresh_key(pen: Inside) -> tuple[Reason, int]:
    """Why a start that the flash has not counted can draw no key yet, or at all (see `entropy`); NONE if it can."""
    trouble = pen.store.trouble
    if not pen.booted or (trouble is Reason.NONE and pen.store.busy):
        return Reason.BUSY, int(HANDSHAKE_EVERY_MS)
    if trouble is Reason.NONE:
        return Reason.FLASH_FAILED, 0
    if pen.clock.trouble != Clock.SOUND:
        return trouble, 0
    return (Reason.NONE, 0) if pen.sensors.ran_s > pen.started_s else (Reason.BUSY, int(HANDSHAKE_EVERY_MS))


def _handshake_wait_ms(pen: Inside, port: int) -> int:
    """Take one handshake of those that a port has; or how long until it has one again."""
    used, since_ms = pen.handshakes.get(port, (0, pen.tick_ms))
    regained = ((pen.tick_ms - since_ms) & TICK_MASK) // HANDSHAKE_EVERY_MS
    if regained >= used:
        used, since_ms = 0, pen.tick_ms
    else:
        used, since_ms = used - regained, (since_ms + regained * HANDSHAKE_EVERY_MS) & TICK_MASK
    if used >= HANDSHAKES_AT_ONCE:
        return int(HANDSHAKE_EVERY_MS) - ((pen.tick_ms - since_ms) & TICK_MASK)
    pen.handshakes[port] = used + 1, since_ms
    return 0


def end_channel(pen: Inside, port: Port, trace: Trace | None) -> None:
    """A port's channel is over; a session that it owned has no owner, and what moved stops."""
    port.end_seal()
    if pen.state.owner == port.number + 1:
        feed(pen, Event(kind=EventKind.LINK_LOST, port=port.number + 1), trace)


def end_channels(pen: Inside, trace: Trace | None = None) -> None:
    """The pen's owner is another: nobody's channel, and nobody's session, outlives that.

    Replies that were given before this still go, under the old seal: who released the pen is told so.
    """
    for port in pen.ports.values():
        port.seal_replies()
        end_channel(pen, port, trace)
