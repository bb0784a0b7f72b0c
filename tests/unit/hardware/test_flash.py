"""NOR flash: what it does to bits, and what is on it after power went away in the middle."""

import mmap
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermalink_simulator.hardware.chance import generator
from dermalink_simulator.hardware.flash import Flash, FlashImageError, Tear
from dermalink_simulator.hardware.physics import Physics
from dermalink_simulator.seam import FLASH_BYTES, SECTOR_BYTES, FlashOp
from tests.unit.hardware.rig import BLANK, Rig


def chip(seed: int = 0, cells: bytes | bytearray | mmap.mmap = BLANK) -> Flash:
    return Flash(Physics(), generator(seed, "flash"), cells)


def do(flash: Flash, address: int, data: bytes) -> bool:
    flash.begin(FlashOp(address, data))
    return flash.end()


def test_a_write_holds_and_an_erase_clears_its_sector_only() -> None:
    flash = chip()
    assert do(flash, SECTOR_BYTES - 2, b"\x01\x02\x03\x04")
    assert do(flash, 0, b"")
    assert flash.image()[: SECTOR_BYTES + 3] == b"\xff" * SECTOR_BYTES + b"\x03\x04\xff"


def test_bits_are_only_cleared_and_a_write_that_wants_more_fails() -> None:
    flash = chip()
    assert do(flash, 0, b"\xf0")
    assert do(flash, 0, b"\x30")
    assert not do(flash, 0, b"\xf0")
    assert flash.image()[0] == 0x30


@pytest.mark.parametrize(("address", "data"), [(FLASH_BYTES - 1, b"ab"), (FLASH_BYTES, b""), (1, b"")])
def test_an_operation_outside_the_chip_or_its_sectors_fails_and_changes_nothing(address: int, data: bytes) -> None:
    flash = chip()
    assert not do(flash, address, data)
    assert flash.image() == BLANK


def test_nothing_is_on_the_chip_before_the_operation_is_over() -> None:
    rig = Rig()
    rig.say("w0,00", 0)
    assert rig.pen.flash_image() == BLANK
    rig.pen.advance(1)
    assert rig.pen.flash_image()[0] == 0
    assert rig.firmware.done == [True]


def test_operations_take_their_time_one_after_another() -> None:
    rig = Rig()
    rig.say("w0,00 e4096 w4,00", 40)
    assert rig.firmware.done == [True]
    rig.pen.advance(6)
    assert rig.firmware.done == [True, True]
    rig.pen.advance(1)
    assert rig.firmware.done == [True, True, True]


@settings(max_examples=50)
@given(st.integers(0, 1 << 32), st.binary(min_size=1, max_size=600))
def test_a_torn_write_clears_only_bits_that_it_wanted_cleared(seed: int, data: bytes) -> None:
    cells = bytearray(BLANK)
    flash = chip(seed, cells)
    flash.begin(FlashOp(100, data))
    flash.lose_power()
    assert all(now | wanted == now for now, wanted in zip(cells[100:], data, strict=False))
    assert cells[:100] == BLANK[:100]
    assert cells[100 + len(data) :] == BLANK[100 + len(data) :]


@given(st.integers(0, 1 << 32))
@settings(max_examples=20)
def test_a_torn_erase_sets_bits_of_its_sector_only(seed: int) -> None:
    cells = bytearray(bytes(2 * SECTOR_BYTES) + BLANK[2 * SECTOR_BYTES :])
    flash = chip(seed, cells)
    flash.begin(FlashOp(0, b""))
    flash.lose_power()
    assert cells[SECTOR_BYTES:] == bytes(SECTOR_BYTES) + BLANK[2 * SECTOR_BYTES :]
    assert 0 in cells[:SECTOR_BYTES]


def test_tears_differ_with_the_seed() -> None:
    def torn(seed: int) -> bytes:
        flash = chip(seed)
        flash.begin(FlashOp(0, bytes(4_000)))
        flash.lose_power()
        return flash.image()

    assert len({torn(seed) for seed in range(10)}) > 5
    assert torn(3) == torn(3)


def test_a_cut_before_or_after_leaves_nothing_or_all() -> None:
    flash = chip()
    flash.begin(FlashOp(0, b"\x00\x01"))
    flash.lose_power(Tear.BEFORE)
    assert flash.image() == BLANK
    flash.begin(FlashOp(0, b"\x00\x01"))
    flash.lose_power(Tear.AFTER)
    assert flash.image()[:3] == b"\x00\x01\xff"


