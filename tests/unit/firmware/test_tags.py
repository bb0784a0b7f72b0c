"""The verdict on a cartridge's tag."""

from typing import Any

import pytest

from dermalink_protocol.codewords import Reason
from dermalink_simulator.firmware.tags import strokes_allowed, verdict
from dermalink_simulator.seam import Tag

NOW_S = 1_800_000_000
GOOD = Tag(b"12345678", 1, 7, 1, 12, 6_000, 500, NOW_S, 1, 60_000)


@pytest.mark.sr("SR-CART-2", side="pen")
def test_a_good_head_is_fit() -> None:
    assert verdict(GOOD, NOW_S).reason is Reason.NONE


@pytest.mark.sr("SR-CART-2", "SR-DEPTH-2", side="pen")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"maker": 99}, Reason.CARTRIDGE_UNKNOWN_MAKER),
        ({"head": 3}, Reason.CARTRIDGE_WRONG_KIND),
        ({"head": 0}, Reason.CARTRIDGE_WRONG_KIND),
        ({"protrusion_um": 501}, Reason.CARTRIDGE_OVER_CAP),
        ({"protrusion_um": 1_000}, Reason.CARTRIDGE_OVER_CAP),
        ({"protrusion_um": 0xFFFF}, Reason.CARTRIDGE_OVER_CAP),
        ({"protrusion_um": 0}, Reason.CARTRIDGE_UNREADABLE),
        ({"needles": 17}, Reason.CARTRIDGE_OVER_NEEDLES),
        ({"needles": 0}, Reason.CARTRIDGE_UNREADABLE),
        ({"width_um": 0}, Reason.CARTRIDGE_UNREADABLE),
        ({"width_um": 0xFFFF}, Reason.CARTRIDGE_UNREADABLE),
        ({"sterile_until_s": NOW_S - 1}, Reason.CARTRIDGE_EXPIRED),
        ({"sessions_allowed": 0}, Reason.CARTRIDGE_UNREADABLE),
        ({"tag_id": bytes(8)}, Reason.CARTRIDGE_UNREADABLE),
    ],
)
def test_each_fault_of_a_head_has_its_own_reason(change: dict[str, Any], reason: Reason) -> None:
    assert verdict(GOOD._replace(**change), NOW_S).reason is reason


@pytest.mark.sr("SR-CART-2", side="pen")
def test_a_tag_that_cannot_be_read_is_refused() -> None:
    assert verdict(None, NOW_S).reason is Reason.CARTRIDGE_UNREADABLE


@pytest.mark.sr("SR-CART-2", side="pen")
def test_without_a_clock_no_sterile_date_is_believed() -> None:
    assert verdict(GOOD, 0).reason is Reason.CARTRIDGE_EXPIRED


@pytest.mark.parametrize(("strokes_max", "allowed"), [(10, 10), (60_000, 60_000), (4_000_000, 60_000)])
def test_strokes_end_at_the_tags_number_or_the_general_one(strokes_max: int, allowed: int) -> None:
    assert strokes_allowed(GOOD._replace(strokes_max=strokes_max)) == allowed
