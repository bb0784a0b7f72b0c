"""`python -m tests.benchmarks [ROOM ...] [--json FILE]`: measures, and prints one table. Nothing passes or fails."""

import argparse
import importlib
import json
import platform
import sys
from pathlib import Path

from tests.benchmarks.measure import Missing, Row

ROOMS = ("codec", "stream", "wire", "round_trip", "session", "start_up")


def show(row: Row) -> str:
    """One row as a line of a Markdown table."""
    ours, peers = f"{row.ours:,.3g} {row.unit}", f"{row.peer} {row.peers:,.3g} {row.peer_unit or row.unit}"
    return f"| {row.name} | {ours} | {peers} | {row.ratio:.2f} | {row.aim} |"


def main() -> int:
    """Run the rooms asked for, all by default."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"of {', '.join(ROOMS)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there as well")
    options = parser.parse_args()
    unknown = set(options.rooms) - set(ROOMS)
    if unknown:
        parser.error(f"no such room: {', '.join(sorted(unknown))}; there are {', '.join(ROOMS)}")
    found: list[Row] = []
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}\n")
    print("| what | ours | against | ratio | aim |\n| --- | --- | --- | --- | --- |")
    for name in options.rooms or ROOMS:
        try:
            for row in importlib.import_module(f"tests.benchmarks.{name}").rows():
                print(show(row), flush=True)
                found.append(row)
        except Missing as reason:
            print(f"| {name} | left out: {reason} | | | |", flush=True)
    if options.json:
        options.json.write_text(
            json.dumps([row._asdict() for row in found], indent=1, ensure_ascii=False), encoding="utf-8"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
