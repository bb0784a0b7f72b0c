"""Sealed sessions, and everything that somebody on the line can do to their records; by the skin's own account."""

import struct
from typing import Final

import pytest

from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import IN_WITHIN_MS, LEASE_DEFAULT_MS
from dermalink_protocol.sealing.records import BODY_BYTES_MAX
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.seam import PortKind
from tests.support import raw_pen as raw
from tests.support.raw_pen import RawClient, frame
from tests.support.sealed_client import SEALED, SealedClient, inside, owned_pen, owner_of

WAYS: Final = [
    pytest.param(PortKind.STREAM, 247, id="stream"),
    *(pytest.param(PortKind.GATT, mtu, id=f"gatt-{mtu}") for mtu in (23, 185, 247, 517)),
]
GUARD_MS: Final = 5
LAPSED_MS: Final = LEASE_DEFAULT_MS + IN_WITHIN_MS + GUARD_MS


def running(kind: PortKind = PortKind.STREAM, att_mtu: int = 247) -> SealedClient:
    """The owner in a pass, with the needles out."""
    owner = owner_of(owned_pen(), kind, att_mtu)
    assert owner.open().opcode == raw.OPENED
    owner.run_pass()
    assert owner.pen.needles_out
    return owner


def in_after_ms(pen: SimulatedPen, most_ms: int = 3_000) -> int:
    """How long until the needles are in."""
    for waited in range(most_ms):
        if not pen.needles_out:
            return waited
        pen.advance(1)
    raise AssertionError("the needles are still out")


def renewal(owner: SealedClient) -> bytes:
    """A sealed renewal with the newest tick that the owner has seen, as the body that carries it."""
    _, body = owner.body(raw.RENEW, struct.pack("<II", owner.session_id, owner.seen_tick))
    return owner.sealed(raw.ON_COMMAND, body)


@pytest.mark.sr("SR-SEC-1", side="pen")
@pytest.mark.parametrize(("kind", "att_mtu"), WAYS)
def test_the_owner_makes_a_whole_pass_under_seal(kind: PortKind, att_mtu: int) -> None:
    owner = running(kind, att_mtu)
    for _ in range(200):
        owner.live(100)
        if owner.status()["left"] == 0:
            break
    assert owner.ask(raw.ON_COMMAND, raw.END, struct.pack("<I", owner.session_id)).opcode == raw.ENDED
    owner.live(500)
    fields = struct.pack("<II32s", owner.session_id, 0, raw.NO_HASH)
    assert owner.ask(raw.ON_COMMAND, raw.CLOSE, fields).opcode == raw.CLOSED
    assert owner.pen.skin.punctures
    assert [got.opcode for got in owner.in_clear] == [raw.HELLO_REPLY, 0xFED9]
    assert owner.inside.dropped == owner.inside.lost == 0


# Records that are not the owner's, now, on this channel


@pytest.mark.sr("SR-SEC-1", "SR-STOP-1", side="pen")
def test_renewals_that_are_played_back_buy_nothing() -> None:
    owner = running()
    owner.live(300)
    owner.renew()
    recorded = b"".join(owner.sent[2:])  # a hello would end the pass by itself
    waited = 0
    while owner.pen.needles_out and waited <= LAPSED_MS:
        owner.port.write(recorded)
        owner.pen.advance(1)
        waited += 1
    assert not owner.pen.needles_out
    assert waited >= LEASE_DEFAULT_MS - 100
    assert owner.inside.dropped


@pytest.mark.sr("SR-SEC-1", "SR-STOP-1", side="pen", twin=True)
def test_fresh_renewals_do_buy_time() -> None:
    owner = running()
    for _ in range(LAPSED_MS):
        owner.put(raw.ON_COMMAND, renewal(owner))
        owner.pen.advance(1)
        owner.pump()
    assert owner.pen.needles_out


