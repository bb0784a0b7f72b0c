"""What truly happened to the skin: an account kept from the hardware alone, and from what was done to it.

Nothing that the pen says goes into it. Strokes come from the skin, boots from the power, faults from the list of what
is laid over the hardware; what a host sent and what a hand did is told by who did it. Times are µs of the pen's time.
"""

from bisect import bisect_left
from typing import Final, NamedTuple

from dermalink_protocol.limits import IN_WITHIN_MS, LEASE_DEFAULT_MS
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.faults.spelling import Fault
from dermalink_simulator.hardware.button import PRESS_MS
from dermalink_simulator.hardware.cartridge import Cartridge
from dermalink_simulator.pen import SimulatedPen

# What has to fail a self-test if it was there before power came and still is: sizes as the tests of single faults
# show that they are found. Smaller ones may pass.
_OFF_UM: Final = 70
_SLOW_PERCENT: Final = 300
MS: Final = 1_000
# No firmware can draw such needles in; their motor is cut, so that they make no strokes.
STUCK_OUT: Final = frozenset({("drive", "stuck"), ("spring", "weak"), ("spring", "broken")})
NO_LEASE_US: Final = -1
# Needles that power or a reset has cut loose are drawn in within this; no pen spins up within it.
ON_ITS_WAY_US: Final = IN_WITHIN_MS * MS


class Struck(NamedTuple):
    """A stroke in skin, the boot that it fell into (from 1), the head that made it, and the true age of the pen in s.

    `renewed_us` is when what keeps it alive was last said, `lease_us` for how long at most.
    """

    at_us: int
    zone: Zone
    direction: Direction
    depth_um: int
    needles: int
    boot: int
    head: int
    true_s: int
    renewed_us: int
    lease_us: int


class Hung(NamedTuple):
    """A main loop that stands still from one moment until it is mended, ends by itself, or the pen boots."""

    from_us: int
    until_us: int


