"""The vocabulary of faults: what of a simulated pen can break, and how, as data.

A word is a unit and a kind. Faults lie over the hardware, so they fit any firmware behind the seam.
"""

from typing import Final, NamedTuple

from dermalink_simulator.seam import FLASH_BYTES, SECTOR_BYTES, Kept

# What Bluetooth knows of connection intervals and of events slept through (`hardware.air` says where it says so).
INTERVAL_US: Final = (7_500, 4_000_000)
INTERVAL_STEP_US: Final = 1_250
LATENCY_MAX: Final = 499
SECTORS: Final = FLASH_BYTES // SECTOR_BYTES
YEAR_S: Final = 31_536_000
LAST_READING: Final = -1
BY_CHANCE: Final = -1


class Parameter(NamedTuple):
    """A number of a fault: what it is when nothing is said, its range with both ends, the step between its values."""

    name: str
    default: int
    low: int
    high: int
    says: str
    step: int = 1


class FaultKind(NamedTuple):
    """One word of the vocabulary.

    `instances` is how many of the unit there are, counted from 1 (0 is all of them); 0 where there is one only. `once`:
    it happens and is over. `drawn`: chance has a part in it, so that a seed of its own means something.
    """

    unit: str
    kind: str
    says: str
    parameters: tuple[Parameter, ...] = ()
    instances: int = 0
    once: bool = False
    drawn: bool = False


_PORTS: Final = 8
_THERMOMETERS: Final = 2  # 1 is the battery's, 2 the motor's
_WAY: Final = Parameter("way", 0, 0, 2, "0 both ways, 1 to the pen, 2 from the pen")
_PERMILLE: Final = Parameter("permille", 100, 1, 1_000, "chance in a thousand")
_OPCODE: Final = Parameter("opcode", 0, 0, 0xFFFF, "which command (its opcode), 0 for the next one")
_READS_UM: Final = Parameter("um", LAST_READING, -1, 2_000, "what it reads; -1 is its last reading")
_LATE: Final = Parameter("ms", 200, 1, 60_000, "by how much")


def _offset(default: int) -> Parameter:
    return Parameter("um", default, -2_000, 2_000, "shift in µm")


def _of_port(kind: str, says: str, *parameters: Parameter, drawn: bool = True) -> FaultKind:
    return FaultKind("link", kind, says, (*parameters, _WAY), _PORTS, drawn=drawn)


_LINK: Final = (
    _of_port("loss", "bytes are lost; over BLE whole values", _PERMILLE),
    _of_port(
        "corruption", "bits of bytes are flipped; over BLE such values are lost: its link layer checks", _PERMILLE
    ),
    _of_port("duplication", "chunks come twice", _PERMILLE),
    _of_port("reordering", "chunks are held back by up to 100 ms, so that later ones overtake", _PERMILLE),
    _of_port("delay", "chunks come late", _LATE, drawn=False),
    _of_port(
        "cut",
        "connections that are open now end after so many bytes",
        Parameter("bytes", 0, 0, 1 << 20, "how many still pass"),
        drawn=False,
    )._replace(once=True),
)

_AIR: Final = (
    FaultKind("air", "loss", "connection events and advertisements are lost, one by one", (_PERMILLE,)),
    FaultKind(
        "air",
        "bursts",
        "connection events are lost in bursts",
        (_PERMILLE, Parameter("events", 3, 1, 1_000, "events in a burst, on average")),
    ),
    FaultKind(
        "air",
        "interval",
        "the two sides meet less often, or more often",
        (
            Parameter(
                "us",
                100_000,
                *INTERVAL_US,
                f"connection interval, a multiple of {INTERVAL_STEP_US}: Bluetooth knows none in between",
                INTERVAL_STEP_US,
            ),
        ),
    ),
    FaultKind(
        "air",
        "latency",
        "the pen sleeps through connection events while it has nothing to say",
        (Parameter("events", 4, 1, LATENCY_MAX, "how many in a row"),),
    ),
    FaultKind("air", "delay", "everything comes late", (_LATE,)),
    FaultKind("air", "silence", "nothing passes at all, until both sides give the link up"),
)

