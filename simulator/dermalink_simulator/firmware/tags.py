"""What a cartridge's tag says, as far as it has to be read right before anything can be judged by it (SR-CART-2).

Whether its head may work (cap, needles, kind, sterile date, sessions) is the therapy core's to decide.
"""

from typing import Final

from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import HEAD_STROKES_MAX
from dermalink_protocol.zones import Head
from dermalink_simulator.seam import Tag

NO_TAG_ID: Final = bytes(8)
MAKERS: Final = frozenset({1, 2})  # makers that this firmware knows, by number (the example maker and its second site)


def legible(tag: Tag | None) -> Reason:
    """NONE, or why the pen can't go by this tag: unreadable, or no maker that it knows."""
    if tag is None or len(tag.tag_id) != len(NO_TAG_ID) or tag.tag_id == NO_TAG_ID or tag.width_um == 0:
        return Reason.CARTRIDGE_UNREADABLE
    if tag.maker not in MAKERS:
        return Reason.CARTRIDGE_UNKNOWN_MAKER
    return Reason.NONE


def strokes_left(tag: Tag, strokes: int) -> int:
    """What a head that made `strokes` may still make: of the tag's number or the general one, the lesser."""
    return max(0, min(tag.strokes_max, int(HEAD_STROKES_MAX)) - strokes)


def head_kind(tag: Tag) -> int:
    """The tag's kind of head, 0 for one that does not exist."""
    return tag.head if tag.head in (Head.GLIDE, Head.STAMP) else 0


def halves(tag_id: bytes) -> tuple[int, int]:
    """A tag's identity as the therapy core has it: low and high half of the little-endian number."""
    return int.from_bytes(tag_id[:4], "little"), int.from_bytes(tag_id[4:8], "little")
