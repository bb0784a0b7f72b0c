"""Code words: no two within three flipped bits of each other, none that dead memory reads as."""

import itertools
from collections.abc import Iterable

import pytest

from dermalink_protocol.codewords import DISTANCE, NEVER_VALID, WORD_SETS, Opcode, Reason, distance, free_words

ALL = [word for words in WORD_SETS for word in words]


def too_close(words: Iterable[int], never_valid: Iterable[int]) -> list[tuple[int, int]]:
    """Pairs of words that differ in fewer than `DISTANCE` bits; no word may be near one that is never valid either."""
    words = [int(word) for word in words]
    pairs = itertools.chain(itertools.combinations(words, 2), itertools.product(words, never_valid))
    return [pair for pair in pairs if distance(*pair) < DISTANCE]


def test_any_two_words_differ_in_four_bits_across_all_sets() -> None:
    assert too_close(ALL, NEVER_VALID) == []


@pytest.mark.parametrize("flips", [0b1, 0b11, 0b111, 0x8001, 0x8101])
@pytest.mark.parametrize("word", [Opcode.STOP, Opcode.BEGIN_PASS, Reason.NONE])
def test_a_planted_word_that_is_too_close_is_found(word: int, flips: int) -> None:
    assert (int(word), word ^ flips) in too_close([*ALL, word ^ flips], NEVER_VALID)


@pytest.mark.parametrize("planted", [0x0000, 0xFFFF, 0x0007, 0xFFF8])
def test_a_planted_word_near_dead_memory_is_found(planted: int) -> None:
    assert any(pair[0] == planted for pair in too_close([*ALL, planted], NEVER_VALID))


def test_words_fit_sixteen_bits_and_no_name_shares_one() -> None:
    assert all(0 < word < 0xFFFF for word in ALL)
    assert len({int(word) for word in ALL}) == len(ALL) == sum(len(words.__members__) for words in WORD_SETS)


def test_free_words_can_be_given_next() -> None:
    offered = list(itertools.islice(free_words(), 40))
    assert offered == sorted(set(offered))
    assert all(too_close([*ALL, word], NEVER_VALID) == [] for word in offered)
