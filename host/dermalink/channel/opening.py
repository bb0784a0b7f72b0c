"""From hello to a sealed link, or to an error that says why not: there is no way on in the clear (SR-SEC-1)."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from dermalink.channel.sealable_link import SealableLink
from dermalink.connection import Connection
from dermalink.errors import HandshakeFailed, KeysRefused, NotOwner, PenRefusal, Timeout, UnexpectedReply
from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import HANDSHAKE_EVERY_MS
from dermalink_protocol.messages.identity import GetStatus, HelloReply
from dermalink_protocol.messages.owner import GetOwner, OpenChannel

if TYPE_CHECKING:
    from dermalink.ownership.owned_pen import OwnedPen
    from dermalink_protocol.sealing.handshake import Session

RULE: Final = "SR-SEC-1"
NO_SUITE: Final = 0  # in hello: the pen knows no sealed channel
TRIES: Final = 3  # as many as hello has: a reply may be lost on any link
SOON: Final = (Reason.BUSY, Reason.WRONG_STATE)  # others had their turn, or hello; after another it may be ours
AT_FAULT: Final = (Reason.FLASH_FAILED, Reason.HISTORY_BROKEN, Reason.STORE_UNREADABLE)
PAIR_AGAIN: Final = "Pair with the pen again: `dermalink pair`"
NO_WORD_AGAIN: Final = "Connect again; if it stays so, have the pen in hand and pair with it again: `dermalink pair`"
OFF_AND_ON: Final = "Switch the pen off and on, and connect again; if it stays so, have it serviced"
"""For a pen whose memory is at fault, which no pairing mends."""


async def open_channel(
    connection: Connection,
    link: SealableLink,
    owned: "OwnedPen",
    hello: HelloReply,
    say_hello: Callable[[], Awaitable[HelloReply]],
) -> HelloReply:
    """Seal the connection with this pen's keys, and see it proved; the hello that it is bound to.

    What was heard before is forgotten. An attempt that stays unanswered is made anew, with another hello and another
    ephemeral key. Raises `HandshakeFailed`, `KeysRefused`, or a `LinkError`.
    """
    for left in reversed(range(TRIES)):
        _refuse_other_suite(owned, hello)
        try:
            session = await _shake_hands(connection, link, owned)
        except Timeout as timeout:
            if not left:
                raise _failed(owned, timeout.limit, NO_WORD_AGAIN) from timeout
            hello = await say_hello()
        except PenRefusal as refusal:
            if not left or refusal.reason not in SOON:
                raise _refused(owned, refusal) from refusal
            await asyncio.sleep(min(refusal.value, HANDSHAKE_EVERY_MS) / 1_000)
            hello = await say_hello()
        else:
            link.seal(session)
            connection.believe_from_now_on(hello.tick_ms, link.send_sealed_now)
            await _see_proved(connection, owned)
            return hello
    raise AssertionError("a handshake is tried at least once")


def not_owner(serial_number: str) -> NotOwner:
    """That this pen is somebody else's, and what a person can do."""
    return NotOwner(
        f"The pen {serial_number} has an owner, and this computer has no keys of it",
        rule="SR-OWN-1",
        limit="one pen, one person",
        advice="Connect from the computer that it was paired with, or hold its button for ten seconds and pair"
        " anew: `dermalink pair`. `dermalink info` and `dermalink stop` work for anybody",
    )


def not_paired(serial_number: str) -> NotOwner:
    """That this pen has no owner, and does nothing for anybody before it has, and what a person can do."""
    return NotOwner(
        f"The pen {serial_number} has no owner yet",
        rule="SR-OWN-1",
        limit="nobody runs it before it is paired",
        advice="Press its button and pair with it: `dermalink pair`. `dermalink info` and `stop` work for anybody",
    )


async def has_owner(connection: Connection, hello: HelloReply) -> bool:
    """Whether the pen says that it has an owner; one that was built without owners has none, and is not asked."""
    if hello.suite == NO_SUITE:
        return False
    try:
        return bool((await connection.request(GetOwner())).owned)
    except PenRefusal as refusal:
        if refusal.reason is Reason.NOT_BUILT:
            return False
        raise


def _refuse_other_suite(owned: "OwnedPen", hello: HelloReply) -> None:
    from dermalink_protocol.sealing.handshake import SUITE

    if hello.suite != SUITE:
        said = "no sealed channel" if hello.suite == NO_SUITE else f"suite {hello.suite}"
        raise _failed(owned, f"it offers {said}, and this computer has keys for suite {SUITE}", NO_WORD_AGAIN)


async def _shake_hands(connection: Connection, link: SealableLink, owned: "OwnedPen") -> "Session":
    from dermalink_protocol.sealing.errors import HandshakeError
    from dermalink_protocol.sealing.handshake import HostHandshake, Keys, Negotiated
    from dermalink_protocol.sealing.keys import KEY_BYTES

    keys = Keys(owned.host_private, owned.pen_public, secrets.token_bytes(KEY_BYTES))
    try:
        handshake = HostHandshake(keys, Negotiated(*link.negotiated, owned.binding))
        opened = await connection.request(OpenChannel(message=handshake.begin()))
        return handshake.finish(opened.message)
    except (HandshakeError, UnexpectedReply) as error:
        raise _failed(owned, error.limit or error.refused, NO_WORD_AGAIN) from error


async def _see_proved(connection: Connection, owned: "OwnedPen") -> None:
    """The first word under seal, either way: only by it does the pen know that the host is there now."""
    for left in reversed(range(TRIES)):
        try:
            await connection.request(GetStatus())
        except Timeout as timeout:
            if not left:
                raise _failed(owned, f"nothing sealed came back: {timeout.limit}", NO_WORD_AGAIN) from timeout
        except (UnexpectedReply, PenRefusal) as error:
            raise _failed(owned, str(error), NO_WORD_AGAIN) from error
        else:
            return


def _refused(owned: "OwnedPen", refusal: PenRefusal) -> HandshakeFailed:
    """The pen's no to a handshake, in the clear: it may be a lie, and ends the attempt all the same."""
    why = {
        Reason.NO_OWNER: "it says that it has no owner any more",
        Reason.NOT_AUTHENTICATED: "it says that its owner has other keys: it was handed over, or its hello was altered",
    }
    if refusal.reason not in why:
        return _failed(owned, str(refusal), OFF_AND_ON if refusal.reason in AT_FAULT else NO_WORD_AGAIN)
    return KeysRefused(
        f"The pen {owned.serial_number} refused this computer's keys",
        refusal.reason,
        rule=RULE,
        limit=why[refusal.reason],
        advice=PAIR_AGAIN,
    )


def _failed(owned: "OwnedPen", limit: str, advice: str) -> HandshakeFailed:
    refused = f"Who answers did not prove to be the pen {owned.serial_number}"
    return HandshakeFailed(refused, rule=RULE, limit=limit, advice=advice)