_PROGRAM: Final = (
    FaultKind(
        "firmware",
        "crash_before",
        "crashes instead of applying the next command, and starts again",
        (_OPCODE,),
        once=True,
    ),
    FaultKind(
        "firmware", "crash_after", "crashes when the next command is applied, before its answer", (_OPCODE,), once=True
    ),
    FaultKind("main_loop", "hung", "the main loop stands still, until the board's watchdog resets it"),
    FaultKind(
        "main_loop",
        "slow",
        "a turn of the main loop takes so long, and bytes wait for it",
        (Parameter("ms", 40, 11, 400, "from one turn to the next; in health it is 10"),),
    ),
    FaultKind("monitor", "hung", "the timer interrupt no longer comes, with all that watches in it"),
    FaultKind("monitor", "blind", "the timer interrupt reads no depth, always 0"),
    FaultKind(
        "memory",
        "flip",
        "a bit of a variable that the firmware keeps is flipped",
        (
            Parameter(
                "variable",
                0,
                0,
                max(Kept),
                "0 one by chance, " + ", ".join(f"{one.value} {one.name.lower()}" for one in Kept),
            ),
            Parameter("bit", BY_CHANCE, -1, 0xFFFF, "which bit of it, from 0; -1 is one by chance"),
        ),
        once=True,
        drawn=True,
    ),
)

_SENSORS: Final = (
    FaultKind("depth_sensor", "stuck", "always reads the same", (_READS_UM,)),
    FaultKind(
        "depth_sensor", "noisy", "noise on top", (Parameter("um", 60, 1, 2_000, "greatest noise in µm"),), drawn=True
    ),
    FaultKind("depth_sensor", "offset", "reads too much or too little", (_offset(60),)),
    FaultKind("drive_feedback", "stuck", "always reads the same", (_READS_UM,)),
    FaultKind("drive_feedback", "offset", "reads too much or too little", (_offset(60),)),
    FaultKind(
        "force_sensor",
        "stuck",
        "always reads the same",
        (Parameter("mn", LAST_READING, -1, 10_000, "what it reads; -1 is its last reading"),),
    ),
    FaultKind(
        "force_sensor",
        "noisy",
        "noise on top",
        (Parameter("mn", 1_500, 1, 10_000, "greatest noise in mN"),),
        drawn=True,
    ),
    FaultKind(
        "force_sensor",
        "offset",
        "reads too much or too little",
        (Parameter("mn", -1_500, -10_000, 10_000, "shift in mN"),),
    ),
    FaultKind("contact", "stuck_open", "never sees skin"),
    FaultKind("contact", "stuck_closed", "always sees skin"),
    FaultKind("contact", "bouncing", "reads the opposite now and then", (_PERMILLE,), drawn=True),
    FaultKind("travel", "stuck", "sees no motion over the skin"),
    FaultKind(
        "travel",
        "drifting",
        "sees motion that is none",
        (Parameter("um_s", 20_000, -200_000, 200_000, "how much, in µm a second, either way"),),
    ),
    FaultKind("travel", "reversed", "sees motion the wrong way round"),
    FaultKind(
        "temperature",
        "hot",
        "a part is too warm",
        (Parameter("celsius", 55, 26, 120, "how warm"),),
        _THERMOMETERS,
    ),
    FaultKind(
        "temperature", "cold", "a part is too cold", (Parameter("celsius", 2, 0, 24, "how warm"),), _THERMOMETERS
    ),
    FaultKind(
        "temperature",
        "stuck",
        "always reads the same, whatever it is",
        (Parameter("celsius", LAST_READING, -1, 120, "what it reads; -1 is its last reading"),),
        _THERMOMETERS,
    ),
)

_MECHANISM: Final = (
    FaultKind("drive", "overshoot", "the carriage goes further than told", (Parameter("um", 200, 1, 2_000, "by"),)),
    FaultKind("drive", "stuck", "the carriage stays where it is; the spring cannot draw it back"),
    FaultKind("motor", "stalled", "the motor stands still"),
    FaultKind("motor", "overspeed", "the motor runs too fast", (Parameter("percent", 130, 101, 130, "of the order"),)),
    FaultKind("motor", "slow", "the motor runs too slowly", (Parameter("percent", 80, 1, 99, "of the order"),)),
    FaultKind(
        "spring", "weak", "the spring is slow", (Parameter("percent", 200, 101, 2_000, "of its time in health"),)
    ),
    FaultKind("spring", "broken", "the spring draws nothing back: only the drive moves the carriage"),
    FaultKind("cartridge", "badly_seated", "the head stands outside its tolerance", (_offset(60),)),
    FaultKind("cartridge", "loose", "the seat's switch opens now and then", (_PERMILLE,), drawn=True),
    FaultKind(
        "cartridge_tag",
        "lies",
        "the head's needles are longer than its tag says",
        (Parameter("um", 1_000, 1, 5_000, "where its stop really is"),),
    ),
    FaultKind("cartridge_tag", "unreadable", "the tag cannot be read"),
    FaultKind("cartridge_tag", "flaky", "the tag cannot be read now and then", (_PERMILLE,), drawn=True),
    FaultKind("cartridge_stop", "broken", "the head's mechanical stop is gone"),
    FaultKind(
        "cartridge_stop",
        "worn",
        "the head's mechanical stop lets needles pass",
        (Parameter("um", 100, 1, 2_000, "how much further than its tag says"),),
    ),
)

