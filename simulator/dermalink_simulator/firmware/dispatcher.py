"""From frames to the core's events: who may ask what is looked up in a table that the messages' declarations fill.

Stop and a reported symptom are taken first, from any port, in every state, whatever else came in the same bytes:
Stop is answered at once, a symptom once its lock is written down. What would raise exposure and stood before them in
those bytes is then refused. One procedure runs at a time.

A sealed message is opened, and what is in it goes the same way; its answer goes under the same seal. What doesn't open
is dropped without an answer, but on the Stop channel it stops: whoever says Stop badly still says it.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final
from zlib import crc32

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode, Reason, State
from dermalink_protocol.envelope import (
    UNASKED,
    Envelope,
    decode_envelope,
    encode_envelope,
    peek_opcode,
    peek_request_id,
)
from dermalink_protocol.errors import ProtocolError
from dermalink_protocol.limits import CALIBRATION_S, COMMANDS_REMEMBERED, PROTOCOL_VERSION
from dermalink_protocol.messages import identity, later, owner, records, refusal, stop, therapy
from dermalink_protocol.schema import Effect, Message, Request
from dermalink_simulator.firmware import disclosure, effects, pairing, replies
from dermalink_simulator.firmware.access import (
    STOP_OPCODES,
    end_channel,
    open_channel,
    port_is_authenticated,
    refusal_of,
    unsealed,
)
from dermalink_simulator.firmware.clock_bounds import latest_s
from dermalink_simulator.firmware.core import feed, wind
from dermalink_simulator.firmware.gatt import GattPort
from dermalink_simulator.firmware.gatt_rules import unanswered
from dermalink_simulator.firmware.identity import hello_reply
from dermalink_simulator.firmware.inside import Asked, Deferred, Inside, LastApplied, Trace
from dermalink_simulator.firmware.ports import Arrived, Broken, Port
from dermalink_simulator.firmware.sensing import conditions
from dermalink_simulator.firmware.tags import halves
from dermalink_simulator.therapy.answer import Verdict
from dermalink_simulator.therapy.events import Event, EventKind

HALF_RANGE: Final = 0x8000_0000
TICK_MASK: Final = 0xFFFF_FFFF
REFUSALS_MAX: Final = 0xFFFF_FFFF

# Names by which the core calls what the contract calls otherwise.
RENAMED: Final = {"SELF_TEST": "RUN_SELF_TEST", "REPORT_SYMPTOM": "SYMPTOM"}
WITH_CONDITIONS: Final = (therapy.OpenSession, therapy.Prepare, therapy.BeginPass, therapy.ResumePass)
# Where a session that was told to close still has to stop or to write first; elsewhere it can take a person's time.
CLOSES_SOON: Final = (State.OPENING, State.RECORDING, State.STOPPING, State.CLOSING)
DEFERRED: Final = (therapy.OpenSession, therapy.CloseSession, therapy.SetClock)


def _kind(message: type[Message]) -> EventKind:
    return EventKind[RENAMED.get(message.opcode.name, message.opcode.name)]


def _requests() -> list[type[Message]]:
    return [kind for kind in Message.by_opcode.values() if issubclass(kind, Request)]


ENDS_REST: Final = (therapy.OpenSession, therapy.RunSelfTest, therapy.AcknowledgeFault)
"""What a pen that rests does not take while it is handed over (`pairing.hands_over`)."""
COMMANDS: Final[dict[type[Message], EventKind]] = {
    kind: _kind(kind)
    for kind in _requests()
    if kind.channel in (Channel.COMMAND, Channel.STOP) and kind.__module__ != later.__name__
}
COPIED: Final[dict[type[Message], tuple[str, ...]]] = {
    kind: tuple(field.name for field in kind.fields if field.name in Event._fields) for kind in COMMANDS
}


def handle(pen: Inside, port: Port, data: bytes, trace: Trace | None) -> None:
    """Bytes came in on a port."""
    found = port.decode(data)
    stops = [at for at, each in enumerate(found) if isinstance(each, Arrived) and each.channel is Channel.STOP]
    for at in stops:
        _take(pen, port, found[at], trace)
    last_stop = stops[-1] if stops else -1
    for at, each in enumerate(found):
        if isinstance(each, Broken) or each.channel is not Channel.STOP:
            _take(pen, port, each, trace, overtaken=at < last_stop)
    wind(pen)


def _take(pen: Inside, port: Port, arrived: Arrived | Broken, trace: Trace | None, *, overtaken: bool = False) -> None:
    """One frame: answered, or refused with its reason when it says whom to answer."""
    if isinstance(arrived, Broken):
        return
    channel, body = arrived
    if channel is not Channel.STOP and not port.takes_requests:
        port.lose()
        return
    seal, opcode = 0, peek_opcode(body)
    if opcode == Opcode.SEALED:
        inner = unsealed(pen, port, channel, body)
        if inner is None:
            if channel is Channel.STOP:
                _stop(pen, Asked(port.number, channel, UNASKED), trace)
            return
        seal, body, opcode = port.seal.number, inner, peek_opcode(inner)
    asked = Asked(port.number, channel, peek_request_id(body), seal)
    pen.bench.heard(asked.port, channel, opcode, asked.request_id)
    reason = refusal_of(pen, asked, opcode)
    if reason is Reason.NONE and seal and isinstance(port, GattPort) and unanswered(pen, port, channel, opcode):
        reason = Reason.BUSY
    if reason is not Reason.NONE:
        _refuse(pen, asked, opcode, reason)
        return
    try:
        message = decode_envelope(channel, body).message
    except ProtocolError as error:
        if channel is Channel.STOP and opcode in STOP_OPCODES:
            _stop(pen, asked, trace)
        _refuse(pen, asked, opcode, error.reason, error.limit_value)
        return
    if type(message) not in COMMANDS:
        _question(pen, port, asked, message, body, trace)
    elif overtaken and message.effect in (Effect.RAISES, Effect.KEEPS_ALIVE):
        _refuse(pen, asked, opcode, Reason.HOST_STOP)
    else:
        _command(pen, asked, message, trace)


def _stop(pen: Inside, asked: Asked, trace: Trace | None) -> None:
    """Whoever says Stop badly still says it; a symptom that can't be read stops and locks nothing (SR-STOP-4)."""
    authenticated = int(port_is_authenticated(pen, asked))
    feed(pen, Event(kind=EventKind.STOP, authenticated=authenticated, port=asked.port + 1), trace)


