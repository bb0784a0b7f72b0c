"""Every request, every field any value that its bytes can hold, in every state: a typed answer, and nobody is hurt.

The fields come from the declarations, so that a message declared later is tried as well; bytes are packed by hand.
"""

import struct
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dermalink_protocol.limits import IN_WITHIN_MS, LEASE_MAX_MS, ZONE_RULES
from dermalink_protocol.messages import identity, later, owner, records, stop, therapy  # noqa: F401  (declares them)
from dermalink_protocol.schema import Message, Request
from dermalink_protocol.wire import WIDTHS, Raw, Tail, Wire
from dermalink_protocol.zones import Direction, Zone
from tests.support import raw_pen as raw
from tests.support.raw_pen import RawClient, raw_pen

REQUESTS: Final = [one for _, one in sorted(Message.by_opcode.items()) if issubclass(one, Request)]
MOVING: Final = ("armed", "running", "lifted")
STATES: Final = {
    "idle": raw.IDLE,
    "open": raw.OPEN_STATE,
    "prepared": raw.PREPARED_STATE,
    "waiting": raw.WAITING,
    "armed": raw.ARMED,
    "running": raw.RUNNING,
    "lifted": raw.LIFTED,
    "paused": raw.PAUSED_STATE,
    "fault": raw.FAULT,
}
CAP_UM: Final = int(ZONE_RULES[Zone.NOSE].cap_um)
EXAMPLES: Final = 3


def pen_in(state: str) -> RawClient:
    """A pen in that state, with its owner's connection."""
    client = raw_pen()
    if state == "idle":
        return client
    client.open()
    if state == "prepared":
        client.prepare(depth=200)
    elif state == "waiting":
        client.begin(struct.unpack_from("<H", client.prepare(depth=200).payload, 10)[0])
    elif state == "armed":
        client.start_pass(depth=200)
    elif state != "open":
        client.run_pass(depth=200)
        leave_running(client, state)
    return client


def leave_running(client: RawClient, state: str) -> None:
    if state == "lifted":
        client.pen.hand.lift()
        client.live(500)
    elif state == "paused":
        client.ask(raw.ON_COMMAND, raw.PAUSE, struct.pack("<I", client.session_id))
        client.live(200)
    elif state == "fault":
        client.pen.faults.inject("motor", "stalled")
        client.live(500)
        client.pen.faults.clear()
        client.pen.hand.lift()
        client.pen.advance(500)


def any_value(wire: Wire | Raw | Tail) -> st.SearchStrategy[int | bytes]:
    if isinstance(wire, Raw):
        return st.binary(min_size=wire.size, max_size=wire.size)
    if isinstance(wire, Tail):
        return st.integers(wire.least, wire.most).flatmap(
            lambda count: st.binary(min_size=count * wire.item, max_size=count * wire.item)
        )
    width = WIDTHS[wire.code]
    edges = {wire.low - 1, wire.low, wire.high, wire.high + 1, width.low, width.high}
    inside = sorted(edge for edge in edges if width.low <= edge <= width.high)
    return st.one_of(st.sampled_from(inside), st.integers(width.low, width.high))


def packed(request: type[Message], values: dict[str, Any]) -> bytes:
    payload = b""
    for field in request.fields:
        value = values[field.name]
        payload += struct.pack(f"<{field.wire.code}", value) if isinstance(field.wire, Wire) else bytes(value)
    return payload


def valid(client: RawClient, request: type[Message]) -> dict[str, Any]:
    """Values with which the message would be granted where the state allows it."""
    status = client.status()
    known: dict[str, Any] = {
        "command_id": client.command_id,
        "ttl_ms": 500,
        "seen_tick_ms": client.seen_tick,
        "boot_id": client.boot_id,
        "lease_ms": 500,
        "session_id": client.session_id,
        "zone": raw.NOSE,
        "direction": raw.HORIZONTAL,
        "depth_um": 250,
        "rate_hz": 100,
        "speed_mm_s": 40,
        "tag_id": client.tag_id(),
        "frame_id": 1,
        "utc_s": status["utc"] + 1,
    }
    client.command_id += 1
    for field in request.fields:
        wire = field.wire
        if isinstance(wire, Wire):
            known.setdefault(field.name, wire.low)
        else:
            known.setdefault(field.name, bytes(wire.size if isinstance(wire, Raw) else wire.least * wire.item))
    return known


def assert_answered(request: Any, got: raw.Got) -> None:
    """The reply that the declaration names, or a refusal of exactly this."""
    if got.opcode == raw.REFUSED:
        assert got.refusal is not None
        assert got.refusal[0] == request.opcode
        assert got.reason
    else:
        assert got.opcode == request.reply.opcode
        request.reply.decode(got.payload)


def work(client: RawClient, prepared: raw.Got, zone: int, direction: int) -> None:
    """Go through with a frame that was granted, so that it shows in skin what the grant was worth."""
    client.begin(struct.unpack_from("<H", prepared.payload, 10)[0])
    client.press()
    client.pen.hand.sweep(Zone(zone), Direction(direction))
    client.live(700)


def assert_caps(client: RawClient) -> None:
    skin = client.pen.skin
    assert skin.protruded_um <= 500
    for zone in Zone:
        assert skin.deepest_in(zone) <= ZONE_RULES[zone].cap_um


def try_all_fields(make: Callable[[], RawClient], state: str, request: Any, drawn: dict[str, Any]) -> None:
    client = make()
    for name in drawn or {"": None}:
        before = client.status()
        if before["state"] != STATES[state]:
            client = make()
        punctures, turned = client.pen.skin.punctures, client.pen.motor_turns
        values = valid(client, request) | ({name: drawn[name]} if name else {})
        got = client.ask(request.channel or raw.ON_STATUS, request.opcode, packed(request, values))
        assert_answered(request, got)
        client.pen.advance(100)
        assert_caps(client)
        if state not in MOVING:
            assert not client.pen.needles_out
            assert client.pen.skin.punctures == punctures
            assert turned or not client.pen.motor_turns
        if got.opcode == raw.PREPARED:
            work(client, got, values["zone"], values["direction"])
            assert_caps(client)
            client = make()
    if state in MOVING:
        client.pen.advance(LEASE_MAX_MS + IN_WITHIN_MS)
        assert not client.pen.needles_out  # nothing that was said buys more than one lease


def test_the_states_are_those_that_they_are_called() -> None:
    assert {name: pen_in(name).status()["state"] for name in STATES} == STATES


@pytest.mark.sr("SR-CMD-2", "SR-SEC-5", "SR-DEPTH-1", "SR-DEPTH-3", "SR-STOP-1", "SR-STOP-5", side="pen")
@pytest.mark.parametrize("request_type", REQUESTS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("state", STATES)
def test_any_value_of_any_field_is_answered_and_hurts_nobody(state: str, request_type: Any) -> None:
    fields = st.fixed_dictionaries({field.name: any_value(field.wire) for field in request_type.fields})

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(fields)
    def tried(drawn: dict[str, Any]) -> None:
        try_all_fields(lambda: pen_in(state), state, request_type, drawn)

    tried()


@pytest.mark.sr("SR-DEPTH-3", side="pen", twin=True)
def test_without_the_limit_check_a_depth_that_is_granted_passes_the_zones_cap() -> None:
    def without_limits() -> RawClient:
        client = raw_pen("limit-check")
        client.open()
        return client

    with pytest.raises(AssertionError, match=f"<= .*{CAP_UM}"):
        try_all_fields(without_limits, "open", therapy.Prepare, {"depth_um": 500})
