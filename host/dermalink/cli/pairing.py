"""How a person is led through pairing: where the keys will lie, the press, the countdown, and what came of it."""

import asyncio
import json
import re
from typing import Final

import click

from dermalink.cli.connecting import NotAPen, connected, the_one_pen
from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.options import verbosity
from dermalink.cli.progress import Progress, progress
from dermalink.cli.setup_code import Said
from dermalink.cli.tracing import trace
from dermalink.errors import ChannelError, LinkError, PenRefusal, Timeout, UnexpectedReply, WrongPen
from dermalink.links.open import open_link
from dermalink.ownership.asking import asked
from dermalink.ownership.pairing import Pairing
from dermalink.ownership.pairing_link import PairingLink, greeted
from dermalink.ownership.results import (
    HAND_OVER,
    WINDOW_S,
    AlreadyPaired,
    CutOff,
    Owned,
    Paired,
    PairingResult,
    WindowShut,
    WrongCode,
)
from dermalink.ownership.store import KeyStore
from dermalink.pen import utc_now
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.messages.owner import Owner

UNBONDED: Final = (LinkError, ChannelError, PenRefusal, Timeout, UnexpectedReply)
NO_BOND: Final = "Bluetooth has no bond with it yet, and a session by Bluetooth takes one"
PRESS_WITHIN_S: Final = 120.0  # to find the pen's button, and to hold it for 10 s (assumption)
ASK_AGAIN_S: Final = 0.5  # a person sees no difference, and a pen is asked twice a second
PRESS: Final = f"Press the pen's button once, with no session open: it is open for pairing then, for {WINDOW_S} s."
CALLED_OFF: Final = "Interrupted: the pen is not paired with this computer."
CALLED_OFF_BONDING: Final = (
    "Interrupted: the pen is paired with this computer. Bluetooth may have no bond with it yet; `dermalink pair` makes"
    " one, after another press."
)
CALLED_OFF_LATE: Final = (
    "Interrupted at the last word: the pen may be paired with this computer, or not. `dermalink pair` finds out."
)


