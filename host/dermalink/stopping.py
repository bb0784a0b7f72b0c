"""Stop, and the proof that it worked: no longer armed, needles in and motor off, both measured (SR-STOP-2)."""

import asyncio
from typing import Final, NamedTuple

from dermalink.connection import Connection
from dermalink.errors import LinkError, StopFailed, StopNotConfirmed, Timeout
from dermalink.motion import MOVING
from dermalink.ticks import elapsed_ms
from dermalink_protocol.codewords import State
from dermalink_protocol.messages.identity import GetStatus, Status, StatusFlag
from dermalink_protocol.messages.stop import Stop, Stopped

CONFIRM_WITHIN_S: Final = 1.0  # the pen has 50 ms; the rest is for a slow link
AGAIN_AFTER_S: Final = 0.1  # Stop may be sent again, and a reply takes a few ms on a cable
POLL_S: Final = 0.01
NOT_STOPPED: Final = (*MOVING, State.STOPPING, State.STOP_FAILED)  # whatever was measured meanwhile


class StopReport(NamedTuple):
    """A confirmed Stop: how long from the call until the pen answered, and until it had measured everything in.

    `pen_ms` is the pen's own time between those two; the others are this computer's.
    """

    answered_ms: float
    confirmed_ms: float
    pen_ms: int
    status: Status


def is_stopped(status: Status) -> bool:
    """Whether this status says stopped: as measured, and in a state that moves nothing."""
    measured = StatusFlag.NEEDLES_IN | StatusFlag.MOTOR_OFF
    at_rest = status.flags & measured == measured and StatusFlag.ARMED not in status.flags
    return at_rest and status.state not in NOT_STOPPED


async def stop_and_confirm(connection: Connection, within_s: float = CONFIRM_WITHIN_S) -> StopReport:
    """Send Stop until it is answered, then ask until all is measured in.

    Raises `StopFailed` or `StopNotConfirmed`, also when the link is lost: then the pen stops by its lease, unproved.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(within_s):
            stopped = await _until_answered(connection)
            answered = loop.time()
            status = await _until_in(connection)
    except (TimeoutError, Timeout, LinkError) as error:
        raise StopNotConfirmed(
            "Stop was sent and could not be confirmed",
            rule="SR-STOP-2",
            limit=str(error) or f"waited {within_s * 1000:.0f} ms",
            advice="Lift the pen straight off the skin; press its button",
        ) from error
    milliseconds = (answered - began) * 1000, (loop.time() - began) * 1000
    return StopReport(*milliseconds, elapsed_ms(stopped.tick_ms, status.tick_ms), status)


async def _until_answered(connection: Connection) -> Stopped:
    asked: set[asyncio.Future[Stopped]] = set()
    while True:
        asked.add(connection.request_now(Stop()))
        done, _ = await asyncio.wait(asked, timeout=AGAIN_AFTER_S, return_when=asyncio.FIRST_COMPLETED)
        for future in done:
            asked.discard(future)
            if future.exception() is None:
                return future.result()
            if connection.error is not None:
                future.result()


async def _until_in(connection: Connection) -> Status:
    while True:
        status = await connection.request(GetStatus())
        if status.state is State.STOP_FAILED:
            raise StopFailed(
                "The needles did not go in",
                rule="SR-STOP-8",
                advice="Lift the pen straight off the skin, and have it serviced",
            )
        if is_stopped(status):
            return status
        await asyncio.sleep(POLL_S)
