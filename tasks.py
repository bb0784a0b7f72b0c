"""Sets the project up and runs everything in it: `python tasks.py TASK [ARGS]` (Windows: `py tasks.py TASK`).

Needs Python 3.11 or newer and nothing else; `python tasks.py` alone lists the tasks. What they need goes into
.venv, from the lock files in requirements/, each download against its hash. Where packages come from is pip's
and uv's own setting (pip.conf, PIP_*, UV_*), so a mirror or a proxy that is set up for them works here as well.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "set-up.txt"
LOCKS = ROOT / "requirements"
REPORTS = ROOT / "build" / "reports"
SCRIPTS = VENV / ("Scripts" if os.name == "nt" else "bin")
EXE = ".exe" if os.name == "nt" else ""
PYTHON = SCRIPTS / f"python{EXE}"

OLDEST_PYTHON, NEWER_PYTHONS = (3, 11), ("python3.13", "python3.12", "python3.11")
OLDEST_UV = (0, 6)  # the first that has all the options used here

# What decides what .venv holds: a change in one of them means another set-up.
SETUP_INPUTS = ("pyproject.toml", "requirements/bootstrap.txt", "requirements/build.txt", "requirements/dev.txt")

# Each writes files that are committed, and with --check only says whether they are stale.
GENERATORS = (
    "dermalink_protocol.generate.vectors",
    "dermalink_protocol.generate.reference",
    "dermalink_simulator.cli.reference",
    "dermalink_simulator.cli.strangers_reference",
    "tests.desk_vectors",
    "tests.traceability",
)

PACKAGES = ("protocol", "host", "simulator")
TYPED = (*PACKAGES, "tests", "tasks.py")
UNIT_TESTS, PROOF_TESTS, BENCHMARKS = ("unit", "vectors", "traceability"), ("proof",), ("benchmarks",)
NO_TESTS_COLLECTED = 5  # pytest's exit code
SIDE_BY_SIDE = ("-n", "2", "--dist", "worksteal")

if TYPE_CHECKING:  # older Pythons, which are only told so, can't evaluate it
    Arguments = Sequence[str]


class TaskError(Exception):
    """A task can't go on; the message says what to do."""


def run(*command: object, check: bool = True, env: dict[str, str] | None = None) -> int:
    """Run a program in the project's root and return its exit code; with `check`, a failure ends the task."""
    words = [str(part) for part in command]
    process = subprocess.Popen(words, cwd=ROOT, env=env or environment())
    try:
        code = process.wait()
    except KeyboardInterrupt:  # the program got it as well: let it put things in order; a second one ends us both
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        process.wait()
        raise
    if check and code:
        said = " ".join(words).replace(f"{ROOT}{os.sep}", "")
        raise TaskError(f"`{said}` failed (exit code {code}).")
    return code


def environment() -> dict[str, str]:
    """The environment for programs in .venv: no other Python's settings leak in."""
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    return {**clean, "VIRTUAL_ENV": str(VENV), "PATH": f"{SCRIPTS}{os.pathsep}{clean.get('PATH', '')}"}


def output_of(*command: object) -> str:
    """What a program prints, whether it likes the question or not."""
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False).stdout


def python(*arguments: object, check: bool = True) -> int:
    """Run a module or a script with .venv's Python."""
    return run(PYTHON, *arguments, check=check)


def wanted_stamp() -> list[str]:
    """What the stamp says when .venv is as it should be: where it lies, for which Python, from which inputs."""
    digest = hashlib.sha256(b"".join((ROOT / path).read_bytes() for path in SETUP_INPUTS))
    return [str(VENV), sys.version.replace("\n", " "), digest.hexdigest()]


