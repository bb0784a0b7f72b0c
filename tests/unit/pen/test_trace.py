"""A trace is a file that anybody can go through again, and that says where something comes out otherwise."""

from pathlib import Path

import pytest

from dermalink_protocol.codewords import State
from dermalink_protocol.limits import PROTOCOL_VERSION
from dermalink_protocol.messages.identity import Capability, Hello, HelloReply
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.trace import TraceError, TraceFile, replay
from tests.support.raw_host import RawHost


def recorded(path: Path, seed: int = 1) -> list[str]:
    with TraceFile(path) as trace:
        pen = SimulatedPen(seed=seed, trace=trace.line)
        host = RawHost(pen)
        host.to_running(Zone.CHIN, Direction.VERTICAL)
        host.run(500)
        pen.button.press()
        host.wait_for(State.PAUSED)
        pen.power.cut()
        pen.hand.lift()
        pen.power.restore()
        pen.advance(3_000)
    return path.read_text("ascii").splitlines()


def test_a_trace_comes_out_the_same_again(tmp_path: Path) -> None:
    lines = recorded(tmp_path / "evening.trace")
    done = replay(lines)
    assert done.boots == 2
    assert done.events == len(lines) - 3 > 100


def test_the_same_seed_gives_the_same_trace(tmp_path: Path) -> None:
    assert recorded(tmp_path / "one") == recorded(tmp_path / "two")
    assert recorded(tmp_path / "one") != recorded(tmp_path / "other", seed=2)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (" APPLIED ", " REFUSED "),
        ("BUTTON ", "LINK_LOST "),
        ("dt_ms=10", "dt_ms=11"),
        ("command_id=1", "command_id=9"),
    ],
)
def test_a_changed_line_is_found_and_named(tmp_path: Path, old: str, new: str) -> None:
    lines = recorded(tmp_path / "evening.trace")
    at = next(number for number, line in enumerate(lines) if old in line)
    lines[at] = lines[at].replace(old, new)
    with pytest.raises(TraceError, match=r"line \d+ comes out otherwise"):
        replay(lines)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "no `tick EVENT"),
        ("1 NOTHING - APPLIED NONE 0 IDLE 00000000", "no `tick EVENT"),
        ("1 TICK dt_ms APPLIED NONE 0 IDLE 00000000", "name=number"),
        ("1 TICK depth=7 APPLIED NONE 0 IDLE 00000000", "fields that no event has"),
    ],
)
def test_a_line_that_is_none_is_refused(line: str, why: str) -> None:
    with pytest.raises(TraceError, match=why):
        replay(["dermalink-trace 1 rate_min_hz=50 rate_max_hz=150", line])


def test_a_file_that_is_no_trace_is_refused() -> None:
    for lines in ([], ["something else"]):
        with pytest.raises(TraceError, match="first line"):
            replay(lines)


@pytest.mark.sr("SR-SEC-4", side="pen")
@pytest.mark.parametrize(("profile", "has"), [("nominal", True), ("boxed", True), ("product", False)])
def test_a_product_says_that_it_has_no_control_channel(profile: str, *, has: bool) -> None:
    host = RawHost(SimulatedPen(profile))
    hello = host.expect(HelloReply, Hello(protocol_version=int(PROTOCOL_VERSION), host_nonce=1))
    assert (Capability.CONTROL_CHANNEL in hello.capabilities) is has
