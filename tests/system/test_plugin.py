"""The pytest plugin as somebody else's project would use it: each test writes a test file and runs pytest on it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

AT_MOST_S = 120
BARE = (
    "-q",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:asyncio",
    "-p",
    "no:anyio",
    "-p",
    "no:hypothesispytest",
    "-W",
    "error",
)

IN_THREE_LINES = """
def test_the_pen_is_idle(pen):
    assert pen.status().state.name == "IDLE"
"""

NOSE = '''
NOSE = """
plan = 1
rate_hz = 100
speed_mm_s = 40
[[zone]]
name = "nose"
directions = ["vertical"]
depth = "0.25 mm"
"""
'''


class Run:
    """How a run of pytest ended."""

    def __init__(self, ended: subprocess.CompletedProcess[str]) -> None:
        self.code, self.text = ended.returncode, ended.stdout + ended.stderr

    def __repr__(self) -> str:
        return self.text

    @property
    def summary(self) -> str:
        return self.text.strip().splitlines()[-1]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    return tmp_path


def run(project: Path, text: str, *options: str) -> Run:
    (project / "test_it.py").write_text(text)
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    env |= {"HOME": str(project), "XDG_DATA_HOME": str(project / "data"), "LOCALAPPDATA": str(project)}
    command = [sys.executable, "-m", "pytest", *BARE, *options]
    return Run(
        subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=AT_MOST_S, check=False)
    )


def test_three_lines_are_a_test_and_need_no_asyncio_plugin(project: Path) -> None:
    ended = run(project, IN_THREE_LINES)
    assert ended.code == 0, ended
    assert "1 passed" in ended.summary


def test_it_costs_nothing_until_it_is_used(project: Path) -> None:
    text = """
import sys

def test_nothing_of_ours_is_loaded_but_the_plugin():
    ours = {name for name in sys.modules if name.partition(".")[0].startswith("dermalink")}
    assert ours == {"dermalink_simulator", "dermalink_simulator.pytest_plugin"}, ours
    assert not {"numpy", "pydantic", "serial", "bleak", "click", "rich"} & set(sys.modules)
"""
    ended = run(project, text)
    assert ended.code == 0, ended


def test_a_whole_session_with_its_truth_its_faults_and_its_wait(project: Path) -> None:
    text = f"""
import pytest
from dermalink import HostRefusal, LinkError
{NOSE}

def test_a_session_stays_under_its_setting(run_session, simulated_pen, virtual_time):
    run = run_session(NOSE)
    assert run.summary.ending.name == "DONE"
    assert 0 < simulated_pen.skin.deepest_um <= 250
    assert not simulated_pen.needles_out
    assert virtual_time.now > 5
    assert [event for event in run.events if type(event).__name__ == "PassOver"]

def test_each_test_has_a_pen_of_its_own(simulated_pen, virtual_time):
    assert simulated_pen.skin.strokes == 0
    assert virtual_time.now == 0
    assert simulated_pen.now_ms == 0

@pytest.mark.second_session
def test_a_fortnight_passes_at_once(run_session, simulated_pen, pen, connect_pen):
    run_session(NOSE)
    assert 13 * 86_400 < pen.status().wait_s <= 14 * 86_400
    simulated_pen.clock.advance(14 * 86_400)
    assert connect_pen().status().wait_s == 0

def test_power_is_lost_under_the_host(pen, simulated_pen):
    simulated_pen.power.cut()
    with pytest.raises(LinkError):
        pen.status()

@pytest.mark.simulated_pen(profile="loose", seed=7, head="stamp")
def test_what_the_pen_is_made_of(pen, simulated_pen):
    assert pen.serial_number == "DL-SIM-00000007"
    assert pen.hello.drive_tolerance_um == 50
    assert simulated_pen.cartridge.head.tag.head == 2