@pytest.mark.sr("SR-SEC-1", side="pen")
@pytest.mark.parametrize(("kind", "att_mtu"), WAYS[:2])
def test_no_flipped_bit_and_no_cut_of_a_record_is_taken(kind: PortKind, att_mtu: int) -> None:
    owner = owner_of(owned_pen(), kind, att_mtu)
    owner.open()
    _, body = owner.body(raw.CLOSE, struct.pack("<II32s", owner.session_id, 0, raw.NO_HASH))
    good = owner.sealed(raw.ON_COMMAND, body)
    bad = [good[:4] + changed for changed in every_change(good[4:])]
    for each in bad:
        owner.put(raw.ON_COMMAND, each)
    owner.pump()
    assert owner.inside.dropped == len(bad)
    assert owner.status()["state"] == raw.OPEN_STATE
    owner.put(raw.ON_COMMAND, good)
    owner.pen.advance(100)
    assert owner.status()["state"] == raw.IDLE


def every_change(record: bytes) -> list[bytes]:
    """A record with each bit flipped, cut at each length, and with something before or behind it."""
    flips = []
    for bit in range(8 * len(record)):
        changed = bytearray(record)
        changed[bit // 8] ^= 1 << bit % 8
        flips.append(bytes(changed))
    return [*flips, *(record[:size] for size in range(len(record))), b"\0" + record, record + b"\0", record * 2]


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_a_record_is_of_its_channel_and_nothing_stands_outside_it() -> None:
    owner = owner_of(owned_pen())
    _, body = owner.body(raw.GET_STATUS)
    good = owner.sealed(raw.ON_STATUS, body)
    others = [channel for channel in range(1, 6) if channel != raw.ON_STATUS]
    for channel in others:
        owner.put(channel, good)
    owner.put(raw.ON_STATUS, struct.pack("<HH", SEALED, 9) + good[4:])
    owner.pump()
    assert owner.inside.dropped == len(others) + 1
    heard = len(owner.opened)
    owner.put(raw.ON_STATUS, good)
    owner.pump()
    assert len(owner.opened) == heard + 1


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_what_the_pen_sealed_is_nothing_that_it_takes() -> None:
    owner = owner_of(owned_pen())
    read, heard = owner.port.read, []

    def kept() -> bytes:
        heard.append(read())
        return heard[-1]

    owner.port.read = kept  # type: ignore[method-assign]
    owner.open()
    owner.status()
    before = len(owner.opened)
    for each in heard:
        owner.port.write(each)
    owner.pump()
    assert owner.inside.dropped > 1
    assert len(owner.opened) == before


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_records_change_places_within_the_window() -> None:
    owner = owner_of(owned_pen())
    asked = [owner.body(raw.GET_STATUS) for _ in range(70)]
    sealed = [owner.sealed(raw.ON_STATUS, body) for _, body in asked]
    for each in reversed(sealed):
        owner.put(raw.ON_STATUS, each)
        owner.pump()
    assert owner.inside.dropped == 70 - 64
    assert all(owner.reply(request_id).opcode == raw.STATUS for request_id, _ in asked[6:])


@pytest.mark.sr("SR-SEC-1", "SR-CMD-1", side="pen")
def test_a_whole_session_replayed_moves_nothing_on_no_port() -> None:
    owner = running()
    owner.ask(raw.ON_STOP, raw.STOP)
    owner.live(500)
    recorded, pen = list(owner.sent), owner.pen
    punctures = pen.skin.punctures
    other = RawClient(pen)
    for way in (other, owner):
        for data in recorded:
            way.port.write(data)
        pen.button.press()
        pen.advance(1_000)
    owner.port.close()
    again = RawClient(pen)
    assert again.port.number == owner.port.number
    for data in recorded:
        again.port.write(data)
    pen.button.press()
    pen.advance(1_000)
    assert pen.skin.punctures == punctures
    assert not pen.motor_turns
    assert not inside(pen).ports[again.port.number].seal.proven


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_records_of_another_connection_or_another_pen_are_dropped() -> None:
    pen = owned_pen()
    one, two, elsewhere = owner_of(pen), owner_of(pen, PortKind.GATT), owner_of(owned_pen(seed=1))
    for mine, theirs in ((one, two), (two, one), (one, elsewhere)):
        _, body = theirs.body(raw.GET_STATUS)
        heard, dropped = len(mine.opened), mine.inside.dropped
        mine.put(raw.ON_STATUS, theirs.sealed(raw.ON_STATUS, body))
        mine.pump()
        assert (len(mine.opened), mine.inside.dropped) == (heard, dropped + 1)
        mine.status()


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_a_new_hello_ends_the_channel_and_the_session() -> None:
    owner = running()
    old = owner.session
    owner.hello()
    assert in_after_ms(owner.pen) <= IN_WITHIN_MS
    owner.session = old
    _, body = owner.body(raw.GET_STATUS)
    owner.put(raw.ON_STATUS, owner.sealed(raw.ON_STATUS, body))
    assert owner.inside.dropped == 1
    owner.session = None
    assert owner.renew().reason == Reason.NOT_AUTHENTICATED
    assert inside(owner.pen).state.owner == 0


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_what_was_to_be_sealed_is_lost_with_its_channel_and_never_said_in_the_clear() -> None:
    owner = owner_of(owned_pen(), PortKind.GATT, 23)
    for _ in range(5):
        owner.send(raw.ON_STATUS, raw.GET_STATUS)
    owner.port.read()
    owner.in_clear.clear()
    owner.session = None
    owner.next_request = 900
    request_id, hello = owner.body(raw.HELLO, struct.pack("<HI", 1, 7))
    owner.put(raw.ON_STATUS, hello)
    assert owner.reply(request_id).opcode == raw.HELLO_REPLY
    assert [got.opcode for got in owner.in_clear] == [raw.HELLO_REPLY]
    assert owner.inside.lost >= 4


@pytest.mark.sr("SR-SEC-1", side="pen")
@pytest.mark.parametrize(
    ("opcode", "reason"),
    [
        (raw.HELLO, Reason.WRONG_STATE),
        (0xBD63, Reason.WRONG_STATE),
        (SEALED, Reason.UNKNOWN_OPCODE),
        (raw.STATUS, Reason.UNKNOWN_OPCODE),
        (1, Reason.UNKNOWN_OPCODE),
    ],
)
def test_what_has_no_meaning_under_seal_is_refused_there(opcode: int, reason: Reason) -> None:
    owner = owner_of(owned_pen())
    channel = 1 if opcode == 0xBD63 else raw.ON_STATUS
    payload = struct.pack("<HI", 1, 7) if opcode == raw.HELLO else bytes(48) if opcode == 0xBD63 else bytes(20)
    if opcode == raw.STATUS:
        payload = bytes(struct.calcsize("<IHHHIBBHBHHIIBHHIIBH"))
    got = owner.ask(channel, opcode, payload)
    assert got.opcode == raw.REFUSED
    assert got.reason in (reason, Reason.UNKNOWN_CODEWORD)
    assert owner.status()


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_garbage_under_the_owners_seal_is_refused_and_ends_nothing() -> None:
    owner = running()
    for payload in (b"", b"\xff", bytes(BODY_BYTES_MAX - 4)):
        assert owner.ask(raw.ON_COMMAND, raw.PREPARE, payload).reason == Reason.WRONG_LENGTH
        owner.renew()
    for body in (b"", b"\1", b"\1\2\3"):
        owner.put(raw.ON_COMMAND, owner.sealed(raw.ON_COMMAND, body))
    owner.live(300)
    assert owner.pen.needles_out


# Stop


@pytest.mark.sr("SR-STOP-4", "SR-STOP-7", "SR-SEC-1", side="pen")
@pytest.mark.parametrize(("kind", "att_mtu"), WAYS)
@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "clear"])
def test_stop_is_obeyed_either_way_and_answered_the_way_it_came(kind: PortKind, att_mtu: int, *, sealed: bool) -> None:
    owner = running(kind, att_mtu)
    clear, under_seal = len(owner.in_clear), len(owner.opened)
    got = owner.ask(raw.ON_STOP, raw.STOP) if sealed else owner.say(raw.ON_STOP, raw.STOP)
    assert got.opcode == raw.STOPPED
    heard = owner.opened[under_seal:] if sealed else owner.in_clear[clear:]
    assert raw.STOPPED in {each.opcode for each in heard}
    assert in_after_ms(owner.pen) <= IN_WITHIN_MS


