"""How an error ends: a sentence on stderr, an exit code, and for a mistake of ours a file with the details."""

import json
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Final

import click

from dermalink import errors
from dermalink.cli.exit_codes import ExitCode
from dermalink.ownership.errors import KeyStoreError
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.limits import LEASE_MAX_MS
from dermalink_protocol.version import __version__

# The first that fits counts, so what is special stands before what is general.
CODES: tuple[tuple[type[DermalinkError], ExitCode], ...] = (
    (errors.StopNotConfirmed, ExitCode.NOT_CONFIRMED),
    (errors.UnknownOutcome, ExitCode.NOT_CONFIRMED),
    (errors.BadUrl, ExitCode.USAGE),
    (errors.CannotOpen, ExitCode.NO_PEN),
    (errors.LinkError, ExitCode.LINK_LOST),
    (errors.Timeout, ExitCode.LINK_LOST),
    (errors.NoTelemetry, ExitCode.LINK_LOST),
    (KeyStoreError, ExitCode.KEYS),
    (errors.HostError, ExitCode.REFUSED),
)

SECRET_OPTIONS: Final = ("--code", "--qr")
NOT_SHOWN: Final = "(not shown)"


def code_for(error: DermalinkError) -> ExitCode:
    """The exit code of an error; a plan's is told by its name, so that nothing has to import the plan's room."""
    if type(error).__name__ == "PlanError":
        return ExitCode.PLAN
    return next((code for kind, code in CODES if isinstance(error, kind)), ExitCode.REFUSED)


def report(error: DermalinkError, *, as_json: bool) -> ExitCode:
    """Say what went wrong, in the way that was asked for; returns the exit code."""
    code = code_for(error)
    problems = [problem._asdict() | {"sentence": str(problem)} for problem in getattr(error, "problems", ())]
    if as_json:
        found = {
            "error": type(error).__name__,
            "sentence": str(error),
            "rule": error.rule,
            "limit": error.limit,
            "advice": error.advice,
            "exit_code": int(code),
        }
        click.echo(json.dumps(found | ({"problems": problems} if problems else {})))
    click.echo(str(error), err=True)
    return code


def report_unexpected(error: BaseException, *, as_json: bool) -> ExitCode:
    """A mistake of ours: one sentence, and the details in a file."""
    sentence, where = mistake(error)
    if as_json:
        code = int(ExitCode.UNEXPECTED)
        click.echo(json.dumps({"error": "Unexpected", "sentence": sentence, "details": where, "exit_code": code}))
    click.echo(sentence, err=True)
    return ExitCode.UNEXPECTED


def mistake(error: BaseException) -> tuple[str, str]:
    """A mistake of ours in a sentence, and the file with its details; empty if it could not be written."""
    where = _write_details(error)
    kept = f"The details are in {where}" if where else "The details could not be written"
    sentence = (
        f"Dermalink made a mistake ({type(error).__name__}) and has stopped. {kept}; please send them with the output"
        " of `dermalink doctor`. If a pen was running, it takes its needles in by itself once its"
        f" lease has lapsed, at most {LEASE_MAX_MS:d} ms after this."
    )
    return sentence, where


def _write_details(error: BaseException) -> str:
    """The traceback in a file of its own, in the folder for logs or for temporary files; its path, or empty."""
    import platformdirs

    text = f"dermalink {__version__}, Python {sys.version}\n{without_codes(sys.argv[1:])}\n\n"
    text += "".join(traceback.format_exception(error))
    prefix = f"dermalink-{time.strftime('%Y%m%d-%H%M%S')}-"
    for folder in (platformdirs.user_log_path("dermalink"), Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor, path = tempfile.mkstemp(".txt", prefix, folder)  # one that was not there, and 0600
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError:
            continue
        return path
    return ""


def without_codes(words: list[str]) -> list[str]:
    """A command's words without the setup code: whoever reads it can pair with the pen.

    What follows `--code` or `--qr`, or the beginning of one, is left out, in the same word or the next.
    """
    shown, secret = [], False
    for word in words:
        name, equals, _ = word.partition("=")
        begins = any(each.startswith(name) for each in SECRET_OPTIONS) and len(name) > len("--")
        if begins:
            shown.append(f"{name}={NOT_SHOWN}" if equals else name)
        else:
            shown.append(NOT_SHOWN if secret else word)
        secret = begins and not equals
    return shown
