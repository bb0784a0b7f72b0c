"""The same seed and the same calls give the same bytes: on the wire, in the flash, in the skin, in any process."""

import hashlib
import os
import subprocess
import sys

import pytest

from dermalink_protocol.codewords import State
from dermalink_protocol.messages import therapy
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.profile import PROFILES
from tests.support.raw_host import RawHost


def digest(seed: int, profile: str = "nominal") -> str:
    """A hash over everything that came out of an evening with faults."""
    pen = SimulatedPen(profile, seed)
    host = RawHost(pen)
    said = hashlib.sha256()
    read = host.port.read

    def listened() -> bytes:
        data = read()
        said.update(data)
        return data

    host.port.read = listened  # type: ignore[method-assign]
    host.to_running(Zone.NOSE, Direction.DIAGONAL)
    host.run(700)
    pen.faults.inject("link", "corruption", permille=3)
    pen.faults.inject("depth_sensor", "noisy", um=4)
    host.run(700)
    pen.faults.clear()
    pen.button.press()
    host.wait_for(State.PAUSED)
    host.send(therapy.EndPass(session_id=host.session_id))
    pen.hand.lift()
    host.run(500)
    pen.power.cut()
    pen.power.restore()
    pen.advance(2_000)
    said.update(pen.flash_image())
    said.update(repr(pen.skin.between(0, 1 << 60)).encode())
    said.update(repr(pen.skin.needles_out).encode())
    return said.hexdigest()


@pytest.mark.parametrize("profile", ["nominal", "exact", "loose"])
def test_the_same_seed_gives_the_same_bytes(profile: str) -> None:
    assert profile in PROFILES
    assert digest(7, profile) == digest(7, profile)


def test_another_seed_gives_others() -> None:
    assert len({digest(seed) for seed in range(4)}) == 4


def test_another_process_gives_the_same() -> None:
    found = set()
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", "from tests.unit.pen.test_determinism import digest; print(digest(7))"],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        found.add(done.stdout.strip())
    assert found == {digest(7)}


def test_how_time_is_cut_into_steps_makes_no_difference_to_a_pen_at_work() -> None:
    def strokes(step_ms: int) -> list[object]:
        pen = SimulatedPen(seed=5)
        host = RawHost(pen)
        host.to_running(Zone.CHIN, Direction.VERTICAL)
        host.renew()
        for _ in range(420 // step_ms):
            pen.advance(step_ms)
        return [*pen.skin.between(0, 1 << 60), pen.skin.needles_out]

    assert strokes(1) == strokes(7) == strokes(60) == strokes(420)
