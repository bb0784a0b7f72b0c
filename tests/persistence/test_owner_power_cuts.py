"""Power goes away in the 1st, 2nd, 3rd … operation of pairing, hand-over and release, and of the boot after it."""

import pytest

from dermalink_simulator.hardware.flash import Tear
from tests.persistence.owners import Life, check, life_with_cut, power_back

OPERATIONS = 39  # from the wrong code to the last erasure
RECOVERY = 8  # of a boot after a cut, at most


def test_the_life_without_a_cut_has_as_many_operations_as_are_tried() -> None:
    life = Life()
    assert life.finished
    assert life.operations == OPERATIONS
    check(life.pen, life.told)


@pytest.mark.sr("SR-OWN-1", "SR-SEC-2", "SR-LOG-1", "SR-RST-1", side="pen")
@pytest.mark.parametrize("tear", list(Tear), ids=lambda tear: tear.name.lower())
@pytest.mark.parametrize("cut", range(1, OPERATIONS + 1))
def test_power_cut_at_operation(cut: int, tear: Tear) -> None:
    life = life_with_cut(cut, tear)
    assert not life.pen.power.on
    check(power_back(life.pen.flash_image()), life.told)


@pytest.mark.sr("SR-OWN-1", "SR-SEC-2", "SR-LOG-1", side="pen")
@pytest.mark.parametrize("again", range(1, RECOVERY + 1))
@pytest.mark.parametrize("cut", range(1, OPERATIONS + 1))
def test_power_cut_at_operation_and_again_in_the_recovery(cut: int, again: int) -> None:
    life = life_with_cut(cut, Tear.WITHIN)
    once = power_back(life.pen.flash_image(), again)
    once.power.cut()
    check(power_back(once.flash_image()), life.told)
