"""`dermalink completion`."""

import click
from click.shell_completion import get_completion_class

from dermalink.cli.lazy import Command

SHELLS = ("bash", "zsh", "fish", "powershell")

EPILOG = """\b
Put one of these where your shell starts:
  ~/.bashrc                     eval "$(dermalink completion bash)"
  ~/.zshrc                      eval "$(dermalink completion zsh)"
  ~/.config/fish/config.fish    dermalink completion fish | source
  $PROFILE (PowerShell)         dermalink completion powershell | Out-String | iex
"""


@click.command(cls=Command, epilog=EPILOG)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script for SHELL."""
    from dermalink.cli.app import app

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(app, {}, "dermalink", "_DERMALINK_COMPLETE").source())
