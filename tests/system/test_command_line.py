"""Every command against a simulated pen in this process, and every way in which a URL or a plan can be wrong."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dermalink.cli.app import app
from dermalink.cli.exit_codes import ExitCode
from dermalink.plan.example import EXAMPLE
from tests.unit.plan.bad_plans import BAD

SIM = "sim:"


@pytest.fixture(autouse=True)
def a_home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes into the journal of whoever runs it, and none hears of a pen by the environment."""
    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.delenv("DERMALINK_PEN", raising=False)


def run(*words: str, **options: Any) -> Result:
    """One command."""
    result = CliRunner().invoke(app, words, prog_name="dermalink", **options)
    assert "Traceback" not in result.output
    return result


def test_info_says_who_the_pen_is_and_how_it_stands() -> None:
    result = run("info", "--pen", SIM)
    assert result.exit_code == ExitCode.DONE
    for words in ("Pen DL-SIM-00000000 on sim:", "200 to 500 µm", "glide, 12 needles", "needles in, motor off"):
        assert words in result.output
    assert max(map(len, result.output.splitlines())) <= 100


def test_info_as_json_has_the_contracts_own_names() -> None:
    said = json.loads(run("info", "--pen", SIM, "--json").stdout)
    assert said["hello"]["depth_cap_um"] == 500
    assert said["status"]["state"] in ("idle", "self_test", "boot")
    assert said["findings"] == []


def test_the_pen_may_be_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMALINK_PEN", SIM)
    assert run("info").exit_code == ExitCode.DONE


def test_verbose_shows_messages_then_frames_then_bytes() -> None:
    messages, frames, octets = (run("info", "--pen", SIM, flag).stderr for flag in ("-v", "-vv", "-vvv"))
    assert re.search(r"-> Hello #1 protocol_version=1", messages)
    assert "status HELLO" not in messages
    assert re.search(r"->   status HELLO \d+ bytes", frames)
    assert re.search(r"->     [0-9a-f]{2}( [0-9a-f]{2})+", octets)


def test_verbose_counts_before_the_command_as_well() -> None:
    assert "status HELLO" in run("-v", "info", "-v", "--pen", SIM).stderr


def test_doctor_finds_nothing_wrong_with_a_sound_pen_and_says_how_good_the_link_is() -> None:
    result = run("doctor", "--pen", SIM)
    assert "DL-SIM-00000000 on sim:" in result.output
    assert re.search(r"ok +link +a question takes [0-9.]+ ms", result.output)
    assert "0 error" not in result.output
    assert result.exit_code == ExitCode.DONE


def test_doctor_as_json_is_a_list_of_findings_and_an_error_has_its_code() -> None:
    result = run("doctor", "--pen", "tcp:127.0.0.1:1", "--json")
    assert result.exit_code == ExitCode.FINDINGS
    found = {finding["subject"]: finding for finding in json.loads(result.stdout)}
    assert found["pen"]["level"] == "error"
    assert found["pen"]["advice"]
    assert found["dermalink"]["level"] == "ok"
    sound = {finding["subject"]: finding for finding in json.loads(run("doctor", "--pen", SIM, "--json").stdout)}
    assert sound["link"]["data"]["leaves_ms"] > 0
    assert sound["link"]["data"]["clock"]["replies"] >= 50
    assert sound["pen's ticks"]["level"] == "ok"


def test_stop_is_confirmed_by_measurement() -> None:
    result = run("stop", "--pen", SIM)
    assert result.exit_code == ExitCode.DONE
    said = r"the pen that answers here says stopped: needles in and motor off, measured \d+ ms after"
    assert re.search(said, result.output)
    found = json.loads(run("stop", "--pen", SIM, "--json").stdout)
    assert (found["stopped"], found["proved"]) == (True, False)
    assert re.search(said, found["sentence"])
    assert found["milliseconds"] > 0


