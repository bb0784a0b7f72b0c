"""`dermalink session plan` and `dermalink session check`."""

import json
from pathlib import Path
from typing import Any

import click

from dermalink.cli.lazy import Command
from dermalink.cli.options import json_option

PLAN_EPILOG = """\b
Examples:
  dermalink session plan                 print it
  dermalink session plan plan.toml       write it; a file that exists stays as it is
"""
CHECK_EPILOG = """\b
Examples:
  dermalink session check plan.toml
  dermalink session check plan.toml --json
"""


@click.command(cls=Command, epilog=PLAN_EPILOG)
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
def plan(file: Path | None) -> None:
    """Print an example plan, or write it to FILE, to edit."""
    from dermalink.plan.example import EXAMPLE

    if file is None:
        click.echo(EXAMPLE, nl=False)
        return
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(EXAMPLE)
    except FileExistsError:
        raise click.UsageError(f"{file} exists and was left as it is. Name another file, or move it away.") from None
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise click.UsageError(f"{file} can't be written ({why}). Name another file.") from None
    click.echo(f"Wrote {file}. Edit it, then: dermalink session check {file}")


@click.command(cls=Command, epilog=CHECK_EPILOG)
@click.argument("file", metavar="PLAN", type=click.Path(path_type=Path))
@json_option("Print the plan's passes, or its problems, as JSON.")
def check(file: Path, *, as_json: bool) -> None:
    """Check the plan file PLAN by the limits that hold without a pen.

    What depends on the pen and its head (its own limits, the head's reach and kind, punctures per cm²) is checked by
    `session run`, before anything moves.
    """
    from dermalink.plan.load import load_plan

    loaded = load_plan(file)
    if as_json:
        click.echo(json.dumps({"plan": str(file), "passes": [_as_dict(step) for step in loaded.steps]}))
        return
    passes = "1 pass" if len(loaded.steps) == 1 else f"{len(loaded.steps)} passes"
    click.echo(f"{file} is a plan: {passes}.")
    for number, step in enumerate(loaded.steps, start=1):
        where = f"{step.zone.name.lower().replace('_', ' ')}, {step.direction.name.lower()}"
        click.echo(f"  {number}. {where}: {step.depth_um} um, {step.rate_hz} Hz, {step.speed_mm_s} mm/s")


def _as_dict(step: Any) -> dict[str, Any]:
    return {**step._asdict(), "zone": step.zone.name.lower(), "direction": step.direction.name.lower()}
