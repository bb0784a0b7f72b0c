"""Faults spelled out: a word of the vocabulary with its numbers, when it begins, how long it lasts, and its seed.

What is not in the vocabulary, or can never be, is an error that says what would fit, and never accepted in silence.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from dermalink_protocol.codewords import Opcode
from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.faults.words import WORDS, FaultKind, Parameter, kinds_of, units

ANY: Final = 0
WHEN_MAX_MS: Final = 0xFFFF_FFFF  # 49 days of the pen's time
SEED_MAX: Final = 0xFFFF_FFFF
AFTER: Final = Parameter("after_ms", 0, 0, WHEN_MAX_MS, "when it begins, in ms of the pen's time from now")
LASTING: Final = Parameter("for_ms", 0, 0, WHEN_MAX_MS, "how long it lasts in ms; 0 is until it is cleared")
SEED: Final = Parameter("seed", 0, 0, SEED_MAX, "what its chance is drawn from; 0 is the pen's own seed")
SCHEDULE: Final = (AFTER, LASTING, SEED)


class UnknownFaultError(DermalinkError):
    """A unit, a kind or a parameter that the vocabulary does not have."""


class ImpossibleFaultError(DermalinkError):
    """A fault that cannot be: a value out of range, an instance that does not exist, no such part there now."""


class Fault(NamedTuple):
    """A word of the vocabulary with its numbers; `after_ms`, `for_ms` and `seed` are those of `SCHEDULE`."""

    unit: str
    kind: str
    instance: int
    values: dict[str, int]
    after_ms: int = 0
    for_ms: int = 0
    seed: int = 0

    @property
    def word(self) -> FaultKind:
        """What the vocabulary says of it."""
        return WORDS[self.unit, self.kind]

    def __str__(self) -> str:
        numbers = {**self.values, **{one.name: getattr(self, one.name) for one in SCHEDULE if getattr(self, one.name)}}
        where = f"[{self.instance}]" if self.instance else ""
        return f"{self.unit}{where} {self.kind}{''.join(f' {name}={value}' for name, value in numbers.items())}"


class FaultScript(NamedTuple):
    """Faults in the order of a file, every one spelled out; `source` names the file."""

    source: str
    faults: tuple[Fault, ...]


def spell(
    unit: str,
    kind: str,
    instance: object = ANY,
    values: Mapping[str, object] | None = None,
    *,
    after_ms: object = 0,
    for_ms: object = 0,
    seed: object = 0,
) -> Fault:
    """The fault that is meant, with every number; raises `UnknownFaultError` or `ImpossibleFaultError`."""
    word = WORDS.get((unit, kind))
    if word is None:
        known = f"{unit} has {', '.join(kinds_of(unit))}" if kinds_of(unit) else f"units are {', '.join(units())}"
        raise UnknownFaultError(f"fault {unit} {kind} was refused", limit=known)
    if isinstance(instance, bool) or not isinstance(instance, int) or not 0 <= instance <= word.instances:
        raise ImpossibleFaultError(
            f"fault {unit}[{instance!r}] {kind} was refused",
            limit=f"instances are 0 to {word.instances}" if word.instances else "there is one only: instance 0",
        )
    given = dict(values or {})
    full = {one.name: _checked(word, one, given.pop(one.name, one.default)) for one in word.parameters}
    if given:
        names = ", ".join(one.name for one in (*word.parameters, *schedule_of(word)))
        raise UnknownFaultError(f"fault {unit} {kind} with {', '.join(given)} was refused", limit=f"it takes {names}")
    if full.get("opcode") and full["opcode"] not in set(Opcode):
        raise ImpossibleFaultError(f"fault {unit} {kind} was refused", limit=f"{full['opcode']:#06x} is no opcode")
    said = {"after_ms": after_ms, "for_ms": for_ms, "seed": seed}
    when = {one.name: _checked(word, one, said[one.name]) for one in SCHEDULE}
    for name, why in (("for_ms", "it happens once and is over"), ("seed", "it draws nothing from a seed of its own")):
        if when[name] and name not in [one.name for one in schedule_of(word)]:
            raise ImpossibleFaultError(f"fault {unit} {kind} with {name}={when[name]} was refused", limit=why)
    return Fault(unit, kind, instance, full, **when)


def schedule_of(word: FaultKind) -> tuple[Parameter, ...]:
    """Which of `SCHEDULE` mean something for a word: what happens once does not last, and not all is drawn."""
    return (AFTER, *(() if word.once else (LASTING,)), *((SEED,) if word.drawn else ()))


def _checked(word: FaultKind, parameter: Parameter, value: object) -> int:
    fits = not isinstance(value, bool) and isinstance(value, int) and parameter.low <= value <= parameter.high
    if not fits or value % parameter.step:  # type: ignore[operator]
        raise ImpossibleFaultError(
            f"fault {word.unit} {word.kind} with {parameter.name}={value!r} was refused",
            limit=f"{parameter.name} is a whole number from {parameter.low} to {parameter.high}: {parameter.says}",
        )
    return int(value)  # type: ignore[call-overload,no-any-return]


def must_be_known(unit: str | None, kind: str | None) -> None:
    """Raise `UnknownFaultError` for a unit, or a kind of it, that the vocabulary does not have."""
    if unit is not None and (not kinds_of(unit) or (kind is not None and kind not in kinds_of(unit))):
        raise UnknownFaultError(f"clearing {unit} {kind or ''} was refused", limit="there is no such fault")
