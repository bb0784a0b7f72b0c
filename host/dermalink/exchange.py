"""One request under way, from its id to its reply."""

import asyncio
from typing import Final, Generic, cast

from dermalink_protocol.channels import Channel
from dermalink_protocol.envelope import Envelope, encode_envelope
from dermalink_protocol.schema import R, Request


class Exchange(Generic[R]):
    """One request under way; `sent` is True from the moment when the link may have taken any of it."""

    __slots__ = ("asked_at_tick", "body", "deadline_s", "future", "request", "request_id", "sent", "sent_s",
                 "within_s")  # fmt: skip

    def __init__(self, request: Request[R], request_id: int, future: "asyncio.Future[R]", tick: int | None) -> None:
        self.request: Final = request
        self.request_id: Final = request_id
        self.future: Final = future
        self.asked_at_tick: Final = tick
        self.body: Final = encode_envelope(Envelope(cast(Channel, request.channel), request_id, request))
        self.sent = False
        self.sent_s = 0.0
        self.deadline_s: float | None = None
        self.within_s = 0.0
