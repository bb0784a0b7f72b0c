"""The numbers of a pass and of a session, kept from telemetry and status as they come."""

from typing import Final

from dermalink.lease import Lease
from dermalink.session.coverage import Coverage
from dermalink.session.events import PassOver, PassPlan, Progress
from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.messages.identity import Status
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.samples import CONTACT, PACK_SAMPLE
from dermalink_protocol.wording import WORDING
from dermalink_protocol.zones import Head


class PassTally:
    """One pass so far; times are the loop's."""

    def __init__(self, step: PassPlan, head: Head, width_um: int) -> None:
        """`head` and `width_um` are the seated head's, from its tag."""
        self.step: Final = step
        self.coverage: Final = Coverage(step.zone, head, width_um)
        self.began_s: float | None = None
        self.peak_um = self.punctures = self.budget = 0
        self.resumes_left = 0
        self.interruptions = 0
        self.covered = False
        self.stopped_here = False  # a Stop of this host went out while it was made
        self._depth_um = self._force_mn = self._rate_hz = 0
        self._contact = False
        self._battery_percent = 0

    def begin(self, now_s: float) -> None:
        """The button was pressed for the first time."""
        self.began_s = self.began_s or now_s

    def telemetry(self, batch: Telemetry) -> None:
        """Take a batch in; in the air nothing is covered, and a peak counts wherever it is."""
        self.coverage.add(batch.samples)
        force = depth = rate = 0
        contact = False
        for depth_um, force_mn, rate_hz, flags, _dx, _dy in PACK_SAMPLE.iter_unpack(batch.samples):
            depth, force, rate = max(depth, depth_um), max(force, force_mn), rate_hz
            contact = bool(flags & CONTACT)
        self._depth_um, self._force_mn, self._rate_hz, self._contact = depth, force, rate, contact
        self.peak_um = max(self.peak_um, depth)

    def status(self, status: Status) -> None:
        """Take a status in; before the press its counts are still the last pass's."""
        self._battery_percent = status.battery_percent
        if self.began_s is None:
            return
        self.peak_um = max(self.peak_um, status.peak_depth_um)
        self.punctures = max(self.punctures, status.punctures)
        self.resumes_left = status.resumes_left

    def progress(self, state: State, lease: Lease | None, lost: int) -> Progress:
        """How it stands."""
        margin = lease.margin_ms if lease is not None else None
        trip = lease.round_trip_s if lease is not None else None
        return Progress(
            step=self.step,
            state=state,
            coverage_percent=self.coverage.percent,
            depth_um=self._depth_um,
            peak_um=self.peak_um,
            cap_um=self.step.depth_um,
            punctures=self.punctures,
            budget=self.budget,
            force_mn=self._force_mn,
            rate_hz=self._rate_hz,
            contact=self._contact,
            battery_percent=self._battery_percent,
            lease_margin_ms=margin or 0,
            lowest_lease_margin_ms=(lease.lowest_margin_ms if lease is not None else None) or 0,
            lease_ms=int(lease.lease_ms) if lease is not None else 0,
            round_trip_ms=round((trip or 0.0) * 1_000, 1),
            lost=lost,
        )

    def over(self, reason: Reason, now_s: float, *, used_up: bool) -> PassOver:
        """What came of it."""
        return PassOver(
            step=self.step,
            reason=reason,
            words="Covered, by the estimate, and lifted" if self.covered else WORDING[reason].said,
            punctures=self.punctures,
            budget=self.budget,
            coverage_percent=self.coverage.percent,
            peak_um=self.peak_um,
            seconds=round(now_s - self.began_s, 2) if self.began_s is not None else 0.0,
            interruptions=self.interruptions,
            used_up=used_up,
        )
