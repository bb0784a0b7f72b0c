"""The pen's random numbers: by the written recipe, never the same again, and nothing to be told from what is kept."""

import pickle
import struct
from hashlib import sha256
from typing import ClassVar

from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import HANDSHAKE_EVERY_MS
from dermalink_protocol.pairing import steps
from dermalink_protocol.pairing.p256 import G, encoded
from dermalink_simulator.firmware.effects import UNTRACKED
from dermalink_simulator.firmware.entropy import Entropy
from dermalink_simulator.firmware.firmware import PenFirmware
from dermalink_simulator.firmware.flash_layout import HISTORY
from dermalink_simulator.firmware.flash_store import Transaction
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.seam import PowerCause
from tests.support.pairing_host import PAIR_REPLY, PairingHost, press
from tests.support.raw_pen import RawClient, raw_pen
from tests.support.sealed_client import CHANNEL_OPENED, ON_PAIRING, OPEN_CHANNEL, SealedClient, inside, owned_pen

RELEASE_OWNER = 0x391B


def test_it_is_drawn_by_the_written_recipe() -> None:
    key = sha256(b"dermalink pen entropy 1" + bytes([7]) + bytes(31) + struct.pack("<I", 3)).digest()
    blocks = b"".join(sha256(key + b"block" + struct.pack("<I", at)).digest() for at in range(2))
    second = sha256(sha256(key + b"next").digest() + b"block" + bytes(4)).digest()
    entropy = Entropy(7, 3)
    assert entropy.draw(40) == blocks[:40]
    assert entropy.draw(32) == second
    key = sha256(key + b"next").digest()
    key = sha256(key + b"next").digest()
    for number in (5, 1 << 31):
        key = sha256(key + b"stir" + struct.pack("<I", number)).digest()
    entropy.stir(5, 1 << 31)
    assert entropy.draw(32) == sha256(key + b"block" + bytes(4)).digest()


def test_no_two_draws_seeds_or_boots_give_the_same() -> None:
    drawn = [Entropy(seed, boots).draw(32) for seed in (0, 1, 1 << 255) for boots in (0, 1)]
    one = Entropy(0, 0)
    one.draw(32)
    drawn += [one.draw(32) for _ in range(8)]
    assert len(set(drawn)) == len(drawn)


def test_nothing_shows_its_key_and_a_snapshot_goes_on_as_it_would() -> None:
    entropy = Entropy(5, 1)
    assert repr(entropy) == "Entropy(not shown)"
    copy = pickle.loads(pickle.dumps(entropy))
    assert copy.draw(48) == entropy.draw(48)


class Noting(PenFirmware):
    """A firmware that notes its seeds."""

    seeds: ClassVar[list[int]] = []

    def power_on(self, flash: bytes, cause: PowerCause, seed: int) -> None:
        self.seeds.append(seed)
        super().power_on(flash, cause, seed)


def test_the_hardware_gives_256_bits_at_each_start() -> None:
    pen = SimulatedPen(seed=2, firmware=Noting)
    for _ in range(5):
        pen.power.cut()
        pen.power.restore()
    assert len(set(Noting.seeds)) == 6
    assert all(1 << 200 < seed < 1 << 256 for seed in Noting.seeds)


def test_the_same_flash_started_twice_with_the_same_seed_gives_another_boot_id() -> None:
    pen = raw_pen(seed=4).pen
    again = SimulatedPen(seed=4, flash=pen.flash_image())
    boot_ids = []
    for each in (pen, again):
        client = RawClient(each)
        client.hello()
        boot_ids.append(client.boot_id)
    assert boot_ids[0] != boot_ids[1]


def greeted(pen: SimulatedPen) -> SealedClient:
    """The owner, who has said hello."""
    client = SealedClient(pen)
    client.hello()
    return client


def test_no_channel_is_opened_until_the_start_is_counted_on_the_flash() -> None:
    pen = owned_pen()
    pen.power.cut()
    pen.faults.inject("flash", "slow", ms=5_000)
    pen.power.restore()
    client = greeted(pen)
    before = inside(pen).entropy._key
    assert client.open_channel().refusal == (OPEN_CHANNEL, Reason.BUSY, HANDSHAKE_EVERY_MS)
    assert inside(pen).entropy._key == before
    pen.faults.clear()
    pen.advance(10_000)
    client.connect()


