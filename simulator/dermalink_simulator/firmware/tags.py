"""The verdict on a cartridge's tag: may this head work at all, as far as the tag itself can say (SR-CART-2).

What depends on the session, the zone or the setting is the therapy core's to judge; what was used before is the
ledger's to know.
"""

from typing import Final, NamedTuple

from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import DEPTH_CAP_UM, DEPTH_MIN_UM, HEAD_STROKES_MAX, NEEDLES_MAX
from dermalink_protocol.zones import Head

from dermalink_simulator.seam import Tag

NO_TAG_ID: Final = bytes(8)
MAKERS: Final = frozenset({1, 2})  # makers that this firmware knows, by number (the example maker and its second site)
WIDTH_MIN_UM: Final = 2_000  # a face of a single row of needles (assumption)
WIDTH_MAX_UM: Final = 12_000  # twice the nominal head of design.md (assumption)


class Verdict(NamedTuple):
    """The reason why a head is refused, NONE when it is not, and the number that it should have kept, or 0."""

    reason: Reason
    limit: int = 0


FIT: Final = Verdict(Reason.NONE)


def verdict(tag: Tag | None, utc_s: int) -> Verdict:
    """What the tag says of its head; `utc_s` is 0 when the pen has no clock, which leaves a sterile date unproved."""
    if tag is None or len(tag.tag_id) != 8 or tag.tag_id == NO_TAG_ID:
        return Verdict(Reason.CARTRIDGE_UNREADABLE)
    if tag.maker not in MAKERS:
        return Verdict(Reason.CARTRIDGE_UNKNOWN_MAKER)
    if tag.head not in (Head.GLIDE, Head.STAMP):
        return Verdict(Reason.CARTRIDGE_WRONG_KIND)
    if not DEPTH_MIN_UM <= tag.protrusion_um:
        return Verdict(Reason.CARTRIDGE_UNREADABLE, int(DEPTH_MIN_UM))
    if not tag.protrusion_um <= DEPTH_CAP_UM:
        return Verdict(Reason.CARTRIDGE_OVER_CAP, int(DEPTH_CAP_UM))
    if not tag.needles <= NEEDLES_MAX:
        return Verdict(Reason.CARTRIDGE_OVER_NEEDLES, int(NEEDLES_MAX))
    if not (tag.needles >= 1 and tag.sessions_allowed >= 1 and WIDTH_MIN_UM <= tag.width_um <= WIDTH_MAX_UM):
        return Verdict(Reason.CARTRIDGE_UNREADABLE)
    if not 0 < utc_s <= tag.sterile_until_s:
        return Verdict(Reason.CARTRIDGE_EXPIRED)
    return FIT


def strokes_allowed(tag: Tag) -> int:
    """Strokes after which a head is worn out: the tag's number or the general one, whichever is less (SR-CART-4)."""
    return min(tag.strokes_max, int(HEAD_STROKES_MAX))
