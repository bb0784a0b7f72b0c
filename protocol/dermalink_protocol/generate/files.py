"""What all generators share: write the files, or compare with what is there and say what to run."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[3]


def write_or_check(files: Mapping[Path, str], arguments: Sequence[str]) -> int:
    """Write `files`; with `--check` only name those that are stale.

    0 if all is as it should be; 1 if something is stale; 2 for other arguments, or outside a checkout.
    """
    if arguments not in ([], ["--check"]):
        complain([f"takes --check or nothing, not {' '.join(arguments)}"])
        return 2
    if not (ROOT / "pyproject.toml").is_file():
        complain(["what is generated belongs to a checkout, and this is an installed package"])
        return 2
    stale = {path: text for path, text in files.items() if _read(path) != text}
    if arguments:
        complain(f"{path.relative_to(ROOT)} is stale: python tasks.py gen" for path in stale)
        return 1 if stale else 0
    for path, text in stale.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return 0


def complain(sentences: Iterable[str]) -> None:
    """Say on standard error what is wrong, a line each."""
    sys.stderr.writelines(f"{sentence}\n" for sentence in sentences)


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
