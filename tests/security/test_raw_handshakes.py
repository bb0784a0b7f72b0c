"""Handshakes with a simulated pen: wrong keys, altered words, words played back, and as many as anybody can ask for."""

import contextlib
import struct
from collections.abc import Iterator
from typing import Final

import pytest

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import HANDSHAKE_EVERY_MS, HANDSHAKES_AT_ONCE, IN_WITHIN_MS, LEASE_DEFAULT_MS
from dermalink_protocol.sealing.handshake import Session
from dermalink_protocol.sealing.keys import public_key
from dermalink_simulator.firmware.access import end_channels
from dermalink_simulator.firmware.firmware import PenFirmware
from dermalink_simulator.firmware.owner_record import NO_OWNER
from dermalink_simulator.hardware.board import PORTS_MAX, TICK_MS
from dermalink_simulator.hardware.places import NoPlaceError
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.seam import PortKind
from tests.support import raw_pen as raw
from tests.support import sealed_client as owned
from tests.support.raw_pen import RawClient, frame
from tests.support.sealed_client import ON_PAIRING, OWNER, SEALED, SealedClient, chance, inside, owned_pen, owner_of

REFUSED: Final = (owned.OPEN_CHANNEL, Reason.NOT_AUTHENTICATED, 0)


def running() -> SealedClient:
    owner = owner_of(owned_pen())
    owner.open()
    owner.run_pass()
    return owner


def in_after_ms(pen: SimulatedPen, most_ms: int) -> int:
    for waited in range(most_ms + 1):
        if not pen.needles_out:
            return waited
        pen.advance(1)
    raise AssertionError(f"the needles are out after {most_ms} ms")


# Whose words they are


@pytest.mark.sr("SR-SEC-1", side="pen")
@pytest.mark.parametrize("wrong", ["host", "binding"])
def test_who_has_other_keys_is_refused(wrong: str) -> None:
    other = SealedClient(owned_pen(), **{wrong: chance("another")})  # type: ignore[arg-type]
    other.hello()
    assert other.open_channel().refusal == REFUSED
    assert inside(other.pen).last_refusal == REFUSED[:2]  # counted, and told in the history


@pytest.mark.sr("SR-SEC-1", side="pen")
@pytest.mark.parametrize("whose", ["hello", "reply"])
def test_one_changed_bit_of_what_was_said_before_ends_the_handshake(whose: str) -> None:
    pen = owned_pen()
    for at in range(10 if whose == "hello" else 62):
        client = SealedClient(pen)
        client.hello()
        name = f"{whose}_body"
        body = bytearray(getattr(client, name))
        body[at] ^= 1
        setattr(client, name, bytes(body))
        assert client.open_channel().refusal == REFUSED, at
        client.port.close()
        pen.advance(int(HANDSHAKE_EVERY_MS))


@pytest.mark.sr("SR-SEC-1", side="pen")
@pytest.mark.parametrize("key", [public_key(owned.PEN), OWNER.host_public, b"\xff" * 32])
def test_an_ephemeral_key_that_is_one_of_the_static_ones_or_no_key_is_refused(key: bytes) -> None:
    client = SealedClient(owned_pen())
    client.hello()
    assert client.say(ON_PAIRING, owned.OPEN_CHANNEL, key + bytes(16)).refusal == REFUSED
    assert not client.inside.seal.number


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_a_hello_is_good_for_one_handshake() -> None:
    client = SealedClient(owned_pen())
    got = client.say(ON_PAIRING, owned.OPEN_CHANNEL, bytes(48))
    assert got.reason == Reason.WRONG_STATE
    client.hello()
    message = client.handshake().begin()
    assert client.say(ON_PAIRING, owned.OPEN_CHANNEL, message).opcode == owned.CHANNEL_OPENED
    assert client.say(ON_PAIRING, owned.OPEN_CHANNEL, message).reason == Reason.WRONG_STATE
    client.hello()
    assert client.say(ON_PAIRING, owned.OPEN_CHANNEL, message).refusal == REFUSED


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_a_hello_that_was_refused_or_not_answered_is_good_for_none() -> None:
    client = SealedClient(owned_pen())
    client.hello()
    assert client.say(raw.ON_STATUS, raw.HELLO, struct.pack("<HI", 2, 7)).reason == Reason.VERSION_MISMATCH
    assert client.open_channel().reason == Reason.WRONG_STATE
    client.put(raw.ON_STATUS, struct.pack("<HHHI", raw.HELLO, 0, 1, 7))
    assert client.open_channel().reason == Reason.WRONG_STATE