def found_stamp() -> list[str]:
    """What the last finished set-up wrote; empty if it was cut short, or if .venv's Python is gone."""
    try:
        return STAMP.read_text(encoding="utf-8").splitlines() if PYTHON.exists() else []
    except OSError:
        return []


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Keep two terminals from building one .venv at once."""
    with (ROOT / ".venv.lock").open("a+b") as file:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def setup(arguments: Arguments = ()) -> None:
    """Make .venv what the lock files say, or see at once that it is; --fresh makes it anew."""
    wanted, fresh = wanted_stamp(), "--fresh" in arguments
    if found_stamp() == wanted and not fresh:
        return
    with one_at_a_time():
        found = [] if fresh else found_stamp()
        if found == wanted:  # another terminal did it while this one waited
            return
        started = time.monotonic()
        print("Setting up .venv ...", flush=True)
        if STAMP.exists():
            STAMP.unlink()
        if found[:-1] != wanted[:-1]:
            make_venv()
        try:
            install()
        except TaskError as error:
            raise TaskError(f"{error}\nIs the package index in reach? A mirror or a proxy is pip's setting.") from None
        STAMP.write_text("\n".join(wanted) + "\n", encoding="utf-8")
        print(f"Ready after {time.monotonic() - started:.1f} s.", flush=True)


def make_venv() -> None:
    """An empty .venv, without asking for the ensurepip that some systems' Pythons lack."""
    if VENV.is_dir() and not VENV.is_symlink():
        shutil.rmtree(VENV)
    VENV.unlink(missing_ok=True)
    base = getattr(sys, "_base_executable", None) or sys.executable
    run(base, "-m", "venv", "--without-pip", VENV, env=dict(os.environ))


def install() -> None:
    """Everything in dev.txt, then the project itself, editable; what is built is built with what build.txt says."""
    uv, sources = find_uv(), package_sources()
    options = ("--quiet", "--python", PYTHON, "--build-constraints", LOCKS / "build.txt", *sources)
    run(uv, "pip", "sync", *options, "--require-hashes", LOCKS / "dev.txt")
    run(uv, "pip", "install", *options, "--no-deps", "--editable", ROOT)


