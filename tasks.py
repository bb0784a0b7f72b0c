"""Sets the project up and runs everything in it: `python tasks.py TASK [ARGS]` (Windows: `py tasks.py TASK`).

Needs Python 3.11 or newer and nothing else; `python tasks.py` alone lists the tasks. What the tasks need goes
into `.venv`, from the lock files in requirements/, whose hashes are checked. Where the packages come from is
pip's and uv's own setting (pip.conf, PIP_*, UV_*), so a mirror or a proxy set up for pip works here as well.
"""

import contextlib
import difflib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree  # reads only what our own pytest wrote

ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
STAMP = os.path.join(VENV, "set-up.txt")
REPORTS = os.path.join(ROOT, "build", "reports")
LOCKS = os.path.join(ROOT, "requirements")
SCRIPTS = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin")
EXE = ".exe" if os.name == "nt" else ""
PYTHON = os.path.join(SCRIPTS, "python" + EXE)

OLDEST_PYTHON = (3, 11)
OTHER_PYTHONS = ("python3.13", "python3.12", "python3.11")
OLDEST_UV = (0, 6)  # knows --group, and checks the hashes of build constraints

# Files that decide what .venv holds: a change in one means another set-up.
SETUP_INPUTS = ("pyproject.toml", "requirements/bootstrap.txt", "requirements/build.txt", "requirements/dev.txt")

# Each writes files that are committed, and with --check only says whether they are stale.
GENERATORS = ("tests.traceability",)

TYPED = ("protocol", "host", "simulator", "tests", "tasks.py")
UNIT_TESTS = ("unit", "vectors", "traceability")
PROOF_TESTS = ("proof",)
BENCHMARKS = ("benchmarks",)
NO_TESTS_COLLECTED = 5  # pytest's exit code


class TaskError(Exception):
    """A task can't go on; the message tells the person what to do."""


# --- running programs ---------------------------------------------------------------------------------------


def run(*command, check=True, env=None):
    """Run a program in the project's root and return its exit code; with `check`, a failure ends the task."""
    process = subprocess.Popen([str(part) for part in command], cwd=ROOT, env=env or environment())
    while True:
        try:
            code = process.wait()
            break
        except KeyboardInterrupt:  # the program got it as well, and puts things in order first
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            process.wait()
            raise
    if check and code:
        raise TaskError("`%s` failed (exit code %d)." % (shown(command), code))
    return code


def shown(command):
    """The command as a person would type it."""
    return " ".join(os.path.relpath(part, ROOT) if str(part).startswith(ROOT) else str(part) for part in command)


def environment():
    """The environment for programs in .venv: no other Python's settings leak in."""
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    clean["VIRTUAL_ENV"] = VENV
    clean["PATH"] = SCRIPTS + os.pathsep + clean.get("PATH", "")
    return clean


def read(path):
    with open(os.path.join(ROOT, path), "rb") as file:
        return file.read()


# --- set-up -------------------------------------------------------------------------------------------------


def wanted_stamp():
    """What the stamp says when .venv is as it should be: where it lies, for which Python, from which inputs."""
    digest = hashlib.sha256()
    for path in SETUP_INPUTS:
        digest.update(read(path))
    return "%s\n%s\n%s\n" % (VENV, sys.version, digest.hexdigest())


def found_stamp():
    """What the last finished set-up wrote; empty if it was interrupted, or if .venv no longer runs."""
    try:
        with open(STAMP, encoding="utf-8") as file:
            return file.read() if os.path.exists(PYTHON) else ""
    except OSError:
        return ""


@contextlib.contextmanager
def one_at_a_time():
    """Hold the set-up for this process, so that two terminals don't build one .venv at once."""
    path = os.path.join(ROOT, ".venv.lock")
    with open(path, "a+b") as file:
        if os.name == "nt":
            import msvcrt  # noqa: PLC0415

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl  # noqa: PLC0415

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def setup(arguments=()):
    """Make .venv what the lock files say, or find in no time that it is."""
    if "--fresh" not in arguments and found_stamp() == wanted_stamp():
        return
    with one_at_a_time():
        stamp, wanted = ("" if "--fresh" in arguments else found_stamp()), wanted_stamp()
        if stamp == wanted:  # somebody else did it while we waited
            return
        started = time.monotonic()
        print("Setting up .venv ...", flush=True)
        same_place_and_python = stamp.splitlines()[:-1] == wanted.splitlines()[:-1]
        with contextlib.suppress(FileNotFoundError):
            os.remove(STAMP)
        if not same_place_and_python:
            make_venv()
        install()
        with open(STAMP, "w", encoding="utf-8") as file:
            file.write(wanted)
        print("Ready after %.1f s." % (time.monotonic() - started), flush=True)


