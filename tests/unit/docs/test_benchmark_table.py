"""The benchmarks' tables go between their marks, each whole from one run; nothing else of the page is touched."""

from pathlib import Path

import pytest

from tests.benchmarks import __main__ as benchmarks
from tests.benchmarks.__main__ import BEGIN, BLUETOOTH_BEGIN, BLUETOOTH_END, END, main, with_table
from tests.benchmarks.measure import Row

PAGE = f"before\n\n{BEGIN}\n\nold\nlines\n\n{END}\n\nafter\n"


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    assert with_table(PAGE, ["| new |"]) == f"before\n\n{BEGIN}\n\n| new |\n\n{END}\n\nafter\n"


def test_writing_the_same_twice_changes_nothing_more() -> None:
    once = with_table(PAGE, ["| new |"])
    assert with_table(once, ["| new |"]) == once


@pytest.mark.parametrize("page", ["", BEGIN, END, f"{END}\n{BEGIN}", PAGE + PAGE, PAGE + END])
def test_a_page_without_one_pair_of_marks_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="needs one"):
        with_table(page, ["| new |"])


def test_a_page_that_can_not_be_written_is_refused_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--write", "no-such-page.md"])
    assert "no-such-page.md" in capsys.readouterr().err


def test_a_part_of_a_table_is_not_written_in_place_of_the_whole(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["wire", "--write", str(page)])
    assert "codec" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8") == PAGE


@pytest.mark.parametrize(("rooms", "main_too"), [([], True), (["bluetooth"], False)])
def test_bluetooth_s_rows_are_written_by_the_run_that_measured_them(
    rooms: list[str], main_too: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(chosen: list[str]) -> tuple[list[Row], list[str]]:
        return [], [f"| {room} |" for room in chosen]

    monkeypatch.setattr(benchmarks, "measure", measured)
    page = tmp_path / "page.md"
    page.write_text(f"{PAGE}{BLUETOOTH_BEGIN}\n\nold rows\n\n{BLUETOOTH_END}\nend\n", encoding="utf-8")
    assert main([*rooms, "--write", str(page)]) == 0
    written = page.read_text(encoding="utf-8")
    first, second = written.split("after")
    assert "| bluetooth |" in second
    assert "old rows" not in second
    assert "| bluetooth |" not in first
    assert ("| codec |\n| stream |" in first) is main_too
    assert ("old\nlines" in first) is not main_too
