"""What every act has: a simulated pen, a folder for its state, keys, a journal, a plan for the nose, the stage."""

import time
from pathlib import Path
from typing import Final

from dermalink.demo.simulator import Simulator
from dermalink.demo.stage import Stage
from dermalink.journal_file import FileJournal
from dermalink.ownership.store import KeyStore
from dermalink.pen import Pen
from dermalink.plan.load import Plan, load_plan

PLAN: Final = """\
plan = 1
rate_hz = 100
speed_mm_s = 40
[[zone]]
name = "nose"
directions = [{directions}]
depth = "0.25 mm"
"""


def write_plan(folder: Path, *directions: str) -> Plan:
    """A plan for the nose, written and read as a person's would be."""
    path = folder / "plan.toml"
    path.write_text(PLAN.format(directions=", ".join(f'"{each}"' for each in directions)), encoding="utf-8")
    return load_plan(path)


class Act:
    """What every act has: a simulated pen, a folder, keys in it, the stage; the person's own keys are left alone."""

    def __init__(self, stage: Stage, folder: Path, simulator: Simulator) -> None:
        self.stage, self.folder, self.simulator = stage, folder, simulator
        self.keys_folder = folder / "keys"
        self.keys = KeyStore(self.keys_folder, lambda: None)
        self.skipped_s = 0

    def utc(self) -> int:
        """The host's clock, moved on with the pen's."""
        return int(time.time()) + self.skipped_s

    async def connect(self) -> Pen:
        """The owner's connection, with this act's own keys and journal."""
        journal = FileJournal(self.folder / "journal.jsonl")
        return await Pen.connect(self.simulator.url, journal=journal, utc=self.utc, known=self.keys.known)

    async def inspect(self) -> Pen:
        """The owner's connection to look at the pen, with no journal."""
        return await Pen.connect(self.simulator.url, inspect_only=True, known=self.keys.known)

    async def wait(self, days_s: int) -> None:
        """So much time passes for pen and host."""
        await self.simulator.do("clock.advance", seconds=days_s)
        self.skipped_s += days_s
