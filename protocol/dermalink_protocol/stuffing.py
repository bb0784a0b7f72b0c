"""Consistent overhead byte stuffing (Cheshire and Baker 1999) for what fits into one block: no zero byte is left.

The `cobs` package's C extension does it where there is one. It has wheels for few systems and falls back to slow
Python in silence, so this module has a fallback of its own, and `implementation` says which one runs.
"""

from collections.abc import Callable
from types import BuiltinFunctionType
from typing import Final

BLOCK_MAX: Final = 253
"""Most bytes that may be stuffed: then no run without a zero reaches 254, and the cost is exactly one byte."""


class StuffingError(ValueError):
    """Bytes that no stuffing makes."""


_LENGTH: Final = [bytes([count + 1]) for count in range(BLOCK_MAX + 1)]


def stuff(data: bytes) -> bytes:
    """`data` (at most `BLOCK_MAX` bytes) without its zero bytes, one byte longer."""
    return b"".join([_LENGTH[len(run)] + run for run in data.split(b"\0")])


def unstuff(data: bytes) -> bytes:
    """What was stuffed; raises `StuffingError` for nothing, a zero byte, or a run that is cut short or too long."""
    if not data or 0 in data:
        raise StuffingError("nothing, or a zero byte, was to be unstuffed")
    runs = []
    start, end = 0, len(data)
    while start < end:
        stop = start + data[start]
        if stop > end or data[start] > BLOCK_MAX + 1:
            raise StuffingError(f"no run of {data[start]} bytes begins at {start} of {end}")
        runs.append(data[start + 1 : stop])
        start = stop
    return b"\0".join(runs)


def _choose() -> tuple[Callable[[bytes], bytes], Callable[[bytes], bytes], type[ValueError], str]:
    try:
        from cobs import cobs
    except ImportError:
        return stuff, unstuff, StuffingError, "python"
    if not isinstance(cobs.encode, BuiltinFunctionType):
        return stuff, unstuff, StuffingError, "python"
    return cobs.encode, cobs.decode, cobs.DecodeError, "c"


fast_stuff, fast_unstuff, FastStuffingError, _NAME = _choose()


def implementation() -> str:
    """`"c"` when the extension runs, else `"python"`: about 1.3 µs a frame, 40 µs for one full of zeros."""
    return _NAME
