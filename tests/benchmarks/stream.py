"""A stream of telemetry frames into one numpy array: against a C program that only unstuffs and copies."""

import ctypes
from collections.abc import Iterator

import numpy as np

from dermalink_protocol.envelope import decode_envelope
from dermalink_protocol.framing import Frame, FrameDecoder
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.samples import view_samples
from tests.benchmarks.floor import build
from tests.benchmarks.measure import Missing, Row, row
from tests.benchmarks.wire import a_batch_frame

BATCHES = 1_000


def decode_stream(stream: bytes) -> "np.ndarray[tuple[int], np.dtype[np.void]]":
    """All samples in the stream, as a host reads them: frames, envelopes, one view."""
    parts = []
    for event in FrameDecoder().feed(stream):
        if isinstance(event, Frame):
            message = decode_envelope(event.channel, event.body).message
            if isinstance(message, Telemetry):
                parts.append(message.samples)
    return view_samples(b"".join(parts))


def rows() -> Iterator[Row]:
    """One second of a hundred pens, decoded."""
    stream, floor = a_batch_frame() * BATCHES, ctypes.CDLL(str(build("unstuff", library=True)))
    floor.unstuff.restype = ctypes.c_size_t
    floor.prepare()
    out = ctypes.create_string_buffer(len(stream))
    samples = decode_stream(stream)
    head = 1 + 4 + Telemetry.size[0] - 8
    got = floor.unstuff(stream, ctypes.c_size_t(len(stream)), ctypes.c_size_t(head), out)
    if ctypes.string_at(out, got) != samples.tobytes():
        raise Missing("the floor and the decoder disagree: one of them is wrong")
    yield row(
        f"stream of {BATCHES} batches to numpy",
        lambda: decode_stream(stream),
        "C floor",
        lambda: floor.unstuff(stream, ctypes.c_size_t(len(stream)), ctypes.c_size_t(head), out),
        "≤ 3.3 (0.3 of C)",
        "ms",
    )
