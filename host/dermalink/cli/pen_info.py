"""All that a pen says of itself, for a person and as JSON."""

from datetime import UTC, datetime
from enum import Enum, IntFlag
from typing import Any

from dermalink.claims import looser_claims, therapy_bars
from dermalink.pen import Pen
from dermalink_protocol.codewords import Reason
from dermalink_protocol.messages.identity import (
    Cartridge,
    CartridgeFlag,
    GetSelfTest,
    HelloReply,
    SelfTestReport,
    Status,
    StatusFlag,
)
from dermalink_protocol.wording import WORDING
from dermalink_protocol.zones import Head

Rows = list[tuple[str, str]]
DAY_S = 86_400
HEALTH = StatusFlag.SYMPTOM | StatusFlag.ADVICE_DUE
FOR_ITS_OWNER = "told to its owner alone"


class PenInfo:
    """What was read of a pen at one moment."""

    def __init__(self, pen: Pen, status: Status, cartridge: Cartridge | None, self_test: SelfTestReport | None) -> None:
        """`cartridge` and `self_test` are None where the pen tells them to its owner alone."""
        self.url, self.serial_number, self.hello = pen.connection.link.url, pen.serial_number, pen.hello
        self.owned, self.sealed, self.stranger = pen.owned, pen.sealed, pen.stranger
        self.status, self.cartridge, self.self_test = status, cartridge, self_test

    @classmethod
    async def read(cls, pen: Pen) -> "PenInfo":
        """Ask the pen, when it has come to rest if it was just switched on; asking changes nothing."""
        if pen.stranger:
            return cls(pen, await pen.status(), None, None)
        facts = await pen.look()
        return cls(pen, facts.status, facts.cartridge, await pen.request(GetSelfTest()))

    def as_dict(self) -> dict[str, Any]:
        """For `--json`: the contract's own field names, code words and flags by name."""
        return {
            "pen": self.url,
            "serial_number": self.serial_number,
            "firmware": firmware(self.hello),
            "owned": self.owned,
            "sealed": self.sealed,
            "hello": plain(self.hello),
            "status": plain(self.status),
            "cartridge": self.cartridge and plain(self.cartridge),
            "self_test": self.self_test and plain(self.self_test),
            "findings": self.findings(),
        }

    def findings(self) -> list[str]:
        """Why this pen gets no therapy from this host; empty for one that may get it."""
        return [finding.said for finding in (*looser_claims(self.hello), *therapy_bars(self.hello))]

    def sections(self) -> list[tuple[str, Rows]]:
        """Headings, each with its rows."""
        return [
            (f"Pen {self.serial_number} on {self.url}", self._identity()),
            ("Its own limits", self._limits()),
            ("Head", self._head()),
            ("Now", self._now()),
        ]

    def _identity(self) -> Rows:
        capabilities = ", ".join(names(self.hello.capabilities)) or "none beyond the basics"
        return [
            ("firmware", f"{firmware(self.hello)}, protocol {self.hello.protocol_version}"),
            ("capabilities", capabilities),
            ("calibration", self._calibration()),
            ("owner", self._owner()),
            ("for this host", "; ".join(self.findings()) or "fits: its limits are as strict as the host's"),
        ]

    def _calibration(self) -> str:
        """Its id; a pen that can read none of its own says 0, and gives no therapy (SR-CAL-1)."""
        if self.hello.calibration_id:
            return f"{self.hello.calibration_id:08x}"
        missing = WORDING[Reason.CALIBRATION_MISSING]
        return f"none that it can read. {missing.advice}"

    def _owner(self) -> str:
        if self.sealed:
            return "you: all that is shown here came sealed, from this very pen"
        if self.owned:
            return "somebody else, or you on another computer; shown is what anybody is told, unproved"
        if self.stranger:
            return "none yet: nobody can run it before it is paired"
        return "none: whoever reaches it can run it"

    def _limits(self) -> Rows:
        hello = self.hello
        return [
            ("depth", f"{hello.depth_min_um} to {hello.depth_cap_um} µm in steps of {hello.depth_step_um} µm"),
            ("tolerance, accuracy", f"{hello.drive_tolerance_um} µm, {hello.sensor_accuracy_um} µm"),
            ("rate", f"{hello.rate_min_hz} to {hello.rate_max_hz} Hz, up to {hello.needles_max} needles"),
            ("passes", f"{hello.passes_per_zone} a zone, {hello.budget_per_cm2} punctures per cm² each"),
            ("lease", f"up to {hello.lease_max_ms} ms"),
            ("session", f"up to {hello.session_max_s // 60} min, {hello.interval_s // DAY_S} days apart"),
        ]

    def _head(self) -> Rows:
        head = self.cartridge
        if head is None:
            return [("head", FOR_ITS_OWNER)]
        if CartridgeFlag.PRESENT not in head.flags:
            return [("head", "none is fitted")]
        if CartridgeFlag.READABLE not in head.flags:
            return [("head", "its tag can't be read")]
        kind = Head(head.head).name.lower() if head.head in set(Head) else f"unknown kind {head.head}"
        fit = "fit for a session" if head.reason is Reason.NONE else f"refused: {WORDING[head.reason].said}"
        return [
            ("kind", f"{kind}, {head.needles} needles, {head.width_um / 1000:g} mm wide"),
            ("reach", f"at most {head.protrusion_um} µm"),
            ("tag", f"{head.tag_id.hex()}, maker {head.maker}, lot {head.lot}"),
            ("sterile until", utc(head.sterile_until_s)),
            ("used", f"{head.sessions_used} of {head.sessions_allowed} sessions, {head.strokes} strokes"),
            ("verdict", fit),
        ]

    def _now(self) -> Rows:
        status = self.status
        said = status.state.name.lower().replace("_", " ")
        why = "" if status.reason is Reason.NONE else f" ({WORDING[status.reason].said})"
        return [
            ("state", said + why),
            ("measured", ", ".join(names(status.flags & ~HEALTH)) or "nothing"),
            *self._symptom(),
            ("session", f"{status.session_id:08x}" if status.session_id else "none"),
            ("next session", "may be opened" if not status.wait_s else f"in {days(status.wait_s)}"),
            ("self-test", self._tested()),
            ("battery", f"{status.battery_percent} %"),
            ("clock", utc(status.utc_s)),
        ]

    def _symptom(self) -> Rows:
        """Nothing where there is none, or where the pen tells it to its owner alone."""
        kept = []
        if StatusFlag.SYMPTOM in self.status.flags:
            kept.append(f"one was reported, and bars the next session for {days(self.status.wait_s)}")
        if StatusFlag.ADVICE_DUE in self.status.flags:
            kept.append("a clinician's advice comes before the next session")
        return [("symptom", "; ".join(kept))] if kept else []

    def _tested(self) -> str:
        test = self.self_test
        if test is None:
            return FOR_ITS_OWNER
        if test.failed:
            return f"failed: {', '.join(names(test.failed))}"
        return f"passed, needles in after {test.retraction_ms} ms" if test.done else "not done yet"


def firmware(hello: HelloReply) -> str:
    """The firmware's version as people write it."""
    version = hello.firmware_version
    return f"{version >> 16}.{version >> 8 & 0xFF}.{version & 0xFF}"


def names(flags: IntFlag) -> list[str]:
    """The names of the flags that are set, as words."""
    return [(flag.name or "?").lower().replace("_", " ") for flag in flags]


def utc(seconds: int) -> str:
    """A date and time in UTC; "lost" for 0."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC" if seconds else "lost"


def days(seconds: int) -> str:
    """A wait, rounded up: days, or hours when it is less than two days."""
    if seconds >= 2 * DAY_S:
        return f"{-(-seconds // DAY_S)} days"
    return f"{-(-seconds // 3_600)} h"


def plain(message: Any) -> dict[str, Any]:
    """A message's fields as JSON holds them."""
    return {name: _value(value) for name, value in message.as_dict().items()}


def _value(value: Any) -> Any:
    if isinstance(value, IntFlag):
        return names(value)
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, bytes):
        return value.hex()
    return value
