"""Starts and self-tests that no record of the history tells of, counted durably until one record tells of them all."""

from typing import Any, Final

from dermalink_protocol.history_entries import PowerCause, PoweredUp, SelfTested, StartsCounted
from dermalink_protocol.messages.identity import SelfTestStep
from dermalink_simulator.firmware.flash_layout import StateRecord

COUNT_MAX: Final = 0xFFFF_FFFF
NONE_UNTOLD: Final[dict[str, Any]] = {
    "untold_starts": 0,
    "untold_power_losses": 0,
    "untold_watchdogs": 0,
    "untold_self_tests": 0,
    "untold_failed": 0,
    "untold_failed_steps": 0,
}


def one_more(record: StateRecord, entry: PoweredUp | SelfTested) -> dict[str, Any]:
    """What changes in the state's record when this entry is counted instead of written."""
    if isinstance(entry, PoweredUp):
        return {
            "untold_starts": _more(record.untold_starts, counts=True),
            "untold_power_losses": _more(record.untold_power_losses, counts=entry.cause == PowerCause.POWER_LOSS),
            "untold_watchdogs": _more(record.untold_watchdogs, counts=entry.cause == PowerCause.WATCHDOG),
        }
    return {
        "untold_self_tests": _more(record.untold_self_tests, counts=True),
        "untold_failed": _more(record.untold_failed, counts=entry.failed != 0),
        "untold_failed_steps": record.untold_failed_steps | int(entry.failed),
    }


def told_as_one(record: StateRecord) -> StartsCounted | None:
    """The entry that tells of all that is untold; None where nothing is."""
    if not record.untold_starts and not record.untold_self_tests:
        return None
    return StartsCounted(
        starts=record.untold_starts,
        power_losses=record.untold_power_losses,
        watchdogs=record.untold_watchdogs,
        self_tests=record.untold_self_tests,
        failed=record.untold_failed,
        failed_steps=SelfTestStep(record.untold_failed_steps),
    )


def _more(count: int, *, counts: bool) -> int:
    return min(count + int(counts), COUNT_MAX)
