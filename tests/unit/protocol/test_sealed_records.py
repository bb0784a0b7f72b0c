"""Sealed records: what a changed bit, another channel, direction, connection, order or key comes to; nonces; the end.

The counter's epochs are crossed as they are, and many times over with keys that last 128 records only.
"""

import random
from collections.abc import Iterator

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import MESSAGE_BYTES_MAX, SEAL_RECORDS_PER_KEY, SEAL_WINDOW_RECORDS
from dermalink_protocol.messages.sealed import RECORD_BYTES_MAX
from dermalink_protocol.sealing import records
from dermalink_protocol.sealing.aead import NONCE_BYTES, REKEY_NONCE, Aead, nonce_of
from dermalink_protocol.sealing.errors import (
    CountersUsedUp,
    RecordError,
    RecordForged,
    RecordReplayed,
    RecordTooFarAhead,
    RecordTooLong,
    RecordTooOld,
    RecordTooShort,
)
from dermalink_protocol.sealing.records import (
    BODY_BYTES_MAX,
    COUNTER_MAX,
    EPOCH_SHIFT,
    OVERHEAD_BYTES,
    TALLY_MAX,
    Dropped,
    Opened,
    Opener,
    Sealer,
)
from tests.unit.protocol.sealing_ends import chance, connected, every_flip

C, T, R = Channel.COMMAND, Channel.TELEMETRY, Channel.RECORDS
KEY = chance("records")
EPOCH = int(SEAL_RECORDS_PER_KEY)


def state_of(opener: Opener) -> tuple[object, ...]:
    """All that decides about later records, but not what was counted, nor the key ahead."""
    windows = {channel: (window.highest, window.taken) for channel, window in opener._windows.items()}
    return opener._epoch, opener._before, opener._current, opener.proven, windows


def sealer_at(counter: int, key: bytes = KEY) -> Sealer:
    sealer = Sealer(key)
    sealer._next = counter
    return sealer


def record_at(counter: int, channel: Channel = C, body: bytes = b"body", key: bytes = KEY) -> bytes:
    return sealer_at(counter, key).seal(channel, body)


def kind_of(outcome: Opened | Dropped) -> type[RecordError] | None:
    return outcome.kind if isinstance(outcome, Dropped) else None


# The layout


@given(st.binary(max_size=BODY_BYTES_MAX), st.sampled_from(Channel))
def test_a_record_is_20_bytes_longer_and_comes_back(body: bytes, channel: Channel) -> None:
    record = Sealer(KEY).seal(channel, body)
    assert len(record) == len(body) + OVERHEAD_BYTES == len(body) + 20
    assert Opener(KEY).open(channel, record) == Opened(channel, 0, body)


def test_the_layout_byte_for_byte() -> None:
    record = record_at(0x0000_1234, T, b"a body")
    assert record[:4] == bytes.fromhex("34120000")
    nonce = bytes(4) + bytes.fromhex("34120000") + bytes(4)
    assert ChaCha20Poly1305(KEY).decrypt(nonce, record[4:], bytes([4])) == b"a body"


def test_the_longest_record_fits_a_message_with_room_for_its_envelope() -> None:
    assert len(Sealer(KEY).seal(C, bytes(BODY_BYTES_MAX))) == RECORD_BYTES_MAX == MESSAGE_BYTES_MAX - 8


def test_a_body_that_does_not_fit_is_refused_and_uses_no_counter() -> None:
    sealer = Sealer(KEY)
    with pytest.raises(RecordTooLong) as caught:
        sealer.seal(C, bytes(BODY_BYTES_MAX + 1))
    assert (caught.value.limit_value, caught.value.reason) == (BODY_BYTES_MAX, Reason.TOO_LONG)
    assert sealer.seal(C, b"") == Sealer(KEY).seal(C, b"")


# What is not the other side's


def test_a_record_with_any_bit_changed_is_dropped_and_changes_nothing() -> None:
    opener = Opener(KEY)
    opener.open(C, record_at(69))
    good = record_at(70, body=bytes(range(30)))
    before = state_of(opener)
    for changed in every_flip(good):
        assert isinstance(opener.open(C, changed), Dropped)
        assert state_of(opener) == before
    assert opener.open(C, good) == Opened(C, 70, bytes(range(30)))


