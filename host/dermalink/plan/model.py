"""A plan as pydantic reads it from TOML, and as the session takes it: one step for each zone and direction."""

from typing import Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, field_validator, model_validator

from dermalink.plan.errors import NotTaken, shown
from dermalink.plan.places import direction_from_name, zone_from_name
from dermalink.plan.quantity import depth_from_number, depth_from_text, mm, whole
from dermalink_protocol.limits import RATE_MAX_HZ, RATE_MIN_HZ, SPEED_MAX_MM_S, SPEED_MIN_MM_S, ZONE_RULES
from dermalink_protocol.zones import Direction, Zone

PLAN_FORMAT: Final = 1
RATE_NOMINAL_HZ: Final = 60  # with 12 needles and 20 mm/s it leaves 600 punctures per cm², under SR-PASS-6's 650
SPEED_NOMINAL_MM_S: Final = 20


def _format(value: object) -> int:
    if value is True or value != PLAN_FORMAT:
        raise NotTaken(f"{shown(value)} was refused", limit=f"this version reads plan = {PLAN_FORMAT}")
    return PLAN_FORMAT


def _rate(value: object) -> int:
    return whole(value, RATE_MIN_HZ, RATE_MAX_HZ, unit="Hz", rule=RATE_MIN_HZ.rule)


def _speed(value: object) -> int:
    return whole(value, SPEED_MIN_MM_S, SPEED_MAX_MM_S, unit="mm/s", rule=SPEED_MIN_MM_S.rule)


Rate = Annotated[int, BeforeValidator(_rate)]
Speed = Annotated[int, BeforeValidator(_speed)]


class Step(NamedTuple):
    """One pass: where, which way, how deep, how fast."""

    zone: Zone
    direction: Direction
    depth_um: int
    rate_hz: int
    speed_mm_s: int


class ZoneEntry(BaseModel):
    """One `[[zone]]`: the passes over one zone, all at one depth."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[Zone, BeforeValidator(zone_from_name)]
    directions: tuple[Annotated[Direction, BeforeValidator(direction_from_name)], ...]
    depth: Annotated[int, BeforeValidator(depth_from_text)] | None = None
    depth_um: Annotated[int, BeforeValidator(depth_from_number)] | None = None
    rate_hz: Rate | None = None
    speed_mm_s: Speed | None = None

    @field_validator("directions", mode="before")
    @classmethod
    def _a_list(cls, value: object) -> object:
        if isinstance(value, list) and value:
            return value
        if value == []:
            raise NotTaken("the list is empty", rule="SR-PASS-1", advice="Name one to three directions.")
        raise NotTaken(f"{shown(value)} was refused", limit="it is a list", advice='Write ["vertical", "horizontal"].')

    @model_validator(mode="after")
    def _one_depth(self) -> "ZoneEntry":
        if (self.depth is None) == (self.depth_um is None):
            refused = "there is no depth" if self.depth is None else "there are two depths"
            advice = 'Write depth = "0.25 mm" or depth_um = 250: one of them.'
            raise NotTaken(refused, rule="SR-DEPTH-1", advice=advice)
        cap, zone = ZONE_RULES[self.name].cap_um, self.name.name.lower()
        if self.setting_um > cap:
            raise NotTaken(
                f"the depth {self.setting_um} um was refused",
                limit=f"on the {zone} the cap is {cap} um ({mm(cap)})",
                rule="SR-DEPTH-3",
                advice="Take a depth up to the cap.",
                key="depth_um" if self.depth is None else "depth",
            )
        return self

    @property
    def setting_um(self) -> int:
        """The depth, in whichever way it was written."""
        return self.depth if self.depth is not None else self.depth_um or 0


class PlanFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    plan: Annotated[int, BeforeValidator(_format)]
    rate_hz: Rate = RATE_NOMINAL_HZ
    speed_mm_s: Speed = SPEED_NOMINAL_MM_S
    zone: tuple[ZoneEntry, ...]

    @field_validator("zone", mode="before")
    @classmethod
    def _tables(cls, value: Any) -> Any:
        if value == []:
            raise NotTaken("there is no zone", advice="Add a [[zone]].")
        if isinstance(value, list) and all(isinstance(entry, dict) for entry in value):
            return value
        raise NotTaken(f"{shown(value)} was refused", limit="zones are tables", advice="Begin each with [[zone]].")

    def steps(self) -> tuple[Step, ...]:
        """The passes in the order in which they are written."""
        return tuple(
            Step(
                zone=entry.name,
                direction=direction,
                depth_um=entry.setting_um,
                rate_hz=self.rate_hz if entry.rate_hz is None else entry.rate_hz,
                speed_mm_s=self.speed_mm_s if entry.speed_mm_s is None else entry.speed_mm_s,
            )
            for entry in self.zone
            for direction in entry.directions
        )
