"""One bleak client, used once: connected, its table checked, subscribed to what a pen tells anybody; then let go of.

What it tells those alone who may run it is subscribed to when they say so: as a stranger nothing here makes a system
pair with a pen.

A client whose connect failed is thrown away. Every call is bounded, for a dead link may never answer (BlueZ drops a
link after 31 s in silence and goes on saying that it is connected).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Final

from dermalink.errors import CannotOpen
from dermalink.links.ble_calls import CallCancelled, bounded
from dermalink.links.ble_heard import Seen
from dermalink.links.ble_platform import FORGET, NEARER, advice_for, client_options, on_loop, opening_error, value_bytes
from dermalink.links.ble_radio import Radio, backend_of
from dermalink.links.ble_secure import pairs_first, subscribe_secured
from dermalink.links.ble_table import PROTOCOL_VERSION_SERVICE, Table, check_table, check_version, version_of
from dermalink_protocol.channels import CHANNEL_RULES, SERVICE_UUID, Channel, Gatt
from dermalink_protocol.envelope import REQUEST_ID_MAX, Envelope, encode_envelope
from dermalink_protocol.messages.stop import Stop
from dermalink_protocol.segmentation import ATT_MTU_MIN, Segmenter

if TYPE_CHECKING:
    from bleak import BleakClient
    from bleak.backends.characteristic import BleakGATTCharacteristic

# A pen that was just heard answers within a few advertising intervals, and discovery takes 1 to 3 s on BlueZ. bleak's
# own bound is 30 s, which is how long an absent pen takes.
CONNECT_WITHIN_S: Final = 10.0
# To be at Stop's characteristic, while a Stop to another device waits for it. The simulated pen takes 0.9 s in a room,
# 1.2 s there at ATT_MTU 23, and 2.7 s at a connection interval of 100 ms (3.9 s with both).
REACH_WITHIN_S: Final = 3.0
# What comes after Stop, when it was written first: it takes the pen 0.5 s in a room, 1.7 s at 100 ms and ATT_MTU 23.
CHECK_WITHIN_S: Final = 10.0
# Each is one or two transactions, tens of ms at a usual connection interval; with no pairing agent it never ends.
SUBSCRIBE_WITHIN_S: Final = 5.0
READ_WITHIN_S: Final = 5.0
STOP_WITHIN_S: Final = 1.0  # a write that nobody answers; a full queue may hold it up, and then it is sent again later
# A clean disconnect takes 2-3 s on BlueZ, and bleak itself gives up after 10 s. Nobody waits that long for it.
DISCONNECT_WITHIN_S: Final = 12.0
DISCONNECT_WAITED_S: Final = 3.0
UNPAIR_WITHIN_S: Final = 5.0  # BlueZ and Windows take it out of a list of theirs (assumption: a second at most)
# A connect that is given up is over for BlueZ as soon as it is told so. What takes longer than this is a link that
# stands, which is in the way of no other connect, so that no Stop to another device waits for it.
GIVE_UP_S: Final = 1.0

UNASKED: Final = Gatt.INDICATE | Gatt.NOTIFY
_SAYING: Final = [channel for channel, rule in CHANNEL_RULES.items() if rule.gatt & UNASKED]
OPEN_TO_ALL: Final = tuple(channel for channel in _SAYING if not CHANNEL_RULES[channel].encrypted)
THE_OTHERS: Final = tuple(channel for channel in _SAYING if CHANNEL_RULES[channel].encrypted)
# All that is used here: what else a pen shows costs round trips to be discovered (BlueZ discovers it all the same).
STOP_SERVICES: Final = (str(SERVICE_UUID),)
SERVICES: Final = (*STOP_SERVICES, PROTOCOL_VERSION_SERVICE)
UNHEARD: Final = REQUEST_ID_MAX  # of a request whose reply nobody waits for; a connection counts up from 1


class PenClient:
    """See the module. `on_value`, `on_gone`, `on_stop` may be set until `connect` is called, and come on the loop."""

    def __init__(self, radio: Radio, seen: Seen, url: str) -> None:
        """Nothing is opened yet."""
        self.url: Final = url
        self.on_value: Callable[[Channel, bytes], None] = lambda _channel, _value: None
        self.on_gone: Callable[[], None] = lambda: None
        self.on_stop: Callable[[str], object] = lambda _address: None
        self._radio = radio
        self._seen = seen
        self._client: BleakClient | None = None
        self._table: Table = {}
        self._disconnecting: asyncio.Task[None] | None = None
        self._gone = asyncio.Event()

    async def connect(self) -> None:
        """Connect and learn what the pen has; raises a `LinkError`, and then has let go of everything.

        On one radio one connects at a time; `check`, which has to follow, is in nobody's way.
        """
        async with self._or_let_go(DISCONNECT_WAITED_S):
            await self._connect(self._make(SERVICES), CONNECT_WITHIN_S, lambda: False)

    async def connect_to_stop(self, patience_s: float, gives_way: Callable[[], bool]) -> None:
        """As `connect`, and write Stop as soon as its characteristic is known; `on_stop` is told to which address.

        After `patience_s` it is given up as soon as it `gives_way`. It is over `GIVE_UP_S` or `STOP_WITHIN_S` later.
        """
        async with self._or_let_go(GIVE_UP_S):
            client = self._make(STOP_SERVICES)
            await self._connect(client, patience_s, gives_way)
            await self._stop(client)

    async def check(self, within_s: float | None = None) -> None:
        """Check the table, and subscribe; raises a `LinkError`, and then has let go of everything."""
        bound = asyncio.timeout(within_s)
        async with self._or_let_go(DISCONNECT_WAITED_S):
            try:
                async with bound:
                    await self._check()
            except TimeoutError:
                if not bound.expired():
                    raise
                limit = f"it connected, and could not be used within {within_s:g} s"
                raise CannotOpen(f"{self.url} cannot be opened", limit=limit, advice=NEARER) from None

    @contextlib.asynccontextmanager
    async def _or_let_go(self, waited_s: float) -> AsyncIterator[None]:
        """Let go of the client where this fails, and wait so long for it."""
        try:
            yield
        except Exception as error:
            await self.disconnect(waited_s)
            raise opening_error(error, self.url) from error
        except BaseException:  # the caller was cancelled, and waits for nothing any more
            self.let_go()
            raise

    def _make(self, services: tuple[str, ...]) -> "BleakClient":
        from bleak import BleakClient

        gone = on_loop(asyncio.get_running_loop(), self._take_gone)
        self._client = BleakClient(
            self._seen.device,
            disconnected_callback=lambda _client: gone(),
            timeout=CONNECT_WITHIN_S,
            services=services,
            **(backend_of(self._radio.client) or client_options()),
        )
        return self._client

    async def _check(self) -> None:
        client = self._client
        if client is None:
            raise CallCancelled("it is not connected")
        self._table = check_table(client.services, self.url)
        version = version_of(client.services)
        if version is not None:
            check_version(bytes(await bounded(client.read_gatt_char(version), READ_WITHIN_S, "read version")), self.url)
        for channel in OPEN_TO_ALL:
            await self._subscribe_in_time(channel)
        if self._gone.is_set():
            raise CannotOpen(f"{self.url} cannot be opened", limit="the pen hung up at once", advice=NEARER)

    async def _connect(self, client: "BleakClient", patience_s: float, gives_way: Callable[[], bool]) -> None:
        began = asyncio.get_running_loop().time()
        try:
            await bounded(client.connect(), CONNECT_WITHIN_S, "connect", patience_s=patience_s, gives_way=gives_way)
        except TimeoutError:
            waited_s = round(asyncio.get_running_loop().time() - began, 1)
            raise CannotOpen(
                f"{self.url} cannot be opened",
                limit=f"it was heard, and did not connect within {waited_s:g} s",
                advice=f"{NEARER}. If it was ever paired with this computer: {advice_for(FORGET)}",
            ) from None

    async def _stop(self, client: "BleakClient") -> None:
        """Write Stop, whatever else may be wrong with the table; who set this up sends it again, and hears of it."""
        body = encode_envelope(Envelope(Channel.STOP, UNHEARD, Stop()))
        (value,) = Segmenter().cut(body, ATT_MTU_MIN)
        writing = client.write_gatt_char(str(CHANNEL_RULES[Channel.STOP].uuid), value, response=False)
        with contextlib.suppress(Exception):  # the next steps meet whatever it is as well, and say it
            await bounded(writing, STOP_WITHIN_S, "stop")
            self.on_stop(self._seen.address)

    async def _subscribe_in_time(self, channel: Channel) -> None:
        await bounded(self.subscribe_to(channel), SUBSCRIBE_WITHIN_S, f"subscribe to {channel.name.lower()}")

    async def secure(self, *, pairs: bool) -> None:
        """Subscribe to the other channels, with `pairs` on a link that is encrypted for it where the pen wants that.

        Raises a `LinkError`, and then has let go of everything. Writes do not wait for it.
        """
        async with self._or_let_go(DISCONNECT_WAITED_S):
            if pairs:
                await subscribe_secured(self, THE_OTHERS, first=pairs_first(self._radio))
                return
            for channel in THE_OTHERS:
                await self._subscribe_in_time(channel)

    @property
    def address(self) -> str:
        """The pen's address, as this computer has it."""
        return self._seen.address

    @property
    def gone(self) -> bool:
        """Whether the link is over."""
        return self._gone.is_set()

    async def subscribe_to(self, channel: Channel) -> None:
        """Subscribe; unbounded, and raises whatever bleak raises."""
        take = on_loop(asyncio.get_running_loop(), self._take_value)

        def came(_: "BleakGATTCharacteristic", value: bytearray) -> None:
            take(channel, bytes(value))  # copied here: some backends use their buffer again

        if self._client is None:
            raise CallCancelled("it is not connected")
        await self._client.start_notify(self._table[channel], came)

    async def pair(self) -> None:
        """Have the system bond with the pen, unless it has; unbounded, and raises whatever bleak raises."""
        if self._client is None:
            raise CallCancelled("it is not connected")
        await self._client.pair()

    def _take_value(self, channel: Channel, value: bytes) -> None:
        self.on_value(channel, value)

    def _take_gone(self) -> None:
        """Once, however often and from wherever it is said."""
        if not self._gone.is_set():
            self._gone.set()
            self.on_gone()

    def value_bytes(self, channel: Channel) -> int:
        """Bytes that a value may have on this channel, now."""
        return value_bytes(self._table[channel])

    async def write(self, channel: Channel, value: bytes, *, response: bool) -> None:
        """Write a value; unbounded, and raises whatever bleak raises."""
        if self._client is None:
            raise CallCancelled("it is not connected")
        await self._client.write_gatt_char(self._table[channel], value, response=response)

    async def read(self, channel: Channel) -> bytes:
        """Read a value, of now; unbounded, and raises whatever bleak raises."""
        if self._client is None:
            raise CallCancelled("it is not connected")
        return bytes(await self._client.read_gatt_char(self._table[channel]))

    # Letting go

    def let_go(self) -> "asyncio.Task[None] | None":
        """Begin to disconnect, once; also after the other side did, else BlueZ delivers twice from then on."""
        if self._disconnecting is None and self._client is not None:
            self._disconnecting = asyncio.ensure_future(self._disconnect(self._client))
            self._disconnecting.set_name(f"disconnect {self.url}")
            _disconnecting.add(self._disconnecting)
            self._disconnecting.add_done_callback(_disconnecting.discard)
        return self._disconnecting

    async def _disconnect(self, client: "BleakClient") -> None:
        """Once more if it is cancelled: whoever ends a loop cancels all that is on it, waits for it, and goes.

        bleak lets go of what is here whether the other side answers or not.
        """
        for within_s in (DISCONNECT_WITHIN_S, DISCONNECT_WAITED_S):
            try:
                await bounded(client.disconnect(), within_s, f"disconnect {self.url}")
            except asyncio.CancelledError:
                continue
            except Exception:  # noqa: BLE001
                return
            return

    async def disconnect(self, within_s: float) -> None:
        """Disconnect, and wait so long for it; what takes longer goes on by itself, up to its own bound."""
        task = self.let_go()
        if task is not None:
            await asyncio.wait([task], timeout=within_s)

    async def forget_bond(self) -> bool:
        """Have the system forget the pen, after the link is let go of; whether it did. Bounded, and raises nothing."""
        if self._client is None:
            return False
        try:
            await bounded(self._client.unpair(), UNPAIR_WITHIN_S, f"forget {self.url}")
        except Exception:  # noqa: BLE001  (there is none, or no program may: macOS)
            return False
        return True


_disconnecting: Final[set[asyncio.Task[None]]] = set()  # held, so that none is lost before it is done