def _question(pen: Inside, port: Port, asked: Asked, message: Message, body: bytes, trace: Trace | None) -> None:
    """What is no command is asked, or not built, or no request."""
    if isinstance(message, pairing.WRITES):
        _owner_request(pen, port, asked, message)
        return
    question = QUESTIONS.get(type(message))
    if question is None:
        built = not isinstance(message, Request)
        _refuse(pen, asked, int(message.opcode), Reason.UNKNOWN_OPCODE if built else Reason.NOT_BUILT)
        return
    answer = question(pen, port, message, trace)
    if isinstance(answer, identity.Status) and not port_is_authenticated(pen, asked):
        answer = replies.status(pen, to_stranger=True)
    if isinstance(answer, identity.HelloReply) and asked.request_id != UNASKED:
        port.seal.note(body, encode_envelope(Envelope(asked.channel, asked.request_id, answer)))
    _tell(pen, asked, answer)


def _owner_request(pen: Inside, port: Port, asked: Asked, message: Message) -> None:
    """What pairs or releases may wait for a write, and then nothing else may that does."""
    waiting = pen.deferred
    if waiting is None:
        answer = pairing.take(pen, port, message)
        if answer is None:
            pen.deferred = Deferred(message, (asked,), 0, 0)
        else:
            _tell(pen, asked, answer)
    elif waiting.message == message:
        pen.deferred = waiting._replace(asked=(*waiting.asked[: COMMANDS_REMEMBERED - 1], asked))
    else:
        _refuse(pen, asked, int(message.opcode), Reason.BUSY)


def _tell(pen: Inside, asked: Asked, answer: Message) -> None:
    """An answer that may be a refusal, which is then counted."""
    if isinstance(answer, refusal.Refused):
        _refuse(pen, asked, int(answer.refused_opcode), answer.reason, answer.limit)
    else:
        _answer(pen, asked, answer)


def _answer(pen: Inside, asked: Asked, message: Message) -> None:
    port = pen.ports.get(asked.port)
    if port is not None and asked.request_id != UNASKED:
        port.reply(asked.channel, asked.request_id, message, asked.seal)
        pen.bench.answered(asked.port, asked.request_id)


def _refuse(pen: Inside, asked: Asked, opcode: int, reason: int, limit: int = 0) -> None:
    pen.refusals = min(pen.refusals + 1, REFUSALS_MAX)
    pen.last_refusal = opcode, int(reason)
    _answer(pen, asked, replies.refused(opcode, reason, limit))


# Questions


def _hello(pen: Inside, port: Port, message: Any, trace: Trace | None) -> Message:
    end_channel(pen, port, trace)
    pairing.gone(pen, port.number)
    if message.protocol_version != PROTOCOL_VERSION:
        port.greeted = False
        return replies.refused(Opcode.HELLO, Reason.VERSION_MISMATCH, int(PROTOCOL_VERSION))
    port.greeted = True
    return hello_reply(pen.store.factory, pen.store.calibration_id, pen.profile, pen.boot_id, pen.tick_ms)


