"""What the steps of a pairing carry, and what the run is bound to."""

import pytest

from dermalink_protocol.pairing import steps
from dermalink_protocol.pairing.errors import BadDerivation, BadShare
from dermalink_protocol.pairing.registration import Derivation

SALT = bytes(range(16))


def test_iterations_stand_before_the_salt() -> None:
    payload = steps.pack_derivation(Derivation(SALT, 1_000))
    assert payload == bytes.fromhex("e8030000") + SALT
    assert steps.unpack_derivation(payload) == Derivation(SALT, 1_000)


@pytest.mark.parametrize("payload", [b"", bytes(3), bytes.fromhex("e8030000") + SALT[:15], bytes(4) + SALT, bytes(160)])
def test_no_other_derivation_is_taken(payload: bytes) -> None:
    with pytest.raises(BadDerivation):
        steps.unpack_derivation(payload)


@pytest.mark.parametrize(
    ("kind", "first", "second"), [(steps.HostShare, 16, 65), (steps.PenShare, 65, 32), (steps.HostOffered, 32, 48)]
)
def test_each_part_has_its_place_and_another_length_is_refused(
    kind: type[steps.HostShare], first: int, second: int
) -> None:
    part = kind(b"\1" * first, b"\2" * second)
    assert part.pack() == b"\1" * first + b"\2" * second
    assert kind.unpack(part.pack()) == part
    for wrong in (b"", part.pack()[:-1], part.pack() + b"\0"):
        with pytest.raises(BadShare):
            kind.unpack(wrong)


def test_what_was_negotiated_tells_its_parts_apart() -> None:
    ways = ((b"ab", b"c", b"d"), (b"a", b"bc", b"d"), (b"a", b"b", b"cd"))
    assert len({steps.negotiated(*parts) for parts in ways}) == 3
    assert steps.negotiated(*ways[0]) == b"\2" + bytes(7) + b"ab\1" + bytes(7) + b"c\1" + bytes(7) + b"d"
