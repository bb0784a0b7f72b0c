"""What the pen says beside the attribute protocol: it offers no pairing of Bluetooth's own, and no channels.

Who may do what is the pen's own affair, above BLE and serial alike. So a pairing is refused as not supported, and
nothing of a stranger's reaches Bumble's pairing, which answers a failure with a failure for ever, and raises.
"""

from typing import TYPE_CHECKING, Final

from bumble import l2cap, smp

if TYPE_CHECKING:
    from bumble.device import Device

PAIRING_REQUEST: Final = 0x01  # Core, Vol 3, Part H, 3.5.1
PAIRING_FAILED: Final = 0x05  # the same, 3.5.5
NOT_SUPPORTED: Final = 0x05


def offer_attributes_only(device: "Device") -> None:
    """Refuse pairing, and let nothing malformed on the signalling channel out of its handler."""
    channels = device.l2cap_channel_manager

    def on_pairing(handle: int, pdu: bytes) -> None:
        if pdu[:1] == bytes([PAIRING_REQUEST]):
            device.send_l2cap_pdu(handle, smp.SMP_CID, bytes([PAIRING_FAILED, NOT_SUPPORTED]))

    def on_signalling(handle: int, pdu: bytes) -> None:
        connection = device.lookup_connection(handle)
        if connection is None:
            return
        try:
            channels.on_pdu(connection, l2cap.L2CAP_LE_SIGNALING_CID, pdu)
        except Exception:  # noqa: BLE001 (Bumble raises whatever a malformed packet makes it raise)
            return

    def drop(_: int, __: bytes) -> None:
        return  # of Bluetooth Classic, on a link that is none

    for cid in (l2cap.L2CAP_SIGNALING_CID, smp.SMP_BR_CID):
        channels.register_fixed_channel(cid, drop)
    channels.register_fixed_channel(smp.SMP_CID, on_pairing)
    channels.register_fixed_channel(l2cap.L2CAP_LE_SIGNALING_CID, on_signalling)
