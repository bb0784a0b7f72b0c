"""One connection to the pen, as a host's side sees it; bytes go through a line each way."""

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Final, Protocol

from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.hardware.line import Line
from dermalink_simulator.seam import Firmware, PortKind

# Values that lie between the firmware and the air: about what a link layer buffers for a connection event
# (assumption). What the firmware puts before everything, Stop's answer, is never behind more than these.
GATT_VALUES_MAX: Final = 4


NO_KEY: Final = bytes(16)


class PortClosedError(DermalinkError):
    """Bytes were written to a connection that is gone."""


class PortKeeper(Protocol):
    """What a connection needs of the board at its other end."""

    @property
    def firmware(self) -> Firmware | None:
        """The firmware, while it has power."""

    def send(self, port: "PenPort", data: bytes) -> None:
        """Bytes of the host set out on the line."""

    def drop(self, port: "PenPort") -> None:
        """The host is gone."""

    def keeps(self, port: "PenPort") -> bool:
        """Whether the firmware keeps this connection whoever comes."""

    def serve(self) -> None:
        """There is room again for what the firmware has to say."""

    def refusal(self, port: "PenPort", value: bytes) -> int:
        """What the firmware refuses the write of a value with, 0 if with nothing."""

    def agree_mtu(self, port: "PenPort", att_mtu: int) -> None:
        """The ATT_MTU was agreed."""

    def subscribe(self, port: "PenPort", channel: int, on: int) -> int:
        """A channel's notifications or indications were switched: 0, or what that is refused with."""


class PenPort:
    """A connection; `number` is the port's at the seam.

    Whoever sets `on_output` is handed every output of the pen; else it waits for `read`. `on_hang_up` is called once,
    when the far end is gone (power, a cut line). Both must only take note. On a GATT port each `write`, each output
    and each `read` is one value; at most `GATT_VALUES_MAX` are fetched until the far end has them (`handed_on`).
    """

    def __init__(self, number: int, kind: PortKind, random: Random, keeper: PortKeeper) -> None:
        self.number = number
        self.kind = kind
        self.to_pen = Line(random, whole=kind is PortKind.GATT)
        self.from_pen = Line(random, whole=kind is PortKind.GATT)
        self.closed = False
        self.came_ms = self.heard_ms = 0
        self.spoke = False
        self.under_way = 0
        self.clogged = False
        self.on_output: Callable[[bytes], None] | None = None
        self.on_hang_up: Callable[[], None] | None = None
        self._keeper = keeper
        self._near = 0
        self._out: deque[bytes] = deque()

    def write(self, data: bytes) -> None:
        """Send bytes to the pen; it handles them at this moment of its time. Raises `PortClosedError`."""
        if self.closed:
            raise PortClosedError(
                f"{len(data)} bytes to port {self.number} were not sent", advice="The connection is gone: connect anew"
            )
        self._keeper.send(self, bytes(data))

    def read(self) -> bytes:
        """What the pen sent since the last call, taken; empty when there is nothing."""
        if self.kind is PortKind.GATT:
            if not self._out:
                return b""
            value = self._out.popleft()
            self.handed_on()
            return value
        data = b"".join(self._out)
        self._out.clear()
        return data

    def refusal(self, value: bytes) -> int:
        """What the write of a value is to be refused with at ATT level (an `AttError`), 0 if `write` is taken."""
        return 0 if self.closed else self._keeper.refusal(self, value)

    def agree_mtu(self, att_mtu: int) -> None:
        """The ATT_MTU of this GATT connection was agreed."""
        if not self.closed:
            self._keeper.agree_mtu(self, att_mtu)

    def subscribe(self, channel: int, *, on: bool) -> int:
        """The far end switched a channel's notifications or indications: 0, or what that is refused with."""
        return 0 if self.closed else self._keeper.subscribe(self, int(channel), int(on))

    def bonding(self, *, begins: bool) -> bool:
        """Whether a pairing of Bluetooth's own may begin on this connection, or go on."""
        firmware = self._keeper.firmware
        if self.closed or firmware is None:
            return False
        return bool(firmware.bonding_begin() if begins else firmware.bonding_open())

    def encrypted(self, key: bytes) -> None:
        """Bluetooth has encrypted this connection, with that key."""
        if not self.closed and self._keeper.firmware is not None:
            self._keeper.firmware.link_encrypted(self.number, key)
            self._keeper.serve()

    def bond_key(self) -> bytes:
        """The key of the bond that the pen keeps; zeros for none."""
        firmware = self._keeper.firmware
        return NO_KEY if self.closed or firmware is None else firmware.bond_key()

    @property
    def is_owner(self) -> bool:
        """Whether it is the session's owner, which gives way to nobody."""
        return not self.closed and self._keeper.keeps(self)

    @property
    def has_room(self) -> bool:
        """Whether more may be fetched from the firmware now."""
        return not self.clogged and (self.kind is PortKind.STREAM or self._near < GATT_VALUES_MAX)

    def handed_on(self) -> None:
        """The far end has one more value; whoever set `on_output` on a GATT port calls this for each."""
        was_full = self._near >= GATT_VALUES_MAX
        self._near -= 1
        if was_full and self.has_room and not self.closed:
            self._keeper.serve()

    def clog(self, *, clogged: bool) -> None:
        """A clogged port's far end takes no more for now: nothing is fetched from the firmware on it."""
        self.clogged = clogged
        if not clogged and not self.closed:
            self._keeper.serve()

    def close(self) -> None:
        """End the connection; may be called again."""
        if not self.closed:
            self.closed = True
            self._keeper.drop(self)

    def arrive(self, data: bytes) -> None:
        """For the board: bytes of the pen have come through the line."""
        self._near += 1
        if self.on_output is not None:
            self.on_output(data)
        else:
            self._out.append(data)

    def vanish(self) -> None:
        """For the board: the far end is gone; what has arrived can still be read."""
        if not self.closed:
            self.closed = True
            if self.on_hang_up is not None:
                self.on_hang_up()
