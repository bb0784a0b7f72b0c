"""`dermalink-sim serve`: a simulated pen as a process of its own."""

import shlex
from pathlib import Path

import click

from dermalink_simulator.cli.options import json_option

DEFAULT_TCP = "127.0.0.1:7321"
CLOCKS = ("stands", "follows")


@click.command()
@click.option("--tcp", metavar="HOST:PORT", help=f"Open a TCP door; port 0 takes any free one. [{DEFAULT_TCP}]")
@click.option("--pty", metavar="PATH", help="Open a serial door: a pseudo-terminal behind a symlink at PATH.")
@click.option(
    "--ble", metavar="RADIO", help="Put the pen on Bluetooth: tcp-server:HOST:PORT, vhci, usb:0, hci-socket:0."
)
@click.option("--air", metavar="PROFILE", help="The air of a --ble that hosts come to: room or perfect. [room]")
@click.option("--control", metavar="HOST:PORT", help="Open the tester's channel (this machine only; port 0: any).")
@click.option("--state", metavar="DIR", help="Keep the pen's flash and clock in DIR, across runs.")
@click.option("--seed", type=click.IntRange(0, 99_999_999), help="Draw the pen's chance from this number. [0]")
@click.option("--profile", metavar="NAME", help="What kind of pen (see `dermalink-sim profiles`). [nominal]")
@click.option("--head", metavar="KIND", help="The cartridge that is fitted: glide, stamp, long, blank, none.")
@click.option(
    "--clock",
    type=click.Choice(CLOCKS),
    default="stands",
    show_default=True,
    help="With --state: what the pen's clock did between runs.",
)
@click.option("--speed", type=click.IntRange(1, 100), default=1, show_default=True, help="So many times as fast.")
@click.option("--person", is_flag=True, help="Let a simulated person press the button and sweep what is asked for.")
@click.option("--faults", metavar="FILE", help="Put on the faults in FILE; their times count from when it is ready.")
@click.option(
    "--beyond-this-machine", is_flag=True, help="Let other machines reach --tcp and --ble; anybody can then connect."
)
@json_option("Say what happens as JSON, a line each.")
def serve(  # noqa: PLR0913 (a command has as many arguments as options)
    *,
    tcp: str | None,
    pty: str | None,
    ble: str | None,
    air: str | None,
    control: str | None,
    state: str | None,
    seed: int | None,
    profile: str | None,
    head: str | None,
    clock: str,
    speed: int,
    person: bool,
    faults: str | None,
    beyond_this_machine: bool,
    as_json: bool,
) -> None:
    """Run a simulated pen until Ctrl-C, and say how to reach it.

    Each connection is a port of the pen: the one that opens a session owns it, any other gets identity, state, Stop.
    --ble needs no radio with tcp-server: (hosts are the radio's other end), makes an adapter of the system's own with
    vhci (Linux), and goes on the air with a dongle.

    \b
    Examples:
      dermalink-sim serve
      dermalink-sim serve --pty /tmp/pen --control :7322
      dermalink-sim serve --tcp :0 --json
      dermalink-sim serve --ble tcp-server:127.0.0.1:7323
      dermalink-sim serve --state ./pen --clock follows
      dermalink-sim serve --faults faults.toml
    """
    import asyncio
    import contextlib

    from dermalink_simulator.making import PROFILE_DEFAULT
    from dermalink_simulator.serving import Serving, Wanted

    if air is not None and ble is None:
        raise click.UsageError("--air says how the air of --ble is: give --ble as well")
    given = {name for name, value in (("seed", seed), ("profile", profile)) if value is not None}
    wanted = Wanted(
        tcp=DEFAULT_TCP if tcp is None and pty is None and ble is None else tcp,
        pty=None if pty is None else Path(pty),
        ble=ble,
        air=air,
        control=control,
        state=None if state is None else Path(state),
        seed=seed or 0,
        profile=profile or PROFILE_DEFAULT,
        given=frozenset(given),
        head=head,
        follow_wall=clock == "follows",
        speed=speed,
        person=person,
        faults=None if faults is None else Path(faults),
        beyond_this_machine=beyond_this_machine,
    )
    with contextlib.suppress(KeyboardInterrupt):  # where there are no signal handlers (Windows) Ctrl-C comes so
        asyncio.run(Serving(wanted, _say_json if as_json else _say_words).run())


def _say_json(event: str, **facts: object) -> None:
    import json

    click.echo(json.dumps({"event": event, **facts}))


def _say_words(event: str, **facts: object) -> None:
    """For a person: what is ready, and what to type next."""
    if event != "ready":
        click.echo(f"dermalink-sim: {facts.get('says', event)}")
        return
    click.echo(f"Simulated pen {facts['serial_number']} is ready (profile {facts['profile']}, seed {facts['seed']}).")
    urls = facts["urls"]
    assert isinstance(urls, list)
    for url in urls:
        click.echo(f"  connect   dermalink info --pen {shlex.quote(url)}")
    if facts["radio"]:
        radio = shlex.quote(str(facts["radio"]))
        click.echo(f"  radio     for every ble: URL without one: export DERMALINK_RADIO={radio}")
    if facts["faults"]:
        click.echo(f"  faults    {facts['faults']} from {facts['faults_from']}")
    if facts["control"]:
        click.echo(f"  control   dermalink-sim control --at {facts['control']} truth")
    if facts["state"]:
        click.echo(f"  state     {facts['state']}")
    else:
        click.echo("  journal   it keeps no state, so give its sessions one of their own: session run --journal FILE")
    click.echo(f"  card      setup code {facts['setup_code']}, QR code {facts['card']}")
    click.echo("  end       Ctrl-C")
