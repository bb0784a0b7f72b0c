"""The golden records as tests read them; C tests will read the same files."""

import json
from pathlib import Path
from typing import Any

from dermalink_protocol.codec import Packed

FOLDER = Path(__file__).parent
Line = dict[str, Any]


def load(file: str) -> list[Line]:
    return [json.loads(line) for line in (FOLDER / file).read_text(encoding="utf-8").splitlines()]


def name_of(line: Line) -> str:
    return str(line.get("good") or line["bad"])


def good(lines: list[Line], *keys: str) -> list[Line]:
    return [line for line in lines if "good" in line and all(key in line for key in keys)]


def bad(lines: list[Line], *keys: str) -> list[Line]:
    return [line for line in lines if "bad" in line and all(key in line for key in keys)]


def built(cls: type[Packed], fields: dict[str, int | str]) -> Packed:
    """The record made by its constructor from values as JSON has them."""
    values = {name: bytes.fromhex(value) if isinstance(value, str) else value for name, value in fields.items()}
    return cls(**values)