_ENERGY: Final = (
    FaultKind(
        "supply",
        "glitch",
        "power is gone for a moment, and the pen starts again",
        (Parameter("ms", 5, 1, 60_000, "for how long"),),
        once=True,
    ),
    FaultKind(
        "supply",
        "brown_out",
        "the electronics get less than the battery gives",
        (Parameter("mv", 1_200, 1, 4_200, "how much less"),),
    ),
    FaultKind("battery", "low", "charge is nearly gone", (Parameter("percent", 10, 0, 100, "left"),), once=True),
    FaultKind(
        "battery",
        "sag",
        "the voltage falls whenever current is drawn",
        (Parameter("mohm", 4_000, 121, 60_000, "inner resistance; 120 in health"),),
    ),
)

_FLASH: Final = (
    FaultKind(
        "flash",
        "power_cut",
        "power goes away in the n-th flash operation from now",
        (
            Parameter("operation", 1, 1, 1 << 20, "which one, from 1"),
            Parameter("tear", 1, 0, 2, "0 before it takes hold, 1 within, 2 when it is done and nobody was told"),
        ),
        once=True,
    ),
    FaultKind(
        "flash",
        "write_failure",
        "the next operations fail",
        (Parameter("operations", 1, 1, 1 << 20, "how many"),),
        once=True,
    ),
    FaultKind("flash", "slow", "every operation takes longer", (Parameter("ms", 500, 1, 10_000, "by how much"),)),
    FaultKind(
        "flash", "bad_sector", "a sector takes nothing", (Parameter("sector", 2, 0, SECTORS - 1, "which one, from 0"),)
    ),
    FaultKind(
        "flash",
        "bit_rot",
        "bits of a sector flip, each on its own",
        (
            Parameter("sector", BY_CHANCE, -1, SECTORS - 1, "which one, from 0; -1 is any that holds something"),
            Parameter("bits", 1, 1, 4_096, "how many"),
        ),
        once=True,
        drawn=True,
    ),
    FaultKind(
        "flash",
        "worn_out",
        "a sector that was erased too often no longer gets blank",
        (Parameter("erases", 0, 0, 1_000_000, "how many each has stood since it was made"),),
        drawn=True,
    ),
    FaultKind(
        "flash",
        "reordering",
        "operations are called done while they lie in a cache, and reach the cells in another order",
        (Parameter("operations", 4, 1, 256, "how many lie there; when power goes each is written or lost"),),
        drawn=True,
    ),
)

_OTHERS: Final = (
    FaultKind("button", "stuck", "the button's contact stays closed"),
    FaultKind("button", "dead", "the button's contact never closes"),
    FaultKind(
        "button",
        "bouncing",
        "the contact flickers when it closes and when it opens",
        (Parameter("ms", 15, 1, 1_000, "for how long"),),
        drawn=True,
    ),
    FaultKind("clock", "lost", "the clock's battery was empty for a moment", once=True),
    FaultKind(
        "clock",
        "jump",
        "the time of day jumps, with nobody's doing",
        (Parameter("s", -86_400, -10 * YEAR_S, 10 * YEAR_S, "how far, in seconds; back is negative"),),
        once=True,
    ),
    FaultKind(
        "clock",
        "drift",
        "the clock runs fast, or slow",
        (Parameter("ppm", 50_000, -900_000, 1_000_000, "how much, in millionths; slow is negative"),),
    ),
    FaultKind("clock", "stopped", "the clock stands still"),
)

VOCABULARY: Final[tuple[FaultKind, ...]] = (
    *_LINK,
    *_PROGRAM,
    *_SENSORS,
    *_MECHANISM,
    *_ENERGY,
    *_FLASH,
    *_OTHERS,
    *_AIR,
)
WORDS: Final = {(word.unit, word.kind): word for word in VOCABULARY}


def kinds_of(unit: str) -> list[str]:
    """The kinds that a unit has; empty for a unit that does not exist."""
    return [word.kind for word in VOCABULARY if word.unit == unit]


def units() -> list[str]:
    """Every unit, in the order of the vocabulary."""
    return list(dict.fromkeys(word.unit for word in VOCABULARY))