@pytest.mark.sr("SR-SEC-1", side="pen")
@pytest.mark.parametrize("version", [0, 2, 0x0100, 0xFFFF])
def test_an_older_or_a_later_version_that_is_asked_for_gets_no_channel_and_nothing_in_the_clear(version: int) -> None:
    client = SealedClient(owned_pen())
    assert client.say(raw.ON_STATUS, raw.HELLO, struct.pack("<HI", version, 7)).reason == Reason.VERSION_MISMATCH
    assert client.say(ON_PAIRING, owned.OPEN_CHANNEL, bytes(48)).reason == Reason.WRONG_STATE
    fields = struct.pack("<IHI32s", client.boot_id, 500, 0, raw.NO_HASH)
    assert client.ask(raw.ON_COMMAND, raw.OPEN, client.header() + fields).reason == Reason.NOT_AUTHENTICATED


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_a_pen_without_an_owner_shakes_nobodys_hand() -> None:
    pen = owned_pen()
    inside(pen).owner = NO_OWNER
    client = SealedClient(pen)
    client.hello()
    assert client.open_channel().refusal == (owned.OPEN_CHANNEL, Reason.NO_OWNER, 0)
    assert inside(pen).channels == 0


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_a_handshake_that_fails_leaves_every_channel_as_it_is() -> None:
    owner = running()
    stranger = SealedClient(owner.pen, host=chance("another"))
    stranger.hello()
    assert stranger.open_channel().refusal == REFUSED
    assert owner.say(ON_PAIRING, owned.OPEN_CHANNEL, bytes(48)).reason == Reason.WRONG_STATE
    owner.live(500)
    assert owner.pen.needles_out


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_a_channel_counts_only_once_the_owner_has_said_something_under_it() -> None:
    """Until then it may be his words of another time, so it gets and keeps nothing."""
    pen = owned_pen()
    client = SealedClient(pen)
    client.hello()
    client.open_channel()
    pen.advance(3_000)
    client.pump()
    assert client.opened == []
    assert pen.firmware is not None
    assert not pen.firmware.keeps(client.port.number)
    client.status()
    pen.advance(3_000)
    client.pump()
    assert {raw.TELEMETRY} <= {got.opcode for got in client.notes}
    assert pen.firmware.keeps(client.port.number)


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_the_owner_comes_back_on_another_port_and_takes_the_session_up_again() -> None:
    owner = running()
    back = owner_of(owner.pen, PortKind.GATT)
    adopt = struct.pack("<IH", owner.session_id, 500)
    back.command_id = owner.command_id
    owner.live(300)
    assert back.ask(raw.ON_COMMAND, raw.ADOPT, back.header() + adopt).reason == Reason.NOT_OWNER
    assert owner.pen.needles_out
    owner.port.close()
    assert in_after_ms(owner.pen, 40) <= 40
    owner.pen.advance(500)
    got = back.ask(raw.ON_COMMAND, raw.ADOPT, back.header() + adopt)
    assert got.opcode == raw.ADOPTED, hex(got.reason)
    assert raw.ADOPTED in {each.opcode for each in back.opened}


# The end of a channel


