"""The benchmarks' table goes between its marks, and nothing else of the page is touched."""

import pytest

from tests.benchmarks.__main__ import BEGIN, END, main, with_table

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
        main(["wire", "--write", "no-such-page.md"])
    assert "no-such-page.md" in capsys.readouterr().err
