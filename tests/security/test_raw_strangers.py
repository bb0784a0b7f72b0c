"""A pen with an owner, and everybody else: every request of the contract in the clear, and the small corner it gets."""

import struct
from typing import Final

import pytest

from dermalink_protocol import messages  # noqa: F401  (declares them)
from dermalink_protocol.channels import STATUS_VALUE, Channel
from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import IN_WITHIN_MS
from dermalink_protocol.schema import Effect, Message, Request
from dermalink_protocol.wire import Raw, Wire
from dermalink_simulator.making import make_pen
from dermalink_simulator.seam import PortKind
from tests.support import raw_pen as raw
from tests.support import sealed_client as owned
from tests.support.pairing_host import PairedClient, PairingHost, press
from tests.support.raw_pen import RawClient
from tests.support.sealed_client import SealedClient, inside, owned_pen, owner_of

REQUESTS: Final = [one for _, one in sorted(Message.by_opcode.items()) if issubclass(one, Request)]
CORNER: Final = {raw.HELLO, raw.GET_STATUS, owned.GET_OWNER, owned.PAIR_STEP, owned.OPEN_CHANNEL}
STOPS: Final = {raw.STOP, raw.SYMPTOM}
STATES: Final = ("idle", "open", "prepared", "waiting", "armed", "running", "paused")


def owner_in(state: str) -> SealedClient:
    """An owned pen in that state, and its owner."""
    client = owner_of(owned_pen())
    if state != "idle":
        client.open()
    if state in ("prepared", "waiting"):
        frame_id = struct.unpack_from("<H", client.prepare().payload, 10)[0]
        if state == "waiting":
            client.begin(frame_id)
    elif state == "armed":
        client.start_pass()
    elif state in ("running", "paused"):
        client.run_pass()
    if state == "paused":
        client.ask(raw.ON_COMMAND, raw.PAUSE, struct.pack("<I", client.session_id))
        client.live(200)
    return client


def would_be_granted(owner: SealedClient, request: type[Message]) -> bytes:
    """The request's fields as the owner would say them now."""
    known = {
        "command_id": owner.command_id,
        "ttl_ms": 500,
        "seen_tick_ms": owner.seen_tick,
        "boot_id": owner.boot_id,
        "lease_ms": 500,
        "session_id": owner.session_id,
        "zone": raw.NOSE,
        "direction": raw.HORIZONTAL,
        "depth_um": 250,
        "rate_hz": 100,
        "speed_mm_s": 40,
        "frame_id": 1,
    }
    payload = b""
    for each in request.fields:
        if isinstance(each.wire, Wire):
            payload += struct.pack(f"<{each.wire.code}", known.get(each.name, each.wire.low))
        else:
            payload += bytes(each.wire.size if isinstance(each.wire, Raw) else each.wire.least * each.wire.item)
    return payload


def say(client: SealedClient, request: type[Message], payload: bytes) -> raw.Got:
    """One request in the clear, whoever says it."""
    return client.say(int(request.channel or Channel.COMMAND), int(request.opcode), payload)


def locked(client: SealedClient) -> tuple[int, int, int]:
    """What a symptom locks: the session, the time to wait, the advice that is due."""
    state = inside(client.pen).state
    return state.symptom, state.symptom_s, state.advice_due


