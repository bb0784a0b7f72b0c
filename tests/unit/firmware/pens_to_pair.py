"""Pens that are to be paired or were, and what their history tells of it."""

from dermalink_protocol.history import decode_record
from dermalink_protocol.history_entries import Entry
from dermalink_protocol.pairing.owner_keys import HostOffer
from dermalink_protocol.pairing.spake2plus import SharedKey
from dermalink_protocol.sealing.keys import public_key
from dermalink_simulator.pen import SimulatedPen
from tests.support.pairing_host import PairingHost, press
from tests.support.raw_pen import raw_pen
from tests.support.sealed_client import inside


def new_pen(seed: int = 3) -> SimulatedPen:
    """One that has tested itself, and nobody's."""
    return raw_pen(seed=seed).pen


def owned_pen(seed: int = 3) -> tuple[SimulatedPen, PairingHost]:
    """One with an owner, and the connection that it was paired by."""
    pen = new_pen(seed)
    host = PairingHost(pen)
    press(pen)
    host.pair()
    return pen, host


def entries(pen: SimulatedPen, *kinds: type[Entry]) -> list[Entry]:
    """What its history holds of these kinds."""
    found = [decode_record(record).entry() for record in inside(pen).store.history.records]
    return [entry for entry in found if isinstance(entry, kinds)]


def offer_of(host: PairingHost, key: bytes) -> HostOffer:
    """What opens the answer to the last step of a run with that key."""
    return HostOffer(SharedKey(key), public_key(host.private))
