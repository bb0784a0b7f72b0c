"""Where the keys of a person's pens lie: in the system's keyring, or where there is none, in a file of their own.

For each pen there is a small file that names it (`entries`), so that what this computer knows can be told without the
keyring; the keys lie beside the name only where there is no keyring. `DERMALINK_KEYS` names a folder to use instead,
with the keys in it and the system's keyring left alone: for tests, for CI, for a removable disk.

A keyring is asked for a pen's keys once in a process, so that connecting again after a loss asks nobody to unlock it.
The pen's own small file is read each time: once it is gone or another, by whatever program, what was remembered is not
used. What lies in files is never remembered.

Calls may wait for the system's keyring, which may ask a person to unlock it: make them in a thread.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from dermalink.ownership import system_keyring
from dermalink.ownership.entries import (
    Entry,
    Unfinished,
    Where,
    broken,
    decode_entry,
    decode_keys,
    decode_unfinished,
    encode_entry,
    encode_keys,
    encode_unfinished,
)
from dermalink.ownership.errors import KeysBroken, KeysMissing, KeyStoreError
from dermalink.ownership.owned_pen import OwnedPen
from dermalink.ownership.private_folder import PrivateFolder
from dermalink.ownership.system_keyring import SystemKeyring
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.pairing.setup_code import checked_serial_number

KEYS_VARIABLE: Final = "DERMALINK_KEYS"
OWNED: Final = ".pen.json"
UNFINISHED: Final = ".unfinished.json"
PROBE: Final = "probe"


Remembered: TypeAlias = dict[str, tuple[bytes, str]]
"""By a file's name, the file as it was when the keyring gave its keys, and those."""


_REMEMBERED: Final[dict[Path, Remembered]] = {}
"""By the store's folder, for as long as this process lives."""


class Listed(NamedTuple):
    """A line of what this computer knows: an entry, or a file that can't be read, and why."""

    name: str
    entry: Entry | None
    why: KeyStoreError | None = None


