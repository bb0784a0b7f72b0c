"""Frames on a byte stream: any bytes in, events out; what noise costs; what a frame costs."""

import itertools
import random
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dermalink_protocol import stuffing
from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Reason
from dermalink_protocol.errors import FrameTooLong
from dermalink_protocol.framing import (
    DELIMITER,
    FRAME_OVERHEAD,
    STUFFED_MAX,
    BrokenFrame,
    Event,
    Frame,
    FrameDecoder,
    Noise,
    encode_frame,
)
from dermalink_protocol.limits import MESSAGE_BYTES_MAX, TELEMETRY_BATCH
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.samples import SAMPLE_BYTES
from dermalink_protocol.schema import ENVELOPE_BYTES
from dermalink_protocol.stuffing import (
    BLOCK_MAX,
    FastStuffingError,
    StuffingError,
    fast_stuff,
    fast_unstuff,
    stuff,
    unstuff,
)

bodies = st.binary(max_size=MESSAGE_BYTES_MAX)
frames = st.builds(Frame, st.sampled_from(Channel), bodies)
without_zeros = st.binary(max_size=300).map(lambda raw: raw.replace(b"\0", b"\x01"))


def raw_of(event: Event) -> bytes:
    if isinstance(event, Frame):
        return encode_frame(event.channel, event.body).strip(DELIMITER)
    return event.raw


@given(frames)
def test_a_frame_comes_back_whole(frame: Frame) -> None:
    encoded = encode_frame(frame.channel, frame.body)
    assert len(encoded) == len(frame.body) + FRAME_OVERHEAD
    assert encoded[0] == encoded[-1] == 0
    assert 0 not in encoded[1:-1]
    assert FrameDecoder().feed(encoded) == [frame]


def test_a_body_that_is_too_long_is_not_framed() -> None:
    with pytest.raises(FrameTooLong):
        encode_frame(Channel.STATUS, bytes(MESSAGE_BYTES_MAX + 1))


@given(st.binary(max_size=2_000), st.lists(st.integers(0, 2_000), max_size=8))
@example(b"\x01" * 1_000, [250, 251, 252, 500])
def test_any_bytes_give_events_and_how_they_are_cut_makes_no_difference(stream: bytes, cuts: list[int]) -> None:
    whole = FrameDecoder()
    events = whole.feed(stream)
    for event in events:
        assert isinstance(event, Frame | Noise) or event.error.reason in Reason
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    cut, singly = FrameDecoder(), FrameDecoder()
    in_pieces = [event for start, end in itertools.pairwise(places) for event in cut.feed(stream[start:end])]
    one_by_one = [event for at in range(len(stream)) for event in singly.feed(stream[at : at + 1])]
    assert in_pieces == one_by_one == events
    # No byte is lost, at the end of the stream too.
    together = b"".join(raw_of(event) for event in [*events, *whole.flush()])
    assert together == stream.replace(DELIMITER, b"")


@given(st.lists(frames, max_size=5), st.lists(without_zeros, min_size=6, max_size=6))
def test_text_and_noise_between_frames_costs_no_frame(sent: list[Frame], noise: list[bytes]) -> None:
    encoded = [encode_frame(*frame) for frame in sent]
    stream = b"".join(itertools.chain.from_iterable(zip(noise, [*encoded, b""], strict=False)))
    events = FrameDecoder().feed(stream)
    assert [event for event in events if isinstance(event, Frame)] == sent


@given(st.lists(frames, min_size=1, max_size=5), st.data())
def test_noise_costs_only_the_frames_that_it_hit(sent: list[Frame], data: st.DataObject) -> None:
    encoded = [encode_frame(*frame) for frame in sent]
    hit = data.draw(st.integers(0, len(sent) - 1))
    spoilt = bytearray(encoded[hit])
    for _ in range(data.draw(st.integers(1, 5))):
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    encoded[hit] = bytes(spoilt)
    events = FrameDecoder().feed(b"".join(encoded))
    left = [event for event in events if isinstance(event, Frame)]
    assert left[:hit] == sent[:hit]
    assert left[len(left) - (len(sent) - hit - 1) :] == sent[hit + 1 :]


