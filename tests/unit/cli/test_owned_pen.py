"""What the commands say of a pen that has an owner: to him, and to everybody else."""

import json
from collections.abc import Callable

import click
import pytest

from dermalink.cli.monitoring import watch
from dermalink.cli.pen_info import FOR_ITS_OWNER, PenInfo
from dermalink.cli.tracing import trace
from dermalink.doctor.findings import Level
from dermalink.doctor.pen import check_owner
from dermalink.errors import NotOwner
from dermalink.pen import Pen
from dermalink.stopping import is_stopped
from dermalink_protocol.channels import Channel
from dermalink_protocol.envelope import Envelope, encode_envelope
from dermalink_protocol.messages.identity import GetStatus
from dermalink_simulator.profile import profile_named
from tests.support.owned import no_keys
from tests.support.running import in_virtual_time
from tests.unit.host.scripted_pen import AT_REST
from tests.unit.host.sealed_pen import an_owned_pen
from tests.unit.host.simulated import a_desk


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines that a command prints."""
    lines: list[str] = []
    echo: Callable[[str], None] = lines.append
    monkeypatch.setattr(click, "echo", echo)
    return lines


def _rows(info: PenInfo) -> dict[str, str]:
    return {name: value for _, rows in info.sections() for name, value in rows}


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_info_says_whose_the_pen_is_and_whether_it_is_proved() -> None:
    async with a_desk() as desk:
        async with await desk.connect(inspect_only=True, known=no_keys) as pen:
            assert "whoever reaches it" in _rows(await PenInfo.read(pen))["owner"]
        desk.give_owner()
        async with await desk.connect(inspect_only=True) as pen:
            info = await PenInfo.read(pen)
            assert "sealed" in _rows(info)["owner"]
            assert "12 needles" in _rows(info)["kind"]
            assert (info.as_dict()["owned"], info.as_dict()["sealed"]) == (True, True)


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_info_shows_a_stranger_who_the_pen_is_and_how_it_stands_and_no_more() -> None:
    async with an_owned_pen(known=no_keys, inspect_only=True) as (pen, far):
        info = await PenInfo.read(pen)
        rows = _rows(info)
        assert "unproved" in rows["owner"]
        assert (rows["head"], rows["self-test"]) == (FOR_ITS_OWNER, FOR_ITS_OWNER)
        assert rows["state"] == "idle"
        said = json.loads(json.dumps(info.as_dict()))
        assert (said["owned"], said["sealed"], said["cartridge"], said["self_test"]) == (True, False, None, None)
        assert far.status["flags"] == AT_REST


@pytest.mark.sr("SR-SYM-1", "SR-DATA-1", side="host")
@in_virtual_time
async def test_info_tells_the_owner_of_a_symptom_that_the_button_took_and_nobody_else() -> None:
    async with a_desk() as desk:
        desk.give_owner()
        desk.do(lambda pen: pen.advance(1_000))
        desk.do(lambda pen: pen.button.press(4_000))
        desk.do(lambda pen: pen.advance(5_000))
        async with await desk.connect(inspect_only=True) as pen:
            rows = _rows(await PenInfo.read(pen))
            assert rows["symptom"].startswith("one was reported, and bars the next session for 28 days; a clinician's")
            assert "symptom" not in rows["measured"]
        async with await desk.connect(inspect_only=True, known=no_keys) as pen:
            assert "symptom" not in _rows(await PenInfo.read(pen))


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_monitor_refuses_a_stranger_to_whom_the_pen_would_say_nothing(shown: list[str]) -> None:
    async with an_owned_pen(known=no_keys, inspect_only=True) as (pen, _):
        with pytest.raises(NotOwner, match="dermalink pair"):
            await watch(pen, 1.0, as_json=True)
    assert shown == []


@pytest.mark.sr("SR-OWN-1", "SR-SEC-1", side="host")
@in_virtual_time
async def test_a_pen_as_sold_is_shown_to_anybody_and_run_by_nobody_before_it_is_paired(shown: list[str]) -> None:
    async with a_desk(profile=profile_named("product")) as desk:
        with pytest.raises(NotOwner, match="no owner yet"):
            await desk.connect(known=no_keys)
        async with await desk.connect(inspect_only=True, known=no_keys) as pen:
            info = await PenInfo.read(pen)
            assert "before it is paired" in _rows(info)["owner"]
            assert _rows(info)["head"] == FOR_ITS_OWNER
            (finding,) = check_owner(pen)
            assert finding.level is Level.WARNING
            with pytest.raises(NotOwner, match="dermalink pair"):
                await watch(pen, 1.0, as_json=True)
            assert is_stopped((await pen.stop()).status)
        desk.give_owner()
        async with await desk.connect(inspect_only=True) as pen:
            assert (pen.owned, pen.sealed, pen.stranger) == (True, True, False)
    assert shown == []


def _forge(pen: Pen, times: int = 3) -> None:
    take = pen.connection.link._take  # type: ignore[attr-defined]
    for _ in range(times):
        take(Channel.STATUS, encode_envelope(Envelope(Channel.STATUS, 7, GetStatus())))


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_monitor_and_doctor_tell_of_what_was_not_believed(shown: list[str]) -> None:
    async with a_desk() as desk:
        desk.give_owner()
        async with await desk.connect(inspect_only=True) as pen:
            (finding,) = check_owner(pen)
            assert finding.level is Level.OK
            _forge(pen)
            await watch(pen, 1.5, as_json=True)
            link = json.loads(shown[-1])
            assert (link["sealed"], link["dropped"]) == (True, {"in_the_clear": 3})
            assert {json.loads(line)["event"] for line in shown} >= {"telemetry", "link"}
            await watch(pen, 1.5, as_json=False)
            assert any("dropped: 3 in the clear" in line for line in shown)
            (finding,) = check_owner(pen)
            assert finding.level is Level.WARNING
            assert "3 in the clear" in finding.found
            assert finding.advice


@in_virtual_time
async def test_doctor_tells_a_stranger_what_to_do() -> None:
    async with an_owned_pen(known=no_keys, inspect_only=True) as (pen, _):
        (finding,) = check_owner(pen)
        assert finding.level is Level.WARNING
        assert "dermalink pair" in finding.advice


@in_virtual_time
async def test_verbose_shows_messages_as_they_were_meant_and_what_was_dropped() -> None:
    said: list[str] = []
    async with an_owned_pen() as (pen, _):
        trace(pen.connection, 1, said.append)
        await pen.status()
        _forge(pen, 1)
    assert [line for line in said if line.startswith("-> GetStatus #")]
    assert [line for line in said if line.startswith("<- Status #")]
    assert "<- dropped, in the clear: status GET_STATUS 4 bytes" in said
