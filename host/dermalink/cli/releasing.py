"""Giving a pen up, as the owner, under seal."""

from typing import Final, NamedTuple

from dermalink.cli.connecting import connected
from dermalink.errors import KeysRefused, LinkError, NotOwner, PenRefusal, Timeout, UnexpectedReply
from dermalink.links.link import Link
from dermalink.ownership.asking import asked
from dermalink.ownership.pairing_link import BLE
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


class Released(NamedTuple):
    """A pen that was given up, and the link that it was told by."""

    serial_number: str
    link: Link

    async def forget_bond(self) -> str:
        """Have this computer's Bluetooth forget it as well; what is to be said of that, "" for nothing. Bounded."""
        if self.link.kind != BLE:
            return ""
        from dermalink.links.ble_platform import FORGET_HERE, advice_for

        forgotten = await self.link.forget_bond()
        return "This computer's Bluetooth has forgotten it as well." if forgotten else f"{advice_for(FORGET_HERE)}."


async def release(url: str | None) -> Released:
    """Have the pen let go of its owner, and of its bond; raises `NotOwner`, `NoAnswer`, and as connecting does."""
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
            return Released(serial, pen.connection.link)
    except KeysRefused as refused:
        raise KeysRefused(
            refused.refused,
            refused.reason,
            rule=refused.rule,
            limit=refused.limit,
            advice="If that is so, remove the keys here: `dermalink unpair --forget` and the serial number",
        ) from refused
