"""What the documentation shows, done in clean environments: the wheel, the extras as locked, and nothing else."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tasks
from tests.system.test_installed_wheel import UV, lean_environment, run, wheel  # noqa: F401 (a fixture goes by name)

PAGE = tasks.ROOT / "docs" / "test-engineer.md"
SHOWN = 5  # tests in the page's example


def shown(title: str) -> str:
    """The example of the page that is the file `title`."""
    (text,) = re.findall(rf"```python\n# {re.escape(title)}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert isinstance(text, str)
    return text


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:  # noqa: F811
    """Makes an environment with the wheel and what a lock names; the folder of its programs."""

    def install(lock: str) -> Path:
        folder = tmp_path_factory.mktemp("clean")
        venv = folder / "venv"
        scripts = venv / tasks.SCRIPTS.name
        python = scripts / f"python{tasks.EXE}"
        sources = tasks.package_sources()
        run(UV, "venv", "--quiet", "--python", sys.executable, venv, cwd=folder)
        locked = ("--require-hashes", "--build-constraints", tasks.LOCKS / "build.txt", tasks.LOCKS / lock)
        run(UV, "pip", "sync", "--quiet", "--python", python, *sources, *locked, cwd=folder)
        run(UV, "pip", "install", "--quiet", "--python", python, "--no-deps", "--offline", wheel, cwd=folder)
        return scripts

    return install


@pytest.fixture(scope="module")
def clean(installed: Callable[[str], Path]) -> Path:
    """With the test extra."""
    return installed("test.txt")


@pytest.fixture(scope="module")
def with_radio(installed: Callable[[str], Path]) -> Path:
    """With what a test engineer is told to install for Bluetooth."""
    assert "pip install 'dermalink[test,simulator]'" in PAGE.read_text(encoding="utf-8")
    return installed("test-simulator.txt")


def test_the_example_of_the_documentation_passes_as_its_ci_jobs_run_it(clean: Path, tmp_path: Path) -> None:
    (tmp_path / "test_my_pen.py").write_text(shown("test_my_pen.py"), encoding="utf-8")
    commands = set(re.findall(r"(?:- run: |    - )(pytest .*)", PAGE.read_text(encoding="utf-8")))
    assert "pytest -rs --junit-xml report.xml" in commands
    said = run(clean / f"pytest{tasks.EXE}", "-rs", "--junit-xml", "report.xml", "-W", "error", cwd=tmp_path)
    assert f"{SHOWN} passed" in said
    assert (tmp_path / "report.xml").exists()


def test_a_pen_in_a_process_of_its_own_and_the_command_line_work_as_in_the_checkout(
    clean: Path, tmp_path: Path
) -> None:
    command = [str(clean / f"dermalink-sim{tasks.EXE}"), "serve", "--tcp", ":0", "--control", ":0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=lean_environment()) as served:
        assert served.stdout is not None
        ready = json.loads(served.stdout.readline())
        dermalink = clean / f"dermalink{tasks.EXE}"
        said = json.loads(run(dermalink, "info", "--json", "--pen", ready["urls"][0], cwd=tmp_path))
        assert ready["serial_number"] in json.dumps(said)
        truth = run(clean / f"dermalink-sim{tasks.EXE}", "control", "--at", ready["control"], "truth", cwd=tmp_path)
        assert "needles_out  " in truth
        served.terminate()


def test_a_pen_in_the_same_process_is_found_by_its_entry_point(clean: Path, tmp_path: Path) -> None:
    said = run(clean / f"dermalink{tasks.EXE}", "info", "--json", "--pen", "sim:?seed=7", cwd=tmp_path)
    assert "DL-SIM-00000007" in said


# Over the air


def test_the_same_example_passes_by_bluetooth(with_radio: Path, tmp_path: Path) -> None:
    assert "$ pytest --pen-by ble" in PAGE.read_text(encoding="utf-8")
    (tmp_path / "test_my_pen.py").write_text(shown("test_my_pen.py"), encoding="utf-8")
    said = run(with_radio / f"pytest{tasks.EXE}", "--pen-by", "ble", "-W", "error", cwd=tmp_path)
    assert f"{SHOWN} passed" in said


def test_a_pen_in_a_process_of_its_own_is_heard_asked_and_stopped_by_bluetooth(
    with_radio: Path, tmp_path: Path
) -> None:
    radio = ("--ble", "tcp-server:127.0.0.1:0", "--air", "perfect")
    command = [str(with_radio / f"dermalink-sim{tasks.EXE}"), "serve", *radio, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=lean_environment()) as served:
        try:
            assert served.stdout is not None
            ready = json.loads(served.stdout.readline())
            (url,) = ready["urls"]
            assert url.startswith("ble:")
            dermalink = with_radio / f"dermalink{tasks.EXE}"
            assert ready["serial_number"] in run(dermalink, "info", "--json", "--pen", url, cwd=tmp_path)
            assert json.loads(run(dermalink, "stop", "--json", "--pen", url, cwd=tmp_path))["stopped"] is True
        finally:
            served.terminate()


def test_the_environment_satisfies_what_its_packages_ask_for(with_radio: Path, tmp_path: Path) -> None:
    run(UV, "pip", "check", "--python", with_radio / f"python{tasks.EXE}", cwd=tmp_path)


@pytest.mark.parametrize(
    ("program", "words", "code"),
    [
        ("dermalink", ("info", "--pen", "ble:pen?radio=tcp-client:127.0.0.1:1"), 4),
        ("dermalink-sim", ("serve", "--ble", "tcp-server:127.0.0.1:0"), 3),
    ],
)
def test_without_the_radio_it_is_said_what_to_install(
    program: str, words: tuple[str, ...], code: int, clean: Path, tmp_path: Path
) -> None:
    command = [str(clean / f"{program}{tasks.EXE}"), *words]
    ended = subprocess.run(
        command, cwd=tmp_path, env=lean_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == code, ended.stderr
    assert 'pip install "dermalink[simulator]"' in ended.stderr
    assert "Traceback" not in ended.stderr
