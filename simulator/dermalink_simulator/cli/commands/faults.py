"""`dermalink-sim faults`: the vocabulary of what can go wrong, and files of it."""

import json
from pathlib import Path

import click

from dermalink_simulator.cli.options import json_option
from dermalink_simulator.faults.spelling import SCHEDULE, Fault, schedule_of
from dermalink_simulator.faults.words import VOCABULARY, FaultKind, Parameter


@click.command()
@click.option("--check", "file", metavar="FILE", help="Read a file of faults and say what is in it, or what is wrong.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of such a file.")
@json_option()
def faults(*, file: str | None, schema: bool, as_json: bool) -> None:
    """List the faults that can be injected, with their numbers.

    \b
    Examples:
      dermalink-sim control --at :7322 fault inject depth_sensor offset um=60
      dermalink-sim control --at :7322 fault inject contact bouncing --after-ms 2000 --for-ms 500
      dermalink-sim faults --check faults.toml
      dermalink-sim serve --faults faults.toml
    """
    if file is not None and schema:
        raise click.UsageError("--schema is what --check holds a file to: give one of them")
    if schema:
        from dermalink_simulator.faults.models import schema as made  # a quarter of a second, which a listing is spared

        click.echo(json.dumps(made(), indent=1, ensure_ascii=False))
    elif file is not None:
        _check(file, as_json=as_json)
    else:
        for word in VOCABULARY:
            click.echo(_as_json(word) if as_json else _in_words(word))
        if not as_json:
            click.echo(
                "\nEach takes after_ms, when it begins; one that lasts takes for_ms, and one that is drawn seed:"
            )
            for one in SCHEDULE:
                click.echo(f"    {one.name}={one.default}  {_says(one)}")


def _check(file: str, *, as_json: bool) -> None:
    from dermalink_simulator.faults.file import load_faults

    script = load_faults(Path(file))
    for fault in script.faults:
        click.echo(
            json.dumps(fault._asdict()) if as_json else f"{_when(fault):<28}{fault._replace(after_ms=0, for_ms=0)}"
        )
    if not as_json:
        count = len(script.faults)
        click.echo(f"{script.source} is in order: {count} fault{'' if count == 1 else 's'}.")


def _when(fault: Fault) -> str:
    begins = f"after {fault.after_ms} ms" if fault.after_ms else "at once"
    if fault.word.once:
        return f"{begins}, once"
    return f"{begins}, for {fault.for_ms} ms" if fault.for_ms else f"{begins}, for good"


def _as_json(word: FaultKind) -> str:
    parameters = [one._asdict() for one in word.parameters]
    schedule = [one.name for one in schedule_of(word)]
    return json.dumps(word._asdict() | {"parameters": parameters, "schedule": schedule})


def _in_words(word: FaultKind) -> str:
    which = f"  ({word.unit} 1 to {word.instances}, 0 for any)" if word.instances else ""
    numbers = [f"    {one.name}={one.default}  {_says(one)}" for one in word.parameters]
    return "\n".join((f"{word.unit} {word.kind}: {word.says}{which}", *numbers))


def _says(one: Parameter) -> str:
    return f"{one.says} ({one.low} to {one.high}, {one.default} if nothing is said)"
