"""Units of the numbers that people read, and how a number is said in its unit."""

from enum import Enum


class Unit(Enum):
    """The unit of the number that goes with a reason."""

    NONE = ""
    UM = "µm"
    HZ = "Hz"
    MM_S = "mm/s"
    MS = "ms"
    S = "s"
    MN = "mN"
    PERCENT = "%"
    PER_CM2 = "punctures per cm²"
    NEEDLES = "needles"
    PASSES = "passes"
    TIMES = "times"
    BYTES = "bytes"
    COMMAND = "(command id)"
    VERSION = "(protocol version)"
    STROKES = "strokes"
    HEADS = "heads"
    CELSIUS = "°C"


def quantity(value: int, unit: Unit) -> str:
    """`value` as a person reads it: milliseconds from 10 000 as seconds, seconds as days, hours and minutes."""
    if unit is Unit.MS and value >= 10_000 and value % 1_000 == 0:
        return quantity(value // 1_000, Unit.S)
    if unit is Unit.S and value >= 120:
        return _long_time(value)
    if unit in (Unit.COMMAND, Unit.VERSION):
        return f"{value}"
    return f"{value} {unit.value}".rstrip()


def _long_time(seconds: int) -> str:
    """The two largest units, rounded up, so that what is said to be left is never too little."""
    parts = ((86_400, "day"), (3_600, "hour"), (60, "minute"))
    first = next(index for index, (size, _) in enumerate(parts) if seconds >= size)
    finest = parts[min(first + 1, len(parts) - 1)][0]
    left = -(-seconds // finest) * finest
    said = []
    for size, name in parts[first : first + 2]:
        count, left = divmod(left, size)
        if count:
            said.append(f"{count} {name}{'s' if count > 1 else ''}")
    return " ".join(said)
