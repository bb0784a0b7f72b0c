"""The world of one campaign: a pen, whoever talks to it, and the account of what is truly done to it."""

from collections.abc import Callable
from typing import Final

from dermalink_protocol.limits import LEASE_DEFAULT_MS
from dermalink_protocol.messages import records, therapy
from dermalink_protocol.schema import Message
from dermalink_simulator.campaign.raw_host import RawHost
from dermalink_simulator.campaign.truth import MS, Truth
from dermalink_simulator.faults.spelling import Fault
from dermalink_simulator.firmware.firmware import PenFirmware
from dermalink_simulator.firmware.safeguards import Profile
from dermalink_simulator.hardware.button import PRESS_MS
from dermalink_simulator.hardware.cartridge import Cartridge
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.trace import POWER_ON

KEEPS_ALIVE: Final = (
    therapy.RenewLease,
    therapy.OpenSession,
    therapy.AdoptSession,
    therapy.Prepare,
    therapy.BeginPass,
    therapy.ResumePass,
)
FOR_GOOD_MS: Final = 1 << 62
WORDS: Final = (therapy.BeginPass, therapy.ResumePass)


class TellingHost(RawHost):
    """A raw host that tells the account what it sends, and by which tick of the pen that it heard of when."""

    def __init__(self, world: "World") -> None:
        """A new connection."""
        self._world = world
        self._heard: list[tuple[int, int]] = []  # ticks and when they were heard of
        self.last_word: Message | None = None
        super().__init__(world.pen)

    def send(self, message: Message) -> int:
        """As `RawHost.send`."""
        if isinstance(message, KEEPS_ALIVE):
            lease_ms = getattr(message, "lease_ms", int(LEASE_DEFAULT_MS))
            self._world.truth.renewed(self._heard_us(message.seen_tick_ms), lease_ms * MS)
        if isinstance(message, WORDS) and message is not self.last_word:
            self.last_word = message
            self._world.truth.said()
        return super().send(message)

    def listen(self) -> None:
        """As `RawHost.listen`."""
        before_ms = self.tick_ms
        super().listen()
        if self.tick_ms > before_ms:
            self._heard.append((self.tick_ms, self._world.truth.now_us))

    def say_again(self) -> None:
        """Repeat the last word for motion, as it was."""
        if self.last_word is not None:
            self.send(self.last_word)

    def _heard_us(self, tick_ms: int) -> int:
        """When the first tick was heard that is no older; one that nobody heard of was made up: now."""
        for tick, at_us in self._heard:
            if tick >= tick_ms:
                return at_us
        return self._world.truth.now_us


class World:
    """One pen of a seed, its host of the moment, and the heads that lie about."""

    def __init__(
        self,
        seed: int,
        without: frozenset[str] = frozenset(),
        *,
        sold: bool = False,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        """`without` are safeguards that are off. `sold`: built as if to be sold, with no owner, and with switches."""
        self.truth = Truth()
        self.truth.owner_missing = sold
        build = Profile.BOXED if sold else Profile.TEST

        def firmware() -> PenFirmware:
            self.truth.booted()
            if trace is not None:
                trace(POWER_ON)
            return PenFirmware(profile=build, disabled=without, trace=trace)

        self.pen = SimulatedPen(seed=seed, firmware=firmware, power=False)
        self.truth.attach(self.pen)
        self.heads: list[Cartridge] = []
        self.on_fault: Callable[[Fault], None] = lambda _: None
        self._down_until_ms = 0
        self.began_s = self.pen.clock.utc_s
        self.pen.power.restore()
        self.host = TellingHost(self)

    def press(self) -> None:
        """Press the button, shortly; while it is down already that is no press."""
        if self.pen.now_ms >= self._down_until_ms:
            if self.pen.needles_out and not any(fault.unit == "button" for fault in self.pen.faults.active):
                self.truth.pressed()
            self._down_until_ms = self.pen.now_ms + PRESS_MS
        self.pen.button.press()

    def hold(self) -> None:
        """Press the button and keep it down."""
        self._down_until_ms = FOR_GOOD_MS
        self.pen.button.hold()

    def release(self) -> None:
        """Let the button go; what is let go sooner than a press takes was none."""
        if self.pen.now_ms < self._down_until_ms < FOR_GOOD_MS:
            self.truth.hardly_pressed()
        self._down_until_ms = self.pen.now_ms
        self.pen.button.release()

    def reconnect(self) -> None:
        """A new connection, which says hello; the old one is left as it is."""
        old, self.host = self.host, TellingHost(self)
        self.host.session_id, self.host.last_word = old.session_id, old.last_word
        self.host.hello()

    def note_history(self) -> None:
        """Ask how far the history reaches; what was shown once must never be gone."""
        answer = self.host.ask(records.GetHistoryState())
        if isinstance(answer, records.HistoryState):
            self.truth.last_number = max(self.truth.last_number, answer.last_number)

    @property
    def true_utc_s(self) -> int:
        """What a right clock shows."""
        return self.began_s + self.truth.slept_s + self.pen.now_ms // MS
