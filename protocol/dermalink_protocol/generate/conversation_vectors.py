"""Records of one whole conversation: a pairing from hello to the last word, then a connection to its first records.

The bytes are made as in the books of pairing and sealing, apart from what they test.
"""

import struct
from collections.abc import Iterator
from typing import Any, Final

from dermalink_protocol.channels import Channel
from dermalink_protocol.generate.examples import pack
from dermalink_protocol.generate.pairing_by_the_book import Names, derived, hkdf, joined, number, run
from dermalink_protocol.generate.pairing_vectors import DIGITS, HOST_ID, SALT, SERIAL_NUMBER, context_of, drawn, seal
from dermalink_protocol.generate.sealing_book import chance, handshake, prologue, public, record
from dermalink_protocol.messages import identity, owner
from dermalink_protocol.messages.sealed import Sealed
from dermalink_protocol.schema import Message

Line = dict[str, Any]
ITERATIONS: Final = 1_000
VERSION: Final = 1
TTL_MS: Final = 500
HELLO_REPLY: Final[dict[str, int | bytes]] = {
    "protocol_version": VERSION,
    "firmware_version": 0x0001_0000,
    "serial_number": SERIAL_NUMBER.encode().ljust(16, b"\0"),
    "boot_id": 0xB0071D01,
    "capabilities": 0,
    "suite": 1,
    "calibration_id": 1,
    "depth_cap_um": 500,
    "depth_min_um": 200,
    "depth_step_um": 10,
    "drive_tolerance_um": 30,
    "sensor_accuracy_um": 20,
    "rate_min_hz": 50,
    "rate_max_hz": 150,
    "needles_max": 16,
    "passes_per_zone": 3,
    "budget_per_cm2": 1_000,
    "density_max_per_cm2": 650,
    "lease_max_ms": 1_000,
    "ttl_max_ms": 500,
    "press_within_ms": 10_000,
    "session_max_s": 7_200,
    "interval_s": 1_209_600,
    "tick_ms": 12_345,
}


def conversation_lines() -> Iterator[Line]:
    """The secrets of both sides first, then each message in its turn."""
    host, pen = chance("conversation: host static"), chance("conversation: pen static")
    host_e, pen_e = chance("conversation: host ephemeral"), chance("conversation: pen ephemeral")
    x, y = drawn("conversation: x"), drawn("conversation: y")
    _, w0, w1 = derived(DIGITS, SERIAL_NUMBER, SALT, ITERATIONS)
    hello, reply = _hello(1, 0x5EED0001), _hello_reply(1, 12_345)
    told = struct.pack("<I", ITERATIONS) + SALT
    context = context_of(VERSION, joined(hello, reply, told))
    made = run(Names(context, HOST_ID, SERIAL_NUMBER.encode()), w0, w1, x, y)
    to_pen, to_host = seal(made.shared, "host", public(host), b""), seal(made.shared, "pen", public(pen), public(host))
    binding = hkdf(made.shared, b"dermalink pairing 1 binding" + public(host) + public(pen))
    yield {
        "good": "0: what each side has",
        "digits": DIGITS,
        "serial_number": SERIAL_NUMBER,
        "host_id": HOST_ID.hex(),
        "x": number(x).hex(),
        "y": number(y).hex(),
        "host_static_private": host.hex(),
        "pen_static_private": pen.hex(),
        "host_ephemeral_private": host_e.hex(),
        "pen_ephemeral_private": pen_e.hex(),
        "shared": made.shared.hex(),
        "binding": binding.hex(),
    }
    yield _line("1: hello", "host", Channel.STATUS, hello)
    yield _line("2: who the pen is", "pen", Channel.STATUS, reply)
    pairing = [
        ("host", _body(owner.GetOwner, 2)),
        ("pen", _body(owner.Owner, 2, owned=0, window_s=60, barred_s=0)),
        ("host", _step(3, 1, 1, b"")),
        ("pen", _body(owner.PairReply, 3, step=1, share=told)),
        ("host", _step(4, 2, 2, HOST_ID + made.share_p)),
        ("pen", _body(owner.PairReply, 4, step=2, share=made.share_v + made.confirm_v)),
        ("host", _step(5, 3, 3, made.confirm_p + to_pen)),
        ("pen", _body(owner.PairReply, 5, step=3, share=to_host)),
    ]
    for place, (side, body) in enumerate(pairing, start=3):
        yield _line(f"{place}: pairing", side, Channel.PAIRING, body)
    yield from _connection(host, host_e, pen, pen_e, binding)


def _connection(host: bytes, host_e: bytes, pen: bytes, pen_e: bytes, binding: bytes) -> Iterator[Line]:
    hello, reply = _hello(1, 0x5EED0002), _hello_reply(1, 23_456)
    made = handshake(host, host_e, pen, pen_e, prologue(hello, reply, binding))
    yield _line("11: hello of the next connection", "host", Channel.STATUS, hello)
    yield _line("12: who the pen is", "pen", Channel.STATUS, reply)
    yield _line("13: handshake", "host", Channel.PAIRING, _body(owner.OpenChannel, 2, message=made.first))
    yield _line("14: handshake", "pen", Channel.PAIRING, _body(owner.ChannelOpened, 2, message=made.second))
    asked = _body(identity.GetStatus, 3)
    told = _body(owner.Owner, 4, owned=1, window_s=0, barred_s=0)
    for place, side, channel, key, counter, inner in (
        (15, "host", Channel.STATUS, made.host_to_pen, 0, asked),
        (16, "host", Channel.PAIRING, made.host_to_pen, 1, _body(owner.GetOwner, 4)),
        (17, "pen", Channel.PAIRING, made.pen_to_host, 0, told),
    ):
        body = _body(Sealed, 0, record=record(key, channel, counter, inner))
        yield {**_line(f"{place}: a record", side, channel, body), "counter": counter, "inner": inner.hex()}


def _hello(request_id: int, nonce: int) -> bytes:
    return _body(identity.Hello, request_id, protocol_version=VERSION, host_nonce=nonce)


def _hello_reply(request_id: int, tick_ms: int) -> bytes:
    return _body(identity.HelloReply, request_id, **(HELLO_REPLY | {"tick_ms": tick_ms}))


def _step(request_id: int, command_id: int, step: int, share: bytes) -> bytes:
    header = {"command_id": command_id, "ttl_ms": TTL_MS, "seen_tick_ms": 12_345}
    return _body(owner.PairStep, request_id, **header, step=step, share=share)


def _body(kind: type[Message], request_id: int, **values: int | bytes) -> bytes:
    return struct.pack("<HH", kind.opcode, request_id) + pack(kind, values)


def _line(name: str, side: str, channel: Channel, body: bytes) -> Line:
    return {"good": name, "from": side, "channel": int(channel), "body": body.hex()}
