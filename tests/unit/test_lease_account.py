"""The account of leases never comes between a host and the pen that it watches, and tells when it was not kept."""

import pytest

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode
from dermalink_protocol.segmentation import Segmenter
from dermalink_simulator.hardware.port import PenPort
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.seam import PortKind
from tests.support import lease_account
from tests.support.lease_account import LeaseAccount

UNKNOWN = (max(Opcode) + 1).to_bytes(2, "little") + bytes(2)  # and a request id


def watched_port(arrived: list[bytes]) -> tuple[LeaseAccount, PenPort]:
    """An account of a pen with one port, and what goes past it to the pen."""
    pen = SimulatedPen(seed=3)
    connect = pen.connect

    def connect_noted(kind: PortKind = PortKind.STREAM) -> PenPort:
        port = connect(kind)
        port.write = arrived.append  # type: ignore[method-assign, assignment]
        return port

    pen.connect = connect_noted  # type: ignore[method-assign]
    account = LeaseAccount(pen)
    return account, pen.connect(PortKind.GATT)


def command(body: bytes) -> bytes:
    (segment,) = Segmenter().cut(body, 247)
    return bytes([Channel.COMMAND]) + segment


@pytest.mark.parametrize("data", [b"", bytes([Channel.COMMAND]), command(UNKNOWN), command(b"?")])
def test_what_no_pen_understands_goes_on_to_it_and_renews_nothing(data: bytes) -> None:
    arrived: list[bytes] = []
    account, port = watched_port(arrived)
    port.write(data)
    assert arrived == [data]
    assert not account.renewals
    account.hold()


def test_a_mistake_of_the_account_keeps_nothing_from_the_pen_and_fails_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def mistaken(*_: object) -> None:
        raise ZeroDivisionError

    arrived: list[bytes] = []
    account, port = watched_port(arrived)
    monkeypatch.setattr(lease_account, "decode_envelope", mistaken)
    data = command(UNKNOWN)
    port.write(data)
    assert arrived == [data]
    with pytest.raises(ExceptionGroup, match="not kept"):
        account.hold()
