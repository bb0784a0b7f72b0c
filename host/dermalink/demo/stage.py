"""How the demo looks: acts, what happens in them, a summary; in a terminal, without colour, and in a file."""

import textwrap
from typing import Final, NamedTuple

from rich.console import Console
from rich.text import Text

WIDTH_MAX: Final = 100


class Line(NamedTuple):
    """One line of the summary, and whether it is as it should be."""

    text: str
    good: bool


class Stage:
    """Prints, and keeps what the summary says at the end."""

    def __init__(self, console: Console) -> None:
        """On `console`, at most `WIDTH_MAX` wide where it is no terminal."""
        self.console = console
        self.good = True
        self._lines: list[Line] = []
        self._width = min(console.width, WIDTH_MAX)
        self._act = 0

    def title(self, text: str, *lines: str) -> None:
        """What this is."""
        self.console.print(Text(text, style="bold"))
        for line in lines:
            self.say(line)

    def act(self, text: str) -> None:
        """A new act."""
        self._act += 1
        self.console.print()
        self.console.print(Text(f"{self._act}. {text}", style="bold cyan"))

    def say(self, text: str, *, style: str = "") -> None:
        """A paragraph."""
        for line in wrap(text, self._width):
            self.console.print(Text(line, style=style))

    def result(self, what: str, came: str, *, good: bool) -> bool:
        """What was tried and what came of it; gives `good` back."""
        self._marked(f"{what}: {came}", good=good)
        return good

    def in_short(self, text: str, *, good: bool) -> None:
        """A line for the summary."""
        self._lines.append(Line(text, good))
        self.good = self.good and good

    def summary(self, seconds: float) -> None:
        """The lines that were kept."""
        self.console.print()
        self.console.print(Text(f"In short, after {seconds:.0f} s", style="bold"))
        for line in self._lines:
            self._marked(line.text, good=line.good)
        ending = (
            "All of it as it should be." if self.good else "NOT all of it is as it should be: see the lines marked !!"
        )
        self.say(ending, style="bold green" if self.good else "bold red")

    def _marked(self, text: str, *, good: bool) -> None:
        mark = Text("  ok  " if good else "  !!  ", style="green" if good else "bold red")
        for number, line in enumerate(wrap(text, self._width - len(mark))):
            self.console.print(Text.assemble(mark if number == 0 else " " * len(mark), line))


def wrap(text: str, width: int) -> list[str]:
    """Lines no longer than `width` where words allow it; names with hyphens stay whole."""
    return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)
