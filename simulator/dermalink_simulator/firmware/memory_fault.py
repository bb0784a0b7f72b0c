"""What becomes of a pen whose memory is not what it was: the drive is cut at once, and only service clears it.

Neither copy is believed. What the therapy stands on is what the flash holds, as after a loss of power, and from there
it goes by the table's own rows: to STOPPING, and once the needles are measured in to LOCKED (SR-BIST-1, SR-RST-3).
"""

from typing import Final

from dermalink_protocol.codewords import Reason
from dermalink_protocol.history_entries import FaultLatched, SessionClosedEntry
from dermalink_simulator.firmware import effects
from dermalink_simulator.firmware.button import AT_POWER_UP
from dermalink_simulator.firmware.core import tell_state
from dermalink_simulator.firmware.inside import Inside, limits_for
from dermalink_simulator.firmware.monitor import CLEAR
from dermalink_simulator.firmware.twice import SETTING_TOP, Second, button_inverse, differs, monitor_inverse
from dermalink_simulator.seam import DriveOrder
from dermalink_simulator.therapy.events import Event, EventKind
from dermalink_simulator.therapy.gate import AT_REST, compiled
from dermalink_simulator.therapy.state import POWER_UP, TherapyState
from dermalink_simulator.therapy.step import step

_FAULT: Final = int(Reason.MEMORY_FAULT)


def looked(pen: Inside) -> Inside:
    """The pen, once all that is kept twice was compared; a difference has cut the drive by then."""
    second = pen.second
    if not (
        pen.gate is second.gate_of
        and pen.state is second.therapy_of
        and pen.monitor is second.monitor_of
        and pen.button is second.button_of
        and pen.limits is second.limits_of
        and pen.setting_um ^ second.setting_um == SETTING_TOP
    ):
        agrees = second.agrees(pen.state, pen.limits, pen.gate, pen.setting_um, pen.monitor, pen.button)
        if not agrees and "twice-kept" not in pen.disabled:
            cut(pen)
    return pen


def cut(pen: Inside) -> None:
    """A difference was found, in whatever call: nothing moves any more, and all that was kept is made anew."""
    pen.memory_fault, pen.memory_told = True, False
    factory, second = pen.store.factory, pen.second
    if differs(pen.monitor, monitor_inverse, second.monitor):
        pen.monitor = CLEAR
    if differs(pen.button, button_inverse, second.button):
        pen.button = AT_POWER_UP
    pen.limits = limits_for(factory.rate_min_hz, factory.rate_max_hz, pen.disabled)
    pen.compiled = compiled(pen.limits)
    pen.gate, pen.order, pen.setting_um, pen.stop_ms = AT_REST, DriveOrder(), 0, 0
    pen.state = _stopping(pen) if pen.booted else POWER_UP
    pen.second = Second(pen.state, pen.limits, pen.gate, pen.monitor, pen.button)


def _stopping(pen: Inside) -> TherapyState:
    """The therapy as the flash has it, on its way to rest under the fault; a worse one that is latched stays."""
    record = pen.store.newest
    loaded = Event(
        kind=EventKind.LOADED,
        boot_id=pen.boot_id,
        wait_s=record.wait_s,
        symptom_s=record.lock_s,
        advice_due=record.advice_due,
    )
    state, _ = step(pen.limits, POWER_UP, loaded)
    for fault in (record.fault, _FAULT):
        if fault != Reason.NONE:
            state, _ = step(pen.limits, state, Event(kind=EventKind.FAULT, reason=fault))
    return state


def latch(pen: Inside) -> None:
    """The main loop's part, once: the fault and the end of the session are written down, and everybody hears of it."""
    pen.memory_told, record = True, pen.store.newest
    effects.write(
        pen,
        FaultLatched(fault=Reason(pen.state.fault), measured=0, limit=0),
        urgent=True,
        session_open=record.session_open,  # until its end is written as well
        touched=record.touched,
        passes=record.passes,
    )
    if record.session_open:
        entry = SessionClosedEntry(
            session_id=record.session_id,
            reason=Reason.MEMORY_FAULT,
            touched=record.touched,
            passes_done=record.passes,
            host_record_number=0,
            host_record_hash=bytes(32),
        )
        effects.write(pen, entry, to_ledger=pen.head.record.sessions > 0, session_open=0, touched=0, passes=0)
    pen.head.changed = True  # the core knows nothing of the seated head any more
    tell_state(pen)
