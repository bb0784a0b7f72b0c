"""One connection to the pen, as a host's side sees it; bytes go through a line each way."""

from collections import deque
from collections.abc import Callable
from random import Random

from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.hardware.line import Line
from dermalink_simulator.seam import PortKind


class PortClosedError(DermalinkError):
    """Bytes were written to a connection that is gone."""


class PenPort:
    """A connection; `number` is the port's at the seam.

    Whoever sets `on_output` is handed every output of the pen; else it waits for `read`. `on_hang_up` is called once,
    when the far end is gone (power, a cut line). Both must only take note. On a GATT port each `write`, each output
    and each `read` is one value.
    """

    def __init__(
        self,
        number: int,
        kind: PortKind,
        random: Random,
        send: Callable[["PenPort", bytes], None],
        drop: Callable[["PenPort"], None],
        serve: Callable[[], None] = lambda: None,
    ) -> None:
        self.number = number
        self.kind = kind
        self.to_pen = Line(random)
        self.from_pen = Line(random)
        self.closed = False
        self.heard_ms = 0
        self.spoke = False
        self.on_output: Callable[[bytes], None] | None = None
        self.on_hang_up: Callable[[], None] | None = None
        self._send = send
        self._drop = drop
        self._serve = serve
        self.clogged = False
        self._out: deque[bytes] = deque()

    def write(self, data: bytes) -> None:
        """Send bytes to the pen; it handles them at this moment of its time. Raises `PortClosedError`."""
        if self.closed:
            raise PortClosedError(
                f"{len(data)} bytes to port {self.number} were not sent", advice="The connection is gone: connect anew"
            )
        self._send(self, bytes(data))

    def read(self) -> bytes:
        """What the pen sent since the last call, taken; empty when there is nothing."""
        if self.kind is PortKind.GATT:
            return self._out.popleft() if self._out else b""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def clog(self, *, clogged: bool) -> None:
        """A clogged port's far end takes no more for now: nothing is fetched from the firmware on it."""
        self.clogged = clogged
        if not clogged and not self.closed:
            self._serve()

    def close(self) -> None:
        """End the connection; may be called again."""
        if not self.closed:
            self.closed = True
            self._drop(self)

    def arrive(self, data: bytes) -> None:
        """For the board: bytes of the pen have come through the line."""
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
