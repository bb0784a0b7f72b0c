"""Doctor's look at Bluetooth's own bond: of one's own pen alone, by Bluetooth alone, with what to do in words."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from dermalink.doctor.findings import Level
from dermalink.doctor.pen import check_bond
from dermalink.errors import BondMissing, LinkLost
from dermalink.pen import Pen
from tests.support.running import in_virtual_time


def pen(*, sealed: bool = True, kind: str = "ble", error: Exception | None = None) -> Pen:
    async def secure() -> None:
        if error is not None:
            raise error

    link = SimpleNamespace(kind=kind)
    made: Any = SimpleNamespace(sealed=sealed, secure=secure, connection=SimpleNamespace(link=link))
    return cast(Pen, made)


@in_virtual_time
async def test_a_bond_that_holds_is_fine() -> None:
    (finding,) = await check_bond(pen())
    assert (finding.level, finding.subject) == (Level.OK, "Bluetooth's bond")


@pytest.mark.parametrize(
    "error",
    [BondMissing("refused", limit="no bond", advice="Press"), LinkLost("refused", limit="no bond", advice="Press")],
)
def test_one_that_is_missing_is_an_error_with_what_to_do(error: Exception) -> None:
    @in_virtual_time
    async def test() -> None:
        (finding,) = await check_bond(pen(error=error))
        assert finding.level is Level.ERROR
        assert finding.found == "refused; no bond"
        assert finding.advice == "Press"

    test()


@in_virtual_time
async def test_a_stranger_and_a_cable_have_none_to_look_at() -> None:
    never = AssertionError("nothing is asked for")
    assert await check_bond(pen(sealed=False, error=never)) == []
    assert await check_bond(pen(kind="serial", error=never)) == []
