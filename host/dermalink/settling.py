"""After "unknown": ask the pen for its last applied command until every one in the dark is settled (SR-UNC-1)."""

import asyncio
from typing import Final

from dermalink.connection import Connection
from dermalink.errors import UnknownOutcome
from dermalink.keeper import Keeper
from dermalink.outcome import Answer, CommandFacts, PenFacts, Verdict, verdict
from dermalink.records import Intended, Settled
from dermalink_protocol.codewords import Opcode
from dermalink_protocol.limits import TTL_MAX_MS
from dermalink_protocol.messages.identity import GetLastCommand, GetStatus, LastCommand

ASK_AGAIN_S: Final = 0.05
ASKS: Final = 2 + int(TTL_MAX_MS / 1_000 / ASK_AGAIN_S)  # by then every command that is under way has expired


def facts_of(intended: Intended) -> CommandFacts:
    """What the journal alone says of a command that is in the dark: it has to be taken as sent."""
    return CommandFacts(
        intended.boot_id, intended.command_id, intended.opcode, intended.expires_tick, sent=True, answer=Answer.NONE
    )


async def settle_all(connection: Connection, keeper: Keeper, serial_number: str, utc_s: int) -> dict[int, Verdict]:
    """Settle every command of this pen that is in the dark, by journal number, and write down what came of each.

    Raises what asking raises, and `UnknownOutcome` when the pen's clock stands still, so that nothing expires.
    """
    unsettled = keeper.belief.pen(serial_number).unsettled
    settled: dict[int, Verdict] = {}
    for attempt in range(ASKS):
        if not unsettled:
            return settled
        if attempt:
            await asyncio.sleep(ASK_AGAIN_S)
        status = await connection.request(GetStatus())
        last = await connection.request(GetLastCommand())
        pen = PenFacts(last.boot_id, status.tick_ms, last.command_id, last.applied_opcode)
        for number, intended in list(unsettled.items()):
            found = verdict(facts_of(intended), pen)
            if found is not Verdict.OPEN:
                await keeper.keep(_settled(number, intended, found, last, utc_s))
                settled[number] = found
    if unsettled:
        raise UnknownOutcome(
            "The pen can't tell yet what came of an earlier command",
            rule="SR-UNC-1",
            advice="Ask again, or switch the pen off and on: the worse case is taken then",
        )
    return settled


def _settled(number: int, intended: Intended, found: Verdict, last: LastCommand, utc_s: int) -> Settled:
    opened = found is Verdict.APPLIED and intended.opcode == Opcode.OPEN_SESSION
    return Settled(
        pen=intended.pen,
        utc_s=utc_s,
        intended=number,
        verdict=found.value,
        session_id=last.session_id if opened else 0,
    )
