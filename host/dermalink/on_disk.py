"""What makes a file outlast a loss of power."""

import os
import sys
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Put the folder's entries on the disk: a new file, or a new name, is there only then. Raises `OSError`.

    Windows has no way to do that for a folder.
    """
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
