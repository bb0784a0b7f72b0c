"""A group that imports a command's module only when that command is used, and the command that can't be a coroutine."""

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click

from dermalink.cli.options import COMMAND_KEY


class Lazy(NamedTuple):
    """Where a command is, as `module:name`, and its one line in the group's help."""

    where: str
    help: str


class Command(click.Command):
    """A command whose callback can't be a coroutine function, since click would call it and do nothing."""

    def __init__(self, name: str | None, callback: Callable[..., Any] | None = None, **settings: Any) -> None:
        if inspect.iscoroutinefunction(callback):
            raise TypeError(f"`{name}` is an `async def` that would never run; put @asynchronous on it")
        super().__init__(name, callback=callback, **settings)


class LazyGroup(click.Group):
    """A group whose commands stand in a table; its help needs none of their modules."""

    command_class = Command

    def __init__(self, *args: Any, lazy: Mapping[str, Lazy], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.lazy = dict(lazy)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """In the order of the table."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in self.lazy:
            return None
        ctx.meta[COMMAND_KEY] = cmd_name
        module, _, name = self.lazy[cmd_name].where.partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """From the table, so that `--help` stays quick."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in self.lazy.items()])
