"""The tables of the contract: limits, zones, channels, messages, reasons; each complete, each with its source."""

import copy
import pickle
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID

import pytest

from dermalink_protocol import errors, limits, zones
from dermalink_protocol.channels import (
    ATT_ERROR_USES,
    BASE_UUID,
    CHANNEL_RULES,
    READABLES,
    SERVICE_UUID,
    AttError,
    Channel,
    Gatt,
)
from dermalink_protocol.codec import Packed
from dermalink_protocol.codewords import Opcode, Reason
from dermalink_protocol.history_entries import Entry
from dermalink_protocol.limits import Limit, density_per_cm2, pass_budget
from dermalink_protocol.messages.sealed import Sealed
from dermalink_protocol.messages.therapy import Prepare
from dermalink_protocol.reasons import explain
from dermalink_protocol.schema import Effect, Message, Notification, Reply, Request
from dermalink_protocol.units import Unit, quantity
from dermalink_protocol.wording import WORDING
from dermalink_protocol.zones import Direction, Head, Zone

REQUIREMENTS = tomllib.loads((Path(__file__).parents[3] / "docs" / "requirements.toml").read_text(encoding="utf-8"))
LIMITS = {name: value for name, value in vars(limits).items() if isinstance(value, Limit)}
MESSAGES = list(Message.by_opcode.values())
LATER = [
    "DeclareEvidence",
    "GetOwner",
    "PairStep",
    "ReleaseOwner",
    "GetCalibration",
    "WriteCalibration",
    "EnterUpdate",
]


@pytest.mark.parametrize("name", LIMITS)
def test_every_limit_has_a_rule_that_exists_and_a_source(name: str) -> None:
    limit = LIMITS[name]
    assert limit.rule in REQUIREMENTS
    assert limit.source
    assert type(int(limit)) is int


@dataclass
class Holder:
    """Something that holds a limit."""

    limit: int


def test_a_limit_is_copied_and_pickled_with_its_rule_and_source() -> None:
    for limit in LIMITS.values():
        for twin in (copy.deepcopy(limit), pickle.loads(pickle.dumps(limit)), asdict(Holder(limit))["limit"]):
            assert type(twin) is Limit
            assert (twin, twin.rule, twin.source) == (limit, limit.rule, limit.source)


def test_the_numbers_that_nobody_may_loosen() -> None:
    assert (limits.DEPTH_CAP_UM, limits.DEPTH_MIN_UM, limits.PASSES_PER_ZONE) == (500, 200, 3)
    assert (limits.LEASE_DEFAULT_MS, limits.LEASE_MAX_MS, limits.TTL_MAX_MS) == (500, 1_000, 500)
    assert (limits.INTERVAL_S, limits.SESSION_MAX_MS) == (14 * 24 * 3_600, 60 * 60 * 1_000)


@pytest.mark.sr("SR-DEPTH-3")
def test_every_zone_has_its_rule_and_nothing_else_is_a_zone() -> None:
    assert set(limits.ZONE_RULES) == set(Zone)
    deep = {Zone.FOREHEAD, Zone.LEFT_CHEEK, Zone.RIGHT_CHEEK, Zone.CHIN}
    stamped = {Zone.UPPER_LIP, Zone.LEFT_UNDER_EYE, Zone.RIGHT_UNDER_EYE}
    for zone, rule in limits.ZONE_RULES.items():
        assert rule.cap_um == (500 if zone in deep else 250)
        assert rule.heads == ((Head.STAMP,) if zone in stamped else (Head.GLIDE, Head.STAMP))
        assert limits.DEPTH_MIN_UM <= rule.cap_um <= limits.DEPTH_CAP_UM
    for name in zones.NO_ZONES:
        assert not [zone for zone in Zone if zone.name.lower().replace("_", " ") == name]
    assert "dermatologist" in zones.NO_ZONES["scalp"]


@pytest.mark.sr("SR-PASS-1")
def test_there_are_three_directions_each_a_bit_of_its_own() -> None:
    assert tuple(Direction) == limits.DIRECTIONS
    assert len(Direction) == limits.PASSES_PER_ZONE
    assert all(direction.bit_count() == 1 for direction in Direction)


