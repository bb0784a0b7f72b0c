"""The pen's one button."""

from random import Random
from typing import Final

PRESS_MS: Final = 80  # a short press of a finger (assumption)


class ButtonPart:
    """Down while it is held, or while it is stuck; never if it is dead.

    One that bounces flickers for `bounce_ms` after it was pressed or let go, drawn from `chance`.
    """

    __slots__ = ("_settles_ms", "_was_held", "bounce_ms", "chance", "dead", "held", "stuck")

    def __init__(self, random: Random) -> None:
        self.held = False
        self.stuck = False
        self.dead = False
        self.bounce_ms = 0
        self.chance = random
        self._was_held = False
        self._settles_ms = 0

    @property
    def down(self) -> int:
        """1 while the contact is closed, once it is at rest."""
        return int(not self.dead and (self.held or self.stuck))

    def read(self, now_ms: int) -> int:
        """1 while the contact is closed at that moment."""
        if not self.bounce_ms or self.dead or self.stuck:
            self._was_held = self.held
            return self.down
        if self.held != self._was_held:
            self._was_held = self.held
            self._settles_ms = now_ms + self.bounce_ms
        return self.chance.getrandbits(1) if now_ms < self._settles_ms else int(self.held)
