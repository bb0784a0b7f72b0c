"""The journal's file: what it has acknowledged is there, and what does not hold together is said."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dermalink.errors import JournalBroken, JournalBusy, JournalError
from dermalink.journal import NO_HASH, MemoryJournal, encode_entry
from dermalink.journal_file import FileJournal, default_path
from dermalink.records import (
    KINDS,
    Intended,
    PassOver,
    Record,
    SessionOver,
    Settled,
    SymptomSaid,
    SymptomSaidOpenly,
    SymptomSeen,
    record_from,
)
from tests.support.running import in_real_time

RECORDS: list[Record] = [
    Intended(pen="P", utc_s=1, boot_id=2, session_id=0, command_id=4, opcode=5, expires_tick=6, host_version="0.1"),
    Settled(pen="P", utc_s=2, intended=1, verdict="applied", session_id=9, number=3, digest="ab"),
    PassOver(
        pen="P", utc_s=3, session_id=9, zone=1, direction=2, touched=True, punctures=4, peak_depth_um=5, reason="BUTTON"
    ),
    SymptomSeen(pen="P", utc_s=4, symptom=1, told=True),
    SymptomSaid(pen="Pé\u2028\n", utc_s=4, symptom=1, told=False),
    SymptomSaidOpenly(pen="P", utc_s=4, symptom=1, told=True),
    SessionOver(pen="P", utc_s=5, session_id=9),
]


def written(path: Path, records: list[Record]) -> bytes:
    journal = FileJournal(path)
    for record in records:
        journal.append_now(record)
    journal.close_now()
    return path.read_bytes()


def reread(path: Path) -> list[Record]:
    journal = FileJournal(path)
    found = [entry.record for entry in journal.entries()]
    journal.close_now()
    return found


def _in_memory() -> bytes:
    """The file that these records make."""
    lines, digest = b"", NO_HASH
    for number, record in enumerate(RECORDS, start=1):
        line, digest = encode_entry(number, record, digest)
        lines += line.encode() + b"\n"
    return lines


WHOLE = _in_memory()


def test_every_kind_of_record_is_written_and_read_back(tmp_path: Path) -> None:
    assert {type(record) for record in RECORDS} == set(KINDS.values())
    written(tmp_path / "deep" / "journal.jsonl", RECORDS)
    assert reread(tmp_path / "deep" / "journal.jsonl") == RECORDS
    assert (tmp_path / "deep" / "journal.jsonl").read_bytes() == WHOLE


def test_the_chain_is_the_same_in_memory(tmp_path: Path) -> None:
    async def both() -> tuple[str, str]:
        memory, file = MemoryJournal(), FileJournal(tmp_path / "j")
        for record in RECORDS:
            await memory.append(record)
            await file.append(record)
        await file.close()
        await file.close()
        return memory.entries()[-1].digest, file.entries()[-1].digest

    one, other = asyncio.run(both())
    assert one == other


def test_it_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "j"
    written(path, RECORDS[:2])
    written(path, RECORDS[2:])
    assert reread(path) == RECORDS


@pytest.mark.sr("SR-LOG-1", side="host")
def test_a_torn_last_line_is_cut_off_wherever_it_was_torn(tmp_path: Path) -> None:
    path = tmp_path / "j"
    whole = written(path, RECORDS)
    last = whole.rindex(b"\n", 0, -1) + 1
    for cut in {*range(last, len(whole), 9), len(whole) - 1}:
        path.write_bytes(whole[:cut])
        assert reread(path) == RECORDS[:-1]
        written(path, RECORDS[-1:])
        assert path.read_bytes() == whole


@pytest.mark.sr("SR-LOG-1", side="host")
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_flipped_bit_is_found(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "j"
    whole = bytearray(WHOLE)
    at = data.draw(st.integers(0, len(whole) - 2))  # the very last byte is the end of a line: without it, it is torn
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(whole)
    with pytest.raises(JournalBroken) as caught:
        FileJournal(path)
    assert caught.value.rule == "SR-LOG-1"
    assert path.read_bytes() == whole


@pytest.mark.sr("SR-LOG-1", side="host")
@pytest.mark.parametrize("gone", range(len(RECORDS) - 1))
def test_a_missing_line_is_found(tmp_path: Path, gone: int) -> None:
    path = tmp_path / "j"
    lines = written(path, RECORDS).splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:gone] + lines[gone + 1 :]))
    with pytest.raises(JournalBroken, match=f"record {gone + 1}"):
        FileJournal(path)


@pytest.mark.sr("SR-LOG-1", side="host")
def test_lines_that_changed_places_are_found(tmp_path: Path) -> None:
    path = tmp_path / "j"
    lines = written(path, RECORDS).splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[2], lines[1], *lines[3:]]))
    with pytest.raises(JournalBroken):
        FileJournal(path)


@pytest.mark.parametrize("junk", [b"\n", b"{}\n", b"null\n", b"[1]\n", b"\xff\xfe\n", b'{"record":{"kind":"x"}}\n'])
def test_what_is_no_record_is_said(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "j"
    path.write_bytes(junk)
    with pytest.raises(JournalBroken):
        FileJournal(path)


def test_a_record_of_the_wrong_shape_is_none() -> None:
    sound = RECORDS[1].as_dict()
    for wrong in (
        sound | {"kind": "other"},
        sound | {"intended": "1"},
        sound | {"intended": True},
        sound | {"more": 1},
        {name: value for name, value in sound.items() if name != "verdict"},
    ):
        with pytest.raises(JournalBroken):
            record_from(wrong)


@pytest.mark.skipif(sys.platform == "win32", reason="the lock there is mandatory, and keeps reading out as well")
def test_one_program_at_a_time_writes_it(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "j")
    with pytest.raises(JournalBusy):
        FileJournal(tmp_path / "j")
    journal.close_now()
    FileJournal(tmp_path / "j").close_now()


@pytest.mark.sr("SR-UNC-1", side="host")
def test_a_full_disk_is_an_error_and_nothing_is_written_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = FileJournal(tmp_path / "j")
    journal.append_now(RECORDS[0])

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(JournalError, match="No space"):
            journal.append_now(RECORDS[1])
    with pytest.raises(JournalError, match="could not be written"):
        journal.append_now(RECORDS[1])
    journal.close_now()
    with pytest.raises(JournalError):
        journal.append_now(RECORDS[1])


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError):
        FileJournal(tmp_path / "file" / "journal")
    with pytest.raises(JournalError):
        FileJournal(tmp_path)


@pytest.mark.sr("SR-LOG-1", side="host")
def test_each_record_is_on_the_disk_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = FileJournal(tmp_path / "j")
    synced: list[int] = []
    sync = os.fsync

    def note(descriptor: int) -> None:
        sync(descriptor)
        synced.append((tmp_path / "j").stat().st_size)

    monkeypatch.setattr(os, "fsync", note)
    for number, record in enumerate(RECORDS, start=1):
        journal.append_now(record)
        assert synced[-1] == (tmp_path / "j").stat().st_size
        assert len(synced) == number
    journal.close_now()


CHILD = """
import sys
from pathlib import Path
from dermalink.journal_file import FileJournal
from dermalink.records import SymptomSaid
journal = FileJournal(Path(sys.argv[1]))
print(len(journal.entries()), flush=True)
for number in range(10**6):
    journal.append_now(SymptomSaid(pen="P", utc_s=number, symptom=1, told=True))
    print(number, flush=True)