@pytest.mark.sr("SR-STOP-4", "SR-STOP-7", "SR-SEC-5", side="pen")
@pytest.mark.parametrize("who", ["the owner's port", "a stranger's port"])
@pytest.mark.parametrize("how", ["played back", "flipped", "cut short", "too long", "with an id outside", "empty"])
def test_a_sealed_stop_that_does_not_open_still_stops_and_locks_nothing(how: str, who: str) -> None:
    owner = owner_of(owned_pen())
    _, symptom = owner.body(raw.SYMPTOM, b"\1")
    said = owner.sealed(raw.ON_STOP, symptom)
    owner.open()
    owner.run_pass()
    way = owner if who == "the owner's port" else SealedClient(owner.pen)
    bodies = {
        "played back": said,
        "flipped": said[:-1] + bytes([said[-1] ^ 1]),
        "cut short": said[:12],
        "too long": said + bytes(240 - len(said)),
        "with an id outside": said[:2] + b"\1\0" + said[4:],
        "empty": said[:4],
    }
    if how == "played back" and way is owner:
        once = owner.sealed(raw.ON_STOP, owner.body(raw.STOP)[1])
        owner.put(raw.ON_STOP, once)
        assert in_after_ms(owner.pen) <= IN_WITHIN_MS
        owner.live(500)
        owner.run_pass(direction=raw.HORIZONTAL)
        bodies["played back"] = once
    way.put(raw.ON_STOP, bodies[how])
    assert in_after_ms(owner.pen) <= IN_WITHIN_MS
    assert inside(owner.pen).state.symptom_s == 0
    assert way.inside.dropped == 1


