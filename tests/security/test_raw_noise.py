"""Whatever bytes come, in whatever state: nothing breaks, nothing moves that should not, and service goes on."""

import random
import struct
from itertools import pairwise

import pytest

from tests.support import raw_pen as raw
from tests.support.raw_pen import RawClient, frame, raw_pen, states

OPCODES = [value for name, value in vars(raw).items() if name.isupper() and isinstance(value, int) and value > 0xFF]


def safe(client: RawClient, before: int) -> None:
    """No needle past the cap, and none out but in a pass that runs."""
    assert client.pen.skin.protruded_um <= 500
    if client.pen.needles_out:
        assert client.status()["state"] == raw.RUNNING
    assert client.pen.skin.punctures >= before


@pytest.mark.sr("SR-SEC-5", "SR-CMD-2", side="pen")
@pytest.mark.parametrize("seed", range(4))
def test_random_bytes_on_a_strangers_port_change_nothing(seed: int) -> None:
    draw = random.Random(seed)
    client = raw_pen()
    client.open()
    client.prepare()
    other = RawClient(client.pen)
    for _ in range(200):
        other.port.write(draw.randbytes(draw.randrange(1, 300)))
    assert client.status()["state"] == raw.PREPARED_STATE
    other.port.write(b"\0")
    assert other.ask(raw.ON_STATUS, raw.HELLO, struct.pack("<HI", 1, 7)).opcode == raw.HELLO_REPLY


@pytest.mark.sr("SR-SEC-5", "SR-DEPTH-1", "SR-STOP-5", side="pen")
@pytest.mark.parametrize("seed", range(6))
def test_random_messages_in_every_state_never_hurt(seed: int) -> None:
    draw = random.Random(seed)
    for name, client in states():
        punctures = client.pen.skin.punctures
        for _ in range(60):
            opcode = draw.choice(OPCODES)
            length = draw.choice([0, 2, 4, 7, 14, 16, 28, 52])
            payload = draw.randbytes(length)
            if draw.random() < 0.5 and length >= 14:
                payload = struct.pack("<IHII", client.command_id, 500, client.seen_tick, client.session_id)
                payload += draw.randbytes(length - 14)
            client.port.write(frame(draw.randrange(1, 7), opcode, draw.randrange(0x10000), payload))
            client.pen.advance(draw.choice([0, 5, 50]))
            client.pump()
        safe(client, punctures)
        if name not in ("running", "lifted"):
            assert client.pen.skin.punctures == punctures, name


@pytest.mark.sr("SR-CMD-2", side="pen")
def test_every_way_to_cut_bytes_gives_the_same() -> None:
    whole, cut = raw_pen(), raw_pen()
    data = b"boot text\r\n" + b"".join(frame(raw.ON_STATUS, raw.GET_STATUS, number) for number in range(900, 910))
    whole.port.write(data)
    for at in range(len(data)):
        cut.port.write(data[at : at + 1])
    whole.pump()
    cut.pump()
    assert [whole.reply(number).payload for number in range(900, 910)] == [
        cut.reply(number).payload for number in range(900, 910)
    ]


@pytest.mark.sr("SR-SEC-5", side="pen")
def test_a_flood_on_a_strangers_port_delays_neither_lease_nor_stop() -> None:
    client = raw_pen()
    client.open(lease_ms=500)
    client.run_pass()
    other = RawClient(client.pen)
    client.renew()
    flood = frame(raw.ON_STATUS, raw.GET_STATUS, 1) * 50 + random.Random(3).randbytes(500)
    waited = 0
    while client.pen.needles_out and waited < 700:
        other.port.write(flood)
        client.pen.advance(1)
        waited += 1
    assert waited <= 530


@pytest.mark.sr("SR-CMD-2", side="pen")
def test_a_request_without_an_id_is_not_answered_and_stop_without_one_still_stops() -> None:
    client = raw_pen()
    client.open()
    client.run_pass()
    client.pump()
    client.notes.clear()
    client.port.write(frame(raw.ON_STATUS, raw.GET_STATUS, 0))
    client.port.write(frame(raw.ON_STOP, raw.STOP, 0))
    client.pen.advance(25)
    assert not client.pen.needles_out
    client.pump()
    assert {note.opcode for note in client.notes} <= {raw.TELEMETRY, raw.STATE_CHANGED}


@pytest.mark.sr("SR-DEPTH-5", side="pen")
def test_telemetry_is_gap_free_and_tells_the_deepest_stroke() -> None:
    client = raw_pen()
    client.open()
    client.run_pass(depth=250)
    client.live(2_000)
    batches = [note.payload for note in client.notes if note.opcode == raw.TELEMETRY]
    numbers = [struct.unpack_from("<H", batch)[0] for batch in batches]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    full = [batch for batch in batches if len(batch) == 6 + 80]
    ticks = [struct.unpack_from("<I", batch, 2)[0] for batch in full]
    assert {after - before for before, after in pairwise(ticks)} == {100}
    depths = [struct.unpack_from("<H", batch, at)[0] for batch in full for at in range(6, 86, 8)]
    assert max(depths) >= client.pen.skin.protruded_um - 20