@pytest.mark.sr("SR-SEC-1", "SR-STOP-1", side="pen")
def test_with_another_owner_every_channel_and_session_is_over() -> None:
    owner = running()
    pen = owner.pen
    inside(pen).owner = NO_OWNER._replace(number=2, host_public=public_key(chance("second")), pen_private=chance("p2"))
    end_channels(inside(pen))
    assert in_after_ms(pen, int(IN_WITHIN_MS) + 10)
    dropped = owner.inside.dropped
    owner.send(raw.ON_COMMAND, raw.RENEW, struct.pack("<II", owner.session_id, owner.seen_tick))
    assert owner.inside.dropped == dropped + 1
    assert inside(pen).state.owner == 0
    owner.hello()
    assert owner.open_channel().refusal == REFUSED


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_what_was_answered_before_the_owner_changed_still_goes_under_his_seal() -> None:
    owner = owner_of(owned_pen(), PortKind.GATT, 23)
    owner.send(raw.ON_STATUS, raw.GET_STATUS)
    request_id = owner.send(raw.ON_STATUS, raw.GET_CARTRIDGE)
    end_channels(inside(owner.pen))
    assert owner.reply(request_id).opcode == raw.CARTRIDGE
    assert [got.opcode for got in owner.opened[-2:]] == [raw.STATUS, raw.CARTRIDGE]


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_without_power_and_in_a_snapshot_there_is_no_channel() -> None:
    owner = running()
    firmware = owner.pen.firmware
    assert isinstance(firmware, PenFirmware)
    other = PenFirmware()
    snapshot = firmware.snapshot()
    other.restore(snapshot)
    port = other._pen.ports[owner.port.number]
    assert (port.seal.number, port.seal.proven, port.seal.greeted) == (0, False, False)
    ask = owner.sealed(raw.ON_STATUS, owner.body(raw.GET_STATUS)[1])
    before = port.dropped
    other.handle(owner.port.number, frame(raw.ON_STATUS, SEALED, 0, ask[4:]))
    assert port.dropped == before + 1
    other.handle(owner.port.number, frame(raw.ON_COMMAND, raw.RENEW, 9, bytes(8)))
    assert struct.pack("<H", Reason.NOT_AUTHENTICATED) in other.tx(owner.port.number)
    owner.put(raw.ON_STATUS, ask)
    assert owner.status()["state"] == raw.RUNNING


def reach(client: SealedClient, step: str) -> None:
    """Bring a connection so far, of `STEPS`."""
    if step == "nothing said":
        return
    client.hello()
    if step == "handshake under way":
        client.put(ON_PAIRING, client.body(owned.OPEN_CHANNEL, client.handshake().begin())[1])
    elif step != "hello":
        client.open_channel()
    if step in ("proven", "in a pass"):
        client.status()
    if step == "in a pass":
        client.open()
        client.run_pass()


STEPS: Final = ("nothing said", "hello", "handshake under way", "opened", "proven", "in a pass")


@pytest.mark.sr("SR-SEC-1", "SR-RST-1", side="pen")
@pytest.mark.parametrize("kind", list(PortKind))
@pytest.mark.parametrize("killed", ["pen", "host"])
@pytest.mark.parametrize("step", STEPS)
def test_whoever_is_killed_at_whatever_step_the_next_handshake_works(step: str, killed: str, kind: PortKind) -> None:
    pen = owned_pen()
    client = SealedClient(pen, kind)
    reach(client, step)
    old = client.session
    if killed == "host":
        client.port.close()
    else:
        pen.power.cut()
        pen.advance(100)
        pen.power.restore()
        pen.advance(1_000)
        assert inside(pen).owner._replace(bond=OWNER.bond) == OWNER
    pen.advance(100)
    assert not pen.needles_out
    again = SealedClient(pen, kind).connect()
    assert again.port.number == client.port.number
    if old is not None:
        again.put(raw.ON_STATUS, old_words(old))
        assert again.inside.dropped == 1
    assert again.open().opcode in (raw.OPENED, raw.REFUSED)
    assert again.status()["state"] != raw.RUNNING


