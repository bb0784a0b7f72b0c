"""The coverage estimate against paths whose coverage is known."""

from hypothesis import given
from hypothesis import strategies as st

from dermalink.session.coverage import Coverage
from dermalink_protocol.samples import CONTACT, NEEDLES_OUT, PACK_SAMPLE
from dermalink_protocol.zones import Head, Zone

WIDTH_UM = 6_000
Move = tuple[bool, int, int]


def packed(moves: list[Move]) -> bytes:
    """Samples that move by (dx, dy) in units of 10 µm, in contact with needles out, or in the air."""
    working = CONTACT | NEEDLES_OUT
    return b"".join(PACK_SAMPLE.pack(200, 900, 100, working * touching, dx, dy) for touching, dx, dy in moves)


def covered(moves: list[Move], head: Head = Head.GLIDE, zone: Zone = Zone.NOSE) -> int:
    """The estimate after these moves."""
    coverage = Coverage(zone, head, WIDTH_UM)
    coverage.add(packed(moves))
    return coverage.percent


def lane(millimetres: int, sign: int = 1) -> list[Move]:
    """A straight way along y."""
    return [(True, 0, sign * 20)] * (millimetres * 5)


def test_a_nose_gone_over_lane_by_lane_is_covered() -> None:
    moves: list[Move] = []
    for number in range(6):  # six lanes of 6 mm are the 35 mm side of a 12 cm² square
        moves += lane(35, 1 if number % 2 == 0 else -1) + [(True, 100, 0)] * 6
    assert covered(moves) >= 95


def test_half_of_the_lanes_is_about_half() -> None:
    moves: list[Move] = []
    for number in range(3):
        moves += lane(35, 1 if number % 2 == 0 else -1) + [(True, 100, 0)] * 6
    assert 50 <= covered(moves) <= 67  # the ends run over the zone's edge, which nobody sees


def test_rubbing_to_and_fro_covers_no_more_than_once() -> None:
    assert covered(lane(35) + lane(35, -1)) == covered((lane(35) + lane(35, -1)) * 20) <= 25


def test_moving_in_the_air_covers_nothing() -> None:
    assert covered([(False, 100, 100)] * 500) == 0


def test_with_the_needles_in_nothing_is_covered_but_the_place_is_kept() -> None:
    coverage = Coverage(Zone.NOSE, Head.GLIDE, WIDTH_UM)
    coverage.add(PACK_SAMPLE.pack(0, 900, 100, CONTACT, 100, 0) * 30)
    assert coverage.percent == 0
    coverage.add(packed(lane(30)))
    once = coverage.percent
    coverage.add(PACK_SAMPLE.pack(0, 900, 100, CONTACT, 0, -100) * 30)
    coverage.add(packed(lane(30)))
    assert coverage.percent == once > 0


def test_a_stamp_covers_its_face_with_each_press() -> None:
    press: list[Move] = [(True, 0, 0)] * 30 + [(False, 0, 0)] * 20
    assert covered(press * 1, Head.STAMP, Zone.LEFT_UNDER_EYE) == 4  # 28 of 600 mm²
    assert covered(press * 10, Head.STAMP, Zone.LEFT_UNDER_EYE) == 46


moves = st.lists(st.tuples(st.booleans(), st.integers(-128, 127), st.integers(-128, 127)), max_size=60)


@given(st.lists(moves, max_size=8), st.sampled_from(Head), st.sampled_from(Zone))
def test_it_goes_from_0_to_100_never_back_and_batches_change_nothing(
    batches: list[list[Move]], head: Head, zone: Zone
) -> None:
    coverage, last = Coverage(zone, head, WIDTH_UM), 0
    for batch in batches:
        coverage.add(packed(batch))
        assert last <= coverage.percent <= 100
        last = coverage.percent
    assert last == covered([move for batch in batches for move in batch], head, zone)
