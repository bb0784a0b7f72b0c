"""What a result was measured with: a digest of a module's source and of all of ours that it imports."""

import ast
import hashlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

OURS: Final = ("dermalink", "dermalink_protocol", "dermalink_simulator", "tests")


def digest_of(*modules: str) -> str:
    """Of these modules and whatever of ours they import, directly or not; another one as soon as a byte differs."""
    found: dict[str, bytes] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        spec = find_spec(name) if name not in found else None
        if spec is None or spec.origin is None:
            continue
        found[name] = source = Path(spec.origin).read_bytes()
        waiting += imported(source)
    whole = hashlib.sha256()
    for name in sorted(found):
        whole.update(name.encode() + b"\0" + hashlib.sha256(found[name]).digest())
    return whole.hexdigest()[:16]


def imported(source: bytes) -> Iterator[str]:
    """The modules of ours that this source imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
        elif isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] in OURS and is_module(name))


def is_module(name: str) -> bool:
    """Whether it is one, and no name within one."""
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is no package
        return False
