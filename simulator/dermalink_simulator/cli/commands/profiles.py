"""`dermalink-sim profiles`: the kinds of pen that can be simulated."""

import json

import click

from dermalink_simulator.cli.options import json_option
from dermalink_simulator.profile import PROFILES


@click.command()
@json_option()
def profiles(*, as_json: bool) -> None:
    """List the kinds of pen there are."""
    for profile in PROFILES.values():
        if as_json:
            click.echo(json.dumps(profile._asdict() | {"physics": profile.physics._asdict()}))
        else:
            click.echo(f"{profile.name:<12} {profile.says}")
