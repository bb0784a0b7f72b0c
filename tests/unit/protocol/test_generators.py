"""The generators: what they write is what is committed, a stale file is named, a promised record can't change."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dermalink_protocol.codewords import Reason
from dermalink_protocol.generate import files, reference, vectors
from dermalink_protocol.generate.markdown import unit_of
from dermalink_protocol.schema import Message


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in (vectors, reference):
        monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(files, "ROOT", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


def test_an_installed_package_writes_nothing(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (elsewhere / "pyproject.toml").unlink()
    assert reference.main([]) == 2
    assert "checkout" in capsys.readouterr().err
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("main", [vectors.main, reference.main], ids=["vectors", "reference"])
def test_what_is_committed_is_not_stale(main: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("main", [vectors.main, reference.main], ids=["vectors", "reference"])
def test_missing_files_are_named_and_then_written(
    main: Callable[[list[str]], int], elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check"]) == 1
    said = capsys.readouterr().err
    assert [path.name for path in elsewhere.iterdir()] == ["pyproject.toml"]
    assert main([]) == 0
    assert main(["--check"]) == 0
    written = [path for path in elsewhere.iterdir() if path.name != "pyproject.toml"]
    assert written
    assert all(f"{path.name} is stale: python tasks.py gen" in said for path in written)


def test_a_changed_page_is_stale(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference.main([])
    page = elsewhere / "limits.md"
    page.write_text(page.read_text(encoding="utf-8").replace("500", "510", 1), encoding="utf-8")
    assert reference.main(["--check"]) == 1
    assert "limits.md" in capsys.readouterr().err


@pytest.mark.parametrize("main", [vectors.main, reference.main], ids=["vectors", "reference"])
def test_other_words_are_refused(main: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--force"]) == 2
    assert "--force" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--check"]])
def test_a_promised_record_is_neither_changed_nor_dropped(
    arguments: list[str], elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors.main([])
    frames = elsewhere / "frames.jsonl"
    before = frames.read_text(encoding="utf-8")
    kept = list(vectors.FILES["frames.jsonl"]())

    def changed() -> Iterator[dict[str, Any]]:
        yield {**kept[0], "frame": "00"}
        yield from kept[2:]

    monkeypatch.setitem(vectors.FILES, "frames.jsonl", changed)
    assert vectors.main(arguments) == 1
    said = capsys.readouterr().err
    assert str(kept[0]["good"]) in said
    assert str(kept[1]["good"]) in said
    assert str(kept[2]["good"]) not in said
    assert frames.read_text(encoding="utf-8") == before


def test_a_new_record_is_added(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors.main([])
    kept = list(vectors.FILES["frames.jsonl"]())
    monkeypatch.setitem(vectors.FILES, "frames.jsonl", lambda: iter([*kept, {"bad": "planted"}]))
    assert vectors.main(["--check"]) == 1
    assert vectors.main([]) == 0
    last = (elsewhere / "frames.jsonl").read_text(encoding="utf-8").splitlines()[-1]
    assert json.loads(last) == {"bad": "planted"}


def test_two_records_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = [{"bad": "same", "stream": "00"}, {"bad": "same", "stream": "01"}]
    monkeypatch.setitem(vectors.FILES, "frames.jsonl", lambda: iter(twice))
    with pytest.raises(vectors.LockedRecord, match="same"):
        vectors.render("frames.jsonl")


def test_the_reference_names_every_message_field_and_reason() -> None:
    messages, reasons = reference.PAGES["messages.md"](), reference.PAGES["reasons.md"]()
    for cls in Message.by_opcode.values():
        assert f"### {cls.__name__}\n" in messages
        for field in cls.fields:
            assert f"`{field.name}`" in messages
    for reason in Reason:
        assert f"`{reason.name}`" in reasons


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("depth_um", "µm"),
        ("speed_mm_s", "mm/s"),
        ("interval_s", "s"),
        ("utc_s", "s since 1970, UTC"),
        ("before_utc_s", "s since 1970, UTC"),
        ("density_max_per_cm2", "1/cm²"),
        ("lease_left_ms", "ms"),
        ("flags", ""),
    ],
)
def test_the_unit_is_read_off_the_name(name: str, unit: str) -> None:
    assert unit_of(name) == unit
