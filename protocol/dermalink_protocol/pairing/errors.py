"""What pairing refuses; none of it ever names a code, a key or a byte of either.

On the wire a pen tells none of these apart: each ends the run as a wrong try. They are for the side that raised them.
"""

from typing import Final

from dermalink_protocol.errors import DermalinkError

RULE: Final = "SR-SEC-2"


class PairingError(DermalinkError):
    """Root of what pairing refuses."""

    def __init__(self, refused: str, *, limit: str = "", advice: str = "") -> None:
        super().__init__(refused, rule=RULE, limit=limit, advice=advice)


class SetupCodeError(PairingError):
    """What was typed or drawn is no setup code; no try was spent on it."""


class CodeNotDigits(SetupCodeError):
    """There is something other than digits, spaces and dashes in it."""


class CodeWrongLength(SetupCodeError):
    """It has too few or too many digits."""


class CodeWrongCheckDigit(SetupCodeError):
    """Its length is right and its check digit is not: a digit is wrong, or two are swapped."""


class TrivialCode(SetupCodeError):
    """It is one of the codes that anybody would try first."""


class LabelError(PairingError):
    """A QR code's text can't be read as a pen's label."""


class NotALabel(LabelError):
    """The text is not a pen's label, or a part of it is broken."""


class UnknownLabelVersion(LabelError):
    """A pen's label of a version that is not known here."""


class BadDerivation(PairingError):
    """Salt or iterations are outside their ranges."""


class BadIdentity(PairingError):
    """A host's id, a serial number or a context that can't be."""


class BadScalar(PairingError):
    """A drawn number that can't be used; draw another."""


class BadRegistration(PairingError):
    """What a pen keeps of its code is broken."""


class BadShare(PairingError):
    """A share is no point that an honest side could have sent; the run is over."""


class WrongConfirmation(PairingError):
    """The other side has another code or another view of the run, or somebody stands between; the run is over."""


class StepRepeated(PairingError):
    """A state was used a second time, copied, or stored."""


class BadPublicKey(PairingError):
    """A static key that anybody could share, or the other side's own key sent back."""


class BrokenSeal(PairingError):
    """A sealed static key that was altered, or sealed in another run; the run is over."""
