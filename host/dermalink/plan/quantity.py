"""Numbers as a plan writes them: whole ones in the unit that the key names, or a decimal with its unit in the text."""

import re
from decimal import Decimal
from typing import Final

from dermalink.plan.errors import NotTaken, shown
from dermalink_protocol.limits import DEPTH_CAP_UM, DEPTH_MIN_UM, DEPTH_STEP_UM

DEPTH_RULE: Final = DEPTH_CAP_UM.rule
WRITE_DEPTH: Final = 'Write depth = "0.25 mm" or depth_um = 250'
UM_PER: Final = {"mm": 1_000, "um": 1, "\N{MICRO SIGN}m": 1, "\N{GREEK SMALL LETTER MU}m": 1}

# Twelve digits are more than any length here has, and few enough that no number takes long to read.
_LENGTH: Final = re.compile(
    r"([+-]?[0-9]{1,12}(?:\.[0-9]{1,12})?)\s*([A-Za-z\N{MICRO SIGN}\N{GREEK SMALL LETTER MU}]*)"
)


def depth_from_text(value: object) -> int:
    """µm from "0.25 mm" or "250 um"; everything else is a `NotTaken` that says why."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise NotTaken(f"{shown(value)} is no depth", rule=DEPTH_RULE, advice=f"{WRITE_DEPTH}.")
    if not isinstance(value, str):
        raise NotTaken(
            f"the bare number {shown(value)} was refused",
            limit="a depth says its unit, since 0.5 and 500 may mean the same",
            rule=DEPTH_RULE,
            advice=f"{WRITE_DEPTH}.",
        )
    text = value.strip()
    if "," in text:
        raise NotTaken(f"{shown(value)} was refused", limit="a decimal has a point, no comma", advice=f"{WRITE_DEPTH}.")
    found = _LENGTH.fullmatch(text)
    if not found:
        raise NotTaken(f"{shown(value)} is no depth", rule=DEPTH_RULE, advice=f"{WRITE_DEPTH}.")
    number, unit = found[1], found[2]
    if unit not in UM_PER:
        limit = f"mm and um are known, {shown(unit)} is not" if unit else "it has no unit"
        raise NotTaken(f"{shown(value)} was refused", limit=limit, rule=DEPTH_RULE, advice=f"{WRITE_DEPTH}.")
    um = Decimal(number) * UM_PER[unit]
    if um != um.to_integral_value():
        raise NotTaken(
            f"{shown(value)} was refused",
            limit="a depth is a whole number of um",
            rule=DEPTH_RULE,
            advice=f"Take a step of {DEPTH_STEP_UM:d} um.",
        )
    return depth(int(um), as_written=shown(value))


def depth_from_number(value: object) -> int:
    """µm from a whole number; everything else is a `NotTaken`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise NotTaken(
            f"{shown(value)} was refused",
            limit="depth_um is a whole number of um",
            rule=DEPTH_RULE,
            advice=f"{WRITE_DEPTH}.",
        )
    return depth(value, as_written=f"{shown(value)} um")


def depth(um: int, *, as_written: str) -> int:
    """`um`, if a needle can be set so deep at all (SR-DEPTH-1)."""
    if not DEPTH_MIN_UM <= um <= DEPTH_CAP_UM:
        raise NotTaken(
            f"the depth {as_written} was refused",
            limit=f"settings go from {mm(DEPTH_MIN_UM)} to {mm(DEPTH_CAP_UM)}",
            rule=DEPTH_CAP_UM.rule,
            advice="Take a depth within them; nothing deeper exists here, and nothing is set to the limit for you.",
        )
    if um % DEPTH_STEP_UM:
        raise NotTaken(
            f"the depth {as_written} was refused",
            limit=f"settings go in steps of {DEPTH_STEP_UM:d} um",
            rule=DEPTH_STEP_UM.rule,
            advice=f"Take {um - um % DEPTH_STEP_UM} um.",
        )
    return um


def whole(value: object, low: int, high: int, *, unit: str, rule: str) -> int:
    """A whole number from `low` to `high`; everything else is a `NotTaken`."""
    if isinstance(value, bool) or not isinstance(value, int):
        limit = f"it is a whole number of {unit}, written without quotes"
        raise NotTaken(f"{shown(value)} was refused", limit=limit, advice=f"Write one from {low} to {high}.")
    if not low <= value <= high:
        raise NotTaken(
            f"{shown(value)} was refused",
            limit=f"allowed is {low} to {high} {unit}",
            rule=rule,
            advice="Take one within that.",
        )
    return value


def mm(um: int) -> str:
    """Micrometres as millimetres, exactly: 250 is "0.25 mm"."""
    return f"{(Decimal(um) / 1_000).normalize():f} mm"
