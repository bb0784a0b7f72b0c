"""What `-v` shows of a message and of a frame."""

from dermalink.cli.tracing import frame_line, message_line
from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.envelope import Envelope, encode_envelope
from dermalink_protocol.messages.identity import StateChanged, StatusFlag
from dermalink_protocol.messages.stop import Stop
from dermalink_protocol.messages.telemetry import Telemetry


def test_a_message_is_shown_with_its_fields_by_name() -> None:
    assert message_line(Envelope(Channel.STOP, 7, Stop())) == "Stop #7"
    flags = StatusFlag.NEEDLES_IN | StatusFlag.MOTOR_OFF
    changed = StateChanged(sequence=3, tick_ms=1000, state=State.IDLE, reason=Reason.NONE, flags=flags)
    said = message_line(Envelope(Channel.STATUS, 0, changed))
    assert said == "StateChanged sequence=3, tick_ms=1000, state=IDLE, reason=NONE, flags=NEEDLES_IN|MOTOR_OFF"
    batch = Telemetry(sequence=1, tick_ms=5, samples=bytes(80))
    assert message_line(Envelope(Channel.TELEMETRY, 0, batch)).endswith("samples=<80 bytes>")


def test_a_frame_is_shown_with_channel_opcode_and_length() -> None:
    assert frame_line(Channel.STOP, encode_envelope(Envelope(Channel.STOP, 7, Stop()))) == "stop STOP 4 bytes"
    assert frame_line(Channel.STATUS, b"\x01") == "status 0x0001 1 bytes"
