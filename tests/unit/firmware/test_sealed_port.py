"""A port under seal: the order of its counters, whose turn it is, what a seal costs on the air, and its end."""

import struct

import pytest

from dermalink_protocol.channels import AttError, Channel
from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import TELEMETRY_BATCH
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.samples import SAMPLE_BYTES
from dermalink_protocol.schema import ENVELOPE_BYTES
from dermalink_protocol.sealing.records import COUNTER_MAX
from dermalink_protocol.segmentation import FIRST, Joined, Reassembler, Segmenter
from dermalink_simulator.firmware.gatt import GattPort
from dermalink_simulator.firmware.ports import REPLIES_MAX
from dermalink_simulator.seam import PortKind
from tests.support import raw_pen as raw
from tests.support.raw_pen import frame
from tests.support.sealed_client import SEALED, SealedClient, inside, owned_pen, owner_of


def counters(owner: SealedClient) -> list[int]:
    """The counters of the records that come from the pen, in the order in which they are whole."""
    joined = {channel: Reassembler() for channel in Channel}
    found = []
    while value := owner.port.read():
        for event in joined[Channel(value[0])].feed(value[1:]):
            if isinstance(event, Joined):
                assert struct.unpack_from("<H", event.body)[0] == SEALED
                found.append(struct.unpack_from("<I", event.body, ENVELOPE_BYTES)[0])
    return found


def over_gatt(att_mtu: int = 247) -> SealedClient:
    return owner_of(owned_pen(), PortKind.GATT, att_mtu)


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_a_message_is_numbered_when_it_is_sent_and_not_when_it_is_queued() -> None:
    owner = over_gatt()
    owner.port.clog(clogged=True)
    for _ in range(3):
        owner.send(raw.ON_STATUS, raw.GET_STATUS)
    owner.send(raw.ON_STOP, raw.STOP)
    owner.port.clog(clogged=False)
    found = counters(owner)
    assert found == list(range(found[0], found[0] + 4))


@pytest.mark.sr("SR-STOP-4", side="pen")
def test_what_stop_answers_under_seal_overtakes_what_is_under_way() -> None:
    owner = over_gatt(23)
    owner.port.clog(clogged=True)
    owner.send(raw.ON_STATUS, raw.GET_STATUS)
    owner.send(raw.ON_STOP, raw.STOP)
    first = owner.port.number
    value = inside(owner.pen).ports[first].take()
    assert value[0] == Channel.STOP
    assert value[1] & FIRST


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_a_message_that_is_cut_anew_is_sealed_anew() -> None:
    """What the host has of it under the first counter is never completed."""
    owner = over_gatt(23)
    owner.port.agree_mtu(64)
    owner.att_mtu = 64
    owner.port.clog(clogged=True)
    request_id = owner.send(raw.ON_STATUS, raw.GET_STATUS)
    port = owner.inside
    assert isinstance(port, GattPort)
    begun = port.take()
    assert begun[1] & FIRST
    owner.port.agree_mtu(23)
    owner.att_mtu = 23
    owner.port.clog(clogged=False)
    assert owner.reply(request_id).opcode == raw.STATUS
    again = struct.unpack_from("<I", begun, 2 + ENVELOPE_BYTES)[0]
    owner.send(raw.ON_STATUS, raw.GET_STATUS)
    assert counters(owner) == [again + 2]


# Whose turn it is


@pytest.mark.sr("SR-CMD-2", side="pen")
def test_under_seal_a_second_procedure_is_answered_as_busy_and_a_renewal_is_taken() -> None:
    owner = over_gatt()
    fields = struct.pack("<IHI32s", owner.boot_id, 500, 0, raw.NO_HASH)
    opening = owner.send(raw.ON_COMMAND, raw.OPEN, owner.header() + fields)
    testing = owner.body(raw.SELF_TEST, struct.pack("<IHI", 9, 500, owner.seen_tick))
    sealed = owner.sealed(raw.ON_COMMAND, testing[1])
    in_clear = bytes([raw.ON_COMMAND]) + Segmenter().cut(testing[1], owner.att_mtu)[0]
    assert owner.port.refusal(in_clear) == AttError.IN_PROGRESS
    owner.put(raw.ON_COMMAND, sealed)
    renewing = owner.send(raw.ON_COMMAND, raw.RENEW, struct.pack("<II", 1, owner.seen_tick))
    assert owner.reply(testing[0]).refusal == (raw.SELF_TEST, Reason.BUSY, 0)
    assert owner.reply(renewing).reason != Reason.BUSY
    assert owner.reply(opening).opcode == raw.OPENED


@pytest.mark.sr("SR-CMD-2", side="pen")
def test_under_seal_a_procedure_lasts_until_its_answer_is_sent() -> None:
    owner = over_gatt(23)
    owner.port.clog(clogged=True)
    history, state = owner.body(raw.GET_HISTORY, struct.pack("<I", 1)), owner.body(raw.GET_HISTORY_STATE)
    for _, body in (history, state):
        owner.put(raw.ON_RECORDS, owner.sealed(raw.ON_RECORDS, body))
    owner.port.clog(clogged=False)
    assert owner.reply(state[0]).refusal == (raw.GET_HISTORY_STATE, Reason.BUSY, 0)
    assert owner.reply(history[0]).opcode != raw.REFUSED
    assert owner.ask(raw.ON_RECORDS, raw.GET_HISTORY_STATE).opcode == raw.HISTORY_STATE