@pytest.mark.needs_simulator
def test_a_fault(pen, simulated_pen):
    fault = simulated_pen.faults.inject("depth_sensor", "offset", um=40)
    assert simulated_pen.faults.active == [fault]
    simulated_pen.faults.clear()
    assert simulated_pen.faults.active == []

@pytest.mark.needs_simulator
def test_a_fault_later_and_for_a_while(simulated_pen):
    simulated_pen.faults.inject("contact", "bouncing", after_ms=200, for_ms=300, seed=7)
    seen = []
    for _ in range(3):
        seen.append(len(simulated_pen.faults.active))
        simulated_pen.advance(0.25)
    assert seen == [0, 1, 0]

@pytest.mark.simulated_pen(faults="bench.toml")
def test_faults_of_a_file(simulated_pen):
    assert [str(fault) for fault in simulated_pen.faults.active] == ["button dead"]
"""
    (project / "bench.toml").write_text('faults = 1\n[[fault]]\nunit = "button"\nkind = "dead"\n')
    ended = run(project, text)
    assert ended.code == 0, ended
    assert "8 passed" in ended.summary


def test_a_file_of_faults_that_is_refused_fails_the_test_in_a_sentence(project: Path) -> None:
    (project / "bench.toml").write_text('faults = 1\n[[fault]]\nunit = "button"\nkind = "ded"\n')
    text = """
import pytest

@pytest.mark.simulated_pen(faults="bench.toml")
def test_faults_of_a_file(simulated_pen):
    pass
"""
    ended = run(project, text)
    assert ended.code == 1, ended
    assert "line 4, fault 1, kind: there is no kind 'ded' of button; did you mean dead?" in ended.text
    assert "Traceback" not in ended.text


OVER_THE_AIR = f"""
import pytest
{NOSE}

def test_a_session(run_session, simulated_pen, pen):
    assert run_session(NOSE).summary.ending.name == "DONE"
    assert 0 < simulated_pen.skin.deepest_um <= 250
    assert pen.run(kind_of) == WAY

@pytest.mark.simulated_pen(by="ble", air="perfect", seed=7)
def test_this_one_by_ble_in_any_case(pen, simulated_pen):
    assert pen.run(kind_of) == "ble"
    assert simulated_pen.url.startswith("ble:DL-SIM-00000007?radio=air:")
    simulated_pen.faults.inject("air", "interval", us=7_500)
    assert pen.status().state.name == "IDLE"

@pytest.mark.simulated_pen(by="stream")
def test_this_one_by_a_stream_in_any_case(pen):
    assert pen.run(kind_of) == "sim"

@pytest.mark.simulated_pen(air="room")
def test_power_is_lost_and_comes_back(pen, simulated_pen, connect_pen):
    simulated_pen.power.cut()
    simulated_pen.advance(3)
    simulated_pen.power.restore()
    assert connect_pen().status().state.name == "IDLE"

async def kind_of(pen):
    return pen.connection.link.kind
"""


@pytest.mark.parametrize(
    ("options", "way"), [((), "sim"), (("--pen-by", "ble"), "ble"), (("--pen-by=ble", "--pen-air=perfect"), "ble")]
)
def test_the_same_file_by_a_stream_and_by_ble(project: Path, options: tuple[str, ...], way: str) -> None:
    ended = run(project, f"WAY = {way!r}\n{OVER_THE_AIR}", *options)
    assert ended.code == 0, ended
    assert "4 passed" in ended.summary


@pytest.mark.parametrize("asked", ["by='wire'", "air='storm'", "by='stream', air='room'"])
def test_a_way_that_there_is_not_is_said(project: Path, asked: str) -> None:
    text = f"import pytest\n\n@pytest.mark.simulated_pen({asked})\ndef test_it(pen):\n    pass\n"
    ended = run(project, text)
    assert ended.code == 1
    assert "was refused" in ended.text
    assert "Traceback" not in ended.text


def test_the_help_says_how_a_pen_is_reached(project: Path) -> None:
    said = " ".join(run(project, IN_THREE_LINES, "--help").text.split())
    for words in ("--pen-by=WAY", "--pen-air=PROFILE", "a whole Bluetooth stack in this process"):
        assert words in said


def test_a_failure_shows_what_truly_happened_to_the_pen(project: Path) -> None:
    ended = run(project, "def test_it(simulated_pen, pen):\n    simulated_pen.power.cut()\n    assert False\n")
    assert ended.code == 1
    assert "simulated pen" in ended.text
    assert "powered: False" in ended.text


def test_a_wait_that_never_ends_ends_the_test_and_not_the_patience(project: Path) -> None:
    text = """
