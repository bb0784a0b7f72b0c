"""Records for the sealed channel: handshakes, what each side must refuse, streams of sealed records, windows."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from dermalink_protocol.channels import Channel
from dermalink_protocol.generate.sealing_book import (
    Made,
    chance,
    handshake,
    prologue,
    public,
    record,
    rekeyed,
    sealed,
)

Line = dict[str, Any]
FIELD = 2**255 - 19
LOW_ORDER = {
    "zero": bytes(32),
    "one": (1).to_bytes(32, "little"),
    "of order 8": bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    "another of order 8": bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    "minus one": (FIELD - 1).to_bytes(32, "little"),
}
NOT_CANONICAL = {
    "the field's size": FIELD.to_bytes(32, "little"),
    "the field's size and 1": (FIELD + 1).to_bytes(32, "little"),
    "all ones": b"\xff" * 32,
}
EPOCH = 65_536
LAST = 0xFFFF_FFFF
WINDOW = 64
BINDING = chance("binding")


class Side(NamedTuple):
    """What one side of a handshake holds before the first message."""

    name: str
    own: bytes
    peer: bytes
    ephemeral: bytes
    binding: bytes = BINDING

    def as_json(self) -> Line:
        """As a line has it."""
        return {
            "side": self.name,
            "static_private": self.own.hex(),
            "peer_public": self.peer.hex(),
            "ephemeral_private": self.ephemeral.hex(),
            "binding": self.binding.hex(),
        }


HOST, PEN = chance("host static"), chance("pen static")
HOST_E, PEN_E = chance("host ephemeral"), chance("pen ephemeral")
STRANGER = chance("stranger static")
HELLO = bytes.fromhex("bfae0100010078563412")
REPLY = bytes.fromhex("0f7e0100010003020100") + b"DL-000123".ljust(16, b"\0") + bytes(range(40))
ON_HOST = Side("host", HOST, public(PEN), HOST_E)
ON_PEN = Side("pen", PEN, public(HOST), PEN_E)
MADE = handshake(HOST, HOST_E, PEN, PEN_E, prologue(HELLO, REPLY, BINDING))


def sealing_lines() -> Iterator[Line]:
    """All of it, the handshake first."""
    yield from _handshakes()
    for name, side, hello, reply, message, error, reason in _bad_handshakes():
        said = {"hello": hello.hex(), "hello_reply": reply.hex(), "received": message.hex()}
        yield {"bad": f"{side.name}: {name}", **side.as_json(), **said, "error": error, "reason": reason}
    for counters, name in _windows():
        yield _window(name, counters)
    for stream in (*_sealed(), *_spoilt(), *_orders(), *_epochs()):
        yield stream.as_json()


def _handshakes() -> Iterator[Line]:
    cases = {
        "hello and its reply": (HELLO, REPLY),
        "shortest prologue": (b"h", b"r"),
        "longest prologue": (b"h" * 244, b"r" * 244),
    }
    for name, (hello, reply) in cases.items():
        made = handshake(HOST, HOST_E, PEN, PEN_E, prologue(hello, reply, BINDING))
        yield {
            "good": f"handshake: {name}",
            "host_static_private": HOST.hex(),
            "host_ephemeral_private": HOST_E.hex(),
            "pen_static_private": PEN.hex(),
            "pen_ephemeral_private": PEN_E.hex(),
            "hello": hello.hex(),
            "hello_reply": reply.hex(),
            "binding": BINDING.hex(),
            "prologue": prologue(hello, reply, BINDING).hex(),
            "first": made.first.hex(),
            "second": made.second.hex(),
            "handshake_hash": made.handshake_hash.hex(),
            "host_to_pen_key": made.host_to_pen.hex(),
            "pen_to_host_key": made.pen_to_host.hex(),
        }


BadHandshake = tuple[str, Side, bytes, bytes, bytes, str, str]
REFUSED = "HandshakeRefused", "NOT_AUTHENTICATED"
UNUSABLE = "UnusableKey", "NOT_AUTHENTICATED"
REFLECTED = "ReflectedKey", "NOT_AUTHENTICATED"
LENGTH = "HandshakeLength", "WRONG_LENGTH"


def _bad_handshakes() -> Iterator[BadHandshake]:
    for side, message in ((ON_HOST, MADE.second), (ON_PEN, MADE.first)):
        yield from _bad_keys(side)
        yield from _bad_negotiations(side, message)
        yield from _bad_messages(side, message)


def _bad_keys(side: Side) -> Iterator[BadHandshake]:
    """What a side must refuse before any message: nothing is received."""
    bad_keys = {**LOW_ORDER, **NOT_CANONICAL, "of 31 bytes": side.peer[:31], "of 33 bytes": side.peer + b"\0"}
    for name, key in bad_keys.items():
        yield f"peer's key is {name}", side._replace(peer=key), HELLO, REPLY, b"", *UNUSABLE
    yield "peer's key is one's own", side._replace(peer=public(side.own)), HELLO, REPLY, b"", *REFLECTED
    yield "ephemeral key is one's static key", side._replace(ephemeral=side.own), HELLO, REPLY, b"", *REFLECTED
    for name, key in {"all zeros": bytes(32), "all ones": b"\xff" * 32, "of 31 bytes": bytes(range(31))}.items():
        yield f"own key is {name}", side._replace(own=key), HELLO, REPLY, b"", *UNUSABLE
        yield f"ephemeral key is {name}", side._replace(ephemeral=key), HELLO, REPLY, b"", *UNUSABLE


def _bad_negotiations(side: Side, message: bytes) -> Iterator[BadHandshake]:
    unbound = "UnboundHandshake", "NOT_AUTHENTICATED"
    yield "no hello", side, b"", REPLY, b"", *unbound
    yield "no reply to hello", side, HELLO, b"", b"", *unbound
    yield "a reply of 245 bytes", side, HELLO, bytes(245), b"", *unbound
    altered = {
        "an older version in hello": (HELLO[:4] + b"\0\0" + HELLO[6:], REPLY),
        "another nonce in hello": (HELLO[:-1] + b"\x13", REPLY),
        "an older version in the reply": (HELLO, REPLY[:4] + b"\0\0" + REPLY[6:]),
        "one bit in the reply": (HELLO, REPLY[:-1] + bytes([REPLY[-1] ^ 0x80])),
        "a byte moved from hello to the reply": (HELLO[:-1], HELLO[-1:] + REPLY),
    }
    for name, (hello, reply) in altered.items():
        yield f"saw {name}", side, hello, reply, message, *REFUSED
    for name, binding in {"of 31 bytes": BINDING[:31], "of 33 bytes": BINDING + b"\0", "missing": b""}.items():
        yield f"binding {name}", side._replace(binding=binding), HELLO, REPLY, b"", *unbound
    yield "the binding of another pairing", side._replace(binding=chance("other")), HELLO, REPLY, message, *REFUSED


def _bad_messages(side: Side, message: bytes) -> Iterator[BadHandshake]:
    for name, cut in {
        "nothing": b"",
        "the key alone": message[:32],
        "one byte missing": message[:-1],
        "one byte more": message + b"\0",
    }.items():
        yield f"message: {name}", side, HELLO, REPLY, cut, *LENGTH
    for bit in (0, 100, 254, 256, 383):
        flipped = bytearray(message)
        flipped[bit // 8] ^= 1 << bit % 8
        yield f"message: bit {bit} flipped", side, HELLO, REPLY, bytes(flipped), *REFUSED
    yield "message: no tag", side, HELLO, REPLY, message[:32] + bytes(16), *REFUSED
    for name, key in {**LOW_ORDER, **NOT_CANONICAL}.items():
        yield f"message: its key is {name}", side, HELLO, REPLY, key + message[32:], *UNUSABLE
    for name, key in {"this side's ephemeral": side.ephemeral, "this side's": side.own}.items():
        yield f"message: its key is {name}", side, HELLO, REPLY, public(key) + message[32:], *REFLECTED
    yield "message: its key is the peer's static one", side, HELLO, REPLY, side.peer + message[32:], *REFLECTED
    for name, other in _others().items():
        sent = other.second if side is ON_HOST else other.first
        yield f"message: {name}", side, HELLO, REPLY, sent, *REFUSED


def _others() -> dict[str, Made]:
    """Handshakes that are sound, but not this one."""
    bound = prologue(HELLO, REPLY, BINDING)
    later = chance("another host ephemeral"), chance("another pen ephemeral")
    return {
        "of a stranger for the host": handshake(STRANGER, HOST_E, PEN, PEN_E, bound),
        "of a stranger for the pen": handshake(HOST, HOST_E, STRANGER, PEN_E, bound),
        "of an earlier hello": handshake(
            HOST, later[0], PEN, later[1], prologue(HELLO[:-4] + bytes(4), REPLY, BINDING)
        ),
        "of another boot": handshake(HOST, later[0], PEN, later[1], prologue(HELLO, REPLY[:-40] + bytes(40), BINDING)),
    }


def _windows() -> Iterator[tuple[list[int], str]]:
    yield [0, 0, 1, 1, 0], "from the first counter"
    yield [5, 4, 3, 2, 1, 0, 3], "down to the first counter"
    yield [63, 0, 0], "0 is the oldest under 63"
    yield [64, 0, 1, 1], "0 is too old under 64"
    yield [0, 64, 1, 65, 1, 2], "a jump by 64"
    yield [0, 63, 0, 1, 64, 0, 1, 2], "a jump by 63"
    yield [10, 74, 10, 11, 138, 74, 75], "jumps of one window each"
    yield [100, 1_000, 100, 936, 937, 937], "a jump over many windows"
    yield [0, 2_147_483_648, LAST, LAST, LAST - 63, LAST - 64, 0], "the far end"
    yield [9, 3, 7, 1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 10], "disorder"
    yield [2 * n for n in range(40)] + [79, 77, 16, 15, 14, 13], "every other one, then some between"


def _window(name: str, counters: list[int]) -> Line:
    """By a set of all that was taken, and no bits."""
    taken: set[int] = set()
    verdicts = []
    for counter in counters:
        too_old = bool(taken) and counter <= max(taken) - WINDOW
        verdicts.append("too old" if too_old else "replayed" if counter in taken else "new")
        taken |= {counter} if verdicts[-1] == "new" else set()
    highest = max(taken)
    bits = sum(1 << highest - counter for counter in taken if highest - counter < WINDOW)
    last = {"highest": highest, "taken": f"{bits:016x}"}
    return {"good": f"window: {name}", "counters": counters, "verdicts": verdicts, **last}


class Stream:
    """Records as they arrive at an opener that knows `key` and has followed it for `epochs`; what each comes to."""

    def __init__(self, name: str, *, epochs: int = 0, key: bytes = MADE.host_to_pen) -> None:
        self.name, self.key, self.epochs = name, key, epochs
        self.arrived: list[Line] = []
        self.bad = False

    def raw(self, channel: Channel, data: bytes, error: str, reason: str = "NOT_AUTHENTICATED") -> "Stream":
        """Bytes that must be dropped."""
        self.bad = True
        self.arrived.append({"channel": channel.name, "record": data.hex(), "error": error, "reason": reason})
        return self

    def takes(self, channel: Channel, counter: int, body: bytes = b"body") -> "Stream":
        """A record that must open."""
        data = self.made(channel, counter, body)
        self.arrived.append({"channel": channel.name, "record": data.hex(), "counter": counter, "body": body.hex()})
        return self

    def drops(self, channel: Channel, counter: int, error: str) -> "Stream":
        """A sound record that must not be taken now."""
        return self.raw(channel, self.made(channel, counter, b"body"), error)

    def made(self, channel: Channel, counter: int, body: bytes) -> bytes:
        """The record as the sender makes it."""
        return record(rekeyed(self.key, counter // EPOCH), channel, counter, body)

    def as_json(self) -> Line:
        """The line: `key` is that of epoch 0."""
        name = f"records: {self.name}"
        return {
            "bad" if self.bad else "good": name,
            "key": self.key.hex(),
            "epochs": self.epochs,
            "arrive": self.arrived,
        }


C, T, R = Channel.COMMAND, Channel.TELEMETRY, Channel.RECORDS


def _sealed() -> Iterator[Stream]:
    bodies = {"empty": b"", "one byte": b"\0", "counting": bytes(range(100)), "longest": b"\xff" * 216}
    for name, body in bodies.items():
        yield Stream(name).takes(C, 0, body)
    every = Stream("every channel")
    for counter, channel in enumerate(Channel):
        every.takes(channel, counter)
    yield every
    yield Stream("the other direction", key=MADE.pen_to_host).takes(T, 0).takes(T, 1)


def _spoilt() -> Iterator[Stream]:
    """Each is dropped, and the sound record after it is taken as if nothing had come."""
    key = MADE.host_to_pen
    good = record(key, C, 0, b"body")
    earlier = handshake(HOST, chance("another host ephemeral"), PEN, PEN_E, prologue(HELLO, REPLY, BINDING))
    forged = {
        "bit 0 of the counter": bytes([good[0] ^ 1]) + good[1:],
        "a bit of the body": good[:4] + bytes([good[4] ^ 0x10]) + good[5:],
        "the last bit of the tag": good[:-1] + bytes([good[-1] ^ 0x80]),
        "tag of zeros": good[:-16] + bytes(16),
        "no body any more": good[:4] + good[-16:],
        "one byte cut off": good[:-1],
        "one byte more": good + b"\0",
        "of another channel": record(key, T, 0, b"body"),
        "of no channel": good[:4] + sealed(key, 0, b"", b"body"),
        "of the other direction": record(MADE.pen_to_host, C, 0, b"body"),
        "of another connection": record(earlier.host_to_pen, C, 0, b"body"),
        "under the key of the next epoch": record(rekeyed(key), C, 0, b"body"),
        "nonce big-endian": bytes.fromhex("01000000") + sealed(key, 0x0100_0000, bytes([C]), b"body"),
    }
    for name, data in forged.items():
        yield Stream(name).raw(C, data, "RecordForged").takes(C, 0)
    short, long = ("RecordTooShort", "WRONG_LENGTH"), ("RecordTooLong", "TOO_LONG")
    yield Stream("nothing").raw(C, b"", *short).takes(C, 0)
    yield Stream("19 bytes").raw(C, good[:19], *short).takes(C, 0)
    yield Stream("245 bytes").raw(C, record(key, C, 0, bytes(225)), *long).takes(C, 0)


def _orders() -> Iterator[Stream]:
    yield Stream("one lost").takes(C, 0).takes(C, 2)
    yield Stream("one late").takes(C, 0).takes(C, 2).takes(C, 1)
    yield Stream("one twice").takes(C, 0).drops(C, 0, "RecordReplayed").takes(C, 1)
    yield Stream("64 behind").takes(C, 64).drops(C, 0, "RecordTooOld").takes(C, 1)
    yield Stream("a channel far behind another").takes(C, 0).takes(T, 1_000).takes(C, 1).takes(T, 999)
    yield (
        Stream("the same on another channel")
        .takes(C, 7)
        .raw(T, record(MADE.host_to_pen, C, 7, b"body"), "RecordForged")
    )
    forged = record(MADE.pen_to_host, C, 9_000, b"body")
    yield Stream("a forged counter moves no window").takes(C, 5).raw(C, forged, "RecordForged").takes(C, 4)


def _epochs() -> Iterator[Stream]:
    edge = EPOCH - 1
    yield Stream("over the edge").takes(C, edge - 1).takes(C, edge).takes(C, EPOCH).takes(C, EPOCH + 1)
    yield Stream("the edge is lost").takes(C, edge - 1).takes(C, EPOCH + 1)
    yield Stream("swapped over the edge").takes(C, EPOCH).takes(C, edge).drops(C, edge, "RecordReplayed")
    last = EPOCH + WINDOW - 1
    yield Stream("the old key, as long as it is kept").takes(T, last).takes(C, edge).takes(R, edge - 1)
    gone = Stream("the old key is gone").takes(C, edge - 9).takes(T, last + 1)
    yield gone.drops(C, edge, "RecordTooOld").drops(R, edge - 1, "RecordTooOld").takes(C, last)
    yield (
        Stream("a whole epoch lost")
        .takes(C, 0)
        .drops(C, 2 * EPOCH, "RecordTooFarAhead")
        .takes(C, EPOCH)
        .takes(C, 2 * EPOCH)
    )
    old_key = record(MADE.host_to_pen, C, EPOCH, b"body")
    yield Stream("the old key for a new counter").takes(C, edge).raw(C, old_key, "RecordForged").takes(C, EPOCH)
    yield (
        Stream("nothing but noise ahead").raw(C, record(MADE.pen_to_host, C, EPOCH, b""), "RecordForged").takes(C, edge)
    )
    yield Stream("the farthest counter").drops(C, LAST, "RecordTooFarAhead").takes(C, 0)
    end = Stream("the end", epochs=EPOCH - 1).takes(C, LAST - 1).takes(C, LAST).drops(C, LAST, "RecordReplayed")
    yield end.drops(C, 0, "RecordTooOld")
