"""Whose pen it is: what pairing left behind, as the pen keeps it."""

from typing import Annotated, Final, NamedTuple

from dermalink_protocol.wire import U32, Raw

KEY_BYTES: Final = 32
BOND_BYTES: Final = 16
# As flash has it that was never written: a record from before there were bonds has none.
NO_BOND: Final = b"\xff" * BOND_BYTES


class OwnerRecord(NamedTuple):
    """The pen's owner: `number` counts owners from 1 (0 is none); keys are X25519, 32 bytes each.

    `binding` is `pairing.owner_keys.OwnerKeys.binding`, for every later handshake's `Negotiated`. `bond` is the key of
    Bluetooth's own bond (an LTK of LE Secure Connections, as HCI writes it), all ones for none.
    """

    number: U32
    host_public: Annotated[bytes, Raw(KEY_BYTES)]
    pen_private: Annotated[bytes, Raw(KEY_BYTES)]
    binding: Annotated[bytes, Raw(KEY_BYTES)]
    bond: Annotated[bytes, Raw(BOND_BYTES)] = NO_BOND

    @property
    def owned(self) -> bool:
        """Whether there is an owner."""
        return self.number != 0

    def __repr__(self) -> str:
        return f"OwnerRecord(number={self.number}, keys not shown)"


NO_OWNER: Final = OwnerRecord(0, bytes(KEY_BYTES), bytes(KEY_BYTES), bytes(KEY_BYTES))
