"""Bluetooth's own bond in the firmware: when one may be made, which one is kept, and what has to be encrypted."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermalink_protocol.channels import CHANNEL_RULES, AttError, Channel
from dermalink_protocol.codewords import State
from dermalink_protocol.limits import BOND_WINDOW_MS, BONDS_PER_WINDOW
from dermalink_protocol.messages.identity import GetStatus
from dermalink_protocol.messages.owner import OwnerReleased, ReleaseOwner
from dermalink_protocol.segmentation import FIRST, LAST
from dermalink_simulator.firmware import bonding
from dermalink_simulator.firmware.firmware import PenFirmware
from dermalink_simulator.firmware.owner_record import NO_BOND
from dermalink_simulator.firmware.safeguards import Profile
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.seam import PortKind
from tests.support import raw_pen as raw
from tests.support.pairing_host import PairingHost, hold, press
from tests.support.raw_pen import raw_pen
from tests.support.sealed_client import OWNER, SealedClient, inside, owned_pen, owner_of
from tests.unit.firmware.ble_host import HELLO, BleHost

KEY, OTHER_KEY = b"a key of a link.", b"another link key"
ENCRYPTED = tuple(channel for channel, rule in CHANNEL_RULES.items() if rule.encrypted)
WRITTEN = (Channel.COMMAND, Channel.RECORDS)
RELEASE_OWNER, OWNER_RELEASED = int(ReleaseOwner.opcode), int(OwnerReleased.opcode)
NEITHER = AttError.INSUFFICIENT_AUTHENTICATION
BONDED = AttError.INSUFFICIENT_ENCRYPTION


def firmware(pen: SimulatedPen) -> PenFirmware:
    assert isinstance(pen.firmware, PenFirmware)
    return pen.firmware


def new_pen(profile: Profile = Profile.TEST) -> SimulatedPen:
    pen = SimulatedPen(seed=3, firmware=lambda: PenFirmware(profile=profile))
    pen.advance(1_000)
    return pen


def bonded_pen() -> SimulatedPen:
    pen = owned_pen()
    press(pen)
    client = SealedClient(pen, PortKind.GATT, link_key=KEY).connect()
    pen.advance(1_000)
    client.port.close()
    assert firmware(pen).bond_key() == KEY
    return pen


def restart(pen: SimulatedPen) -> None:
    pen.power.cut()
    pen.advance(100)
    pen.power.restore()
    pen.advance(1_000)


# The window


@pytest.mark.sr("SR-SEC-1", "SR-OWN-1", side="pen")
@pytest.mark.parametrize("make", [new_pen, owned_pen, lambda: new_pen(Profile.PRODUCT)])
def test_without_a_press_no_bond_may_be_made_and_after_it_for_a_minute(make: Callable[[], SimulatedPen]) -> None:
    pen = make()
    assert not firmware(pen).bonding_open()
    assert not firmware(pen).bonding_begin()
    press(pen)
    assert firmware(pen).bonding_open()
    assert pen.indicator.light == 9
    pen.advance(int(BOND_WINDOW_MS) - 2_000)
    assert firmware(pen).bonding_open()
    assert firmware(pen).bonding_begin()
    pen.advance(3_000)
    assert not firmware(pen).bonding_open()
    assert not firmware(pen).bonding_begin()
    assert pen.indicator.light == 1


@pytest.mark.sr("SR-SEC-5", side="pen")
def test_only_a_few_may_be_begun_for_a_press_and_another_press_gives_as_many() -> None:
    pen = owned_pen()
    for _ in range(2):
        pen.advance(2_000)
        press(pen)
        assert [firmware(pen).bonding_begin() for _ in range(BONDS_PER_WINDOW + 2)] == [1] * BONDS_PER_WINDOW + [0, 0]
        assert firmware(pen).bonding_open()  # what was begun goes on


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_a_session_shuts_the_window_for_good_and_no_press_in_it_opens_one() -> None:
    client = raw_pen(seed=3)
    press(client.pen)
    assert client.open().opcode == raw.OPENED
    assert not firmware(client.pen).bonding_open()
    client.live(100)
    press(client.pen)
    assert not firmware(client.pen).bonding_begin()
    client.port.close()
    client.pen.advance(2_000)
    assert inside(client.pen).state.state != State.RUNNING
    assert not firmware(client.pen).bonding_open()


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_a_window_that_a_session_has_shut_stays_shut_when_the_pen_rests_again() -> None:
    pen = inside(new_pen())
    bonding.opened(pen)
    bonding.passed(pen, 100, 0)
    assert not bonding.is_open(pen, 1)


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_a_press_in_a_fault_opens_nothing_and_the_hold_that_hands_over_does() -> None:
    pen = owned_pen()
    inside(pen).state = inside(pen).state._replace(state=int(State.FAULT))
    press(pen)
    assert not firmware(pen).bonding_open()
    pen = owned_pen()
    hold(pen)
    assert firmware(pen).bonding_open()
    pen.advance(int(BOND_WINDOW_MS) - 5_000)  # from the end of the hold
    assert firmware(pen).bonding_open()


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_one_press_serves_the_pairing_with_the_code_and_the_bond() -> None:
    pen = new_pen()
    host = PairingHost(pen)
    press(pen)
    host.pair()
    assert inside(pen).owner.owned
    assert firmware(pen).bonding_open()
    assert firmware(pen).bonding_begin()


# What has to be encrypted


def refusals(host: BleHost) -> dict[Channel, tuple[int, int]]:
    """Of each channel: what its subscription and the write of a value are refused with."""
    value = bytes([FIRST | LAST, *range(8)])
    return {
        channel: (host.port.subscribe(channel, on=True), host.port.refusal(bytes([channel]) + value))
        for channel in Channel
    }


@pytest.mark.sr("SR-SEC-1", "SR-OWN-1", side="pen")
@pytest.mark.parametrize(
    ("make", "code"),
    [(owned_pen, NEITHER), (lambda: new_pen(Profile.PRODUCT), NEITHER), (bonded_pen, BONDED)],
    ids=["no bond", "product", "a bond"],
)
def test_what_is_the_owners_is_refused_on_a_link_that_is_not_encrypted(
    make: Callable[[], SimulatedPen], code: AttError
) -> None:
    host = BleHost(make(), subscribe=())
    found = refusals(host)
    for channel, (subscription, write) in found.items():
        if channel in ENCRYPTED:
            assert subscription == code
            assert write == (code if channel in WRITTEN else AttError.WRITE_NOT_PERMITTED)
            assert host.port.subscribe(channel, on=False) == 0
        else:
            assert (subscription, write) == (0, 0)
    host.port.encrypted(KEY)
    assert {code for pair in refusals(host).values() for code in pair} == {0, AttError.WRITE_NOT_PERMITTED}


@pytest.mark.parametrize("key", [b"", b"short", bytes(16), b"\xff" * 16, bytes(17)])
def test_what_is_no_key_encrypts_nothing(key: bytes) -> None:
    host = BleHost(owned_pen(), subscribe=())
    host.port.encrypted(key)
    assert host.port.subscribe(Channel.COMMAND, on=True) == NEITHER


def test_a_pen_for_tests_without_an_owner_demands_nothing() -> None:
    host = BleHost(new_pen(), subscribe=())
    assert {pair[0] for pair in refusals(host).values()} == {0}
    host.say(HELLO)
    host.say(GetStatus())
    host.pen.advance(100)
    assert len(host.heard()) == 2


@pytest.mark.sr("SR-SEC-1", "SR-OWN-1", side="pen")
def test_what_was_subscribed_to_before_the_pen_had_an_owner_tells_nothing_until_the_link_is_encrypted() -> None:
    pen = new_pen()
    spy = BleHost(pen)
    spy.say(HELLO)
    spy.pen.advance(100)
    spy.heard()
    host = PairingHost(pen)
    press(pen)
    spy.port.clog(clogged=True)  # so that something waits on each channel
    pen.advance(2_000)
    host.pair()
    spy.port.clog(clogged=False)
    pen.advance(3_000)
    values = []
    while value := spy.port.read():
        values.append(value)
    assert not {value[0] for value in values} & set(ENCRYPTED)
    assert not any(spy.inside.subscribed(channel) for channel in ENCRYPTED)
    spy.port.encrypted(KEY)
    assert all(spy.inside.subscribed(channel) for channel in Channel)


@pytest.mark.sr("SR-SEC-1", "SR-STOP-4", side="pen")
@settings(max_examples=60)
@given(data=st.binary(max_size=40), channel=st.sampled_from([int(each) for each in Channel] + [0, 7, 255]))
def test_no_write_in_the_clear_gets_past_and_stop_is_never_refused_for_it(data: bytes, channel: int) -> None:
    host = BleHost(OWNED, subscribe=())
    try:
        for each in Channel:
            host.port.subscribe(each, on=True)
        refused = host.port.refusal(bytes([channel]) + data)
        if channel in WRITTEN and len(data) > 1:
            assert refused == NEITHER
        else:
            assert refused != NEITHER
        assert host.port.refusal(bytes([Channel.STOP, FIRST | LAST]) + bytes(4)) == 0
    finally:
        host.port.close()


OWNED = owned_pen(seed=5)


# Which bond is kept


def in_flash(pen: SimulatedPen, key: bytes) -> bool:
    pen.advance(1_000)
    return key in pen.flash_image()


@pytest.mark.sr("SR-OWN-1", side="pen")
@pytest.mark.parametrize("first", ["encrypted", "sealed"])
def test_the_bond_of_the_owners_link_is_kept_in_either_order_and_after_a_restart(first: str) -> None:
    pen = owned_pen()
    press(pen)
    client = SealedClient(pen, PortKind.GATT, link_key=KEY if first == "encrypted" else b"")
    client.hello()
    client.open_channel()
    assert not in_flash(pen, KEY)  # nothing has opened yet
    if first == "encrypted":
        client.status()
    else:
        client.status()
        assert not in_flash(pen, KEY)
        client.port.encrypted(KEY)
    assert in_flash(pen, KEY)
    restart(pen)
    assert firmware(pen).bond_key() == KEY
    assert inside(pen).owner == OWNER._replace(bond=KEY)
    assert pen.connect(PortKind.GATT).bond_key() == KEY


@pytest.mark.sr("SR-SEC-1", "SR-OWN-1", side="pen")
def test_a_strangers_bond_never_reaches_the_flash_and_drives_none_out() -> None:
    pen = bonded_pen()
    owner = owner_of(pen, PortKind.STREAM)
    stranger = BleHost(pen)
    stranger.port.encrypted(OTHER_KEY)
    stranger.say(HELLO)
    stranger.say(GetStatus())
    owner.status()
    assert not in_flash(pen, OTHER_KEY)
    liar = SealedClient(pen, PortKind.GATT, host=b"not the owner's key, 32 bytes...", link_key=OTHER_KEY)
    liar.hello()
    liar.open_channel()
    assert not in_flash(pen, OTHER_KEY)
    stranger.port.close()
    assert firmware(pen).bond_key() == KEY


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_while_the_next_owner_is_on_the_flash_and_the_old_ones_channel_still_stands_no_bond_is_kept() -> None:
    pen = bonded_pen()
    client = owner_of(pen, PortKind.GATT)
    pen.advance(1_000)
    inside(pen).store.owner = OWNER._replace(number=2)
    client.port.encrypted(OTHER_KEY)
    client.status()
    assert not in_flash(pen, OTHER_KEY)


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_another_bond_of_the_owner_takes_the_place_of_the_first_and_the_same_one_is_not_written_again() -> None:
    pen = bonded_pen()
    before = pen.flash_operations
    client = SealedClient(pen, PortKind.GATT, link_key=KEY).connect()
    client.live(1_000)
    quiet = pen.flash_operations - before
    press(pen)
    client.port.encrypted(OTHER_KEY)
    assert in_flash(pen, OTHER_KEY)
    assert not in_flash(pen, KEY)
    assert firmware(pen).bond_key() == OTHER_KEY
    assert client.status()["state"] == State.IDLE  # his channel stands
    assert quiet == 0


@pytest.mark.sr("SR-OWN-1", side="pen")
@pytest.mark.parametrize("way", ["another owner", "released"])
def test_whoever_hands_the_pen_over_takes_his_bond_with_him(way: str) -> None:
    pen = bonded_pen()
    if way == "released":
        owner = owner_of(pen, PortKind.GATT)
        assert owner.ask(int(ReleaseOwner.channel or 0), RELEASE_OWNER).opcode == OWNER_RELEASED
        press(pen)
    else:
        hold(pen)
        PairingHost(pen, "next").pair()
        assert inside(pen).owner.number == 2
        assert BleHost(pen, subscribe=()).port.subscribe(Channel.COMMAND, on=True) == NEITHER
    pen.advance(2_000)
    assert firmware(pen).bond_key() == bytes(16)
    assert not in_flash(pen, KEY)


@pytest.mark.sr("SR-SEC-1", "SR-OWN-1", side="pen")
@pytest.mark.parametrize("ends", ["by time", "by a session", "by another press"])
@pytest.mark.parametrize("second", [False, True], ids=["the only bond", "beside the owner's"])
def test_what_the_owner_says_over_a_strangers_link_after_the_window_makes_no_bond(ends: str, second: bool) -> None:
    pen = owned_pen()
    press(pen)
    if second:
        SealedClient(pen, PortKind.GATT, link_key=KEY).connect()
    stranger = SealedClient(pen, PortKind.GATT, link_key=OTHER_KEY)
    assert stranger.port.subscribe(Channel.COMMAND, on=True) == 0
    if ends == "by a session":
        assert owner_of(pen, PortKind.STREAM).open().opcode == raw.OPENED
        pen.advance(1_000)
    else:
        pen.advance(int(BOND_WINDOW_MS) if ends == "by time" else 1_000)
    if ends == "by another press":
        press(pen)
    assert stranger.port.subscribe(Channel.COMMAND, on=True) == (BONDED if second else NEITHER)
    stranger.connect()  # what he hands on is the owner's, seal and all
    assert not in_flash(pen, OTHER_KEY)
    assert firmware(pen).bond_key() == (KEY if second else bytes(16))


def test_no_link_key_is_shown() -> None:
    pen = bonded_pen()
    port = BleHost(pen).port
    port.encrypted(OTHER_KEY)
    known = inside(pen).ports[port.number]
    for shown in (known, inside(pen).owner, inside(pen).store.owner, port, inside(pen).pairing.bonds):
        assert repr(KEY)[2:-1] not in repr(shown)
        assert repr(OTHER_KEY)[2:-1] not in repr(shown)
    assert NO_BOND != KEY