@pytest.mark.sr("SR-STOP-4", side="pen")
def test_a_sealed_stop_is_found_and_taken_before_what_stands_before_it() -> None:
    owner = running()
    assert owner.ask(raw.ON_COMMAND, raw.PAUSE, struct.pack("<I", owner.session_id)).opcode == raw.PAUSED
    owner.live(200)
    header = owner.header()
    asked = [
        owner.body(raw.RESUME, header + struct.pack("<I", owner.session_id)),
        owner.body(raw.RENEW, struct.pack("<II", owner.session_id, owner.seen_tick)),
        owner.body(raw.GET_STATUS),
        owner.body(raw.STOP),
    ]
    channels = (raw.ON_COMMAND, raw.ON_COMMAND, raw.ON_STATUS, raw.ON_STOP)
    sealed = [owner.sealed(channel, body) for channel, (_, body) in zip(channels, asked, strict=True)]
    data = b"".join(frame(channel, SEALED, 0, body[4:]) for channel, body in zip(channels, sealed, strict=True))
    owner.port.write(data)
    resumed, renewed, status, stopped = (owner.reply(request_id) for request_id, _ in asked)
    assert (resumed.reason, renewed.reason) == (Reason.HOST_STOP, Reason.HOST_STOP)
    assert (status.opcode, stopped.opcode) == (raw.STATUS, raw.STOPPED)
    order = [got.opcode for got in owner.opened if got.request_id in {request_id for request_id, _ in asked}]
    assert order[0] == raw.STOPPED
    owner.press()
    owner.live(500)
    assert not owner.pen.needles_out


@pytest.mark.sr("SR-SEC-1", "SR-STOP-4", side="pen")
def test_a_strangers_stop_in_the_clear_stops_the_owners_pass() -> None:
    owner = running()
    stranger = RawClient(owner.pen)
    got = stranger.ask(raw.ON_STOP, raw.STOP)
    assert got.opcode == raw.STOPPED
    assert in_after_ms(owner.pen) <= IN_WITHIN_MS
    owner.live(500)
    assert owner.status()["state"] == raw.OPEN_STATE
