"""Segments over BLE: every message through every ATT_MTU; lost, doubled and swapped ones cost only their messages."""

import random

from hypothesis import given
from hypothesis import strategies as st

from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import MESSAGE_BYTES_MAX
from dermalink_protocol.segmentation import (
    ATT_MTU_MAX,
    ATT_MTU_MIN,
    BadSegment,
    Joined,
    Reassembler,
    Segmenter,
    segment_bytes,
)

bodies = st.binary(max_size=MESSAGE_BYTES_MAX)
att_mtus = st.integers(ATT_MTU_MIN, ATT_MTU_MAX)


@given(st.lists(st.tuples(bodies, att_mtus), max_size=30))
def test_messages_come_back_whole_at_any_att_mtu(sent: list[tuple[bytes, int]]) -> None:
    segmenter, reassembler = Segmenter(), Reassembler()
    events = []
    for body, att_mtu in sent:
        for segment in segmenter.cut(body, att_mtu):
            assert len(segment) <= min(att_mtu - 3, 512)
            events += reassembler.feed(segment)
    assert events == [Joined(body) for body, _ in sent]


def test_the_longest_message_goes_through_every_att_mtu() -> None:
    body = random.Random(1).randbytes(MESSAGE_BYTES_MAX)
    for att_mtu in range(ATT_MTU_MIN, ATT_MTU_MAX + 1):
        segments = Segmenter().cut(body, att_mtu)
        assert len(segments) == -(-len(body) // segment_bytes(att_mtu))
        reassembler = Reassembler()
        assert [event for segment in segments for event in reassembler.feed(segment)] == [Joined(body)]


def test_a_segment_is_a_value_less_its_header() -> None:
    assert [segment_bytes(att_mtu) for att_mtu in (23, 247, 515, 516, 517)] == [19, 243, 511, 511, 511]


@given(st.lists(st.binary(max_size=520), max_size=40))
def test_any_segments_give_messages_or_typed_errors(segments: list[bytes]) -> None:
    reassembler = Reassembler()
    for segment in segments:
        for event in reassembler.feed(segment):
            if isinstance(event, Joined):
                assert len(event.body) <= MESSAGE_BYTES_MAX
            else:
                assert event.error.reason in Reason
                assert event.raw == segment


@given(st.lists(bodies, min_size=2, max_size=8), st.data())
def test_a_lost_segment_costs_its_own_message_only_and_is_seen(sent: list[bytes], data: st.DataObject) -> None:
    segmenter, reassembler = Segmenter(), Reassembler()
    numbered = [(index, part) for index, body in enumerate(sent) for part in segmenter.cut(body, 23)]
    lost = data.draw(st.integers(0, len(numbered) - 2))
    hit = numbered.pop(lost)[0]
    events = [event for _, part in numbered for event in reassembler.feed(part)]
    joined = [event.body for event in events if isinstance(event, Joined)]
    assert joined == sent[:hit] + sent[hit + 1 :]
    first_of_all = lost == 0 and numbered[0][0] != hit  # a whole message before the first can't be missed
    assert first_of_all or any(isinstance(event, BadSegment) for event in events)


@given(st.lists(bodies, min_size=1, max_size=6), st.data())
def test_doubled_segments_cost_nothing_and_are_seen(sent: list[bytes], data: st.DataObject) -> None:
    segmenter, reassembler = Segmenter(), Reassembler()
    parts = [part for body in sent for part in segmenter.cut(body, 23)]
    doubled = data.draw(st.sets(st.integers(0, len(parts) - 1)))
    events = []
    for index, part in enumerate(parts):
        events += reassembler.feed(part)
        events += reassembler.feed(part) if index in doubled else []
    assert [event.body for event in events if isinstance(event, Joined)] == sent
    assert sum(isinstance(event, BadSegment) for event in events) == len(doubled)