def make_venv():
    """An empty .venv, without the installer that some systems' Pythons lack."""
    if os.path.lexists(VENV):
        shutil.rmtree(VENV)
    base = getattr(sys, "_base_executable", None) or sys.executable
    try:
        run(base, "-m", "venv", "--without-pip", VENV, env=dict(os.environ))
    except TaskError as error:
        raise TaskError("%s\nThis Python can't make a virtual environment; another 3.11-3.13 may." % error) from None


def install():
    """Everything from the locks, then the project itself, editable; every download against its hash."""
    uv, sources = find_uv(), package_sources()
    build = ("--build-constraints", os.path.join(LOCKS, "build.txt"))
    run(uv, "pip", "sync", "--quiet", "--python", PYTHON, "--require-hashes", *build, *sources,
        os.path.join(LOCKS, "dev.txt"))  # fmt: skip
    run(uv, "pip", "install", "--quiet", "--python", PYTHON, "--no-deps", *build, *sources, "--editable", ROOT)


def find_uv():
    """The uv on the person's PATH if it is new enough, else our own, brought by the pip that lies beside the locks."""
    ours, theirs = os.path.join(SCRIPTS, "uv" + EXE), shutil.which("uv")
    if theirs and uv_version(theirs) >= OLDEST_UV:
        return theirs
    if not os.path.exists(ours):
        run(PYTHON, bundled_pip(), "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps",
            "--only-binary", ":all:", "-r", os.path.join(LOCKS, "bootstrap.txt"))  # fmt: skip
    return ours


def uv_version(uv):
    """As a pair of numbers; (0, 0) if it doesn't say."""
    result = subprocess.run([uv, "--version"], capture_output=True, text=True, check=False)
    words = result.stdout.split()
    try:
        major, minor = words[1].split(".")[:2]
        return int(major), int(minor)
    except (IndexError, ValueError):
        return 0, 0


def bundled_pip():
    """The pip in requirements/, as a path that Python can run; so a Python without ensurepip serves as well."""
    wheels = [name for name in os.listdir(LOCKS) if name.startswith("pip-") and name.endswith(".whl")]
    if len(wheels) != 1:
        raise TaskError("requirements/ should hold one pip wheel and holds %d; is the checkout whole?" % len(wheels))
    return os.path.join(LOCKS, wheels[0], "pip")


