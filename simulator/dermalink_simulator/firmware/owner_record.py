"""Whose pen it is: what pairing left behind, as the pen keeps it."""

from typing import Annotated, Final, NamedTuple

from dermalink_protocol.wire import U32, Raw

KEY_BYTES: Final = 32


class OwnerRecord(NamedTuple):
    """The pen's owner: `number` counts owners from 1 (0 is none); keys are X25519, 32 bytes each.

    `binding` is `pairing.owner_keys.OwnerKeys.binding`, for every later handshake's `Negotiated`.
    """

    number: U32
    host_public: Annotated[bytes, Raw(KEY_BYTES)]
    pen_private: Annotated[bytes, Raw(KEY_BYTES)]
    binding: Annotated[bytes, Raw(KEY_BYTES)]

    @property
    def owned(self) -> bool:
        """Whether there is an owner."""
        return self.number != 0

    def __repr__(self) -> str:
        return f"OwnerRecord(number={self.number}, keys not shown)"


NO_OWNER: Final = OwnerRecord(0, bytes(KEY_BYTES), bytes(KEY_BYTES), bytes(KEY_BYTES))
