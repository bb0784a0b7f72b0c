"""The control channel's vocabulary, declared once: the server checks against it, the commands and the docs are made
from it. Nothing that is not in it is accepted.

A request is one line of JSON, `{"id": 1, "do": "hand.sweep", "with": {"zone": "nose", "direction": "vertical"}}`; its
answer `{"id": 1, "result": {...}}`, or `{"id": 1, "error": {"kind": ..., "message": ...}}`. After `watch`, events come
in between: `{"event": "needles", "at_ms": 1234, ...}`.
"""

from typing import Any, Final, NamedTuple

from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.faults.spelling import SCHEDULE
from dermalink_simulator.hardware.button import PRESS_MS
from dermalink_simulator.hardware.cartridge import HEADS

LINE_BYTES_MAX: Final = 16_384
REQUIRED: Final = object()
ZONES: Final = tuple(zone.name.lower() for zone in Zone)
DIRECTIONS: Final = tuple(direction.name.lower() for direction in Direction)
U16_MAX: Final = 0xFFFF
U32_MAX: Final = 0xFFFF_FFFF


class ControlError(DermalinkError):
    """A request on the control channel that is not in its vocabulary, or does not fit it."""


class Argument(NamedTuple):
    """One argument: a whole number from `low` to `high`, one of `choices`, yes or no, or (`numbers`) names to numbers.

    `default` is what it is when nothing is said; `REQUIRED` means that something must be.
    """

    name: str
    says: str
    low: int = 0
    high: int = 0
    choices: tuple[str, ...] = ()
    default: Any = REQUIRED
    flag: bool = False
    numbers: bool = False
    text: bool = False


class Word(NamedTuple):
    """One thing that a tester can do or ask; `changes` is False for a question."""

    name: str
    says: str
    arguments: tuple[Argument, ...] = ()
    changes: bool = True


def _number(name: str, says: str, low: int, high: int, default: Any = REQUIRED) -> Argument:
    return Argument(name, says, low, high, default=default)


def _one_of(name: str, says: str, choices: tuple[str, ...], default: Any = REQUIRED) -> Argument:
    return Argument(name, says, choices=choices, default=default)


def _name(name: str, says: str, default: Any = REQUIRED) -> Argument:
    return Argument(name, says, default=default, text=True)


_ZONE: Final = _one_of("zone", "where", ZONES)
_DIRECTION: Final = _one_of("direction", "which way", DIRECTIONS, "vertical")
_FORCE: Final = _number("force_mn", "how hard, in mN", 0, 5_000, 1_000)
_OF_TAG: Final = "as its tag says"

