"""Options that several commands share."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

CONTROL_VARIABLE: Final = "DERMALINK_SIM_CONTROL"


def json_option(help_text: str = "Print JSON for a script.") -> Callable[[F], F]:
    """`--json`; that it was given is also known to whatever has to report an error."""

    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
        ctx.meta["dermalink.json"] = ctx.meta.get("dermalink.json", False) or value
        return value

    return click.option("--json", "as_json", is_flag=True, is_eager=True, callback=remember, help=help_text)
