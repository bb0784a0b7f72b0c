"""A pen with owners, and the power that goes away somewhere: a wrong code, a pairing, a hand-over, a release.

What each host was told is kept; afterwards the pen and the one who was told must agree, and pairing again must work.
"""

from dataclasses import dataclass, field
from functools import cache

from dermalink_protocol.history import check_chain, decode_record, origin
from dermalink_protocol.history_entries import OwnerPairedEntry, OwnerReleasedEntry
from dermalink_protocol.sealing.keys import public_key
from dermalink_simulator.firmware.inside import Inside
from dermalink_simulator.hardware.board import PenOffError
from dermalink_simulator.hardware.port import PortClosedError
from dermalink_simulator.pen import SimulatedPen
from tests.support.pairing_host import PairedClient, PairingHost, drawn, hold, press
from tests.support.sealed_client import inside

NO_CUT = 0
SEED = 5
RELEASE_OWNER, OWNER_RELEASED = 0x391B, 0xE692
ON_PAIRING = 1
NOBODY = b"nobody"


@dataclass
class Told:
    """What the pen has told: tries answered since the last pairing, whose it is, who may be it by now."""

    wrong: int = 0
    owner: bytes = b""
    next: bytes = b""
    numbers: list[int] = field(default_factory=lambda: [0])


def public(name: str) -> bytes:
    """The static public key of the host with that name."""
    return public_key(drawn(f"{name} private"))


class Life:
    """A pen and its hosts; `cut` is the flash operation in which power goes away, 0 for none."""

    def __init__(self, cut: int = NO_CUT, tear: int = 1) -> None:
        self.pen = SimulatedPen(seed=SEED)
        self.pen.advance(1_000)
        self.before = self.pen.flash_operations
        self.told = Told()
        self.finished = False
        if cut:
            self.pen.faults.inject("flash", "power_cut", operation=cut, tear=tear)
        try:
            self._live()
            self.finished = True
        except (PortClosedError, PenOffError, AssertionError):
            assert not self.pen.power.on, "only a loss of power may end it early"
        self.operations = self.pen.flash_operations - self.before

    def _live(self) -> None:
        pen, told = self.pen, self.told
        press(pen)
        PairingHost(pen, "guesser").try_wrong()
        told.wrong = 1
        self._pair("first")
        hold(pen)
        self._pair("second")
        self._release("second")
        press(pen)
        self._pair("third")
        pen.advance(500)

    def _pair(self, name: str) -> None:
        told = self.told
        told.next = public(name)
        told.numbers.append(told.numbers[-1] + 1)
        keys = PairingHost(self.pen, name).pair()
        self.keys = keys
        told.owner, told.wrong = told.next, 0
        told.next = b""

    def _release(self, name: str) -> None:
        client = PairedClient(self.pen, drawn(f"{name} private"), self.keys).connect()
        self.told.next = NOBODY
        got = client.ask(ON_PAIRING, RELEASE_OWNER)
        assert got.opcode == OWNER_RELEASED
        self.told.owner = self.told.next = b""


def power_back(flash: bytes, cut: int = NO_CUT) -> SimulatedPen:
    """The same pen when its power is back, which goes again in the `cut`-th operation if that comes."""
    pen = SimulatedPen(seed=SEED, flash=flash, power=False)
    if cut:
        pen.faults.inject("flash", "power_cut", operation=cut)
    pen.power.restore()
    pen.advance(1_500)
    pen.faults.clear()
    return pen


def check(pen: SimulatedPen, told: Told) -> None:
    """Whole old owner or whole new one, the history tells the same, no try is forgotten, and pairing again works."""
    known = inside(pen)
    owner, record = known.owner, known.store.record
    whose = owner.host_public if owner.owned else b""
    assert whose in {told.owner, b"" if told.next == NOBODY else told.next or told.owner}
    if owner.owned:
        assert owner.binding != bytes(32)
        assert public_key(owner.pen_private)
    assert record.wrong_codes >= told.wrong or whose != told.owner
    assert record.owners in told.numbers
    _check_history(known)
    assert PairingHost(pen, "asking").standing().owned == owner.owned
    hold(pen)
    host = PairingHost(pen, "heir")
    host.pair()
    assert inside(pen).owner.number == record.owners + 1
    assert inside(pen).owner.host_public == public("heir")


def _check_history(known: Inside) -> None:
    records = known.store.history.records
    assert check_chain(records, origin(known.store.factory.serial_number)) == []
    number = 0
    for entry in (decode_record(record).entry() for record in records):
        if isinstance(entry, OwnerPairedEntry):
            number = entry.owner_number
        elif isinstance(entry, OwnerReleasedEntry):
            number = 0
    assert number == known.owner.number


@cache
def life_with_cut(cut: int, tear: int) -> Life:
    """Lived once, looked at many times."""
    return Life(cut, tear)
