"""A pen whose calibration does not hold: the host says which way, and what to do."""

import pytest

from dermalink.cli.pen_info import PenInfo
from dermalink.errors import PenRefusal
from dermalink_protocol.codewords import Reason
from dermalink_simulator.firmware.flash_layout import CALIBRATION_A, CALIBRATION_B
from dermalink_simulator.pen import factory_image
from tests.support.running import in_virtual_time
from tests.unit.host.simulated import a_desk, applied

WAYS = [
    (b"\xff" * 128, Reason.CALIBRATION_MISSING, "The pen has no calibration"),
    (bytes(128), Reason.CALIBRATION_DAMAGED, "The pen's calibration is damaged"),
]


@pytest.mark.parametrize(("slot", "reason", "said"), WAYS, ids=["missing", "damaged"])
@in_virtual_time
async def test_a_session_is_refused_in_words(slot: bytes, reason: Reason, said: str) -> None:
    flash = bytearray(factory_image(seed=1))
    for region in (CALIBRATION_A, CALIBRATION_B):
        flash[region.start : region.start + 128] = slot
    async with a_desk(seed=1, flash=flash) as desk, await desk.connect() as pen:
        with pytest.raises(PenRefusal) as refused:
            await applied(pen, pen.gate.open_session)
    assert refused.value.reason is reason
    for part in (said, "calibrate the pen", "SR-CAL-1"):
        assert part in str(refused.value)


@pytest.mark.parametrize(("slot", "shown"), [(b"\xff" * 128, "none that it can read"), (b"", "00000001")])
@in_virtual_time
async def test_info_shows_its_id_or_what_to_do(slot: bytes, shown: str) -> None:
    flash = bytearray(factory_image(seed=1))
    for region in (CALIBRATION_A, CALIBRATION_B):
        flash[region.start : region.start + len(slot)] = slot
    async with a_desk(seed=1, flash=flash) as desk, await desk.connect() as pen:
        identity = dict((await PenInfo.read(pen)).sections()[0][1])
    assert identity["calibration"].startswith(shown)
    assert ("calibrate the pen" in identity["calibration"]) is bool(slot)