"""


@pytest.mark.sr("SR-LOG-1", "SR-UNC-1", side="host")
def test_nothing_acknowledged_is_lost_to_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "j"
    before = 0
    for appends in (1, 7, 20):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        assert int(child.stdout.readline()) >= before
        acknowledged = [int(child.stdout.readline()) for _ in range(appends)]
        child.kill()
        acknowledged += [int(line) for line in child.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        child.wait()
        child.stdout.close()
        assert len(reread(path)) >= before + len(acknowledged)
        before = len(reread(path))


@in_real_time
async def test_a_slow_disk_does_not_hold_the_loop_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    journal = FileJournal(tmp_path / "j")
    sync = os.fsync

    def slow(descriptor: int) -> None:
        time.sleep(0.2)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    writing = asyncio.ensure_future(journal.append(RECORDS[0]))
    turns = 0
    while not writing.done():
        await asyncio.sleep(0.005)
        turns += 1
    assert turns > 10
    await writing
    await journal.close()


def test_what_a_simulated_pen_did_is_kept_apart() -> None:
    assert default_path(simulated=True) != default_path(simulated=False)
    assert default_path(simulated=True).parent == default_path(simulated=False).parent


def test_a_line_is_json_that_anybody_can_read(tmp_path: Path) -> None:
    lines = written(tmp_path / "j", RECORDS).splitlines()
    assert [json.loads(line)["number"] for line in lines] == [1, 2, 3, 4, 5, 6, 7]
    assert len(lines) == len(RECORDS)
