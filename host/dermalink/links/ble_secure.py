"""The channels that an owned pen has on an encrypted link alone: subscribed to, once the pen is known to be one's own.

A subscription that is refused for want of encryption has macOS and BlueZ encrypt or bond by themselves. Where that did
not come about, the system is asked to bond, once; then there is one more try. A bond that is refused is taken for an
answer at once: BlueZ would ask again, twice a second for 45 s.
"""

import sys
from collections.abc import Iterable
from typing import Final, Protocol

from dermalink.errors import BondMissing, LinkError, LinkLost
from dermalink.links.ble_calls import CallCancelled, bounded
from dermalink.links.ble_platform import AGAIN, BOND_ANEW, PAIRS_FIRST, advice_for, meaning, opening_error, wants_bond
from dermalink.links.ble_radio import Radio
from dermalink_protocol.channels import Channel

# Measured with the simulated pen, at an ATT_MTU of 23 and of 185: with a new bond 0.5 s at a connection interval of
# 30 ms and 1.8 s at 100 ms, with one that is kept 0.3 s and 1.0 s. macOS asks the person meanwhile, and the Security
# Manager waits 30 s (Core, Vol 3, Part H, 3.4).
SECURE_WITHIN_S: Final = 10.0
SECURE_WITH_A_QUESTION_S: Final = 30.0
ASK: Final = ("darwin",)
HERE: Final = sys.platform


class Secures(Protocol):
    """What this needs of a client."""

    @property
    def url(self) -> str:
        """The URL that it was opened by."""

    @property
    def address(self) -> str:
        """The pen's address, as this computer has it."""

    @property
    def gone(self) -> bool:
        """Whether the link is over."""

    async def subscribe_to(self, channel: Channel) -> None:
        """Subscribe; may never return, and raises whatever bleak raises."""

    async def pair(self) -> None:
        """Have the system bond, unless it has; may never return, and raises whatever bleak raises."""


class NotBonded(Exception):
    """The system was asked to bond, and could not; the cause says why."""


def pairs_first(radio: Radio, system: str = HERE) -> bool:
    """Whether to ask for the bond before anything is refused: see `PAIRS_FIRST`; a brought radio bonds by itself."""
    return radio.client is None and system in PAIRS_FIRST


async def subscribe_secured(client: Secures, channels: Iterable[Channel], *, first: bool) -> None:
    """Subscribe to these channels of a pen that is one's own, bonding where that is wanted; with `first` before all.

    Raises `BondMissing`, or another `LinkError`, as soon as it is known and in bounded time.
    """
    within_s = SECURE_WITH_A_QUESTION_S if HERE in ASK else SECURE_WITHIN_S
    try:
        await bounded(
            _subscribe(client, channels, first=first),
            within_s,
            "encryption",
            patience_s=0.0,
            gives_way=lambda: client.gone,
        )
    except Exception as error:
        raise _why(error, client) from error


async def _subscribe(client: Secures, channels: Iterable[Channel], *, first: bool) -> None:
    asked = first and await _bonds(client)
    for channel in channels:
        try:
            await client.subscribe_to(channel)
        except Exception as error:
            if asked or client.gone or not wants_bond(error) or not await _bonds(client):
                raise
            asked = True
            await client.subscribe_to(channel)


async def _bonds(client: Secures) -> bool:
    """Have the system bond; False where it does that by itself or not at all (macOS)."""
    try:
        await client.pair()
    except NotImplementedError:
        return False
    except Exception as error:
        raise NotBonded from error
    return True


def _why(error: Exception, client: Secures) -> LinkError:
    anew = advice_for(BOND_ANEW, HERE).replace("ADDRESS", client.address)
    if client.gone or isinstance(error, CallCancelled):
        return LinkLost(
            f"The connection to {client.url} is gone",
            limit="it ended before Bluetooth had encrypted it",
            advice=f"{AGAIN}. If it stays so: {anew}",
        )
    brought = error.__cause__ if isinstance(error, NotBonded) and error.__cause__ is not None else error
    if isinstance(error, NotBonded | TimeoutError) or wants_bond(error):
        return BondMissing(
            f"{client.url}: Bluetooth does not encrypt the link to this pen, as an owned pen wants it",
            rule="SR-SEC-1",
            limit=meaning(brought, HERE).limit,
            advice=anew,
        )
    return opening_error(error, client.url)
