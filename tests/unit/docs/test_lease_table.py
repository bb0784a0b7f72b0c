"""The table of leases says what was run: hours as they were, counts as they were, and an aim met only where it is."""

from pathlib import Path

import pytest

from dermalink_protocol.limits import LEASE_DEFAULT_MS
from tests.benchmarks import lease_margin
from tests.benchmarks.lease_margin import Cell, Counted, Hour, hours_of, lines
from tests.benchmarks.lease_stops import Stops
from tests.benchmarks.sources import digest_of

CELL = Cell(30_000, 50, in_bursts=True)
OTHER = Cell(7_500, 0, in_bursts=False)


def counted(hour: Hour, lapses: int = 0) -> Counted:
    """As if one hour had been gone through."""
    return Counted(hour.seconds, {150: 9, 640: lapses}, {500: lapses, 550: 0}, 180, 0, lapses)


class Measuring:
    """In place of minutes of work: notes which hours were asked for, and ends the run before one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hours: list[Hour] = []
        self.ends_before: Hour | None = None
        monkeypatch.setattr(lease_margin, "measured", self)
        monkeypatch.setattr(lease_margin, "digest_of", lambda _: "this one")

    def __call__(self, hour: Hour) -> Counted:
        if hour == self.ends_before:
            raise KeyboardInterrupt
        self.hours.append(hour)
        return counted(hour, lapses=1)


@pytest.fixture
def measuring(monkeypatch: pytest.MonkeyPatch) -> Measuring:
    return Measuring(monkeypatch)


def table(hours: float, kept: Path | None = None, told: list[str] | None = None) -> list[str]:
    tell = (told if told is not None else []).append
    return list(lines(hours, kept, tell=tell, of=[CELL, OTHER]))


def test_a_run_that_was_ended_goes_on_where_it_was(measuring: Measuring, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    measuring.ends_before = Hour(OTHER, 1, 3_600.0)
    with pytest.raises(KeyboardInterrupt):
        table(2.5, kept)
    with kept.open("a", encoding="utf-8") as file:
        file.write('{"source": "half a li')
    before, measuring.hours, measuring.ends_before = measuring.hours, [], None
    told: list[str] = []
    whole = table(2.5, kept, told)
    assert [words for words in told if "not used" in words] == [
        f"{kept}: 1 of its lines not used: of another source, or broken"
    ]
    assert sorted([*before, *measuring.hours]) == sorted([*hours_of(CELL, 2.5), *hours_of(OTHER, 2.5)])
    measuring.hours.clear()
    assert table(2.5, kept) == whole
    assert not measuring.hours
    assert table(2.5) == whole


def test_what_another_source_counted_is_not_used(
    measuring: Measuring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"
    table(1, kept)
    monkeypatch.setattr(lease_margin, "digest_of", lambda _: "another")
    measuring.hours.clear()
    table(1, kept)
    assert len(measuring.hours) == 2


def test_the_source_is_the_host_s_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    before, read = digest_of("tests.benchmarks.lease_margin"), Path.read_bytes

    def with_a_comment(path: Path) -> bytes:
        return read(path) + (b"#" if path.parts[-2:] == ("dermalink", "lease.py") else b"")

    monkeypatch.setattr(Path, "read_bytes", with_a_comment)
    assert digest_of("tests.benchmarks.lease_margin") != before


@pytest.mark.usefixtures("measuring")
def test_the_table_says_how_long_it_was_and_scales_nothing() -> None:
    said = table(2.5)
    assert said[0].startswith("2.5 simulated hours")
    (row,) = [line for line in said if "bursts |" in line]
    assert "| 150 ms | 640 ms | 640 ms | 3 | 550 ms | 180 ms | 0 | 3 | missed |" in row


@pytest.mark.parametrize(
    ("hours", "lapses", "aim"), [(10, 0, "met"), (9.5, 0, "none in 9.5 h"), (10, 1, "missed"), (0.5, 1, "missed")]
)
def test_an_aim_is_met_only_by_all_its_hours(hours: float, lapses: int, aim: str) -> None:
    assert counted(Hour(CELL, 0, hours * 3_600), lapses).aim == aim


def test_a_stop_that_is_a_lapse_and_an_alarm_counts_once() -> None:
    stops = Stops((int(LEASE_DEFAULT_MS), 600))
    stops.alarm(1.0)
    stops.gap(650, 1.3)
    assert (stops.stops, stops.alarms, stops.lapses) == (1, 1, {500: 1, 600: 1})
    stops.gap(510, 5.0)
    stops.gap(499, 7.0)
    assert (stops.stops, stops.alarms, stops.lapses) == (2, 1, {500: 2, 600: 1})


def test_an_hour_is_the_same_each_time() -> None:
    hour = Hour(CELL, 3, 20.0)
    assert lease_margin.measured(hour) == lease_margin.measured(hour)
    assert lease_margin.measured(hour).seconds >= hour.seconds
    assert lease_margin.measured(hour) != lease_margin.measured(hour._replace(number=4))
