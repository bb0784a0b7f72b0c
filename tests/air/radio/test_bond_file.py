"""Bonds of a host's radio from one program to the next: kept whole, from other users, and missed by nobody."""

import stat
import sys
from pathlib import Path

import pytest

from dermalink_simulator.radio import bond_file
from dermalink_simulator.radio.adapter import bonds_of
from dermalink_simulator.radio.bleak_options import read_options
from dermalink_simulator.radio.bleak_security import Bonds

ADDRESS, OTHER = "C0:00:00:00:00:01", "C0:00:00:00:00:02"
KEY = bytes(range(16))


def test_a_bond_is_there_for_the_next_program_until_it_is_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "new" / bond_file.FILE
    Bonds(file).keep(ADDRESS, KEY)
    Bonds(file).keep(OTHER, bytes(16))
    assert Bonds(file).of(ADDRESS) == KEY
    Bonds(file).forget(ADDRESS)
    assert Bonds(file).of(ADDRESS) is None
    assert Bonds(file).of(OTHER) == bytes(16)
    assert [each.name for each in file.parent.iterdir()] == [bond_file.FILE]


@pytest.mark.skipif(sys.platform == "win32", reason="a file has no such bits there")
def test_no_other_user_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "new" / bond_file.FILE
    Bonds(file).keep(ADDRESS, KEY)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"C0": "zz"}', '{"C0": "00"}', '{"C0": 7}', "7"])
def test_a_file_that_holds_no_keys_is_none(text: str, tmp_path: Path) -> None:
    file = tmp_path / bond_file.FILE
    file.write_text(text)
    assert Bonds(file).of("C0") is None
    Bonds(file).keep(ADDRESS, KEY)
    assert Bonds(file).of(ADDRESS) == KEY


def test_where_nothing_can_be_written_a_bond_lasts_as_long_as_the_program(tmp_path: Path) -> None:
    file = tmp_path / bond_file.FILE / bond_file.FILE
    file.parent.write_text("in the way")
    bonds = Bonds(file)
    bonds.keep(ADDRESS, KEY)
    assert bonds.of(ADDRESS) == KEY
    assert Bonds(file).of(ADDRESS) is None


def test_a_folder_is_named_or_it_is_this_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(bond_file.ENVIRONMENT, str(tmp_path))
    assert bond_file.own_file() == tmp_path / bond_file.FILE
    monkeypatch.setenv(bond_file.ENVIRONMENT, str(tmp_path / "not there"))
    assert bond_file.own_file() is None
    monkeypatch.delenv(bond_file.ENVIRONMENT)
    own = bond_file.own_file()
    assert own is not None
    assert (own.name, own.parent.name) == (bond_file.FILE, "dermalink")


def test_of_an_air_in_this_process_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(bond_file.ENVIRONMENT, str(tmp_path))
    bonds_of(read_options("air:here")).keep(ADDRESS, KEY)
    assert list(tmp_path.iterdir()) == []
    bonds_of(read_options("tcp-client:127.0.0.1:1")).keep(ADDRESS, KEY)
    assert bonds_of(read_options("tcp-client:127.0.0.1:2")).of(ADDRESS) == KEY
