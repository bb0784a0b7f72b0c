"""Telemetry: batches of samples, 100 a second while armed, one a second otherwise."""

from typing import Annotated

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode
from dermalink_protocol.limits import TELEMETRY_BATCH
from dermalink_protocol.samples import SAMPLE_BYTES
from dermalink_protocol.schema import Notification
from dermalink_protocol.wire import U16, U32, Tail


class Telemetry(Notification, opcode=Opcode.TELEMETRY, channel=Channel.TELEMETRY, since=1):
    """One to ten samples, 10 ms apart, the first at `tick_ms`; `dermalink_protocol.samples` reads them."""

    sequence: U16
    tick_ms: U32
    samples: Annotated[bytes, Tail(SAMPLE_BYTES, 1, TELEMETRY_BATCH)]