@pytest.mark.sr("SR-CMD-2", side="pen")
def test_under_seal_as_well_there_must_be_room_for_the_reply() -> None:
    owner = over_gatt()
    owner.port.clog(clogged=True)
    for _ in range(REPLIES_MAX):
        owner.send(raw.ON_STATUS, raw.GET_STATUS)
    sealed = owner.sealed(raw.ON_STATUS, owner.body(raw.GET_STATUS)[1])
    value = bytes([raw.ON_STATUS]) + Segmenter().cut(sealed, owner.att_mtu)[0]
    assert owner.port.refusal(value) == AttError.IN_PROGRESS
    stop = owner.sealed(raw.ON_STOP, owner.body(raw.STOP)[1])
    assert owner.port.refusal(bytes([raw.ON_STOP]) + Segmenter().cut(stop, owner.att_mtu)[0]) == 0


@pytest.mark.sr("SR-SEC-1", side="pen")
@pytest.mark.parametrize("kind", list(PortKind))
def test_with_the_channel_goes_what_waited_for_its_seal(kind: PortKind) -> None:
    owner = owner_of(owned_pen(), kind)
    owner.port.clog(clogged=True)
    for _ in range(REPLIES_MAX):
        owner.send(raw.ON_STATUS, raw.GET_STATUS)
    port = owner.inside
    lost, took = port.lost, port.takes_requests
    port.end_seal()
    assert (took, port.takes_requests) == (False, True)
    assert port.lost == lost + REPLIES_MAX
    assert port.take() == b""


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_an_answer_never_goes_under_another_channels_seal() -> None:
    """A session is being written down when its owner says hello and opens another channel on the same port."""
    owner = over_gatt()
    fields = struct.pack("<IHI32s", owner.boot_id, 500, 0, raw.NO_HASH)
    owner.send(raw.ON_COMMAND, raw.OPEN, owner.header() + fields)
    assert inside(owner.pen).deferred is not None
    owner.port.read()
    owner.hello()
    owner.open_channel()
    owner.opened.clear()
    owner.pen.advance(1_000)
    owner.pump()
    assert inside(owner.pen).deferred is None
    assert raw.OPENED not in {got.opcode for got in (*owner.opened, *owner.in_clear)}


@pytest.mark.sr("SR-SEC-1", side="pen")
@pytest.mark.parametrize("kind", list(PortKind))
def test_without_a_counter_left_the_channel_is_over(kind: PortKind) -> None:
    owner = owner_of(owned_pen(), kind)
    session = owner.inside.seal._session
    assert session is not None
    session.sealer._next = COUNTER_MAX
    session.sealer._epoch = COUNTER_MAX >> 16
    for _ in range(3):
        owner.send(raw.ON_STATUS, raw.GET_STATUS)
    port = owner.inside
    assert (port.seal.number, port.seal.proven) == (0, False)
    owner.port.read()
    owner.session = None
    assert owner.renew().reason == Reason.NOT_AUTHENTICATED


# What it costs: records of 24 bytes more, and the values of a batch of telemetry, of the status, of a renewal's answer


@pytest.mark.parametrize(
    ("att_mtu", "batch", "status", "renewed"),
    [(23, (5, 6), (3, 4), (1, 2)), (185, (1, 1), (1, 1), (1, 1)), (247, (1, 1), (1, 1), (1, 1))],
)
def test_a_seal_takes_so_many_values_more(
    att_mtu: int, batch: tuple[int, int], status: tuple[int, int], renewed: tuple[int, int]
) -> None:
    owner = over_gatt(att_mtu)
    port = owner.inside
    assert isinstance(port, GattPort)
    samples = bytes(TELEMETRY_BATCH * SAMPLE_BYTES)
    found = []
    for say in (
        lambda: port.notify(Telemetry(sequence=1, tick_ms=0, samples=samples)),
        lambda: owner.send(raw.ON_STATUS, raw.GET_STATUS),
        lambda: owner.send(raw.ON_COMMAND, raw.RENEW, struct.pack("<II", 1, 0)),
    ):
        owner.port.read()
        say()
        values = []
        while value := owner.port.read() or port.take():
            values.append(value)
        body = b"".join(value[2:] for value in values)
        clear = Segmenter().cut(body[: len(body) - 24], att_mtu)
        found.append((len(clear), len(values)))
    assert found == [batch, status, renewed]


def test_a_sealed_frame_on_a_stream_is_24_bytes_longer() -> None:
    owner = owner_of(owned_pen())
    _, body = owner.body(raw.GET_STATUS)
    sealed = owner.sealed(raw.ON_STATUS, body)
    clear = frame(raw.ON_STATUS, raw.GET_STATUS, 1)
    assert len(frame(raw.ON_STATUS, SEALED, 0, sealed[4:])) - len(clear) == 24
