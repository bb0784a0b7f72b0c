"""`dermalink-sim control`: a tester's hands on a running simulated pen; its commands are made from the vocabulary."""

import json
from typing import Any, Final

import click

from dermalink_simulator.cli.options import CONTROL_VARIABLE, json_option
from dermalink_simulator.control.client import ControlClient
from dermalink_simulator.control.words import REQUIRED, VOCABULARY, Argument, Word
from dermalink_simulator.doors.address import Address, parse_address

# Words that read well without their room.
TOP_LEVEL: Final = ("button", "cartridge")
EPILOG: Final = """\b
Examples:
  dermalink-sim control --at :7322 press
  dermalink-sim control --at :7322 press --for-ms 3500
  dermalink-sim control --at :7322 fit stamp
  dermalink-sim control --at :7322 hand sweep nose vertical --speed-mm-s 40
  dermalink-sim control --at :7322 clock advance 1209600
  dermalink-sim control --at :7322 fault inject depth_sensor offset um=60
  dermalink-sim control --at :7322 truth
"""


@click.group(epilog=EPILOG)
@click.option(
    "--at",
    "at",
    metavar="HOST:PORT",
    required=True,
    envvar=CONTROL_VARIABLE,
    show_envvar=True,
    help="Where the pen's control channel is; `serve` says it.",
)
@json_option("Print the answer as JSON.")
@click.pass_context
def control(ctx: click.Context, *, at: str, as_json: bool) -> None:
    """Work a running pen: its button, cartridge, clock and power, the hand that holds it, and what breaks in it."""
    ctx.obj = (parse_address(at), as_json)


def _pair(text: str) -> tuple[str, int]:
    """Name and number of `name=value`; a usage error for anything else."""
    name, equals, number = text.partition("=")
    if not (name and equals and number.removeprefix("-").isascii() and number.removeprefix("-").isdecimal()):
        raise click.BadParameter(f"{text!r} is not NAME=VALUE with a whole number")
    return name, int(number)


def _type_of(argument: Argument) -> "click.ParamType[Any]":
    if argument.choices:
        return click.Choice(argument.choices)
    if argument.flag:
        return click.BOOL
    if argument.text:
        return click.STRING
    return click.IntRange(argument.low, argument.high)


def _parameter(argument: Argument) -> click.Parameter:
    """What is needed, or one of a few words, has its place; the rest has its name."""
    needed = argument.default is REQUIRED
    if argument.numbers:
        return click.Argument([argument.name], type=_pair, nargs=-1, metavar="[NAME=VALUE]...")
    if needed or argument.choices:
        metavar = None if needed else f"[{'|'.join(argument.choices)}]"
        default = {} if needed else {"default": argument.default}
        return click.Argument([argument.name], type=_type_of(argument), required=needed, metavar=metavar, **default)
    says = argument.says if argument.default is None else f"{argument.says} [{argument.default}]"
    return click.Option([f"--{argument.name.replace('_', '-')}", argument.name], type=_type_of(argument), help=says)


def _command(word: Word, name: str) -> click.Command:
    def run(**given: Any) -> None:
        address, as_json = click.get_current_context().obj
        for argument in word.arguments:
            if argument.numbers:
                given[argument.name] = dict(given[argument.name]) or None
        _ask(address, word.name, given, as_json=as_json)

    return click.Command(name, callback=run, params=[_parameter(one) for one in word.arguments], help=word.says)


def _ask(address: Address, word: str, given: dict[str, Any], *, as_json: bool) -> None:
    with ControlClient(address.host, address.port) as client:
        answer = client.do(word, **given)
        if as_json and word != "watch":
            click.echo(json.dumps(answer))
        elif not as_json:
            _print(answer)
        if word == "watch":
            for event in client.events():
                click.echo(json.dumps(event) if as_json else " ".join(f"{key}={event[key]}" for key in event))


def _print(answer: dict[str, Any]) -> None:
    width = max((len(key) for key in answer), default=0)
    for key, value in answer.items():
        if isinstance(value, list) and value:
            click.echo(key)
            for entry in value:
                line = " ".join(f"{name}={entry[name]}" for name in entry) if isinstance(entry, dict) else str(entry)
                click.echo(f"  {line}")
        else:
            click.echo(f"{key:<{width}}  {'-' if value in (None, []) else value}")


def _build() -> None:
    groups: dict[str, click.Group] = {}
    for word in VOCABULARY:
        room, _, name = word.name.rpartition(".")
        name = name.replace("_", "-")
        if not room or room in TOP_LEVEL:
            control.add_command(_command(word, name))
            continue
        if room not in groups:
            groups[room] = click.Group(room, help=f"The pen's {room}." if room != "hand" else "The hand that holds it.")
            control.add_command(groups[room])
        groups[room].add_command(_command(word, name))


_build()
