"""The check of requirements against proofs sees what doesn't fit, and only that."""

import textwrap
from pathlib import Path

import pytest

from tests.traceability import marks, matrix
from tests.traceability.marks import BadMark, Mark
from tests.traceability.requirements import SIDES, SIDES_OF, BadRow, Claim, Kind, Requirement, load
from tests.traceability.verdict import faults

NOTHING_YET = Claim(frozenset(), "the pen")


def proved(*kinds: Kind, missing: str = "") -> Claim:
    return Claim(frozenset(kinds), missing)


def rows(**claims: Claim) -> dict[str, Requirement]:
    """One row, held by the sides that are given."""
    held = next(held for held, sides in SIDES_OF.items() if sides == set(claims))
    given = {side: claims[side] for side in SIDES if side in claims}
    return {"SR-A-1": Requirement("SR-A-1", "Topic", "A rule.", held, "ours", given)}


def mark(row: str = "SR-A-1", side: str | None = None, kind: str = "test", *, twin: bool = False) -> Mark:
    return Mark(row, "tests/unit/test_a.py::test_a", side, kind, twin)


PROVED_BOTH = rows(pen=proved("test"), host=proved("test"))


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (rows(pen=NOTHING_YET), []),
        (rows(pen=proved("test")), [mark()]),
        (PROVED_BOTH, [mark()]),
        (PROVED_BOTH, [mark(side="pen"), mark(side="host")]),
        (rows(pen=proved("test", missing="a part")), [mark(side="pen")]),
        (rows(pen=proved("test"), host=NOTHING_YET), [mark(side="pen")]),
        (rows(pen=proved("test")), [mark(side="pen"), mark(side="host")]),
        (rows(pen=proved("proof")), [mark(kind="proof"), mark(kind="proof", twin=True)]),
    ],
)
def test_what_fits_is_left_in_peace(given: dict[str, Requirement], found: list[Mark]) -> None:
    assert faults(given, found) == []


@pytest.mark.parametrize(
    ("given", "found", "said"),
    [
        pytest.param(rows(pen=proved("test")), [], "no test is marked so", id="claim without proof"),
        pytest.param(PROVED_BOTH, [mark(side="pen")], "side of the host", id="claim for the other side"),
        pytest.param(rows(pen=proved("test")), [mark(twin=True)], "no test is marked so", id="a twin is no proof"),
        pytest.param(rows(pen=proved("test", "proof")), [mark()], "by proof", id="claim of another kind"),
        pytest.param(rows(pen=NOTHING_YET), [mark()], 'write pen = { proved = ["test"]', id="planned, yet proved"),
        pytest.param(
            rows(pen=proved("test"), host=NOTHING_YET), [mark()], "side of the host", id="no side means both sides"
        ),
        pytest.param(
            rows(pen=proved("test")),
            [mark(), mark(kind="construction")],
            '["test", "construction"]',
            id="more kinds than the row says",
        ),
        pytest.param(rows(pen=proved("test")), [mark(), mark("SR-B-1")], "SR-B-1, which is no row", id="unknown row"),
        pytest.param(rows(pen=proved("proof")), [mark(kind="proof")], "no twin", id="proof without a twin"),
    ],
)
def test_what_does_not_fit_is_said(given: dict[str, Requirement], found: list[Mark], said: str) -> None:
    (fault,) = faults(given, found)
    assert said in fault


@pytest.mark.parametrize(
    "wrong",
    [
        "[SR-a-1]\nheld = 'P'",
        "[SR-A-1]\nheld = 'P'",
        "[SR-A-1]\ntopic = 't'\nrule = ''\nheld = 'P'\nsource = 's'\npen = { planned = 'x' }",
        "[SR-A-1]\ntopic = 't'\nrule = 'r'\nheld = 'Q'\nsource = 's'\npen = { planned = 'x' }",
        "[SR-A-1]\ntopic = 't'\nrule = 'r'\nheld = 'PH'\nsource = 's'\npen = { planned = 'x' }",
        "[SR-A-1]\ntopic = 't'\nrule = 'r'\nheld = 'P'\nsource = 's'\npen = { planned = '' }",
        "[SR-A-1]\ntopic = 't'\nrule = 'r'\nheld = 'P'\nsource = 's'\npen = { proved = [] }",
        "[SR-A-1]\ntopic = 't'\nrule = 'r'\nheld = 'P'\nsource = 's'\npen = { proved = ['luck'] }",
        "[SR-A-1]\ntopic = 't'\nrule = 'r'\nheld = 'P'\nsource = 's'\npen = { proved = ['test'], planned = 'x' }",
    ],
)
def test_a_row_that_says_too_little_or_too_much_is_refused(tmp_path: Path, wrong: str) -> None:
    file = tmp_path / "requirements.toml"
    file.write_text(wrong, encoding="utf-8")
    with pytest.raises(BadRow, match="SR-"):
        load(file)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        (("SR-A-1",), {"side": "cloud"}),
        (("SR-A-1",), {"kind": "hope"}),
        (("SR-A-1",), {"twin": "yes"}),
        (("SR-A-1",), {"sides": "pen"}),
    ],
)
def test_a_mark_that_is_written_wrongly_is_refused(args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    with pytest.raises(BadMark, match="test_a"):
        marks.of_test("test_a", args, kwargs)


def test_only_tests_that_every_run_executes_count(pytester: pytest.Pytester) -> None:
    source = """
        import pytest

        @pytest.mark.sr("SR-A-1", "SR-A-2", side="pen")
        @pytest.mark.parametrize("x", [1, 2])
        def test_counts(x): ...

        @pytest.mark.sr("SR-A-3")
        @pytest.mark.skip(reason="never")
        def test_skipped(): ...

        @pytest.mark.sr("SR-A-4")
        @pytest.mark.xfail
        def test_expected_to_fail(): ...

        @pytest.mark.sr("SR-A-5")
        @pytest.mark.complete
        def test_too_long_for_every_run(): ...

        @pytest.mark.sr("SR-A-6", kind="hope")
        def test_badly_marked(): ...
    """
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    items = pytester.getitems(textwrap.dedent(source))
    found, bad = marks.marks_of(items)
    assert [(mark.row, mark.side, mark.test.rpartition("::")[2]) for mark in found] == [
        ("SR-A-1", "pen", "test_counts"),
        ("SR-A-2", "pen", "test_counts"),
    ]
    assert len(bad) == 1
    assert "test_badly_marked" in bad[0]


def test_the_page_shows_rows_sides_tests_and_twins() -> None:
    given = rows(pen=proved("test", missing="a part"), host=NOTHING_YET)
    page = matrix.render(given, [mark(side="pen"), mark(side="pen", twin=True)])
    assert "### SR-A-1\n\nA rule.\n\nHeld by PH. From: ours.\n" in page
    assert (
        "- pen: test; missing: a part\n  - test: `unit/test_a.py::test_a`\n- host: planned; missing: the pen\n" in page
    )
    assert "- twin: `unit/test_a.py::test_a`" in page
    assert "| pen | 1 | 0 | 1 | 0 |\n| host | 1 | 0 | 0 | 1 |" in page


def test_every_row_of_ours_is_held_by_somebody() -> None:
    found = load()
    assert len(found) >= 63  # rows may be added or split, and none dropped
    assert all(set(row.claims) == SIDES_OF[row.held] for row in found.values())
