"""docs/pairing.md: each test that its threat table names is there, and each result of pairing has its row."""

import ast
import re
from typing import get_args

import pytest

import tasks
from dermalink.ownership import results

PAGE = (tasks.ROOT / "docs" / "pairing.md").read_text(encoding="utf-8")
A_TEST = re.compile(r"`(tests/[a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`")
NAMED = sorted(set(A_TEST.findall(PAGE)))
TABLES = re.findall(r"^\|[^\n]*\| which test \|\n\|[- |]+\|\n((?:\|[^\n]*\n)+)", PAGE, re.MULTILINE)


def test_each_row_of_the_tables_names_a_test() -> None:
    assert len(TABLES) == 3
    for table in TABLES:
        rows = table.splitlines()
        assert len(rows) > 10
        assert [row for row in rows if not A_TEST.findall(row)] == []


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_test_that_is_named_is_there(file: str, name: str) -> None:
    tree = ast.parse((tasks.ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_each_result_is_in_the_hosts_states() -> None:
    states = PAGE.partition("## The host's states")[2].partition("##")[0]
    for kind in (*get_args(results.PairingResult), results.AlreadyPaired):
        assert f"`{kind.__name__}`" in states