@pytest.mark.sr("SR-SEC-1", side="pen")
@pytest.mark.parametrize("whose", ["a stranger's port", "a stranger's characteristics", "the owner's own port"])
@pytest.mark.parametrize("state", STATES)
def test_in_the_clear_there_is_the_corner_and_nothing_else(state: str, whose: str) -> None:
    owner = owner_in(state)
    client = owner
    if whose.startswith("a stranger's"):
        client = SealedClient(owner.pen, PortKind.STREAM if whose.endswith("port") else PortKind.GATT)
    before = owner.status()
    for request in REQUESTS:
        opcode = int(request.opcode)
        if opcode in STOPS or opcode == raw.HELLO:
            continue
        owner.renew()
        wanted = would_be_granted(owner, request)
        got = say(client, request, wanted)
        if opcode in CORNER:
            assert got.reason != Reason.NOT_AUTHENTICATED, request.__name__
        else:
            assert got.refusal == (opcode, Reason.NOT_AUTHENTICATED, 0), request.__name__
    after = owner.status()
    for name in ("state", "session", "zone", "direction", "depth", "rate", "wait", "left"):
        if name != "left" or state != "running":
            assert after[name] == before[name], name


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_nothing_of_what_a_stranger_says_is_looked_at() -> None:
    """Whether it is well said or not, or known at all: the answer tells him nothing."""
    stranger = RawClient(owned_pen())
    for request in REQUESTS:
        opcode = int(request.opcode)
        if opcode in STOPS or opcode in CORNER:
            continue
        for channel in (*{request.channel or Channel.COMMAND, Channel.COMMAND, Channel.STOP},):
            for payload in (b"", b"\xff" * 3, b"\xff" * 200):
                got = stranger.ask(int(channel), opcode, payload)
                assert got.refusal == (opcode, Reason.NOT_AUTHENTICATED, 0), request.__name__
    for opcode in (0, 1, 0xFFFF, raw.STATUS, raw.TELEMETRY):
        assert stranger.ask(raw.ON_COMMAND, opcode).refusal == (opcode, Reason.NOT_AUTHENTICATED, 0)


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_a_strangers_whole_session_moves_nothing() -> None:
    pen = owned_pen()
    stranger = RawClient(pen)
    stranger.hello()
    assert stranger.open().reason == Reason.NOT_AUTHENTICATED
    stranger.session_id = 1
    tag_id = inside(pen).head.tag
    assert tag_id is not None
    for _ in range(3):
        stranger.status()
        header = struct.pack("<IHI", stranger.command_id, 500, stranger.seen_tick)
        fields = struct.pack("<IBBHBB8s", 1, raw.NOSE, 1, 250, 100, 40, tag_id.tag_id)
        assert stranger.ask(raw.ON_COMMAND, raw.PREPARE, header + fields).reason == Reason.NOT_AUTHENTICATED
        begin = header + struct.pack("<IH", 1, 1)
        assert stranger.ask(raw.ON_COMMAND, raw.BEGIN, begin).reason == Reason.NOT_AUTHENTICATED
        pen.button.press()
        pen.hand.sweep(raw.NOSE, raw.VERTICAL, speed_mm_s=40)  # type: ignore[arg-type]
        pen.advance(1_000)
    assert pen.skin.punctures == 0
    assert not pen.motor_turns


@pytest.mark.sr("SR-SEC-1", "SR-OWN-1", "SR-SEC-4", side="pen")
@pytest.mark.parametrize("kind", PortKind)
def test_a_pen_as_sold_is_run_by_nobody_before_it_is_paired_and_then_by_its_owner(kind: PortKind) -> None:
    pen = make_pen("product", 3)
    pen.advance(1_000)
    stranger = SealedClient(pen, kind)
    stranger.hello()
    for request in REQUESTS:
        opcode = int(request.opcode)
        if opcode not in STOPS and opcode not in CORNER:
            assert say(stranger, request, would_be_granted(stranger, request)).refusal == (opcode, Reason.NO_OWNER, 0)
    stranger.say(raw.ON_STOP, raw.SYMPTOM, b"\2")
    pen.advance(5_000)
    assert locked(stranger) == (0, 0, 0)
    assert not stranger.notes
    press(pen)
    host = PairingHost(pen)
    owner = PairedClient(pen, host.private, host.pair())
    owner.connect()
    owner.open()
    owner.run_pass()
    assert pen.skin.punctures


