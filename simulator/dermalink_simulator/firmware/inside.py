"""Everything that the firmware remembers while it has power, in one place, so that a snapshot is whole."""

from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Reason
from dermalink_protocol.schema import Message
from dermalink_protocol.zones import Head
from dermalink_simulator.firmware.button import AT_POWER_UP
from dermalink_simulator.firmware.clock import SPARE_MS, ClockWatch, UnpressedSets
from dermalink_simulator.firmware.detectors import FRESH, STEADY, HeadShape, shape_of
from dermalink_simulator.firmware.entropy import Entropy
from dermalink_simulator.firmware.flash_store import FlashStore
from dermalink_simulator.firmware.heads import SeatedHead
from dermalink_simulator.firmware.hold import NO_HOLD
from dermalink_simulator.firmware.monitor import CLEAR
from dermalink_simulator.firmware.owner_record import NO_OWNER, OwnerRecord
from dermalink_simulator.firmware.pairing_state import PairingState
from dermalink_simulator.firmware.plausibility import UNSEEN
from dermalink_simulator.firmware.ports import Port
from dermalink_simulator.firmware.safeguards import Profile
from dermalink_simulator.firmware.selftest import Declared, SelfTest
from dermalink_simulator.firmware.tags import NO_TAG_ID
from dermalink_simulator.firmware.telemetry import Sampler
from dermalink_simulator.firmware.twice import Second
from dermalink_simulator.seam import Bench, DriveOrder, PowerCause, Sensors
from dermalink_simulator.therapy.core_limits import LIMITS, CoreLimits
from dermalink_simulator.therapy.gate import AT_REST, compiled
from dermalink_simulator.therapy.state import POWER_UP

UNLIMITED: Final = 0xFFFF
SYMPTOM_SHOWN_MS: Final = 5_000  # long enough to be seen after letting go (assumption)
NO_SHAPE: Final[HeadShape] = shape_of(6_000, stamp=False)

Trace = Callable[[str], None]


class LastApplied(NamedTuple):
    """The last therapy command that was applied: as `messages.identity.LastCommand` tells it."""

    session_id: int = 0
    command_id: int = 0
    opcode: int = 0
    tick_ms: int = 0


class Asked(NamedTuple):
    """Who asked, and how the reply finds its way; `seal` numbers the sealed channel it came by, 0 is in the clear."""

    port: int
    channel: Channel
    request_id: int
    seal: int = 0


class Deferred(NamedTuple):
    """A request whose reply waits for a write: the request, whom to answer, and the session that it is about."""

    message: Message
    asked: tuple[Asked, ...]
    session_id: int
    token: int


class Symptoms:
    """Symptoms that were said and those whose write has ended, counted; and the replies that wait for that.

    `noted` are those that the history tells under the lock that stands: who, what, in which session; `noted_run_s` when
    the lock was last written. `shown_ms` is how long the pen still shows that it took one.
    """

    def __init__(self) -> None:
        self.said = 0
        self.written = 0
        self.failed = False
        self.replies: deque[tuple[int, Asked, Message]] = deque()
        self.noted: set[tuple[int, int, int]] = set()
        self.noted_run_s = 0
        self.shown_ms = 0


class Nobody:
    """The bench of a pen that is on none."""

    def heard(self, port: int, channel: int, opcode: int, request_id: int) -> None:
        """See `seam.Bench`."""

    def answered(self, port: int, request_id: int) -> None:
        """See `seam.Bench`."""