@given(frames, st.integers(0, 10_000), st.integers(0, 7))
def test_a_flipped_bit_never_passes_for_a_frame(frame: Frame, at: int, bit: int) -> None:
    encoded = bytearray(encode_frame(*frame))
    at = 1 + at % (len(encoded) - 2)
    encoded[at] ^= 1 << bit
    assert not [event for event in FrameDecoder().feed(bytes(encoded)) if isinstance(event, Frame)]


@given(st.lists(st.binary(max_size=400), max_size=20))
def test_no_more_than_one_run_is_ever_held_back(pieces: list[bytes]) -> None:
    decoder = FrameDecoder()
    fed = out = 0
    for piece in (drawn.replace(DELIMITER, b"\x01") for drawn in pieces):
        fed += len(piece)
        out += sum(len(event.raw) for event in decoder.feed(piece) if not isinstance(event, Frame))
        assert fed - out <= STUFFED_MAX


def test_what_is_held_back_at_the_end_is_handed_on_as_noise() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(b"\0half a fra") == []
    assert decoder.flush() == [Noise(b"half a fra")]
    assert decoder.flush() == []
    assert decoder.feed(encode_frame(Channel.STOP, b"stop")) == [Frame(Channel.STOP, b"stop")]


def test_printed_text_is_noise_and_anything_else_a_broken_frame() -> None:
    text, broken = FrameDecoder().feed(b"\0boot 1.2\x1b[0m\r\n\0\x80oot\0")
    assert text == Noise(b"boot 1.2\x1b[0m\r\n")
    assert isinstance(broken, BrokenFrame)


@given(st.binary(min_size=1, max_size=BLOCK_MAX))
def test_both_stuffings_are_the_same(plain: bytes) -> None:
    assert stuff(plain) == fast_stuff(plain)
    assert unstuff(stuff(plain)) == plain == fast_unstuff(fast_stuff(plain))


@given(st.binary(min_size=1, max_size=STUFFED_MAX))
def test_both_stuffings_refuse_the_same(stuffed: bytes) -> None:
    outcomes: list[bytes | None] = []
    for undo, error in ((unstuff, StuffingError), (fast_unstuff, FastStuffingError)):
        try:
            outcomes.append(undo(stuffed))
        except error:
            outcomes.append(None)
    assert outcomes[0] == outcomes[1]


def test_the_longest_block_is_stuffed_and_one_byte_more_is_refused() -> None:
    assert stuff(b"\x01" * BLOCK_MAX) == b"\xfe" + b"\x01" * 253
    assert unstuff(b"\xfe" + b"\x01" * 253) == b"\x01" * BLOCK_MAX
    with pytest.raises(StuffingError):
        unstuff(b"\xff" + b"\x01" * 254)


@pytest.mark.parametrize("missing", ["cobs", "cobs.cobs", "the extension"])
def test_without_the_c_extension_the_stuffing_is_our_own(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if missing == "the extension":
        monkeypatch.setattr("cobs.cobs.encode", lambda data: data)
    else:
        import cobs

        monkeypatch.delattr(cobs, "cobs")
        monkeypatch.setitem(sys.modules, missing, None)
    assert stuffing._choose() == (stuff, unstuff, StuffingError, "python")


def test_it_can_be_said_which_stuffing_runs() -> None:
    assert stuffing.implementation() in ("c", "python")
    assert (stuffing.implementation() == "python") == (fast_stuff is stuff)


def test_a_telemetry_batch_has_at_most_a_fifth_of_overhead_and_fits_the_slowest_line() -> None:
    samples = random.Random(1).randbytes(SAMPLE_BYTES * TELEMETRY_BATCH)
    payload = Telemetry(sequence=1, tick_ms=2, samples=samples).encode()
    on_the_wire = len(encode_frame(Channel.TELEMETRY, bytes(ENVELOPE_BYTES) + payload))
    assert on_the_wire == 98
    assert (on_the_wire - len(samples)) / on_the_wire <= 0.2
    batches_a_second, bits_a_byte = 10, 10
    assert on_the_wire * batches_a_second * bits_a_byte <= 115_200 * 0.1