def test_a_record_cut_or_grown_is_dropped_and_changes_nothing() -> None:
    opener, good = Opener(KEY), record_at(0, body=bytes(range(30)))
    before = state_of(opener)
    for length in range(len(good)):
        kind = kind_of(opener.open(C, good[:length]))
        assert kind is (RecordTooShort if length < OVERHEAD_BYTES else RecordForged)
    for more in (1, 16, RECORD_BYTES_MAX - len(good)):
        assert kind_of(opener.open(C, good + bytes(more))) is RecordForged
    assert kind_of(opener.open(C, good + bytes(RECORD_BYTES_MAX + 1 - len(good)))) is RecordTooLong
    assert state_of(opener) == before
    assert isinstance(opener.open(C, good), Opened)


def test_a_record_of_one_channel_opens_on_no_other() -> None:
    for channel in Channel:
        record = Sealer(KEY).seal(channel, b"body")
        opener = Opener(KEY)
        for other in set(Channel) - {channel}:
            assert kind_of(opener.open(other, record)) is RecordForged
        assert isinstance(opener.open(channel, record), Opened)


def test_a_record_of_the_other_direction_or_another_connection_does_not_open() -> None:
    ends, earlier = connected("now"), connected("earlier")
    for record in (
        ends.pen.sealer.seal(C, b"body"),
        earlier.host.sealer.seal(C, b"body"),
        earlier.pen.sealer.seal(C, b"body"),
    ):
        assert kind_of(ends.pen.opener.open(C, record)) is RecordForged
    assert isinstance(ends.pen.opener.open(C, ends.host.sealer.seal(C, b"body")), Opened)


def test_a_whole_connection_played_again_opens_nothing() -> None:
    old = connected("old")
    recorded = [old.host.sealer.seal(channel, b"body") for channel in (C, R, C)]
    for record, channel in zip(recorded, (C, R, C), strict=True):
        assert isinstance(old.pen.opener.open(channel, record), Opened)
        assert kind_of(old.pen.opener.open(channel, record)) is RecordReplayed
        assert kind_of(connected("new").pen.opener.open(channel, record)) is RecordForged


@given(st.lists(st.tuples(st.sampled_from(Channel), st.binary(max_size=260)), max_size=40))
def test_any_bytes_are_dropped_counted_and_change_nothing(arriving: list[tuple[Channel, bytes]]) -> None:
    opener = Opener(KEY)
    before = state_of(opener)
    for channel, data in arriving:
        outcome = opener.open(channel, data)
        assert isinstance(outcome, Dropped)
        assert type(outcome.error) is outcome.kind
        assert (outcome.error.rule, outcome.size) == ("SR-SEC-1", len(data))
    assert state_of(opener) == before
    assert sum(opener.dropped.values()) == len(arriving)


def test_what_was_dropped_is_counted_by_kind_and_the_count_stops_at_a_u32() -> None:
    opener = Opener(KEY)
    opener.open(C, b"")
    opener.open(C, bytes(30))
    opener.dropped[RecordTooShort] = TALLY_MAX
    opener.open(C, b"")
    counted = {kind: count for kind, count in opener.dropped.items() if count}
    assert counted == {RecordTooShort: 0xFFFF_FFFF, RecordForged: 1}


# Order


@given(st.data())
def test_lost_late_and_doubled_records_cost_nothing_but_themselves(data: st.DataObject) -> None:
    """Within a window of disorder everything that arrives is taken, once."""
    channels = data.draw(st.lists(st.sampled_from([C, T, R]), min_size=1, max_size=60))
    sealer, opener = Sealer(KEY), Opener(KEY)
    sent = [(channel, sealer.seal(channel, bytes([index]))) for index, channel in enumerate(channels)]
    arriving = data.draw(st.lists(st.sampled_from(range(len(sent))), max_size=120))
    taken = [outcome.counter for index in arriving if isinstance(outcome := opener.open(*sent[index]), Opened)]
    assert taken == list(dict.fromkeys(arriving))
    assert opener.dropped[RecordReplayed] == len(arriving) - len(taken)


