"""Owning a simulated pen without pairing: its firmware has an owner at once, and these are that person's keys of it."""

from collections.abc import Callable

from dermalink.ownership.owned_pen import OwnedPen
from dermalink_protocol.sealing.keys import public_key
from dermalink_simulator.firmware import bonding
from dermalink_simulator.firmware.effects import UNTRACKED
from dermalink_simulator.firmware.flash_store import Transaction
from dermalink_simulator.pen import SimulatedPen
from tests.support.sealed_client import BINDING, HOST, OWNER, PEN, inside


def give_owner(sim: SimulatedPen) -> None:
    """From now on it has the owner whose keys `keys_of` gives, in its flash as well, as if paired after a press now."""
    pen = inside(sim)
    pen.owner = OWNER
    named = {"owners": OWNER.number, "owned": 1}
    assert pen.store.submit(Transaction(UNTRACKED, named, own=frozenset(named), owner=OWNER))
    bonding.opened(pen)


def keys_of(serial_number: str) -> OwnedPen:
    """The owner's keys, of whatever pen."""
    return OwnedPen(serial_number, HOST, public_key(PEN), BINDING)


def keys_only_of(sim: SimulatedPen) -> Callable[[str], OwnedPen | None]:
    """What a person with this pen alone has: of any other there are no keys."""
    mine = sim.card.serial_number
    return lambda serial_number: keys_of(serial_number) if serial_number == mine else None


def no_keys(_: str) -> None:
    """A stranger's."""
