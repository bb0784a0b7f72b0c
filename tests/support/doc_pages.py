"""Pages of documentation as a reader meets them: fenced blocks, and in console blocks commands with what they print."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ANYTHING = "…"
PROMPT = "$ "
_FENCE = re.compile(r"^( *)(`{3,})(.*)$")


class Block(NamedTuple):
    """One fenced block. `line` is its fence's; `follows` is whether only blank lines part it from the last one."""

    page: Path
    line: int
    language: str
    text: str
    follows: bool

    @property
    def place(self) -> str:
        """Where it is, as an editor takes it."""
        return f"{self.page.name}:{self.line}"

    @property
    def file_name(self) -> str:
        """The file that the block shows, when its first line is a comment with nothing but a name; else empty."""
        found = re.match(r"# ([\w.-]+\.(?:toml|py|json))\n", self.text)
        return found[1] if found else ""


class Command(NamedTuple):
    """A command line and what it is said to print; no lines is nothing said."""

    line: int
    words: str
    prints: tuple[str, ...]


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a Markdown page, in order; raises ValueError for one that has no end."""
    return list(_blocks(page))


def _blocks(page: Path) -> Iterator[Block]:
    fence, language, begun, follows = "", "", 0, False
    lines: list[str] = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        found = _FENCE.match(line)
        if not fence:
            if found:
                fence, language, begun = found[1] + found[2], found[3].strip(), number
            elif line.strip():
                follows = False
        elif line == fence:
            text = "".join(f"{each}\n" for each in lines)
            yield Block(page, begun, language, text, follows)
            fence, lines, follows = "", [], True
        else:
            lines.append(line)
    if fence:
        raise ValueError(f"{page.name}:{begun}: the block has no end")


def commands_of(block: Block) -> list[Command]:
    """The commands of a console block; raises ValueError when it begins with something else."""
    found: list[Command] = []
    for number, line in enumerate(block.text.splitlines(), start=block.line + 1):
        if line.startswith(PROMPT):
            found.append(Command(number, line.removeprefix(PROMPT).partition("  #")[0].strip(), ()))
        elif found:
            found[-1] = found[-1]._replace(prints=(*found[-1].prints, line))
        elif line.strip():
            raise ValueError(f"{block.page.name}:{number}: a console block begins with {PROMPT!r} and a command")
    return found


def matches(said: tuple[str, ...], printed: str) -> bool:
    """Whether `printed` is what the page says; a line of … alone stands for any lines, within a line for any text."""
    pattern = ""
    for line in said:
        if line.strip() == ANYTHING:
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*".join(re.escape(part) for part in line.rstrip().split(ANYTHING)) + r" *\n"
    text = printed if printed.endswith("\n") else printed + "\n"
    return re.fullmatch(pattern, text) is not None
