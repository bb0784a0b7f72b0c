"""What a session shows: a panel that moves in a terminal, lines anywhere else, JSON lines for a script."""

import io
import sys
import textwrap
from types import TracebackType
from typing import Final, Protocol, Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dermalink.display.sentences import pass_name, sentence
from dermalink.display.units import count, newton, um
from dermalink.session.coverage import COVERED_PERCENT
from dermalink.session.events import Event, PassPlan, Progress
from dermalink_protocol.codewords import State
from dermalink_protocol.zones import Direction, Zone

LINE_EVERY_PERCENT: Final = 20  # where nothing can move, a line of progress each time this much more is covered
BAR_CELLS: Final = 30
KEYS: Final = "space pause   r go on   e end pass   s stop   1 pain   2 bleeding   3 rash"


NO_PROGRESS: Final = Progress(
    step=PassPlan(
        number=1, passes=1, zone=Zone.NOSE, direction=Direction.VERTICAL, depth_um=200, rate_hz=50, speed_mm_s=10
    ),
    state=State.OPEN,
    coverage_percent=0,
    depth_um=0,
    peak_um=0,
    cap_um=200,
    punctures=0,
    budget=1,
    force_mn=0,
    rate_hz=0,
    contact=False,
    battery_percent=0,
    lease_margin_ms=0,
    lowest_lease_margin_ms=0,
    lease_ms=0,
    round_trip_ms=0.0,
    lost=0,
)


class Display(Protocol):
    """Whoever is told what happens in a session."""

    def show(self, event: Event) -> None:
        """Take one event; quick, and never waits for anybody."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class JsonDisplay:
    """Each event as one line of JSON."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """To `stream`, by default stdout."""
        self._stream = stream or sys.stdout

    def show(self, event: Event) -> None:
        """One line, at once."""
        self._stream.write(event.as_line() + "\n")
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return


class LineDisplay:
    """Sentences, and now and then a line of progress: for pipes, files and terminals that can't move."""

    def __init__(self, console: Console) -> None:
        """To `console`."""
        self._console = console
        self._next_percent = 0

    def show(self, event: Event) -> None:
        """A sentence, or a line of progress when enough has changed."""
        if isinstance(event, Progress):
            if event.coverage_percent >= self._next_percent:
                self._next_percent += LINE_EVERY_PERCENT
                self._console.print(Text(f"  {progress_line(event)}"), soft_wrap=True)
            return
        self._next_percent = 0
        self._console.print(Text(sentence(event)), soft_wrap=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return


class LiveDisplay:
    """A panel at the bottom that moves, with sentences scrolling above it."""

    def __init__(self, console: Console, *, keys: str = KEYS) -> None:
        """On `console`, a terminal; `keys` is the line that says which keys do what."""
        self._console = console
        self._keys = keys
        self._live: Live | None = None
        # What rich imports when it first draws is imported now, and not while a lease runs.
        Console(file=io.StringIO(), width=80, force_terminal=True).print(progress_panel(NO_PROGRESS, keys))

    def show(self, event: Event) -> None:
        """Move the panel, or print a sentence above it."""
        if isinstance(event, Progress):
            panel = progress_panel(event, self._keys)
            if self._live is None:
                self._live = Live(panel, console=self._console, auto_refresh=False, transient=True)
                self._live.start()
            self._live.update(panel, refresh=True)
            return
        self._end_panel()
        self._console.print(Text(wrapped(sentence(event), self._console.width)))

    def _end_panel(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_panel()


def display_for(console: Console, *, keys: str = KEYS) -> LiveDisplay | LineDisplay:
    """The display that suits the console."""
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveDisplay(console, keys=keys)
    return LineDisplay(console)


def wrapped(text: str, width: int) -> str:
    """Lines no longer than `width`, what is broken indented by two more than its line."""
    lines = []
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        lines += textwrap.wrap(line, width, subsequent_indent=indent) or [""]
    return "\n".join(lines)


def progress_line(event: Progress) -> str:
    """All of a pass's numbers in one line."""
    return (
        f"about {event.coverage_percent} % covered, {count(event.punctures)} of {count(event.budget)} punctures,"
        f" depth {um(event.peak_um)} of {um(event.cap_um)}, {newton(event.force_mn)}, {event.rate_hz} Hz,"
        f" battery {event.battery_percent} %, lease {event.lease_margin_ms} of {event.lease_ms} ms left,"
        f" {event.lowest_lease_margin_ms} at least"
    )


def progress_panel(event: Progress, keys: str) -> RenderableType:
    """The moving panel; fits 80 columns."""
    rows = Table.grid(padding=(0, 1))
    rows.add_column(style="dim", min_width=20)
    rows.add_column(width=BAR_CELLS)
    rows.add_column()
    over = event.peak_um > event.cap_um
    rows.add_row("coverage (estimate)", _bar(event.coverage_percent, 100), f"{event.coverage_percent} %")
    spent = f"{count(event.punctures)} of {count(event.budget)}"
    rows.add_row("punctures", _bar(event.punctures, event.budget), spent)
    depth = Text(f"{um(event.peak_um)} of {um(event.cap_um)}", style="bold red" if over else "")
    rows.add_row("deepest, against cap", _bar(event.peak_um, event.cap_um, "red" if over else "green"), depth)
    contact = "on the skin" if event.contact else "off the skin"
    now = f"depth {um(event.depth_um)}, {newton(event.force_mn)}, {event.rate_hz} Hz, {contact}"
    link = (
        f"battery {event.battery_percent} %, link {event.round_trip_ms:.0f} ms, lease {event.lease_margin_ms}"
        f" of {event.lease_ms} ms left, {event.lowest_lease_margin_ms} at least, {event.lost} lost"
    )
    if event.coverage_percent >= COVERED_PERCENT:
        keys = "covered, by the estimate: lift the pen off to end this pass"
    title = Text(f"{pass_name(event.step)}: {event.state.name.lower().replace('_', ' ')}", style="bold")
    return Group(title, rows, Text(now, style="dim"), Text(link, style="dim"), Text(keys, style="dim italic"))


def _bar(value: int, whole: int, style: str = "cyan") -> ProgressBar:
    return ProgressBar(total=max(1, whole), completed=min(value, whole), width=BAR_CELLS, complete_style=style)
