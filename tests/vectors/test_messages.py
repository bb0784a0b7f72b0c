"""Every message against its golden records: bytes to message, message to bytes, and the exact error for bad bytes."""

import pytest

from dermalink_protocol.channels import Channel
from dermalink_protocol.envelope import Envelope, decode_envelope, encode_envelope
from dermalink_protocol.errors import ProtocolError
from dermalink_protocol.schema import Message
from tests.vectors.golden import Line, bad, built, good, load, name_of

LINES = load("messages.jsonl")
BY_NAME = {cls.__name__: cls for cls in Message.by_opcode.values()}


def without_records(messages: list[str], lines: list[Line]) -> list[str]:
    """Messages that lack a good or a bad record."""
    have_good = {line["message"] for line in good(lines)}
    have_bad = {line["message"] for line in bad(lines)}
    return [name for name in messages if name not in have_good or name not in have_bad]


def test_every_message_has_a_good_and_a_bad_record() -> None:
    assert without_records(list(BY_NAME), LINES) == []


def test_a_message_without_a_record_is_found() -> None:
    only_good = good(LINES)
    assert without_records(list(BY_NAME), only_good) == list(BY_NAME)
    assert without_records([*BY_NAME, "Planted"], LINES) == ["Planted"]


def test_every_record_is_of_a_message_that_exists() -> None:
    assert {line["message"] for line in LINES} - {""} == set(BY_NAME)


@pytest.mark.parametrize("line", good(LINES), ids=name_of)
def test_good_records_both_ways(line: Line) -> None:
    channel, body = Channel[line["channel"]], bytes.fromhex(line["body"])
    message = built(BY_NAME[line["message"]], line["fields"])
    assert isinstance(message, Message)
    assert encode_envelope(Envelope(channel, line["request_id"], message)) == body
    assert decode_envelope(channel, body) == Envelope(channel, line["request_id"], message)
    assert {name: value for name, value in message.as_dict().items() if not isinstance(value, bytes)} == {
        name: value for name, value in line["fields"].items() if not isinstance(value, str)
    }


@pytest.mark.sr("SR-DEPTH-1")
@pytest.mark.parametrize("line", bad(LINES), ids=name_of)
def test_bad_records_get_their_exact_answer(line: Line) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_envelope(Channel[line["channel"]], bytes.fromhex(line["body"]))
    error = caught.value
    assert (type(error).__name__, error.reason.name, error.limit_value) == (
        line["error"],
        line["reason"],
        line["limit"],
    )
