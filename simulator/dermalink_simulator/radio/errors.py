"""What a radio can refuse or lose; each message says what was refused, why, and what to do."""

from dermalink_protocol.errors import DermalinkError


class RadioError(DermalinkError):
    """Root of every error of the simulated radio."""


class BadRadioSpec(RadioError, ValueError):
    """The words that should name a radio do not."""


class BeyondThisMachine(RadioError):
    """The radio would let in hosts from other machines, which nobody asked for."""


class NoSuchRadio(RadioError):
    """The radio that was named is not there, or does not let this process in."""


class BumbleMissing(RadioError):
    """The Bluetooth stack that the simulated radio stands on is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "A radio in software was refused",
            limit="it stands on bumble, which is not installed",
            advice='Run: pip install "dermalink[simulator]"',
        )


class RadioGone(RadioError, ConnectionError):
    """The controller went away, or no longer answers."""


class LinkLost(RadioError, ConnectionError):
    """The link to the other device ended while something waited for it."""


class NoConnection(RadioError, ConnectionError):
    """The other device did not answer within the time given, or another connection is being made."""
