"""What is so, whatever the pen says: read from the physical model, never from the firmware."""

from collections import Counter
from typing import Any, Final

from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.runner import PenRunner

INTERVALS_SHOWN: Final = 20


def truth_of(pen: SimulatedPen) -> dict[str, Any]:
    """One flat record; times are µs or ms of the pen's own simulated time, depths µm above the head's face."""
    skin, head, light = pen.skin, pen.cartridge.head, pen.indicator
    return {
        "now_ms": pen.now_ms,
        "powered": pen.power.on,
        "needles_out": skin.needles_are_out,
        "motor_turns": pen.motor_turns,
        "touching": pen.hand.touching,
        "last_in_us": skin.last_in_us,
        "needles_out_times": [list(interval) for interval in skin.needles_out[-INTERVALS_SHOWN:]],
        "deepest_um": skin.deepest_um,
        "protruded_um": skin.protruded_um,
        "punctures": skin.punctures,
        "places": _places(pen),
        "head": None if head is None or head.tag is None else head.tag.tag_id.hex(),
        "head_fitted": head is not None,
        "utc_s": pen.clock.utc_s,
        "light": light.light,
        "vibration": light.vibration,
        "faults": [str(fault) for fault in pen.faults.active],
    }


def hosts_of(runner: PenRunner) -> dict[str, Any]:
    """Who is connected, and whether the pen can be found on the air; None where it has no radio."""
    hosts, radio = runner.hosts, runner.radio
    return {
        "links": dict(Counter(host.door for host in hosts)),
        "att_mtu": [host.att_mtu for host in hosts if host.att_mtu is not None],
        "advertising": None if radio is None else radio.advertising,
    }


def _places(pen: SimulatedPen) -> list[dict[str, Any]]:
    """Zones and directions in which skin was reached."""
    return [
        {
            "zone": zone.name.lower(),
            "direction": direction.name.lower(),
            "punctures": punctures,
            "deepest_um": pen.skin.deepest_in(zone, direction),
            "covered_percent": pen.hand.covered_percent(zone, direction),
        }
        for zone in Zone
        for direction in Direction
        if (punctures := pen.skin.punctures_in(zone, direction))
    ]
