"""What a command is doing while there is nothing else to see: a line on stderr, in a terminal only, and then wiped.

Nothing of it goes to stdout, so a script, a pipe and `--json` see none of it.
"""

import contextlib
import shutil
import sys
from collections.abc import Iterator
from typing import Final

from dermalink.cli.options import verbosity

NARROWEST: Final = 20


def in_terminal() -> bool:
    """Whether a person watches stderr."""
    return sys.stderr.isatty()


class Progress:
    """The line; `say` puts another in its place. With `-v` lines follow each other, and each stays."""

    def __init__(self) -> None:
        """Nothing is shown yet."""
        self._shown = in_terminal()
        self._stays = verbosity() > 0
        self._doing = ""
        self._cells = 0

    def say(self, doing: str) -> None:
        """Show that this is being done, at once."""
        self.wipe()
        self._doing = doing
        self._write()

    def wipe(self) -> None:
        """Nothing is being done any more."""
        self._doing = ""
        self._clear()

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """While inside, the terminal is somebody else's; then the line comes back."""
        self._clear()
        yield
        self._write()

    def _write(self) -> None:
        if not self._shown or not self._doing:
            return
        if self._stays:
            sys.stderr.write(f"{self._doing} …\n")
            self._doing = ""
        else:  # a line that wraps could not be wiped
            room = max(NARROWEST, shutil.get_terminal_size().columns) - 3
            line = f"{self._doing[:room]} …"
            self._cells = len(line)
            sys.stderr.write(line)
        sys.stderr.flush()

    def _clear(self) -> None:
        if self._cells:
            sys.stderr.write("\r" + " " * self._cells + "\r")
            sys.stderr.flush()
            self._cells = 0


@contextlib.contextmanager
def progress(doing: str = "") -> Iterator[Progress]:
    """A line that is gone on every way out."""
    shown = Progress()
    try:
        if doing:
            shown.say(doing)
        yield shown
    finally:
        shown.wipe()
