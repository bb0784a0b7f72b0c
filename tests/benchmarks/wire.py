"""Bytes on the wire: what a telemetry batch costs beyond its samples, and its share of 115 200 baud."""

from collections.abc import Iterator

from dermalink_protocol.channels import Channel
from dermalink_protocol.envelope import UNASKED, Envelope, encode_envelope
from dermalink_protocol.framing import encode_frame
from dermalink_protocol.limits import TELEMETRY_BATCH, TELEMETRY_HZ
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.samples import PACK_SAMPLE
from tests.benchmarks.measure import Row

BITS_PER_BYTE = 10  # start and stop bit included
BAUD = 115_200


def a_batch_frame() -> bytes:
    """A full batch as it goes over a serial line."""
    samples = b"".join(PACK_SAMPLE.pack(231 + n, 640, 100, 7, 12, -3) for n in range(TELEMETRY_BATCH))
    message = Telemetry(sequence=513, tick_ms=123_456, samples=samples)
    return encode_frame(Channel.TELEMETRY, encode_envelope(Envelope(Channel.TELEMETRY, UNASKED, message)))


def rows() -> Iterator[Row]:
    """Overhead of a batch, and the line's share."""
    size, bare = len(a_batch_frame()), TELEMETRY_BATCH * PACK_SAMPLE.size
    yield Row("telemetry batch, not samples", size - bare, "B", "the whole batch", size, (size - bare) / size, "≤ 0.20")
    used = size * TELEMETRY_HZ / TELEMETRY_BATCH
    yield Row(
        "100 samples a second", used, "B/s", "115 200 baud", BAUD / BITS_PER_BYTE, used * BITS_PER_BYTE / BAUD, "≤ 0.10"
    )
