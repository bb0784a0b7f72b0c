"""`python -m tests.benchmarks [ROOM ...] [--json FILE] [--write PAGE]`: measures, and prints a table or two.

Nothing passes or fails. What is written to a page is a whole table from one run. `lease_margin` takes long, so it runs
only when it is named, and has a table of its own:
`python -m tests.benchmarks lease_margin [--hours H] [--kept FILE] [--jobs N] [--write PAGE]`.
"""

import argparse
import importlib
import json
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks.measure import Missing, Row

MAIN = ("codec", "stream", "wire", "sealing", "round_trip", "sealed_trip", "owning", "session", "start_up")
BLUETOOTH = ("bluetooth",)
ROOMS = (*MAIN, *BLUETOOTH)
LONG = "lease_margin"
HEAD = ("| what | ours | against | ratio | aim |", "| --- | --- | --- | --- | --- |")
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
BLUETOOTH_BEGIN, BLUETOOTH_END = "<!-- bluetooth: begin -->", "<!-- bluetooth: end -->"
TABLES = ((MAIN, BEGIN, END), (BLUETOOTH, BLUETOOTH_BEGIN, BLUETOOTH_END))
LEASE_BEGIN, LEASE_END = "<!-- lease margin: begin -->", "<!-- lease margin: end -->"

HOURS_MAX = 1_000
JOBS_MAX = 61  # what Windows can wait for


def show(row: Row) -> str:
    """One row as a line of a Markdown table."""
    ours, peers = f"{row.ours:,.3g} {row.unit}", f"{row.peer} {row.peers:,.3g} {row.peer_unit or row.unit}"
    return f"| {row.name} | {ours} | {peers} | {row.ratio:.2f} | {row.aim} |"


def machine() -> str:
    """Where it was measured: what matters to somebody who compares, and nothing that names the computer."""
    return f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def with_table(page: str, lines: list[str], begins: str = BEGIN, ends: str = END) -> str:
    """`page` with `lines` between its two marks, and everything else as it was; raises ValueError without them."""
    before, begin, rest = page.partition(begins)
    _, end, after = rest.partition(ends)
    if not begin or not end or begins in after or ends in after:
        raise ValueError(f"the page needs one `{begins}` with one `{ends}` behind it")
    return "".join((before, begins, "\n\n", "\n".join(lines), "\n\n", ends, after))


def measure(rooms: list[str]) -> tuple[list[Row], list[str]]:
    """The rows of these rooms, and the table, printed as it grows."""
    found: list[Row] = []
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    for line in HEAD:
        say(line)
    for name in rooms:
        try:
            for row in importlib.import_module(f"tests.benchmarks.{name}").rows():
                found.append(row)
                say(show(row))
        except Missing as reason:
            say(f"| {name} | left out: {reason} | | | |")
    return found, lines


def said(lines: Iterable[str]) -> list[str]:
    """The lines, each printed as it comes."""
    kept = []
    for line in lines:
        kept.append(line)
        print(line, flush=True)
    return kept


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """What was asked for; ends the program where that can't be."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"of {', '.join(ROOMS)}; or {LONG}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there as well")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put each table between its marks on this page")
    parser.add_argument("--hours", type=float, default=0.2, help=f"of {LONG}: simulated hours a kind of air (0.2)")
    parser.add_argument("--kept", type=Path, metavar="FILE", help=f"of {LONG}: go on from the results in this file")
    cores = os.cpu_count() or 1
    parser.add_argument("--jobs", type=int, default=cores, help=f"of {LONG}: processes side by side ({cores})")
    options = parser.parse_args(arguments)
    unknown = set(options.rooms) - {*ROOMS, LONG}
    if unknown:
        parser.error(f"no such room: {', '.join(sorted(unknown))}; there are {', '.join((*ROOMS, LONG))}")
    if not 0 < options.hours <= HOURS_MAX:
        parser.error(f"--hours {options.hours:g} was refused: more than 0, and {HOURS_MAX} at most")
    if not 0 < options.jobs <= JOBS_MAX:
        parser.error(f"--jobs {options.jobs} was refused: 1 to {JOBS_MAX}")
    if options.write:
        try:
            look_at_page(options)
        except (OSError, ValueError) as error:
            parser.error(f"{options.write}: {error}")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the rooms asked for, by default all but the long one."""
    options = options_of(arguments)
    rooms, long = rooms_of(options)
    print(f"{machine()}\n")
    found: list[Row] = []
    for chosen, begins, ends in tables_of(rooms):
        rows, lines = measure(chosen)
        found += rows
        print(flush=True)
        if options.write:
            write(options.write, [f"{machine()}:", "", *lines], begins, ends)
    if options.json:
        rows_as_json = [row._asdict() for row in found]
        options.json.write_text(json.dumps(rows_as_json, indent=1, ensure_ascii=False), encoding="utf-8")
    if long:
        from tests.benchmarks import lease_margin

        lines = said(lease_margin.lines(options.hours, options.kept, options.jobs))
        if options.write:
            write(options.write, lines, LEASE_BEGIN, LEASE_END)
    return 0


def rooms_of(options: argparse.Namespace) -> tuple[list[str], bool]:
    """The rooms that are asked for, and whether the long one is."""
    return [room for room in options.rooms or ROOMS if room != LONG], LONG in options.rooms


def tables_of(rooms: list[str]) -> list[tuple[list[str], str, str]]:
    """The tables that these rooms make, each with its marks; a room that is named twice is measured once."""
    tables = [([room for room in whole if room in rooms], begins, ends) for whole, begins, ends in TABLES]
    return [table for table in tables if table[0]]


def look_at_page(options: argparse.Namespace) -> None:
    """Before minutes are spent: whether the page can be written; raises OSError or ValueError."""
    page = options.write.read_text(encoding="utf-8")
    rooms, long = rooms_of(options)
    for chosen, begins, ends in tables_of(rooms):
        with_table(page, [], begins, ends)
        (whole,) = (each for each, mark, _ in TABLES if mark == begins)
        if missing := set(whole) - set(chosen):
            raise ValueError(f"a part of a table is not written; {', '.join(sorted(missing))} would be lost")
    if long:
        with_table(page, [], LEASE_BEGIN, LEASE_END)


def write(file: Path, lines: list[str], begins: str, ends: str) -> None:
    """Put a table on the page."""
    page = with_table(file.read_text(encoding="utf-8"), lines, begins, ends)
    file.write_text(page, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    sys.exit(main())
