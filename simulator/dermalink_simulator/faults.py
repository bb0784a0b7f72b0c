"""Faults of the simulated pen: one vocabulary of unit, kind and instance, for Python, the control channel and pytest.

Faults lie over the hardware, so they fit any firmware behind the seam. What is not in the vocabulary, or is impossible
at the moment, is an error and never accepted in silence.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from dermalink_protocol.codewords import Opcode
from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.seam import FLASH_BYTES, SECTOR_BYTES

ANY: Final = 0
# What Bluetooth knows of connection intervals and of events slept through (`hardware.air` says where it says so).
INTERVAL_US: Final = (7_500, 4_000_000)
INTERVAL_STEP_US: Final = 1_250
LATENCY_MAX: Final = 499
SECTORS: Final = FLASH_BYTES // SECTOR_BYTES


class UnknownFaultError(DermalinkError):
    """A unit, a kind or a parameter that the vocabulary does not have."""


class ImpossibleFaultError(DermalinkError):
    """A fault that cannot be: a value out of range, an instance that does not exist, no such part there now."""


class Parameter(NamedTuple):
    """A number of a fault: what it is when nothing is said, and its range, both ends included."""

    name: str
    default: int
    low: int
    high: int
    says: str


class FaultKind(NamedTuple):
    """One word of the vocabulary; `instances` is how many of the unit there are (ports count from 1, 0 is any)."""

    unit: str
    kind: str
    says: str
    parameters: tuple[Parameter, ...] = ()
    instances: int = 0
    once: bool = False


class Fault(NamedTuple):
    """A fault that is on: a word of the vocabulary with its numbers."""

    unit: str
    kind: str
    instance: int
    values: dict[str, int]

    def __str__(self) -> str:
        numbers = "".join(f" {name}={value}" for name, value in self.values.items())
        where = f"[{self.instance}]" if self.instance else ""
        return f"{self.unit}{where} {self.kind}{numbers}"


_PORTS: Final = 8
_WAY: Final = Parameter("way", 0, 0, 2, "0 both ways, 1 to the pen, 2 from the pen")
_PERMILLE: Final = Parameter("permille", 100, 1, 1_000, "chance in a thousand")
_OPCODE: Final = Parameter("opcode", 0, 0, 0xFFFF, "which command (its opcode), 0 for the next one")


def _offset(default: int) -> Parameter:
    return Parameter("um", default, -2_000, 2_000, "shift in µm")


def _of_port(kind: str, says: str, *parameters: Parameter, once: bool = False) -> FaultKind:
    return FaultKind("link", kind, says, (*parameters, _WAY), _PORTS, once)


VOCABULARY: Final[tuple[FaultKind, ...]] = (
    _of_port("loss", "bytes are lost; over BLE whole values", _PERMILLE),
    _of_port(
        "corruption",
        "bits of bytes are flipped; over BLE such values are lost, as a link layer checks",
        _PERMILLE,
    ),
    _of_port("duplication", "chunks come twice", _PERMILLE),
    _of_port("reordering", "chunks are held back by up to 100 ms, so that later ones overtake", _PERMILLE),
    _of_port("delay", "chunks come late", Parameter("ms", 200, 1, 60_000, "by how much")),
    _of_port(
        "cut",
        "connections that are open now end after so many bytes",
        Parameter("after", 0, 0, 1 << 20, "bytes that pass"),
        once=True,
    ),
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
    FaultKind("guard", "hung", "the timer interrupt no longer comes"),
    FaultKind(
        "depth_sensor",
        "stuck",
        "always reads the same",
        (Parameter("um", -1, -1, 2_000, "what it reads; -1 is its last reading"),),
    ),
    FaultKind("depth_sensor", "noisy", "noise on top", (Parameter("um", 60, 1, 2_000, "greatest noise in µm"),)),
    FaultKind("depth_sensor", "offset", "reads too much or too little", (_offset(60),)),
    FaultKind("drive_feedback", "stuck", "always reads the same", (Parameter("um", -1, -1, 2_000, "as above"),)),
    FaultKind("drive_feedback", "offset", "reads too much or too little", (_offset(60),)),
    FaultKind("actuator", "overshoot", "the carriage goes further than told", (Parameter("um", 200, 1, 2_000, "by"),)),
    FaultKind("actuator", "stuck", "the carriage stays where it is; the spring cannot draw it back"),
    FaultKind(
        "actuator", "slow", "the spring is slow", (Parameter("percent", 200, 101, 2_000, "of its time when sound"),)
    ),
    FaultKind("motor", "stalled", "the motor stands still"),
    FaultKind("motor", "overspeed", "the motor runs too fast", (Parameter("percent", 130, 101, 130, "of the order"),)),
    FaultKind("motor", "hot", "the motor is too warm", (Parameter("celsius", 55, 0, 120, "how warm"),)),
    FaultKind("cartridge", "stop_broken", "the head's mechanical stop is gone"),
    FaultKind(
        "cartridge",
        "tag_lies",
        "the head's needles are longer than its tag says",
        (Parameter("um", 1_000, 1, 5_000, "where its stop really is"),),
    ),
    FaultKind("cartridge", "tag_unreadable", "the tag cannot be read"),
    FaultKind("cartridge", "badly_seated", "the head stands outside its tolerance", (_offset(60),)),
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
    FaultKind("button", "stuck", "the button's contact stays closed"),
    FaultKind("clock", "lost", "the clock's battery was empty for a moment", once=True),
    FaultKind("battery", "cold", "the battery is too cold", (Parameter("celsius", 2, 0, 60, "how warm"),)),
    FaultKind("battery", "low", "charge is nearly gone", (Parameter("percent", 10, 0, 100, "left"),), once=True),
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
        (Parameter("us", 100_000, *INTERVAL_US, f"connection interval, a multiple of {INTERVAL_STEP_US}"),),
    ),
    FaultKind(
        "air",
        "latency",
        "the pen sleeps through connection events while it has nothing to say",
        (Parameter("events", 4, 1, LATENCY_MAX, "how many in a row"),),
    ),
    FaultKind("air", "delay", "everything comes late", (Parameter("ms", 200, 1, 60_000, "by how much"),)),
    FaultKind("air", "silence", "nothing passes at all, until both sides give the link up"),
)

_WORDS: Final = {(word.unit, word.kind): word for word in VOCABULARY}


def kinds_of(unit: str) -> list[str]:
    """The kinds that a unit has; empty for a unit that does not exist."""
    return [word.kind for word in VOCABULARY if word.unit == unit]


def spell(unit: str, kind: str, instance: object = ANY, values: Mapping[str, object] | None = None) -> Fault:
    """The fault that is meant, with every number; raises `UnknownFaultError` or `ImpossibleFaultError`."""
    word = _WORDS.get((unit, kind))
    if word is None:
        units = dict.fromkeys(known.unit for known in VOCABULARY)
        known = f"{unit} has {', '.join(kinds_of(unit))}" if unit in units else f"units are {', '.join(units)}"
        raise UnknownFaultError(f"fault {unit} {kind} was refused", limit=known)
    if isinstance(instance, bool) or not isinstance(instance, int) or not 0 <= instance <= word.instances:
        raise ImpossibleFaultError(
            f"fault {unit}[{instance!r}] {kind} was refused",
            limit=f"instances are 0 to {word.instances}" if word.instances else "there is one only: instance 0",
        )
    given = dict(values or {})
    full: dict[str, int] = {}
    for parameter in word.parameters:
        value = given.pop(parameter.name, parameter.default)
        if isinstance(value, bool) or not isinstance(value, int) or not parameter.low <= value <= parameter.high:
            raise ImpossibleFaultError(
                f"fault {unit} {kind} with {parameter.name}={value!r} was refused",
                limit=f"{parameter.name} is a whole number from {parameter.low} to {parameter.high}: {parameter.says}",
            )
        full[parameter.name] = int(value)
    if full.get("us", 0) % INTERVAL_STEP_US:
        raise ImpossibleFaultError(
            f"fault {unit} {kind} with us={full['us']} was refused",
            limit=f"us is a multiple of {INTERVAL_STEP_US}: Bluetooth knows no connection interval in between",
        )
    if given:
        names = ", ".join(parameter.name for parameter in word.parameters) or "none"
        raise UnknownFaultError(f"fault {unit} {kind} with {', '.join(given)} was refused", limit=f"it takes {names}")
    if full.get("opcode") and full["opcode"] not in set(Opcode):
        raise ImpossibleFaultError(f"fault {unit} {kind} was refused", limit=f"{full['opcode']:#06x} is no opcode")
    return Fault(unit, kind, instance, full)


def is_once(fault: Fault) -> bool:
    """Whether a fault happens and is over, so that there is nothing to clear afterwards."""
    return _WORDS[fault.unit, fault.kind].once
