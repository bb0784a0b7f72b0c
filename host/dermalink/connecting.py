"""How a `Pen` comes to be: link, hello, seal, limits compared, journal opened, what lies in the dark settled first."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dermalink.channel.opening import has_owner, not_owner, not_paired, open_channel
from dermalink.channel.sealable_link import SealableLink
from dermalink.claims import looser_claims
from dermalink.connection import Connection
from dermalink.errors import CannotOpen, IncompatiblePen, PenRefusal, Timeout, UnexpectedReply, WrongPen
from dermalink.journal import Journal, MemoryJournal
from dermalink.keeper import Keeper
from dermalink.links.link import Link
from dermalink.links.open import open_link
from dermalink.ownership.asking import asked
from dermalink.pen_history import history_fault
from dermalink.records import symptom_said
from dermalink.registry import Registry
from dermalink.settling import settle_all
from dermalink_protocol.codewords import Reason
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.limits import PROTOCOL_VERSION
from dermalink_protocol.messages.identity import Capability, GetLastCommand, Hello, HelloReply
from dermalink_protocol.messages.stop import ReportSymptom
from dermalink_protocol.zones import Symptom

if TYPE_CHECKING:
    from dermalink.ownership.owned_pen import OwnedPen

Known = Callable[[str], "OwnedPen | None"]
"""The keys of the pen with this serial number, None for none; called in a thread, since a keyring may ask a person."""

HELLO_WITHIN_S: Final = 0.7  # a board that prints its boot text first is done by then; a link adds what it is late by
HELLOS: Final = 3
IN_PROCESS: Final = "sim"


@dataclass(frozen=True, slots=True)
class Greeted:
    """A pen that was greeted and found fit: all that a `Pen` is made of, and owns."""

    connection: Connection
    registry: Registry
    hello: HelloReply
    keeper: Keeper
    last_command_id: int
    history_fault: str
    inspect_only: bool
    utc: Callable[[], int]
    owned: bool
    sealed: bool
    stranger: bool
    foreign: bool


async def greet_at(
    url: str,
    *,
    journal: Journal | None,
    inspect_only: bool,
    trace: Callable[[Connection], None] | None,
    utc: Callable[[], int],
    known: Known | None = None,
) -> Greeted:
    """See `Pen.connect`."""
    try:
        link = await open_link(url)
    except BaseException:
        if journal is not None:
            await journal.close()
        raise
    return await greet(link, journal=journal, inspect_only=inspect_only, trace=trace, utc=utc, known=known)


async def greet(
    link: Link,
    *,
    journal: Journal | None,
    inspect_only: bool = False,
    trace: Callable[[Connection], None] | None = None,
    utc: Callable[[], int],
    known: Known | None = None,
) -> Greeted:
    """The same over a link that is open already; link and journal are owned from here on, and closed on failure."""
    registry = Registry()
    sealable = SealableLink(link)
    connection = Connection(sealable, admit=registry.admit)
    kept = journal
    try:
        if trace is not None:
            trace(connection)
        connection.start()
        hello, owned = await _know_pen(connection, sealable, known, inspect_only=inspect_only)
        if not inspect_only:
            refuse_looser(hello)
        if kept is None:
            kept = MemoryJournal() if inspect_only else _own_journal(hello)
        keeper = Keeper(kept)
        if not inspect_only:
            await settle_all(connection, keeper, serial_text(hello), utc())
            await _tell_symptoms(connection, keeper, serial_text(hello), utc(), known)
        sealed = sealable.sealed
        last = await last_command_id(connection)
        stranger = last is None
        if not inspect_only:
            refuse_unpaired(hello, stranger=stranger)
        if not stranger and not (sealed and inspect_only):
            await sealable.secure(pairs=sealed)
        fault = "" if inspect_only else await _history_fault(connection, keeper, serial_text(hello))
        foreign = not sealed and await may_own_another(known)
        return Greeted(
            connection, registry, hello, keeper, last or 0, fault, inspect_only, utc, owned, sealed, stranger, foreign
        )
    except BaseException:
        await connection.close()
        if kept is not None:
            await kept.close()
        raise


async def _know_pen(
    connection: Connection, link: SealableLink, known: Known | None, *, inspect_only: bool
) -> tuple[HelloReply, bool]:
    """Hello, with keys of this pen all after it under seal, and whether it has an owner.

    Without keys one that has an owner is refused, unless it is only looked at. The keys are looked for whatever hello
    says of suites, for it may have been altered on its way. A pen in this very process is asked first whether it has an
    owner: nobody stands between, and one that was made anew may have the serial number of another whose keys are kept.
    """

    async def greeted() -> HelloReply:
        hello = await say_hello(connection)
        refuse_another(link, hello)
        return hello

    hello = await greeted()
    may_have_one = link.kind != IN_PROCESS or await has_owner(connection, hello)
    keys = await asked(known or _known_here, serial_text(hello)) if may_have_one else None
    if keys is not None:
        return await open_channel(connection, link, keys, hello, greeted), True
    has_one = may_have_one and await has_owner(connection, hello)
    if has_one and not inspect_only:
        raise not_owner(serial_text(hello))
    return hello, has_one


def _known_here(serial_number: str) -> "OwnedPen | None":
    from dermalink.ownership.store import known_pen

    return known_pen(serial_number)


def refuse_unpaired(hello: HelloReply, *, stranger: bool) -> None:
    """Raise `NotOwner` for a pen that has no owner and is nobody's before; with one it was refused already."""
    if stranger:
        raise not_paired(serial_text(hello))


