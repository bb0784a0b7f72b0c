"""What this computer holds for a pen that it owns."""

from dataclasses import dataclass, field

from dermalink_protocol.pairing.setup_code import checked_serial_number
from dermalink_protocol.sealing.handshake import BINDING_BYTES
from dermalink_protocol.sealing.keys import checked_private, checked_public, public_key


@dataclass(frozen=True, slots=True)
class OwnedPen:
    """The keys of one pairing with one pen, 32 bytes each, and when it was (seconds since 1970, UTC; 0: not known).

    Neither the private key nor the binding stands in its repr. Raises `BadIdentity` or `UnusableKey` for what
    no pairing leaves behind, and `ValueError` for a binding of another length.
    """

    serial_number: str
    host_private: bytes = field(repr=False)
    pen_public: bytes
    binding: bytes = field(repr=False)
    paired_s: int = 0

    def __post_init__(self) -> None:
        checked_serial_number(self.serial_number)
        checked_private(self.host_private, "this computer's private key")
        checked_public(self.pen_public, "the pen's public key")
        if type(self.binding) is not bytes or len(self.binding) != BINDING_BYTES:
            raise ValueError(f"a binding has {BINDING_BYTES} bytes")

    @property
    def host_public(self) -> bytes:
        """This computer's public key, 32 bytes, which the pen keeps."""
        return public_key(self.host_private)
