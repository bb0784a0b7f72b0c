"""A pen with needles in skin, and what the safety requirements say of how it must come to rest."""

from dermalink_protocol.codewords import State
from dermalink_protocol.limits import DEPTH_CAP_UM, IN_WITHIN_MS, LEASE_DEFAULT_MS
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.firmware.firmware import PenFirmware
from dermalink_simulator.pen import SimulatedPen
from tests.support.raw_host import RawHost

PHASES_MS = (0, 3, 7)  # where in the 10 ms of the main loop and the 5 ms of the timer interrupt a thing happens
IN_US = IN_WITHIN_MS * 1_000
LEASE_US = LEASE_DEFAULT_MS * 1_000
CAP_UM = int(DEPTH_CAP_UM)
AT_REST = (State.PAUSED, State.FAULT, State.LOCKED, State.OPEN, State.IDLE, State.STOP_FAILED)


class Running:
    """A session in a pass, needles in the skin of the forehead; `at_us` is the moment that is measured from."""

    def __init__(
        self,
        seed: int = 1,
        phase_ms: int = 0,
        depth_um: int = 500,
        head: str = "glide",
        disabled: frozenset[str] = frozenset(),
    ) -> None:
        self.pen = SimulatedPen(seed=seed, firmware=lambda: PenFirmware(disabled=disabled))
        self.pen.cartridge.fit(head)
        self.host = RawHost(self.pen)
        self.host.to_running(Zone.FOREHEAD, Direction.VERTICAL, depth_um=depth_um)
        self.host.run(200 + phase_ms)
        assert self.pen.needles_out
        self.mark()

    def mark(self) -> None:
        """Measure from now on."""
        self.at_us = self.pen.now_ms * 1_000
        self.punctures = self.pen.skin.punctures

    def in_after_us(self) -> int:
        """How long after the moment the needles were in, for good; fails while they are out."""
        inside = self.pen.skin.last_in_us
        assert inside is not None, "the needles are out"
        return inside - self.at_us

    def cut_after_us(self) -> int:
        """How long after the moment the drive was cut."""
        return self.pen.drive_cut_us - self.at_us

    def out(self) -> bool:
        """Whether needles truly stand out of the head now."""
        return self.pen.needles_out

    def state(self) -> State:
        """The state that a fresh connection is told."""
        host = RawHost(self.pen)
        status = host.status()
        host.port.close()
        return State(status.state)
