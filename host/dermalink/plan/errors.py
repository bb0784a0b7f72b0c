"""What is wrong with a plan, in words for whoever wrote it."""

from typing import Final, NamedTuple

from dermalink_protocol.errors import DermalinkError

SHOWN_CHARS: Final = 48  # a value longer than this is cut in a message, so that the sentence stays one


class NotTaken(ValueError):
    """One value is refused; the parts are those of a `DermalinkError`, and `key` is the one at fault in a table."""

    def __init__(self, refused: str, *, rule: str = "", limit: str = "", advice: str = "", key: str = "") -> None:
        super().__init__(refused)
        self.refused, self.rule, self.limit, self.advice, self.key = refused, rule, limit, advice, key


class Problem(NamedTuple):
    """One thing that is wrong: where (`line` 0 where there is none), and a sentence's parts."""

    line: int
    key: str
    refused: str
    limit: str = ""
    rule: str = ""
    advice: str = ""

    def __str__(self) -> str:
        where = ", ".join(part for part in (f"line {self.line}" if self.line else "", self.key) if part)
        parts = [f"{where}: " if where else "", self.refused]
        parts += [f"; {self.limit}"] if self.limit else []
        parts += [f" [{self.rule}]"] if self.rule else []
        parts += [f". {self.advice}"] if self.advice else ["."]
        return "".join(parts)


class PlanError(DermalinkError):
    """A plan file can't be used; `problems` has everything that is wrong with it, in the file's order."""

    def __init__(self, source: str, *problems: Problem) -> None:
        self.source, self.problems = source, problems
        rules = ", ".join(dict.fromkeys(problem.rule for problem in problems if problem.rule))
        advice = problems[0].advice if len(problems) == 1 else ""
        super().__init__(f"The plan {source} was refused", rule=rules, advice=advice)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return f"The plan {self.source} was refused: {self.problems[0]}"
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        return f"The plan {self.source} was refused for {len(self.problems)} reasons:{lines}"


def shown(value: object) -> str:
    """A value as a message shows it: quoted if it is text, and never long."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARS else f"{text[: SHOWN_CHARS - 3]}..."
