"""Bluetooth's own bond (LE Secure Connections): when one may be made, which one is kept, and what has to be encrypted.

The pen has no display, so its Bluetooth pairing is Just Works, which proves nobody: a press is what confirms it.

    a press        on a pen at rest without a fault, owned or not, and the hold that hands it over, open a window of
                   `BOND_WINDOW_MS` in which `BONDS_PER_WINDOW` may be begun; a session that begins shuts it
    a bond         counts for the link that it was made on. It is kept, in its owner's record, once the owner's sealed
                   channel stands on that same link in the same window; so nobody else's lies in the flash, or drives
                   the owner's out. When the window shuts, or another opens, an unproven one is forgotten: who keeps its
                   link could else hand the owner's words on over it, whenever he comes, and have his own bond kept
    a link         that asks for the key is given the kept one, whoever asks: who has it not, can't go on

A link that is encrypted has no right by it (SR-SEC-1): whoever may do what, may do it under our own seal alone. What a
link that is not encrypted is refused, is a second lock in front of the owner's channels.
"""

from typing import Final

from dermalink_protocol.channels import CHANNEL_RULES, AttError, Channel
from dermalink_protocol.codewords import State
from dermalink_protocol.limits import BOND_WINDOW_MS, BONDS_PER_WINDOW
from dermalink_simulator.firmware.gatt import GattPort
from dermalink_simulator.firmware.inside import Inside
from dermalink_simulator.firmware.owner_record import BOND_BYTES, NO_BOND
from dermalink_simulator.firmware.pairing_state import BondWindow
from dermalink_simulator.firmware.ports import Port

NO_KEY: Final = bytes(BOND_BYTES)
TAKEN: Final = 0
_CHANNELS: Final = frozenset(int(channel) for channel in Channel)


# The window


def pressed(pen: Inside, idle: int) -> None:
    """The button was freshly pressed; `idle` as `pairing.idle` says."""
    if idle and pen.state.state == State.IDLE:
        opened(pen)


def opened(pen: Inside) -> None:
    """Somebody who has the pen in hand wants it to be paired."""
    _shut(pen)
    number = pen.pairing.bonds.number + 1
    pen.pairing.bonds = BondWindow(int(BOND_WINDOW_MS), int(BONDS_PER_WINDOW), number)


def passed(pen: Inside, dt_ms: int, idle: int) -> None:
    """So much time passed."""
    if pen.pairing.bonds.window_ms:
        left_ms = max(0, pen.pairing.bonds.window_ms - dt_ms)
        if idle and left_ms:
            pen.pairing.bonds = pen.pairing.bonds._replace(window_ms=left_ms)
        else:
            _shut(pen)


def _shut(pen: Inside) -> None:
    """The window is over: a key that was made in it and is not proven gives its link nothing any more."""
    pen.pairing.bonds = pen.pairing.bonds._replace(window_ms=0, left=0)
    for port in pen.ports.values():
        if isinstance(port, GattPort) and port.unproven_in:
            port.key, port.unproven_in = b"", 0
    settle(pen)


def is_open(pen: Inside, idle: int) -> int:
    """1 while what has been begun may go on."""
    return int(pen.pairing.bonds.window_ms > 0 and idle)


def begin(pen: Inside, idle: int) -> int:
    """1 if one may be begun now; it counts then."""
    if not (is_open(pen, idle) and pen.pairing.bonds.left):
        return 0
    pen.pairing.bonds = pen.pairing.bonds._replace(left=pen.pairing.bonds.left - 1)
    pen.press_left_ms, pen.press_free = 0, False  # what the press was for, so for no new clock
    return 1


# The bond


def kept(pen: Inside) -> bytes:
    """The bond of the pen's owner; zeros for none."""
    bond = pen.store.owner.bond
    return NO_KEY if bond == NO_BOND else bond


def encrypted(pen: Inside, port: Port, key: bytes) -> None:
    """A link was encrypted, or encrypted anew, with that key; it is the owner's if his channel stands there."""
    if isinstance(port, GattPort) and len(key) == BOND_BYTES and key not in (NO_KEY, NO_BOND):
        if key != port.key:
            bonds = pen.pairing.bonds
            port.unproven_in = bonds.number if bonds.window_ms and key != kept(pen) else 0
        port.key = key
        settle(pen)
        prove(pen, port)


def prove(pen: Inside, port: Port) -> None:
    """Whether the owner is on that link may have come to be known."""
    if isinstance(port, GattPort) and port.unproven_in and port.seal.proven and _is_his(pen):
        port.unproven_in = 0
        pen.store.keep_bond(port.key)


def _is_his(pen: Inside) -> bool:
    """Whether the owner whom the channels are of is the one that the flash names."""
    return pen.owner.number == pen.store.owner.number


# What has to be encrypted


def refusal(pen: Inside, port: GattPort, channel: int) -> AttError | int:
    """What a link that is not encrypted is refused with on a channel, 0 for nothing (Core, Vol 3, Part C, 10.3.1)."""
    if channel not in _CHANNELS or port.key or not (pen.owners_only and CHANNEL_RULES[Channel(channel)].encrypted):
        return TAKEN
    return AttError.INSUFFICIENT_AUTHENTICATION if kept(pen) == NO_KEY else AttError.INSUFFICIENT_ENCRYPTION


def settle(pen: Inside) -> None:
    """The pen's owner, or a link, has changed: nothing is said on what is not encrypted and has to be."""
    for port in pen.ports.values():
        if isinstance(port, GattPort):
            port.mute(on=pen.owners_only and not port.key)
