"""One radio on one event loop: a Bumble central that all clients and scanners of a specification share.

It is opened when the first of them needs it and closed, leaving nothing behind, when the last one lets go. A radio
that dies ends every link on it, and whoever comes next opens a new one.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from bumble import att, core, hci
from bumble.device import ConnectionParametersPreferences, Device, DeviceConfiguration

from dermalink_simulator.radio.asked import Asked
from dermalink_simulator.radio.attributes import FROM_SERVER
from dermalink_simulator.radio.bleak_advertising import Reassembler, Report
from dermalink_simulator.radio.bleak_att import AttClient
from dermalink_simulator.radio.bleak_link import RadioLink
from dermalink_simulator.radio.bleak_options import RadioOptions
from dermalink_simulator.radio.bleak_security import Bonds, said_of
from dermalink_simulator.radio.bond_file import own_file
from dermalink_simulator.radio.corrections import make_device
from dermalink_simulator.radio.errors import LinkLost, NoConnection, NoSuchRadio, RadioError, RadioGone
from dermalink_simulator.radio.specs import AIR
from dermalink_simulator.radio.transports import open_controller

T = TypeVar("T")

OPEN_S: Final = 10.0  # a dongle's firmware is loaded in this; a controller in software takes milliseconds
COMMAND_S: Final = 5.0  # a controller answers a command in milliseconds
CLOSE_S: Final = 2.0
DISCONNECT_SPARE_S: Final = 1.0  # beyond the supervision time-out, after which a controller reports the end by itself

OnReport = Callable[[Report], None]

_adapters: "WeakKeyDictionary[asyncio.AbstractEventLoop, _OfLoop]" = WeakKeyDictionary()
_bonds: dict[str, Bonds] = {}  # by the adapter's own address, for the life of the process


class _OfLoop:
    """The adapters of one event loop, and those that are on their way out."""

    def __init__(self) -> None:
        self.open: dict[RadioOptions, Adapter] = {}
        self.last_owner: dict[RadioOptions, asyncio.Task[None]] = {}


async def hold(options: RadioOptions) -> "Adapter":
    """The adapter of this loop for `options`, open; whoever holds it must `let_go`. Raises a `RadioError`."""
    of_loop = _adapters.setdefault(asyncio.get_running_loop(), _OfLoop())
    adapter = of_loop.open.get(options)
    if adapter is None:
        adapter = of_loop.open[options] = Adapter(options, of_loop)
    adapter.users += 1
    try:
        await asyncio.shield(adapter.ready)
    except BaseException:
        adapter.let_go()
        raise
    return adapter


async def finish(work: Coroutine[Any, Any, T]) -> T:
    """Let `work`, which is bounded, come to its end even when the caller is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as ours:
            cancelled = ours
    if cancelled is not None:
        if not task.cancelled():
            task.exception()
        raise cancelled
    return task.result()


def bonds_of(options: RadioOptions) -> Bonds:
    """The keys of the devices that this adapter has bonded with; an air of this process ends with it, and its bonds."""
    bonds = _bonds.get(options.address)
    if bonds is None:
        file = None if options.transport.startswith(f"{AIR}:") else own_file()
        bonds = _bonds[options.address] = Bonds(file)
    return bonds