class Inside:
    """The firmware's volatile state; the modules around it are functions and small machines over parts of it."""

    bench: Bench = Nobody()

    def __getstate__(self) -> dict[str, Any]:
        """For a snapshot: code is no state, and is made again from the limits; nor is who listens."""
        return {name: value for name, value in vars(self).items() if name not in ("compiled", "bench")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.compiled = compiled(self.limits)

    @property
    def owners_only(self) -> bool:
        """Whether nobody but an owner may run it: it has one, or it was built to be sold, or as if it were."""
        return self.owner.owned or self.profile is not Profile.TEST

    @property
    def touched_nobody(self) -> bool:
        """Whether no session can have been on it: nobody runs it before it is paired, and it never was (SR-OWN-1)."""
        record, readable = self.store.record, self.store.trouble is Reason.NONE
        return self.profile is not Profile.TEST and readable and not (record.owners or record.session_id)

    @property
    def told_reason(self) -> int:
        """Why it last refused, paused, stopped or latched; of an earlier owner's time only the fault that stands."""
        return self.state.fault if self.reason_is_anothers else self.state.reason

    def __init__(self, profile: Profile, disabled: frozenset[str]) -> None:
        self.profile = profile
        self.disabled = disabled
        self.limits: CoreLimits = LIMITS
        self.compiled = compiled(LIMITS)
        self.state = POWER_UP
        self.gate = AT_REST
        self.order: DriveOrder | None = DriveOrder()
        self.store = FlashStore()
        self.owner: OwnerRecord = NO_OWNER
        self.pairing = PairingState()
        self.entropy = Entropy(0, 0)
        self.declared = Declared(0, 0, 0)
        self.ports: dict[int, Port] = {}
        self.channels = 0  # handshakes so far
        self.handshakes: dict[int, tuple[int, int]] = {}  # of a port: how many are used up, and since which tick
        self.sensors = Sensors()
        self.tick_ms = self.boot_id = 0
        self.booted = False
        self.memory_fault = self.memory_told = False  # kept copies differed; the main loop has written it down
        self.cause = PowerCause.SWITCHED_ON
        # Measuring
        self.monitor = CLEAR
        self.monitor_told = False
        self.setting_um = 0
        self.button, self.hold = AT_POWER_UP, NO_HOLD
        self.second = Second(self.state, self.limits, self.gate, self.monitor, self.button)
        self.pressed, self.press_left_ms = False, 0  # the second: how long the last press still speaks for a new clock
        self.press_waits = False
        self.press_free = False  # the last press began where it may speak for a new clock
        self.guarded_ms = 0
        self.dwell, self.force_over_ms, self.rate, self.pair = FRESH, 0, STEADY, UNSEEN
        self.contact = self.raw_contact = 0
        self.shape = NO_SHAPE
        self.sampler = Sampler()
        self.clock, self.clock_sets, self.spare_ms = ClockWatch(), UnpressedSets(), SPARE_MS
        self.run_s = self.checkpoint_s = self.started_s = 0  # the last by the clock chip's own count
        # Head, pass, self-test
        self.head = SeatedHead()
        self.noted_tag_id = NO_TAG_ID
        self.pass_peak_um = self.pass_punctures = self.stop_ms = 0
        self.self_test = SelfTest()
        # Commands
        self.host_record: tuple[int, bytes] = (0, bytes(32))
        self.deferred: Deferred | None = None
        self.symptoms = Symptoms()
        self.remembered: dict[int, Message] = {}
        # The core's reason is one of an earlier owner's time, until a step writes another, or the same again.
        self.last, self.reason_is_anothers = LastApplied(), False
        self.clock_wanted_s = self.clock_out_s = 0
        self.clock_failed = False
        self.written: deque[tuple[int, bool]] = deque()
        self.refusals = 0
        self.last_refusal: tuple[int, int] = (0, int(Reason.NONE))
        self.lost = 0


def limits_for(rate_min_hz: int, rate_max_hz: int, disabled: frozenset[str]) -> CoreLimits:
    """The limits that core and gate are held to: the contract's, the pen's own narrower range of rates, and for tests
    none where a safeguard is off.
    """
    limits = LIMITS._replace(
        rate_min_hz=max(LIMITS.rate_min_hz, rate_min_hz), rate_max_hz=min(LIMITS.rate_max_hz, rate_max_hz)
    )
    changes: dict[str, Any] = {}
    if "limit-check" in disabled:
        every = (0, *(UNLIMITED for _ in limits.zone_cap_um[1:]))
        heads = (0, *(Head.GLIDE + Head.STAMP for _ in limits.zone_heads[1:]))
        changes |= {"depth_cap_um": UNLIMITED, "depth_min_um": 1, "depth_step_um": 1, "zone_cap_um": every}
        changes |= {"zone_heads": heads, "needles_max": 0xFF, "density_max_per_cm2": 0xFFFF_FFFF}
        changes |= {"rate_min_hz": 1, "rate_max_hz": 0xFF}
    if "wait" in disabled:
        changes |= {"interval_s": 0}
    return limits._replace(**changes)
