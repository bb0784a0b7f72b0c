"""The pen's random numbers: by the written recipe, never the same again, and nothing to be told from what is kept."""

import pickle
import struct
from hashlib import sha256
from typing import ClassVar

from dermalink_simulator.firmware.entropy import Entropy
from dermalink_simulator.firmware.firmware import PenFirmware
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.seam import PowerCause
from tests.support.raw_pen import RawClient, raw_pen


def test_it_is_drawn_by_the_written_recipe() -> None:
    key = sha256(b"dermalink pen entropy 1" + bytes([7]) + bytes(31) + struct.pack("<I", 3)).digest()
    blocks = b"".join(sha256(key + b"block" + struct.pack("<I", at)).digest() for at in range(2))
    second = sha256(sha256(key + b"next").digest() + b"block" + bytes(4)).digest()
    entropy = Entropy(7, 3)
    assert entropy.draw(40) == blocks[:40]
    assert entropy.draw(32) == second


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
