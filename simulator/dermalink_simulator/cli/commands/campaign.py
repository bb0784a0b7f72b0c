"""`dermalink-sim campaign`: sessions drawn by chance, with faults, held against what truly happened to skin."""

import json
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Final

import click

from dermalink_simulator.campaign.coverage import page
from dermalink_simulator.campaign.invariants import ALL
from dermalink_simulator.campaign.many import Outcome, cores, outcomes
from dermalink_simulator.campaign.playing import play
from dermalink_simulator.campaign.script import SEED_MAX, Script, load, to_json
from dermalink_simulator.campaign.tally import Failure, Tally, TallyError
from dermalink_simulator.cli.exit_codes import ExitCode
from dermalink_simulator.cli.options import json_option
from dermalink_simulator.firmware.safeguards import SAFEGUARDS
from dermalink_simulator.trace import TraceFile, head_line

SHOWN_EVERY_S: Final = 1.0
SAVED_EVERY_S: Final = 5.0
FULL_RANGE_HZ: Final = (50, 150)  # what a simulated pen declares, for the trace's first line


def _seeds(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """`A:B`, from A to before B, or a usage error."""
    if value is None:
        return None
    first, _, end = value.partition(":")
    if not (_whole(first) and _whole(end) and int(first) < int(end) <= SEED_MAX):
        raise click.BadParameter(f"{value!r} is not A:B, from A to before B, up to {SEED_MAX}", ctx, param)
    return int(first), int(end)


def _whole(text: str) -> bool:
    return text.isascii() and text.isdecimal()


@click.command()
@click.option("--seeds", callback=_seeds, metavar="A:B", help="Play the seeds from A to before B.")
@click.option("--replay", "script", type=click.Path(path_type=Path), metavar="FILE", help="Play a script again.")
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(sorted(SAFEGUARDS)),
    help="Switch a safeguard off, to see what breaks (again for more).",
)
@click.option("--jobs", type=click.IntRange(1, 256), help="Processes; as many as there are cores if nothing is said.")
@click.option(
    "--into", type=click.Path(path_type=Path, file_okay=False), default=Path("campaign"), show_default=True,
    metavar="FOLDER", help="Where the tally goes, and the scripts and traces of seeds that broke something.",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with the tally in that folder.")
@click.option("--coverage", is_flag=True, help="Write coverage.md as well: what was reached, and what never.")
@json_option()
def campaign(
    *,
    seeds: tuple[int, int] | None,
    script: Path | None,
    without: tuple[str, ...],
    jobs: int | None,
    into: Path,
    resume: bool,
    coverage: bool,
    as_json: bool,
) -> None:
    """Play sessions drawn by chance, with faults, and look for a rule that breaks.

    A seed gives the pen, the hand, the host's behaviour and the faults. First there are faults, and the skin must stay
    safe; then all is healed, and the pen must settle. What breaks a rule is shrunk to a short script. Exit code 7: a
    rule was broken.

    \b
    Examples:
      dermalink-sim campaign --seeds 0:1000
      dermalink-sim campaign --resume
      dermalink-sim campaign --replay campaign/seed-8.json
      dermalink-sim campaign --seeds 0:60 --without lease
    """
    if [seeds is not None, script is not None, resume].count(True) != 1:
        raise click.UsageError("give one of --seeds A:B, --replay FILE and --resume")
    if script is not None:
        _replay(load(script), script, as_json=as_json)
        return
    tally = _tally(into, seeds, frozenset(without))
    interrupted = _play(tally, into, jobs or cores(), coverage=coverage, as_json=as_json)
    tally.save(into / "tally.json")
    if coverage:
        command = f"dermalink-sim campaign --seeds {tally.first}:{tally.end} --coverage"
        text = page(tally.reached, f"{len(tally.done)} seeds", command)
        (into / "coverage.md").write_text(text, encoding="utf-8")
    _conclude(tally, as_json=as_json)
    if interrupted:
        click.echo(f"Interrupted; dermalink-sim campaign --resume --into {into} goes on.", err=True)
        click.get_current_context().exit(ExitCode.INTERRUPTED)
    if tally.failures:
        click.get_current_context().exit(ExitCode.BROKEN)


def _tally(into: Path, seeds: tuple[int, int] | None, without: frozenset[str]) -> Tally:
    try:
        into.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TallyError(f"the folder {into} can't be made", limit=error.strerror or "") from error
    if seeds is not None:
        return Tally(*seeds, without)
    tally = Tally.load(into / "tally.json")
    if without and without != tally.without:
        raise click.UsageError("--resume goes on with the safeguards that were off before")
    return tally


def _play(tally: Tally, into: Path, jobs: int, *, coverage: bool, as_json: bool) -> bool:
    """Play what is left; True if Ctrl-C came."""
    began_s = shown_s = saved_s = time.monotonic()
    before_s, played = tally.worked_s, 0
    progress = sys.stderr.isatty() and not as_json
    try:
        with closing(outcomes(tally.left(), tally.without, jobs, coverage=coverage)) as found:
            for one in found:
                _take(tally, one, into, as_json=as_json)
                played += 1
                now_s = time.monotonic()
                tally.worked_s = before_s + now_s - began_s
                if progress and now_s - shown_s >= SHOWN_EVERY_S:
                    shown_s = now_s
                    rate = played / (now_s - began_s)
                    done, count, broken = len(tally.done), tally.end - tally.first, len(tally.failures)
                    click.echo(
                        f"\r{done} of {count} seeds, {rate * 3_600:.0f} an hour, {broken} broken", err=True, nl=False
                    )
                if now_s - saved_s >= SAVED_EVERY_S:
                    saved_s = now_s
                    tally.save(into / "tally.json")
    except KeyboardInterrupt:
        return True
    finally:
        if progress:
            click.echo("", err=True)
    return False


def _take(tally: Tally, one: Outcome, into: Path, *, as_json: bool) -> None:
    tally.done.add(one.seed)
    tally.strokes += one.played.strokes
    tally.pen_ms += one.played.pen_ms
    tally.reached.add(one.reached)
    if one.shrunk is None or one.played.broken is None:
        return
    path = into / f"seed-{one.seed}.json"
    path.write_text(to_json(one.shrunk, one.played.broken), encoding="utf-8")
    _traced(one.shrunk, path)
    failure = Failure(one.seed, one.played.broken, str(path))
    tally.failures.append(failure)
    steps = len(one.shrunk.steps)
    click.echo(
        json.dumps(failure.out()) if as_json else f"seed {one.seed} broke {one.played.broken}; {steps} steps in {path}"
    )


def _traced(script: Script, path: Path) -> None:
    with TraceFile(path.with_suffix(".trace")) as trace:
        trace.line(head_line(*FULL_RANGE_HZ))
        play(script, trace.line)


def _replay(script: Script, path: Path, *, as_json: bool) -> None:
    result = play(script)
    broken = result.broken
    if as_json:
        click.echo(json.dumps({"script": str(path), "strokes": result.strokes, "broken": broken and broken._asdict()}))
    elif broken is None:
        click.echo(f"{path} breaks nothing: {result.steps} steps, {result.strokes} strokes in skin.")
    else:
        for number, step in enumerate(script.steps[: result.steps], 1):
            click.echo(f"{number:>4}  {step}{f', then {step.then_ms} ms' if step.then_ms else ''}")
        click.echo(f"{path} breaks {broken}")
    if broken is not None:
        click.get_current_context().exit(ExitCode.BROKEN)


def _conclude(tally: Tally, *, as_json: bool) -> None:
    if as_json:
        out = {
            "seeds": len(tally.done),
            "of": tally.end - tally.first,
            "strokes": tally.strokes,
            "pen_ms": tally.pen_ms,
        }
        click.echo(json.dumps({**out, "worked_s": round(tally.worked_s, 3), "broken": len(tally.failures)}))
        return
    hours = tally.pen_ms / 3_600_000
    click.echo(f"{_many(len(tally.done))}, {tally.strokes} strokes in skin, {hours:.1f} hours of the pen's time.")
    names = {one.broken.invariant for one in tally.failures}
    for one in ALL:
        if one.name in names:
            count = sum(failure.broken.invariant == one.name for failure in tally.failures)
            click.echo(f"Broken: {one.name} [{one.rule}], {one.says}: {_many(count)}")
    if not names:
        click.echo("Nothing was broken.")


def _many(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"{seeds} seeds"
