"""What a watcher of the control channel is told: needles, power, motor, light, faults, who is connected and whether the
pen can be found on the air, each with the pen's own time.
"""

from typing import Any, Final

from dermalink_simulator.control.truth import hosts_of
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.runner import PenRunner

WATCHED: Final = ("powered", "motor_turns", "light", "faults", "missed", "links", "att_mtu", "advertising")


class Watcher:
    """Compares the pen with how it was, and says what has changed."""

    def __init__(self, runner: PenRunner, pen: SimulatedPen) -> None:
        """`runner` runs `pen`."""
        self._runner, self._pen = runner, pen
        self._needles = self._needles_now()
        self._said = self._turns()
        self._was = self._now()

    def changes(self) -> list[dict[str, Any]]:
        """What has happened since the last call, as events."""
        events: list[dict[str, Any]] = []
        needles = self._needles_now()
        if needles != self._needles:
            self._needles = needles
            turns = self._turns()
            events += turns[len(self._said) :]
            self._said = turns
        now = self._now()
        if now != self._was:
            for name, before, after in zip(WATCHED, self._was, now, strict=True):
                if before != after:
                    events.append({"event": name, "at_ms": self._pen.now_ms, "is": after})
            self._was = now
        return events

    def _now(self) -> tuple[object, ...]:
        pen = self._pen
        faults, missed = [str(one) for one in pen.faults.active], [str(one) for one in pen.faults.missed]
        told = (pen.power.on, pen.motor_turns, pen.indicator.light, faults, missed)
        return (*told, *hosts_of(self._runner).values())

    def _needles_now(self) -> tuple[bool, int | None]:
        skin = self._pen.skin
        return (skin.needles_are_out, skin.last_in_us)

    def _turns(self) -> list[dict[str, Any]]:
        """Each coming out and going in so far, at its own microsecond."""
        turns: list[dict[str, Any]] = []
        for from_us, until_us in self._pen.skin.needles_out:
            turns.append({"event": "needles", "out": True, "at_us": from_us})
            if until_us is not None:
                turns.append({"event": "needles", "out": False, "at_us": until_us})
        return turns