def test_budget_and_density_are_exact_integers() -> None:
    assert pass_budget(Zone.LEFT_CHEEK) == 45_000
    assert pass_budget(Zone.NOSE) == 12_000
    assert density_per_cm2(60, 12, 6_000, 20) == 600
    assert density_per_cm2(65, 12, 6_000, 20) == 650
    assert density_per_cm2(66, 12, 6_000, 20) == 660
    assert density_per_cm2(1, 1, 3, 1_000_000) == 1  # rounded up, never down to nothing


def test_every_channel_has_its_characteristic() -> None:
    assert set(CHANNEL_RULES) == set(Channel)
    uuids = [str(rule.uuid) for rule in CHANNEL_RULES.values()]
    assert len({*uuids, str(SERVICE_UUID), str(BASE_UUID)}) == len(uuids) + 2
    for uuid in uuids:
        assert UUID(uuid).hex[8:] == UUID(str(BASE_UUID)).hex[8:]
    assert [channel for channel, rule in CHANNEL_RULES.items() if rule.clear] == [
        Channel.PAIRING,
        Channel.STATUS,
        Channel.STOP,
    ]


@pytest.mark.sr("SR-STOP-4", kind="construction")
def test_bluetooths_own_encryption_is_asked_for_all_that_is_the_owners_and_never_for_stop() -> None:
    encrypted = {channel for channel, rule in CHANNEL_RULES.items() if rule.encrypted}
    assert encrypted == {Channel.COMMAND, Channel.TELEMETRY, Channel.RECORDS}
    assert all(CHANNEL_RULES[channel].encrypted is not CHANNEL_RULES[channel].clear for channel in Channel)


@pytest.mark.sr("SR-STOP-4", kind="construction")
def test_stop_has_a_channel_of_its_own_in_the_clear_with_and_without_response() -> None:
    on_it = {message.__name__ for message in MESSAGES if message.channel is Channel.STOP}
    assert on_it == {"Stop", "Stopped", "ReportSymptom", "SymptomReported"}
    rule = CHANNEL_RULES[Channel.STOP]
    assert rule.clear
    assert Gatt.WRITE in rule.gatt
    assert Gatt.WRITE_WITHOUT_RESPONSE in rule.gatt
    for message in MESSAGES:
        if message.channel is Channel.STOP and issubclass(message, Request):
            assert message.effect is Effect.REDUCES
            assert not {"ttl_ms", "command_id", "session_id"} & {field.name for field in message.fields}


def test_every_opcode_has_its_message_and_every_message_a_channel() -> None:
    assert set(Message.by_opcode) == set(Opcode)
    assert [message.__name__ for message in MESSAGES if message.channel is None] == ["Refused", "Sealed"]


def test_every_reply_but_the_refusal_answers_one_request() -> None:
    asked_for = [message.reply for message in MESSAGES if issubclass(message, Request)]
    replies = [message for message in MESSAGES if issubclass(message, Reply)]
    assert len(set(asked_for)) == len(asked_for)
    assert {reply.__name__ for reply in replies} - {reply.__name__ for reply in asked_for} == {"Refused"}


def test_every_message_is_a_request_a_reply_or_a_notification() -> None:
    for message in MESSAGES:
        kinds = [kind for kind in (Request, Reply, Notification) if issubclass(message, kind)]
        assert len(kinds) == (message is not Sealed)  # that one is whatever it holds
        assert message.since == 1
        if kinds != [Request]:
            assert message.effect is Effect.NONE


def test_every_message_and_entry_says_what_it_is() -> None:
    declared: list[type[Packed]] = [*MESSAGES, *Entry.by_kind.values()]
    for cls in declared:
        assert cls.__doc__
        assert cls.__doc__.strip() == cls.__doc__.strip().splitlines()[0] or "\n\n" in cls.__doc__, cls.__name__


