"""Frames and segments against their golden records."""

from typing import Any

import pytest

from dermalink_protocol.channels import Channel
from dermalink_protocol.errors import SegmentError
from dermalink_protocol.framing import BrokenFrame, Event, Frame, FrameDecoder, Noise, encode_frame
from dermalink_protocol.segmentation import BadSegment, Joined, Reassembler, Segmenter
from tests.vectors.golden import Line, bad, good, load, name_of

FRAMES, SEGMENTS = load("frames.jsonl"), load("segments.jsonl")
FRAME_ERRORS = {"BadCobs", "BadCrc", "FrameTooLong", "FrameTooShort", "UnknownChannel"}


def event_as_json(event: Event) -> list[str]:
    match event:
        case Frame(channel, body):
            return ["frame", channel.name, body.hex()]
        case BrokenFrame(kind, raw):
            assert type(event.error) is kind
            return ["broken", kind.__name__, event.error.reason.name, raw.hex()]
        case Noise(raw):
            return ["noise", raw.hex()]


def segment_event_as_json(event: Joined | BadSegment) -> list[str]:
    match event:
        case Joined(body):
            return ["joined", body.hex()]
        case BadSegment(error, _):
            return ["bad", type(error).__name__, error.reason.name]


@pytest.mark.parametrize("line", good(FRAMES, "frame"), ids=name_of)
def test_frames_both_ways(line: Line) -> None:
    channel, body, frame = Channel[line["channel"]], bytes.fromhex(line["body"]), bytes.fromhex(line["frame"])
    assert encode_frame(channel, body) == frame
    assert FrameDecoder().feed(frame) == [Frame(channel, body)]


@pytest.mark.parametrize("line", [line for line in FRAMES if "stream" in line], ids=name_of)
def test_streams_give_exactly_these_events(line: Line) -> None:
    stream = bytes.fromhex(line["stream"])
    assert [event_as_json(event) for event in FrameDecoder().feed(stream)] == line["events"]
    decoder = FrameDecoder()
    singly = [event for at in range(len(stream)) for event in decoder.feed(stream[at : at + 1])]
    assert [event_as_json(event) for event in singly] == line["events"]


def test_every_frame_error_has_a_bad_record() -> None:
    given: set[Any] = {event[1] for line in bad(FRAMES) for event in line["events"] if event[0] == "broken"}
    assert given == FRAME_ERRORS


@pytest.mark.parametrize("line", good(SEGMENTS), ids=name_of)
def test_segments_both_ways(line: Line) -> None:
    body, segments = bytes.fromhex(line["body"]), [bytes.fromhex(part) for part in line["segments"]]
    assert Segmenter().cut(body, line["att_mtu"]) == segments
    reassembler = Reassembler()
    assert [event for part in segments for event in reassembler.feed(part)] == [Joined(body)]
    assert all(len(part) <= line["att_mtu"] - 3 for part in segments)


@pytest.mark.parametrize("line", bad(SEGMENTS, "segments"), ids=name_of)
def test_spoilt_runs_give_exactly_these_events(line: Line) -> None:
    reassembler = Reassembler()
    events = [event for part in line["segments"] for event in reassembler.feed(bytes.fromhex(part))]
    assert [segment_event_as_json(event) for event in events] == line["events"]


@pytest.mark.parametrize("line", bad(SEGMENTS, "att_mtu"), ids=name_of)
def test_an_att_mtu_that_can_not_be_is_refused(line: Line) -> None:
    with pytest.raises(SegmentError) as caught:
        Segmenter().cut(b"body", line["att_mtu"])
    assert (type(caught.value).__name__, caught.value.reason.name) == (line["error"], line["reason"])
