"""What a type checker makes of the contract; mypy reads this file, and says so when an answer changes."""

from typing import TYPE_CHECKING, assert_type

from dermalink_protocol.messages.identity import GetStatus, HelloReply, Status, StatusFlag
from dermalink_protocol.messages.therapy import BeginPass, PassBegun, Prepare, Prepared
from dermalink_protocol.schema import R, Request
from dermalink_protocol.zones import Direction, Zone


def request(asked: Request[R]) -> R:
    """As every client is typed: the request's class names the reply's."""
    raise NotImplementedError


if TYPE_CHECKING:

    def replies_are_typed_exactly() -> None:
        assert_type(request(GetStatus()), Status)
        begin = BeginPass(command_id=1, ttl_ms=500, seen_tick_ms=0, session_id=1, frame_id=1)
        assert_type(request(begin), PassBegun)
        assert_type(request(begin).press_within_ms, int)
        assert_type(request(GetStatus()).flags, StatusFlag)
        assert_type(GetStatus.decode(b""), GetStatus)

    def constructors_are_typed() -> None:
        prepare = Prepare(
            command_id=1,
            ttl_ms=500,
            seen_tick_ms=0,
            session_id=1,
            zone=Zone.NOSE,
            direction=Direction.VERTICAL,
            depth_um=250,
            rate_hz=60,
            speed_mm_s=20,
            tag_id=bytes(8),
        )
        assert_type(request(prepare), Prepared)
        prepare.depth_um = 300  # type: ignore[misc]
        BeginPass(command_id=1, ttl_ms=500, seen_tick_ms=0, session_id=1)  # type: ignore[call-arg]
        BeginPass(1, 500, 0, 1, 1)  # type: ignore[call-arg]
        BeginPass(command_id=1, ttl_ms=0.5, seen_tick_ms=0, session_id=1, frame_id=1)  # type: ignore[arg-type]
        request(HelloReply)  # type: ignore[arg-type]


def test_the_reply_a_request_names_is_the_one_that_it_carries() -> None:
    assert GetStatus.reply is Status
    assert BeginPass.reply is PassBegun
    assert Prepare.reply is Prepared