def package_sources():
    """The index and the wheel folders that pip is set to use, in uv's words: uv reads no pip.conf.

    A uv setting of the person's own goes before. Extra indexes are left out: the hashes fix what comes in, and
    all of it is on any full index.
    """
    if any(name in os.environ for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_CONFIG_FILE")):
        return []
    command = [PYTHON, bundled_pip(), "config", "list"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    settings = {}
    for line in result.stdout.splitlines():  # global, then install, then the environment: a later one wins
        name, _, value = line.partition("=")
        settings[name.rpartition(".")[2]] = value.strip("'\"").replace("\\n", " ").split()
    options = []
    for url in settings.get("index-url", [])[:1]:
        options += ["--default-index", url]
    for place in settings.get("find-links", []):
        options += ["--find-links", place]
    if settings.get("no-index", ["0"])[0].lower() in ("1", "true", "yes", "on"):
        options += ["--no-index"]
    for certificate in settings.get("cert", [])[:1]:
        os.environ.setdefault("SSL_CERT_FILE", certificate)
    return options


def lock(arguments=()):
    """Write the lock files anew; `lock --upgrade` takes the newest of everything."""
    setup()
    dev = os.path.join(LOCKS, "dev.txt")
    compile_lock("dev", "pyproject.toml", "--all-extras", "--group", "dev", *arguments)
    pinned = ("--constraints", dev, *arguments)
    compile_lock("bootstrap", os.path.join(LOCKS, "bootstrap.in"), *pinned)
    compile_lock("build", os.path.join(LOCKS, "build.in"), *pinned)
    compile_lock("runtime", "pyproject.toml", *pinned)
    compile_lock("test", "pyproject.toml", "--extra", "test", *pinned)
    refresh_bundled_pip()
    setup()


def refresh_bundled_pip():
    """Put the pip wheel that bootstrap.txt names beside it, in place of the one that lies there."""
    with tempfile.TemporaryDirectory() as folder:
        run(PYTHON, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes",
            "--dest", folder, "-r", os.path.join(LOCKS, "bootstrap.txt"))  # fmt: skip
        old = os.path.dirname(bundled_pip())
        (new,) = [name for name in os.listdir(folder) if name.startswith("pip-")]
        os.remove(old)
        shutil.move(os.path.join(folder, new), os.path.join(LOCKS, new))


def compile_lock(name, *arguments):
    """One lock file for all systems and Pythons, with hashes, naming no index."""
    run(os.path.join(SCRIPTS, "uv" + EXE), "pip", "compile", "--quiet", "--universal", "--python-version",
        "%d.%d" % OLDEST_PYTHON, "--generate-hashes", "--no-annotate", "--no-header", "--no-emit-index-url",
        "--no-emit-find-links", *arguments, "--output-file", os.path.join(LOCKS, name + ".txt"))  # fmt: skip


# --- checks -------------------------------------------------------------------------------------------------


def python(*arguments, check=True):
    """Run a module or script with .venv's Python."""
    return run(PYTHON, *arguments, check=check)


def format_code(arguments=()):
    """Lay out the code, and mend what can be mended by rule."""
    python("-m", "ruff", "format", *arguments)
    python("-m", "ruff", "check", "--fix", *arguments)


def lint(arguments=()):
    """Layout and mistakes that can be seen without running anything (ruff)."""
    python("-m", "ruff", "format", "--check", "--quiet", *arguments)
    python("-m", "ruff", "check", "--quiet", *arguments)


def imports(arguments=()):
    """Who may import whom (import-linter; the contracts are in pyproject.toml)."""
    run(os.path.join(SCRIPTS, "lint-imports" + EXE), "--no-timing", *arguments)


def types(arguments=()):
    """mypy --strict over everything."""
    python("-m", "mypy", *(arguments or TYPED))


def generate(arguments=()):
    """Write every generated file anew."""
    for module in GENERATORS:
        python("-m", module, *arguments)


def generate_check(arguments=()):
    """Fail if a generated file is stale; `gen` mends it."""
    generate(("--check", *arguments))


def docs(arguments=()):
    """Build the documentation into build/docs; a warning is an error."""
    python("-m", "sphinx", "-W", "--keep-going", "-q", "-j", "auto", "-b", "html", "-d", "build/doctrees", *arguments,
           "docs", "build/docs")  # fmt: skip
    print("build/docs/index.html", flush=True)


# --- tests --------------------------------------------------------------------------------------------------


def pytest(name, folders, *options):
    """One run of pytest; its counts go to build/reports, where the summary finds them."""
    present = [folder for folder in folders if has_tests(folder)]
    report = os.path.join(REPORTS, name + ".xml")
    with contextlib.suppress(FileNotFoundError):
        os.remove(report)
    if not present:
        return
    code = python("-m", "pytest", "-q", "--junit-xml", report, *options, *present, check=False)
    if code not in (0, NO_TESTS_COLLECTED):
        raise TaskError("Tests failed (%s); `python tasks.py %s -k NAME` runs one of them." % (name, name.split("-")[0]))


def has_tests(folder):
    for _, _, files in os.walk(os.path.join(ROOT, folder)):
        if any(name.startswith("test_") and name.endswith(".py") for name in files):
            return True
    return False


def test_folders(chosen):
    return ["tests/" + name for name in chosen]


def unit(arguments=()):
    """Tests of single modules and of the protocol's vectors; virtual time, no sockets."""
    pytest("unit", test_folders(UNIT_TESTS), *two_workers(arguments), *arguments)


def proof(arguments=()):
    """The proofs of the therapy core and their twins that must fail; slices and samples of the longest."""
    pytest("proof", test_folders(PROOF_TESTS), "-m", "not complete", *two_workers(arguments), *arguments)


def proof_all(arguments=()):
    """All proofs in full; takes long."""
    pytest("proof_all", test_folders(PROOF_TESTS), *two_workers(arguments), *arguments)


def system(arguments=()):
    """Whole programs, links and processes, faults and attacks; what measures milliseconds runs alone, last."""
    apart = {*UNIT_TESTS, *PROOF_TESTS, *BENCHMARKS}
    kinds = sorted(entry.name for entry in os.scandir(os.path.join(ROOT, "tests")) if entry.is_dir())
    folders = test_folders(kind for kind in kinds if kind not in apart)
    pytest("system", folders, "-m", "not alone and not complete", *two_workers(arguments), *arguments)
    pytest("system-alone", folders, "-m", "alone and not complete", *arguments)


def bench(arguments=()):
    """The benchmarks, against the peers, as ratios within one run."""
    pytest("bench", test_folders(BENCHMARKS), *arguments)


def two_workers(arguments):
    """Tests run beside each other, unless somebody wants to look inside."""
    return () if {"--pdb", "-s", "-x"} & set(arguments) else ("-n", "2", "--dist", "worksteal")


def test(arguments=()):
    """All of the checks and tests below, cheap ones first; stops at the first that fails."""
    if arguments:
        raise TaskError("`test` takes no arguments; `unit`, `system` and `proof` pass theirs on to pytest.")
    shutil.rmtree(REPORTS, ignore_errors=True)
    times = []
    for stage in STAGES:
        print("\n--- %s" % stage, flush=True)
        started = time.monotonic()
        TASKS[stage]()
        times.append((stage, time.monotonic() - started))
    print("\nAll stages passed:")
    for stage, seconds in times:
        print("  %-10s %6.1f s" % (stage, seconds))
    print("  %-10s %6.1f s" % ("together", sum(seconds for _, seconds in times)))
    print(counts())


def counts():
    """The tests of all runs together, as one line."""
    total = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for name in os.listdir(REPORTS) if os.path.isdir(REPORTS) else ():
        for suite in ElementTree.parse(os.path.join(REPORTS, name)).getroot().iter("testsuite"):
            for key in total:
                total[key] += int(suite.get(key, 0))
    failed = total["failures"] + total["errors"]
    return "%d passed, %d failed, %d skipped" % (total["tests"] - failed - total["skipped"], failed, total["skipped"])


# --- the rest -----------------------------------------------------------------------------------------------


def demo(arguments=()):
    """A simulated pen, a session on it, and what happens when things go wrong: about a minute."""
    command = os.path.join(SCRIPTS, "dermalink" + EXE)
    code = run(command, "demo", *arguments, check=False)
    if code:
        raise TaskError("The demo ended early (exit code %d)." % code)


def wheel(arguments=()):
    """Build the wheel and the source archive into dist/."""
    python("-m", "build", "--no-isolation", *arguments)


def clean(arguments=()):
    """Remove what tasks made, .venv included."""
    for name in (".venv", "build", "dist", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".import_linter_cache"):
        shutil.rmtree(os.path.join(ROOT, name), ignore_errors=True)
    for folder, folders, _ in os.walk(ROOT):
        if "__pycache__" in folders:
            shutil.rmtree(os.path.join(folder, "__pycache__"), ignore_errors=True)


STAGES = ("lint", "imports", "gen-check", "types", "docs", "unit", "proof", "system")

TASKS = {
    "setup": setup,
    "demo": demo,
    "test": test,
    "format": format_code,
    "lint": lint,
    "imports": imports,
    "gen-check": generate_check,
    "types": types,
    "docs": docs,
    "unit": unit,
    "proof": proof,
    "system": system,
    "gen": generate,
    "proof-all": proof_all,
    "bench": bench,
    "wheel": wheel,
    "lock": lock,
    "clean": clean,
}
WITHOUT_SETUP = ("setup", "lock", "clean")


def usage():
    lines = ["python tasks.py TASK [ARGS]", ""]
    lines += ["  %-10s %s" % (name, task.__doc__.splitlines()[0]) for name, task in TASKS.items()]
    return "\n".join(lines)


def with_new_enough_python():
    """Go on in a newer Python if this one is too old and the PATH has one."""
    if sys.version_info >= OLDEST_PYTHON:
        return
    for name in OTHER_PYTHONS:
        other = shutil.which(name)
        if other and not subprocess.call([other, "-c", ""], stderr=subprocess.DEVNULL):
            sys.exit(subprocess.call([other, os.path.abspath(__file__)] + sys.argv[1:]))
    sys.exit("Dermalink needs Python 3.11 or newer; this is %s (%s)." % (sys.version.split()[0], sys.executable))


def main(arguments):
    """Run one task; the exit code is 0 if it went well, 1 if not, 2 for a task that doesn't exist, 130 for Ctrl-C."""
    with_new_enough_python()
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    name, rest = arguments[0], tuple(arguments[1:])
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, 1)
        hint = " Did you mean `%s`?" % near[0] if near else ""
        print("There is no task `%s`.%s\n\n%s" % (name, hint, usage()), file=sys.stderr)
        return 2
    try:
        if name not in WITHOUT_SETUP:
            setup()
        TASKS[name](rest)
    except TaskError as error:
        print("\n%s: %s" % (name, error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\n%s: stopped." % name, file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