class Adapter:
    """A Bumble device as central, with the number of those who use it."""

    def __init__(self, options: RadioOptions, of_loop: _OfLoop) -> None:
        """Made by `hold`."""
        self.options = options
        self.users = 0
        self.links: dict[str, RadioLink] = {}  # by address
        self._of_loop = of_loop
        self._device: Device | None = None
        self._asked: Asked | None = None
        self._listeners: dict[OnReport, bool] = {}  # whether each wants scan responses
        self._scanning: bool | None = None  # actively; None: not at all
        self._scan_turn = asyncio.Lock()
        self._connect_turn = asyncio.Lock()
        self._reassembler = Reassembler()
        self._leave = asyncio.Event()
        self.gone: RadioGone | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._owner = asyncio.create_task(
            self._own(of_loop.last_owner.get(options)), name=f"bleak radio {options.spec}"
        )
        of_loop.last_owner[options] = self._owner
        self._owner.add_done_callback(self._forget)

    @property
    def device(self) -> Device:
        """Bumble's; raises `RadioGone` when the radio has died."""
        if self.gone is not None:
            raise self.gone
        assert self._device is not None
        return self._device

    def let_go(self) -> None:
        """One user less; the last one closes the radio (`at_rest` waits for that)."""
        self.users -= 1
        if self.users == 0:
            self._retire()
            self._leave.set()
            if not self.ready.done():
                self._owner.cancel()

    async def at_rest(self) -> None:
        """Until it is closed, when nobody uses it any longer; bounded."""
        if self.users == 0:
            await asyncio.wait([self._owner], timeout=OPEN_S + CLOSE_S)

    # The radio's life

    async def _own(self, before: "asyncio.Task[None] | None") -> None:
        """Hold the transport from opening to closing, in one task."""
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(OPEN_S):
                    if before is not None:
                        await asyncio.wait([before])  # a dongle is opened once
                    await self._open(stack)
                self.ready.set_result(None)
                await self._leave.wait()
        except (RadioError, core.BaseBumbleError, OSError, TimeoutError) as wrong:
            self._lost(_no_radio(self.options, wrong))
        finally:
            self._retire()
            if not self.ready.done():
                self.ready.cancel()

    async def _open(self, stack: AsyncExitStack) -> None:
        source, sink = await stack.enter_async_context(open_controller(self.options.transport))
        own = self.options.address
        config = DeviceConfiguration(
            classic_enabled=False,
            gap_service_enabled=False,  # `Asked` has its own
            gatt_service_enabled=False,
            irk=hashlib.sha256(own.encode()).digest()[:16],
        )
        config.identity_address_type = hci.AddressType.RANDOM_DEVICE  # the one it is seen by: keys are kept by that
        device = make_device("bleak", hci.Address(own), source, sink, config=config)
        device.command_timeout = COMMAND_S
        await device.power_on()
        asked = self._asked = Asked(
            device, self._on_pairing
        )  # not before: switched on, Bumble takes a channel for pairing back
        device.l2cap_channel_manager.register_fixed_channel(
            att.ATT_CID, lambda handle, pdu: self._on_att(asked, handle, pdu)
        )
        self._device = device
        stack.push_async_callback(self._switch_off, device)
        device.host.on("advertising_report", self._on_report)
        device.on(Device.EVENT_FLUSH, self._on_flush)
        if (terminated := getattr(source, "terminated", None)) is not None:
            terminated.add_done_callback(self._on_flush)

    async def _switch_off(self, device: Device) -> None:
        """Bounded: a controller that is gone answers nothing."""
        self._lost(RadioGone(f"The radio {self.options.spec!r} was closed"))
        with contextlib.suppress(TimeoutError, core.BaseBumbleError):
            async with asyncio.timeout(CLOSE_S):
                await device.power_off()

    def _on_flush(self, _: object = None) -> None:
        self._lost(RadioGone(f"The radio {self.options.spec!r} is gone", advice="Is it still plugged in, or served?"))

    def _lost(self, why: RadioError) -> None:
        """End everything that is under way; the second reason is no news."""
        self._retire()
        if not self.ready.done():
            self.ready.set_exception(why)
            self.ready.exception()  # seen, also where whoever waited has given up
        if self.gone is None:
            self.gone = why if isinstance(why, RadioGone) else RadioGone(why.refused, limit=why.limit)
        for link in list(self.links.values()):
            link.end(LinkLost("The link to the device was lost", limit=str(self.gone)))
        self._leave.set()

    def _retire(self) -> None:
        """Whoever comes next opens a new one."""
        if self._of_loop.open.get(self.options) is self:
            del self._of_loop.open[self.options]

    def _forget(self, owner: "asyncio.Task[None]") -> None:
        if self._of_loop.last_owner.get(self.options) is owner:
            del self._of_loop.last_owner[self.options]

    # Scanning

    async def listen(self, on_report: OnReport, *, active: bool) -> None:
        """Call `on_report` for every advertisement, until `stop_listening`."""
        self._listeners[on_report] = active
        try:
            await finish(self._scan_as_wanted())
        except BaseException:
            self._listeners.pop(on_report, None)
            raise

    async def stop_listening(self, on_report: OnReport) -> None:
        """The radio stops scanning when nobody listens any longer."""
        self._listeners.pop(on_report, None)
        if self.gone is None:
            with contextlib.suppress(RadioGone):  # meanwhile, and then it scans no longer
                await finish(self._scan_as_wanted())

    async def _scan_as_wanted(self) -> None:
        async with self._scan_turn:
            wanted = any(self._listeners.values()) if self._listeners else None
            if wanted is self._scanning:
                return
            try:
                if self._scanning is not None:
                    self._scanning = None
                    await self.device.stop_scanning()
                if wanted is not None:
                    await self.device.start_scanning(active=wanted)
                    self._scanning = wanted
            except core.BaseBumbleError as wrong:
                raise self._misbehaved("scan", wrong) from None

    def _misbehaved(self, what: str, wrong: BaseException) -> RadioError:
        if self.gone is not None:
            return self.gone
        return RadioError(f"The radio {self.options.spec!r} did not {what}", limit=said_of(wrong))

    def _on_report(self, raw: Any) -> None:
        report = self._reassembler.take(raw)
        if report is None:
            return
        for on_report, active in list(self._listeners.items()):
            if report.is_scan_response and not active:
                continue
            try:
                on_report(report)
            except Exception as wrong:  # noqa: BLE001 (a user's callback; the scan goes on)
                told = {"message": "A scanner's callback failed", "exception": wrong}
                asyncio.get_running_loop().call_exception_handler(told)

    async def find(self, address: str) -> Report:
        """Listen until a device of that address is heard; the caller bounds it."""
        heard: asyncio.Future[Report] = asyncio.get_running_loop().create_future()

        def on_report(report: Report) -> None:
            if report.address_text == address.upper() and not heard.done():
                heard.set_result(report)

        await self.listen(on_report, active=False)
        try:
            return await heard
        finally:
            with contextlib.suppress(RadioError):  # whoever was cancelled is to hear of that, others of the next call
                await self.stop_listening(on_report)

    # Links

    def _on_att(self, asked: Asked, handle: int, pdu: bytes) -> None:
        """An attribute packet: of a server we ask, or of a client that asks for our name."""
        connection = None if self._device is None else self._device.lookup_connection(handle)
        if connection is None or self._device is None or not pdu:
            return
        if not pdu[0] & FROM_SERVER:
            asked.attribute(connection, pdu)
        elif isinstance(connection.gatt_client, AttClient):
            connection.gatt_client.take(pdu)

    def _on_pairing(self, handle: int, pdu: bytes) -> bool:
        """A packet of the Security Manager's: whether it is for a pairing that was begun here."""
        for link in self.links.values():
            if link.connection.handle == handle and link.pairing is not None:
                link.pairing.take(pdu)
                return True
        return False

    def _say_pairing(self, handle: int, pdu: bytes) -> None:
        if self._asked is not None and self.gone is None:
            self._asked.pair(handle, pdu)

    async def connect(self, address: hci.Address, on_over: Callable[[LinkLost], None]) -> RadioLink:
        """A link to `address`; `on_over` is called once when it ends. One attempt at a time; the caller bounds it."""
        text = address.to_string(with_type_qualifier=False)
        async with self._connect_turn:
            if text in self.links:
                raise NoConnection(
                    f"Connecting to {text} was refused",
                    limit="another client is connected to it through this adapter",
                    advice="Use that client, or disconnect it first",
                )
            attempt = asyncio.ensure_future(self._initiate(address))
            try:
                await asyncio.wait([attempt])
            except asyncio.CancelledError:
                await finish(self._give_up(attempt))
                raise
            try:
                connection = attempt.result()
            except (core.BaseBumbleError, asyncio.CancelledError) as wrong:
                raise self._misbehaved(f"connect to {text}", wrong) from None
            link = self.links[text] = RadioLink(
                connection,
                lambda why: self._link_over(text, on_over, why),
                lambda pdu: self._say_pairing(connection.handle, pdu),
            )
            if self.device.lookup_connection(connection.handle) is not connection:
                link.end(LinkLost("The link to the device was lost", limit="as soon as it stood"))
            return link

    def _link_over(self, text: str, on_over: Callable[[LinkLost], None], why: LinkLost) -> None:
        self.links.pop(text, None)
        on_over(why)

    async def _initiate(self, address: hci.Address) -> Any:
        options = self.options
        wanted = ConnectionParametersPreferences(supervision_timeout=options.supervision_ms)
        wanted.max_latency = options.latency
        if options.interval_ms is not None:
            wanted.connection_interval_min = wanted.connection_interval_max = options.interval_ms
        return await self.device.connect_le(address, {hci.Phy.LE_1M: wanted}, hci.OwnAddressType.RANDOM, timeout=None)

    async def _give_up(self, attempt: "asyncio.Future[Any]") -> None:
        """Take the attempt back; a controller that doesn't let go of it is used by nobody after this."""
        if not attempt.done() and self.gone is None:
            with contextlib.suppress(core.BaseBumbleError, RadioGone):
                await self.device.send_sync_command(hci.HCI_LE_Create_Connection_Cancel_Command())
            await asyncio.wait([attempt], timeout=COMMAND_S)
        if not attempt.done():
            self._retire()
            attempt.cancel()
            await asyncio.wait([attempt])
        if not attempt.cancelled() and attempt.exception() is None:
            await self._hang_up(attempt.result())

    async def disconnect(self, link: RadioLink) -> None:
        """End a link; bounded, and over afterwards whatever the controller says."""
        if link.over is None:
            await finish(self._hang_up(link.connection))
            link.end(LinkLost("The link to the device was ended by this side"))

    async def _hang_up(self, connection: Any) -> None:
        if self.gone is not None:
            return
        bound = connection.parameters.supervision_timeout / 1000 + DISCONNECT_SPARE_S
        attempt = asyncio.ensure_future(connection.disconnect())
        await asyncio.wait([attempt], timeout=bound)
        if not attempt.done():
            self._retire()  # the controller holds on to it
            attempt.cancel()
            await asyncio.wait([attempt])
        if not attempt.cancelled():
            attempt.exception()  # seen: the link was over before


def _no_radio(options: RadioOptions, wrong: BaseException) -> RadioError:
    if isinstance(wrong, RadioError):
        return wrong
    limit = f"it did not answer within {OPEN_S:g} s" if isinstance(wrong, TimeoutError) else said_of(wrong)
    return NoSuchRadio(
        f"The radio {options.spec!r} can't be opened", limit=limit, advice="Is it plugged in, or being served?"
    )
