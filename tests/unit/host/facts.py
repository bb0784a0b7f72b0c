"""What a gate decides by, made for a test: sound by default, with changes."""

from collections.abc import Iterable
from typing import Any

from dermalink.belief import Belief, Frame, HeadUse
from dermalink.gate import Gate
from dermalink.registry import Registry
from dermalink.rules import Facts
from dermalink_protocol.messages.identity import Cartridge, HelloReply, Status
from dermalink_protocol.zones import Direction, Zone
from tests.support.memory_pipe import MemoryPipe
from tests.unit.host.scripted_pen import NOW_S, SERIAL, TAG, ScriptedPen

SESSION = 41


def facts(
    *,
    hello: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    cartridge: dict[str, Any] | None = None,
    belief: Belief | None = None,
    last_touch_utc_s: int = 0,
    **others: Any,
) -> Facts:
    """A pen at rest, without a session."""
    script = ScriptedPen(MemoryPipe())
    believed = belief or Belief()
    if last_touch_utc_s:
        believed._touches[1] = believed.last_utc_s = last_touch_utc_s
    return Facts(
        hello=HelloReply(**(script.hello | (hello or {})), tick_ms=1_000),
        serial_number=SERIAL,
        status=Status(**(script.status | (status or {})), tick_ms=1_000),
        cartridge=Cartridge(**(script.cartridge | (cartridge or {}))),
        belief=believed,
        utc_s=NOW_S,
        **others,
    )


def _frame(change: dict[str, Any]) -> Frame:
    sound = Frame(1, Zone.LEFT_CHEEK, Direction.VERTICAL, 300, 60, 20, TAG.hex())
    return sound._replace(**change)


def opened(
    *,
    passes: Iterable[tuple[Zone, Direction]] = (),
    used_in_session: int | None = None,
    frame: dict[str, Any] | None = None,
    running: dict[str, Any] | None = None,
    resumes: int = 0,
    status: dict[str, Any] | None = None,
    **others: Any,
) -> Facts:
    """A pen with a session of this host's open."""
    from dermalink_protocol.codewords import State

    belief = Belief()
    pen = belief.pen(SERIAL)
    pen.session_id = SESSION
    pen.begun = {(int(zone), int(direction)): number for number, (zone, direction) in enumerate(passes, start=100)}
    pen.frame = None if frame is None else _frame(frame)
    pen.running = None if running is None else _frame(running)
    pen.resumes = resumes
    if used_in_session is not None:
        belief.used_heads[TAG.hex()] = HeadUse(SERIAL, used_in_session, frozenset({1}))
    session = {"session_id": SESSION, "session_left_s": 3_000, "state": State.OPEN}
    return facts(status=session | (status or {}), belief=belief, **others)


def gate_with(known: Facts) -> Gate:
    """A gate that knows this."""
    return gate_and_registry(known)[0]


def gate_and_registry(known: Facts) -> tuple[Gate, Registry]:
    """The same, with what its tickets are worth."""
    registry = Registry()
    registry.look(known)
    return Gate(registry), registry
