"""The campaign's raw host, for tests: it speaks raw frames to a simulated pen, checks nothing and believes nothing."""

from dermalink_simulator.campaign.raw_host import (
    ANSWER_WITHIN_MS,
    POLL_EVERY_MS,
    RENEW_EVERY_MS,
    M,
    NoAnswerError,
    OtherAnswerError,
    RawHost,
)

__all__ = ["ANSWER_WITHIN_MS", "POLL_EVERY_MS", "RENEW_EVERY_MS", "M", "NoAnswerError", "OtherAnswerError", "RawHost"]
