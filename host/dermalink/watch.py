"""The host's own watch over telemetry: it stops on its own account, whatever the pen thinks of itself (SR-DEPTH-5)."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from dermalink.errors import DepthAlarm, LinkError, NoTelemetry
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.limits import ACCURACY_MAX_UM, DEPTH_CAP_UM, OVER_SETTING_STROKES
from dermalink_protocol.messages.identity import StateChanged, StatusFlag
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.samples import ARMED, NEEDLES_OUT, SAMPLE_BYTES, view_samples
from dermalink_protocol.schema import Notification

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Three batches of 100 ms: one may be lost or late without harm, and it is under the shortest usual lease of 500 ms.
FRESH_WITHIN_S: Final = 0.3
STALLED_S: Final = 0.05  # a timer that comes so late says that the whole program was stopped, not the pen


class DepthWatch:
    """Measured depth against the cap and against a setting; pure, fed with samples in order."""

    def __init__(self, setting_um: int, accuracy_um: int) -> None:
        """`setting_um` is this pass's, `accuracy_um` the sensor's as the pen declares it; both at most their limits."""
        if not 0 <= setting_um <= DEPTH_CAP_UM or not 0 <= accuracy_um <= ACCURACY_MAX_UM:
            raise ValueError(f"nobody can watch over {setting_um} µm with ± {accuracy_um} µm")
        self._cap_um = int(DEPTH_CAP_UM) + accuracy_um
        self._setting_um = setting_um + accuracy_um
        self._run = 0

    def check(self, samples: "NDArray[Any]") -> DepthAlarm | None:
        """An alarm when one sample is over cap + accuracy, or three running are over setting + accuracy."""
        import numpy as np

        depth = samples["depth_um"]
        deepest = int(depth.max(initial=0))
        if deepest > self._cap_um:
            return _alarm(deepest, self._cap_um, "the cap and the sensor's accuracy")
        if deepest <= self._setting_um:
            self._run = 0
            return None
        under = np.flatnonzero(depth <= self._setting_um)
        edges = np.concatenate(([-1 - self._run], under, [len(depth)]))
        longest = int(np.diff(edges).max()) - 1
        self._run = len(depth) - 1 - int(under[-1]) if len(under) else self._run + len(depth)
        if longest < OVER_SETTING_STROKES:
            return None
        return _alarm(
            deepest, self._setting_um, f"the setting and the sensor's accuracy, {OVER_SETTING_STROKES} samples running"
        )


def _alarm(depth_um: int, limit_um: int, what: str) -> DepthAlarm:
    return DepthAlarm(
        f"Needles were measured at {depth_um} µm, so Stop was sent",
        rule="SR-DEPTH-5",
        limit=f"{limit_um} µm is {what}",
        advice="Lift the pen straight off; have it checked before it is used again",
    )


class Guardian:
    """Watches one pen's telemetry while it may move, and calls `stop` at the first alarm; a sink of the connection."""

    kinds: tuple[type[Notification], ...] = (Telemetry, StateChanged)

    def __init__(self, stop: Callable[[DermalinkError], None], accuracy_um: int) -> None:
        """`stop` is called with the alarm, once for each pass."""
        self._stop = stop
        self._accuracy_um = accuracy_um
        self._watch = DepthWatch(0, accuracy_um)
        self._on = False
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0

    def begin(self, setting_um: int) -> None:
        """A pass may run from now on."""
        self._watch = DepthWatch(setting_um, self._accuracy_um)
        self._on = True

    def over(self) -> None:
        """No pass runs any more."""
        self._on = False
        self._disarm()

    def offer(self, notification: Telemetry | StateChanged) -> None:
        """Judge a batch as it comes; a pen that says that it is not armed any more owes no telemetry."""
        if not self._on:
            return
        if isinstance(notification, StateChanged):
            if StatusFlag.ARMED not in notification.flags and StatusFlag.NEEDLES_IN in notification.flags:
                self._disarm()
            return
        self._disarm()
        alarm = self._watch.check(view_samples(notification.samples))
        if alarm is not None:
            self._raise(alarm)
            return
        flags = notification.samples[-SAMPLE_BYTES + 5]
        if flags & (ARMED | NEEDLES_OUT):
            self._wait(FRESH_WITHIN_S)

    def _wait(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._due_s = loop.time() + seconds
        self._timer = loop.call_at(self._due_s, self._late)

    def _late(self) -> None:
        if asyncio.get_running_loop().time() - self._due_s > STALLED_S:
            self._wait(STALLED_S)  # this program stood still: what came meanwhile is still to be read
            return
        self._raise(
            NoTelemetry(
                "No telemetry came while the pen is armed, so Stop was sent",
                rule="SR-DEPTH-5",
                limit=f"waited {FRESH_WITHIN_S * 1000:.0f} ms",
                advice="Stop ends this pass, which counts as made; check the link before the next one",
            )
        )

    def _raise(self, alarm: DermalinkError) -> None:
        self.over()
        self._stop(alarm)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def end(self, error: LinkError) -> None:  # noqa: ARG002  (a sink is told why)
        """The link is gone: nothing to stop by, and the pen's lease lapses."""
        self.over()
