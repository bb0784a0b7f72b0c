"""Who gets a port while strangers connect all the time: whoever is let in is heard, and enough are let in."""

import pytest

from dermalink_simulator.hardware.places import GRACE_MS, STORM_PER_S, NoPlaceError
from dermalink_simulator.hardware.port import PenPort
from dermalink_simulator.seam import PortKind
from tests.unit.hardware.rig import Rig

PLACES = 8
TRIES = 400


def connected(rig: Rig, says: bytes = b"") -> PenPort | None:
    try:
        port = rig.pen.connect()
    except NoPlaceError:
        return None
    if says:
        port.write(says)
    return port


def owned_rig(seed: int = 1) -> Rig:
    """The first connection is the session's owner."""
    rig = Rig(seed=seed)
    rig.firmware.kept = rig.port.number
    return rig


def heard(rig: Rig, every_ms: float, late_ms: int, says: bytes, burst: int = 1) -> bool:
    """Whether one who comes in a storm is still there when his first word arrives."""
    mine = connected(rig)
    _storm(rig, every_ms, late_ms, says, burst)
    came = mine is not None and not mine.closed
    if mine is not None:
        mine.close()
    _storm(rig, every_ms, 37, says, burst)  # not in step with the storm
    return came


def _storm(rig: Rig, every_ms: float, ms: int, says: bytes, burst: int) -> None:
    for _ in range(ms):
        before, after = rig.pen.now_ms // every_ms, (rig.pen.now_ms + 1) // every_ms
        rig.pen.advance(1)
        if after != before:
            for _ in range(burst):
                connected(rig, says)


@pytest.mark.sr("SR-SEC-5", "SR-STOP-4", side="pen")
@pytest.mark.parametrize("says", [b"", b"?"], ids=["silent", "one byte"])
@pytest.mark.parametrize("late_ms", [20, 60, GRACE_MS])
@pytest.mark.parametrize(
    ("every_ms", "burst", "at_least"),
    [(20, 1, 1.0), (10, 1, 0.48), (5, 1, 0.23), (100, 10, 0.35), (200, 10, 0.65)],
    ids=["50 a second", "100", "200", "100 in bursts", "50 in bursts"],
)
def test_a_newcomer_whose_stop_is_on_its_way_is_heard_in_a_storm(
    every_ms: int, burst: int, at_least: float, late_ms: int, says: bytes
) -> None:
    rig = owned_rig()
    _storm(rig, every_ms, 1_000, says, burst)
    came = sum(heard(rig, every_ms, late_ms, says, burst) for _ in range(TRIES))
    assert came >= at_least * TRIES, f"{came} of {TRIES}"
    assert not rig.port.closed


@pytest.mark.sr("SR-SEC-5", "SR-STOP-4", side="pen")
def test_whoever_is_let_in_keeps_his_place_for_the_grace_however_many_come() -> None:
    rig = owned_rig()
    since: dict[PenPort, int] = {}
    for _ in range(3_000):
        port = connected(rig, b"?")
        if port is not None:
            since[port] = rig.pen.now_ms
        rig.pen.advance(1)
        for each in [each for each in since if each.closed]:
            assert rig.pen.now_ms - since.pop(each) > GRACE_MS
    assert not rig.port.closed


@pytest.mark.sr("SR-SEC-5", "SR-STOP-4", side="pen")
def test_who_knows_when_a_place_comes_free_and_is_there_then_gains_nothing() -> None:
    """He connects in the very millisecond in which a grace ends, and often enough to take what is left."""
    rig = owned_rig()
    came = tries = 0
    mine: set[PenPort] = set()
    for at in range(20_000):
        rig.pen.advance(1)
        for each in [each for each in mine if rig.pen.now_ms - each.came_ms == GRACE_MS + 1]:
            mine.discard(each)
            mine.update(filter(None, (connected(rig) for _ in range(4))))
        if at % 40 == 0:
            mine.update(filter(None, (connected(rig) for _ in range(2))))
        if at > 1_000 and at % 53 == 0:
            tries += 1
            port = connected(rig)
            if port is not None:
                came += 1
                port.close()
    assert came >= 0.1 * tries, f"{came} of {tries}"


@pytest.mark.sr("SR-SEC-5", side="pen")
def test_idle_connections_keep_nobody_out_and_a_lot_is_drawn_only_in_a_storm() -> None:
    rig = owned_rig()
    for _ in range(PLACES - 1):
        assert connected(rig, b"?") is not None
    rig.pen.advance(1_000)
    for _ in range(50):
        assert connected(rig) is not None
        rig.pen.advance(1_000 // STORM_PER_S)


@pytest.mark.sr("SR-SEC-5", side="pen")
def test_a_radios_link_takes_a_place_also_where_all_are_in_their_grace_and_never_the_owners() -> None:
    rig = owned_rig()
    while connected(rig) is not None:
        pass
    for _ in range(2 * PLACES):
        rig.pen.connect(PortKind.GATT)
    assert not rig.port.closed


def test_a_refusal_says_what_is_in_the_way() -> None:
    rig = owned_rig()
    for _ in range(PLACES - 1):
        rig.pen.connect()
    with pytest.raises(NoPlaceError, match=r"A connection was refused; all 8 ports are taken.*\[SR-SEC-5\]"):
        rig.pen.connect()


def test_the_same_seed_lets_the_same_ones_in() -> None:
    def let_in(seed: int) -> list[bool]:
        rig = owned_rig(seed)
        found = []
        for _ in range(300):
            found.append(connected(rig) is not None)
            rig.pen.advance(5)
        return found

    assert let_in(4) == let_in(4)
    assert let_in(4) != let_in(5)
