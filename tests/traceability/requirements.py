"""The rows of docs/requirements.toml, checked as they are read."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Side = Literal["pen", "host"]
Kind = Literal["test", "proof", "construction"]

SIDES: tuple[Side, ...] = get_args(Side)
KINDS: tuple[Kind, ...] = get_args(Kind)
SIDES_OF: Mapping[str, frozenset[Side]] = {
    "P": frozenset({"pen"}),
    "H": frozenset({"host"}),
    "PH": frozenset({"pen", "host"}),
    "P(H)": frozenset({"pen", "host"}),
}
REQUIREMENTS = Path(__file__).parents[2] / "docs" / "requirements.toml"
_ID = re.compile(r"SR-[A-Z]+-[1-9][0-9]*")


class BadRow(Exception):
    """A row of requirements.toml doesn't say what it must."""


@dataclass(frozen=True)
class Claim:
    """What requirements.toml says of one side of a row: how it is proved, or what is missing."""

    proved: frozenset[Kind]
    missing: str


@dataclass(frozen=True)
class Requirement:
    """One row: the rule, who holds it, where it comes from, and what stands today."""

    id: str
    topic: str
    rule: str
    held: str
    source: str
    claims: Mapping[Side, Claim]


def load(path: Path = REQUIREMENTS) -> dict[str, Requirement]:
    """All rows by id, in the file's order; raises BadRow at the first that is wrong."""
    with path.open("rb") as file:
        return {id_: _row(id_, table) for id_, table in tomllib.load(file).items()}


def _row(id_: str, table: object) -> Requirement:
    if not _ID.fullmatch(id_) or not isinstance(table, dict):
        raise BadRow(f"[{id_}] is no row; a row is named SR-TOPIC-NUMBER.")
    texts = {key: _text(id_, table, key) for key in ("topic", "rule", "held", "source")}
    if texts["held"] not in SIDES_OF:
        raise BadRow(f"[{id_}] held is {texts['held']!r}; it is one of {', '.join(SIDES_OF)}.")
    sides = SIDES_OF[texts["held"]]
    if set(table) != {*texts, *sides}:
        raise BadRow(
            f"[{id_}] has the keys {sorted(table)}; held by {texts['held']} it has {sorted({*texts, *sides})}."
        )
    return Requirement(id_, **texts, claims={side: _claim(id_, side, table[side]) for side in SIDES if side in sides})


def _text(id_: str, table: Mapping[str, object], key: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadRow(f"[{id_}] {key} must be a text that says something.")
    return value


def _claim(id_: str, side: Side, value: object) -> Claim:
    match value:
        case {"planned": str(missing), **rest} if missing and not rest:
            return Claim(frozenset(), missing)
        case {"proved": [*kinds], **rest} if kinds and set(rest) <= {"remains"}:
            known, remains = frozenset(kind for kind in KINDS if kind in kinds), rest.get("remains", "")
            if len(known) == len(kinds) and isinstance(remains, str):
                return Claim(known, remains)
    raise BadRow(
        f'[{id_}] {side} must be {{ planned = "what is missing" }} or {{ proved = [kinds] }}, if need be with '
        f'remains = "what is missing"; a kind is one of {", ".join(KINDS)}.'
    )