def test_a_symptom_is_reported_and_written_down(tmp_path: Path) -> None:
    result = run("symptom", "rash", "--pen", SIM)
    assert result.exit_code == ExitCode.DONE
    assert "28 days" in result.output
    (journal,) = (tmp_path / "home").rglob("*.jsonl")
    kept = journal.read_text(encoding="utf-8")
    assert '"symptom":3' in kept
    assert '"kind":"symptom_openly"' in kept  # that pen has no owner, so a pen of this person's is still to be told


def test_monitor_watches_for_as_long_as_it_is_told() -> None:
    result = run("monitor", "--pen", SIM, "--seconds", "1.3", "--json")
    assert result.exit_code == ExitCode.DONE
    said = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["depth_um"] for event in said if event["event"] == "telemetry"] == [0]
    assert said[-1]["event"] == "link"
    assert said[-1]["round_trip"]["count"] > 2
    assert said[-1]["clock"]["error_ms"] < 100
    text = run("monitor", "--pen", SIM, "--seconds", "1.3").output
    assert "depth    0 µm" in text
    assert re.search(r"link  answers in [0-9.]+ ms, .*, no lease was seen running\n +answers:\n", text)
    assert re.search(r"-[0-9.]+ ms  #{30} +\d+$", text, re.MULTILINE)
    assert re.search(r"0\.10 s  idle$", text, re.MULTILINE)


def test_monitor_tells_of_the_link_while_it_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dermalink.cli.monitoring.LINK_EVERY_S", 0.9)
    result = run("monitor", "--pen", SIM, "--seconds", "2.5", "--json")
    assert [json.loads(line)["event"] for line in result.stdout.splitlines()].count("link") == 3
    text = run("monitor", "--pen", SIM, "--seconds", "2.5").output
    assert text.count("answers:\n") == 3


@pytest.mark.parametrize("seconds", ["nan", "inf", "-inf", "0", "-1"])
def test_monitor_refuses_a_time_that_is_none(seconds: str) -> None:
    assert run("monitor", "--pen", SIM, "--seconds", seconds).exit_code == ExitCode.USAGE


def test_what_answers_hello_with_hello_is_no_pen() -> None:
    result = run("info", "--pen", "serial:loop://")
    assert result.exit_code == ExitCode.NO_PEN
    assert "no pen answers there" in result.output