class Led:
    """One person with one pen, over as many connections as there are codes to try."""

    def __init__(self, url: str | None, store: KeyStore) -> None:
        """`url` is None for the one pen that is here."""
        self._url = url
        self._store = store
        self._tries = 0
        self.serial_number = ""
        self.result: PairingResult | None = None
        self.unbonded: DermalinkError | None = None
        """Why Bluetooth does not encrypt the link to a pen that is paired."""
        self._bonds_anew = False

    async def attempt(self, said: Said) -> None:
        """One attempt, whose `result` is there then; raises as connecting does, and a `KeyStoreError`."""
        with progress() as doing:
            self._url = self._url or await the_one_pen(doing.say, own_first=False)
            doing.say(f"Connecting to {self._url}")
            try:
                async with greeted(await open_link(self._url), lambda made: trace(made, verbosity())) as link:
                    doing.wipe()
                    self.result = await self._with(link, said, doing)
            except Timeout as error:
                raise NotAPen(f"Nothing on {self._url} answers as a pen does", limit=error.limit) from error
        if self.result == Owned(ours=True):
            await self._see_whose()
        elif self._bonds_anew:
            await self._bond_anew()

    async def _with(self, link: PairingLink, said: Said, doing: Progress) -> PairingResult:
        self.serial_number = link.serial_number
        if said.serial_number and said.serial_number != link.serial_number:
            raise WrongPen(
                f"The QR code is that of pen {said.serial_number}, and pen {link.serial_number} answers",
                advice="Scan the code that came with this pen, or connect to the other one",
            )
        pairing = Pairing(link, self._store, utc=utc_now, tries=self._tries)
        try:
            if not self._tries:
                click.echo(f"Pen {link.serial_number}. {await asked(self._ready)}", err=True)
            standing = await self._until_open(pairing, doing)
            if not isinstance(standing, Owner):
                return standing
            doing.say(f"Pairing; the pen is open for {standing.window_s} s more")
            result = await pairing.attempt(said.code)
        except (Timeout, LinkError) as error:  # while the person was waited for
            return CutOff(error, may_be_ours=False)
        except asyncio.CancelledError:
            click.echo(CALLED_OFF_LATE if pairing.may_be_ours else CALLED_OFF, err=True)
            raise
        finally:
            self._tries = pairing.tries
        if isinstance(result, Paired):
            if self._url is not None and self._url.startswith("ble:"):
                doing.say("Paired; bonding, so that Bluetooth encrypts as well")
            await self._bond(link, result)
        return result

    async def _bond(self, link: PairingLink, paired: Paired) -> None:
        """Under the same press. An old bond, of an earlier owner's time, is forgotten, and another made."""
        try:
            await link.bond(paired.pen)
        except UNBONDED as error:
            self.unbonded = error
            self._bonds_anew = await link.forget_bond()
        except asyncio.CancelledError:
            click.echo(CALLED_OFF_BONDING, err=True)
            raise

    def _ready(self) -> str:
        self._store.check()
        return self._store.said

    async def _until_open(self, pairing: Pairing, doing: Progress) -> PairingResult | Owner:
        """Wait for the press, or the hold that hands the pen over; what stands in the way when none comes in time."""
        loop, asked = asyncio.get_running_loop(), False
        until_s = loop.time() + PRESS_WITHIN_S
        while True:
            standing = await pairing.standing()
            left_s = until_s - loop.time()
            waits = isinstance(standing, WindowShut) or (isinstance(standing, Owned) and not standing.ours)
            if left_s <= 0 or not waits:
                return standing
            if not asked:
                click.echo(f"The pen has an owner. {HAND_OVER}." if isinstance(standing, Owned) else PRESS, err=True)
                asked = True
            doing.say(f"Waiting for the pen's button, {left_s:.0f} s")
            await asyncio.sleep(ASK_AGAIN_S)

    async def _see_whose(self) -> None:
        """The pen has an owner and this computer has keys: whether they are his is seen by using them."""
        try:
            async with connected(self._url, inspect_only=True) as pen:
                known = await asked(self._store.known, self.serial_number)
                if known is not None:
                    self.result = AlreadyPaired(known)
                try:
                    await pen.secure()
                except UNBONDED as error:
                    self.unbonded = error
        except ChannelError:
            self.result = Owned(ours=False)

    async def _bond_anew(self) -> None:
        """The old bond is forgotten here, and the press still holds."""
        try:
            async with connected(self._url, inspect_only=True) as pen:
                await pen.secure()
        except UNBONDED as error:
            self.unbonded = error
        else:
            self.unbonded = None


def exit_code(result: PairingResult, *, unbonded: bool = False) -> ExitCode:
    """How the command ends."""
    if isinstance(result, Paired):
        return ExitCode.UNSETTLED if unbonded else ExitCode.DONE
    if isinstance(result, CutOff):
        return ExitCode.UNSETTLED if result.may_be_ours else ExitCode.LINK_LOST
    return ExitCode.REFUSED


def show(led: Led, result: PairingResult, *, as_json: bool) -> ExitCode:
    """Say what came of it; returns the exit code."""
    unbonded = led.unbonded
    code = exit_code(result, unbonded=unbonded is not None)
    bond = f"{NO_BOND}: {unbonded.limit or unbonded.refused}. {unbonded.advice}." if unbonded else ""
    if as_json:
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(result).__name__).lower()
        told = {"pen": led.serial_number or None, "result": name, "sentence": result.said, "advice": result.advice}
        click.echo(json.dumps(told | ({"unbonded": bond} if bond else {}) | {"exit_code": int(code)}))
    else:
        click.echo(f"{result.said} {result.advice.rstrip('.')}.", err=not isinstance(result, Paired))
    if bond:
        click.echo(bond, err=True)
    return code


def may_ask_again(result: PairingResult | None) -> bool:
    """Whether another code can be tried at once."""
    return isinstance(result, WrongCode) and result.tries_left > 0
