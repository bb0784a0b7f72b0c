"""The keys of a person's pens: kept where nobody else reads them, said aloud where that is, never lost in silence."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backends import fail
from keyring.backends.chainer import ChainerBackend

from dermalink.ownership import store as stores
from dermalink.ownership import system_keyring
from dermalink.ownership.entries import Unfinished, Where
from dermalink.ownership.errors import (
    KeyringFailed,
    KeyringLocked,
    KeysBroken,
    KeysExposed,
    KeysForbidden,
    KeysMissing,
    KeyStoreError,
)
from dermalink.ownership.owned_pen import OwnedPen
from dermalink.ownership.private_folder import PrivateFolder
from dermalink.ownership.store import KeyStore, Remembered, known_pen, own_store
from dermalink.ownership.system_keyring import SystemKeyring
from tests.unit.ownership.keyrings import Deaf, Desktop, Gone, Locked, PlainText, a_pen

SERIAL = "DL-00000007"
NO_KEYRING: Any = fail.Keyring
RUN = Unfinished(SERIAL, bytes(range(1, 33)), bytes(range(2, 34)), bytes(range(3, 35)))
HAS_MODES = pytest.mark.skipif(sys.platform == "win32", reason="a file has no such bits there")


def in_a_file(folder: Path) -> KeyStore:
    """A store on a computer without a keyring."""
    return KeyStore(folder / "keys", lambda: None)


def with_keyring(folder: Path, backend: Any) -> KeyStore:
    """A store on a computer with this keyring."""
    return KeyStore(folder / "keys", lambda: SystemKeyring(backend))


def secrets_of(pen: OwnedPen) -> tuple[str, str]:
    """What must stand nowhere but where keys are kept."""
    return pen.host_private.hex(), pen.binding.hex()


def all_files(folder: Path) -> str:
    """What stands in the files of a folder."""
    return "".join(each.read_text() for each in folder.rglob("*") if each.is_file())


BOTH: list[Callable[[Path], KeyStore]] = [in_a_file, lambda folder: with_keyring(folder, Desktop())]


@pytest.mark.parametrize("make", BOTH, ids=["file", "keyring"])
def test_keys_are_kept_listed_replaced_and_forgotten(make: Callable[[Path], KeyStore], tmp_path: Path) -> None:
    store = make(tmp_path)
    assert store.known(SERIAL) is None
    assert store.list() == []
    for serial in (SERIAL, "dl-00000007", "A/b:..\\c"):
        store.keep(a_pen(serial))
    store.keep(a_pen(filled=9))
    assert store.known(SERIAL) == a_pen(filled=9)
    assert store.known("dl-00000007") == a_pen("dl-00000007")
    assert [listed.name for listed in store.list()] == ["A/b:..\\c", SERIAL, "dl-00000007"]
    assert {listed.entry.paired_s for listed in store.list() if listed.entry} == {1_800_000_000}
    assert store.forget(SERIAL)
    assert not store.forget(SERIAL)
    assert store.known(SERIAL) is None
    assert store.known("A/b:..\\c") is not None


@pytest.mark.parametrize("make", BOTH, ids=["file", "keyring"])
def test_an_unfinished_pairing_is_kept_beside_the_keys_until_it_is_finished(
    make: Callable[[Path], KeyStore], tmp_path: Path
) -> None:
    store = make(tmp_path)
    store.keep(a_pen())
    store.begin(RUN)
    assert store.known(SERIAL) == a_pen()
    assert store.unfinished(SERIAL) == RUN
    assert [(each.entry.finished if each.entry else None) for each in store.list()] == [True, False]
    store.keep(a_pen(filled=9))
    assert store.unfinished(SERIAL) is None
    store.begin(RUN)
    assert store.forget(SERIAL)
    assert store.unfinished(SERIAL) is None


def test_with_a_keyring_no_key_stands_in_a_file(tmp_path: Path) -> None:
    backend = Desktop()
    store = with_keyring(tmp_path, backend)
    store.keep(a_pen())
    store.begin(RUN)
    assert not any(secret in all_files(tmp_path) for secret in (*secrets_of(a_pen()), RUN.shared.hex()))
    assert all(secret in "".join(backend.held.values()) for secret in (*secrets_of(a_pen()), RUN.shared.hex()))
    assert store.where is Where.KEYRING
    store.forget(SERIAL)
    assert backend.held == {}


def test_a_pen_that_was_never_paired_here_costs_no_keyring(tmp_path: Path) -> None:
    def find() -> SystemKeyring | None:
        raise AssertionError("the keyring was looked for")

    store = KeyStore(tmp_path, find)
    assert store.known(SERIAL) is None
    assert store.unfinished(SERIAL) is None
    assert store.list() == []
    assert not store.forget(SERIAL)


def test_a_keyring_is_not_asked_by_who_must_not_wait_for_a_person(tmp_path: Path) -> None:
    with_keyring(tmp_path, Desktop()).keep(a_pen())

    def find() -> SystemKeyring | None:
        raise AssertionError("the keyring was looked for")

    store = KeyStore(tmp_path / "keys", find)
    assert not store.any_in_file()
    assert store.in_file(SERIAL) is None
    in_a_file(tmp_path).keep(a_pen())
    assert store.any_in_file()
    assert store.in_file(SERIAL) == a_pen()
    assert store.in_file("DP-OTHER") is None


def test_no_secret_stands_in_a_repr() -> None:
    for held in (a_pen(), RUN):
        assert not any(part.hex() in repr(held) for part in (a_pen().host_private, a_pen().binding, RUN.shared))
        assert repr(a_pen().host_private) not in repr(held)


# Asked once


def remembering(folder: Path, backend: Any, remembered: Remembered) -> KeyStore:
    """A store made anew, as for each connection, in a process that remembers."""
    return KeyStore(folder / "keys", lambda: SystemKeyring(backend), remembered)


def test_a_keyring_is_asked_once_for_a_pens_keys_however_often_they_are_needed(tmp_path: Path) -> None:
    backend, remembered = Desktop(), Remembered()
    with_keyring(tmp_path, backend).keep(a_pen())
    with_keyring(tmp_path, backend).begin(RUN)
    backend.calls.clear()
    for _ in range(3):
        assert remembering(tmp_path, backend, remembered).known(SERIAL) == a_pen()
    assert backend.calls == ["get"]
    assert remembering(tmp_path, Locked(), remembered).known(SERIAL) == a_pen()
    for _ in range(2):
        assert remembering(tmp_path, backend, remembered).unfinished(SERIAL) == RUN
    assert backend.calls == ["get"] * 3


def test_what_failed_is_not_remembered(tmp_path: Path) -> None:
    backend, remembered = Desktop(), Remembered()
    with_keyring(tmp_path, backend).keep(a_pen())
    with pytest.raises(KeyringLocked):
        remembering(tmp_path, Locked(), remembered).known(SERIAL)
    assert remembering(tmp_path, backend, remembered).known(SERIAL) == a_pen()


@pytest.mark.parametrize("here", [True, False], ids=["in this process", "in another"])
def test_keys_that_were_forgotten_or_replaced_are_remembered_no_more(here: bool, tmp_path: Path) -> None:
    backend, remembered = Desktop(), Remembered()
    store = remembering(tmp_path, backend, remembered if here else {})
    store.keep(a_pen())
    assert remembering(tmp_path, backend, remembered).known(SERIAL) == a_pen()
    store.keep(a_pen(filled=9, paired_s=1_800_000_000 if here else 1_800_000_011))  # a hand-over takes ten seconds
    assert remembering(tmp_path, backend, remembered).known(SERIAL) == a_pen(
        filled=9, paired_s=1_800_000_000 if here else 1_800_000_011
    )
    store.forget(SERIAL)
    assert remembering(tmp_path, backend, remembered).known(SERIAL) is None
    assert remembered == {}


def test_keys_that_lie_in_a_file_are_never_remembered(tmp_path: Path) -> None:
    remembered = Remembered()
    store = KeyStore(tmp_path / "keys", lambda: None, remembered)
    store.keep(a_pen())
    assert store.known(SERIAL) == a_pen()
    assert remembered == {}
    in_a_file(tmp_path).keep(a_pen(filled=9))
    assert store.known(SERIAL) == a_pen(filled=9)


# Which keyring


@pytest.mark.parametrize("backend", [NO_KEYRING(), PlainText()], ids=["none", "keyrings.alt"])
def test_a_keyring_that_does_not_encrypt_is_none(backend: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "get_keyring", lambda: backend)
    store = KeyStore(tmp_path / "keys", system_keyring.find)
    store.check()
    store.keep(a_pen())
    assert store.known(SERIAL) == a_pen()
    assert store.where is Where.FILE
    assert str(tmp_path / "keys") in store.said
    assert "Whoever gets at this user's files can run the pen." in store.said


def test_of_a_chain_only_the_one_that_encrypts_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desktop = Desktop()
    monkeypatch.setattr(ChainerBackend, "backends", [PlainText(), desktop])
    monkeypatch.setattr(keyring, "get_keyring", ChainerBackend)
    store = KeyStore(tmp_path, system_keyring.find)
    store.keep(a_pen())
    assert store.known(SERIAL) == a_pen()
    assert len(desktop.held) == 1
    assert store.said == "The keys lie in the desktop's keyring (Secret Service), which this computer's sign-in locks."


def test_a_backend_that_cannot_be_loaded_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def get_keyring() -> Any:
        raise ModuleNotFoundError("No module named 'nowhere'")

    monkeypatch.setattr(keyring, "get_keyring", get_keyring)
    with pytest.raises(KeyringFailed, match="PYTHON_KEYRING_BACKEND"):
        KeyStore(tmp_path, system_keyring.find).check()


@pytest.mark.parametrize(
    ("backend", "kind"), [(Locked(), KeyringLocked), (Deaf(), KeyringFailed), (Gone(), KeyringFailed)]
)
def test_a_keyring_that_says_no_is_an_error_that_says_what_to_do_and_nothing_is_lost(
    backend: Desktop, kind: type[KeyStoreError], tmp_path: Path
) -> None:
    sound = Desktop()
    with_keyring(tmp_path, sound).keep(a_pen())
    store = with_keyring(tmp_path, backend)
    for act in (store.check, lambda: store.keep(a_pen(filled=9)), lambda: store.begin(RUN)):
        with pytest.raises(kind, match="try again"):
            act()
    if not isinstance(backend, Deaf):
        for read in (lambda: store.known(SERIAL), lambda: store.forget(SERIAL)):
            with pytest.raises(kind, match="Secret Service"):
                read()
    assert with_keyring(tmp_path, sound).known(SERIAL) == a_pen()


@pytest.mark.parametrize("backend", [Desktop(), None], ids=["emptied", "no desktop now"])
def test_keys_that_the_keyring_has_no_more_are_missed_and_not_called_unknown(
    backend: Desktop | None, tmp_path: Path
) -> None:
    with_keyring(tmp_path, Desktop()).keep(a_pen())
    store = in_a_file(tmp_path) if backend is None else with_keyring(tmp_path, backend)
    with pytest.raises(KeysMissing, match="pair again"):
        store.known(SERIAL)
    assert [listed.name for listed in store.list()] == [SERIAL]
    assert store.forget(SERIAL)


def test_an_unfinished_pairing_that_was_half_removed_is_none_and_stands_in_nobodys_way(tmp_path: Path) -> None:
    backend = Desktop()
    store = with_keyring(tmp_path, backend)
    store.begin(RUN)
    before = dict(backend.held)
    store.keep(a_pen())
    left = with_keyring(tmp_path, backend)
    store.begin(RUN)
    for name in before:
        del backend.held[name]
    assert left.unfinished(SERIAL) is None
    assert left.known(SERIAL) == a_pen()
    with pytest.raises(KeysMissing):
        in_a_file(tmp_path).unfinished(SERIAL)


# Files


@HAS_MODES
def test_folder_and_file_are_this_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        in_a_file(tmp_path).keep(a_pen())
    finally:
        os.umask(before)
    [file] = (tmp_path / "keys").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@HAS_MODES
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused_and_left_as_it_is(mode: int, tmp_path: Path) -> None:
    store = in_a_file(tmp_path)
    store.keep(a_pen())
    [file] = (tmp_path / "keys").iterdir()
    file.chmod(mode)
    with pytest.raises(KeysExposed, match=f"chmod 600 .*{file.name}"):
        store.known(SERIAL)
    assert stat.S_IMODE(file.stat().st_mode) == mode


@HAS_MODES
def test_a_folder_that_others_can_enter_is_refused_for_reading_and_for_writing(tmp_path: Path) -> None:
    store = in_a_file(tmp_path)
    store.keep(a_pen())
    (tmp_path / "keys").chmod(0o750)
    acts: list[Callable[[], object]] = [lambda: store.known(SERIAL), store.check, lambda: store.keep(a_pen(filled=9))]
    for act in acts:
        with pytest.raises(KeysExposed, match="chmod 700"):
            act()
    (tmp_path / "keys").chmod(0o700)
    assert store.known(SERIAL) == a_pen()


@HAS_MODES
def test_another_users_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = in_a_file(tmp_path)
    store.keep(a_pen())
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(KeysExposed, match="another user"):
        store.known(SERIAL)


@HAS_MODES
def test_no_link_is_followed_and_no_pipe_waited_for(tmp_path: Path) -> None:
    store = in_a_file(tmp_path)
    store.keep(a_pen())
    [file] = (tmp_path / "keys").iterdir()
    elsewhere = file.rename(tmp_path / "elsewhere")
    file.symlink_to(elsewhere)
    with pytest.raises(KeysForbidden):
        store.known(SERIAL)
    file.unlink()
    os.mkfifo(file, 0o600)
    with pytest.raises(KeysBroken):
        store.known(SERIAL)


def test_a_write_that_fails_leaves_the_old_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = in_a_file(tmp_path)
    store.keep(a_pen())

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeysForbidden, match="No space left"):
        store.keep(a_pen(filled=9))
    monkeypatch.undo()
    assert store.known(SERIAL) == a_pen()
    assert len(list((tmp_path / "keys").iterdir())) == 1


def test_what_a_cut_write_left_is_no_keys_and_goes_with_the_next_one(tmp_path: Path) -> None:
    store = in_a_file(tmp_path)
    store.keep(a_pen())
    [file] = (tmp_path / "keys").iterdir()
    torn = file.with_name(f"{file.name}.new")
    torn.write_bytes(file.read_bytes()[:40])
    assert store.known(SERIAL) == a_pen()
    assert len(store.list()) == 1
    store.keep(a_pen(filled=9))
    assert not torn.exists()
    torn.write_bytes(b"half a key")
    store.forget(SERIAL)
    assert list((tmp_path / "keys").iterdir()) == []


def test_what_is_forgotten_was_overwritten_before(tmp_path: Path) -> None:
    store = in_a_file(tmp_path)
    store.keep(a_pen())
    [file] = (tmp_path / "keys").iterdir()
    other = tmp_path / "a second name for the same blocks"
    other.hardlink_to(file)
    store.forget(SERIAL)
    assert set(other.read_bytes()) == {0}


@pytest.mark.parametrize("whose", [b"\x1b]0;x\x07".hex(), "4" * 40, "44 4c", "4G", "\x1b[31m"], ids=ascii)
def test_a_file_that_no_pen_can_have_is_listed_and_sends_nothing_to_the_terminal(whose: str, tmp_path: Path) -> None:
    if sys.platform == "win32" and "\x1b" in whose:
        pytest.skip("no file has such a name there")
    store = in_a_file(tmp_path)
    store.keep(a_pen())
    [file] = (tmp_path / "keys").iterdir()
    file.rename(file.with_name(f"{whose}.pen.json"))
    [listed] = store.list()
    assert listed.entry is None
    assert f"{listed.name} {listed.why}".isprintable()


@HAS_MODES
def test_what_is_not_this_users_alone_is_not_removed_either(tmp_path: Path) -> None:
    store = in_a_file(tmp_path)
    store.keep(a_pen())
    [file] = (tmp_path / "keys").iterdir()
    for exposed, wide, narrow in ((file, 0o640, 0o600), (file.parent, 0o750, 0o700)):
        exposed.chmod(wide)
        with pytest.raises(KeysExposed, match="chmod"):
            store.forget(SERIAL)
        exposed.chmod(narrow)
    assert store.known(SERIAL) == a_pen()


@HAS_MODES
def test_what_a_link_points_to_is_not_overwritten(tmp_path: Path) -> None:
    store = in_a_file(tmp_path)
    store.keep(a_pen())
    [file] = (tmp_path / "keys").iterdir()
    other = tmp_path / "a thesis"
    other.write_text("whole")
    other.chmod(0o600)
    file.unlink()
    file.symlink_to(other)
    acts: list[Callable[[], object]] = [
        lambda: store.forget(SERIAL),
        lambda: PrivateFolder(file.parent).remove(file.name),
    ]
    for remove in acts:
        with pytest.raises(KeysForbidden):
            remove()
    assert other.read_text() == "whole"
    assert file.is_symlink()


BROKEN: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("cut", lambda _: None),
    ("newer", lambda told: told.update(version=2)),
    ("nowhere", lambda told: told.update(where="cloud")),
    ("no keys", lambda told: told.pop("keys")),
    ("short", lambda told: told["keys"].update(binding="00" * 31)),
    ("no hex", lambda told: told["keys"].update(pen_public="zz" * 32)),
    ("low order", lambda told: told["keys"].update(pen_public="00" * 32)),
    ("too deep", lambda _: None),
    ("too long", lambda told: told.update(padding="x" * 4_096)),
    ("endless", lambda told: told.update(paired_s=float("inf"))),
    ("no whole second", lambda told: told.update(paired_s=1.5)),
    ("before all clocks", lambda told: told.update(paired_s=-1)),
    ("after all clocks", lambda told: told.update(paired_s=1 << 32)),
    ("far after them", lambda told: told.update(paired_s=10**30)),
    ("another pen's", lambda told: told.update(serial_number="DL-00000008")),
    ("nobody's", lambda told: told.update(serial_number=7)),
    ("one that writes to the terminal", lambda told: told.update(serial_number="\x1b[31m" + SERIAL)),
    ("all alike", lambda told: told["keys"].update(host_private="11" * 32)),
]


@pytest.mark.parametrize(("name", "spoil"), BROKEN, ids=[name for name, _ in BROKEN])
def test_what_does_not_hold_together_is_said_and_left_there(
    name: str, spoil: Callable[[dict[str, Any]], object], tmp_path: Path
) -> None:
    store = in_a_file(tmp_path)
    store.keep(a_pen())
    [file] = (tmp_path / "keys").iterdir()
    told = json.loads(file.read_text())
    spoil(told)
    written = {"cut": file.read_text()[:-10], "too deep": "[" * 4_000}.get(name, json.dumps(told))
    file.write_text(written)
    left = file.read_bytes()
    with pytest.raises(KeysBroken, match="pair again") as caught:
        store.known(SERIAL)
    assert not any(secret in str(caught.value) for secret in secrets_of(a_pen()))
    assert file.read_bytes() == left
    assert [listed.name for listed in store.list()] == [SERIAL]
    assert store.forget(SERIAL)
    assert store.list() == []


# Which store


def test_the_variable_names_a_folder_and_leaves_the_keyring_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "get_keyring", PlainText().get_password)
    monkeypatch.setenv(stores.KEYS_VARIABLE, str(tmp_path / "named"))
    own_store().keep(a_pen())
    assert known_pen(SERIAL) == a_pen()
    assert known_pen("DL-00000008") is None
    monkeypatch.setenv(stores.KEYS_VARIABLE, str(tmp_path / "other"))
    assert known_pen(SERIAL) is None


def test_without_it_they_lie_among_this_persons_own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(stores.KEYS_VARIABLE, raising=False)
    for name in ("HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr(keyring, "get_keyring", fail.Keyring)
    own_store().keep(a_pen())
    [file] = [each for each in tmp_path.rglob("*") if each.is_file()]
    assert file.parent.name == "keys"
    assert known_pen(SERIAL) == a_pen()


def test_a_process_asks_this_persons_keyring_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(stores.KEYS_VARIABLE, raising=False)
    for name in ("HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    desktop = Desktop()
    monkeypatch.setattr(keyring, "get_keyring", lambda: desktop)
    own_store().keep(a_pen())
    desktop.calls.clear()
    assert known_pen(SERIAL) == known_pen(SERIAL) == a_pen()
    assert desktop.calls == ["get"]
    own_store().forget(SERIAL)
    assert known_pen(SERIAL) is None
    assert desktop.held == {}


def test_who_has_paired_with_no_pen_loads_no_cipher_and_no_keyring(tmp_path: Path) -> None:
    """A tenth of a second and more, at each connect of each command."""
    script = (
        "import sys; from dermalink.ownership.store import known_pen; assert known_pen('DL-1') is None;"
        "print(*{'Crypto', 'cryptography', 'noise', 'keyring'} & set(sys.modules))"
    )
    told = os.environ | {"DERMALINK_KEYS": str(tmp_path / "none")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=told)
    assert done.stdout.split() == []
