"""A thief who has all of the owner's files, and not the keyring that the owner's sign-in opens."""

import contextlib
import shutil
from base64 import b64encode
from pathlib import Path

import pytest

from dermalink.journal_file import FileJournal
from dermalink.ownership.errors import KeyringLocked, KeysMissing, KeyStoreError
from dermalink.ownership.results import Paired
from dermalink.ownership.store import KeyStore
from dermalink.ownership.system_keyring import SystemKeyring
from dermalink.pen import Pen
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.pytest_plugin import Bench, SimulatedPenDesk, desk
from tests.support.sealed_client import inside
from tests.system.home import AT_REST_S, Home, press, seconds
from tests.unit.ownership.keyrings import Desktop, Locked


async def connect(home: Home, journal: Path) -> Pen:
    """As every command does, with a journal in a file."""
    utc = lambda: home.made.model.clock.utc_s  # noqa: E731
    return await Pen.connect(home.url, journal=FileJournal(journal), utc=utc, known=home.store.known)


async def an_evening(made: SimulatedPenDesk, owner: Home, folder: Path) -> None:
    """The owner pairs, and has a session open for a moment."""
    await press(made)
    assert isinstance(await owner.pair(), Paired)
    async with await connect(owner, folder / "journal.jsonl") as pen:
        await pen.look()
        await pen.apply(pen.gate.open_session())
        assert pen.sealed


def told_in(folder: Path, secret: bytes) -> list[Path]:
    """The files in which a secret stands, however it is written."""
    ways = (secret, secret.hex().encode(), secret.hex().upper().encode(), b64encode(secret).rstrip(b"="))
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert files
    return [file for file in files if any(way in file.read_bytes() for way in ways)]


@pytest.mark.sr("SR-SEC-1", "SR-OWN-1", side="host")
@pytest.mark.parametrize("thief", [None, Desktop, Locked], ids=["no keyring", "his own", "one that stays locked"])
def test_with_all_files_and_no_keyring_nobody_runs_the_pen(thief: type[Desktop] | None, tmp_path: Path) -> None:
    keyring = Desktop()
    mine, stolen = tmp_path / "mine", tmp_path / "stolen"

    async def story(made: SimulatedPenDesk) -> None:
        await seconds(AT_REST_S)
        owner = Home(made, mine, "keys")
        owner.store = KeyStore(mine / "keys", lambda: SystemKeyring(keyring))
        await an_evening(made, owner, mine)
        known = owner.store.known(made.model.card.serial_number)
        assert known is not None
        for secret in (known.host_private, known.binding):
            assert told_in(mine, secret) == []
        shutil.copytree(mine, stolen)
        other = Home(made, stolen, "keys")
        backend = thief() if thief is not None else None
        other.store = KeyStore(stolen / "keys", lambda: SystemKeyring(backend) if backend is not None else None)
        error: type[KeyStoreError] = KeyringLocked if thief is Locked else KeysMissing
        with pytest.raises(error):
            await connect(other, stolen / "journal.jsonl")
        assert inside(made.model).owner.owned
        async with await connect(owner, mine / "journal.jsonl") as pen:
            assert pen.sealed

    with contextlib.closing(Bench(virtual=True)) as bench, desk(bench, SimulatedPen("product")) as made:
        bench.run(story(made))
