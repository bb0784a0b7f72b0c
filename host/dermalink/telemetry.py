"""The newest telemetry as one numpy array, with no Python loop over samples."""

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from dermalink.errors import LinkError
from dermalink_protocol.limits import TELEMETRY_BATCH
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.samples import SAMPLE_BYTES, SAMPLE_MS, view_samples
from dermalink_protocol.schema import Notification

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLES_DEFAULT: Final = 6_000  # a minute while armed


class TelemetryRing:
    """The last `size` samples. Batches are copied in as bytes; what is read is a view that later ones overwrite."""

    kinds: tuple[type[Notification], ...] = (Telemetry,)

    def __init__(self, size: int = SAMPLES_DEFAULT) -> None:
        """`size` is at least one batch."""
        self._size = size
        self._buffer = bytearray(2 * size * SAMPLE_BYTES)
        self._batches: deque[tuple[int, int]] = deque(maxlen=size)  # first tick and number of samples of each
        self._end = 0  # samples in the buffer; when it is full, its newer half is moved to its beginning
        self.total = 0

    def offer(self, notification: Telemetry) -> None:
        """Take a batch in."""
        samples = notification.samples
        count = len(samples) // SAMPLE_BYTES
        if self._end + count > 2 * self._size:
            kept = self._size - count
            self._buffer[: kept * SAMPLE_BYTES] = self._buffer[
                (self._end - kept) * SAMPLE_BYTES : self._end * SAMPLE_BYTES
            ]
            self._end = kept
        self._buffer[self._end * SAMPLE_BYTES : (self._end + count) * SAMPLE_BYTES] = samples
        self._batches.append((notification.tick_ms, count))
        self._end += count
        self.total += count

    def end(self, error: LinkError) -> None:
        """What has come stays."""

    def __len__(self) -> int:
        return min(self._end, self._size)

    def samples(self, newest: int | None = None) -> "NDArray[Any]":
        """The newest samples, oldest first, as a view (`samples.sample_dtype`); copy it to keep it."""
        count = len(self) if newest is None else min(newest, len(self))
        return view_samples(
            memoryview(self._buffer)[(self._end - count) * SAMPLE_BYTES : self._end * SAMPLE_BYTES].toreadonly()
        )

    def ticks(self, newest: int | None = None) -> "NDArray[np.uint32]":
        """The pen's tick of each sample of `samples(newest)`, in ms."""
        import numpy as np

        count = len(self) if newest is None else min(newest, len(self))
        steps = np.arange(TELEMETRY_BATCH, dtype=np.uint32) * np.uint32(SAMPLE_MS)
        pieces: list[NDArray[np.uint32]] = []
        missing = count
        for tick_ms, samples in reversed(self._batches):
            if missing <= 0:
                break
            pieces.append(np.uint32(tick_ms) + steps[:samples])
            missing -= samples
        if not pieces:
            return steps[:0]
        return np.concatenate(pieces[::-1])[-count:]