@pytest.mark.parametrize("name", LATER)
def test_what_is_built_later_is_declared_now(name: str) -> None:
    assert name in {message.__name__ for message in MESSAGES}


@pytest.mark.sr("SR-DEPTH-8")
def test_a_frame_says_all_about_itself_and_nothing_else_carries_a_depth_to_set() -> None:
    names = [field.name for field in Prepare.fields]
    assert names[3:] == ["session_id", "zone", "direction", "depth_um", "rate_hz", "speed_mm_s", "tag_id"]
    with_depth = [
        message.__name__
        for message in MESSAGES
        if issubclass(message, Request) and any("depth" in field.name for field in message.fields)
    ]
    assert with_depth == ["Prepare", "WriteCalibration"]


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.name)
def test_every_reason_has_its_words(reason: Reason) -> None:
    wording = WORDING[reason]
    assert wording.said
    assert wording.said[0].isupper()
    assert not wording.said.endswith(".")
    assert bool(wording.number) == (wording.unit is not Unit.NONE)
    if reason is not Reason.NONE:
        assert wording.rule in REQUIREMENTS
        assert wording.advice.endswith(".")
    for limit in (0, 1, 500, 100_000):
        said = explain(reason, limit)
        assert said.startswith(wording.said)
        assert "{" not in said
        number = f"; {wording.number.format(quantity(limit, wording.unit))}" if limit and wording.number else ""
        assert said.split(" [")[0] == wording.said + number


def test_a_refusal_reads_as_a_person_would_say_it() -> None:
    assert explain(Reason.DEPTH_OVER_CAP, 500) == (
        "This is deeper than any needle may go; 500 µm at most [SR-DEPTH-1]. Choose 500 µm or less."
    )
    assert explain(Reason.CARTRIDGE_USED) == (
        "This head has been used in another session [SR-CART-1]. Fit a fresh head."
    )
    assert "13 days 5 hours are left" in explain(Reason.INTERVAL_NOT_OVER, 13 * 86_400 + 4 * 3_600 + 1)


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (500, Unit.UM, "500 µm"),
        (500, Unit.MS, "500 ms"),
        (9_999, Unit.MS, "9999 ms"),
        (10_000, Unit.MS, "10 s"),
        (600_000, Unit.MS, "10 minutes"),
        (119, Unit.S, "119 s"),
        (121, Unit.S, "3 minutes"),
        (3_600, Unit.S, "1 hour"),
        (86_399, Unit.S, "24 hours"),
        (90_000, Unit.S, "1 day 1 hour"),
        (14 * 86_400, Unit.S, "14 days"),
        (7, Unit.COMMAND, "7"),
        (7, Unit.NONE, "7"),
        (20, Unit.PERCENT, "20 %"),
    ],
)
def test_quantities_are_said_in_their_unit_and_times_never_too_short(value: int, unit: Unit, said: str) -> None:
    assert quantity(value, unit) == said


def test_errors_have_one_root_and_a_reason_each() -> None:
    found = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    for error in found:
        if error is not errors.DeclarationError:
            assert issubclass(error, errors.DermalinkError)
    for error in (error for error in found if issubclass(error, errors.ProtocolError)):
        assert error.reason in Reason


def test_an_error_says_what_limit_rule_and_advice() -> None:
    error = errors.DermalinkError(
        "0.6 mm was refused", rule="SR-DEPTH-1", limit="500 µm at most", advice="Choose less."
    )
    assert str(error) == "0.6 mm was refused; 500 µm at most [SR-DEPTH-1]. Choose less."
    assert (error.refused, error.rule, error.limit, error.advice) == (
        "0.6 mm was refused",
        "SR-DEPTH-1",
        "500 µm at most",
        "Choose less.",
    )


def test_each_att_error_says_what_it_is_used_for_and_no_code_is_given_twice() -> None:
    assert set(ATT_ERROR_USES) == set(AttError)
    assert len({each.uuid16 for each in READABLES}) == len(READABLES)
    assert {each.service for each in READABLES} == {0x180A, 0x180F, 0x1805}
