"""What is kept twice: the second copy is the first, packed to its declared widths, every bit inverted."""

import pickle
from typing import Any

import pytest

from dermalink_simulator.firmware.button import AT_POWER_UP, Button
from dermalink_simulator.firmware.firmware import PenFirmware
from dermalink_simulator.firmware.memory import RECORDS, copy_bits
from dermalink_simulator.firmware.memory_fault import looked
from dermalink_simulator.firmware.monitor import CLEAR, Monitor
from dermalink_simulator.firmware.twice import Second, differs, gate_inverse, inverse_of, therapy_inverse
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.seam import Kept
from dermalink_simulator.therapy.core_limits import LIMITS
from dermalink_simulator.therapy.gate import AT_REST, GateState
from dermalink_simulator.therapy.state import POWER_UP, TherapyState

pytestmark = pytest.mark.sr("SR-BIST-1", side="pen")


def test_the_second_copy_is_the_first_with_every_bit_inverted() -> None:
    gate = GateState(wants=2, motor_hz=60, target_um=0x01F4, lease_left_ms=400, watchdog_left_ms=50, cut=0)
    first = bytes.fromhex("02 3c f401 9001 32 00")
    assert gate_inverse(gate) == bytes(0xFF - byte for byte in first)


@pytest.mark.parametrize("variable", RECORDS)
def test_a_copy_is_as_wide_as_its_fields_are_declared(variable: Kept) -> None:
    _, name, record = RECORDS[variable]
    kept = Second(POWER_UP, LIMITS, AT_REST, CLEAR, AT_POWER_UP)
    assert 8 * len(getattr(kept, name)) == copy_bits(variable)
    first = LIMITS if variable is Kept.LIMITS else record()
    assert getattr(kept, name) == inverse_of(record)(first)


def test_cells_of_a_row_stand_in_their_order() -> None:
    state = TherapyState(spent=(0, 1, 2, 3, 4, 5, 6, 7, 8), ring_digests=(9, 10, 11, 12, 13, 14, 15, 16))
    one = bytes(0xFF - byte for byte in therapy_inverse(state))
    assert b"".join(number.to_bytes(4, "little") for number in range(9)) in one
    assert one.endswith(b"".join(number.to_bytes(4, "little") for number in range(9, 17)))


def test_what_fits_no_width_differs_from_every_copy() -> None:
    wide = AT_REST._replace(wants=0x100)
    assert differs(wide, gate_inverse, gate_inverse(AT_REST))
    assert not differs(AT_REST, gate_inverse, gate_inverse(AT_REST))


def test_each_record_is_compared_with_its_own_copy() -> None:
    given = (POWER_UP, LIMITS, AT_REST, 0, CLEAR, AT_POWER_UP)
    others = (
        POWER_UP._replace(wait_s=1),
        LIMITS._replace(lease_max_ms=1_001),
        GateState(lease_left_ms=1),
        1,
        Monitor(held_um=1),
        Button(down_ms=1),
    )
    kept = Second(POWER_UP, LIMITS, AT_REST, CLEAR, AT_POWER_UP)
    assert kept.agrees(*given)
    for at, other in enumerate(others):
        changed: list[Any] = list(given)
        changed[at] = other
        assert not kept.agrees(*changed)


def test_a_snapshot_has_both_copies() -> None:
    pen = SimulatedPen(seed=1)
    pen.advance(5_000)
    firmware = pen.firmware
    assert isinstance(firmware, PenFirmware)
    restored = pickle.loads(firmware.snapshot())
    assert not looked(restored).memory_fault
    assert restored.second.therapy == therapy_inverse(restored.state)
