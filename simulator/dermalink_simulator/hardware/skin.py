"""The independent truth: every stroke that reached skin, and when needles stood out of the head.

Nothing of the firmware or of its sensors goes into it. Depths are protrusions above the head's face in µm, so that
skin is taken to give nothing (every safety argument takes 1.0 of the protrusion); `into_skin_um` is the milder number.
"""

from typing import Final, NamedTuple

from dermalink_protocol.zones import Direction, Zone

_PLACES: Final = 128  # zone << 3 | direction


class Stroke(NamedTuple):
    """One stroke in skin: moment in µs of simulated time, where, how far the needles stood out, how many."""

    at_us: int
    zone: Zone
    direction: Direction
    depth_um: int
    needles: int


class Interval(NamedTuple):
    """When needles stood out of the head; `until_us` is None while they do."""

    from_us: int
    until_us: int | None


class Skin:
    """Counts and keeps every stroke; `protruded_um` is the furthest the needles ever stood out, in skin or in air.

    `needles_are_out` says whether they do now.
    """

    def __init__(self, takes_permille: int) -> None:
        self._takes_permille = takes_permille
        self._log: list[tuple[int, int, int, int]] = []
        self._punctures = [0] * _PLACES
        self._deepest = [0] * _PLACES
        self._out: list[Interval] = []
        self._out_since: int | None = None
        self.needles_are_out = False
        self.punctures = 0
        self.deepest_um = 0
        self.protruded_um = 0

    def stroke(self, at_us: int, place: int, depth_um: int, needles: int) -> None:
        """A stroke reached skin at `place` (zone << 3 | direction)."""
        self._log.append((at_us, place, depth_um, needles))
        self.punctures += needles
        self._punctures[place] += needles
        if depth_um > self._deepest[place]:
            self._deepest[place] = depth_um
            self.deepest_um = max(self.deepest_um, depth_um)

    def deepen(self, depth_um: int) -> None:
        """The last stroke went deeper than was known when it began."""
        at_us, place, _, needles = self._log[-1]
        self._log[-1] = at_us, place, depth_um, needles
        self._deepest[place] = max(self._deepest[place], depth_um)
        self.deepest_um = max(self.deepest_um, depth_um)

    def needles_come_out(self, at_us: int) -> None:
        """Needles pass the head's face outwards."""
        if self._out_since is None:
            self._out_since = at_us
            self.needles_are_out = True

    def needles_go_in(self, at_us: int) -> None:
        """Needles pass the head's face inwards."""
        if self._out_since is not None:
            self._out.append(Interval(self._out_since, at_us))
            self._out_since = None
            self.needles_are_out = False

    @property
    def needles_out(self) -> list[Interval]:
        """Every time that needles stood out, in order."""
        now = [Interval(self._out_since, None)] if self._out_since is not None else []
        return self._out + now

    @property
    def last_in_us(self) -> int | None:
        """When the needles were last drawn in; None while they are out, or before they ever were."""
        return self._out[-1].until_us if self._out and self._out_since is None else None

    @property
    def strokes(self) -> int:
        """How many strokes reached skin."""
        return len(self._log)

    @property
    def into_skin_um(self) -> int:
        """How deep the deepest puncture went by this pen's share of penetration."""
        return self.deepest_um * self._takes_permille // 1_000

    def punctures_in(self, zone: Zone, direction: Direction | None = None) -> int:
        """Punctures in a zone, in one direction or in all."""
        return sum(self._punctures[place] for place in self._places(zone, direction))

    def deepest_in(self, zone: Zone, direction: Direction | None = None) -> int:
        """The deepest puncture in a zone, in µm."""
        return max(self._deepest[place] for place in self._places(zone, direction))

    def between(self, from_us: int, until_us: int) -> list[Stroke]:
        """The strokes with from_us < moment <= until_us."""
        return [_stroke(*logged) for logged in self._log if from_us < logged[0] <= until_us]

    def over(self, depth_um: int) -> list[Stroke]:
        """The strokes deeper than `depth_um`."""
        return [_stroke(*logged) for logged in self._log if logged[2] > depth_um]

    @staticmethod
    def _places(zone: Zone, direction: Direction | None) -> list[int]:
        return [zone << 3 | one for one in ([direction] if direction is not None else list(Direction))]


def _stroke(at_us: int, place: int, depth_um: int, needles: int) -> Stroke:
    return Stroke(at_us, Zone(place >> 3), Direction(place & 7), depth_um, needles)
