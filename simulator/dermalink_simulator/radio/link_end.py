"""One controller's end of a link: what passes the air becomes packets for its host, in HCI's form."""

import dataclasses
import struct
from typing import Final, Protocol, cast

from bumble import controller, hci, ll

from dermalink_simulator.radio.link import CENTRAL, Link, Parameters

# Core specification 5.4, Vol 4, Part E, 5.4.2 and 7.7.19: data packets, how their heads say which part of a longer one
# they are, and the event that says that some have passed.
ACL: Final = 2
SECOND_FRAGMENT: Final = 1
FIRST_TO_HOST: Final = 2
COMPLETED: Final = 0x13


class Owner(Protocol):
    """What an end needs of its controller beyond what Bumble's has."""

    def to_host(self, packet: bytes) -> None:
        """Bytes for the host, in their turn."""

    def say_parameters(self, handle: int, parameters: Parameters) -> None:
        """The host is told what holds on a link."""


@dataclasses.dataclass
class AirConnection(controller.Connection):
    """A controller's end of a link; `encrypted` is all that there is of a cipher in a simulated air."""

    side: int = CENTRAL
    encrypted: bool = False
    air_link: Link | None = None

    def send_ll_control_pdu(self, packet: ll.ControlPdu) -> None:
        """Over the air, in its turn."""
        if self.air_link is not None:
            self.air_link.send_control(self.side, packet)

    def passed(self) -> None:
        """A packet of this end's host passed: there is room for another."""
        self._owner.to_host(struct.pack("<BBBBHH", hci.HCI_EVENT_PACKET, COMPLETED, 5, 1, self.handle, 1))

    def arrived(self, first: bool, data: bytes) -> None:
        """A packet of the other end's host came."""
        head = self.handle | (FIRST_TO_HOST if first else SECOND_FRAGMENT) << 12
        self._owner.to_host(struct.pack("<BHH", ACL, head, len(data)) + data)

    def control_arrived(self, pdu: ll.ControlPdu) -> None:
        """A control PDU of the other end's controller came."""
        self.controller.on_ll_control_pdu(self.peer_address, pdu)

    def ended(self, reason: int) -> None:
        """The link is gone, for that reason as seen from here."""
        self.controller.on_le_disconnected(self, reason)

    def adopted(self, parameters: Parameters) -> None:
        """These parameters hold from now on."""
        self._owner.say_parameters(self.handle, parameters)

    @property
    def _owner(self) -> Owner:
        return cast("Owner", self.controller)
