"""What a row says is missing is really missing: no side that stands is named as what is still to come."""

import re

import pytest

from tests.traceability.requirements import load

STANDS = re.compile(r"\bthe (simulated pen|simulator|host library|command line|protocol)\b", re.IGNORECASE)


def stale(missing: str) -> bool:
    """Whether it waits for something that is there."""
    return STANDS.search(missing) is not None


@pytest.mark.parametrize("missing", ["the simulated pen", "The host library", "signed tags, and the simulator"])
def test_a_side_that_stands_is_seen(missing: str) -> None:
    assert stale(missing)


def test_no_row_waits_for_a_side_that_stands() -> None:
    waiting = [
        f"{row.id} ({side}): {claim.missing}"
        for row in load().values()
        for side, claim in row.claims.items()
        if stale(claim.missing)
    ]
    assert waiting == []
