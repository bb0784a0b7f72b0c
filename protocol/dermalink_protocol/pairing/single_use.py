"""States that are good for one step, and secrets that nothing prints."""

from typing import NoReturn

from dermalink_protocol.pairing.errors import StepRepeated


class SingleUse:
    """A state that can take one step, go wrong in it, and no other; it can be neither copied nor stored."""

    __slots__ = ("_spent",)

    def __init__(self) -> None:
        self._spent = False

    def _spend(self) -> None:
        """Mark the step as taken, before anything in it can fail; raises `StepRepeated` the second time."""
        if self._spent:
            advice = "Begin pairing again, with new random numbers."
            raise StepRepeated(f"{type(self).__name__} was used a second time", limit="once is all", advice=advice)
        self._spent = True

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise StepRepeated(f"{type(self).__name__} was to be copied or stored", limit="it lives once, in memory")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(not shown)"
