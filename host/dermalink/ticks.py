"""The pen's tick is a u32 of milliseconds that may wrap after 49 days; these compare across the wrap."""

from typing import Final

WRAP: Final = 1 << 32
HALF: Final = 1 << 31


def elapsed_ms(earlier: int, later: int) -> int:
    """Milliseconds from `earlier` to `later`; negative when `later` is the earlier one."""
    return (later - earlier + HALF) % WRAP - HALF


def newer(one: int | None, other: int) -> int:
    """The newer of two ticks; None is older than every tick."""
    return other if one is None or elapsed_ms(one, other) > 0 else one
