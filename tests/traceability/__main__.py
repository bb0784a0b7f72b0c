"""Hold requirements and proofs against each other, and write docs/traceability.md (`--check`: only compare)."""

import sys

from tests.traceability import marks, matrix, requirements, verdict

PAGE = requirements.REQUIREMENTS.with_name("traceability.md")


def main(arguments: list[str]) -> int:
    """0 if all fits; 1 with a line for each thing that doesn't."""
    try:
        rows, found = requirements.load(), marks.collect()
    except (requirements.BadRow, marks.BadMark) as error:
        print(error, file=sys.stderr)
        return 1
    wrong = verdict.faults(rows, found)
    page = matrix.render(rows, found)
    if arguments == ["--check"]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page:
            wrong.append("docs/traceability.md is stale: python tasks.py gen")
    else:
        PAGE.write_text(page, encoding="utf-8", newline="\n")
    print("\n".join(wrong) or f"{len(rows)} requirements, {len(found)} marks: they fit.", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
