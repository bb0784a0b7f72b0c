"""The seated head: its tag, what the ledger knows of it, and what it has done since that was written."""

from typing import Final

from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import LEASE_DEFAULT_MS
from dermalink_simulator.firmware.flash_layout import HeadRecord
from dermalink_simulator.firmware.ledger import Ledger
from dermalink_simulator.firmware.tags import NO_TAG_ID, halves, head_kind, legible, strokes_left
from dermalink_simulator.seam import Tag
from dermalink_simulator.therapy.events import Event, EventKind

READ_AGAIN_MS: Final = int(LEASE_DEFAULT_MS)  # a tag is read again while armed, at least every 500 ms (SR-CART-5)
TIMER_MAX_MS: Final = 0xFFFF
COUNT_MAX: Final = 0xFFFF_FFFF
MS_PER_S: Final = 1_000


class SeatedHead:
    """What sits on the pen."""

    __slots__ = (
        "_asked",
        "_motor_ms",
        "_record",
        "_since_ms",
        "_strokes",
        "badly_seated",
        "changed",
        "present",
        "tag",
        "unread",
    )

    def __init__(self) -> None:
        self.present = False
        self.tag: Tag | None = None
        self.unread = False
        self.changed = True
        self.badly_seated = NO_TAG_ID
        self._record = HeadRecord(NO_TAG_ID, 0, 0, 0, 0)
        self._strokes = 0
        self._motor_ms = 0
        self._asked = False
        self._since_ms = 0

    def tick(self, dt_ms: int, present: int) -> None:
        """Look whether there is a head; ask for its tag when it is new, and again and again."""
        if present != self.present:
            self.present = bool(present)
            self.changed = True
            self.tag = None
            self.unread = self.present
            self._asked = False
            return
        if not present:
            return
        self._since_ms = min(self._since_ms + dt_ms, TIMER_MAX_MS)
        if self._since_ms >= READ_AGAIN_MS:
            self.unread = True
            self._since_ms = 0

    def look_again(self) -> None:
        """Ask for the tag now: something is about to begin with this head (SR-CART-5)."""
        self.unread = self.present

    def wanted(self) -> bool:
        """Whether the tag is asked for; taken."""
        if self.unread and not self._asked:
            self._asked = True
            return True
        return False

    def read(self, tag: Tag | None) -> None:
        """What the reading brought; None is unreadable."""
        self._asked = self.unread = False
        self._since_ms = 0
        if self.present and tag != self.tag:
            self.tag = tag
            self.changed = True
        elif self.present and tag is None:
            self.changed = True

    def strokes(self, count: int, motor_ms: int) -> None:
        """Count strokes and time of the motor with this head."""
        self._strokes += count
        self._motor_ms += motor_ms

    @property
    def record(self) -> HeadRecord:
        """All that the head has done up to now, counted in."""
        if self._strokes or self._motor_ms >= MS_PER_S:
            seconds, self._motor_ms = divmod(self._motor_ms, MS_PER_S)
            record = self._record
            self._record = record._replace(
                strokes=min(record.strokes + self._strokes, COUNT_MAX), motor_s=min(record.motor_s + seconds, COUNT_MAX)
            )
            self._strokes = 0
        return self._record

    def begin(self, session_id: int) -> bool:
        """The head is used in this session from now on; True when it was not before."""
        if self.record.session_id == session_id:
            return False
        record = self.record
        self._record = record._replace(sessions=min(record.sessions + 1, 0xFFFF), session_id=session_id)
        return True

    def event(self, ledger: Ledger, session_id: int, tolerance_um: int, utc_s: int) -> Event:
        """What the therapy core is told of the head; the ledger's record of it becomes the one that counts on."""
        self.changed = False
        tag, verdict = self.tag, Reason.CARTRIDGE_ABSENT
        if self.present:
            verdict = legible(tag)
        if tag is None or verdict is Reason.CARTRIDGE_UNREADABLE:
            return Event(kind=EventKind.HEAD, verdict=int(verdict), utc_s=utc_s)
        if tag.tag_id == self.badly_seated:
            verdict = Reason.CARTRIDGE_BADLY_SEATED
        if self.record.tag_id != tag.tag_id:
            self._record, self._strokes, self._motor_ms = ledger.find(tag.tag_id), 0, 0
        marked = session_id != 0 and self.record.session_id == session_id
        low, high = halves(tag.tag_id)
        return Event(
            kind=EventKind.HEAD,
            verdict=int(verdict),
            tag_low=low,
            tag_high=high,
            head_kind=head_kind(tag),
            needles=tag.needles,
            width_um=tag.width_um,
            reach_um=tag.protrusion_um,
            tolerance_um=tolerance_um,
            sterile_until_s=tag.sterile_until_s,
            sessions_allowed=tag.sessions_allowed,
            sessions_used=self.record.sessions - marked,
            strokes_left=strokes_left(tag, self.record.strokes),
            marked=int(marked),
            utc_s=utc_s,
        )
