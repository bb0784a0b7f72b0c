"""Write docs/reference/*.md from the declarations (`--check`: only compare)."""

import sys
from collections.abc import Callable, Sequence
from typing import Final

from dermalink_protocol.generate import reference_records, reference_tables
from dermalink_protocol.generate.files import ROOT, write_or_check

FOLDER: Final = ROOT / "docs" / "reference"
PAGES: Final[dict[str, Callable[[], str]]] = {
    "messages.md": reference_records.messages,
    "telemetry.md": reference_records.telemetry_page,
    "history.md": reference_records.history_page,
    "limits.md": reference_tables.limits_page,
    "channels.md": reference_tables.channels_page,
    "reasons.md": reference_tables.reasons_page,
    "codewords.md": reference_tables.codewords_page,
}


def main(arguments: Sequence[str]) -> int:
    """0 if all pages stand; with `--check` 1 if one is stale."""
    return write_or_check({FOLDER / name: render() for name, render in PAGES.items()}, list(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
