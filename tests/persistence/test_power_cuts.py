"""Power goes away in the 1st, 2nd, 3rd … flash operation of an evening, and of the boot after it."""

import pytest

from dermalink_simulator.hardware.flash import Tear
from tests.persistence.evening import Afterwards, Evening, evening_with_cut

OPERATIONS = 36  # of the whole evening, the first boot's included
RECOVERY = 13  # of a boot after a cut, at most


def test_the_evening_without_a_cut_has_as_many_operations_as_are_tried() -> None:
    evening = Evening()
    assert evening.finished
    assert evening.operations == OPERATIONS
    assert evening.pen.skin.strokes > 20
    afterwards = Afterwards(evening)
    assert afterwards.power_back() <= RECOVERY
    afterwards.check()


@pytest.mark.sr("SR-CART-1", "SR-CART-4", "SR-PASS-3", "SR-SES-1", "SR-INT-1", "SR-LOG-1", "SR-RST-1", side="pen")
@pytest.mark.parametrize("tear", list(Tear), ids=lambda tear: tear.name.lower())
@pytest.mark.parametrize("cut", range(1, OPERATIONS + 1))
def test_power_cut_at_operation(cut: int, tear: Tear) -> None:
    evening = evening_with_cut(cut, tear)
    assert not evening.pen.power.on
    afterwards = Afterwards(evening)
    assert afterwards.power_back() <= RECOVERY
    afterwards.check()


@pytest.mark.sr("SR-CART-1", "SR-CART-4", "SR-LOG-1", "SR-RST-1", side="pen")
@pytest.mark.parametrize("again", range(1, RECOVERY + 1))
@pytest.mark.parametrize("cut", range(1, OPERATIONS + 1))
def test_power_cut_at_operation_and_again_in_the_recovery(cut: int, again: int) -> None:
    afterwards = Afterwards(evening_with_cut(cut, Tear.WITHIN))
    done = afterwards.power_back(again)
    assert afterwards.pen.power.on is (done < again)
    afterwards.pen.power.cut()
    afterwards.power_back()
    afterwards.check()


@pytest.mark.sr("SR-CART-1", "SR-RST-1", side="pen")
@pytest.mark.parametrize("seed", range(8))
def test_power_cut_again_and_again_in_the_middle_of_booting(seed: int) -> None:
    afterwards = Afterwards(evening_with_cut(20 + seed, Tear.WITHIN))
    for times in range(seed + 2):
        afterwards.pen.power.restore()
        afterwards.pen.advance(7 + 13 * seed + times)
        afterwards.pen.power.cut()
    afterwards.power_back()
    afterwards.check()
