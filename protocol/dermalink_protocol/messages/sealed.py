"""A message that nobody but the other end of the sealed channel can read: it stands inside a record."""

from typing import Annotated, Final

from dermalink_protocol.codewords import Opcode
from dermalink_protocol.limits import MESSAGE_BYTES_MAX
from dermalink_protocol.schema import ENVELOPE_BYTES, Message
from dermalink_protocol.wire import Tail

# Counter (4) and tag (16); `dermalink_protocol.sealing.records` says what stands in a record.
SEAL_BYTES: Final = 20
# With its envelope 4 bytes under the longest message; the longest that is sealed has 175, envelope and all.
RECORD_BYTES_MAX: Final = MESSAGE_BYTES_MAX - 2 * ENVELOPE_BYTES


class Sealed(Message, opcode=Opcode.SEALED, channel=None, since=1):
    """A record of `dermalink_protocol.sealing`: a whole message of this channel, opcode and request id included.

    The request id outside is 0, whatever the one inside is.
    """

    record: Annotated[bytes, Tail(1, SEAL_BYTES, RECORD_BYTES_MAX)]