class KeyStore:
    """Each call raises a `KeyStoreError` when it can't be done, and then nothing is lost."""

    def __init__(
        self,
        folder: Path,
        find_keyring: Callable[[], SystemKeyring | None],
        remembered: Remembered | None = None,
    ) -> None:
        """`find_keyring` is called when keys are to be had and not before; stores of one folder share `remembered`."""
        self._folder = PrivateFolder(folder)
        self._remembered = {} if remembered is None else remembered
        self._find = find_keyring
        self._keyring: SystemKeyring | None = None
        self._looked = False

    # Reading

    def known(self, serial_number: str) -> OwnedPen | None:
        """The keys of this pen; None where this computer never had any."""
        found = self._read(serial_number, OWNED)
        return None if found is None else decode_keys(found[1], found[0])

    def in_file(self, serial_number: str) -> OwnedPen | None:
        """The keys of this pen where they lie in a file; None also for those in a keyring, which may ask a person."""
        data = self._folder.read(_name(serial_number) + OWNED)
        if data is None:
            return None
        entry, keys = decode_entry(data, serial_number, finished=True)
        return None if keys is None else decode_keys(keys, entry)

    def any_in_file(self) -> bool:
        """Whether the keys of any pen lie in a file."""
        entries = (listed.entry for listed in self.list())
        return any(entry is not None and entry.finished and entry.where is Where.FILE for entry in entries)

    def unfinished(self, serial_number: str) -> Unfinished | None:
        """A pairing with this pen whose last answer never came.

        None also where a keyring that answers has nothing of it: from there it goes first once it is done (`_remove`).
        """
        try:
            found = self._read(serial_number, UNFINISHED)
        except KeysMissing:
            if self._get_keyring() is None:
                raise
            return None
        return None if found is None else decode_unfinished(found[1], found[0])

    def list(self) -> list[Listed]:
        """Every pen that is known here, by serial number; the keyring is not asked."""
        found = []
        for suffix in (OWNED, UNFINISHED):
            for name in self._folder.names(suffix):
                serial_number = _serial(name)
                if serial_number is None:  # no pen's, and nothing that a terminal should be sent as it is
                    shown = ascii(name + suffix)
                    found.append(Listed(shown, None, broken(shown)))
                    continue
                try:
                    data = self._folder.read(name + suffix)
                    if data is not None:
                        entry = decode_entry(data, serial_number, finished=suffix == OWNED)[0]
                        found.append(Listed(serial_number, entry))
                except KeyStoreError as error:
                    found.append(Listed(serial_number, None, error))
        return sorted(found, key=lambda listed: listed.name)

    # Where

    @property
    def where(self) -> Where:
        """Where keys are put that are kept from now on."""
        return Where.FILE if self._get_keyring() is None else Where.KEYRING

    @property
    def said(self) -> str:
        """The same for a person, and what it means."""
        keyring = self._get_keyring()
        if keyring is not None:
            return f"The keys lie in {keyring.called}, which this computer's sign-in locks."
        return (
            f"This computer has no keyring that can be used: the keys lie in the folder {self._folder.path}, readable"
            " by this user alone. Whoever gets at this user's files can run the pen."
        )

    def check(self) -> None:
        """See that keys can be kept here, before anybody is asked to press a button."""
        keyring = self._get_keyring()
        if keyring is not None:
            keyring.write(PROBE, PROBE)
            keyring.remove(PROBE)
        self._folder.write(PROBE, b"")
        self._folder.remove(PROBE)

    # Writing

    def begin(self, run: Unfinished) -> None:
        """Keep what a pairing needs to be finished, before its last word goes out; in place of an older one."""
        self._write(Entry(run.serial_number, 0, self.where, finished=False), encode_unfinished(run), UNFINISHED)

    def keep(self, pen: OwnedPen) -> None:
        """Keep the keys of a finished pairing, in place of older ones; what was unfinished is removed."""
        self._write(Entry(pen.serial_number, pen.paired_s, self.where), encode_keys(pen), OWNED)
        self.drop_unfinished(pen.serial_number)

    def forget(self, serial_number: str) -> bool:
        """Remove all that is kept for this pen; False where nothing was."""
        had = [self._remove(serial_number, suffix) for suffix in (OWNED, UNFINISHED)]
        return any(had)

    def drop_unfinished(self, serial_number: str) -> bool:
        """Remove what is kept of an unfinished pairing; False where nothing was."""
        return self._remove(serial_number, UNFINISHED)

    # Within

    def _get_keyring(self) -> SystemKeyring | None:
        if not self._looked:
            self._keyring, self._looked = self._find(), True
        return self._keyring

    def _read(self, serial_number: str, suffix: str) -> tuple[Entry, str] | None:
        data = self._folder.read(_name(serial_number) + suffix)
        if data is None:
            self._remembered.pop(_name(serial_number) + suffix, None)
            return None
        entry, keys = decode_entry(data, serial_number, finished=suffix == OWNED)
        if keys is None:
            keys = self._from_keyring(serial_number, suffix, data)
        return entry, keys

    def _from_keyring(self, serial_number: str, suffix: str, data: bytes) -> str:
        name = _name(serial_number) + suffix
        before, remembered = self._remembered.get(name, (b"", ""))
        if before == data:
            return remembered
        keyring = self._get_keyring()
        if keyring is None:
            raise _missing(serial_number, "there is no keyring here now")
        keys = keyring.read(name)
        if keys is None:
            raise _missing(serial_number, f"{keyring.called} has them no more")
        if suffix == OWNED:  # the file of an unfinished pairing looks like that of the one before it
            self._remembered[name] = data, keys
        return keys

    def _write(self, entry: Entry, keys: str, suffix: str) -> None:
        name = _name(entry.serial_number) + suffix
        self._remembered.pop(name, None)
        keyring = self._get_keyring()
        if keyring is not None:
            keyring.write(name, keys)
        self._folder.write(name, encode_entry(entry, keys if keyring is None else None))

    def _remove(self, serial_number: str, suffix: str) -> bool:
        """The keyring first: a name without keys says so when it is read, keys without a name would be lost there."""
        name = _name(serial_number) + suffix
        self._remembered.pop(name, None)
        if name.removesuffix(suffix) not in self._folder.names(suffix):
            return False
        if self._may_lie_in_keyring(serial_number, name):
            keyring = self._get_keyring()
            if keyring is not None:
                keyring.remove(name)
        return self._folder.remove(name)

    def _may_lie_in_keyring(self, serial_number: str, name: str) -> bool:
        """Raises what the folder does: what it refuses to read is not removed either."""
        data = self._folder.read(name) or b""
        try:
            return decode_entry(data, serial_number, finished=True)[0].where is Where.KEYRING
        except KeysBroken:  # what it says can't be known, and it is to go all the same
            return True


def own_store() -> KeyStore:
    """This person's own store, or the one that `DERMALINK_KEYS` names."""
    named = os.environ.get(KEYS_VARIABLE)
    if named:
        return KeyStore(Path(named), lambda: None)
    from platformdirs import user_data_path

    folder = user_data_path("dermalink", appauthor=False) / "keys"
    return KeyStore(folder, system_keyring.find, _REMEMBERED.setdefault(folder, {}))


def known_pen(serial_number: str) -> OwnedPen | None:
    """The keys of the pen with this serial number; None where this computer has none.

    It may wait for the system's keyring, so call it in a thread. A pen that was never paired here, or whose keys were
    read before, costs the reading of one small file, and the keyring is not asked. Raises a `KeyStoreError` when there
    are keys that can't be had.
    """
    return own_store().known(serial_number)


def _name(serial_number: str) -> str:
    """A file's name for any serial number: no separator, and no two that differ by case alone."""
    return serial_number.encode("utf-8", "surrogatepass").hex()


def _serial(name: str) -> str | None:
    """The serial number of which this is the file's name; None for what names no pen."""
    try:
        serial_number = checked_serial_number(bytes.fromhex(name).decode("ascii"))
    except (ValueError, DermalinkError):
        return None
    return serial_number if _name(serial_number) == name else None


def _missing(serial_number: str, limit: str) -> KeysMissing:
    return KeysMissing(
        f"The keys of pen {serial_number} were kept in this computer's keyring, and can't be had",
        limit=limit,
        rule="SR-OWN-1",
        advice="Sign in as you did when you paired it; else hold the pen's button for ten seconds and pair again",
    )
