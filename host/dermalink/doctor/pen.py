"""Checks of a pen: can it be asked, do its limits fit, is it sound, how good is the link."""

from collections.abc import Iterator
from typing import Final

from dermalink.channel.opening import not_owner, not_paired
from dermalink.claims import looser_claims, therapy_bars
from dermalink.discovery import look_again
from dermalink.display.link import unsealed_words
from dermalink.doctor.findings import Finding, error, ok, warning
from dermalink.doctor.link import check_link
from dermalink.errors import CannotOpen, LinkError, PortForbidden
from dermalink.ownership.pairing_link import BLE
from dermalink.pen import Pen
from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.limits import BATTERY_START_PERCENT
from dermalink_protocol.messages.identity import (
    Cartridge,
    CartridgeFlag,
    GetSelfTest,
    SelfTestReport,
    Status,
    StatusFlag,
)
from dermalink_protocol.wording import WORDING

SOMEBODY_ELSE: Final = "Somebody else speaks on this link, or it is noisy: use a cable, and close other programs."
BROKEN: Final = (State.FAULT, State.LOCKED, State.STOP_FAILED)


async def check_pen(url: str) -> list[Finding]:
    """Everything about the pen at `url`; asking changes nothing, but that an owner's press lets Bluetooth bond."""
    try:
        async with await Pen.connect(url, inspect_only=True) as pen:
            if pen.stranger:
                return [ok("pen", f"{pen.serial_number} on {url}"), *check_owner(pen), *check_claims(pen)]
            facts = await pen.look()
            report = await pen.request(GetSelfTest())
            return [
                ok("pen", f"{pen.serial_number} on {url}"),
                *check_owner(pen),
                *check_claims(pen),
                *check_status(facts.status),
                *check_self_test(report),
                *check_head(facts.cartridge),
                *await check_link(pen),
                *await check_bond(pen),
            ]
    except DermalinkError as failed:
        advice = failed.advice or look_again(url)
        level = error if isinstance(failed, CannotOpen | PortForbidden) else warning
        return [level("pen", "; ".join(part for part in (failed.refused, failed.limit) if part), advice)]


def check_owner(pen: Pen) -> Iterator[Finding]:
    """Whether this computer is its owner's, and nothing was forged on the way."""
    if pen.stranger:
        why = not_owner(pen.serial_number) if pen.owned else not_paired(pen.serial_number)
        yield warning("pen's owner", why.refused, f"{why.advice}.")
        return
    if not pen.owned:
        return
    dropped = pen.connection.link.counters.unsealed()
    said = "this computer has its keys, and all it says is sealed"
    if dropped:
        yield warning("pen's owner", f"{said}; {unsealed_words(dropped)}", SOMEBODY_ELSE)
    else:
        yield ok("pen's owner", said)


async def check_bond(pen: Pen) -> list[Finding]:
    """Whether one's own pen can be run by Bluetooth; asked last, for a link whose bond is refused is let go of."""
    if not pen.sealed or pen.connection.link.kind != BLE:
        return []
    try:
        await pen.secure()
    except LinkError as failed:
        return [error("Bluetooth's bond", "; ".join(filter(None, (failed.refused, failed.limit))), failed.advice)]
    return [ok("Bluetooth's bond", "it holds: a session can be run over this link")]


def check_claims(pen: Pen) -> Iterator[Finding]:
    """Its limits against this host's."""
    found = [*looser_claims(pen.hello), *therapy_bars(pen.hello)]
    for claim in found:
        yield error("pen's limits", f"{claim.said} [{claim.rule}]", "It gets no session from this host; ask its maker.")
    if not found:
        yield ok("pen's limits", "as strict as this host's, or stricter")


def check_status(status: Status) -> Iterator[Finding]:
    """Its state, clock and battery."""
    said = status.state.name.lower().replace("_", " ")
    wording = WORDING[status.reason]
    if status.state is State.FAULT:
        name = status.reason.name.lower()
        yield error("pen's state", f"{said}: {wording.said}", f"Off the skin: dermalink acknowledge {name}")
    elif status.state in BROKEN:
        yield error("pen's state", f"{said}: {wording.said}", wording.advice or "Have it serviced.")
    else:
        yield ok("pen's state", said if status.reason is Reason.NONE else f"{said} ({wording.said})")
    if StatusFlag.CLOCK_VALID not in status.flags:
        wording = WORDING[Reason.CLOCK_LOST]
        yield error("pen's clock", wording.said, "Set it: dermalink clock --set now")
    else:
        yield ok("pen's clock", "valid")
    battery = f"{status.battery_percent} %"
    if status.battery_percent < BATTERY_START_PERCENT:
        yield warning("battery", battery, f"Charge it: a pass needs {BATTERY_START_PERCENT:d} % to start.")
    else:
        yield ok("battery", battery)


def check_self_test(report: SelfTestReport) -> Iterator[Finding]:
    """How its last self-test ended."""
    if report.failed:
        steps = ", ".join((step.name or "?").lower().replace("_", " ") for step in report.failed)
        advice = "Take the pen off the skin, switch it off and on; if it fails again, have it serviced."
        yield error("self-test", f"failed: {steps}", advice)
    elif report.done:
        yield ok("self-test", f"passed, needles in after {report.retraction_ms} ms")
    else:
        yield warning(
            "self-test", "not done yet", "Wait a moment and look again; a session does one first if it is due."
        )


def check_head(cartridge: Cartridge) -> Iterator[Finding]:
    """Whether the seated head could be used."""
    if CartridgeFlag.PRESENT not in cartridge.flags:
        yield warning("head", "none is fitted", "Fit a fresh one before a session.")
    elif cartridge.reason is not Reason.NONE:
        wording = WORDING[cartridge.reason]
        yield warning("head", wording.said, wording.advice or "Fit a fresh one.")
    else:
        yield ok("head", f"{cartridge.needles} needles, at most {cartridge.protrusion_um} µm, fit for a session")
