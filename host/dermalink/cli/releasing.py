"""Giving a pen up, as the owner, under seal."""

from typing import Final

from dermalink.cli.connecting import connected
from dermalink.errors import KeysRefused, LinkError, NotOwner, PenRefusal, Timeout, UnexpectedReply
from dermalink.ownership.asking import asked
from dermalink.ownership.store import own_store
from dermalink_protocol.codewords import Reason
from dermalink_protocol.messages.owner import ReleaseOwner

# The pen erases its owner's sectors, 0.4 s each, before it says so. Twice that.
RELEASE_WITHIN_S: Final = 4.0


class NoAnswer(Exception):
    """The pen was told, and did not answer."""

    def __init__(self, serial_number: str) -> None:
        super().__init__(serial_number)
        self.serial_number: Final = serial_number


async def release(url: str | None) -> str:
    """Have the pen let go of its owner; its serial number. Raises `NotOwner`, `NoAnswer`, and as connecting does."""
    try:
        async with connected(url, inspect_only=True) as pen:
            serial = pen.serial_number
            if await asked(own_store().known, serial) is None:
                raise NotOwner(
                    f"This computer has no keys of pen {serial}, so there is nothing to give up",
                    rule="SR-OWN-1",
                    advice="Its owner gives it up, or whoever has it in hand pairs with it",
                )
            try:
                await pen.request(ReleaseOwner(), within_s=RELEASE_WITHIN_S + pen.connection.link.late_s)
            except (Timeout, LinkError, UnexpectedReply) as error:
                raise NoAnswer(serial) from error
            except PenRefusal as refusal:
                if refusal.reason is not Reason.NO_OWNER:
                    raise
            return serial
    except KeysRefused as refused:
        raise KeysRefused(
            refused.refused,
            refused.reason,
            rule=refused.rule,
            limit=refused.limit,
            advice="If that is so, remove the keys here: `dermalink unpair --forget` and the serial number",
        ) from refused