@pytest.mark.sr("SR-SEC-1", side="pen", twin=True)
def test_without_the_owner_check_a_stranger_moves_the_needles() -> None:
    pen = owned_pen("owner-check")
    stranger = RawClient(pen)
    stranger.hello()
    assert stranger.open().opcode == raw.OPENED
    stranger.run_pass()
    assert pen.skin.punctures


@pytest.mark.sr("SR-SEC-1", "SR-STOP-4", "SR-STOP-7", side="pen")
@pytest.mark.parametrize("opcode", sorted(STOPS))
@pytest.mark.parametrize("payload", [b"", b"\1", b"\1\1\1"])
def test_a_stranger_is_obeyed_when_he_says_stop_and_locks_nothing(opcode: int, payload: bytes) -> None:
    owner = owner_in("running")
    stranger = RawClient(owner.pen)
    stranger.ask(raw.ON_STOP, opcode, payload)
    owner.pen.advance(int(IN_WITHIN_MS))
    assert not owner.pen.needles_out
    owner.live(500)
    assert owner.status()["state"] == raw.OPEN_STATE
    assert locked(owner) == (0, 0, 0)
    assert owner.prepare(direction=raw.HORIZONTAL).opcode == raw.PREPARED


@pytest.mark.sr("SR-SEC-1", "SR-SYM-1", side="pen")
def test_the_same_symptom_from_the_owner_locks() -> None:
    owner = owner_in("running")
    assert owner.ask(raw.ON_STOP, raw.SYMPTOM, b"\1").opcode == raw.SYMPTOM_REPORTED
    owner.pen.advance(500)
    symptom, wait_s, _ = locked(owner)
    assert symptom
    assert wait_s


@pytest.mark.sr("SR-SEC-1", "SR-SYM-1", side="pen")
def test_a_symptom_in_the_clear_on_the_owners_own_port_locks_nothing() -> None:
    owner = owner_in("running")
    assert owner.say(raw.ON_STOP, raw.SYMPTOM, b"\1").opcode == raw.SYMPTOM_REPORTED
    owner.pen.advance(500)
    assert not owner.pen.needles_out
    assert locked(owner) == (0, 0, 0)


@pytest.mark.sr("SR-SEC-1", side="pen")
@pytest.mark.parametrize("kind", list(PortKind))
def test_strangers_hear_nothing_unasked_and_the_owner_only_under_seal(kind: PortKind) -> None:
    pen = owned_pen()
    stranger = SealedClient(pen, kind)
    stranger.hello()
    owner = owner_of(pen, kind)
    owner.open()
    owner.run_pass()
    owner.live(500)
    stranger.status()
    assert [got.opcode for got in stranger.in_clear] == [raw.HELLO_REPLY, raw.STATUS]
    assert [got.opcode for got in owner.in_clear] == [raw.HELLO_REPLY, owned.CHANNEL_OPENED]
    assert {raw.TELEMETRY, raw.STATE_CHANGED} <= {got.opcode for got in owner.notes}
    sequences = [struct.unpack_from("<H", got.payload)[0] for got in owner.notes if got.opcode == raw.TELEMETRY]
    assert sequences == list(range(1, len(sequences) + 1))


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_state_and_identity_can_be_read_by_anybody() -> None:
    pen = owned_pen()
    stranger = RawClient(pen)
    assert stranger.hello().opcode == raw.HELLO_REPLY
    assert stranger.status()["state"] == raw.IDLE
    assert pen.read_gatt(STATUS_VALUE)


def test_hello_says_that_the_pen_can_seal() -> None:
    payload = RawClient(owned_pen()).hello().payload
    capabilities, suite = struct.unpack_from("<IB", payload, 26)
    assert capabilities & 2
    assert suite == 1


def test_what_raises_exposure_or_keeps_it_alive_is_in_nobodys_corner() -> None:
    kinds = {int(one.opcode): one for one in REQUESTS}
    assert {kinds[opcode].effect for opcode in CORNER - {owned.PAIR_STEP}} == {Effect.NONE}
    assert kinds.keys() >= CORNER | STOPS
