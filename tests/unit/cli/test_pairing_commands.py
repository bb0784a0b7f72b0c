"""`dermalink pair`, `unpair` and `pens`: what a person is told, what a script can tell, and that no code is shown."""

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from dermalink.cli import pairing, releasing, setup_code
from dermalink.cli.app import app
from dermalink.cli.exit_codes import ExitCode
from dermalink.errors import HandshakeFailed, KeysRefused, LinkLost, Timeout
from dermalink.links.stream import StreamLink
from dermalink.ownership.owned_pen import OwnedPen
from dermalink.ownership.store import KeyStore, own_store
from dermalink_protocol.codewords import Reason
from dermalink_protocol.messages.owner import OwnerReleased, ReleaseOwner
from dermalink_protocol.pairing.setup_code import Label
from tests.unit.host.scripted_pen import SERIAL
from tests.unit.ownership.keyrings import a_pen
from tests.unit.ownership.pairing_pen import BARRED_S, CODE, OTHER_CODE, PairingPen

URL = "serial:/dev/pen"
GOOD, BAD = CODE.printed, OTHER_CODE.printed


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "keys"
    monkeypatch.setenv("DERMALINK_KEYS", str(folder))
    return folder


@pytest.fixture(autouse=True)
def with_ctrl_c() -> Iterator[None]:
    """As in a terminal: a shell that starts something in the background has it ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def pen(monkeypatch: pytest.MonkeyPatch) -> PairingPen:
    """A pen at `URL` that can be paired with."""
    made = PairingPen()

    async def open_link(url: str) -> StreamLink:
        return StreamLink(made.connect().pipe, url)

    monkeypatch.setattr(pairing, "open_link", open_link)
    monkeypatch.setattr(pairing, "ASK_AGAIN_S", 0.001)
    return made


def run(*words: str, typed: str | None = None) -> Result:
    result = CliRunner().invoke(app, [*words, "--pen", URL] if words[0] == "pair" else words, input=typed)
    assert "Traceback" not in result.output
    return result


def known() -> OwnedPen | None:
    return own_store().known(SERIAL)


class Connected:
    """A pen that is used by its keys; over a stream there is nothing to bond."""

    def __init__(self, unbonded: Exception | None = None) -> None:
        self.unbonded = unbonded

    async def secure(self) -> None:
        if self.unbonded is not None:
            raise self.unbonded


def use(monkeypatch: pytest.MonkeyPatch, *, works: bool = True, unbonded: Exception | None = None) -> None:
    """Keys that this computer has of the pen at `URL` are used; whether they work, and whether it bonds."""

    @contextlib.asynccontextmanager
    async def connected(url: str, **_: Any) -> AsyncIterator[Connected]:
        assert url == URL
        if not works:
            raise HandshakeFailed("no")
        yield Connected(unbonded)

    monkeypatch.setattr(pairing, "connected", connected)


# Pairing


@pytest.mark.parametrize("typed", [f"{GOOD}\n", GOOD.replace("-", ""), f"{Label(SERIAL, CODE).text}\n"])
def test_the_code_comes_from_a_pipe_and_the_person_is_told_where_the_keys_lie(
    typed: str, pen: PairingPen, keys: Path
) -> None:
    result = run("pair", typed=typed)
    assert result.exit_code == ExitCode.DONE, result.output
    assert result.stdout == (
        f"The pen {SERIAL} is paired with this computer. What goes to it from here on is sealed, and nobody else can"
        " run it.\n"
    )
    assert f"the keys lie in the folder {keys}, readable by this user alone" in result.stderr
    assert pen.owner is not None
    found = known()
    assert found is not None
    assert found.binding == pen.owner.binding


@pytest.mark.parametrize("option", [("--code", GOOD), ("--qr", Label(SERIAL, CODE).text)], ids=["--code", "--qr"])
def test_a_code_in_an_option_works_and_is_said_to_be_seen(option: tuple[str, str], pen: PairingPen) -> None:
    result = run("pair", *option)
    assert result.exit_code == ExitCode.DONE
    assert result.stderr.startswith("A code on the command line is seen by everybody on this computer")


def test_as_json_there_is_one_object_on_stdout(pen: PairingPen) -> None:
    result = run("pair", "--json", typed=GOOD)
    said = json.loads(result.stdout)
    assert (said["pen"], said["result"], said["exit_code"]) == (SERIAL, "paired", 0)


def test_it_waits_for_the_press_and_says_so_once(pen: PairingPen) -> None:
    pen.window_s = 0
    pen.on_seen = lambda _: setattr(pen, "window_s", 60 if pen.seen.count(0) == 4 else pen.window_s)
    result = run("pair", typed=GOOD)
    assert result.exit_code == ExitCode.DONE, result.output
    assert result.stderr.count("Press the pen's button once, with no session open") == 1


def test_where_nobody_presses_it_ends(pen: PairingPen, monkeypatch: pytest.MonkeyPatch) -> None:
    pen.window_s = 0
    monkeypatch.setattr(pairing, "PRESS_WITHIN_S", 0.01)
    result = run("pair", typed=GOOD)
    assert result.exit_code == ExitCode.REFUSED
    assert "The pen is not open for pairing. Press its button once" in result.stderr
    assert pen.tries == 0


def test_a_pen_with_an_owner_is_taken_over_by_a_hold(pen: PairingPen, tmp_path: Path) -> None:
    run("pair", typed=GOOD)
    first = pen.owner
    own_store().forget(SERIAL)
    pen.on_seen = lambda _: setattr(pen, "window_s", 60 if len(pen.seen) == 8 else pen.window_s)
    result = run("pair", typed=GOOD)
    assert result.exit_code == ExitCode.DONE, result.output
    assert "The pen has an owner. To take it over, hold its button for 10 s" in result.stderr
    assert pen.owner is not first


def test_a_wrong_code_from_a_pipe_spends_one_try(pen: PairingPen) -> None:
    result = run("pair", typed=BAD)
    assert result.exit_code == ExitCode.REFUSED
    assert "That is not this pen's code. At most 2 more tries. Compare it with the card" in result.stderr
    assert pen.tries == 1
    assert known() is None


def test_a_person_is_asked_again_until_pairing_is_barred(pen: PairingPen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup_code, "a_person_types", lambda: True)
    result = run("pair", typed=f"123\n{BAD}\n{BAD}\n{BAD}\n{GOOD}\n")
    assert result.exit_code == ExitCode.REFUSED
    assert "it has 9, so 6 are missing" in result.stderr
    assert "It takes no code for 10 minutes." in result.stderr
    assert result.stderr.count("Pen DP-SCRIPTED.") == 1
    assert pen.barred_s == BARRED_S
    result = run("pair", typed=GOOD)
    assert result.exit_code == ExitCode.REFUSED
    assert "Wrong codes have barred pairing: the pen takes no code for 10 minutes." in result.stderr


def test_a_mistyped_code_reaches_no_pen(pen: PairingPen) -> None:
    result = run("pair", typed=GOOD[:-1] + str((int(GOOD[-1]) + 1) % 10))
    assert result.exit_code == ExitCode.REFUSED
    assert "its check digit does not fit" in result.stderr
    assert pen.seen == []
    assert run("pair", typed="\n").exit_code == ExitCode.USAGE
    assert run("pair", "--code", GOOD, "--qr", "DERMALINK:1:x").exit_code == ExitCode.USAGE
    assert "it is no Dermalink pen's" in run("pair", "--qr", "garbage").stderr


def test_another_pens_card_is_refused_before_a_try(pen: PairingPen) -> None:
    result = run("pair", typed=Label("DL-OTHER", CODE).text)
    assert result.exit_code == ExitCode.REFUSED
    assert f"The QR code is that of pen DL-OTHER, and pen {SERIAL} answers" in result.stderr
    assert pen.seen == []


@pytest.mark.parametrize("as_json", [False, True])
def test_no_code_and_no_key_is_ever_shown(as_json: bool, pen: PairingPen) -> None:
    words = ("pair", "-vvv", *(["--json"] if as_json else []))
    told = run(*words, typed=BAD).output + run(*words, typed=GOOD).output
    found = known()
    assert found is not None
    for secret in (CODE.digits, OTHER_CODE.digits, GOOD, BAD, found.host_private.hex(), found.binding.hex()):
        assert secret not in told
        assert secret not in told.replace(" ", "")


@pytest.mark.parametrize(
    ("step", "code", "said"),
    [
        (0, ExitCode.LINK_LOST, "the pen is not paired with this computer. Begin again."),
        (2, ExitCode.LINK_LOST, "the pen is not paired with this computer. Begin again."),
        (3, ExitCode.UNSETTLED, "the pen may have taken this computer for its owner, or not. Begin again:"),
    ],
)
def test_a_lost_link_says_what_is_true_and_the_same_command_again_pairs(
    step: int, code: ExitCode, said: str, pen: PairingPen
) -> None:
    pen.mute.add(step)
    result = run("pair", typed=GOOD)
    assert result.exit_code == code
    assert said in result.stderr
    if step == 3:
        assert "a pairing that was not finished" in run("pens").stdout
    assert run("pair", typed=GOOD).exit_code == ExitCode.DONE
    assert known() is not None
    assert "not finished" not in run("pens").stdout


@pytest.mark.parametrize(
    ("step", "said"), [(0, pairing.CALLED_OFF), (2, pairing.CALLED_OFF), (3, pairing.CALLED_OFF_LATE)]
)
def test_ctrl_c_at_any_message_says_what_is_true_and_the_same_command_again_pairs(
    step: int, said: str, pen: PairingPen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(number: int) -> None:
        if number == step:
            pen.on_seen = lambda _: None
            signal.raise_signal(signal.SIGINT)

    use(monkeypatch)
    pen.on_seen = interrupt
    result = run("pair", typed=GOOD)
    assert result.exit_code == ExitCode.INTERRUPTED
    assert said in result.stderr
    assert run("pair", typed=GOOD).exit_code == ExitCode.DONE
    assert pen.owner is not None
    found = known()
    assert found is not None
    assert found.binding == pen.owner.binding


def test_ctrl_c_does_not_wait_for_the_question_that_the_keyring_asks(
    pen: PairingPen, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()

    def wait(_: KeyStore) -> None:
        signal.raise_signal(signal.SIGINT)
        assert answered.wait(30)

    monkeypatch.setattr(KeyStore, "check", wait)
    before = time.monotonic()
    result = run("pair", typed=GOOD)
    assert result.exit_code == ExitCode.INTERRUPTED
    assert pairing.CALLED_OFF in result.stderr
    assert time.monotonic() - before < 20
    [thread] = [each for each in threading.enumerate() if each.name == "dermalink-keys"]
    answered.set()
    thread.join()
    assert pen.seen == []


@pytest.mark.parametrize("works", [True, False])
def test_a_pen_that_this_computer_has_keys_of_is_tried_with_them(
    works: bool, pen: PairingPen, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("pair", typed=GOOD)
    use(monkeypatch, works=works)
    result = run("pair", typed=GOOD)
    assert result.exit_code == (ExitCode.DONE if works else ExitCode.REFUSED)
    assert ("is this computer's already" if works else "hold its button for 10 s") in result.output


@pytest.mark.skipif(sys.platform == "win32", reason="a folder has no such bits there")
def test_where_keys_cannot_be_kept_nobody_is_asked_to_press(pen: PairingPen, keys: Path) -> None:
    keys.mkdir()
    keys.chmod(0o755)
    result = run("pair", typed=GOOD)
    assert result.exit_code == ExitCode.KEYS
    assert f"chmod 700 {keys}" in result.stderr
    assert pen.seen == []
    assert stat.S_IMODE(keys.stat().st_mode) == 0o755


def test_a_pen_that_knows_no_owner_is_said_to(pen: PairingPen) -> None:
    pen.refusal[0] = Reason.NOT_BUILT
    result = run("pair", typed=GOOD)
    assert result.exit_code == ExitCode.REFUSED
    assert "The pen refused GetOwner" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_in_a_terminal_what_is_typed_is_not_shown(tmp_path: Path) -> None:
    import pty

    parent, child = pty.openpty()
    words = [sys.executable, "-m", "dermalink.cli.start", "pair", "--pen", "tcp:127.0.0.1:1"]
    with subprocess.Popen(words, stdin=child, stdout=child, stderr=child, start_new_session=True) as process:
        os.close(child)
        shown = _until(parent, b"(not shown): ")
        os.write(parent, b"123\n")
        shown += _until(parent, b"(not shown): ")
        os.write(parent, GOOD.encode() + b"\n")
        shown += _until(parent, None)
        os.close(parent)
        assert process.wait(30) == ExitCode.NO_PEN
    assert b"6 are missing" in shown
    assert b"123" not in shown
    assert GOOD.encode() not in shown


def _until(descriptor: int, wanted: bytes | None) -> bytes:
    """What a terminal shows until it shows `wanted`, or None: until its program ends."""
    shown = b""
    while wanted is None or wanted not in shown:
        try:
            more = os.read(descriptor, 4_096)
        except OSError:  # Linux's way to say that nobody holds the other end
            more = b""
        if not more:
            assert wanted is None, shown
            return shown
        shown += more
    return shown


# Giving up


class Sealed:
    """A pen that is connected as its owner."""

    def __init__(self, error: Exception | None = None) -> None:
        self.serial_number = SERIAL
        self.error = error
        self.asked: list[Any] = []
        self.connection = self.link = self
        self.late_s = 0.0
        self.kind = "bare"
        self.forgets: bool | None = None

    async def forget_bond(self) -> bool:
        assert known() is None, "the keys go first"
        assert self.forgets is not None
        return self.forgets

    async def request(self, request: Any, *, within_s: float) -> OwnerReleased:
        assert within_s == releasing.RELEASE_WITHIN_S
        self.asked.append(request)
        if self.error is not None:
            raise self.error
        return OwnerReleased()


def connect_to(sealed: Sealed | Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.asynccontextmanager
    async def connected(*_: Any, **__: Any) -> AsyncIterator[Sealed]:
        if isinstance(sealed, Exception):
            raise sealed
        yield sealed

    monkeypatch.setattr(releasing, "connected", connected)


def test_a_pen_is_told_before_its_keys_go(monkeypatch: pytest.MonkeyPatch) -> None:
    own_store().keep(a_pen(SERIAL))
    pen = Sealed()
    connect_to(pen, monkeypatch)
    result = run("unpair", "--pen", URL)
    assert result.exit_code == ExitCode.DONE
    assert result.stdout == (
        f"Pen {SERIAL} has no owner any more. The keys of pen {SERIAL} are removed from this computer.\n"
    )
    assert pen.asked == [ReleaseOwner()]
    assert known() is None


@pytest.mark.parametrize(
    ("forgets", "said"),
    [(True, "This computer's Bluetooth has forgotten it as well."), (False, "lists the pen")],
)
def test_by_bluetooth_its_bond_goes_as_well_where_a_program_may(
    forgets: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_store().keep(a_pen(SERIAL))
    pen = Sealed()
    pen.kind, pen.forgets = "ble", forgets
    connect_to(pen, monkeypatch)
    result = run("unpair", "--pen", URL)
    assert result.exit_code == ExitCode.DONE
    assert said in result.stdout
    assert known() is None


@pytest.mark.parametrize("error", [Timeout("silence"), LinkLost("gone")])
def test_without_an_answer_the_keys_stay(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    own_store().keep(a_pen(SERIAL))
    connect_to(Sealed(error), monkeypatch)
    result = run("unpair", "--pen", URL, "--json")
    said = json.loads(result.stdout)
    assert (result.exit_code, said["result"], said["exit_code"]) == (11, "unsettled", 11)
    assert f"dermalink unpair --forget {SERIAL}" in said["sentence"]
    assert known() is not None


def test_a_pen_that_says_it_has_no_owner_is_not_believed_so_far_that_keys_go(monkeypatch: pytest.MonkeyPatch) -> None:
    own_store().keep(a_pen(SERIAL))
    connect_to(KeysRefused("refused", Reason.NO_OWNER), monkeypatch)
    result = run("unpair", "--pen", URL)
    assert result.exit_code == ExitCode.REFUSED
    assert "dermalink unpair --forget" in result.stderr
    assert known() is not None


def test_what_is_not_ours_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    pen = Sealed()
    connect_to(pen, monkeypatch)
    result = run("unpair", "--pen", URL)
    assert result.exit_code == ExitCode.REFUSED
    assert "no keys of pen" in result.stderr
    assert pen.asked == []


def test_ctrl_c_while_the_keyring_asks_waits_for_nothing_and_says_that_the_keys_may_be_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered = threading.Event()

    def wait(_: KeyStore, _serial: str) -> bool:
        signal.raise_signal(signal.SIGINT)
        assert answered.wait(30)
        return True

    own_store().keep(a_pen(SERIAL))
    connect_to(Sealed(), monkeypatch)
    monkeypatch.setattr(KeyStore, "forget", wait)
    before = time.monotonic()
    for words in (("--pen", URL), ("--forget", SERIAL)):
        result = run("unpair", *words)
        assert result.exit_code == ExitCode.INTERRUPTED
        assert ("has no owner any more" in result.stderr) is (words[0] == "--pen")
        assert time.monotonic() - before < 20
    threads = [each for each in threading.enumerate() if each.name == "dermalink-keys"]
    answered.set()
    for thread in threads:
        thread.join()
    assert len(threads) == 2
    assert known() is not None


def test_a_lost_pen_is_forgotten_without_being_asked() -> None:
    own_store().keep(a_pen(SERIAL))
    result = run("unpair", "--forget", SERIAL)
    assert (result.exit_code, result.stdout) == (0, f"The keys of pen {SERIAL} are removed from this computer.\n")
    assert known() is None
    assert run("unpair", "--forget", SERIAL).exit_code == ExitCode.USAGE


def test_a_shell_completes_the_pens_that_can_be_forgotten() -> None:
    own_store().keep(a_pen("DL-00000007"))
    own_store().keep(a_pen("DP-00000008"))
    command = app.get_command(click.Context(app), "unpair")
    assert command is not None
    context = click.Context(command)
    [option] = [each for each in command.params if each.name == "lost"]
    assert [item.value for item in option.shell_complete(context, "DL")] == ["DL-00000007"]


# Listing


def test_pens_are_listed_without_their_keys(keys: Path) -> None:
    assert "keys of no pen" in run("pens").stderr
    own_store().keep(a_pen("DL-00000007"))
    own_store().keep(a_pen("DL-00000008"))
    assert run("pens").stdout == (
        "DL-00000007   paired 2027-01-15 08:00 UTC, keys in the file\n"
        "DL-00000008   paired 2027-01-15 08:00 UTC, keys in the file\n"
    )
    rows = [json.loads(line) for line in run("pens", "--json").stdout.splitlines()]
    assert rows[0] == {
        "pen": "DL-00000007",
        "keys": "complete",
        "paired_s": 1_800_000_000,
        "where": "file",
        "why": None,
    }
    assert len(rows) == 2


def test_what_cannot_be_read_is_listed_with_its_reason_beside_the_others(keys: Path) -> None:
    own_store().keep(a_pen("DL-00000007"))
    own_store().keep(a_pen("DL-00000008"))
    min(keys.iterdir()).write_text("{")
    result = run("pens")
    assert result.exit_code == ExitCode.KEYS
    assert result.stdout.startswith("DL-00000008   paired")
    assert "DL-00000007   The keys of DL-00000007 can't be read" in result.stderr
    assert json.loads(run("pens", "--json").stdout.splitlines()[0])["keys"] is None
