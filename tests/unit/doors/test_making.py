"""A pen from what a person says; a kept one goes on where it was."""

from pathlib import Path

import pytest

from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.zones import Head
from dermalink_simulator.making import KeptPen, PenOptionError, make_pen
from dermalink_simulator.state_folder import Identity, StateError

PEN = Identity("exact", 7)


def kept(path: Path, head: str | None = None, *, follow_wall: bool = False) -> KeptPen:
    return KeptPen.open(path, PEN, ("profile", "seed"), head, follow_wall=follow_wall)


@pytest.mark.parametrize(
    ("profile", "seed", "head"), [("best", 0, None), ("exact", -1, None), ("exact", 10**8, None), ("exact", 0, "axe")]
)
def test_what_no_pen_can_be_is_refused_with_what_there_is(profile: str, seed: int, head: str | None) -> None:
    with pytest.raises(PenOptionError, match=r"there are|0 to 99999999"):
        make_pen(profile, seed, head)


def test_the_head_that_is_asked_for_is_fitted() -> None:
    head = make_pen(head="stamp").cartridge.head
    assert head is not None
    assert head.tag is not None
    assert head.tag.head == Head.STAMP
    assert make_pen(head="none").cartridge.head is None


def test_flash_clock_and_head_go_on_where_they_were(tmp_path: Path) -> None:
    first = kept(tmp_path)
    first.pen.advance(5_000)
    first.pen.cartridge.fit("stamp")
    first.note()
    utc_s, ran_s, head = first.pen.clock.utc_s, first.pen.clock.ran_s, first.pen.cartridge.head
    image = first.pen.flash_image()
    first.close()
    second = kept(tmp_path)
    assert second.pen.flash_image() == image
    assert (second.pen.clock.utc_s, second.pen.clock.ran_s) == (utc_s, ran_s)
    assert second.pen.cartridge.head == head
    second.pen.cartridge.fit("glide")
    assert second.pen.cartridge.head is not None
    assert second.pen.cartridge.head.tag is not None
    assert second.pen.cartridge.head.tag.tag_id == b"H0000003", "a fresh head has a number that was never there"
    second.note()
    second.close()
    third = kept(tmp_path, "glide")
    assert third.pen.cartridge.fitted == 4
    third.pen.cartridge.pull()
    third.note()
    third.close()
    fourth = kept(tmp_path)
    assert fourth.pen.cartridge.head is None
    fourth.close()


def test_a_clock_that_was_lost_stays_lost(tmp_path: Path) -> None:
    first = kept(tmp_path)
    first.pen.clock.lose()
    first.note()
    first.close()
    second = kept(tmp_path)
    assert second.pen.clock.utc_s == 0
    second.close()


def test_a_clock_follows_the_wall_only_when_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_800_000_000.0
    monkeypatch.setattr("dermalink_simulator.state_folder.time.time", lambda: now)
    first = kept(tmp_path)
    utc_s = first.pen.clock.utc_s
    first.close()
    now += 3_600
    stands = kept(tmp_path)
    assert stands.pen.clock.utc_s == utc_s
    stands.close()
    now += 3_600
    follows = kept(tmp_path, follow_wall=True)
    assert follows.pen.clock.utc_s == utc_s + 3_600
    follows.close()


@pytest.mark.parametrize("text", ["[]", "{}", '{"fitted": 1, "head": {}}', '{"fitted": 1, "head": {"tag": 7}}'])
def test_a_damaged_head_is_said_and_the_folder_let_go(tmp_path: Path, text: str) -> None:
    kept(tmp_path).close()
    whole = (tmp_path / "head.json").read_text()
    (tmp_path / "head.json").write_text(text)
    with pytest.raises(StateError):
        kept(tmp_path)
    (tmp_path / "head.json").write_text(whole)
    kept(tmp_path).close()


def test_a_folder_of_a_profile_that_is_no_more_is_said(tmp_path: Path) -> None:
    kept(tmp_path).close()
    text = (tmp_path / "pen.json").read_text()
    (tmp_path / "pen.json").write_text(text.replace("exact", "forgotten"))
    with pytest.raises(DermalinkError, match="forgotten"):
        KeptPen.open(tmp_path, PEN, ())
