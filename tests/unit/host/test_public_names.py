"""The public names: few, pinned, lazy, and typed exactly."""

import subprocess
import sys

import pytest

import dermalink

NAMES = {
    "Applied", "DermalinkError", "Direction", "HostRefusal", "LinkError", "Outcome", "Pen", "PenRefusal",
    "Reconnector", "Refused", "Symptom", "SyncPen", "Timeout", "Unknown", "UnknownOutcome", "Zone", "__version__",
    "discover",
}  # fmt: skip

HEAVY = (
    "asyncio", "bleak", "click", "importlib.metadata", "json", "logging", "numpy", "platformdirs", "pydantic", "rich",
    "serial", "socket", "typing",
)  # fmt: skip


def test_the_public_names_are_these() -> None:
    assert set(dermalink.__all__) == NAMES == set(dir(dermalink))
    for name in NAMES:
        assert getattr(dermalink, name) is not None


def test_another_name_is_none() -> None:
    with pytest.raises(AttributeError, match="Pne"):
        dermalink.Pne  # type: ignore[attr-defined]  # noqa: B018


def imported_by(statement: str, watched: tuple[str, ...]) -> set[str]:
    """Which of `watched` a fresh Python has imported after `statement`."""
    script = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.split()) & set(watched)


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert imported_by("import dermalink", HEAVY) == set()


def test_numpy_is_not_imported_before_samples_are_read() -> None:
    heavy = ("numpy", "pydantic", "bleak", "platformdirs", "rich", "click")
    assert imported_by("from dermalink import Pen, SyncPen, discover", heavy) == set()
