"""A flash whose bits rot, or that calls done what lies in a cache: the pen boots with the whole truth, or it locks."""

from functools import cache

import pytest

from dermalink_protocol.codewords import State
from dermalink_simulator.seam import SECTOR_BYTES
from tests.persistence.evening import Afterwards, Evening
from tests.support.raw_host import RawHost

SEEDS = range(1, 5)
HELD = (0, 1, 2, 3, 18, 19, 34, 128)  # the sectors that an evening leaves with something in them


@cache
def evening() -> Evening:
    spent = Evening()
    spent.pen.power.cut()
    return spent


def whole_or_locked(afterwards: Afterwards) -> bool:
    """Whether the pen has locked; else it knows all that it said and that the skin got."""
    if RawHost(afterwards.pen).status().state is State.LOCKED:
        return True
    afterwards.check()
    return False


def test_these_are_the_sectors_that_hold_something() -> None:
    image = evening().pen.flash_image()
    sectors = [image[at : at + SECTOR_BYTES] for at in range(0, len(image), SECTOR_BYTES)]
    assert tuple(number for number, sector in enumerate(sectors) if sector.strip(b"\xff")) == HELD


@pytest.mark.sr("SR-RST-2", "SR-RST-1", "SR-CART-1", "SR-LOG-1", side="pen")
@pytest.mark.parametrize("bits", [1, 8, 64])
@pytest.mark.parametrize("sector", HELD)
def test_bits_that_rot_in_a_sector(sector: int, bits: int) -> None:
    for seed in SEEDS:
        afterwards = Afterwards(evening())
        afterwards.pen.faults.inject("flash", "bit_rot", sector=sector, bits=bits, seed=seed)
        afterwards.power_back()
        whole_or_locked(afterwards)


def test_rot_does_get_a_pen_to_lock() -> None:
    afterwards = Afterwards(evening())
    afterwards.pen.faults.inject("flash", "bit_rot", sector=HELD[-1], bits=64)
    afterwards.power_back()
    assert whole_or_locked(afterwards)


@pytest.mark.sr("SR-RST-1", "SR-CART-1", "SR-LOG-1", side="pen")
@pytest.mark.parametrize("cached", [1, 4])
def test_power_that_goes_while_a_few_operations_lie_in_a_cache(cached: int) -> None:
    """A bigger cache loses more than the pen can know of: test_known_gaps.py."""
    for seed in range(8):
        spent = Evening(seed=seed, cached=cached)
        spent.pen.power.cut()
        afterwards = Afterwards(spent)
        afterwards.power_back()
        whole_or_locked(afterwards)
