"""A stream of telemetry frames into one numpy array: against a C program that only unstuffs and copies."""

import ctypes
import hashlib
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dermalink_protocol.envelope import decode_envelope
from dermalink_protocol.framing import Frame, FrameDecoder
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.samples import view_samples
from tests.benchmarks.measure import Missing, Row, row
from tests.benchmarks.wire import a_batch_frame

BATCHES = 1_000

C_FLOOR = r"""
#include <stddef.h>
#include <string.h>
#include <stdint.h>
static uint32_t table[8][256];
void prepare(void) {
    for (uint32_t n = 0; n < 256; n++) {
        uint32_t c = n;
        for (int k = 0; k < 8; k++) c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
        table[0][n] = c;
    }
    for (int t = 1; t < 8; t++)
        for (uint32_t n = 0; n < 256; n++) table[t][n] = (table[t - 1][n] >> 8) ^ table[0][table[t - 1][n] & 0xFF];
}
static uint32_t crc32(const uint8_t *p, size_t n) {
    uint32_t c = ~0u;
    while (n >= 8) {
        uint32_t lo, hi;
        memcpy(&lo, p, 4); memcpy(&hi, p + 4, 4);
        lo ^= c;
        c = table[7][lo & 255] ^ table[6][lo >> 8 & 255] ^ table[5][lo >> 16 & 255] ^ table[4][lo >> 24]
          ^ table[3][hi & 255] ^ table[2][hi >> 8 & 255] ^ table[1][hi >> 16 & 255] ^ table[0][hi >> 24];
        p += 8; n -= 8;
    }
    while (n--) c = table[0][(c ^ *p++) & 255] ^ (c >> 8);
    return ~c;
}
size_t unstuff(const uint8_t *in, size_t n, size_t head, uint8_t *out) {
    uint8_t frame[512];
    size_t done = 0, at = 0;
    while (at < n) {
        size_t made = 0;
        const uint8_t *stop = memchr(in + at, 0, n - at);
        size_t end = stop ? (size_t)(stop - in) : n;
        while (at < end) {
            uint8_t code = in[at++];
            size_t run = code - 1u;
            memcpy(frame + made, in + at, run);
            made += run; at += run;
            if (code != 0xFF && at < end) frame[made++] = 0;
        }
        at = end + 1;
        if (made < head + 4) continue;
        uint32_t want;
        memcpy(&want, frame + made - 4, 4);
        if (crc32(frame, made - 4) != want) continue;
        memcpy(out + done, frame + head, made - 4 - head);
        done += made - 4 - head;
    }
    return done;
}
"""


def c_floor() -> ctypes.CDLL:
    """The floor, compiled; raises `Missing` where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise Missing("no C compiler")
    name = f"dermalink-floor-{hashlib.sha256(C_FLOOR.encode()).hexdigest()[:12]}"
    folder = Path(tempfile.mkdtemp(prefix=name))
    source, library = folder / "floor.c", folder / f"floor{sysconfig.get_config_var('SHLIB_SUFFIX') or '.so'}"
    source.write_text(C_FLOOR, encoding="ascii")
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    floor = ctypes.CDLL(str(library))
    floor.unstuff.restype = ctypes.c_size_t
    floor.prepare()
    return floor


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
    stream, floor = a_batch_frame() * BATCHES, c_floor()
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