def old_words(session: Session) -> bytes:
    """A question under a seal of the connection before."""
    body = struct.pack("<HH", raw.GET_STATUS, 1)
    return struct.pack("<HH", SEALED, 0) + session.sealer.seal(Channel.STATUS, body)


# Floods


def strangers(pen: SimulatedPen, count: int) -> list[SealedClient]:
    return [SealedClient(pen, host=chance("a stranger")) for _ in range(count)]


def knock(client: SealedClient) -> None:
    """Hello and a first message that some stranger has made, without waiting for either answer."""
    client.put(raw.ON_STATUS, client.body(raw.HELLO, struct.pack("<HI", 1, 7))[1], thrown=True)
    message = client.body(owned.OPEN_CHANNEL, OWNER.host_public[:31] + b"\1" + bytes(16))[1]
    client.put(ON_PAIRING, message, thrown=True)
    client.port.read()


@pytest.mark.sr("SR-SEC-5", side="pen")
def test_strangers_on_all_other_ports_buy_few_handshakes_and_take_none_from_the_owner() -> None:
    pen = owned_pen()
    others = strangers(pen, PORTS_MAX - 1)
    for _ in range(300):
        for each in others:
            knock(each)
        pen.advance(10)
    seconds = 3_000 // HANDSHAKE_EVERY_MS
    assert inside(pen).channels <= len(others) * (HANDSHAKES_AT_ONCE + seconds)
    assert inside(pen).channels >= len(others) * HANDSHAKES_AT_ONCE
    owner = SealedClient(pen)
    owner.hello()
    assert owner.open_channel().opcode == owned.CHANNEL_OPENED


@pytest.mark.sr("SR-SEC-5", side="pen")
def test_the_owner_waits_at_most_as_long_as_he_is_told_on_a_port_that_a_stranger_used_up() -> None:
    pen = owned_pen()
    for _ in range(20):
        (stranger,) = strangers(pen, 1)
        knock(stranger)
        stranger.port.close()
    assert inside(pen).channels == HANDSHAKES_AT_ONCE
    owner = SealedClient(pen)
    owner.hello()
    opcode, reason, wait_ms = owner.open_channel().refusal or (0, 0, 0)
    assert (opcode, reason) == (owned.OPEN_CHANNEL, Reason.BUSY)
    assert 0 < wait_ms <= HANDSHAKE_EVERY_MS
    pen.advance(wait_ms - 1)
    assert owner.open_channel().reason == Reason.BUSY
    pen.advance(TICK_MS)
    assert owner.open_channel().opcode == owned.CHANNEL_OPENED


@pytest.mark.sr("SR-SEC-5", side="pen")
def test_who_proves_to_be_the_owner_waits_for_nothing() -> None:
    client = SealedClient(owned_pen())
    for _ in range(5 * HANDSHAKES_AT_ONCE):
        client.connect()


@pytest.mark.sr("SR-SEC-5", side="pen")
def test_the_ticks_may_begin_anew_between_two_handshakes() -> None:
    pen = owned_pen()
    inside(pen).tick_ms = 0xFFFF_FFFF - 100
    (stranger,) = strangers(pen, 1)
    for _ in range(60):
        knock(stranger)
        pen.advance(50)
    assert HANDSHAKES_AT_ONCE + 2 <= inside(pen).channels <= HANDSHAKES_AT_ONCE + 3


def flood(owner: SealedClient, ways: list[SealedClient]) -> Iterator[None]:
    """A millisecond of knocks, forged records and clear commands on each way."""
    forged = struct.pack("<HH", SEALED, 0) + struct.pack("<I", 5) + bytes(60)
    while True:
        for way in ways:
            if way is not owner:
                knock(way)
                way.put(raw.ON_COMMAND, way.body(raw.RENEW, bytes(8))[1], thrown=True)
            for channel in (raw.ON_COMMAND, raw.ON_STATUS, raw.ON_RECORDS):
                way.put(channel, forged, thrown=True)
        owner.pen.advance(1)
        yield


