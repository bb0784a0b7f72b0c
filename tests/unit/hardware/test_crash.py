"""Crashes that wait for what a bench cannot read: commands under seal, and what pairs and releases."""

import struct
from contextlib import suppress

import pytest

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode
from dermalink_protocol.envelope import Envelope, encode_envelope
from dermalink_protocol.framing import encode_frame
from dermalink_protocol.messages.owner import GetOwner, OpenChannel, PairStep
from dermalink_protocol.messages.sealed import Sealed
from dermalink_protocol.pairing import steps
from dermalink_protocol.schema import Message
from dermalink_simulator.hardware.crash import CrashWatch, When
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.seam import PortKind
from tests.support import raw_pen as raw
from tests.support.pairing_host import PairedClient, PairingHost, press
from tests.support.sealed_client import SealedClient, inside, owned_pen, owner_of

KINDS = ("crash_before", "crash_after")


def opens(owner: SealedClient) -> None:
    """Tell the pen to open a session, and let it write that down."""
    fields = struct.pack("<IHI32s", owner.boot_id, 500, 0, bytes(32))
    owner.send(raw.ON_COMMAND, raw.OPEN, owner.header() + fields)
    owner.pen.advance(1_000)


def crashed(pen: SimulatedPen, owner: SealedClient) -> bool:
    """Whether the pen has started again, whose answer nobody got."""
    pen.advance(1_000)
    assert pen.power.on
    if not owner.port.closed:
        return False
    owner.pump()
    assert not owner._replies
    return True


@pytest.mark.parametrize("opcode", [0, int(Opcode.OPEN_SESSION)], ids=["any", "one"])
@pytest.mark.parametrize("way", list(PortKind), ids=["stream", "gatt"])
@pytest.mark.parametrize(("kind", "sessions"), [("crash_before", 0), ("crash_after", 1)])
def test_a_command_under_seal_is_crashed_at_on_the_side_that_is_said(
    kind: str, sessions: int, way: PortKind, opcode: int
) -> None:
    pen = owned_pen()
    pen.faults.inject("firmware", kind, opcode=opcode)
    owner = owner_of(pen, way)
    owner.renew()
    assert owner.status()["session"] == 0
    assert not owner.port.closed, "hello, handshake, questions and renewals are no commands"
    opens(owner)
    assert crashed(pen, owner)
    assert inside(pen).store.record.session_id == sessions
    again = owner_of(pen, way)
    opens(again)
    assert not crashed(pen, again), "it waits for no second one"


def test_a_crash_that_waits_for_another_command_lets_one_under_seal_pass() -> None:
    pen = owned_pen()
    pen.faults.inject("firmware", "crash_before", opcode=int(Opcode.BEGIN_PASS))
    owner = owner_of(pen)
    assert owner.open().opcode == raw.OPENED
    got = owner.prepare()
    assert got.opcode == raw.PREPARED
    with suppress(AssertionError):
        owner.begin(struct.unpack_from("<H", got.payload, 10)[0])
    assert crashed(pen, owner)


def test_it_waits_through_a_loss_of_power_and_no_longer_once_it_is_cleared() -> None:
    pen = owned_pen()
    pen.faults.inject("firmware", "crash_before")
    pen.power.cut()
    pen.power.restore()
    pen.advance(1_000)
    owner = owner_of(pen)
    opens(owner)
    assert crashed(pen, owner)
    pen.faults.inject("firmware", "crash_before")
    pen.faults.clear()
    again = owner_of(pen)
    opens(again)
    assert not crashed(pen, again)


@pytest.mark.parametrize("number", [steps.DERIVE, steps.SHARE, steps.CONFIRM])
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_of_pairing_is_crashed_at_on_the_side_that_is_said(kind: str, number: int) -> None:
    pen = SimulatedPen(seed=6)
    pen.advance(1_000)
    press(pen)
    host = PairingHost(pen)
    share = b""
    if number == steps.SHARE:
        _, share = host.prover()
    elif number == steps.CONFIRM:
        _, share = host.offer(host.agree())
    pen.faults.inject("firmware", kind)
    assert host.standing().owned == 0, "a question is no command"
    host.send_step(number, share)
    pen.advance(1_000)
    assert crashed(pen, host)
    known, applied = inside(pen), kind == "crash_after"
    assert known.owner.owned is (applied and number == steps.CONFIRM)
    tries = int(number == steps.CONFIRM and not applied) + int(number == steps.SHARE and applied)
    assert known.store.record.wrong_codes == tries


@pytest.mark.parametrize("kind", KINDS)
def test_a_release_under_seal_is_crashed_at_on_the_side_that_is_said(kind: str) -> None:
    pen = SimulatedPen(seed=6)
    pen.advance(1_000)
    press(pen)
    host = PairingHost(pen)
    owner = PairedClient(pen, host.private, host.pair())
    owner.connect()
    pen.faults.inject("firmware", kind)
    owner.send(int(Channel.PAIRING), int(Opcode.RELEASE_OWNER))
    pen.advance(1_000)
    assert crashed(pen, owner)
    assert inside(pen).owner.owned is (kind == "crash_before")


def test_who_listens_is_no_part_of_a_snapshot() -> None:
    pen, other = owned_pen(), owned_pen()
    firmware = pen.firmware
    assert firmware is not None
    before = firmware.snapshot()
    pen.faults.inject("firmware", "crash_before")
    assert firmware.snapshot() == before
    firmware.restore(before)
    assert other.firmware is not None
    other.firmware.restore(firmware.snapshot())
    for each in (pen, other):
        owner = owner_of(each)
        opens(owner)
        assert crashed(each, owner) is (each is pen)


def of_another_firmware(message: Message) -> bool:
    """Whether a firmware that tells nobody would be crashed at it."""
    assert message.channel is not None
    body = encode_envelope(Envelope(message.channel, 7, message))
    return CrashWatch(When.BEFORE).sees_command(1, encode_frame(message.channel, body))


def test_of_a_firmware_that_tells_nobody_what_pairs_in_the_clear_is_seen() -> None:
    assert of_another_firmware(PairStep(command_id=1, ttl_ms=500, seen_tick_ms=0, step=1, share=b""))
    assert not of_another_firmware(GetOwner())
    assert not of_another_firmware(OpenChannel(message=bytes(48)))


def test_of_a_firmware_that_tells_nobody_a_record_is_no_command() -> None:
    body = encode_envelope(Envelope(Channel.COMMAND, 0, Sealed(record=bytes(40))))
    assert not CrashWatch(When.BEFORE).sees_command(1, encode_frame(Channel.COMMAND, body))
