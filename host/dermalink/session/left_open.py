"""A session that is open already: another host's, or one that was left behind and can be closed (SR-SES-1)."""

from typing import Final

from dermalink.errors import HostRefusal, PenRefusal, Refusal, Timeout
from dermalink.pen import Pen
from dermalink.session.applying import apply
from dermalink_protocol.codewords import Reason
from dermalink_protocol.messages.therapy import PausePass, SessionClosed

ELSEWHERE: Final = "another host runs the session that is open in the pen"
ELSEWHERE_ADVICE: Final = "End it there; `dermalink stop` stops the pen, whoever runs it"
LEFT_BEHIND: Final = "a session was left open in the pen, and nobody runs it"
LEFT_BEHIND_ADVICE: Final = "Close it: `dermalink session close`"


async def is_run_elsewhere(pen: Pen, session_id: int) -> bool:
    """Whether another connection owns this session; asked by a pause, which at worst makes the pen safer."""
    try:
        await pen.request(PausePass(session_id=session_id))
    except PenRefusal as refusal:
        return refusal.reason is Reason.NOT_OWNER
    return False


async def open_already(pen: Pen, session_id: int, refusal: Refusal) -> HostRefusal:
    """Why no session is opened in a pen that has this one open, in words that tell what to do."""
    if await is_run_elsewhere(pen, session_id):
        return _run_elsewhere("Opening a session")
    return HostRefusal(
        "Opening a session was refused", refusal.reason, rule="SR-SES-1", limit=LEFT_BEHIND, advice=LEFT_BEHIND_ADVICE
    )


async def close_left_open(pen: Pen) -> SessionClosed | None:
    """Adopt the session that is open, disarmed, and close it; None when none is open.

    Raises a `Refusal`, when another host runs it with the reason `NOT_OWNER`, and what journal and link raise.
    """
    session_id = (await pen.look()).status.session_id
    if not session_id:
        return None
    if await is_run_elsewhere(pen, session_id):
        raise _run_elsewhere("Closing the session")
    await pen.look()
    if await apply(pen, pen.gate.adopt_session(session_id)) is None:
        raise Timeout("The pen's answer was lost on its way", advice="Nothing moves; ask again")
    return await pen.close_session()


def _run_elsewhere(what: str) -> HostRefusal:
    return HostRefusal(
        f"{what} was refused", Reason.NOT_OWNER, rule="SR-SES-1", limit=ELSEWHERE, advice=ELSEWHERE_ADVICE
    )
