"""The line that a key of a TOML text stands on, since tomllib does not tell."""

import re
from typing import Final

Place = tuple[int | str, ...]

_ENTRY: Final = re.compile(r"\s*\[\[\s*([A-Za-z0-9_-]+)\s*\]\]")
_TABLE: Final = re.compile(r"\s*\[")
_KEY: Final = re.compile(r"\s*[\"']?([A-Za-z0-9_-]+)[\"']?\s*=")


def line_of(text: str, place: Place) -> int:
    """The line (from 1) of `place`, such as `("zone", 1, "depth")`; of its table if it is not there; 0 if unknown."""
    if not place:
        return 0
    in_table = len(place) >= 2 and isinstance(place[1], int)
    table, index = (place[0], place[1]) if in_table else ("", 0)
    key = place[2] if in_table and len(place) > 2 else place[0]
    found, seen, inside = 0, -1, not in_table
    for number, line in enumerate(text.splitlines(), start=1):
        entry = _ENTRY.match(line)
        if entry:
            seen += entry[1] == table
            inside = entry[1] == table and seen == index
            found = number if inside else found
        elif _TABLE.match(line):
            inside = False
        elif inside and (assigned := _KEY.match(line)) and assigned[1] == key:
            return number
    return found


def key_of(place: Place) -> str:
    """A place as a person reads it: `zone 2, depth`."""
    words: list[str] = []
    for part in place:
        if isinstance(part, int) and words:
            words[-1] = f"{words[-1]} {part + 1}"
        else:
            words.append(str(part))
    return ", ".join(words)
