"""Write tests/vectors/*.jsonl: golden records for messages, frames, history and more (`--check`: only compare).

A record, once written, is locked: what is on the wire is promised. This adds records that are missing and refuses
to change or drop one; who means to break the promise deletes its line by hand.
"""

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

from dermalink_protocol.generate.conversation_vectors import conversation_lines
from dermalink_protocol.generate.files import ROOT, complain, write_or_check
from dermalink_protocol.generate.history_vectors import history_lines
from dermalink_protocol.generate.message_vectors import message_lines
from dermalink_protocol.generate.pairing_vectors import pairing_lines
from dermalink_protocol.generate.sealing_vectors import sealing_lines
from dermalink_protocol.generate.stream_vectors import frame_lines, segment_lines

FOLDER: Final = ROOT / "tests" / "vectors"
FILES: Final[dict[str, Callable[[], Iterator[dict[str, Any]]]]] = {
    "messages.jsonl": message_lines,
    "frames.jsonl": frame_lines,
    "segments.jsonl": segment_lines,
    "history.jsonl": history_lines,
    "pairing.jsonl": pairing_lines,
    "sealing.jsonl": sealing_lines,
    "conversation.jsonl": conversation_lines,
}


class LockedRecord(Exception):
    """A record that was promised would change, or would be gone."""


def _name(line: dict[str, Any]) -> str:
    return str(line.get("good") or line["bad"])


def _lines(text: str) -> dict[str, str]:
    return {_name(json.loads(line)): line for line in text.splitlines()}


def render(file: str) -> str:
    """The lines of one file as the declarations make them; raises `LockedRecord` where two have one name."""
    lines: dict[str, str] = {}
    for made in FILES[file]():
        if lines.setdefault(_name(made), text := json.dumps(made, ensure_ascii=False)) != text:
            raise LockedRecord(f"{file} would have two records named {_name(made)!r}.")
    return "".join(f"{line}\n" for line in lines.values())


def broken_locks(file: str, new: str, old: str) -> list[str]:
    """Records of `old` that `new` would change or drop, a sentence each."""
    before, after = _lines(old), _lines(new)
    advice = "what is on the wire is promised. To break the promise knowingly, delete the line by hand."
    return [f"{file}: {name!r} would change: {advice}" for name in before if after.get(name) != before[name]]


def main(arguments: list[str]) -> int:
    """0 if all records stand; 1 if one would change, or with `--check` if one is missing."""
    files = {FOLDER / file: render(file) for file in FILES}
    broken = [
        sentence
        for path, text in files.items()
        if path.is_file()
        for sentence in broken_locks(path.name, text, path.read_text(encoding="utf-8"))
    ]
    if broken:
        complain(broken)
        return 1
    return write_or_check(files, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
