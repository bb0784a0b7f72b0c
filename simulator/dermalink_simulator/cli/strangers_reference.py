"""Write the reference's strangers.md: every bound on what a stranger can take, from where it is held (`--check`)."""

import sys
from importlib import import_module
from typing import Final

from dermalink_protocol.generate.files import ROOT, write_or_check
from dermalink_protocol.generate.markdown import code, page, table, unit_of
from dermalink_protocol.limits import Limit

PAGE: Final = ROOT / "docs" / "reference" / "strangers.md"
INTRODUCTION: Final = """
Whoever reaches a pen may look at it and stop it, whatever he sends. What he can take of it is bounded, by these numbers
(SR-SEC-5). Those of `limits` are the contract's, and every pen has them; the others are the simulated
pen's, and a board finds its own: why each is what it is stands beside it in its module.
"""
LIMITS: Final = "dermalink_protocol.limits"
FIRMWARE: Final = "dermalink_simulator.firmware"
HARDWARE: Final = "dermalink_simulator.hardware"
DOORS: Final = "dermalink_simulator.doors"

Bound = tuple[str, str, str]
BOUNDS: Final[dict[str, tuple[Bound, ...]]] = {
    "Connections": (
        (f"{HARDWARE}.board", "PORTS_MAX", "connections that a pen has at a time"),
        (f"{HARDWARE}.places", "GRACE_MS", "for which whoever was let in keeps his place"),
        (f"{HARDWARE}.places", "STORM_PER_S", "connections a second, beyond which a lot decides who is let in"),
        (f"{DOORS}.tcp", "CLIENTS_MAX", "TCP connections that are looked at before one is hung up on"),
        (f"{DOORS}.ble_places", "LINKS_MAX", "links by BLE"),
        (f"{DOORS}.ble_places", "IDLE_S", "after which a silent link by BLE gives way, while all are taken"),
        (f"{DOORS}.ble_link", "STOP_SPARED_EVERY_S", "between two times that saying Stop keeps a link its place"),
    ),
    "What comes in": (
        (f"{DOORS}.tcp", "READ_BYTES", "of one TCP connection between two looks at all others"),
        (LIMITS, "MESSAGE_BYTES_MAX", "of a message; a longer one is dropped"),
        (LIMITS, "HANDSHAKES_AT_ONCE", "handshakes that a port may begin in a row"),
        (LIMITS, "HANDSHAKE_EVERY_MS", "after which a port may begin one more"),
    ),
    "What waits to go out": (
        (f"{FIRMWARE}.ports", "REPLIES_MAX", "replies that wait for a host that does not read"),
        (f"{FIRMWARE}.ports", "CHANGES_MAX", "state changes that wait for it"),
        (f"{FIRMWARE}.ports", "TELEMETRY_MAX", "batches of telemetry that wait for it"),
        (f"{DOORS}.tcp", "UNREAD_BYTES", "that lie at the TCP door, before the pen is told to wait"),
        (f"{DOORS}.ble_link", "INDICATIONS_WAIT_MAX", "indications that wait at the BLE door, over all links"),
        (f"{DOORS}.ble_link", "PACKETS_WAIT_MAX", "packets that wait for the controller, over all links"),
        (f"{DOORS}.ble_link", "OWED_MAX", "answers not taken, after which a link by BLE is hung up on"),
        (f"{DOORS}.ble_link", "CONFIRMED_WITHIN_S", "for a confirmation, after which it is hung up on as well"),
    ),
    "Pairing": (
        (LIMITS, "PAIR_WINDOW_MS", "for which a press opens the pen for pairing"),
        (LIMITS, "PAIR_TRIES", "wrong codes before the bar"),
        (LIMITS, "PAIR_BARRED_S", "of the first bar; each further one is twice as long"),
        (LIMITS, "PAIR_BARRED_MAX_S", "of the longest"),
        (LIMITS, "HAND_OVER_HOLD_MS", "for which the button is held for a hand-over"),
        (f"{FIRMWARE}.owner_desk", "RUN_MS", "for which an answered run keeps others from beginning one"),
        (f"{FIRMWARE}.pairing", "NO_POINT_EVERY_MS", "between two looks, on a port, at shares that are no points"),
    ),
    "Bluetooth's own pairing": (
        (LIMITS, "BOND_WINDOW_MS", "for which it is possible after a press"),
        (LIMITS, "BONDS_PER_WINDOW", "that may be begun for each press"),
        (f"{DOORS}.ble_bonding", "GIVES_WAY_S", "of silence, after which one gives way to another link's"),
        (f"{DOORS}.ble_bonding", "SMP_TIMEOUT_S", "of silence, after which one has failed"),
        (f"{DOORS}.ble_bonding", "REFUSALS_MAX", "refusals on a link before the pen hangs up on it"),
    ),
    "The history": (
        (f"{FIRMWARE}.history_store", "RESERVE_SLOTS", "slots that are kept free for a session's records"),
        (f"{FIRMWARE}.history_store", "OWNER_SLOTS", "slots for owners and bars, and never more"),
        (
            f"{FIRMWARE}.history_store",
            "TRIES_SLOTS",
            "slots for windows in which wrong codes were tried, and never more",
        ),
        (f"{FIRMWARE}.history_store", "START_SLOTS", "slots for starts, self-tests and heads seen, and never more"),
        (f"{FIRMWARE}.history_store", "REFUSED_SLOTS", "slots for counts of what was refused, and never more"),
    ),
}


def rendered() -> str:
    """The whole page."""
    parts = []
    for title, bounds in BOUNDS.items():
        parts += [f"## {title}", table(("number", "is", "of what", "held in"), map(_row, bounds))]
    return page("What strangers can take", INTRODUCTION, *parts)


def _row(bound: Bound) -> tuple[str, str, str, str]:
    module, name, says = bound
    value = getattr(import_module(module), name)
    number = int(value) if isinstance(value, Limit) else value
    unit = unit_of(name.removesuffix("_MAX").removesuffix("_PER_S"))
    return (
        code(name),
        f"{number:{',g' if isinstance(number, float) else ','}} {unit}".strip(),
        says,
        code(module.partition(".")[2]),
    )


if __name__ == "__main__":
    sys.exit(write_or_check({PAGE: rendered()}, sys.argv[1:]))
