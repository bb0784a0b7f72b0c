"""Somebody on the owner's line who drops, doubles, holds back, alters and plays back what goes over it, and adds to it.

What the pen did is told by the trace of its core: every command that was applied is one that the owner said, once.
"""

import struct
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Final

import pytest

from dermalink_protocol.limits import IN_WITHIN_MS, LEASE_DEFAULT_MS, ZONE_RULES
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.seam import PortKind
from tests.support import raw_pen as raw
from tests.support.raw_pen import Got
from tests.support.sealed_client import SealedClient, inside, owned_pen

SEEDS: Final = range(8)
STEPS: Final = 150
IDS_OF_HIS: Final = 500
REPLY_MS: Final = 100
ZONES: Final = (Zone.NOSE, Zone.CHIN, Zone.FOREHEAD)
CAP_UM: Final = int(min(ZONE_RULES[zone].cap_um for zone in ZONES))
SAID: Final = {
    raw.OPEN: "OPEN_SESSION",
    raw.PREPARE: "PREPARE",
    raw.BEGIN: "BEGIN_PASS",
    raw.RESUME: "RESUME_PASS",
    raw.RENEW: "RENEW_LEASE",
    raw.PAUSE: "PAUSE_PASS",
    raw.END: "END_PASS",
}


class Middle(SealedClient):
    """The owner, with somebody on his line; `rough` is how often that one does something, of 1."""

    rough = 0.0
    random = Random(0)
    tag = b""
    state = raw.OPEN_STATE

    def __post_init__(self) -> None:
        super().__post_init__()
        self.said: Counter[str] = Counter()
        self.heard: list[tuple[int, bytes]] = []
        self.held: list[tuple[int, bytes]] = []

    def send(self, channel: int, opcode: int, payload: bytes = b"") -> int:
        self.said[SAID.get(opcode, "")] += 1
        return super().send(channel, opcode, payload)

    def put(self, channel: int, body: bytes, *, thrown: bool = False) -> None:
        if self.random.random() >= self.rough:
            super().put(channel, body, thrown=True)
            return
        self.heard.append((channel, body))
        for each_channel, each in self.random.choice([self.drop, self.double, self.hold, self.alter, self.play_back])(
            channel, body
        ):
            super().put(each_channel, each, thrown=True)

    def drop(self, _channel: int, _body: bytes) -> list[tuple[int, bytes]]:
        return []

    def double(self, channel: int, body: bytes) -> list[tuple[int, bytes]]:
        return [(channel, body)] * self.random.choice((2, 3))

    def hold(self, channel: int, body: bytes) -> list[tuple[int, bytes]]:
        self.held.append((channel, body))
        if len(self.held) < 3:
            return []
        let_go, self.held = self.held, []
        self.random.shuffle(let_go)
        return let_go

    def alter(self, channel: int, body: bytes) -> list[tuple[int, bytes]]:
        changed = bytearray(body)
        changed[self.random.randrange(4, len(body))] ^= 1 << self.random.randrange(8)
        return [(channel, bytes(changed))] if channel != raw.ON_STOP else []

    def play_back(self, channel: int, body: bytes) -> list[tuple[int, bytes]]:
        return [(channel, body), *self.random.choices(self.heard, k=5), (raw.ON_COMMAND, self.of_his_own())]

    def of_his_own(self) -> bytes:
        """A command in the clear that would be granted, if it were the owner's."""
        header = struct.pack("<IHI", self.command_id + IDS_OF_HIS, 500, self.seen_tick)
        about = struct.pack("<I", self.session_id)
        zone, direction = self.random.choice(ZONES), self.random.choice(list(Direction))
        frame = struct.pack("<BBHBB8s", zone, direction, CAP_UM, 100, 40, self.tag)
        opcode, fields = self.random.choice(
            [
                (raw.PREPARE, header + about + frame),
                (raw.BEGIN, header + about + struct.pack("<H", self.random.randrange(9))),
                (raw.RESUME, header + about),
                (raw.RENEW, about + struct.pack("<I", self.seen_tick)),
                (raw.END, about),
            ]
        )
        return struct.pack("<HH", opcode, 9) + fields

    def try_to(self, channel: int, opcode: int, payload: bytes) -> Got | None:
        """Ask once; None if no answer comes."""
        request_id = self.send(channel, opcode, payload)
        for _ in range(REPLY_MS // 5):
            self.pump()
            if request_id in self._replies:
                return self._replies.pop(request_id)
            self.pen.advance(5)
        return None


def header(it: Middle) -> bytes:
    command_id, it.command_id = it.command_id, it.command_id + 1
    return struct.pack("<IHI", command_id, 500, it.seen_tick)


def ask_for_a_pass(it: Middle) -> None:
    zone, direction = it.random.choice(ZONES), it.random.choice(list(Direction))
    fields = struct.pack("<IBBHBB8s", it.session_id, zone, direction, CAP_UM, 100, 40, it.tag)
    prepared = it.try_to(raw.ON_COMMAND, raw.PREPARE, header(it) + fields)
    if prepared is None or prepared.opcode != raw.PREPARED:
        return
    frame_id = struct.unpack_from("<H", prepared.payload, 10)[0]
    it.try_to(raw.ON_COMMAND, raw.BEGIN, header(it) + struct.pack("<IH", it.session_id, frame_id))
    renew(it)
    it.pen.button.press()
    it.pen.hand.sweep(zone, direction, speed_mm_s=40)


def renew(it: Middle) -> None:
    status = it.try_to(raw.ON_STATUS, raw.GET_STATUS, b"")
    if status is not None:
        it.state = struct.unpack_from("<H", status.payload, 4)[0]
    it.try_to(raw.ON_COMMAND, raw.RENEW, struct.pack("<II", it.session_id, it.seen_tick))


def pause(it: Middle) -> None:
    it.try_to(raw.ON_COMMAND, raw.PAUSE, struct.pack("<I", it.session_id))


def resume(it: Middle) -> None:
    it.try_to(raw.ON_COMMAND, raw.RESUME, header(it) + struct.pack("<I", it.session_id))
    renew(it)
    it.pen.button.press()


def end(it: Middle) -> None:
    it.try_to(raw.ON_COMMAND, raw.END, struct.pack("<I", it.session_id))


ACTS: Final[dict[int, tuple[Callable[[Middle], None], ...]]] = {
    raw.OPEN_STATE: (ask_for_a_pass,),
    raw.PREPARED_STATE: (end,),
    raw.PAUSED_STATE: (resume, resume, end),
    raw.RUNNING: (*[renew] * 20, pause),
}


def evening(seed: int, kind: PortKind) -> tuple[Middle, list[str]]:
    """An owner's evening with somebody on the line; and what the core was told in it."""
    lines: list[str] = []
    pen = owned_pen(seed=seed, trace=lines.append)
    it = Middle(pen, kind)
    it.random = Random(seed)
    it.connect()
    it.open()
    it.tag = it.tag_id()
    it.rough = it.random.choice((0.03, 0.1, 0.3))
    for _ in range(STEPS):
        renew(it)
        it.random.choice(ACTS.get(it.state, (renew,)))(it)
        assert inside(pen).state.owner in (0, it.port.number + 1)
    return it, lines


@pytest.mark.sr("SR-SEC-1", "SR-CMD-1", "SR-STOP-1", side="pen")
@pytest.mark.parametrize("kind", list(PortKind))
def test_whatever_is_done_on_the_line_only_the_owners_words_are_obeyed_each_once(kind: PortKind) -> None:
    strokes = dropped = 0
    for seed in SEEDS:
        it, lines = evening(seed, kind)
        applied: Counter[str] = Counter()
        ids: Counter[str] = Counter()
        for line in lines:
            _, name, fields, verdict, *_ = line.split()
            if verdict == "APPLIED" and name in SAID.values():
                assert "authenticated=1" in fields, line
                applied[name] += 1
                ids.update(each for each in fields.split(",") if each.startswith("command_id="))
        assert applied <= it.said, seed
        assert max(ids.values()) == 1, seed
        assert ids.keys() <= {f"command_id={number}" for number in range(1, it.command_id)}, seed
        assert it.pen.skin.protruded_um <= CAP_UM
        strokes += it.pen.skin.strokes
        dropped += it.inside.dropped
        waited = 0
        while it.pen.needles_out:
            for channel, body in it.heard[-20:]:
                it.put(channel, body)
            it.pen.advance(1)
            waited += 1
            assert waited <= LEASE_DEFAULT_MS + IN_WITHIN_MS + 10, seed

    assert strokes > 500
    assert dropped > 100
