"""The wheel, installed with what a host on real hardware needs and nothing else, works as the checkout does."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tasks
from dermalink_protocol.version import __version__

PACKAGES = {
    "dermalink_protocol": tasks.ROOT / "protocol",
    "dermalink": tasks.ROOT / "host",
    "dermalink_simulator": tasks.ROOT / "simulator",
}
UV = tasks.SCRIPTS / f"uv{tasks.EXE}"
AT_MOST_S = 300

IMPORT_ALL = """
import importlib, json, pkgutil, sys

failed = {}
for name in ("dermalink_protocol", "dermalink", "dermalink_simulator"):
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        if module.name in sys.argv[1:]:
            continue
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            optional = module.name.startswith(("dermalink_simulator.radio.", "dermalink_simulator.doors.ble"))
            if error.name != "bumble" or not optional:  # [simulator]
                failed[module.name] = repr(error)
        except Exception as error:
            failed[module.name] = repr(error)
print(json.dumps(failed))
"""

LOAD_ENTRY_POINTS = """
import json
from importlib.metadata import distribution

failed = {}
for entry in distribution("dermalink").entry_points:
    if entry.group != "pytest11":
        try:
            entry.load()
        except Exception as error:
            failed[f"{entry.group}: {entry.name}"] = repr(error)
print(json.dumps(failed))
"""


def lean_environment() -> dict[str, str]:
    """Nothing of the checkout's environment."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYTEST", "VIRTUAL_ENV"))}


def run(*command: object, cwd: Path) -> str:
    """What a program printed, run with nothing of the checkout's environment."""
    words = [str(part) for part in command]
    ended = subprocess.run(
        words, cwd=cwd, env=lean_environment(), capture_output=True, text=True, timeout=AT_MOST_S, check=False
    )
    assert ended.returncode == 0, f"{' '.join(words)}\n{ended.stdout}{ended.stderr}"
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, tasks.ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def lean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment with the wheel and the locked runtime dependencies."""
    folder = tmp_path_factory.mktemp("lean")
    venv = folder / "venv"
    scripts = venv / tasks.SCRIPTS.name
    python = scripts / f"python{tasks.EXE}"
    sources = tasks.package_sources()
    run(UV, "venv", "--quiet", "--python", sys.executable, venv, cwd=folder)
    locked = ("--require-hashes", "--build-constraints", tasks.LOCKS / "build.txt", tasks.LOCKS / "runtime.txt")
    run(UV, "pip", "sync", "--quiet", "--python", python, *sources, *locked, cwd=folder)
    run(UV, "pip", "install", "--quiet", "--python", python, "--no-deps", "--offline", wheel, cwd=folder)
    return scripts


def test_the_wheel_holds_every_file_of_the_packages_and_no_other(wheel: Path) -> None:
    wanted = {
        path.relative_to(folder).as_posix()
        for package, folder in PACKAGES.items()
        for path in (folder / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == wanted
    assert {f"{package}/py.typed" for package in PACKAGES} <= held


def test_every_module_is_importable_without_extras(lean: Path, tmp_path: Path) -> None:
    needs_extra = ("dermalink_simulator.pytest_plugin",)  # [test]
    python = lean / f"python{tasks.EXE}"
    assert json.loads(run(python, "-W", "error", "-c", IMPORT_ALL, *needs_extra, cwd=tmp_path)) == {}


def test_every_entry_point_leads_somewhere(lean: Path, tmp_path: Path) -> None:
    assert json.loads(run(lean / f"python{tasks.EXE}", "-c", LOAD_ENTRY_POINTS, cwd=tmp_path)) == {}


@pytest.mark.parametrize("program", ["dermalink", "dermalink-sim"])
def test_the_commands_say_the_version_of_the_checkout(program: str, lean: Path, tmp_path: Path) -> None:
    assert __version__ in run(lean / f"{program}{tasks.EXE}", "--version", cwd=tmp_path)


PLAN = 'plan = 1\nrate_hz = 100\nspeed_mm_s = 40\n[[zone]]\nname = "nose"\ndirections = ["vertical"]\ndepth_um = 250\n'


def test_a_session_runs_from_the_command_line_alone(lean: Path, tmp_path: Path) -> None:
    (tmp_path / "nose.toml").write_text(PLAN, encoding="utf-8")
    command = [str(lean / f"dermalink-sim{tasks.EXE}"), "serve", "--tcp", ":0", "--person", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=lean_environment()) as served:
        try:
            assert served.stdout is not None
            pen = json.loads(served.stdout.readline())["urls"][0]
            words = ("session", "run", "nose.toml", "--pen", pen, "--journal", "trial.jsonl", "--no-ask")
            run(lean / f"dermalink{tasks.EXE}", *words, cwd=tmp_path)
        finally:
            served.terminate()
    assert (tmp_path / "trial.jsonl").stat().st_size > 0


def test_the_demo_is_there(lean: Path, tmp_path: Path) -> None:
    assert "demo" in run(lean / f"dermalink{tasks.EXE}", "demo", "--help", cwd=tmp_path)


def test_the_environment_satisfies_what_the_wheel_asks_for(lean: Path, tmp_path: Path) -> None:
    run(UV, "pip", "check", "--python", lean / f"python{tasks.EXE}", cwd=tmp_path)
