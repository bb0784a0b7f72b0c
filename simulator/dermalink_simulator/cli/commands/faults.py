"""`dermalink-sim faults`: the vocabulary of what can go wrong."""

import json

import click

from dermalink_simulator.cli.options import json_option
from dermalink_simulator.faults.words import VOCABULARY


@click.command()
@json_option()
def faults(*, as_json: bool) -> None:
    """List the faults that can be injected, with their numbers.

    \b
    Example:
      dermalink-sim control --at :7322 fault inject depth_sensor offset um=60
    """
    for word in VOCABULARY:
        if as_json:
            record = word._asdict() | {"parameters": [parameter._asdict() for parameter in word.parameters]}
            click.echo(json.dumps(record))
            continue
        which = f"  ({word.unit} 1 to {word.instances}, 0 for any)" if word.instances else ""
        click.echo(f"{word.unit} {word.kind}: {word.says}{which}")
        for parameter in word.parameters:
            span = f"{parameter.low} to {parameter.high}, {parameter.default} if nothing is said"
            click.echo(f"    {parameter.name}={parameter.default}  {parameter.says} ({span})")
