"""A head's counters outlive its removal and a loss of power, in whatever order the two come."""

from collections.abc import Callable

import pytest

from dermalink_protocol.messages import identity, therapy
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.pen import SimulatedPen
from tests.support.raw_host import RawHost

BOOT_MS = 2_500
OFF_MS = 50


def counted(pen: SimulatedPen) -> tuple[int, int]:
    """Sessions and strokes that the pen tells of the seated head."""
    cartridge = RawHost(pen).expect(identity.Cartridge, identity.GetCartridge())
    return cartridge.sessions_used, cartridge.strokes


def change_on(pen: SimulatedPen) -> None:
    """Another head while the pen is on; then its power goes."""
    pen.cartridge.pull()
    pen.advance(300)
    pen.cartridge.fit("glide")
    pen.advance(3_000)
    pen.power.cut()


def change_off(pen: SimulatedPen) -> None:
    """Another head while the pen is off; it starts with that, and its power goes again."""
    pen.power.cut()
    pen.advance(OFF_MS)
    pen.cartridge.pull()
    pen.cartridge.fit("glide")
    pen.power.restore()
    pen.advance(BOOT_MS)
    pen.power.cut()


@pytest.mark.sr("SR-CART-4", "SR-CART-1", side="pen")
@pytest.mark.parametrize("change", [change_on, change_off])
def test_a_head_that_comes_back_has_all_its_strokes_and_no_more(change: Callable[[SimulatedPen], None]) -> None:
    pen = SimulatedPen(seed=1)
    host = RawHost(pen)
    host.to_running(Zone.CHIN, Direction.VERTICAL, depth_um=500)
    host.run(3_000)
    host.expect(therapy.PassEnded, therapy.EndPass(session_id=host.session_id))
    pen.hand.lift()
    host.run(2_000)
    before, head = counted(pen), pen.cartridge.head
    assert head is not None
    change(pen)
    pen.advance(OFF_MS)
    pen.cartridge.pull()
    pen.cartridge.fit(head)
    pen.power.restore()
    pen.advance(BOOT_MS)
    assert counted(pen) == before
    assert before[1] >= pen.skin.strokes
