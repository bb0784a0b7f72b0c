"""Zones and directions by name, and an answer for each name that is none."""

import re
from difflib import get_close_matches
from typing import Final

from dermalink.plan.errors import NotTaken, shown
from dermalink_protocol.zones import Direction, Zone

ZONE_RULE: Final = "SR-DEPTH-3"
ZONE_NAMES: Final = {zone.name.lower(): zone for zone in Zone}
DIRECTION_NAMES: Final = {direction.name.lower(): direction for direction in Direction}
BOTH_SIDES: Final = {"cheek": "cheek", "cheeks": "cheek", "under_eye": "under_eye", "under_eyes": "under_eye"}

NEVER: Final = "eyelids, lips and the inside of the orbital rim do not exist as zones"
_LIP_WORDS: Final = frozenset({"lip", "lips", "mouth"})
_EYE_WORDS: Final = frozenset({"eyelid", "eyelids", "lid", "lids", "eye", "eyes", "eyeball", "orbit", "orbital", "rim"})
_SCALP_WORDS: Final = frozenset({"scalp", "hair", "hairline", "crown"})


def zone_from_name(value: object) -> Zone:
    """The zone of that name, however it is spaced; anything else is a `NotTaken` with what to do."""
    if not isinstance(value, str):
        raise NotTaken(f"{shown(value)} is no zone's name", rule=ZONE_RULE, advice=f"{_known()}.")
    name = "_".join(re.findall(r"\w+", value.lower().replace("_", " ")))
    if name in ZONE_NAMES:
        return ZONE_NAMES[name]
    words = frozenset(name.split("_"))
    if name in BOTH_SIDES:
        side = BOTH_SIDES[name]
        advice = f"Say left_{side} or right_{side}, or give each its own [[zone]]."
        raise NotTaken(f"{shown(value)} was refused", limit="it names two zones", rule=ZONE_RULE, advice=advice)
    if words & _SCALP_WORDS:
        raise NotTaken(
            f"{shown(value)} was refused",
            limit="this pen is for the face",
            rule=ZONE_RULE,
            advice="The scalp needs a device made for it; ask a dermatologist first.",
        )
    if words & _LIP_WORDS:
        advice = "Take it out; the skin above the upper lip is upper_lip (stamp head only)."
        raise NotTaken(f"{shown(value)} was refused", limit=NEVER, rule=ZONE_RULE, advice=advice)
    if words & _EYE_WORDS:
        advice = "Take it out; the skin under the eye, outside the rim, is left_under_eye and right_under_eye."
        raise NotTaken(f"{shown(value)} was refused", limit=NEVER, rule=ZONE_RULE, advice=advice)
    near = get_close_matches(name, ZONE_NAMES, 1)
    advice = f"Did you mean {near[0]}? {_known()}." if near else f"{_known()}."
    raise NotTaken(f"the zone {shown(value)} is not known", rule=ZONE_RULE, advice=advice)


def direction_from_name(value: object) -> Direction:
    """The direction of that name; anything else is a `NotTaken`."""
    if isinstance(value, str) and value.strip().lower() in DIRECTION_NAMES:
        return DIRECTION_NAMES[value.strip().lower()]
    advice = f"There are {', '.join(DIRECTION_NAMES)}: one pass each."
    raise NotTaken(f"the direction {shown(value)} is not known", rule="SR-PASS-1", advice=advice)


def _known() -> str:
    return f"Zones are {', '.join(ZONE_NAMES)}"