Question = Callable[[Inside, Port, Any, Trace | None], Message]

QUESTIONS: Final[dict[type[Message], Question]] = {
    identity.Hello: _hello,
    identity.GetStatus: lambda pen, *_: replies.status(pen),
    identity.GetLastCommand: lambda pen, *_: replies.last_command(pen),
    identity.GetCartridge: lambda pen, *_: replies.cartridge(pen),
    identity.GetSelfTest: lambda pen, *_: replies.self_test(pen),
    records.GetHistory: disclosure.history,
    records.GetHistoryState: disclosure.history_state,
    owner.OpenChannel: open_channel,
    owner.GetOwner: lambda pen, *_: pairing.standing(pen),
}


# Commands


def event_of(pen: Inside, asked: Asked, message: Any) -> Event:
    """What the core is told of a command: its fields by name, its age by the pen's own ticks, the pen's conditions."""
    cls = type(message)
    fields: dict[str, Any] = {name: getattr(message, name) for name in COPIED[cls]}
    authenticated = int(port_is_authenticated(pen, asked))
    fields |= {"kind": COMMANDS[cls], "authenticated": authenticated, "port": asked.port + 1}
    quoted = getattr(message, "seen_tick_ms", None)
    if quoted is not None:
        age = (pen.tick_ms - quoted) & TICK_MASK
        fields |= {"age_ms": 0, "future": 1} if age >= HALF_RANGE else {"age_ms": age}
    if isinstance(message, therapy.TherapyCommand):
        fields["digest"] = crc32(message.encode(), int(message.opcode))
    if isinstance(message, WITH_CONDITIONS):
        fields |= conditions(pen)
    if isinstance(message, therapy.Prepare):
        fields["tag_low"], fields["tag_high"] = halves(message.tag_id)
    elif isinstance(message, therapy.AcknowledgeFault):
        fields |= {"reason": message.fault, "contact": int(pen.sensors.contact != 0)}
    elif isinstance(message, therapy.RunSelfTest):
        fields["contact"] = int(pen.sensors.contact != 0)
    elif isinstance(message, stop.ReportSymptom) and not authenticated:
        fields["symptom"] = 0  # a plain stop: what the pen gives as its reason is what the owner's host believes
    elif isinstance(message, therapy.OpenSession):
        fields["session_id"] = pen.store.record.session_id + 1
    elif isinstance(message, therapy.SetClock):
        fields |= _clock_fields(pen, message.utc_s)
    if "duplicate-check" in pen.disabled and isinstance(message, therapy.TherapyCommand):
        fields |= {"command_id": pen.state.last_id + 1, "age_ms": 0, "future": 0}
    return Event(**fields)


def _clock_fields(pen: Inside, utc_s: int) -> dict[str, int]:
    """What the core is told beside a new clock; from 0 no step without a press leads away."""
    now_s = pen.sensors.utc_s
    # A hold says nothing of a clock, and is no time for one (`hold`).
    if pen.button.holds or not pen.clock_sets.allow(pen.run_s, abs(utc_s - now_s)):
        now_s = 0
    pressed = int(pen.press_left_ms > 0 and not pen.button.holds)
    return {"clock_now_s": now_s, "clock_floor_s": pen.store.earliest_s, "pressed": pressed}


def _why_not_now(pen: Inside, message: Any) -> Reason:
    """Why the pen does not take an order now, whatever it is worth; NONE if the core is to judge it."""
    if isinstance(message, ENDS_REST) and pairing.hands_over(pen):
        return Reason.BUSY
    if isinstance(message, therapy.AdoptSession) and disclosure.session_is_anothers(pen):
        return Reason.NOT_OWNER  # its reply would tell what that session made
    if isinstance(message, therapy.SetClock) and message.utc_s > latest_s(pen.store):
        return Reason.CALIBRATION_EXPIRED
    return Reason.NONE


def _command(pen: Inside, asked: Asked, message: Any, trace: Trace | None) -> None:
    opcode = int(message.opcode)
    raises = message.effect is Effect.RAISES
    waiting = pen.deferred
    if raises and waiting is not None:
        if waiting.message == message:
            pen.deferred = waiting._replace(asked=(*waiting.asked[: COMMANDS_REMEMBERED - 1], asked))
        else:
            _refuse(pen, asked, opcode, Reason.BUSY)
        return
    why_not = _why_not_now(pen, message)
    if why_not is not Reason.NONE:
        limit = int(CALIBRATION_S) if why_not is Reason.CALIBRATION_EXPIRED else 0
        _refuse(pen, asked, opcode, why_not, limit)
        return
    kept = pen.host_record
    if isinstance(message, therapy.OpenSession | therapy.CloseSession):
        pen.host_record = message.record_number, message.record_hash
    event = event_of(pen, asked, message)
    said = pen.symptoms.said
    answer = feed(pen, event, trace)
    of_health = isinstance(message, stop.ReportSymptom) and event.authenticated == 1
    unwritten = of_health and pen.symptoms.written < pen.symptoms.said  # a stranger finds out of no write
    if pen.symptoms.said != said or unwritten:
        pen.symptoms.replies.append((pen.symptoms.said, asked, replies.granted(pen, message)))
    elif answer.verdict == Verdict.REFUSED:
        pen.host_record = kept
        _refuse(pen, asked, opcode, answer.reason, replies.limit_of(pen, answer.reason, event))
    elif answer.verdict == Verdict.REPEATED:
        pen.host_record = kept
        remembered = pen.remembered.get(message.command_id)
        if remembered is not None:
            _answer(pen, asked, remembered)
        else:
            _refuse(pen, asked, opcode, Reason.COMMAND_ID_REUSED)
    else:
        _applied(pen, asked, message, event)


