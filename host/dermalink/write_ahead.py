"""What is written down of a command: before it is sent, and once its outcome is known (SR-UNC-1)."""

from typing import Any

from dermalink.outcome import Verdict
from dermalink.records import Intended, Settled
from dermalink.registry import Redeemed
from dermalink_protocol.codewords import Reason
from dermalink_protocol.version import __version__


def intended_for(redeemed: Redeemed, boot_id: int, *, pen: str, utc_s: int) -> Intended:
    """The record that goes before the command."""
    message, frame = redeemed
    return Intended(
        pen=pen,
        utc_s=utc_s,
        boot_id=boot_id,
        session_id=getattr(message, "session_id", 0),
        command_id=message.command_id,
        opcode=int(message.opcode),
        expires_tick=(message.seen_tick_ms + message.ttl_ms) & 0xFFFF_FFFF,
        zone=int(frame.zone) if frame else 0,
        direction=int(frame.direction) if frame else 0,
        depth_um=frame.depth_um if frame else 0,
        rate_hz=frame.rate_hz if frame else 0,
        speed_mm_s=frame.speed_mm_s if frame else 0,
        tag=frame.tag if frame else "",
        host_version=__version__,
    )


def settled_by(number: int, verdict: Verdict, reason: Reason, reply: Any, *, pen: str, utc_s: int) -> Settled:
    """The record of what came of the command with this journal number; `reply` is None for what has none."""
    digest: bytes = getattr(reply, "history_hash", b"")
    return Settled(
        pen=pen,
        utc_s=utc_s,
        intended=number,
        verdict=verdict.value,
        reason=reason.name,
        session_id=getattr(reply, "session_id", 0),
        frame_id=getattr(reply, "frame_id", 0),
        passes_done=getattr(reply, "passes_done", 0),
        number=getattr(reply, "history_number", 0),
        digest=digest.hex(),
    )
