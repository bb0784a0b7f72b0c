"""What the documentation shows, done in a clean environment: the wheel, its test extra as locked, and nothing else."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tasks
from tests.system.test_installed_wheel import UV, run, wheel  # noqa: F401 (the fixture is used by its name)

PAGE = tasks.ROOT / "docs" / "test-engineer.md"
SHOWN = 5  # tests in the page's example


def shown(title: str) -> str:
    """The example of the page that is the file `title`."""
    (text,) = re.findall(rf"```python\n# {re.escape(title)}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert isinstance(text, str)
    return text


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """The folder of programs of an environment with the wheel and what its test extra is locked to."""
    folder = tmp_path_factory.mktemp("clean")
    venv = folder / "venv"
    scripts = venv / tasks.SCRIPTS.name
    python = scripts / f"python{tasks.EXE}"
    sources = tasks.package_sources()
    run(UV, "venv", "--quiet", "--python", sys.executable, venv, cwd=folder)
    locked = ("--require-hashes", "--build-constraints", tasks.LOCKS / "build.txt", tasks.LOCKS / "test.txt")
    run(UV, "pip", "sync", "--quiet", "--python", python, *sources, *locked, cwd=folder)
    run(UV, "pip", "install", "--quiet", "--python", python, "--no-deps", "--offline", wheel, cwd=folder)
    return scripts


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
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYTEST", "VIRTUAL_ENV"))}
    command = [str(clean / f"dermalink-sim{tasks.EXE}"), "serve", "--tcp", ":0", "--control", ":0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=env) as served:
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
