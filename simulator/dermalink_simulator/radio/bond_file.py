"""Where a host's radio keeps its bonds from one program to the next, as a system with an adapter does.

`DERMALINK_BONDS` names a folder that is there; without it, it is this user's own for state. What can't be read or
written is as if it were not there: then a bond lasts as long as the program. A bond gives no right to a pen, so its key
is kept from other users (0600) and no further.
"""

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Final

ENVIRONMENT: Final = "DERMALINK_BONDS"
FILE: Final = "radio-bonds.json"
KEY_BYTES: Final = 16


def own_file() -> Path | None:
    """This user's file; None where a folder is named that is not there."""
    named = os.environ.get(ENVIRONMENT)
    if named is not None:
        return Path(named) / FILE if Path(named).is_dir() else None
    import platformdirs

    return platformdirs.user_state_path("dermalink", appauthor=False) / FILE


def read(path: Path) -> dict[str, bytes]:
    """The keys by address; what holds no key is left out."""
    try:
        found = json.loads(path.read_text("utf-8"))
        keys = {str(address): bytes.fromhex(key) for address, key in dict(found).items()}
    except (OSError, ValueError, TypeError):
        return {}
    return {address: key for address, key in keys.items() if len(key) == KEY_BYTES}


def change(path: Path, address: str, key: bytes | None) -> None:
    """Put a key in, or with None take it out; the file is the old one or the new one, whole."""
    keys = read(path)
    keys.pop(address, None)
    if key is not None:
        keys[address] = key
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, made = tempfile.mkstemp(dir=path.parent)  # 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({each: kept.hex() for each, kept in keys.items()}, file)
            os.replace(made, path)  # noqa: PTH105 (Path.replace says no more)
        except OSError:
            Path(made).unlink(missing_ok=True)
            raise