def test_a_quiet_channel_is_not_pushed_out_by_a_loud_one() -> None:
    sealer, opener = Sealer(KEY), Opener(KEY)
    quiet = [sealer.seal(C, b"first"), sealer.seal(C, b"second")]
    opener.open(C, quiet[0])
    for _ in range(1_000):
        assert isinstance(opener.open(T, sealer.seal(T, b"")), Opened)
    assert isinstance(opener.open(C, quiet[1]), Opened)


# Epochs


class Model:
    """What an opener must say, from sets alone; everything it is asked about is authentic."""

    def __init__(self, per_key: int, width: int) -> None:
        self.per_key, self.width = per_key, width
        self.taken: dict[Channel, set[int]] = {channel: set() for channel in Channel}

    def says(self, channel: Channel, counter: int) -> type[RecordError] | None:
        every = set().union(*self.taken.values())
        newest, epoch = max(every, default=0) // self.per_key, counter // self.per_key
        past = any(it // self.per_key == newest and it % self.per_key >= self.width for it in every)
        if epoch > newest + 1:
            return RecordTooFarAhead
        if epoch < newest - 1 or (epoch == newest - 1 and past):
            return RecordTooOld
        if counter <= max(self.taken[channel], default=0) - self.width:
            return RecordTooOld
        if counter in self.taken[channel]:
            return RecordReplayed
        self.taken[channel].add(counter)
        return None


PER_KEY, WIDTH = 128, 64


@pytest.fixture
def short_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key for 128 records, so that many edges fit into a test."""
    monkeypatch.setattr(records, "EPOCH_SHIFT", PER_KEY.bit_length() - 1)
    monkeypatch.setattr(records, "IN_EPOCH_MASK", PER_KEY - 1)


def outcomes_in_some_order(seed: int) -> Iterator[tuple[type[RecordError] | None, type[RecordError] | None]]:
    """What an opener and the model say of 1 000 records: some lost, late, early, doubled; a few long gaps."""
    rng = random.Random(seed)
    sealer, opener, model = Sealer(KEY), Opener(KEY), Model(PER_KEY, WIDTH)
    channels = [rng.choice([C, T, T, T, R]) for _ in range(1_000)]
    sent = [(channel, sealer.seal(channel, b"")) for channel in channels]
    spread, at = rng.choice([2, 30, 100, 200]), 0
    while at < len(sent):
        index = min(max(at + rng.randint(-spread, spread), 0), len(sent) - 1)
        yield kind_of(opener.open(*sent[index])), model.says(channels[index], index)
        at += rng.choice([0, 1, 1, 2, 3]) if rng.random() > 0.01 else rng.choice([70, 150])


@pytest.mark.usefixtures("short_epochs")
def test_any_order_over_many_epochs_is_as_the_model_says() -> None:
    met = set()
    for seed in range(40):
        for said, due in outcomes_in_some_order(seed):
            assert said is due, seed
            met.add(said)
    assert met == {None, RecordReplayed, RecordTooOld, RecordTooFarAhead}


@pytest.mark.usefixtures("short_epochs")
def test_one_order_that_meets_every_answer() -> None:
    opener = Opener(KEY)
    kinds = [kind_of(opener.open(C, record_at(counter))) for counter in (0, 0, 127, 1, 256, 128, 128 + 62, 127)]
    assert kinds == [None, RecordReplayed, None, RecordTooOld, RecordTooFarAhead, None, None, RecordReplayed]
    assert kind_of(opener.open(C, record_at(128 + 64))) is None
    assert kind_of(opener.open(R, record_at(127, R))) is RecordTooOld


def test_both_sides_change_keys_at_the_named_count_with_nothing_said() -> None:
    assert EPOCH == 1 << EPOCH_SHIFT == 65_536
    sealer, opener = sealer_at(EPOCH - 2), Opener(KEY)
    first_key = sealer._aead
    for counter in range(EPOCH - 2, EPOCH + 2):
        assert opener.open(C, sealer.seal(C, b"body")) == Opened(C, counter, b"body")
        assert (sealer._aead is first_key) == (counter < EPOCH)
    assert (sealer._epoch, opener._epoch) == (1, 1)


def test_the_old_key_is_kept_for_a_window_and_no_longer() -> None:
    late = [record_at(EPOCH - 1 - age, R) for age in range(3)]
    opener = Opener(KEY)
    opener.open(T, record_at(EPOCH + SEAL_WINDOW_RECORDS - 1, T))
    assert isinstance(opener.open(R, late[0]), Opened)
    opener.open(T, record_at(EPOCH + SEAL_WINDOW_RECORDS, T))
    assert kind_of(opener.open(R, late[1])) is RecordTooOld
    assert opener._before is None


def test_a_late_record_of_the_old_key_does_not_lead_back() -> None:
    opener = Opener(KEY)
    opener.open(T, record_at(EPOCH, T))
    assert isinstance(opener.open(C, record_at(EPOCH - 1)), Opened)
    assert isinstance(opener.open(C, record_at(EPOCH + 1)), Opened)
    assert opener._epoch == 1


def test_the_key_of_another_epoch_opens_nothing() -> None:
    first, second = Aead(KEY), Aead(KEY).next_key()
    for counter, wrong in ((EPOCH - 1, second), (EPOCH, first), (EPOCH + 1, second.next_key())):
        opener, head = Opener(KEY), counter.to_bytes(4, "little")
        assert kind_of(opener.open(C, head + wrong.seal(nonce_of(head), b"body", bytes([C])))) is RecordForged
        assert opener._epoch == 0


def test_the_next_key_is_noises_rekey() -> None:
    from noise.backends.default.ciphers import ChaCha20Cipher

    theirs = ChaCha20Cipher()
    theirs.initialize(KEY)
    next_key = theirs.rekey(KEY)
    nonce = nonce_of(bytes(4))
    assert Aead(KEY).next_key().seal(nonce, b"body", b"") == ChaCha20Poly1305(next_key).encrypt(nonce, b"body", b"")


def test_a_flood_of_forged_counters_costs_one_key_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    made, real = [], Aead.next_key

    def next_key(aead: Aead) -> Aead:
        made.append(aead)
        return real(aead)

    monkeypatch.setattr(Aead, "next_key", next_key)
    opener = Opener(KEY)
    for counter in (*range(EPOCH, EPOCH + 500), *range(2 * EPOCH, COUNTER_MAX, EPOCH), COUNTER_MAX):
        assert isinstance(opener.open(C, counter.to_bytes(4, "little") + bytes(30)), Dropped)
    assert len(made) == 1
    assert isinstance(opener.open(C, record_at(0)), Opened)


# Nonces


class Watched(Aead):
    """Notes each nonce with the key it was used for."""

    used: list[tuple[bytes, bytes]]

    def __init__(self, key: bytes) -> None:
        super().__init__(key)
        self.key = key

    def seal(self, nonce: bytes, body: bytes, bound: bytes) -> bytes:
        self.used.append((self.key, nonce))
        return super().seal(nonce, body, bound)

    def next_key(self) -> Aead:
        return Watched(self.seal(REKEY_NONCE, bytes(32), b"")[:32])


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[bytes, bytes]]]:
    monkeypatch.setattr(records, "Aead", Watched)
    Watched.used = []
    yield Watched.used
    del Watched.used


def never_twice(used: list[tuple[bytes, bytes]]) -> bool:
    return len(used) == len(set(used)) > 0


@pytest.mark.usefixtures("short_epochs")
def test_no_nonce_comes_twice_for_a_key_whatever_the_channels(used: list[tuple[bytes, bytes]]) -> None:
    rng, sealer = random.Random(1), Sealer(KEY)
    for index in range(1_000):
        if index % 10 == 0:
            with pytest.raises(RecordTooLong):
                sealer.seal(C, bytes(BODY_BYTES_MAX + 1))
        sealer.seal(rng.choice(list(Channel)), b"body")
    assert never_twice(used)
    assert len({key for key, _ in used}) == 1_000 // PER_KEY + 1
    assert all(len(nonce) == NONCE_BYTES for _, nonce in used)
    for key in {key for key, _ in used}:
        sealed = [nonce for other, nonce in used if other == key and nonce != REKEY_NONCE]
        assert len(sealed) <= PER_KEY


def test_no_nonce_comes_twice_over_a_real_epoch(used: list[tuple[bytes, bytes]]) -> None:
    sealer = Sealer(KEY)
    for _ in range(EPOCH + 10):
        sealer.seal(C, b"")
    assert never_twice(used)
    assert len({key for key, _ in used}) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_a_seal_that_fails_uses_its_counter_up(
    used: list[tuple[bytes, bytes]], error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    sealer, real = Sealer(KEY), Watched.seal

    def fails(self: Watched, nonce: bytes, body: bytes, bound: bytes) -> bytes:
        real(self, nonce, body, bound)
        raise error

    monkeypatch.setattr(Watched, "seal", fails)
    with pytest.raises(error):
        sealer.seal(C, b"body")
    monkeypatch.setattr(Watched, "seal", real)
    assert sealer.seal(C, b"body")[:4] == bytes.fromhex("01000000")
    assert never_twice(used)


def test_both_directions_of_a_connection_seal_with_different_keys(used: list[tuple[bytes, bytes]]) -> None:
    ends = connected()
    for session in (ends.host, ends.pen):
        session.sealer.seal(C, b"body")
    assert never_twice(used)
    assert len({key for key, _ in used}) == 2


def test_no_record_has_the_nonce_that_makes_the_next_key() -> None:
    assert nonce_of(COUNTER_MAX.to_bytes(4, "little")) < REKEY_NONCE == bytes(4) + b"\xff" * 8


# The end


def test_a_direction_ends_with_its_last_counter() -> None:
    sealer = Sealer(KEY)
    assert sealer.left == 2**32
    sealer._next, sealer._epoch = COUNTER_MAX - 1, COUNTER_MAX >> EPOCH_SHIFT
    assert sealer.left == 2
    sealed = [sealer.seal(C, b""), sealer.seal(C, b"")]
    assert [record[:4].hex() for record in sealed] == ["feffffff", "ffffffff"]
    for _ in range(2):
        with pytest.raises(CountersUsedUp) as caught:
            sealer.seal(C, b"")
        assert (caught.value.rule, caught.value.advice) == ("SR-SEC-1", "Connect again.")
    assert sealer.left == 0


# The cipher itself

RFC_8439 = {  # section 2.8.2
    "key": bytes(range(0x80, 0xA0)),
    "nonce": bytes.fromhex("070000004041424344454647"),
    "bound": bytes.fromhex("50515253c0c1c2c3c4c5c6c7"),
    "plain": b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
    b"sunscreen would be it.",
    "sealed": bytes.fromhex(
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b"
        "1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
        "3ff4def08e4b7a9de576d26586cec64b6116"
        "1ae10b594f09e26a7e902ecbd0600691"
    ),
}


def test_the_cipher_is_that_of_rfc_8439() -> None:
    aead, nonce, bound = Aead(RFC_8439["key"]), RFC_8439["nonce"], RFC_8439["bound"]
    assert aead.seal(nonce, RFC_8439["plain"], bound) == RFC_8439["sealed"]
    assert aead.open(nonce, RFC_8439["sealed"], bound) == RFC_8439["plain"]


def test_no_other_tag_nonce_or_associated_data_opens_it() -> None:
    aead, nonce, bound = Aead(RFC_8439["key"]), RFC_8439["nonce"], RFC_8439["bound"]
    body, tag = RFC_8439["sealed"][:-16], RFC_8439["sealed"][-16:]
    tags = [
        *every_flip(tag),
        bytes(16),
        b"\xff" * 16,
        bytes(byte ^ 0xFF for byte in tag),
        bytes(byte ^ 0x80 for byte in tag),
    ]
    tags += [tag[::-1], tag[8:] + tag[:8], tag[:15], tag[:8], b"", tag + b"\0"]
    assert [aead.open(nonce, body + other, bound) for other in tags] == [None] * len(tags)
    assert [aead.open(other, body + tag, bound) for other in every_flip(nonce)] == [None] * 96
    assert [aead.open(nonce, body + tag, other) for other in (*every_flip(bound), b"", bound + b"\0")] == [None] * 98
    with pytest.raises(InvalidTag):  # what the door turns into None
        ChaCha20Poly1305(RFC_8439["key"]).decrypt(nonce, body + bytes(16), bound)
