"""One controller's end of a link: what passes the air becomes packets for its host, in HCI's form."""

import dataclasses
import struct
from typing import TYPE_CHECKING, Final, cast

from bumble import controller, hci, ll

from dermalink_simulator.radio.link import CENTRAL, Link

if TYPE_CHECKING:
    from dermalink_simulator.radio.controller import CorrectedController

# Core specification 5.4, Vol 4, Part E, 5.4.2 and 7.7.19: data packets, how their heads say which part of a longer one
# they are, and the event that says that some have passed.
ACL: Final = 2
SECOND_FRAGMENT: Final = 1
FIRST_TO_HOST: Final = 2
COMPLETED: Final = 0x13


@dataclasses.dataclass
class AirConnection(controller.Connection):
    """A controller's end of a link."""

    side: int = CENTRAL
    air_link: Link | None = None

    def send_ll_control_pdu(self, packet: ll.ControlPdu) -> None:
        """Over the air, in its turn."""
        if self.air_link is not None:
            self.air_link.send_control(self.side, packet)

    def passed(self) -> None:
        """A packet of this end's host passed: there is room for another."""
        self.owner.to_host(struct.pack("<BBBBHH", hci.HCI_EVENT_PACKET, COMPLETED, 5, 1, self.handle, 1))

    def arrived(self, first: bool, data: bytes) -> None:
        """A packet of the other end's host came."""
        head = self.handle | (FIRST_TO_HOST if first else SECOND_FRAGMENT) << 12
        self.owner.to_host(struct.pack("<BHH", ACL, head, len(data)) + data)

    @property
    def owner(self) -> "CorrectedController":
        """The controller whose end this is."""
        return cast("CorrectedController", self.controller)