async def last_command_id(connection: Connection) -> int | None:
    """The number of the therapy command that the pen applied last; None to a stranger, who is told none."""
    try:
        return (await connection.request(GetLastCommand())).command_id
    except PenRefusal as refusal:
        if not connection.sealed and refusal.reason in (Reason.NOT_AUTHENTICATED, Reason.NO_OWNER):
            return None
        raise


async def _history_fault(connection: Connection, keeper: Keeper, serial_number: str) -> str:
    believed = keeper.belief.pen(serial_number)
    return await history_fault(connection, believed.history_number, believed.history_digest)


def _own_journal(hello: HelloReply) -> Journal:
    from dermalink.journal_file import FileJournal, default_path

    return FileJournal(default_path(simulated=Capability.CONTROL_CHANNEL in hello.capabilities))


async def say_hello(connection: Connection, *, within_s: float | None = None, times: int = HELLOS) -> HelloReply:
    """Who the pen is; asked again when boot text may have swallowed it. Raises `IncompatiblePen`, `CannotOpen`."""
    hello = Hello(protocol_version=PROTOCOL_VERSION, host_nonce=secrets.randbits(32))
    bound_s = HELLO_WITHIN_S + connection.link.late_s if within_s is None else within_s
    for left in reversed(range(times)):
        try:
            reply = await connection.request(hello, within_s=bound_s)
        except Timeout:
            if not left:
                raise
        except UnexpectedReply as unexpected:
            raise CannotOpen(
                f"{connection.link.url}: no pen answers there",
                limit=str(unexpected),
                advice="Check the port; `dermalink scan` shows the pens that are there",
            ) from unexpected
        else:
            _refuse_version(reply)
            return reply
    raise AssertionError("hello is said at least once")


def _refuse_version(hello: HelloReply) -> None:
    if hello.protocol_version != PROTOCOL_VERSION:
        raise IncompatiblePen(
            f"The pen {serial_text(hello)} was refused",
            findings=(f"it speaks protocol version {hello.protocol_version}, this host {PROTOCOL_VERSION}",),
            advice="Update the older of the two",
        )


def refuse_another(link: Link, hello: HelloReply) -> None:
    """Raise `WrongPen` when hello comes from another pen than the one that the way was said to lead to."""
    promised = link.promised_serial
    if promised and serial_text(hello) != promised:
        raise WrongPen(
            f"{link.url} was refused: another pen answers there",
            limit=f"{promised} was announced, {serial_text(hello)} said hello",
            advice="Switch the other pen off, or connect to it by its own serial number",
        )


def refuse_looser(hello: HelloReply) -> None:
    """Raise `IncompatiblePen` for a pen that claims looser limits than this host's."""
    findings = tuple(finding.said for finding in looser_claims(hello))
    if findings:
        raise IncompatiblePen(
            f"The pen {serial_text(hello)} was refused: it claims looser limits than are safe",
            findings=findings,
            advice="Its firmware has to be corrected; it can be looked at with `dermalink info`",
        )


async def _tell_symptoms(
    connection: Connection, keeper: Keeper, serial_number: str, utc_s: int, known: Known | None
) -> None:
    """What was reported while the pen was away is given to it before all else (SR-SYM-1), and to no other pen."""
    sealed = connection.sealed
    waiting = keeper.belief.symptoms.waiting(serial_number, sealed=sealed, utc_s=utc_s)
    if not sealed and not all(said.pen for said in waiting) and await may_own_another(known):
        waiting = tuple(said for said in waiting if said.pen)
    for symptom in sorted({Symptom(said.symptom) for said in waiting}):
        await connection.request(ReportSymptom(symptom=symptom))
        await keeper.keep(symptom_said(symptom, pen=serial_number, sealed=sealed, told=True, utc_s=utc_s))


async def may_own_another(known: Known | None) -> bool:
    """Whether this computer has keys of any pen, or can't tell; `known` in place of them tells of one pen at a time."""
    from dermalink.ownership.store import own_store

    try:
        return known is None and bool(await asked(lambda: own_store().list()))
    except DermalinkError:
        return True


def serial_text(hello: HelloReply) -> str:
    """The pen's serial number as text, with nothing in it that a terminal would obey."""
    text = hello.serial_number.rstrip(b"\0").decode("ascii", errors="backslashreplace")
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)
