"""What a device offers beside the attribute protocol: nothing, so that nothing that comes there reaches stock Bumble.

Its pairing answers a failure with a failure for ever, and raises; its signalling answers without end, and writes into
the log what it does not know. Here a pairing that nobody takes is refused as not supported, a request on the signalling
channel as not understood, and what is neither is dropped. Each answer goes the way that the device has for all it says.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from bumble import l2cap, smp

if TYPE_CHECKING:
    from bumble.device import Device

PAIRING_REQUEST: Final = 0x01  # Core, Vol 3, Part H, 3.5.1
PAIRING_FAILED: Final = 0x05  # the same, 3.5.5
NOT_SUPPORTED: Final = 0x05
# Core, Vol 3, Part A, 4: code, identifier, length, and as much data; one to a packet on an LE link.
SIGNALLING_HEADER_BYTES: Final = 4
COMMAND_REJECT: Final = 0x01
NOT_UNDERSTOOD: Final = bytes(2)
# What is itself an answer, or wants none (the same, table 4.2); nothing here asks, so they are of no use.
UNANSWERED: Final = frozenset((0x01, 0x03, 0x05, 0x07, 0x09, 0x0B, 0x0D, 0x0F, 0x11, 0x13, 0x15, 0x16, 0x18, 0x1A))

Reply = Callable[[int, int, bytes], None]  # to a connection's handle, on a channel
Takes = Callable[[int, bytes], bool]  # a packet on a connection's handle: whether it was one for whoever takes it


def offer_attributes_only(
    device: "Device", reply: Reply, *, pairing: Takes | None = None, signalling: Takes | None = None
) -> None:
    """Refuse pairing and channels, and drop what else comes, but for what `pairing` or `signalling` take for theirs."""
    channels = device.l2cap_channel_manager

    def on_pairing(handle: int, pdu: bytes) -> None:
        if (pairing is None or not pairing(handle, pdu)) and pdu[:1] == bytes([PAIRING_REQUEST]):
            reply(handle, smp.SMP_CID, bytes([PAIRING_FAILED, NOT_SUPPORTED]))

    def on_signalling(handle: int, pdu: bytes) -> None:
        if signalling is not None and signalling(handle, pdu):
            return
        rejection = rejected(pdu)
        if rejection:
            reply(handle, l2cap.L2CAP_LE_SIGNALING_CID, rejection)

    def drop(_: int, __: bytes) -> None:
        return  # of Bluetooth Classic, on a link that is none

    for cid in (l2cap.L2CAP_SIGNALING_CID, smp.SMP_BR_CID):
        channels.register_fixed_channel(cid, drop)
    channels.register_fixed_channel(smp.SMP_CID, on_pairing)
    channels.register_fixed_channel(l2cap.L2CAP_LE_SIGNALING_CID, on_signalling)
    # Any other channel is one that nobody opened, over which Bumble only complains.
    device.host.remove_listener("l2cap_pdu", device.on_l2cap_pdu)


def rejected(pdu: bytes) -> bytes:
    """The rejection of a request on the signalling channel; empty for what is malformed, or wants no answer."""
    if len(pdu) < SIGNALLING_HEADER_BYTES:
        return b""
    code, identifier, length = pdu[0], pdu[1], int.from_bytes(pdu[2:4], "little")
    if not identifier or length != len(pdu) - SIGNALLING_HEADER_BYTES or code in UNANSWERED:
        return b""
    return bytes([COMMAND_REJECT, identifier, len(NOT_UNDERSTOOD), 0]) + NOT_UNDERSTOOD