@pytest.mark.parametrize("operation", [1, 2, 3])
@pytest.mark.parametrize("tear", list(Tear))
def test_the_power_cut_fault_hits_the_operation_that_it_names(operation: int, tear: Tear) -> None:
    rig = Rig()
    rig.pen.faults.inject("flash", "power_cut", operation=operation, tear=tear)
    rig.say("w0,00 w1,00 w2,00", 100)
    assert not rig.pen.power.on
    assert len(rig.firmware.done) == operation - 1
    whole = operation - 1 + (tear is Tear.AFTER)
    assert rig.pen.flash_image()[:whole] == bytes(whole)
    assert rig.pen.flash_image()[operation:] == BLANK[operation:]
    rig.pen.power.restore()
    rig.pen.advance(100)
    assert rig.pen.power.on


def test_a_failing_write_leaves_no_trace_and_says_so() -> None:
    rig = Rig()
    rig.pen.faults.inject("flash", "write_failure", operations=2)
    rig.say("w0,00 w1,00 w2,00", 100)
    assert rig.firmware.done == [False, False, True]
    assert rig.pen.flash_image()[:3] == b"\xff\xff\x00"


def test_a_buffer_is_worked_on_in_place_and_bytes_are_copied() -> None:
    cells = mmap.mmap(-1, FLASH_BYTES)
    try:
        cells[:] = BLANK
        assert do(chip(0, cells), 5, b"\x07")
        assert cells[5] == 7
    finally:
        cells.close()
    do(chip(0, BLANK), 5, b"\x07")
    assert BLANK[5] == 0xFF


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(FlashImageError, match="4096 bytes"):
        chip(0, bytes(4_096))


def test_a_bad_sector_takes_nothing_and_the_others_do() -> None:
    rig = Rig()
    rig.pen.faults.inject("flash", "bad_sector", sector=1)
    rig.say("w4096,00 w0,00 e4096 w8192,00", 200)
    assert rig.firmware.done == [False, True, False, True]
    assert rig.pen.flash_image()[4096] == 0xFF


# What a fault lays over it


def bits_apart(one: bytes, other: bytes) -> int:
    return sum((a ^ b).bit_count() for a, b in zip(one, other, strict=True))


def test_rot_flips_as_many_bits_as_it_says_in_one_sector() -> None:
    flash = chip()
    do(flash, 3 * SECTOR_BYTES, b"\x00\x0f")
    before = flash.image()
    assert flash.rot(None, 9, Random(1)) == 3, "of the sectors that hold something"
    after = flash.image()
    assert bits_apart(before, after) == bits_apart(before[3 * SECTOR_BYTES :], after[3 * SECTOR_BYTES :]) == 9
    assert flash.rot(7, 1, Random(1)) == 7


def test_a_worn_sector_gets_blank_no_more_and_a_fresh_one_does() -> None:
    flash = chip()
    flash.stands_erases = 2
    for address, erases in ((0, [True, True, False]), (SECTOR_BYTES, [True, True])):
        done = []
        for _ in erases:
            do(flash, address, bytes(64))
            done.append(do(flash, address, b""))
        assert done == erases
    image = flash.image()
    assert image[:64].strip(b"\xff")
    assert not image[SECTOR_BYTES : SECTOR_BYTES + 64].strip(b"\xff")


@pytest.mark.parametrize("seed", range(8))
def test_what_lies_in_a_cache_reaches_the_cells_in_its_sectors_order_and_all_of_it_in_the_end(seed: int) -> None:
    flash, plain = chip(seed), chip(seed)
    flash.cache(5)
    random, orders = Random(seed), set()
    for number in range(60):
        address = random.randrange(4) * SECTOR_BYTES
        data = b"" if random.random() < 0.2 else random.randbytes(4)
        do(plain, address, data)
        assert do(flash, address, data), "it is called done"
        orders.add((number, flash.image() == plain.image()))
    assert any(not same for _, same in orders), "something lies in the cache"
    flash.cache(0)
    assert flash.image() == plain.image()


def test_power_that_goes_loses_some_of_what_lay_in_a_cache() -> None:
    left = set()
    for seed in range(20):
        flash = chip(seed)
        flash.cache(8)
        for sector in range(8):
            do(flash, sector * SECTOR_BYTES, b"\x00")
        assert flash.image() == BLANK
        flash.lose_power()
        left.add(bytes(flash.image()[sector * SECTOR_BYTES] for sector in range(8)))
    assert len(left) > 10
