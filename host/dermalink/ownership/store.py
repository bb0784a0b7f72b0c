"""Where the keys of a person's pens lie."""

from dermalink.ownership.owned_pen import OwnedPen


def known_pen(serial_number: str) -> OwnedPen | None:
    """The keys of the pen with this serial number; None where this computer has none.

    It may wait for the system's keyring, so call it in a thread (`asyncio.to_thread`). A pen that was never paired
    here costs the reading of one small file, and the keyring is not asked.
    """
    del serial_number
    return None
