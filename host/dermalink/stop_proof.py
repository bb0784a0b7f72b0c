"""A Stop that was answered in the clear, proved afterwards by the pen's own word under seal (SR-STOP-2, SR-SEC-1).

Who answered the first one in the clear may have kept it to himself, and led all that follows to the pen. So Stop goes
once more under seal: the pen says that it has heard that one, and then that it is stopped.

Only what costs nobody anything: keys that lie in a file, no question to a person, no time beyond what the Stop itself
may take, and what loads or reads is in a thread, so that another pen's Stop is not kept waiting.
"""

import asyncio
import secrets
from typing import TYPE_CHECKING

from dermalink.channel.opening import open_channel
from dermalink.channel.sealable_link import SealableLink
from dermalink.connecting import refuse_another, say_hello, serial_text
from dermalink.connection import Connection
from dermalink.errors import LinkError, Timeout
from dermalink.ownership.asking import asked
from dermalink.stopping import POLL_S, not_confirmed, refuse_failed, settles, until_answered
from dermalink_protocol.messages.identity import GetStatus, HelloReply, Status

if TYPE_CHECKING:
    from dermalink.ownership.owned_pen import OwnedPen


async def prove_stopped(connection: Connection, link: SealableLink, until_s: float) -> str:
    """The serial number of the owned pen that says under seal that it heard Stop and is stopped; "" for none.

    `until_s` is of the loop's clock. Raises `StopFailed`, or `StopNotConfirmed` where the pen says under seal that it
    moves, or stands where it would not if it had heard Stop; whatever else goes wrong proves nothing, and is no error.
    """
    try:
        async with asyncio.timeout_at(until_s):
            serial_number = await _seal(connection, link)
    except Exception:  # noqa: BLE001  (a Stop that is confirmed stays so, whatever keeps its proof away)
        return ""
    return serial_number if serial_number and await _says_stopped(connection, until_s) else ""


async def _seal(connection: Connection, link: SealableLink) -> str:
    """Whose seal the connection has now; "" where this computer has no keys at hand."""
    if not await asked(_any_at_hand):
        return ""

    async def greeted() -> HelloReply:
        hello = await say_hello(connection)
        refuse_another(link, hello)
        return hello

    hello = await greeted()
    keys = await asked(_at_hand, serial_text(hello))
    if keys is None:
        return ""
    await open_channel(connection, link, keys, hello, greeted)
    return keys.serial_number


async def _says_stopped(connection: Connection, until_s: float) -> bool:
    """Whether it says by `until_s` that it heard Stop under seal, and is stopped; False where it says too little."""
    status: Status | None = None
    stopping = asyncio.ensure_future(until_answered(connection, under_seal=True))
    try:
        async with asyncio.timeout_at(until_s):
            await asyncio.sleep(0)  # Stop is out
            while True:
                status = await connection.request(GetStatus())
                refuse_failed(status)
                if stopping.done() and settles(status, stopping.result().tick_ms):
                    return True
                await asyncio.sleep(POLL_S)
    except (TimeoutError, Timeout, LinkError):
        if status is None or settles(status, None):
            return False
        said = status.state.name.lower().replace("_", " ")
        raise not_confirmed(f"in the clear somebody said stopped, under seal the pen says {said}") from None
    finally:
        stopping.cancel()
        await asyncio.wait((stopping,))


def _any_at_hand() -> bool:
    from dermalink.ownership.store import own_store

    return own_store().any_in_file()


def _at_hand(serial_number: str) -> "OwnedPen | None":
    """Keys that lie in a file, and with them all that a handshake loads: 40 ms, of which a loop waits 15 at most."""
    from dermalink.ownership.store import own_store
    from dermalink_protocol.sealing.handshake import HostHandshake, Keys, Negotiated
    from dermalink_protocol.sealing.keys import KEY_BYTES

    owned = own_store().in_file(serial_number)
    if owned is not None:
        keys = Keys(owned.host_private, owned.pen_public, secrets.token_bytes(KEY_BYTES))
        HostHandshake(keys, Negotiated(b"loads", b"the ciphers", owned.binding)).begin()
    return owned
