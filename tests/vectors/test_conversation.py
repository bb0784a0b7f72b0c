"""One whole conversation against its golden record: what each side sends follows from its secrets and what it heard."""

import struct
from typing import Final

import pytest

from dermalink_protocol.channels import Channel
from dermalink_protocol.envelope import decode_envelope
from dermalink_protocol.messages import identity, owner
from dermalink_protocol.messages.sealed import Sealed
from dermalink_protocol.pairing import steps
from dermalink_protocol.pairing.owner_keys import HostOffer, answer_offer
from dermalink_protocol.pairing.registration import derive_secret
from dermalink_protocol.pairing.setup_code import SetupCode
from dermalink_protocol.pairing.spake2plus import Parties, Prover, Verifier
from dermalink_protocol.schema import Message
from dermalink_protocol.sealing.handshake import HostHandshake, Keys, Negotiated, PenHandshake
from dermalink_protocol.sealing.keys import public_key
from dermalink_protocol.sealing.records import Opened
from tests.vectors.golden import Line, load

GIVEN, *SAID = load("conversation.jsonl")


def body(place: int) -> bytes:
    return bytes.fromhex(SAID[place - 1]["body"])


def message(place: int) -> Message:
    line = SAID[place - 1]
    return decode_envelope(Channel(line["channel"]), body(place)).message


def secret(name: str) -> bytes:
    return bytes.fromhex(GIVEN[name])


TOLD: Final = struct.pack("<I", 1_000) + bytes(range(16))


def test_the_messages_are_those_of_the_page_in_their_order() -> None:
    kinds = [identity.Hello, identity.HelloReply, owner.GetOwner, owner.Owner, *[owner.PairStep, owner.PairReply] * 3,
             identity.Hello, identity.HelloReply, owner.OpenChannel, owner.ChannelOpened, *[Sealed] * 3]  # fmt: skip
    assert [type(message(place)) for place in range(1, len(SAID) + 1)] == kinds
    assert [line["from"] for line in SAID] == ["host", "pen"] * 7 + ["host", "host", "pen"]


@pytest.mark.sr("SR-SEC-2")
def test_a_pairing_byte_for_byte() -> None:
    derivation = steps.unpack_derivation(TOLD)
    assert message(6) == owner.PairReply(step=1, share=TOLD)
    known = derive_secret(SetupCode(GIVEN["digits"]), GIVEN["serial_number"], derivation)
    negotiated = steps.negotiated(body(1), body(2), TOLD)
    parties = Parties.of(1, negotiated, secret("host_id"), GIVEN["serial_number"])
    prover = Prover(known, parties, int(GIVEN["x"], 16))
    answer = Verifier(known.registration(), parties, int(GIVEN["y"], 16)).answer(prover.share)
    confirmed = prover.finish(answer.share, answer.confirmation)
    offer = HostOffer(confirmed.key, public_key(secret("host_static_private")))
    reply = answer_offer(answer.finish(confirmed.confirmation), public_key(secret("pen_static_private")), offer.sealed)
    shares = [each.share for each in map(message, range(7, 11)) if isinstance(each, owner.PairStep | owner.PairReply)]
    assert shares == [
        steps.HostShare(secret("host_id"), prover.share).pack(),
        steps.PenShare(answer.share, answer.confirmation).pack(),
        steps.HostOffered(confirmed.confirmation, offer.sealed).pack(),
        reply.sealed,
    ]
    assert offer.finish(reply.sealed) == reply.keys
    assert reply.keys.binding == secret("binding")


@pytest.mark.sr("SR-SEC-1")
def test_a_connection_byte_for_byte() -> None:
    said = Negotiated(body(11), body(12), secret("binding"))
    own = {side: secret(f"{side}_static_private") for side in ("host", "pen")}
    ephemeral = {side: secret(f"{side}_ephemeral_private") for side in ("host", "pen")}
    host = HostHandshake(Keys(own["host"], public_key(own["pen"]), ephemeral["host"]), said)
    pen = PenHandshake(Keys(own["pen"], public_key(own["host"]), ephemeral["pen"]), said)
    first = host.begin()
    answer = pen.answer(first)
    assert message(13) == owner.OpenChannel(message=first)
    assert message(14) == owner.ChannelOpened(message=answer.message)
    sessions = {"host": host.finish(answer.message), "pen": answer.session}
    for place in (15, 16, 17):
        line: Line = SAID[place - 1]
        inner, channel = bytes.fromhex(line["inner"]), Channel(line["channel"])
        other = sessions["pen" if line["from"] == "host" else "host"]
        record = sessions[line["from"]].sealer.seal(channel, inner)
        assert message(place) == Sealed(record=record)
        assert other.opener.open(channel, record) == Opened(channel, line["counter"], inner)
        assert type(decode_envelope(channel, inner).message) in (identity.GetStatus, owner.GetOwner, owner.Owner)