@pytest.mark.sr("SR-SEC-5", "SR-STOP-1", "SR-STOP-7", side="pen")
@pytest.mark.parametrize("ending", ["sealed stop", "clear stop", "a stranger's stop", "silence"])
def test_a_flood_ends_no_pass_and_holds_up_no_end_of_one(ending: str) -> None:
    owner = running()
    others = [SealedClient(owner.pen, kind) for kind in (PortKind.STREAM, PortKind.GATT, PortKind.STREAM)]
    goes_on = flood(owner, [owner, *others])
    for _ in range(12):
        for _ in range(50):
            next(goes_on)
        owner.status()
        owner.renew()
    assert owner.status()["state"] == raw.RUNNING
    assert owner.inside.dropped >= 1_000
    if ending == "sealed stop":
        owner.send(raw.ON_STOP, raw.STOP)
    elif ending == "clear stop":
        owner.put(raw.ON_STOP, owner.body(raw.STOP)[1])
    elif ending == "a stranger's stop":
        RawClient(owner.pen).send(raw.ON_STOP, raw.STOP)
    waited = 0
    while owner.pen.needles_out:
        next(goes_on)
        waited += 1
        assert waited < 2_000
    most = LEASE_DEFAULT_MS + IN_WITHIN_MS + 10 if ending == "silence" else IN_WITHIN_MS
    assert waited <= most


@pytest.mark.sr("SR-SEC-5", side="pen")
def test_a_storm_of_connections_does_not_end_the_owners() -> None:
    pen = owned_pen()
    first, last = owner_of(pen), owner_of(pen)
    for _ in range(3 * PORTS_MAX):
        stranger = RawClient(pen)
        stranger.hello()
        pen.advance(20)
    assert last.status()["state"] == raw.IDLE
    assert inside(pen).ports[first.port.number].seal.number != 1  # one of his is kept, not all of them


def storm(pen: SimulatedPen, connections: int) -> Iterator[int]:
    """Five connections a millisecond, each with a Hello of its own or noise; yields how many were let in."""
    let_in = 0
    for number in range(connections):
        with contextlib.suppress(NoPlaceError):
            port = pen.connect()
            let_in += 1
            hello = frame(raw.ON_STATUS, raw.HELLO, 1, struct.pack("<HI", 1, number))
            port.write(b"\x55\xaa" * 20 if number % 2 else hello)
        if number % 5 == 4:
            pen.advance(1)
        yield let_in


@pytest.mark.sr("SR-SEC-5", "SR-STOP-1", "SR-STOP-7", side="pen")
@pytest.mark.parametrize("ending", ["sealed stop", "clear stop", "silence"])
def test_thousands_of_connections_end_no_pass_and_hold_up_no_end_of_one(ending: str) -> None:
    owner = running()
    goes_on = storm(owner.pen, 6_000)
    let_in = 0
    for _ in range(20):
        for _ in range(250):
            let_in = next(goes_on)
        owner.status()
        owner.renew()
    assert owner.status()["state"] == raw.RUNNING
    assert let_in > 2 * PORTS_MAX
    assert len(inside(owner.pen).ports) <= PORTS_MAX
    if ending == "sealed stop":
        owner.send(raw.ON_STOP, raw.STOP)
    elif ending == "clear stop":
        owner.put(raw.ON_STOP, owner.body(raw.STOP)[1])
    began = owner.pen.now_ms
    for _ in goes_on:
        if not owner.pen.needles_out:
            break
    in_ms = owner.pen.now_ms - began
    for _ in range(LEASE_DEFAULT_MS):
        if owner.pen.needles_out:
            owner.pen.advance(1)
            in_ms += 1
    assert in_ms <= (LEASE_DEFAULT_MS + IN_WITHIN_MS + 10 if ending == "silence" else IN_WITHIN_MS)
    assert not owner.port.closed
