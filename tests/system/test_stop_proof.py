"""`dermalink stop` on an owned pen, whole: by cable and over the air, with the keys that lie in a file."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.stopping import StopResult, stop_one
from dermalink.ownership.store import KeyStore
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.pytest_plugin import Bench, desk
from tests.support.owned import give_owner, keys_of
from tests.system.guided_session import PERFECT, SEALED_ROOM, STREAM, Way

AT_REST_S = 1.0  # a pen that was switched on tests itself first, and counts its start on the flash
TIMES = 5


@pytest.mark.sr("SR-STOP-2", "SR-SEC-1", side="host")
@pytest.mark.parametrize("way", [STREAM, PERFECT, SEALED_ROOM], ids=str)
@pytest.mark.parametrize("mine", [True, False])
def test_an_owned_pen_proves_that_it_is_stopped_to_its_owner_and_to_nobody_else(
    way: Way, mine: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERMALINK_KEYS", str(tmp_path))
    pen = SimulatedPen()
    results: list[StopResult] = []
    with contextlib.closing(Bench(virtual=True)) as bench, desk(bench, pen, by=way.by, air=way.air) as made:

        async def told() -> None:
            made.act(lambda: give_owner(pen))
            await asyncio.sleep(AT_REST_S)
            results.extend([await stop_one(made.url) for _ in range(TIMES)])

        if mine:
            KeyStore(tmp_path, lambda: None).keep(keys_of(pen.card.serial_number))
        bench.run(told())
    assert [result.code for result in results] == [ExitCode.DONE] * TIMES
    assert [result.proved for result in results] == [mine] * TIMES
