"""`dermalink-sim completion`: a shell's completion script."""

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish", "powershell")
VARIABLE = "_DERMALINK_SIM_COMPLETE"

EPILOG = """\b
Put one of these where your shell starts:
  bash         eval "$(dermalink-sim completion bash)"        in ~/.bashrc
  zsh          eval "$(dermalink-sim completion zsh)"         in ~/.zshrc
  fish         dermalink-sim completion fish | source         in ~/.config/fish/config.fish
  PowerShell   dermalink-sim completion powershell | Out-String | Invoke-Expression    in $PROFILE
"""


@click.command(epilog=EPILOG)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script for SHELL."""
    from dermalink_simulator.cli.app import app

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(app, {}, "dermalink-sim", VARIABLE).source())
