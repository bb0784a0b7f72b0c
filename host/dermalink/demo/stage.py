"""How the demo looks: acts, what happens in them, and a summary; in a terminal, without colour, and in a file."""

import textwrap
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH_MAX: Final = 100


class Result(NamedTuple):
    """One line of the summary: what was tried, what came of it, and whether that is as it should be."""

    what: str
    came: str
    good: bool


class Stage:
    """Prints, and keeps results for the end."""

    def __init__(self, console: Console) -> None:
        """On `console`, at most `WIDTH_MAX` wide where it is no terminal."""
        self.console = console
        self.results: list[Result] = []
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
        self.console.print(Text(textwrap.fill(text, self._width), style=style))

    def result(self, what: str, came: str, *, good: bool) -> None:
        """What was tried and what came of it; kept for the summary."""
        self.results.append(Result(what, came, good))
        mark = Text("  ok  " if good else "  !!  ", style="green" if good else "bold red")
        body = textwrap.wrap(f"{what}: {came}", self._width - 6)
        for number, line in enumerate(body):
            self.console.print(Text.assemble(mark if number == 0 else "      ", line))

    def summary(self, seconds: float) -> None:
        """All results once more, short."""
        good = sum(result.good for result in self.results)
        self.console.print()
        self.console.print(
            Text(f"In short ({seconds:.0f} s, {good} of {len(self.results)} as it should be)", style="bold")
        )
        table = Table.grid(padding=(0, 1))
        table.add_column(min_width=4)
        table.add_column(ratio=2)
        table.add_column(ratio=3)
        for result in self.results:
            mark = Text("ok" if result.good else "!!", style="green" if result.good else "bold red")
            table.add_row(mark, Text(result.what), Text(result.came))
        self.console.print(table, width=self._width)
