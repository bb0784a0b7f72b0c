"""Telemetry's sampler: 100 samples a second while armed, one a second otherwise, nothing lost between two samples.

The first one after the drive came to rest goes out at once: by it a host knows on the quickest way that no more batches
are owed, where a change of state waits for confirmations of what was said before it.
"""

from typing import Final

from dermalink_protocol.limits import TELEMETRY_BATCH, TELEMETRY_IDLE_MS
from dermalink_protocol.samples import ARMED, CONTACT, NEEDLES_OUT, PACK_SAMPLE, SAMPLE_BYTES, SAMPLE_MS, TRAVEL_UNIT_UM

RATE_MAX: Final = 0xFF
TRAVEL_MIN: Final = -0x80
TRAVEL_MAX: Final = 0x7F
_FULL: Final = TELEMETRY_BATCH * SAMPLE_BYTES
_IDLE_MS: Final = int(TELEMETRY_IDLE_MS)
_PACK: Final = PACK_SAMPLE.pack


class Sampler:
    """Makes samples and batches of them; a batch begins at `tick_ms` of its first sample.

    Travel too long for one sample is carried into the next, so that the sum stays right; peak depth and force are the
    greatest since the last sample.
    """

    __slots__ = ("_batch", "_began_ms", "_dx_um", "_dy_um", "_force_mn", "_idle_ms", "_peak_um")

    def __init__(self) -> None:
        self._batch = bytearray()
        self._began_ms = 0
        self._peak_um = self._force_mn = 0
        self._dx_um = self._dy_um = 0
        self._idle_ms = 0

    def peak(self, peak_um: int) -> None:
        """A peak seen by the timer interrupt; it stays in hand until the next sample."""
        if peak_um > self._peak_um:
            self._peak_um = peak_um

    def armed(
        self, tick_ms: int, dt_ms: int, sensed: tuple[int, int, int, int, int, int], *, needles_out: bool
    ) -> tuple[int, bytes] | None:
        """Take a sample while armed; `sensed` is peak, force, rate, contact, dx, dy. A full batch is given back.

        A main loop that comes late ends the batch, since the samples of one are exactly `SAMPLE_MS` apart.
        """
        peak_um, force_mn, rate_hz, contact, dx_um, dy_um = sensed
        done = None
        batch = self._batch
        if batch and dt_ms != SAMPLE_MS:
            done = self._take()
            batch = self._batch
        if not batch:
            self._began_ms = tick_ms
        if self._peak_um > peak_um:
            peak_um = self._peak_um
        self._peak_um = 0
        self._idle_ms = _IDLE_MS
        dx, self._dx_um = _units(self._dx_um + dx_um)
        dy, self._dy_um = _units(self._dy_um + dy_um)
        flags = ARMED | (CONTACT if contact else 0) | (NEEDLES_OUT if needles_out else 0)
        batch += _PACK(peak_um, force_mn, rate_hz, flags, dx, dy)
        if len(batch) >= _FULL:
            return self._take() if done is None else done
        return done

    def stopping(self) -> tuple[int, bytes] | None:
        """What is left over from being armed; whether all is at rest, nobody knows yet."""
        return self._take() if self._batch else None

    def idle(self, tick_ms: int, dt_ms: int, force_mn: int, contact: int) -> tuple[int, bytes] | None:
        """Take a sample every second while not armed; a batch left over from being armed goes first."""
        if self._batch:
            return self._take()
        self._dx_um = self._dy_um = 0
        self._force_mn = max(self._force_mn, force_mn)
        self._idle_ms += dt_ms
        if self._idle_ms < _IDLE_MS:
            return None
        self._idle_ms = 0
        sample = _PACK(self._peak_um, self._force_mn, 0, CONTACT if contact else 0, 0, 0)
        self._peak_um = self._force_mn = 0
        return tick_ms, sample

    def _take(self) -> tuple[int, bytes]:
        batch = bytes(self._batch)
        self._batch = bytearray()
        return self._began_ms, batch


def rate_hz(stroke_us: int) -> int:
    """The stamp rate of one stroke period, rounded, as far as a sample can hold it; 0 when there was no stroke."""
    if not stroke_us:
        return 0
    return min((1_000_000 + stroke_us // 2) // stroke_us, RATE_MAX)


def _units(travel_um: int) -> tuple[int, int]:
    """What of a travel goes into a sample, in `TRAVEL_UNIT_UM`, and what is left for the next."""
    units = travel_um // TRAVEL_UNIT_UM
    if not TRAVEL_MIN <= units <= TRAVEL_MAX:
        units = TRAVEL_MAX if units > 0 else TRAVEL_MIN
    return units, travel_um - units * TRAVEL_UNIT_UM