def find_uv() -> str | Path:
    """The person's own uv if it is new enough, else one of ours, brought by the pip that lies beside the locks."""
    ours, theirs = SCRIPTS / f"uv{EXE}", shutil.which("uv")
    version = re.match(r"uv (\d+)\.(\d+)", output_of(theirs, "--version")) if theirs else None
    if theirs and version and (int(version[1]), int(version[2])) >= OLDEST_UV:
        return theirs
    if not ours.exists():
        options = ("-qq", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary", ":all:")
        run(PYTHON, bundled_pip() / "pip", "install", *options, "-r", LOCKS / "bootstrap.txt")
    return ours


def bundled_pip() -> Path:
    """The pip wheel beside the locks, which Python can run as it lies there."""
    wheels = list(LOCKS.glob("pip-*.whl"))
    if len(wheels) != 1:
        raise TaskError(f"requirements/ should hold one pip wheel and holds {len(wheels)}: is the checkout whole?")
    return wheels[0]


def package_sources() -> list[str]:
    """The index and wheel folders that pip is set to use, in uv's words, since uv reads none of pip's settings.

    A uv setting of the person's own goes before. Extra indexes are left out: any full index has what the hashes name.
    """
    if {"UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_CONFIG_FILE"} & set(os.environ):
        return []
    listed = output_of(PYTHON, bundled_pip() / "pip", "config", "list").splitlines()
    said = dict(line.split("=", 1) for line in listed if "=" in line)
    scopes = (":env:", "install", "global")  # a setting in the environment goes before one in a file

    def setting(name: str) -> list[str]:
        value = next((said[f"{scope}.{name}"] for scope in scopes if f"{scope}.{name}" in said), "")
        return value.strip("'\"").replace("\\n", " ").split()

    for certificates in setting("cert"):
        os.environ.setdefault("SSL_CERT_FILE", certificates)
    index = [word for url in setting("index-url") for word in ("--default-index", url)]
    folders = [word for place in setting("find-links") for word in ("--find-links", place)]
    return [*index, *folders, *(["--no-index"] if {"1", "true", "yes", "on"} & {*setting("no-index")} else [])]


def lock(arguments: Arguments = ()) -> None:
    """Write the lock files anew; --upgrade takes the newest of everything."""
    setup()
    compile_lock("dev", "pyproject.toml", "--all-extras", "--group", "dev", *arguments)
    pinned = ("--constraints", LOCKS / "dev.txt", *arguments)
    compile_lock("bootstrap", LOCKS / "bootstrap.in", *pinned)
    compile_lock("build", LOCKS / "build.in", *pinned)
    compile_lock("runtime", "pyproject.toml", *pinned)
    compile_lock("test", "pyproject.toml", "--extra", "test", *pinned)
    compile_lock("test-simulator", "pyproject.toml", "--extra", "test", "--extra", "simulator", *pinned)
    with tempfile.TemporaryDirectory() as folder:
        options = ("-qq", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--dest", folder)
        python("-m", "pip", "download", *options, "-r", LOCKS / "bootstrap.txt")
        (new,) = Path(folder).glob("pip-*.whl")
        bundled_pip().unlink()
        shutil.move(new, LOCKS / new.name)
    setup()


def compile_lock(name: str, *arguments: object) -> None:
    """One file for all systems and Pythons, with hashes, naming no index."""
    silent = ("--quiet", "--no-annotate", "--no-header", "--no-emit-index-url", "--no-emit-find-links")
    options = ("--universal", "--python-version", ".".join(map(str, OLDEST_PYTHON)), "--generate-hashes")
    uv, output = SCRIPTS / f"uv{EXE}", LOCKS / f"{name}.txt"
    run(uv, "pip", "compile", *silent, *options, *arguments, "--output-file", output)


def format_(arguments: Arguments = ()) -> None:
    """Lay out the code, and mend what can be mended by rule."""
    python("-m", "ruff", "format", *arguments)
    python("-m", "ruff", "check", "--fix", *arguments)


def lint(arguments: Arguments = ()) -> None:
    """Layout, and mistakes that show without running anything (ruff)."""
    python("-m", "ruff", "format", "--check", *arguments)
    python("-m", "ruff", "check", *arguments)


def imports(arguments: Arguments = ()) -> None:
    """Who may import whom (import-linter; the contracts are in pyproject.toml)."""
    run(SCRIPTS / f"lint-imports{EXE}", "--no-logo", *arguments)


def types(arguments: Arguments = ()) -> None:
    """mypy --strict over everything, and once more over what people install, as Windows has it."""
    python("-m", "mypy", *(arguments or TYPED))
    if not arguments:  # what lies behind a look at the platform is unreachable there, and is meant to be
        python("-m", "mypy", "--platform", "win32", "--no-warn-unreachable", *PACKAGES)


def gen(arguments: Arguments = ()) -> None:
    """Write every generated file anew."""
    for module in GENERATORS:
        python("-m", module, *arguments)


def gen_check(arguments: Arguments = ()) -> None:
    """Fail if a generated file is stale; `gen` mends it."""
    gen(("--check", *arguments))


def docs(arguments: Arguments = ()) -> None:
    """Build the documentation into build/docs; a warning is an error."""
    options = ("-W", "--keep-going", "-q", "-b", "html", "-d", "build/doctrees")
    python("-m", "sphinx", *options, *arguments, "docs", "build/docs")
    print("build/docs/index.html", flush=True)


def pytest(report: str, folders: Iterable[str], arguments: Arguments, *options: str) -> None:
    """One run of pytest over the folders of tests/ that hold tests; its counts go to build/reports."""
    present = [f"tests/{name}" for name in folders if any((ROOT / "tests" / name).rglob("test_*.py"))]
    if not present:
        return
    result = REPORTS / f"{report}.xml"
    result.unlink(missing_ok=True)
    code = python("-m", "pytest", "-q", "--junit-xml", result, *options, *arguments, *present, check=False)
    if code not in (0, NO_TESTS_COLLECTED):
        raise TaskError(f"tests failed ({report}).")


def unit(arguments: Arguments = ()) -> None:
    """Single modules, the protocol's vectors, requirements against proofs; virtual time, no real waiting."""
    pytest("unit", UNIT_TESTS, arguments, *SIDE_BY_SIDE)


def proof(arguments: Arguments = ()) -> None:
    """The proofs of the therapy core and their twins that must fail; slices and samples of the longest."""
    pytest("proof", PROOF_TESTS, arguments, "-m", "not complete", *SIDE_BY_SIDE)


def proof_all(arguments: Arguments = ()) -> None:
    """The proofs in full, and a long search by chance; takes long."""
    pytest("proof-all", PROOF_TESTS, arguments, "--hypothesis-profile", "search", *SIDE_BY_SIDE)


def system(arguments: Arguments = ()) -> None:
    """Links, whole programs, faults and attacks; what measures milliseconds comes last, with nothing beside it."""
    apart = {*UNIT_TESTS, *PROOF_TESTS, *BENCHMARKS}
    kinds = sorted({entry.name for entry in (ROOT / "tests").iterdir() if entry.is_dir()} - apart)
    pytest("system", kinds, arguments, "-m", "not alone and not complete", *SIDE_BY_SIDE)
    pytest("system-alone", kinds, arguments, "-m", "alone and not complete")


def bench(arguments: Arguments = ()) -> None:
    """The benchmarks, beside the peers, as ratios within one run."""
    python("-m", "tests.benchmarks", *arguments)


def test(arguments: Arguments = ()) -> None:
    """All checks and tests, the cheap ones first; ends at the first that fails."""
    if arguments:
        raise TaskError("takes no arguments; `unit`, `system` and `proof` pass theirs on to pytest.")
    shutil.rmtree(REPORTS, ignore_errors=True)
    times = []
    for stage in STAGES:
        print(f"\n--- {stage}", flush=True)
        started = time.monotonic()
        TASKS[stage](())
        times.append((stage, time.monotonic() - started))
    print("\nAll stages passed:")
    for stage, seconds in [*times, ("together", sum(seconds for _, seconds in times))]:
        print(f"  {stage:<10} {seconds:6.1f} s")
    print(counts())


def counts() -> str:
    """The tests of all runs together, as one line."""
    total = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for report in REPORTS.glob("*.xml"):
        for suite in ET.parse(report).iter("testsuite"):  # noqa: S314 (written by our own pytest)
            for key in total:
                total[key] += int(suite.get(key, 0))
    failed = total["failures"] + total["errors"]
    return f"{total['tests'] - failed - total['skipped']} passed, {failed} failed, {total['skipped']} skipped"


def demo(arguments: Arguments = ()) -> None:
    """A session on a simulated pen, and what happens when things go wrong: about a minute."""
    run(SCRIPTS / f"dermalink{EXE}", "demo", *arguments)


def wheel(arguments: Arguments = ()) -> None:
    """Build the wheel and the source archive into dist/."""
    python("-m", "build", "--no-isolation", *arguments)


def clean(_: Arguments = ()) -> None:
    """Remove what the tasks made, .venv included."""
    caches = (".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".import_linter_cache")
    for name in (".venv", "build", "dist", *caches):
        shutil.rmtree(ROOT / name, ignore_errors=True)


MORE_TASKS = (gen, proof_all, bench, wheel, lock, clean)
LISTED = (setup, demo, test, format_, lint, imports, gen_check, types, docs, unit, proof, system, *MORE_TASKS)
TASKS = {task.__name__.strip("_").replace("_", "-"): task for task in LISTED}
STAGES = ("lint", "imports", "gen-check", "types", "docs", "unit", "proof", "system")
WITHOUT_SETUP = ("setup", "lock", "clean")


def usage() -> str:
    """The tasks, a line each."""
    lines = [f"  {name:<10} {(task.__doc__ or '').splitlines()[0]}" for name, task in TASKS.items()]
    return "\n".join(["python tasks.py TASK [ARGS]", "", *lines])


def with_new_enough_python() -> None:
    """Go on in a newer Python if this one is too old and the PATH has one."""
    if sys.version_info >= OLDEST_PYTHON:
        return
    for name in NEWER_PYTHONS:
        other = shutil.which(name)
        if other and subprocess.call([other, "-c", ""], stderr=subprocess.DEVNULL) == 0:
            sys.exit(subprocess.call([other, str(ROOT / "tasks.py"), *sys.argv[1:]]))
    sys.exit(f"Dermalink needs Python 3.11 or newer; this is {sys.version.split()[0]} ({sys.executable}).")


def main(arguments: Arguments) -> int:
    """Run one task: 0 if it went well, 1 if not, 2 if there is no such task, 130 after Ctrl-C."""
    with_new_enough_python()
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    name, *rest = arguments
    if name not in TASKS:
        near = "".join(f" Did you mean `{task}`?" for task in difflib.get_close_matches(name, TASKS, 1))
        print(f"There is no task `{name}`.{near}\n\n{usage()}", file=sys.stderr)
        return 2
    try:
        if name not in WITHOUT_SETUP:
            setup()
        TASKS[name](rest)
    except (TaskError, OSError) as error:
        print(f"\n{name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\n{name}: stopped.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