class Truth:
    """The account of one pen. Who acts tells it: before a head changes, when something is said, pressed, put on."""

    def __init__(self) -> None:
        """`attach` must follow before anything is asked."""
        self.strokes: list[Struck] = []
        self.boots_us: list[int] = []
        self.doomed: list[tuple[int, Fault]] = []  # by boot, a fault that its self-test had to find
        self.presses_us: list[int] = []
        self.hung: list[Hung] = []
        self.spots_us: list[tuple[int, int]] = []  # the hand stays in one spot: since, until
        self.words_us: list[int] = []  # a host's fresh word that starts or resumes motion
        self.stop_broken = self.carriage_wild = self.stuck_out = self.moves_unseen = False
        self.owner_missing = self.flash_spoilt = False
        self.last_number = 0  # of the records that a host was shown
        self.slept_s = 0
        self.lease_us = LEASE_DEFAULT_MS * MS
        self._sent_us: list[int] = []
        self._heard_us: list[int] = []  # the newest that any of those sent until then quotes
        self._read_us = -1
        self._heads: dict[Cartridge, int] = {}
        self._pen: SimulatedPen | None = None
        self._staying_us: int | None = None

    # Told by the power

    def attach(self, pen: SimulatedPen) -> None:
        """Keep the account of this pen, which has no power yet."""
        self._pen = pen

    def booted(self) -> None:
        """Power has come, or the processor starts again; called before the firmware runs."""
        assert self._pen is not None
        self.boots_us.append(self.now_us)
        self.doomed += [(self.boot, fault) for fault in self._pen.faults.active if _must_fail(fault)]

    @property
    def boot(self) -> int:
        """The number of the last boot, from 1; 0 before the first."""
        return len(self.boots_us)

    @property
    def now_us(self) -> int:
        """Now."""
        assert self._pen is not None
        return self._pen.now_ms * MS

    # Told by who acts

    def renewed(self, heard_us: int, lease_us: int) -> None:
        """A host quotes, in what keeps a lease alive, a tick that it heard of then; the lease asked for only grows."""
        self.lease_us = max(self.lease_us, lease_us)
        self._sent_us.append(self.now_us)
        self._heard_us.append(max(heard_us, self._heard_us[-1] if self._heard_us else heard_us))

    def said(self) -> None:
        """A host gives its word for motion, freshly made."""
        self.words_us.append(self.now_us)

    def pressed(self) -> None:
        """The button goes down, by a hand, with needles out."""
        self.presses_us.append(self.now_us)

    def hardly_pressed(self) -> None:
        """The last press was let go before it was one."""
        since_us = self.now_us - PRESS_MS * MS
        self.presses_us = [at_us for at_us in self.presses_us if at_us <= since_us]

    def stays(self) -> None:
        """The hand stays where it is, in contact."""
        if self._staying_us is None:
            self._staying_us = self.now_us

    def moves(self) -> None:
        """The hand lifts or goes on."""
        if self._staying_us is not None:
            self.spots_us.append((self._staying_us, self.now_us))
            self._staying_us = None

    def slept(self, seconds: int) -> None:
        """So much time passed that the pen's own time does not show."""
        self.slept_s += seconds

    def put_on(self, fault: Fault) -> None:
        """A fault was laid over the hardware, or will be."""
        begins_us = self.now_us + fault.after_ms * MS
        self.stuck_out = self.stuck_out or (fault.unit, fault.kind) in STUCK_OUT
        match fault.unit, fault.kind:
            case "cartridge_stop" | "cartridge_tag", "broken" | "worn" | "lies":
                self.stop_broken = True
            case "drive" | "cartridge", "overshoot" | "badly_seated":
                self.carriage_wild = True
            case "travel" | "contact" | "force_sensor", _:
                self.moves_unseen = True
            case "flash", "bit_rot" | "bad_sector" | "worn_out" | "reordering" | "write_failure":
                self.flash_spoilt = True
            case "main_loop", "hung":
                until = begins_us + fault.for_ms * MS if fault.for_ms else 1 << 62
                self.hung.append(Hung(begins_us, until))

    def mended(self) -> None:
        """All faults were taken off."""
        now_us = self.now_us
        self.hung = [one._replace(until_us=min(one.until_us, now_us)) for one in self.hung]

    # The account

    def look(self) -> list[Struck]:
        """Take in the strokes since the last look and give them; to be called before the head changes."""
        pen = self._pen
        assert pen is not None
        now_us, head = self.now_us, pen.cartridge.head
        number = 0 if head is None else self._heads.setdefault(head, len(self._heads) + 1)
        new = [
            Struck(
                one.at_us,
                one.zone,
                one.direction,
                one.depth_um,
                one.needles,
                max(1, bisect_left(self.boots_us, one.at_us - ON_ITS_WAY_US)),
                number,
                self.slept_s + one.at_us // 1_000_000,
                self._renewed_before(one.at_us),
                self.lease_us,
            )
            for one in pen.skin.between(self._read_us, now_us)
        ]
        self._read_us = now_us
        self.strokes += new
        on = {id(fault) for fault in pen.faults.active}
        self.doomed = [(boot, fault) for boot, fault in self.doomed if id(fault) in on]
        return new

    def quiet_us(self) -> int:
        """How long ago the last thing was said that keeps a lease alive."""
        return self.now_us - (self._heard_us[-1] if self._heard_us else 0)

    def _renewed_before(self, at_us: int) -> int:
        place = bisect_left(self._sent_us, at_us)
        return self._heard_us[place - 1] if place else NO_LEASE_US

    def spots(self) -> list[tuple[int, int]]:
        """When the hand stayed in one spot, the present included."""
        now = [(self._staying_us, self.now_us)] if self._staying_us is not None else []
        return self.spots_us + now


def _must_fail(fault: Fault) -> bool:
    um, percent = abs(fault.values.get("um", 0)), fault.values.get("percent", 0)
    match fault.unit, fault.kind:
        case "spring", "broken":
            return True
        case "spring", "weak":
            return percent >= _SLOW_PERCENT
        case "depth_sensor", "stuck":
            return True
        case "depth_sensor" | "drive_feedback", "offset":
            return um >= _OFF_UM
    return False
