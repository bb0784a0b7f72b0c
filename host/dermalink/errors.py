"""What can go wrong on the host's side, each kind a type of its own, under `DermalinkError`."""

from typing import Final

from dermalink_protocol.codewords import Reason
from dermalink_protocol.errors import DermalinkError


class HostError(DermalinkError):
    """Root of the host library's own errors."""


class LinkError(HostError):
    """The way to the pen cannot be opened, or is gone."""


class BadUrl(LinkError):
    """A URL that names no link: unknown scheme, missing part, number out of range."""


class CannotOpen(LinkError):
    """The link's far end is not there, is held by somebody else, or may not be opened."""


class PortBusy(CannotOpen):
    """The serial port is held by another program."""


class PortForbidden(CannotOpen):
    """The system does not let this user open the port."""


class NoSuchPort(CannotOpen):
    """Nothing is at this address: no device, or nobody listening."""


class NoBluetooth(CannotOpen):
    """This computer has no Bluetooth adapter that can do it, or nothing that runs one."""


class BluetoothOff(CannotOpen):
    """The Bluetooth adapter is switched off."""


class BluetoothForbidden(CannotOpen):
    """The system does not let this user or this program use Bluetooth."""


class NoRadio(CannotOpen):
    """The radio that was named in place of the system's adapter is not there, or cannot be used."""


class RadioBusy(CannotOpen):
    """Something else in this program, on whichever thread, listens or connects by the radio and does not end."""


class NoSuchPen(CannotOpen):
    """No pen of this name, serial number or address was heard in time."""


class SeveralPens(CannotOpen):
    """More than one pen has this name, or announces this serial number; `pens` holds the URL of each."""

    def __init__(self, refused: str, *, pens: tuple[str, ...] = (), limit: str = "", advice: str = "") -> None:
        self.pens: Final = pens
        super().__init__(refused, limit=limit, advice=advice)


class ForeignTable(CannotOpen):
    """The pen's characteristics are not those of the contract: another version, or an old table that was kept."""


class PairingRefused(CannotOpen):
    """The pen or this computer refused to pair, or one of the two has let go of their bond."""


class BondMissing(PairingRefused):
    """Bluetooth does not encrypt the link to an owned pen: there is no bond, or one of the two has let go of it."""


class LinkLost(LinkError):
    """The link was open and is gone: unplugged, hung up, powered off, or closed by the far end."""


class PenRestarted(LinkLost):
    """The pen's clock went back: it was off in between, and nothing that it held still holds."""


class AnotherPen(LinkLost):
    """Who answers after a lost link is another pen, or does not prove to be the one that was under seal before."""


class ChannelUsedUp(LinkLost):
    """Every counter of the sealed channel is used (SR-SEC-1); a new connection has new keys."""


class NotSecured(LinkError):
    """Nothing was sent: over BLE a stranger's link does not touch the channels that want encryption; it stands."""


class LinkClosed(LinkError):
    """This side closed the connection; it is used once and not opened again."""


class Timeout(HostError):
    """No answer in time. Of a therapy command this means *unknown*, and never *not applied*."""


class UnexpectedReply(HostError):
    """The pen answered with something that is no answer to what was asked."""


class IncompatiblePen(HostError):
    """The pen speaks another protocol version, or claims limits that are looser than the host's own."""

    def __init__(self, refused: str, *, findings: tuple[str, ...] = (), advice: str = "") -> None:
        self.findings: Final = findings
        super().__init__(refused, rule="SR-DEPTH-1", limit="; ".join(findings), advice=advice)


class WrongPen(HostError):
    """Hello came from another pen than the one that was asked for; identity is the serial number."""


class ChannelError(HostError):
    """Root of what keeps this computer from talking to a pen as its owner (SR-SEC-1); nothing went on in the clear."""


class NotOwner(ChannelError):
    """The pen has an owner, and this computer has no keys of it: it may be looked at and stopped (SR-OWN-1)."""


class HandshakeFailed(ChannelError):
    """Who answers did not prove to be the pen whose keys this computer has."""


class KeysRefused(HandshakeFailed):
    """The pen says that it does not know this computer's keys, or has no owner any more; `reason` is its code word."""

    def __init__(self, refused: str, reason: Reason, *, rule: str = "", limit: str = "", advice: str = "") -> None:
        self.reason: Final = reason
        super().__init__(refused, rule=rule, limit=limit, advice=advice)


class Refusal(HostError):
    """A request was refused, and nothing has changed; `reason` is the code word, `value` the limit in its unit."""

    by = "nobody"

    def __init__(
        self, refused: str, reason: Reason, *, value: int = 0, rule: str = "", limit: str = "", advice: str = ""
    ) -> None:
        self.reason: Final = reason
        self.value: Final = value
        super().__init__(refused, rule=rule, limit=limit, advice=advice)


class PenRefusal(Refusal):
    """The pen said no."""

    by = "pen"


class HostRefusal(Refusal):
    """The host's own gate said no; nothing was sent."""

    by = "host"


class UnknownOutcome(HostError):
    """A therapy command was sent and its outcome is not known (SR-UNC-1); ask the pen before anything else."""


class StopNotConfirmed(HostError):
    """Stop was sent and not confirmed: the needles are not known to be in (SR-STOP-2)."""


class StopFailed(StopNotConfirmed):
    """The pen says that the needles did not go in after Stop (SR-STOP-8)."""


class NoTelemetry(HostError):
    """No fresh telemetry came in the time in which the lease has to be earned."""


class DepthAlarm(HostError):
    """The host measured needles deeper than they may be, and stopped the pen (SR-DEPTH-5)."""


class JournalError(HostError):
    """The journal cannot be opened, is held by another program, or does not hold together."""


class JournalBroken(JournalError):
    """A record is missing, altered or cut (SR-LOG-1); nothing is written after it."""


class JournalBusy(JournalError):
    """Another program writes this journal."""
