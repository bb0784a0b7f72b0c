"""A radio's name with a slip in it: every command says the same of it, ends with 2, and looks for no pen by it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dermalink import discovery
from dermalink.cli.app import app
from dermalink.cli.exit_codes import ExitCode
from dermalink.discovery import Discovery, Silent
from dermalink.errors import BadUrl
from dermalink.links.ble_radio import ENVIRONMENT
from dermalink.plan.example import EXAMPLE

SLIPS = [
    ("nonsense:1", "'nonsense' is no kind of radio"),
    ("tcp-client:127.0.0.1", "'127.0.0.1' has no port"),
    ("tcp-client:127.0.0.1:99999", "'99999' is no port"),
    ("tcp-client:127.0.0.1:abc", "'abc' is no port"),
    ("udp:", "names no address"),
    ("tcp-server:127.0.0.1:1", "waits for hosts"),
]
FORMS = ("tcp-client:HOST:PORT", "udp:HOST:PORT,HOST:PORT", "usb:NUMBER")
NOT_THERE = "tcp-client:127.0.0.1:1"


@pytest.fixture(autouse=True)
def no_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none() -> tuple[str, ...]:
        return ()

    monkeypatch.setattr(discovery, "serial_urls", none)
    monkeypatch.delenv(ENVIRONMENT, raising=False)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def is_a_slip(result: Result, says: str) -> None:
    assert result.exit_code == ExitCode.USAGE, result.output
    assert says in result.output
    assert all(form in result.output for form in FORMS)
    for wrong in ("Is it plugged in", "Errno", "Traceback", "unpack"):
        assert wrong not in result.output


@pytest.fixture
def plan(tmp_path: Path) -> str:
    (tmp_path / "plan.toml").write_text(EXAMPLE, encoding="utf-8")
    return str(tmp_path / "plan.toml")


@pytest.mark.parametrize(("spec", "says"), SLIPS)
def test_in_a_url(spec: str, says: str, plan: str) -> None:
    url = f"ble:pen?radio={spec}"
    for words in (["info"], ["stop"], ["doctor"], ["monitor"], ["session", "run", plan], ["symptom", "pain"]):
        is_a_slip(run(*words, "--pen", url), says)
    is_a_slip(run("scan", url), says)


@pytest.mark.parametrize(("spec", "says"), SLIPS)
def test_as_an_option(spec: str, says: str) -> None:
    for words in (["scan"], ["scan", "--ble"], ["scan", "ble:pen"], ["doctor"], ["doctor", "--pen", "ble:pen"]):
        is_a_slip(run(*words, "--radio", spec), says)


@pytest.mark.parametrize(("spec", "says"), SLIPS)
def test_in_the_environment_which_is_named_then(
    spec: str, says: str, plan: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT, spec)
    for words in (["info"], ["stop"], ["doctor"], ["scan"], ["session", "run", plan]):
        result = run(*words)
        is_a_slip(result, says)
        assert f"It stands in {ENVIRONMENT}" in result.output
    is_a_slip(run("info", "--pen", "ble:pen"), says)


def test_whoever_wanted_stop_is_told_what_to_do_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, "nonsense")
    assert "lift it straight off the skin and press its button" in run("stop").output


def test_a_name_that_no_radio_is_looked_for_by_is_in_nobodys_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, "nonsense")
    result = run("scan", "--serial")
    assert (result.exit_code, "nonsense" in result.output) == (ExitCode.NO_PEN, False)
    assert run("info", "--pen", "sim:").exit_code == ExitCode.DONE


def test_nothing_is_looked_for_where_the_option_has_the_slip(monkeypatch: pytest.MonkeyPatch) -> None:
    async def discover(*_: object, **__: object) -> Discovery:
        pytest.fail("it was looked for pens")

    monkeypatch.setattr(discovery, "discover", discover)
    assert run("scan", "--radio", "nonsense").exit_code == ExitCode.USAGE


def test_a_url_that_is_none_is_told_beside_the_pens_that_are_there() -> None:
    result = run("scan", "sim:", "ble:pen?radio=nonsense")
    assert result.exit_code == ExitCode.USAGE
    assert "sim:   pen DL-SIM-00000000" in result.stdout
    assert "nonsense" in result.stderr


def test_an_empty_one_is_refused_in_every_place() -> None:
    for words in (["info", "--pen", "ble:pen?radio="], ["doctor", "--pen", "ble:pen?radio="], ["scan", "--radio", ""]):
        result = run(*words)
        assert (result.exit_code, "names n" in result.output) == (ExitCode.USAGE, True), result.output


def test_as_json_it_has_its_type_and_its_parts() -> None:
    result = run("scan", "--json", "--radio", "tcp-client:127.0.0.1:abc")
    said = json.loads(result.stdout)
    assert (said["error"], said["exit_code"]) == ("BadUrl", ExitCode.USAGE)
    assert "'abc' is no port" in said["limit"]
    assert "tcp-client:HOST:PORT" in said["advice"]


def test_a_radio_that_is_well_named_and_not_there_is_no_slip() -> None:
    for words in (["info", "--pen", f"ble:pen?radio={NOT_THERE}"], ["scan", "--ble", "--radio", NOT_THERE]):
        result = run(*words)
        assert result.exit_code == ExitCode.NO_PEN, result.output
        assert "Connection refused. Is it plugged in or being served" in result.output
    assert run("doctor", "--radio", NOT_THERE).exit_code == ExitCode.FINDINGS


def test_what_was_named_wrongly_is_told_from_what_is_not_there() -> None:
    from dermalink.cli.connecting import badly_named

    slip, gone = Silent("ble:", BadUrl("none")), Silent("ble:", OSError())  # type: ignore[arg-type]
    assert badly_named(Discovery((), (slip, gone))) == [slip]
