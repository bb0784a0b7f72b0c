"""Each bit of each kind of record, both ways: what was altered is dropped and changes nothing, and the good one works.

On the Stop channel an altered record is obeyed as a plain Stop (`test_raw_sealed`), so there it may stop, and no more.
"""

import struct
from collections import Counter
from typing import Final

import pytest

from dermalink_protocol.channels import Channel
from dermalink_protocol.pairing import steps
from dermalink_protocol.pairing.spake2plus import Parties
from dermalink_protocol.schema import Message
from dermalink_protocol.sealing.records import Dropped
from dermalink_simulator.firmware.access import ONLY_CLEAR
from dermalink_simulator.firmware.pairing_run import terms_of
from dermalink_simulator.seam import PortKind
from tests.security.test_raw_strangers import REQUESTS, STOPS, would_be_granted
from tests.support import raw_pen as raw
from tests.support.pairing_host import PAIR_REPLY, PairingHost, press
from tests.support.raw_pen import raw_pen
from tests.support.sealed_client import SealedClient, inside, owned_pen, owner_of
from tests.unit.protocol.sealing_ends import every_flip

SEALED_REQUESTS: Final = [each for each in REQUESTS if int(each.opcode) not in ONLY_CLEAR | set(STOPS)]


@pytest.mark.sr("SR-SEC-1", side="pen")
@pytest.mark.parametrize("request_type", SEALED_REQUESTS, ids=lambda each: each.__name__)
def test_no_record_of_any_kind_with_any_bit_altered_is_taken_by_the_pen(request_type: type[Message]) -> None:
    owner = owner_of(owned_pen())
    owner.open()
    before = owner.status()
    channel = int(request_type.channel or Channel.COMMAND)
    _, body = owner.body(int(request_type.opcode), would_be_granted(owner, request_type))
    good = owner.sealed(channel, body)
    heard, dropped = len(owner.opened), owner.inside.dropped
    bad = [good[:4] + changed for changed in every_flip(good[4:])]
    for each in bad:
        owner.put(channel, each)
    owner.pump()
    assert owner.inside.dropped == dropped + len(bad)
    assert [got for got in owner.opened[heard:] if got.request_id] == []
    after = owner.status()
    names = ("state", "session", "utc")
    assert [after[name] for name in names] == [before[name] for name in names]
    heard = len(owner.opened)
    owner.put(channel, good)
    owner.pen.advance(100)
    owner.pump()
    assert [got for got in owner.opened[heard:] if got.request_id]


@pytest.mark.sr("SR-SEC-1", side="pen")
@pytest.mark.parametrize("request_type", SEALED_REQUESTS, ids=lambda each: each.__name__)
def test_nothing_opens_where_any_bit_before_a_record_is_altered(request_type: type[Message]) -> None:
    """Opcode and request id stand in the clear: with a bit of them altered a sealed message is none any more."""
    owner = owner_of(owned_pen())
    owner.open()
    before = owner.status()
    channel = int(request_type.channel or Channel.COMMAND)
    _, body = owner.body(int(request_type.opcode), would_be_granted(owner, request_type))
    good = owner.sealed(channel, body)
    heard = len(owner.opened)
    for changed in every_flip(good[:4]):
        owner.put(channel, changed + good[4:])
    owner.pump()
    assert [got for got in owner.opened[heard:] if got.request_id] == []
    after = owner.status()
    assert [after[name] for name in ("state", "session", "utc")] == [
        before[name] for name in ("state", "session", "utc")
    ]
    heard = len(owner.opened)
    owner.put(channel, good)
    owner.pen.advance(100)
    owner.pump()
    assert [got for got in owner.opened[heard:] if got.request_id]


