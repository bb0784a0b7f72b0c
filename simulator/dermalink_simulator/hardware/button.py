"""The pen's one button."""

from typing import Final

PRESS_MS: Final = 80  # a short press of a finger (assumption)


class ButtonPart:
    """Down while it is held, or while it is stuck."""

    __slots__ = ("held", "stuck")

    def __init__(self) -> None:
        self.held = False
        self.stuck = False

    @property
    def down(self) -> int:
        """1 while the contact is closed."""
        return int(self.held or self.stuck)
