"""What of a tag has to be right before its head can be judged."""

from typing import Any

import pytest

from dermalink_protocol.codewords import Reason
from dermalink_simulator.firmware.tags import halves, legible, strokes_left
from dermalink_simulator.seam import Tag

GOOD = Tag(b"12345678", 1, 7, 1, 12, 6_000, 500, 1_800_000_000, 1, 60_000)


@pytest.mark.sr("SR-CART-2", side="pen")
@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        (GOOD, Reason.NONE),
        (None, Reason.CARTRIDGE_UNREADABLE),
        (GOOD._replace(tag_id=bytes(8)), Reason.CARTRIDGE_UNREADABLE),
        (GOOD._replace(tag_id=b"short"), Reason.CARTRIDGE_UNREADABLE),
        (GOOD._replace(width_um=0), Reason.CARTRIDGE_UNREADABLE),
        (GOOD._replace(maker=99), Reason.CARTRIDGE_UNKNOWN_MAKER),
        (GOOD._replace(maker=0), Reason.CARTRIDGE_UNKNOWN_MAKER),
    ],
)
def test_what_the_pen_cannot_go_by_is_said(tag: Any, reason: Reason) -> None:
    assert legible(tag) is reason


@pytest.mark.parametrize(
    ("strokes_max", "made", "left"), [(10, 0, 10), (10, 11, 0), (60_000, 1, 59_999), (4_000_000, 50_000, 10_000)]
)
def test_strokes_end_at_the_tags_number_or_the_general_one(strokes_max: int, made: int, left: int) -> None:
    assert strokes_left(GOOD._replace(strokes_max=strokes_max), made) == left


def test_an_identity_is_two_little_endian_halves() -> None:
    assert halves(bytes(range(1, 9))) == (0x04030201, 0x08070605)
