"""Every word of the vocabulary truly acts: a pen that lives the same with and without it is seen to differ.

What is looked at is what any firmware gets to see (sensors, tags, bytes, flash, its own starts), and the skin. A word
that is not in `SHOWS`, or shows nothing, fails.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import pytest

from dermalink_protocol.codewords import State
from dermalink_protocol.messages import identity, therapy
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.faults.words import VOCABULARY, WORDS, FaultKind
from dermalink_simulator.firmware.firmware import PenFirmware
from dermalink_simulator.hardware.air import ROOM
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.seam import SECTOR_BYTES, Kept, Sensors
from tests.support.raw_host import RawHost
from tests.unit.hardware.rig import BLANK, Rig

SEEN: Final = Sensors._fields
# What differs of a pen that lives a short life: names of `Sensors`, and those of `Life.seen`. A unit of sensors shows
# there alone, and nowhere else.
SHOWS: Final[dict[tuple[str, str], set[str]]] = {
    ("link", "loss"): {"heard", "said"},
    ("link", "corruption"): {"heard", "said"},
    ("link", "duplication"): {"heard", "said"},
    ("link", "reordering"): {"heard", "said"},
    ("link", "delay"): {"said"},
    ("link", "cut"): {"heard", "said", "closed"},
    ("firmware", "crash_before"): {"ports", "answered"},
    ("firmware", "crash_after"): {"ports", "answered"},
    ("main_loop", "hung"): {"calls", "starts"},
    ("main_loop", "slow"): {"calls"},
    ("monitor", "hung"): {"calls", "skin"},
    ("monitor", "blind"): {"guard depth"},
    ("memory", "flip"): {"told"},
    ("depth_sensor", "stuck"): {"depth_um", "peak_um"},
    ("depth_sensor", "noisy"): {"depth_um", "peak_um"},
    ("depth_sensor", "offset"): {"depth_um", "peak_um"},
    ("drive_feedback", "stuck"): {"feedback_um"},
    ("drive_feedback", "offset"): {"feedback_um"},
    ("force_sensor", "stuck"): {"force_mn"},
    ("force_sensor", "noisy"): {"force_mn"},
    ("force_sensor", "offset"): {"force_mn"},
    ("contact", "stuck_open"): {"contact"},
    ("contact", "stuck_closed"): {"contact"},
    ("contact", "bouncing"): {"contact"},
    ("travel", "stuck"): {"dx_um", "dy_um"},
    ("travel", "drifting"): {"dx_um"},
    ("travel", "reversed"): {"dx_um", "dy_um"},
    ("temperature", "hot"): {"temperature_c", "motor_c"},
    ("temperature", "cold"): {"temperature_c", "motor_c"},
    ("temperature", "stuck"): {"temperature_c", "motor_c"},
    ("drive", "overshoot"): {"depth_um", "feedback_um", "skin"},
    ("drive", "stuck"): {"depth_um", "feedback_um", "skin"},
    ("motor", "stalled"): {"strokes", "motor_on", "skin"},
    ("motor", "overspeed"): {"stroke_us", "strokes", "skin"},
    ("motor", "slow"): {"stroke_us", "strokes", "skin"},
    ("spring", "weak"): {"depth_um", "skin"},
    ("spring", "broken"): {"depth_um", "skin"},
    ("cartridge", "badly_seated"): {"depth_um", "skin"},
    ("cartridge", "loose"): {"head_present"},
    ("cartridge_tag", "lies"): {"depth_um", "skin"},
    ("cartridge_tag", "unreadable"): {"tag_ok", "tags"},
    ("cartridge_tag", "flaky"): {"tags"},
    ("cartridge_stop", "broken"): {"depth_um", "skin"},
    ("cartridge_stop", "worn"): {"depth_um", "skin"},
    ("supply", "glitch"): {"starts", "closed"},
    ("supply", "brown_out"): {"battery_mv", "skin"},
    ("battery", "low"): {"battery_percent", "battery_mv"},
    ("battery", "sag"): {"battery_mv"},
    ("flash", "power_cut"): {"flash", "closed"},
    ("flash", "write_failure"): {"flash", "done"},
    ("flash", "slow"): {"done_at"},
    ("flash", "bad_sector"): {"flash", "done"},
    ("flash", "bit_rot"): {"flash"},
    ("flash", "worn_out"): {"flash", "done"},
    ("flash", "reordering"): {"flash"},
    ("button", "stuck"): {"button"},
    ("button", "dead"): {"button"},
    ("button", "bouncing"): {"button"},
    ("clock", "lost"): {"utc_s", "ran_s"},
    ("clock", "jump"): {"utc_s"},
    ("clock", "drift"): {"utc_s", "ran_s"},
    ("clock", "stopped"): {"utc_s", "ran_s"},
    ("air", "loss"): {"air"},
    ("air", "bursts"): {"air"},
    ("air", "interval"): {"air"},
    ("air", "latency"): {"air"},
    ("air", "delay"): {"air"},
    ("air", "silence"): {"air"},
}
ALONE: Final = {
    "depth_sensor",
    "drive_feedback",
    "force_sensor",
    "contact",
    "travel",
    "temperature",
    "cartridge_tag unreadable",
    "cartridge_tag flaky",
    "button",
    "clock",
}
# Numbers with which a short life is long enough to show it; all others are those when nothing is said.
SAID: Final[dict[tuple[str, str], dict[str, int]]] = {
    ("depth_sensor", "stuck"): {"um": 90},
    ("drive_feedback", "stuck"): {"um": 90},
    ("force_sensor", "stuck"): {"mn": 300},
    ("temperature", "stuck"): {"celsius": 33},
    ("cartridge_tag", "flaky"): {"permille": 500},
    ("flash", "bad_sector"): {"sector": 1},
    ("flash", "bit_rot"): {"sector": 5, "bits": 8},
    ("battery", "low"): {"percent": 60},
}
# The peak of the timer interrupt goes with that of the sensor; a cache of what changes slowly is read at other times.
BESIDE: Final = {"guard depth", "travel_um", "travel_feedback_um", "motor_ma"}
# Where the bits of `wait_s` begin in the therapy's state, and one of them that is long.
WAIT_BIT: Final = 104 + 20
# Of a head with a stop, needles that are sent out further show only where they are sent past it.
DEEP: Final = {("cartridge_tag", "lies"), ("cartridge_stop", "broken"), ("cartridge_stop", "worn")}


class Life:
    """A short life with every part in it, and what could be seen of it."""

    def __init__(self, word: FaultKind | None, *, deep: bool = False) -> None:
        self.rig = Rig("exact", flash=bytearray(BLANK))
        self.rig.pen.attach_air(ROOM.copy())
        self.said: list[tuple[int, bytes]] = []
        self.done_at: list[int] = []
        self.depth_um = 800 if deep else 300
        self.rig.awake()
        self.say(f"w{SECTOR_BYTES},{'00' * 64}", 20)
        if word is not None:
            self.rig.pen.faults.inject(word.unit, word.kind, **SAID.get((word.unit, word.kind), {}))
        air = self.rig.pen._board.air
        assert air is not None
        self.air = air.copy()
        for part in (self._flash, self._tags, self._skin, self._words, self._time):
            part()
        self.closed = self.rig.port.closed
        self._power()

    def say(self, words: str, ms: int) -> None:
        """Say something, if anybody is there, and let time pass."""
        pen, port = self.rig.pen, self.rig.port
        if not port.closed:
            port.write(words.encode())
        for _ in range(ms // 10):
            pen.advance(10)
            self.said.append((pen.now_ms, port.read()))
            self.done_at.append(sum(len(one.done) for one in self.rig.started))

    def _flash(self) -> None:
        self.say(f"e{SECTOR_BYTES} w{SECTOR_BYTES},aa55 w{2 * SECTOR_BYTES},0f w{3 * SECTOR_BYTES},f0", 80)
        self.say(f"w{SECTOR_BYTES + 2},33 w{2 * SECTOR_BYTES + 1},3c", 40)

    def _tags(self) -> None:
        for _ in range(12):
            self.say("t", 20)

    def _skin(self) -> None:
        pen = self.rig.pen
        pen.hand.sweep(Zone.NOSE, Direction.DIAGONAL)
        self.say(f"o100,{self.depth_um}", 300)
        pen.button.press()
        self.say("n", 200)
        self.say("s", 200)
        pen.hand.lift()
        self.say("n", 100)

    def _words(self) -> None:
        for _ in range(20):
            self.say("? n n n n", 20)
        self.say("n", 300)

    def _time(self) -> None:
        self.rig.pen.advance(5_000)

    def _power(self) -> None:
        pen = self.rig.pen
        pen.power.restore()
        pen.advance(20)
        pen.power.cut()
        pen.power.restore()
        pen.advance(20)

    @property
    def seen(self) -> dict[str, Any]:
        """What there was to see, by name."""
        started, pen = self.rig.started, self.rig.pen
        each = [sensors for one in started for sensors in one.ticks]
        guards = [sensors for one in started for sensors in one.guards]
        found: dict[str, Any] = {name: [values[at] for values in (*each, *guards)] for at, name in enumerate(SEEN)}
        return found | {
            "guard depth": [(one.depth_um, one.peak_um) for one in guards],
            "heard": [words for one in started for _, words in one.handled],
            "said": self.said,
            "closed": self.closed,
            "calls": [one.calls for one in started],
            "starts": len(started),
            "tags": [one.tags for one in started],
            "done_at": self.done_at,
            "done": [one.done for one in started],
            "flash": [one.flash for one in started[1:]],
            "skin": (pen.skin.strokes, pen.skin.deepest_um, pen.skin.needles_out),
            "air": self.air,
        }


@cache
def sound(*, deep: bool) -> dict[str, Any]:
    """A life without a fault."""
    return Life(None, deep=deep).seen


def crashing(word: FaultKind | None) -> dict[str, Any]:
    """A pen with firmware, a host that asks for a self-test, and what came of it."""
    pen = SimulatedPen()
    host = RawHost(pen)
    host.hello()
    host.wait_for(State.IDLE)
    if word is not None:
        pen.faults.inject(word.unit, word.kind)
    request = host.send(host.command(therapy.RunSelfTest))
    pen.advance(50)
    host.listen()
    return {"ports": host.port.closed, "answered": request in host.replies}


def remembering(word: FaultKind | None) -> dict[str, Any]:
    """A pen with firmware that believes its memory, in which a bit of the wait is flipped, which its status tells."""
    pen = SimulatedPen(firmware=lambda: PenFirmware(disabled=frozenset({"twice-kept"})))
    host = RawHost(pen)
    host.hello()
    host.wait_for(State.IDLE)
    if word is not None:
        pen.faults.inject(word.unit, word.kind, variable=Kept.THERAPY, bit=WAIT_BIT)
    status = host.expect(identity.Status, identity.GetStatus())
    return {"told": status.wait_s}


OTHERS: Final[dict[str, Callable[[FaultKind | None], dict[str, Any]]]] = {
    "firmware": crashing,
    "memory": remembering,
}


@pytest.mark.parametrize("word", VOCABULARY, ids=lambda word: f"{word.unit}-{word.kind}")
def test_every_word_shows(word: FaultKind) -> None:
    key = (word.unit, word.kind)
    assert key in SHOWS, "say in SHOWS what there is to see of it"
    if word.unit in OTHERS:
        before, after = OTHERS[word.unit](None), OTHERS[word.unit](word)
    else:
        before, after = sound(deep=key in DEEP), Life(word, deep=key in DEEP).seen
    differs = {name for name in before if before[name] != after[name]}
    assert SHOWS[key] <= differs
    if {word.unit, f"{word.unit} {word.kind}"} & ALONE:
        assert differs - BESIDE == SHOWS[key], "and nowhere else"


def test_what_shows_is_said_of_words_that_there_are() -> None:
    assert set(SHOWS) == set(WORDS)


def test_a_life_is_the_same_twice() -> None:
    assert Life(None).seen == Life(None).seen
