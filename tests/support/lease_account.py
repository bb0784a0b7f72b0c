"""What may be out and when, by what truly arrived at a simulated pen: each renewal with the tick that it quotes."""

from dermalink_protocol.channels import Channel
from dermalink_protocol.envelope import decode_envelope
from dermalink_protocol.errors import ProtocolError
from dermalink_protocol.limits import DEPTH_CAP_UM, IN_WITHIN_MS, LEASE_DEFAULT_MS, LEASE_MAX_MS
from dermalink_protocol.messages.therapy import AdoptSession, OpenSession, RenewLease
from dermalink_protocol.segmentation import FIRST, Joined, Reassembler
from dermalink_simulator.hardware.port import PenPort
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.seam import PortKind


class LeaseAccount:
    """Watches the GATT ports that a pen has from now on; `hold` fails when needles were out without a lease.

    What arrives goes on to the pen whatever becomes of the account: a message that can't be decoded renews nothing and
    is kept in `unread`, a mistake of the account's own in `broken`, by which `hold` fails.
    """

    def __init__(self, pen: SimulatedPen) -> None:
        self._pen = pen
        self._connect = pen.connect
        self.renewals: list[tuple[int, int]] = []  # when it came, and which tick it quotes
        self.holds: list[tuple[int, int]] = []  # when it came, and until when it holds at most
        self.lease_ms = int(LEASE_DEFAULT_MS)  # as the newest session asked for it
        self.unread: list[bytes] = []
        self.broken: list[Exception] = []
        pen.connect = self._watched  # type: ignore[method-assign]

    def _watched(self, kind: PortKind = PortKind.STREAM) -> PenPort:
        port = self._connect(kind)
        if kind is PortKind.GATT:
            self._watch(port)
        return port

    def _watch(self, port: PenPort) -> None:
        write, reassembler = port.write, Reassembler()

        def note(data: bytes) -> None:
            nonlocal reassembler
            if data[:1] != bytes([Channel.COMMAND]):
                return
            if data[1:2] and data[1] & FIRST:
                reassembler = Reassembler()
            for event in reassembler.feed(data[1:]):
                if isinstance(event, Joined):
                    self._came(event.body)

        def watched(data: bytes) -> None:
            try:
                note(data)
            except Exception as mistake:  # noqa: BLE001 (whatever it is, the pen gets its bytes, and `hold` tells)
                self.broken.append(mistake)
            write(data)

        port.write = watched  # type: ignore[method-assign]

    def _came(self, body: bytes) -> None:
        try:
            message = decode_envelope(Channel.COMMAND, body).message
        except ProtocolError:
            self.unread.append(body)
            return
        if isinstance(message, OpenSession | AdoptSession):
            self.lease_ms = min(message.lease_ms, LEASE_MAX_MS)
        elif isinstance(message, RenewLease):
            self.renewals.append((self._pen.now_ms, message.seen_tick_ms))
            self.holds.append((self._pen.now_ms, message.seen_tick_ms + self.lease_ms))

    def hold(self, depth_um: int = int(DEPTH_CAP_UM)) -> None:
        """At no moment were needles out past the lease of the newest renewal that had come; none went too deep."""
        if self.broken:
            raise ExceptionGroup("the account was not kept", self.broken)
        skin = self._pen.skin
        assert skin.deepest_um <= depth_um
        assert not self._pen.needles_out
        for began_us, ended_us in skin.needles_out:
            assert ended_us is not None
            came = [at_ms for at_ms, _ in self.renewals if began_us < at_ms * 1_000 < ended_us]
            for moment_ms in (*came, ended_us / 1_000):  # just before each renewal its forerunners must still hold
                late_ms = moment_ms - max((until for at_ms, until in self.holds if at_ms < moment_ms), default=0)
                assert late_ms <= IN_WITHIN_MS, f"needles were out {late_ms:.1f} ms after the lease"