def test_a_flash_that_takes_no_count_gets_no_channel_and_the_next_write_brings_the_count_along() -> None:
    pen = owned_pen()
    pen.power.cut()
    pen.faults.inject("flash", "write_failure", operations=1 << 20)
    pen.power.restore()
    pen.advance(2_000)
    client = greeted(pen)
    assert client.open_channel().reason == Reason.FLASH_FAILED
    pen.faults.clear()
    assert inside(pen).store.submit(Transaction(UNTRACKED, {}))
    pen.advance(1_000)
    client.connect()


def test_a_start_is_counted_though_the_history_has_no_room() -> None:
    pen = SimulatedPen(flash=bytearray(owned_pen().flash_image()))
    store = inside(pen).store
    starts, store.history.slots = store.record.boot_count, HISTORY.slots
    store.record = store.record._replace(session_open=1)  # whose end would have to be told
    assert not inside(pen).booted
    pen.advance(1_000)
    assert store.counted
    assert store.record.boot_count == starts + 1


class SameSeed(PenFirmware):
    """On hardware that gives the same seed at each start."""

    def power_on(self, flash: bytes, cause: PowerCause, seed: int) -> None:
        super().power_on(flash, cause, 7)


def broken() -> SimulatedPen:
    """An owned pen whose history was altered, and whose source of chance is broken as well."""
    image = bytearray(owned_pen().flash_image())
    image[HISTORY.address(0) + 20] ^= 1
    return SimulatedPen(flash=image, firmware=SameSeed)


def ephemeral(pen: SimulatedPen) -> bytes:
    """The pen's key of a handshake, as it goes over the wire."""
    got = greeted(pen).open_channel()
    assert got.opcode == CHANNEL_OPENED, hex(got.reason)
    return got.payload[:32]


def started_again(pen: SimulatedPen, off_ms: int = 0) -> None:
    pen.power.cut()
    if off_ms:
        pen.advance(off_ms)
    pen.power.restore()


def test_a_seed_that_comes_twice_makes_no_key_twice_where_no_start_can_be_counted() -> None:
    pen, keys = broken(), []
    for off_ms in (0, 0, 40, 700):
        pen.advance(1_000)
        keys += [ephemeral(pen), ephemeral(pen)]
        started_again(pen, off_ms)
    assert inside(pen).store.trouble is Reason.HISTORY_BROKEN
    assert not inside(pen).store.counted
    assert len(set(keys)) == len(keys)


def test_where_no_start_can_be_counted_no_two_starts_open_a_channel_in_the_same_second() -> None:
    pen, seconds = broken(), []
    for _ in range(3):
        while (got := greeted(pen).open_channel()).opcode != CHANNEL_OPENED:
            assert got.refusal == (OPEN_CHANNEL, Reason.BUSY, HANDSHAKE_EVERY_MS)
            pen.advance(50)
        seconds.append(inside(pen).sensors.ran_s)
        started_again(pen)
    assert len(set(seconds)) == 3


def test_a_seed_that_comes_twice_makes_no_share_of_a_pairing_twice() -> None:
    """A try is answered once it is on the flash, and with it, if not before, the number of the start."""
    pen, answers = SimulatedPen(firmware=SameSeed), []
    for _ in range(3):
        pen.advance(1_000)
        press(pen)
        got = PairingHost(pen).step(steps.SHARE, bytes(16) + encoded(G))
        assert got.opcode == PAIR_REPLY, hex(got.reason)
        assert inside(pen).store.counted
        answers.append(got.payload)
        started_again(pen)
    assert len(set(answers)) == 3


def test_without_a_sound_clock_either_no_channel_is_opened() -> None:
    pen = broken()
    pen.clock.lose()
    started_again(pen)
    pen.advance(5_000)
    client = greeted(pen)
    assert client.open_channel().refusal == (OPEN_CHANNEL, Reason.HISTORY_BROKEN, 0)
    assert client.status()["reason"] == Reason.HISTORY_BROKEN


def test_a_store_that_cannot_be_believed_still_lets_its_owner_look_and_do_nothing_that_lasts() -> None:
    image = bytearray(owned_pen().flash_image())
    image[HISTORY.address(0) + 20] ^= 1
    pen = SimulatedPen(flash=image)
    pen.advance(1_000)
    client = greeted(pen)
    assert inside(pen).store.trouble is Reason.HISTORY_BROKEN
    assert client.open_channel().opcode == CHANNEL_OPENED
    assert client.status()["reason"] == Reason.HISTORY_BROKEN
    before = bytes(image)
    assert client.open().refusal
    assert client.ask(ON_PAIRING, RELEASE_OWNER).refusal
    assert bytes(image) == before
    assert inside(pen).owner.owned