import asyncio
import pytest

def test_it(virtual_time, simulated_pen):
    with pytest.raises(TimeoutError):
        virtual_time.run(asyncio.Event().wait())
    assert virtual_time.now == 7_200
"""
    assert run(project, text).code == 0


def test_workers_of_xdist_have_pens_of_their_own(project: Path) -> None:
    text = """
import pytest

@pytest.mark.parametrize("number", range(8))
def test_it(pen, simulated_pen, number):
    simulated_pen.clock.advance(number)
    assert pen.status().state.name == "IDLE"
"""
    ended = run(project, text, "-n", "2")
    assert ended.code == 0, ended
    assert "8 passed" in ended.summary


@pytest.fixture
def real_enough() -> Iterator[str]:
    """The URL of a pen in another process, which a test can't tell from a real one."""
    command = [sys.executable, "-m", "dermalink_simulator.cli.start", "serve", "--tcp", "127.0.0.1:0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["urls"][0]
        process.terminate()


def test_the_same_file_runs_on_a_real_pen_and_says_what_it_skips(project: Path, real_enough: str) -> None:
    text = f"""
import pytest
{IN_THREE_LINES}
def test_the_truth(simulated_pen):
    assert False

def test_time(virtual_time):
    assert False

def test_indirectly(request):
    request.getfixturevalue("simulated_pen")

@pytest.mark.needs_simulator
def test_a_fault(pen):
    assert False

@pytest.mark.simulated_pen(head="stamp")
def test_what_it_is_made_of(pen):
    assert False

@pytest.mark.second_session
def test_twice(pen):
    assert False

def test_the_person_is_asked(person, capfd):
    person.press_button()
    person.hold_button(3.5)
"""
    ended = run(project, text, "--pen", real_enough, "-rs")
    assert ended.code == 0, ended
    assert "2 passed, 6 skipped" in ended.summary
    for reason in (
        "needs the simulator (simulated_pen), and --pen names a real pen",
        "needs the simulator (virtual_time), and --pen names a real pen",
        "opens a second session within 14 days, which a real pen refuses (SR-INT-1)",
    ):
        assert reason in ended.text
    assert ">>> Press the pen's button now." in ended.text
    assert ">>> Hold the pen's button for 3.5 s." in ended.text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--pen", "ttyACM0"), "is no URL; for example serial:/dev/ttyACM0"),
        (("--pen", "tcp:127.0.0.1:1", "-n", "2"), "would share it between workers"),
        (("--pen", "tcp:127.0.0.1:1", "--pen-by", "ble"), "leave one away"),
        (("--pen-by", "stream", "--pen-air", "room"), "--pen-by stream has none"),
        (("--pen-by", "wire"), "invalid choice"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(project: Path, options: tuple[str, ...], said: str) -> None:
    ended = run(project, IN_THREE_LINES, *options)
    assert ended.code == pytest.ExitCode.USAGE_ERROR
    assert said in ended.text


def test_a_pen_that_is_not_there_is_said_in_a_sentence(project: Path) -> None:
    ended = run(project, IN_THREE_LINES, "--pen", "tcp:127.0.0.1:1")
    assert ended.code == 1
    assert "nobody listens there" in ended.text