@pytest.mark.parametrize(
    ("url", "code", "says"),
    [
        ("tcp:127.0.0.1:1", ExitCode.NO_PEN, "nobody listens there"),
        ("tcp:127.0.0.1:70000", ExitCode.USAGE, "port"),
        ("serial:/dev/no-such-port", ExitCode.NO_PEN, "nothing is there"),
        ("/dev/ttyACM0", ExitCode.USAGE, "Did you mean serial:/dev/ttyACM0?"),
        ("ble:", ExitCode.USAGE, "names no pen"),
        ("ble:pen?radio=", ExitCode.USAGE, "names none"),
        ("ble:pen?radio=nonsense", ExitCode.USAGE, "no kind of radio"),
        ("ble:pen?radio=tcp-client:127.0.0.1", ExitCode.USAGE, "has no port"),
        ("ble:pen?radio=tcp-client:[intervall=7.5]127.0.0.1:1", ExitCode.USAGE, "'intervall' is no option"),
        ("ble:pen?radio=tcp-client:[interval=abc]127.0.0.1:1", ExitCode.USAGE, "must be 7.5 to 4000 ms"),
        ("ble:pen?radio=tcp-client:127.0.0.1:1", ExitCode.NO_PEN, "Is it plugged in"),
        ("ble:pen?speed=9", ExitCode.USAGE, "no option of ble:"),
        ("ble:pen", ExitCode.NO_PEN, "air:nobody was not found"),
        ("nonsense", ExitCode.USAGE, "names no link"),
        ("", ExitCode.NO_PEN, "pen"),
        ("sim:nobody", ExitCode.USAGE, "nobody"),
    ],
)
@pytest.mark.parametrize("command", ["info", "stop", "session run"])
def test_a_wrong_url_ends_in_a_sentence(
    url: str, code: ExitCode, says: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dermalink import discovery

    async def no_ports() -> tuple[str, ...]:
        return ()

    monkeypatch.setattr(discovery, "serial_urls", no_ports)
    monkeypatch.setenv("DERMALINK_RADIO", "air:nobody")  # no pen of this room is to be found, nor stopped
    plan = tmp_path / "plan.toml"
    plan.write_text(EXAMPLE, encoding="utf-8")
    words = [*command.split(), *([str(plan)] if command == "session run" else []), "--pen", url]
    result = run(*words)
    assert result.exit_code == code
    assert says in result.output


@pytest.mark.sr("SR-DEPTH-1", "SR-DEPTH-3", "SR-PASS-1", side="host")
@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_bad_plan_ends_with_3_and_its_sentence_before_any_pen_is_asked(
    name: str, command: str, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_bytes(BAD[name].data)
    result = run("session", command, str(plan), *(["--pen", "tcp:127.0.0.1:1"] if command == "run" else []))
    assert result.exit_code == ExitCode.PLAN
    for words in BAD[name].says:
        assert words in result.stderr


def test_a_plan_that_is_not_there_or_a_folder_ends_with_3(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "none.toml", "no such file"), (tmp_path, "a folder")):
        result = run("session", "run", str(path), "--pen", SIM)
        assert result.exit_code == ExitCode.PLAN
        assert words in result.stderr


def test_the_example_is_printed_or_written_and_never_over_a_file(tmp_path: Path) -> None:
    assert run("session", "plan").output == EXAMPLE
    path = tmp_path / "plan.toml"
    assert run("session", "plan", str(path)).exit_code == ExitCode.DONE
    assert run("session", "check", str(path)).exit_code == ExitCode.DONE
    path.write_text("mine", encoding="utf-8")
    result = run("session", "plan", str(path))
    assert result.exit_code == ExitCode.USAGE
    assert "left as it is" in result.output
    assert path.read_text(encoding="utf-8") == "mine"
    assert run("session", "plan", str(tmp_path / "none" / "plan.toml")).exit_code == ExitCode.USAGE


def test_check_prints_the_passes_as_json_too(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(EXAMPLE, encoding="utf-8")
    said = json.loads(run("session", "check", str(path), "--json").stdout)
    assert said["passes"][0] == {
        "zone": "left_cheek", "direction": "vertical", "depth_um": 250, "rate_hz": 60, "speed_mm_s": 20
    }  # fmt: skip


def test_a_plan_that_does_not_suit_the_pens_head_is_refused_with_5(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(EXAMPLE.replace('"nose"', '"upper_lip"'), encoding="utf-8")
    result = run("session", "run", str(plan), "--pen", SIM, input="")
    assert result.exit_code == ExitCode.REFUSED
    assert "pass 5" in result.stderr
    assert "stamp" in result.stderr


def test_a_session_with_nobody_there_is_closed_with_7_and_nothing_moved(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(EXAMPLE, encoding="utf-8")
    result = run("session", "run", str(plan), "--pen", SIM, "--json", input="")
    assert result.exit_code == ExitCode.STOPPED
    said = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["event"] for event in said[-2:]] == ["stop_confirmed", "session_over"]
    assert said[-1]["why"] == "nobody was there to answer"
    assert said[-1]["punctures"] == 0


def test_scan_names_what_answers_and_what_does_not() -> None:
    result = run("scan", SIM, "tcp:127.0.0.1:1")
    assert result.exit_code == ExitCode.DONE
    assert "sim:   pen DL-SIM-00000000" in result.stdout
    assert "tcp:127.0.0.1:1   no pen:" in result.stderr
    assert run("scan", "tcp:127.0.0.1:1").exit_code == ExitCode.NO_PEN
