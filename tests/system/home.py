"""A person's computer with a simulated pen in reach: pairing with it, and what a hand does to its button."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from dermalink.errors import BondMissing, LinkError, LinkLost
from dermalink.journal import MemoryJournal
from dermalink.links.open import open_link
from dermalink.outcome import Applied
from dermalink.ownership.pairing import Pairing
from dermalink.ownership.pairing_link import PairingLink, greeted
from dermalink.ownership.results import Paired, PairingResult
from dermalink.ownership.store import KeyStore
from dermalink.pen import Pen
from dermalink_protocol.limits import HAND_OVER_HOLD_MS
from dermalink_protocol.pairing.setup_code import SetupCode
from dermalink_simulator.pytest_plugin import SimulatedPenDesk
from dermalink_simulator.radio.adapter import bonds_of
from dermalink_simulator.radio.bleak_options import read_options

OFF_S = 1.0
AT_REST_S = 1.0  # a pen that was switched on tests itself first, and takes no press meanwhile
LET_GO_MS = 100
BOND_ANEW = "press the pen's button once"


class Home:
    """A person's computer: keys of its own, and one pen in reach."""

    def __init__(self, made: SimulatedPenDesk, folder: Path, name: str) -> None:
        self.made, self.name = made, name
        self.store = KeyStore(folder / name, lambda: None)
        self.url = made.url_of(name)

    @contextlib.asynccontextmanager
    async def at_the_pen(self) -> AsyncIterator[Pairing]:
        """A connection to pair by."""
        async with greeted(await open_link(self.url)) as link:
            yield self._pairing(link)

    async def pair(self, code: SetupCode | None = None) -> PairingResult:
        """One attempt, with the code on the card unless another is given; by Bluetooth with a bond."""
        async with greeted(await open_link(self.url)) as link:
            result = await self._pairing(link).attempt(code or self.made.model.card.code)
            if not isinstance(result, Paired):
                return result
            try:
                await link.bond(result.pen)
            except LinkError:
                anew = await link.forget_bond()
            else:
                return result
        if anew:
            async with await self._connected(inspect_only=True) as pen:
                await pen.secure()
        return result

    def _pairing(self, link: PairingLink) -> Pairing:
        return Pairing(link, self.store, utc=lambda: 1_800_000_000)

    async def connect(self, *, inspect_only: bool = False) -> Pen:
        """As every command does, with the keys that are here; a bond that is missing is made as advised."""
        try:
            return await self._connected(inspect_only=inspect_only)
        except (BondMissing, LinkLost) as error:
            if BOND_ANEW not in error.advice:
                raise
            self.forget_bond()
            await press(self.made)
            return await self._connected(inspect_only=inspect_only)

    async def _connected(self, *, inspect_only: bool) -> Pen:
        utc = lambda: self.made.model.clock.utc_s  # noqa: E731
        return await Pen.connect(
            self.url, journal=MemoryJournal(), inspect_only=inspect_only, utc=utc, known=self.store.known
        )

    def forget_bond(self) -> None:
        """As in a system's Bluetooth settings."""
        bonds = bonds_of(read_options(self.url.partition("?radio=")[2]))
        for address in list(bonds._keys):
            bonds.forget(address)

    async def is_obeyed(self) -> bool:
        """Whether the pen does what this computer says, under seal."""
        async with await self.connect() as pen:
            await pen.look()
            outcome = await pen.apply(pen.gate.run_self_test())
            await seconds(AT_REST_S)
            return isinstance(outcome, Applied) and pen.sealed


Story = Callable[[SimulatedPenDesk, Home, Home], Awaitable[None]]
Tell = Callable[[Story], None]


async def press(made: SimulatedPenDesk) -> None:
    """A finger's press, and what the pen makes of it."""
    made.act(made.model.button.press)
    await seconds(0.3)


async def hold(made: SimulatedPenDesk, ms: int = int(HAND_OVER_HOLD_MS) + LET_GO_MS) -> None:
    """The hold that hands a pen over."""
    made.act(made.model.button.hold)
    await seconds(ms / 1_000)
    made.act(made.model.button.release)
    await seconds(LET_GO_MS / 1_000)


async def seconds(time_s: float) -> None:
    """Let time pass."""
    await asyncio.sleep(time_s)


def a_wrong_code(made: SimulatedPenDesk) -> SetupCode:
    """Another pen's."""
    right = made.model.card.code
    return next(code for code in (SetupCode("20202021"), SetupCode("20202022")) if code != right)


async def without_power(made: SimulatedPenDesk) -> None:
    """Off, and on again."""
    made.act(made.model.power.cut)
    await seconds(OFF_S)
    made.act(made.model.power.restore)
    await seconds(AT_REST_S)
