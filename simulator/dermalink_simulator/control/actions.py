"""What each word of the control channel does to the pen; every word has exactly one action here."""

from collections.abc import Callable
from typing import Any, Final

from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.control.truth import truth_of
from dermalink_simulator.faults.spelling import SCHEDULE, spell
from dermalink_simulator.hardware.cartridge import HEADS
from dermalink_simulator.pen import SimulatedPen

Arguments = dict[str, Any]
Action = Callable[[SimulatedPen, Arguments], dict[str, Any] | None]


def _fit(pen: SimulatedPen, given: Arguments) -> dict[str, Any]:
    kind, number = given.pop("head"), given.pop("number")
    if number is None:
        pen.cartridge.fitted += 1
        number = pen.cartridge.fitted
    head = HEADS[kind](number)
    changes = {name: value for name, value in given.items() if value is not None}
    if changes and head.tag is not None:
        head = head._replace(tag=head.tag._replace(**changes))
        head = head._replace(
            stop_um=changes.get("protrusion_um", head.stop_um),
            needles=changes.get("needles", head.needles),
            width_um=changes.get("width_um", head.width_um),
        )
    pen.cartridge.fit(head)
    return {"number": number, "tag": None if head.tag is None else head.tag.tag_id.hex()}


def _sweep(pen: SimulatedPen, given: Arguments) -> dict[str, Any]:
    zone, direction = _place(given)
    once_ms = pen.hand.sweep(
        zone,
        direction,
        speed_mm_s=given["speed_mm_s"],
        overlap_percent=given["overlap_percent"],
        force_mn=given["force_mn"],
    )
    return {"once_ms": once_ms}


def _place(given: Arguments) -> tuple[Zone, Direction]:
    return Zone[given["zone"].upper()], Direction[given["direction"].upper()]


def _inject(pen: SimulatedPen, given: Arguments) -> dict[str, Any]:
    when = {one.name: given[one.name] for one in SCHEDULE}
    fault = spell(given["unit"], given["kind"], given["instance"], given["values"], **when)
    return {"fault": str(pen.faults.put_on(fault))}


def _clear(pen: SimulatedPen, given: Arguments) -> dict[str, Any]:
    gone = pen.faults.clear(given["unit"], given["kind"], given["instance"])
    return {"cleared": [str(fault) for fault in gone]}


ACTIONS: Final[dict[str, Action]] = {
    "button.press": lambda pen, given: pen.button.press(given["for_ms"]),
    "button.hold": lambda pen, _: pen.button.hold(),
    "button.release": lambda pen, _: pen.button.release(),
    "cartridge.fit": _fit,
    "cartridge.pull": lambda pen, _: {"pulled": pen.cartridge.pull() is not None},
    "hand.sweep": _sweep,
    "hand.touch": lambda pen, given: pen.hand.touch(*_place(given), force_mn=given["force_mn"]),
    "hand.lift": lambda pen, _: pen.hand.lift(),
    "hand.stay": lambda pen, _: pen.hand.stay(),
    "hand.go_on": lambda pen, _: pen.hand.go_on(),
    "hand.press_hard": lambda pen, given: pen.hand.press_hard(given["force_mn"], given["for_ms"]),
    "clock.advance": lambda pen, given: pen.clock.advance(given["seconds"]),
    "clock.set": lambda pen, given: pen.clock.set(given["utc_s"]),
    "clock.lose": lambda pen, _: pen.clock.lose(),
    "power.cut": lambda pen, _: pen.power.cut(),
    "power.restore": lambda pen, _: pen.power.restore(),
    "power.battery": lambda pen, given: pen.power.set_battery(given["percent"]),
    "power.supply": lambda pen, given: pen.power.supply(present=given["present"]),
    "fault.inject": _inject,
    "fault.clear": _clear,
    "fault.list": lambda pen, _: {
        "faults": [str(fault) for fault in pen.faults.active],
        "waiting": [str(fault) for fault in pen.faults.waiting],
        "missed": [str(one) for one in pen.faults.missed],
    },
    "card": lambda pen, _: {"setup_code": pen.card.code.printed, "card": pen.card.text},
    "truth": lambda pen, _: truth_of(pen),
}
