"""A campaign: from one seed a host that does what it likes, a clumsy hand, and faults; then all is healed.

While it lasts the pen must stay safe, whatever anybody does; afterwards it must come to rest and answer. What is
checked is the skin and the drive, which no message of the pen goes into.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from random import Random
from typing import Final, NamedTuple

import pytest

from dermalink_protocol.codewords import State
from dermalink_protocol.limits import IN_WITHIN_MS, INTERVAL_S, LEASE_MAX_MS, ZONE_RULES, pass_budget
from dermalink_protocol.messages import identity, stop, therapy
from dermalink_protocol.zones import Direction, Symptom, Zone
from dermalink_simulator.faults.spelling import ImpossibleFaultError
from dermalink_simulator.faults.words import VOCABULARY, FaultKind
from dermalink_simulator.firmware.firmware import PenFirmware
from dermalink_simulator.hardware.board import PenOffError
from dermalink_simulator.hardware.port import PortClosedError
from dermalink_simulator.pen import SimulatedPen
from tests.fault.drawing import schedule_of, values_of
from tests.support.raw_host import NoAnswerError, OtherAnswerError, RawHost

STEPS: Final = 300
SEEDS: Final = range(24)
# The true stop is what must hold.
NEVER_ALONE: Final = {("cartridge_stop", "broken"), ("cartridge_stop", "worn"), ("cartridge_tag", "lies")}
# No firmware can draw such needles in.
STUCK_OUT: Final = {("drive", "stuck"), ("spring", "weak"), ("spring", "broken")}
SEARCHED: Final = 150  # seeds within which a campaign without a safeguard has to find it out


# A campaign's host talks to the pen directly; there is no air to spoil. A bit of memory that flips can have any
# consequence as long as the pen keeps its state once (test_known_gaps.py says which).
WITHOUT_AIR: Final = tuple(word for word in VOCABULARY if word.unit not in ("air", "memory"))


class World(NamedTuple):
    """What happens in a campaign: mostly, now and then, and which faults there are."""

    usual: Sequence[Callable[["Campaign"], None]]
    wild: Sequence[Callable[["Campaign"], None]]
    words: Sequence[FaultKind]


class Campaign:
    """One pen and everything that happens to it; `renewed_ms` is when a lease was last renewed by anybody."""

    def __init__(self, seed: int, disabled: frozenset[str] = frozenset(), world: World | None = None) -> None:
        self.world = world or World(USUAL, WILD, WITHOUT_AIR)
        self.random = Random(f"campaign/{seed}")
        self.pen = SimulatedPen(seed=seed, firmware=lambda: PenFirmware(disabled=disabled))
        self.host = RawHost(self.pen)
        self.renewed_ms = 0
        self.stuck = False
        self.wild = self.random.sample(
            self.world.wild, 5
        )  # few things at a time, others with each seed, go deeper than all at once
        self.log: list[str] = []

    def run(self) -> None:
        """All steps, safe after each."""
        self._try(self._to_running)
        for _ in range(STEPS):
            wild = self.random.randrange(100) < WILD_PERCENT
            action = self.random.choice(self.wild if wild else self.world.usual)
            self.log.append(f"{self.pen.now_ms} {action.__name__}")
            self._try(partial(action, self))
            self.pen.advance(self.random.choice((1, 4, 10, 37, 80, 150)))
            self.check()

    def check(self) -> None:
        """What must never be."""
        skin, now_us = self.pen.skin, self.pen.now_ms * 1_000
        assert skin.protruded_um <= 500
        for zone in Zone:
            for direction in Direction:
                assert skin.punctures_in(zone, direction) <= pass_budget(zone) + 50
            assert skin.deepest_in(zone) <= ZONE_RULES[zone].cap_um or not skin.deepest_in(zone)
        if self.pen.needles_out and not self.stuck:
            quiet_us = now_us - self.renewed_ms * 1_000
            assert quiet_us <= (LEASE_MAX_MS + IN_WITHIN_MS) * 1_000, self.log

    def heal(self) -> None:
        """No fault, no host, no hand: the pen must come to rest, and answer."""
        self.pen.faults.clear()
        self.pen.button.release()
        self.pen.hand.lift()
        self._try(self.host.port.close)
        self.pen.advance(200)
        self.pen.power.restore()
        self.pen.power.set_battery(100)
        self.pen.advance(70_000)
        assert not self.pen.needles_out
        assert not self.pen.motor_turns
        assert RawHost(self.pen).status().state not in (State.RUNNING, State.ARMED, State.SPIN_UP, State.STOPPING)

    @staticmethod
    def _try(action: Callable[[], object]) -> None:
        """A host and a tester may be refused, may hear nothing, may be talking to a pen that is off."""
        with suppress(NoAnswerError, OtherAnswerError, PortClosedError, PenOffError, ImpossibleFaultError):
            action()

    def _to_running(self) -> None:
        self.renewed_ms = self.pen.now_ms
        self.host.to_running(Zone.CHIN, Direction.VERTICAL, depth_um=500)
        self.renewed_ms = self.pen.now_ms


def renew(it: Campaign) -> None:
    it.host.listen()
    it.host.renew()
    it.renewed_ms = it.pen.now_ms


def ask_for_motion(it: Campaign) -> None:
    host, random = it.host, it.random
    zone, direction = random.choice(list(Zone)), random.choice(list(Direction))
    it.renewed_ms = it.pen.now_ms
    prepared = host.prepare(zone, direction, random.choice((200, 250, 260, 500, 500)), 60, 20)
    it.pen.hand.sweep(zone, direction)
    host.send(host.command(therapy.BeginPass, session_id=host.session_id, frame_id=prepared.frame_id))
    it.pen.button.press()


def silence(it: Campaign) -> None:
    it.pen.advance(3_000)


def resume(it: Campaign) -> None:
    it.renewed_ms = it.pen.now_ms
    it.host.send(it.host.command(therapy.ResumePass, session_id=it.host.session_id))
    it.pen.button.press()


def end_or_pause(it: Campaign) -> None:
    it.host.send(it.random.choice((therapy.EndPass, therapy.PausePass))(session_id=it.host.session_id))


def adopt(it: Campaign) -> None:
    old = it.host
    it.host = RawHost(it.pen)
    it.host.hello()
    it.renewed_ms = it.pen.now_ms
    it.host.session_id = old.session_id
    command = it.host.command(therapy.AdoptSession, session_id=old.session_id, lease_ms=int(LEASE_MAX_MS))
    it.host.send(command)
    if it.random.random() < 0.5:
        old.port.close()


def replay(it: Campaign) -> None:
    """Say something again that was said long ago."""
    it.host.tick_ms = max(0, it.host.tick_ms - it.random.choice((0, 300, 5_000)))
    it.host.send(therapy.RenewLease(session_id=it.host.session_id, seen_tick_ms=it.host.tick_ms))
    it.renewed_ms = it.pen.now_ms


def stop_or_symptom(it: Campaign) -> None:
    it.host.send(it.random.choice((stop.Stop(), stop.ReportSymptom(symptom=Symptom.PAIN))))


def noise(it: Campaign) -> None:
    it.host.port.write(it.random.randbytes(it.random.choice((1, 30, 400))))


def look(it: Campaign) -> None:
    it.host.ask(identity.GetStatus())


def clumsy_hand(it: Campaign) -> None:
    hand = it.pen.hand
    it.random.choice((hand.lift, hand.stay, hand.go_on, hand.press_hard))()


def button(it: Campaign) -> None:
    it.random.choice((it.pen.button.press, it.pen.button.hold, it.pen.button.release))()


def head(it: Campaign) -> None:
    it.pen.cartridge.pull()
    if it.random.random() < 0.7:
        it.pen.cartridge.fit(it.random.choice(("glide", "glide", "stamp", "blank")))


def power(it: Campaign) -> None:
    it.pen.power.cut()
    it.pen.advance(it.random.choice((1, 30, 500)))
    it.pen.power.restore()
    it.pen.advance(300)
    it.host = RawHost(it.pen)
    it.host.hello()


def clock(it: Campaign) -> None:
    it.pen.clock.set(max(1, it.pen.clock.utc_s + it.random.choice((-5_000, 5_000, INTERVAL_S))))


def fault(it: Campaign) -> None:
    word = it.random.choice(it.world.words)
    if (word.unit, word.kind) in NEVER_ALONE:
        return
    it.stuck = it.stuck or (word.unit, word.kind) in STUCK_OUT
    schedule, values = schedule_of(word, it.random), values_of(word, it.random)
    it.log.append(f"{word.unit} {word.kind} {values} {schedule}")
    it.pen.faults.inject(word.unit, word.kind, **schedule, **values)


def mend(it: Campaign) -> None:
    it.pen.faults.clear()


USUAL: Final = (*[renew] * 24, ask_for_motion, ask_for_motion, resume, end_or_pause, mend)
WILD: Final = (
    silence,
    silence,
    adopt,
    replay,
    stop_or_symptom,
    noise,
    look,
    clumsy_hand,
    button,
    head,
    power,
    clock,
    fault,
    fault,
)
WILD_PERCENT: Final = 6


@pytest.mark.sr(
    "SR-DEPTH-3", "SR-DEPTH-5", "SR-PASS-1", "SR-PASS-3", "SR-STOP-1", "SR-STOP-3", "SR-STOP-5", "SR-CMD-1", side="pen"
)
@pytest.mark.parametrize("seed", SEEDS)
def test_safe_while_it_lasts_and_settled_afterwards(seed: int) -> None:
    campaign = Campaign(seed)
    campaign.run()
    campaign.heal()


def test_campaigns_do_reach_skin() -> None:
    """A campaign that never gets needles into skin proves nothing."""
    reached = 0
    for seed in (2, 3, 7, 17):
        campaign = Campaign(seed)
        campaign.run()
        reached += campaign.pen.skin.strokes
    assert reached > 100


@pytest.mark.sr("SR-DEPTH-3", "SR-STOP-1", side="pen", twin=True)
@pytest.mark.parametrize("safeguard", ["limit-check", "lease"])
def test_without_a_safeguard_some_campaign_finds_it_out(safeguard: str) -> None:
    for seed in range(SEARCHED):
        campaign = Campaign(seed, frozenset({safeguard}))
        try:
            campaign.run()
        except AssertionError:
            return
    pytest.fail(f"{SEARCHED} campaigns without {safeguard} broke nothing")