def _applied(pen: Inside, asked: Asked, message: Any, event: Event) -> None:
    if message.effect is Effect.RAISES:
        session_id = pen.state.session_id
        pen.last = LastApplied(session_id, message.command_id, int(message.opcode), pen.tick_ms)
    if isinstance(message, therapy.AdoptSession):
        effects.adopted(pen)
    elif isinstance(message, therapy.BeginPass | therapy.ResumePass):
        pen.head.look_again()
    if isinstance(message, DEFERRED) and pen.deferred is None:
        pen.deferred = Deferred(message, (asked,), event.session_id, 0)
        return
    _answer(pen, asked, _remember(pen, message, replies.granted(pen, message)))


def _remember(pen: Inside, message: Any, reply: Message) -> Message:
    """Keep the reply to a command, for the case that the same one comes again."""
    if message.effect is Effect.RAISES:
        pen.remembered[message.command_id] = reply
        while len(pen.remembered) > COMMANDS_REMEMBERED:
            del pen.remembered[next(iter(pen.remembered))]
    return reply


def _answer_symptoms(pen: Inside) -> None:
    """Say that a symptom is taken once its lock is written down: the drive was cut long before (SR-SYM-1)."""
    waiting = pen.symptoms.replies
    while waiting and waiting[0][0] <= pen.symptoms.written:
        _, asked, reply = waiting.popleft()
        if pen.symptoms.failed:
            reply = replies.refused(Opcode.REPORT_SYMPTOM, Reason.FLASH_FAILED)
        _answer(pen, asked, reply)


def forget_port(pen: Inside, port: int) -> None:
    """A connection is gone: its symptoms stay written, and nobody is there to be told."""
    pen.symptoms.replies = deque(each for each in pen.symptoms.replies if each[1].port != port)
    if pen.deferred is not None:
        left = tuple(asked for asked in pen.deferred.asked if asked.port != port)
        pen.deferred = pen.deferred._replace(asked=left)


def _resolve_owner_request(pen: Inside, waiting: Deferred) -> None:
    """The old owner's channels end once everybody is told, so that who released the pen still hears it under seal."""
    answer = pairing.outcome(pen, waiting.message)
    if answer is not None:
        pen.deferred = None
        for asked in waiting.asked:
            _tell(pen, asked, answer)
        pairing.settle(pen)


def resolve_deferred(pen: Inside) -> None:
    """Answer what waited for a write, once it is known what came of it."""
    _answer_symptoms(pen)
    waiting = pen.deferred
    if waiting is None:
        return
    message, state = waiting.message, pen.state
    if isinstance(message, pairing.WRITES):
        _resolve_owner_request(pen, waiting)
        return
    reason = Reason.NONE
    if isinstance(message, therapy.OpenSession):
        if state.state == State.OPENING:
            return
        if state.session_id != waiting.session_id:
            reason = Reason(state.reason) if state.reason != Reason.NONE else Reason.FLASH_FAILED
    elif isinstance(message, therapy.CloseSession):
        if state.session_id == waiting.session_id and state.state in CLOSES_SOON:
            return
    elif isinstance(message, therapy.SetClock):
        if pen.clock_wanted_s and not pen.clock_failed:
            return
        reason = Reason.FLASH_FAILED if pen.clock_failed else Reason.NONE
    pen.deferred = None
    if reason is Reason.NONE:
        reply = _remember(pen, message, replies.granted(pen, message))
    else:
        reply = _remember(pen, message, replies.refused(int(message.opcode), reason))
    for asked in waiting.asked:
        _answer(pen, asked, reply)


assert set(COMMANDS) == set(replies.APPLIED), "each command has its reply"
_STOP_FIRST: Final = (stop.Stop, stop.ReportSymptom)
assert all(each in COMMANDS for each in _STOP_FIRST), "Stop and the symptom reach the core"
