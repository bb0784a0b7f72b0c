"""`python -m tests.benchmarks [ROOM ...] [--json FILE] [--write PAGE]`: measures, and prints one table.

Nothing passes or fails.
"""

import argparse
import importlib
import json
import os
import platform
import sys
from pathlib import Path

from tests.benchmarks.measure import Missing, Row

ROOMS = ("codec", "stream", "wire", "round_trip", "session", "start_up")
HEAD = ("| what | ours | against | ratio | aim |", "| --- | --- | --- | --- | --- |")
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"


def show(row: Row) -> str:
    """One row as a line of a Markdown table."""
    ours, peers = f"{row.ours:,.3g} {row.unit}", f"{row.peer} {row.peers:,.3g} {row.peer_unit or row.unit}"
    return f"| {row.name} | {ours} | {peers} | {row.ratio:.2f} | {row.aim} |"


def machine() -> str:
    """Where it was measured: what matters to somebody who compares, and nothing that names the computer."""
    return f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def with_table(page: str, lines: list[str]) -> str:
    """`page` with `lines` between its two marks, and everything else as it was; raises ValueError without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in after:
        raise ValueError(f"the page needs one `{BEGIN}` with one `{END}` behind it")
    return "".join((before, BEGIN, "\n\n", "\n".join(lines), "\n\n", END, after))


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


def main(arguments: list[str] | None = None) -> int:
    """Run the rooms asked for, all by default."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"of {', '.join(ROOMS)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there as well")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table between the marks of this page")
    options = parser.parse_args(arguments)
    unknown = set(options.rooms) - set(ROOMS)
    if unknown:
        parser.error(f"no such room: {', '.join(sorted(unknown))}; there are {', '.join(ROOMS)}")
    if options.write:
        try:
            with_table(options.write.read_text(encoding="utf-8"), [])  # before minutes are spent
        except (OSError, ValueError) as error:
            parser.error(f"{options.write}: {error}")
    print(f"{machine()}\n")
    found, lines = measure(options.rooms or list(ROOMS))
    if options.json:
        options.json.write_text(
            json.dumps([row._asdict() for row in found], indent=1, ensure_ascii=False), encoding="utf-8"
        )
    if options.write:
        page = options.write.read_text(encoding="utf-8")
        options.write.write_text(with_table(page, [f"{machine()}:", "", *lines]), encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
