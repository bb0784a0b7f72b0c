"""What a radio specification says to the bleak backends: which transport, and in square brackets how to use it.

    air:bench    tcp-client:[interval=30,mtu=23]127.0.0.1:9000    usb:[address=C0:12:34:56:78:9A]0

The brackets are Bumble's own way of writing options; its own one, `driver`, is left in them, and any other is refused.
"""

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from dermalink_simulator.radio.errors import BadRadioSpec
from dermalink_simulator.radio.specs import (
    AIR,
    DRIVER,
    DRIVER_WRITTEN,
    FOR_HOSTS,
    HOSTS_OPTIONS,
    check_spec,
    driver_wrong,
    find_brackets,
    no_option,
    place_wrong,
)

T = TypeVar("T")

ATT_MTU_MIN: Final = 23  # Core 5.4, Vol 3, Part F, 3.2.8: what every LE link has
ATT_MTU_MAX: Final = 517  # a value of 512 bytes (the longest, ibid. 3.2.9) in one prepared write; what BlueZ asks for
# Core 5.4, Vol 4, Part E, 7.8.12: the ranges of a connection's parameters.
INTERVAL_MS_MIN: Final = 7.5
INTERVAL_MS_MAX: Final = 4_000.0
INTERVAL_UNIT_MS: Final = 1.25
LATENCY_MAX: Final = 499
SUPERVISION_MS_MIN: Final = 100
SUPERVISION_MS_MAX: Final = 32_000
SUPERVISION_MS: Final = 720  # Bumble's and macOS's; Linux has 420, which a burst of noise outlasts

INTERVAL_WRITTEN: Final = f"{INTERVAL_MS_MIN} to {INTERVAL_MS_MAX:g} ms, in steps of {INTERVAL_UNIT_MS} ms"
WRITTEN: Final = {
    "address": "six octets from C0:00:00:00:00:00 on",
    "host": "any label",
    "interval": INTERVAL_WRITTEN,
    "latency": f"0 to {LATENCY_MAX}",
    "supervision": f"{SUPERVISION_MS_MIN} to {SUPERVISION_MS_MAX} ms",
    "mtu": f"{ATT_MTU_MIN} to {ATT_MTU_MAX}",
    DRIVER: f"{DRIVER_WRITTEN}, not for an air",
}

_ADDRESS: Final = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")
_DECIMAL: Final = re.compile(r"[0-9]{1,5}(\.[0-9]{1,4})?")
_WHOLE: Final = re.compile(r"[0-9]{1,5}")
_STATIC_BITS: Final = 0xC0  # Core 5.4, Vol 6, Part B, 1.3.2.1: the top bits of a static random address


@dataclass(frozen=True)
class RadioOptions:
    """One radio as the bleak backends use it; equal ones share an adapter.

    `transport` is for Bumble, `address` the adapter's own (static random), `host` a label that makes two adapters of
    one transport, `interval_ms` the connection interval to ask for (None: 15 to 30 ms, Bumble's own).
    """

    spec: str
    transport: str
    address: str
    host: str = ""
    interval_ms: float | None = None
    latency: int = 0
    supervision_ms: int = SUPERVISION_MS
    mtu: int = ATT_MTU_MAX


def read_options(spec: str) -> RadioOptions:
    """Take a specification apart; raises `BadRadioSpec`."""
    brackets = _Brackets(spec)
    check_spec(brackets.rest, FOR_HOSTS, whole=spec)
    options = RadioOptions(
        spec=spec,
        transport=brackets.rest,
        address=brackets.take("address", _address) or _own_address(spec),
        host=brackets.take("host", str) or "",
        interval_ms=brackets.take("interval", _interval),
        latency=brackets.take("latency", _whole(0, LATENCY_MAX)) or 0,
        supervision_ms=brackets.take("supervision", _whole(SUPERVISION_MS_MIN, SUPERVISION_MS_MAX)) or SUPERVISION_MS,
        mtu=brackets.take("mtu", _whole(ATT_MTU_MIN, ATT_MTU_MAX)) or ATT_MTU_MAX,
    )
    # Core 5.4, Vol 4, Part E, 7.8.12: longer than two of the peripheral's waits.
    two_waits = 2 * (1 + options.latency) * (options.interval_ms or INTERVAL_MS_MIN)
    if options.supervision_ms <= two_waits:
        raise _bad(spec, f"supervision must be more than 2 * (1 + latency) * interval, {two_waits:g} ms")
    return options


class _Brackets:
    """The options in a specification's square brackets, and the specification without those that are ours."""

    def __init__(self, spec: str) -> None:
        self._spec = spec
        self._ours: dict[str, str] = {}
        kind, colon, words = spec.partition(":")
        found = find_brackets(words)
        if not found:
            self.rest = spec
            return
        if wrong := place_wrong(found):
            raise _bad(spec, wrong)
        others = [entry for entry in found.entries if not self._is_ours(entry)]
        kept = f"[{','.join(others)}]" if others else ""
        self.rest = kind + colon + found.before + kept + found.after

    def _is_ours(self, entry: str) -> bool:
        key, _, value = entry.partition("=")
        if wrong := no_option(entry):
            raise _bad(self._spec, wrong)
        if key == DRIVER and not self._spec.startswith(f"{AIR}:"):
            if wrong := driver_wrong(value):
                raise _bad(self._spec, wrong)
            return False
        if key not in HOSTS_OPTIONS:
            raise _bad(self._spec, f"{key!r} is no option")
        if key in self._ours:
            raise _bad(self._spec, f"{key} is given twice")
        self._ours[key] = value
        return True

    def take(self, key: str, read: Callable[[str], T]) -> T | None:
        """The value of `key`, or None when it is not given."""
        value = self._ours.get(key)
        try:
            return None if value is None else read(value)
        except ValueError as wrong:
            raise _bad(self._spec, f"{key}={value}: {wrong}") from None


def _own_address(spec: str) -> str:
    """The same at each run on an air of this process; on any other, no two processes may share an address."""
    octets = bytearray(hashlib.sha256(spec.encode()).digest()[:6] if spec.startswith("air:") else os.urandom(6))
    octets[0] |= _STATIC_BITS
    return octets.hex(":").upper()


def _address(value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        raise ValueError("an address is six octets, as C0:12:34:56:78:9A")
    if int(value[:2], 16) & _STATIC_BITS != _STATIC_BITS:
        raise ValueError("a static random address begins with C0 or more")
    return value.upper()


def _interval(value: str) -> float:
    interval = float(value) if _DECIMAL.fullmatch(value) else 0.0
    if not INTERVAL_MS_MIN <= interval <= INTERVAL_MS_MAX or interval % INTERVAL_UNIT_MS:
        raise ValueError(f"must be {INTERVAL_WRITTEN}")
    return interval


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not _WHOLE.fullmatch(value) or not low <= int(value) <= high:
            raise ValueError(f"must be {low} to {high}")
        return int(value)

    return read


def _bad(spec: str, limit: str) -> BadRadioSpec:
    known = ", ".join(f"{key} ({written})" for key, written in WRITTEN.items())
    return BadRadioSpec(
        f"The radio {spec!r} can't be used",
        limit=limit,
        advice=f"Options stand in brackets after the colon, as in air:[interval=30]bench: {known}",
    )
