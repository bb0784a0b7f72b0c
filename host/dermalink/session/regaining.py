"""After a lost link: another connection adopts the session, disarmed, and nothing goes on by itself (SR-STOP-5).

Only of the same pen: what another says of its needles, in the clear perhaps, is no word of those in the skin.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from dermalink.errors import AnotherPen, ChannelError, LinkError, Timeout, WrongPen
from dermalink.pen import Pen
from dermalink.reconnect import Backoff, refuse_another_pen
from dermalink.session.applying import apply
from dermalink.session.events import LinkBack, LinkGone
from dermalink.session.loop import Leave, SessionLoop
from dermalink.session.outcome import Ending
from dermalink.stopping import is_stopped
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.messages.identity import Status

Connect = Callable[[], Awaitable[Pen]]

WITHIN_S: Final = 60.0  # a cable is back by then; the pass itself could be resumed for ten minutes


async def regain(loop: SessionLoop, lost: LinkError, connect: Connect | None, keep: Callable[[Pen], object]) -> None:
    """Connect again and adopt the session; `keep` gets the new pen as soon as there is one, to close it at the end.

    Raises `lost` when there is no way to connect, or none in time; `AnotherPen`, or why the pen could not prove who it
    is, when that is what answered last; and `Leave` when the session is gone, or the person
    has said stop meanwhile.
    """
    loop.show(LinkGone(words=str(lost), trying_again=connect is not None, lease_ms=int(loop.lease_ms)))
    await loop.detach()
    await loop.pen.close()
    if connect is None:
        raise lost
    began = asyncio.get_running_loop().time()
    pen = await _connected(loop, connect, lost, began + WITHIN_S)
    keep(pen)
    status = await _adopt(loop, pen)
    seconds = round(asyncio.get_running_loop().time() - began, 2)
    loop.show(LinkBack(seconds=seconds, needles_in=is_stopped(status)))


async def _adopt(loop: SessionLoop, pen: Pen) -> Status:
    loop.attach(pen)
    status = (await pen.look()).status
    if not status.session_id or status.session_id != loop.session_id:
        raise Leave(Ending.PEN, "the pen has ended the session meanwhile")
    await apply(pen, pen.gate.adopt_session(loop.session_id, lease_ms=loop.lease_ms))
    status = (await pen.look()).status
    loop.take_status(status)
    return status


async def _connected(loop: SessionLoop, connect: Connect, lost: LinkError, deadline: float) -> Pen:
    backoff = Backoff()
    while True:
        loop.leave_if_told()
        why: DermalinkError = lost
        try:
            return await _connected_to_same(loop.pen, connect)
        except (AnotherPen, ChannelError, WrongPen) as error:  # who answers now need not be who answers next
            why = error
        except (LinkError, Timeout):
            pass
        if asyncio.get_running_loop().time() >= deadline:
            raise why from None
        pause = backoff.next_s()
        await loop.wait_or_told(pause)


async def _connected_to_same(before: Pen, connect: Connect) -> Pen:
    pen = await connect()
    try:
        refuse_another_pen(before, pen)
    except AnotherPen:
        await pen.close()
        raise
    return pen
