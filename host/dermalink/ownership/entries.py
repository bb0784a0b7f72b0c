"""What is written down for a pen: an entry that names it and says where its keys lie, and the keys, as JSON.

    entry   {"version": 1, "serial_number": "DL-…", "paired_s": 1800000000, "where": "keyring" or "file"}
    keys    {"version": 1, "host_private": hex, "pen_public": hex, "binding": hex}, each of 32 bytes

Where the keys lie in the file, they stand in the entry, under "keys". An unfinished pairing has "unfinished" in its
place: {"version": 1, "host_private": hex, "shared": hex, "confirmation": hex}.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, NamedTuple

from dermalink.ownership.errors import KeysBroken
from dermalink.ownership.owned_pen import OwnedPen
from dermalink.ownership.private_folder import BYTES_MAX
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.pairing.setup_code import checked_serial_number

VERSION: Final = 1
PAIRED_MAX_S: Final = 0xFFFF_FFFF  # as far as a pen's clock reaches, the year 2106


class Where(Enum):
    """Where the secrets of an entry lie."""

    KEYRING = "keyring"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A pairing whose last answer has not come: with the same words to the pen it can still be finished.

    `host_private`, `shared` (the run's key) and `confirmation` have 32 bytes each; none stands in its repr.
    """

    serial_number: str
    host_private: bytes = field(repr=False)
    shared: bytes = field(repr=False)
    confirmation: bytes = field(repr=False)


class Entry(NamedTuple):
    """A pen that this computer has keys for, or an unfinished pairing with it; no secret."""

    serial_number: str
    paired_s: int
    where: Where
    finished: bool = True


def encode_entry(entry: Entry, keys: str | None) -> bytes:
    """The entry's file; `keys` only where they lie in it."""
    told: dict[str, Any] = {"version": VERSION, "serial_number": entry.serial_number, "paired_s": entry.paired_s}
    told["where"] = entry.where.value
    if keys is not None:
        told["keys"] = json.loads(keys)
    return (json.dumps(told, indent=1) + "\n").encode("ascii")


def decode_entry(data: bytes, name: str, *, finished: bool) -> tuple[Entry, str | None]:
    """The entry in the file of the pen `name`, and the keys that lie in it; raises `KeysBroken`, also for another's."""
    told = _object(data, name)
    try:
        where, paired_s = Where(told["where"]), told["paired_s"]
        serial_number = checked_serial_number(told["serial_number"])
        keys = json.dumps(told["keys"]) if where is Where.FILE else None
    except (KeyError, TypeError, ValueError, RecursionError, DermalinkError):
        raise broken(name) from None
    if serial_number != name or type(paired_s) is not int or not 0 <= paired_s <= PAIRED_MAX_S:
        raise broken(name)
    return Entry(serial_number, paired_s, where, finished), keys


def encode_keys(pen: OwnedPen) -> str:
    """The keys of a pairing, to be kept secret."""
    return _encode({"host_private": pen.host_private, "pen_public": pen.pen_public, "binding": pen.binding})


def decode_keys(text: str, entry: Entry) -> OwnedPen:
    """The keys of this entry's pen; raises `KeysBroken`."""
    whole = _parts(text, entry, ("host_private", "pen_public", "binding"))
    try:
        host_private, pen_public, binding = whole
        return OwnedPen(entry.serial_number, host_private, pen_public, binding, entry.paired_s)
    except (DermalinkError, ValueError):
        raise broken(entry.serial_number) from None


def encode_unfinished(run: Unfinished) -> str:
    """What an unfinished pairing needs to be finished, to be kept secret."""
    return _encode({"host_private": run.host_private, "shared": run.shared, "confirmation": run.confirmation})


def decode_unfinished(text: str, entry: Entry) -> Unfinished:
    """The unfinished pairing of this entry; raises `KeysBroken`."""
    host_private, shared, confirmation = _parts(text, entry, ("host_private", "shared", "confirmation"))
    return Unfinished(entry.serial_number, host_private, shared, confirmation)


def broken(name: str) -> KeysBroken:
    """That what lies there for `name`, a pen or a file, can't be read."""
    return KeysBroken(
        f"The keys of {name} can't be read",
        limit="they are cut, altered, another pen's, or a newer Dermalink's",
        rule="SR-OWN-1",
        advice="Put back a sound copy, or forget them (`dermalink unpair --forget`) and pair again",
    )


def _encode(parts: Mapping[str, bytes]) -> str:
    return json.dumps({"version": VERSION} | {name: value.hex() for name, value in parts.items()})


def _parts(text: str, entry: Entry, names: tuple[str, ...]) -> list[bytes]:
    told = _object(text, entry.serial_number)
    try:
        parts = [bytes.fromhex(told[name]) for name in names]
    except (KeyError, TypeError, ValueError):
        raise broken(entry.serial_number) from None
    if any(len(part) != 32 for part in parts):
        raise broken(entry.serial_number)
    return parts


def _object(data: bytes | str, name: str) -> dict[str, Any]:
    if len(data) > BYTES_MAX:
        raise broken(name)
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):  # so many brackets deep
        raise broken(name) from None
    if not isinstance(told, dict) or told.get("version") != VERSION:
        raise broken(name)
    return told