VOCABULARY: Final[tuple[Word, ...]] = (
    Word(
        "button.press",
        "Press the pen's button, shortly or for a while.",
        (_number("for_ms", "for how long", 1, 600_000, PRESS_MS),),
    ),
    Word("button.hold", "Press the button and keep it down."),
    Word("button.release", "Let go of the button."),
    Word(
        "cartridge.fit",
        "Fit a cartridge; a fresh one unless its number is said.",
        (
            _one_of("head", "its kind", tuple(HEADS), "glide"),
            _number("number", "its number, for one that was there before", 1, 9_999_999, None),
            _number("protrusion_um", f"greatest protrusion, {_OF_TAG}", 0, U16_MAX, None),
            _number("needles", f"needles, {_OF_TAG}", 0, 255, None),
            _number("width_um", f"width, {_OF_TAG}", 0, U16_MAX, None),
            _number("maker", f"maker, {_OF_TAG}", 0, U16_MAX, None),
            _number("sterile_until_s", f"sterile date, UTC seconds, {_OF_TAG}", 0, U32_MAX, None),
            _number("sessions_allowed", f"sessions, {_OF_TAG}", 0, 255, None),
            _number("strokes_max", f"strokes, {_OF_TAG}", 0, U32_MAX, None),
        ),
    ),
    Word("cartridge.pull", "Take the cartridge out."),
    Word(
        "hand.sweep",
        "Touch down and go over a zone, lane by lane, until lifted.",
        (
            _ZONE,
            _DIRECTION,
            _number("speed_mm_s", "speed", 10, 80, 20),
            _number("overlap_percent", "overlap of the lanes", 0, 90, 15),
            _FORCE,
        ),
    ),
    Word("hand.touch", "Touch down and stay in one spot.", (_ZONE, _DIRECTION, _FORCE)),
    Word("hand.lift", "Take the pen off the skin."),
    Word("hand.stay", "Stop moving, still in contact."),
    Word("hand.go_on", "Go on where it was lifted or stopped."),
    Word(
        "hand.press_hard",
        "Press with a force, from now on or for a while.",
        (
            _number("force_mn", "how hard, in mN", 0, 5_000, 2_500),
            _number("for_ms", "for how long", 1, 600_000, None),
        ),
    ),
    Word(
        "clock.advance",
        "Let time pass; over an hour, and the pen is off meanwhile.",
        (_number("seconds", "how much", 0, U32_MAX),),
    ),
    Word(
        "clock.set",
        "Tamper with the clock, without that time having passed.",
        (_number("utc_s", "UTC, seconds since 1970", 1, U32_MAX),),
    ),
    Word("clock.lose", "Let the clock's own battery be empty for a moment."),
    Word("power.cut", "Take the pen's power away this instant."),
    Word("power.restore", "Give it back: the pen starts from what its flash holds."),
    Word("power.battery", "Charge or discharge the battery.", (_number("percent", "to how much", 0, 100),)),
    Word(
        "power.supply",
        "Plug an external supply in, or pull it.",
        (Argument("present", "whether it is plugged in", flag=True),),
    ),
    Word(
        "fault.inject",
        "Put a fault on (`dermalink-sim faults` lists them).",
        (
            _name("unit", "what breaks"),
            _name("kind", "how"),
            _number("instance", "which of them, 0 for any", 0, 255, 0),
            Argument("values", "its numbers, by name", numbers=True, default=None),
            *(_number(one.name, one.says, one.low, one.high, one.default) for one in SCHEDULE),
        ),
    ),
    Word(
        "fault.clear",
        "Take faults off: those that fit, all when nothing is named.",
        (
            _name("unit", "what", None),
            _name("kind", "how", None),
            _number("instance", "which of them", 0, 255, None),
        ),
    ),
    Word(
        "fault.list",
        "Which faults are on, which wait to begin, and which could not when their time came.",
        changes=False,
    ),
    Word(
        "card",
        "What is printed on the card that came with the pen: its setup code, and the QR code's text.",
        changes=False,
    ),
    Word(
        "truth",
        "What is so, whatever the pen says: needles, skin, head, clock, faults, who is connected.",
        changes=False,
    ),
    Word("watch", "Be told of what happens, from now on.", changes=False),
)

WORDS: Final = {word.name: word for word in VOCABULARY}


def check(do: object, given: object) -> tuple[Word, dict[str, Any]]:
    """The word that is meant, with every argument; raises `ControlError` and says what would fit."""
    word = WORDS.get(do) if isinstance(do, str) else None
    if word is None:
        raise ControlError(f"{do!r} was refused", limit=f"there are {', '.join(WORDS)}")
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise ControlError(f"{word.name} was refused", limit='"with" is an object of arguments by name')
    names = [argument.name for argument in word.arguments]
    unknown = [repr(name) for name in given if name not in names]
    if unknown:
        takes = ", ".join(names) or "nothing"
        raise ControlError(f"{word.name} with {', '.join(unknown)} was refused", limit=f"it takes {takes}")
    return word, {argument.name: _checked(word, argument, given) for argument in word.arguments}


def _checked(word: Word, argument: Argument, given: dict[str, Any]) -> Any:
    value = given.get(argument.name, argument.default)
    if value is REQUIRED:
        raise ControlError(f"{word.name} was refused", limit=f"it needs {argument.name} ({argument.says})")
    if value is None and argument.default is None:
        return None
    fits, limit = _fits(argument, value)
    if not fits:
        raise ControlError(
            f"{word.name} with {argument.name}={value!r} was refused", limit=f"{argument.name} is {limit}"
        )
    return value


def _fits(argument: Argument, value: Any) -> tuple[bool, str]:
    if argument.flag:
        return isinstance(value, bool), "true or false"
    if argument.choices:
        return value in argument.choices, f"one of {', '.join(argument.choices)}"
    if argument.text:
        return isinstance(value, str), "a name"
    if argument.numbers:
        fits = isinstance(value, dict) and all(type(number) is int for number in value.values())
        return fits, "an object of whole numbers by name"
    return (
        type(value) is int and argument.low <= value <= argument.high,
        f"a whole number from {argument.low} to {argument.high}",
    )
