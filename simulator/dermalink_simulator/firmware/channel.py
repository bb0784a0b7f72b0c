"""One connection's sealed channel: what was said before it, its keys, and nothing of them once it ends (SR-SEC-1).

A hello is good for one handshake. So a first message that is played back finds no hello, or another one, and whoever
wants a second try says hello again, which ends the channel that there was.
"""

from collections.abc import Callable

from dermalink_protocol.channels import Channel
from dermalink_protocol.sealing.errors import CountersUsedUp, HandshakeSpent
from dermalink_protocol.sealing.handshake import Keys, Negotiated, PenHandshake, Session
from dermalink_protocol.sealing.records import Opened
from dermalink_simulator.firmware.owner_record import OwnerRecord


class SealedChannel:
    """The channel of one port; `number` counts the pen's channels from 1 and is 0 while there is none.

    A snapshot leaves it out, since its keys must count once: restored, the port is a stranger's until a new handshake.
    """

    __slots__ = ("_said", "_session", "number")

    def __init__(self) -> None:
        self.number = 0
        self._said: tuple[bytes, bytes] | None = None
        self._session: Session | None = None

    def __reduce__(self) -> tuple[type["SealedChannel"], tuple[()]]:
        return SealedChannel, ()

    @property
    def proven(self) -> bool:
        """Whether the owner is there now: a record of this handshake's keys has opened."""
        return self._session is not None and self._session.opener.proven

    @property
    def greeted(self) -> bool:
        """Whether a hello was answered that no handshake has used."""
        return self._said is not None

    @property
    def said(self) -> tuple[bytes, bytes] | None:
        """Hello and its answer, as long as no handshake has used them."""
        return self._said

    def note(self, hello: bytes, reply: bytes) -> None:
        """Hello and its answer, as their bodies went over the wire: what the next handshake is bound to."""
        self._said = (hello, reply)

    def begin(self, number: int, owner: OwnerRecord, ephemeral: Callable[[], bytes], message: bytes) -> bytes:
        """The pen's message to the owner's; raises a `HandshakeError`, and the hello is used either way.

        `ephemeral` draws 32 bytes that nobody can guess. A channel that stands stays when its successor fails.
        """
        said, self._said = self._said, None
        if said is None:
            raise HandshakeSpent("a handshake was refused", limit="a hello is good for one", advice="Say hello.")
        keys = Keys(owner.pen_private, owner.host_public, ephemeral())
        answer = PenHandshake(keys, Negotiated(*said, owner.binding)).answer(message)
        self.number, self._session = number, answer.session
        return answer.message

    def open(self, channel: Channel, record: bytes) -> bytes | None:
        """The body in a record, or None for one that changes nothing: forged, repeated, too old, or of no channel."""
        if self._session is None:
            return None
        opened = self._session.opener.open(channel, record)
        return opened.body if isinstance(opened, Opened) else None

    def seal(self, number: int, channel: Channel, body: bytes) -> bytes | None:
        """A record for the channel of that number; None where that one is gone, or has no counter left and so ends."""
        if self._session is None or number != self.number:
            return None
        try:
            return self._session.sealer.seal(channel, body)
        except CountersUsedUp:
            self.end()
            return None

    def end(self) -> None:
        """Forget the keys, and what was said before them."""
        self.number, self._said, self._session = 0, None, None