@pytest.mark.sr("SR-SEC-1", "SR-STOP-4", side="pen")
@pytest.mark.parametrize(("opcode", "payload"), [(raw.STOP, b""), (raw.SYMPTOM, b"\1")], ids=["stop", "symptom"])
def test_no_altered_bit_of_a_stop_or_a_symptom_locks_anything_and_each_is_obeyed_as_a_plain_stop(
    opcode: int, payload: bytes
) -> None:
    owner = owner_of(owned_pen())
    owner.open()
    _, body = owner.body(opcode, payload)
    good = owner.sealed(raw.ON_STOP, body)
    dropped = owner.inside.dropped
    for changed in every_flip(good[4:]):
        owner.put(raw.ON_STOP, good[:4] + changed)
    state = inside(owner.pen).state
    assert (state.symptom, state.symptom_s) == (0, 0)
    assert owner.inside.dropped == dropped + 8 * len(good[4:])
    owner.put(raw.ON_STOP, good)
    owner.pen.advance(100)
    assert bool(inside(owner.pen).state.symptom_s) is (opcode == raw.SYMPTOM)


class Suspicious(SealedClient):
    """Before it opens what the pen sealed, it tries the same with each bit altered, as somebody on the line could."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.flipped: Counter[int] = Counter()

    def _bodies(self) -> list[tuple[int, bytes]]:
        found = super()._bodies()
        if self.session is None:
            return found
        for channel, body in found:
            kinds = [self.session.opener.open(Channel(channel), changed) for changed in every_flip(body[4:])]
            assert all(isinstance(each, Dropped) for each in kinds)
            self.flipped[channel] += 1
        return found


@pytest.mark.sr("SR-SEC-1", side="host")
@pytest.mark.parametrize("kind", list(PortKind))
def test_no_record_of_any_kind_with_any_bit_altered_is_opened_by_the_host(kind: PortKind) -> None:
    owner = Suspicious(owned_pen(), kind).connect()
    assert isinstance(owner, Suspicious)
    for opcode in (raw.GET_LAST, raw.GET_CARTRIDGE):
        owner.ask(raw.ON_STATUS, opcode)
    owner.ask(raw.ON_RECORDS, raw.GET_HISTORY_STATE)
    owner.open()
    owner.run_pass()
    owner.ask(raw.ON_COMMAND, raw.PAUSE, struct.pack("<I", owner.session_id))
    owner.ask(raw.ON_STOP, raw.STOP)
    owner.pen.advance(300)
    owner.pump()
    assert set(owner.flipped) >= {raw.ON_STATUS, raw.ON_COMMAND, raw.ON_TELEMETRY, raw.ON_RECORDS, raw.ON_STOP}
    told = {got.opcode for got in owner.opened}
    kinds = {raw.STATUS, raw.LAST, raw.CARTRIDGE, raw.OPENED, raw.PREPARED, raw.BEGUN, raw.RENEWED, raw.STOPPED}
    assert told >= {*kinds, raw.HISTORY_STATE, raw.TELEMETRY, raw.STATE_CHANGED, raw.PAUSED}


# Pairing: shares, confirmations and sealed keys bit by bit are in `test_spake2plus` and `test_owner_keys`


@pytest.mark.sr("SR-SEC-1", "SR-SEC-2", side="pen")
def test_no_bit_of_what_a_pairing_is_bound_to_may_be_another() -> None:
    """Hello, its reply, the host's id, the salt and the count: all that is said and neither share nor confirmation."""
    pen = raw_pen(seed=3).pen
    press(pen)
    host = PairingHost(pen)
    _, share = host.prover()
    assert host.step(steps.SHARE, share).opcode == PAIR_REPLY
    run = inside(pen).pairing.run
    assert run is not None
    told, setup = steps.HostShare.unpack(run.share), run.setup

    def bound(said: list[bytes]) -> Parties:
        return Parties.of(1, steps.negotiated(*said[:3]), said[3], run.serial_number)

    good: list[bytes] = [*run.said, terms_of(setup), told.host_id]
    altered = [
        bound([*good[:which], flipped, *good[which + 1 :]]) for which in range(4) for flipped in every_flip(good[which])
    ]
    assert len({each.context + each.prover for each in (bound(good), *altered)}) == len(altered) + 1
    answers = {run.answer()}
    for which in range(2):
        said = list(run.said)
        said[which] = every_flip(said[which])[-1]
        answers.add(run._replace(said=(said[0], said[1])).answer())
    answers.add(run._replace(share=every_flip(run.share)[0]).answer())
    answers.add(run._replace(setup=setup._replace(iterations=setup.iterations ^ 1)).answer())
    assert len(answers) == 5
