"""bleak's client on a Bumble radio.

It behaves as bleak's BlueZ backend does where bleak leaves a choice: an address that nobody advertises is a
`BleakDeviceNotFoundError`, a device that doesn't answer a `TimeoutError`, and the disconnected callback is called
once for each link, whoever ended it. What is refused for want of encryption is done once it is encrypted, with the bond
that is kept or one that is made now, and its errors have BlueZ's names. Three differences: a second client of the same
device is refused, not let in; a link is encrypted when it takes that and not before; a pairing is tried once, not twice
a second.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Final, TypeVar

from bleak.args import SizedBuffer
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.exc import (
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
    BleakGATTProtocolErrorCode,
)
from bleak.uuids import normalize_uuid_16, normalize_uuid_str
from bumble import att, core, hci

from dermalink_simulator.radio.adapter import Adapter, bonds_of, finish, hold
from dermalink_simulator.radio.bleak_advertising import Spoken
from dermalink_simulator.radio.bleak_att import VALUE_MAX, AttSilent
from dermalink_simulator.radio.bleak_link import RadioLink
from dermalink_simulator.radio.bleak_options import ATT_MTU_MIN, RadioOptions
from dermalink_simulator.radio.bleak_scanner import not_available
from dermalink_simulator.radio.bleak_security import said_of
from dermalink_simulator.radio.bleak_services import WRITE_OVERHEAD, discover, longest_command
from dermalink_simulator.radio.errors import LinkLost, RadioError
from dermalink_simulator.radio.just_works import NotPaired

T = TypeVar("T")

PAIRING_S: Final = 30.0  # Core 5.4, Vol 3, Part H, 3.4: the Security Manager's own time-out
# Core 5.4, Vol 3, Part F, 3.4.1.1: authentication, encryption.
WANTS_ENCRYPTION: Final = (att.ErrorCode.INSUFFICIENT_AUTHENTICATION, att.ErrorCode.INSUFFICIENT_ENCRYPTION)
COMMANDS_QUEUED_MAX: Final = 16  # writes without response under way before the next one waits
_CCCD: Final = normalize_uuid_16(0x2902)
_NOTIFY: Final = b"\x01\x00"
_INDICATE: Final = b"\x02\x00"
_SILENT: Final = b"\x00\x00"


class BumbleBleakClient(BaseBleakClient):
    """Give a subclass that `backends` made to `BleakClient(backend=...)`."""

    radio: ClassVar[RadioOptions]

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        services: set[str] | None = None,
        *,
        disconnected_callback: Callable[[], None] | None,
        timeout: float,
        **_: Any,  # bleak hands each operating system's own options to every backend
    ) -> None:
        super().__init__(address_or_ble_device, disconnected_callback=disconnected_callback, timeout=timeout)
        self._only = None if services is None else {normalize_uuid_str(uuid) for uuid in services}
        self._name: str | None = None
        self._target: hci.Address | None = None
        if isinstance(address_or_ble_device, BLEDevice):
            self._name = address_or_ble_device.name
            details = address_or_ble_device.details
            if isinstance(details, dict) and isinstance(details.get("address"), hci.Address):
                self._target = details["address"]
        self._adapter: Adapter | None = None  # held
        self._closing: Adapter | None = None  # let go of, perhaps not closed yet
        self._link: RadioLink | None = None
        self._attempt: asyncio.Task[None] | None = None
        self._searching = False
        self._notifying: set[int] = set()  # value handles

    # Connection

    @property
    def name(self) -> str:
        """What it advertised, or its address with dashes."""
        return self._name or self.address.replace(":", "-")

    @property
    def mtu_size(self) -> int:
        """The ATT_MTU of this connection, as it was agreed."""
        return self._live_link().att.mtu

    @property
    def is_connected(self) -> bool:
        """Whether the link stands."""
        return self._link is not None

    async def connect(
        self,
        pair: bool,
        dangerous_use_bleak_cache: bool = False,  # noqa: ARG002 (bleak's own)
        timeout: float | None = None,  # noqa: ASYNC109 (bleak's own word)
        **_: Any,
    ) -> None:
        """Connect, agree on an MTU and discover all services, within `timeout` seconds in all.

        Nothing is kept from one connection to the next, so `dangerous_use_bleak_cache` changes nothing.
        """
        if self._attempt is not None or self._link is not None:
            raise BleakError("Client is already connected, or connecting")
        bound = self._timeout if timeout is None else timeout
        attempt = self._attempt = asyncio.create_task(self._connect(pair=pair))
        in_time = False
        try:
            await asyncio.wait([attempt], timeout=bound)
            in_time = attempt.done()
        finally:
            attempt.cancel()
            await finish(_settled(attempt))
            self._attempt = None
        if not attempt.cancelled():
            return attempt.result()
        if in_time:
            raise BleakError(f"Connecting to {self.address} was given up: disconnect() was called meanwhile")
        if self._searching:
            raise BleakDeviceNotFoundError(self.address, f"Device with address {self.address} was not found.")
        raise TimeoutError(f"{self.address} was not connected within {bound:g} s")

    async def _connect(self, *, pair: bool) -> None:
        try:
            await self._make_link()
            await self._prepare(pair=pair)
        except BaseException as wrong:
            await finish(self._drop())
            if isinstance(wrong, RadioError):
                raise BleakError(str(wrong)) from wrong
            if isinstance(wrong, core.BaseBumbleError):
                raise _out_of_order(wrong) from wrong
            raise

    async def _make_link(self) -> None:
        self._searching = False
        try:
            adapter = self._adapter = await hold(self.radio)
        except RadioError as wrong:
            raise not_available(wrong) from wrong
        if self._target is None:
            self._searching = True
            report = await adapter.find(self.address)
            self._searching = False
            spoken = Spoken()
            spoken.hear(report.data)
            self._target, self._name = report.address, self._name or spoken.local_name
        link = await adapter.connect(self._target, self._on_over)
        if link.over is not None:
            raise link.over
        self._link = link

    async def _prepare(self, *, pair: bool) -> None:
        link = self._live_link()
        if self.radio.mtu > ATT_MTU_MIN:
            try:
                await link.att.request_mtu(self.radio.mtu)
            except att.ATT_Error as refused:  # then it stays at 23
                if refused.error_code != att.ATT_REQUEST_NOT_SUPPORTED_ERROR:
                    raise BleakGATTProtocolError(int(refused.error_code)) from refused
        if pair:
            await self._secure(link)
        self.services = await self._ask(discover(link.att, self._only))

    async def disconnect(self) -> None:
        """End the link, or the attempt at one; bounded, and nothing when there is neither."""
        attempt = self._attempt
        if attempt is not None:
            attempt.cancel()
            await finish(_settled(attempt))
        await finish(self._drop())

    async def _drop(self) -> None:
        """No link, no radio held, and the radio closed if nobody else holds it."""
        if self._adapter is not None and self._link is not None:
            await self._adapter.disconnect(self._link)
        self._release()
        if self._closing is not None:
            await self._closing.at_rest()

    def _release(self) -> None:
        adapter, self._adapter = self._adapter, None
        if adapter is not None:
            self._closing = adapter
            adapter.let_go()

    def _on_over(self, _: LinkLost) -> None:
        """The link has ended, whoever ended it."""
        if self._link is None:
            return
        self._link = self.services = None
        self._notifying.clear()
        self._release()
        if self._disconnected_callback is not None:
            try:
                self._disconnected_callback()
            except Exception as wrong:  # noqa: BLE001 (a user's callback)
                told = {"message": "A disconnected callback failed", "exception": wrong}
                asyncio.get_running_loop().call_exception_handler(told)

    def _live_link(self) -> RadioLink:
        if self._link is None:
            raise BleakError("Not connected")
        return self._link

    async def _ask(self, work: Coroutine[Any, Any, T]) -> T:
        """What the device or the link refuses, as bleak's own error."""
        try:
            return await work
        except att.ATT_Error as refused:
            raise BleakGATTProtocolError(int(refused.error_code)) from None
        except AttSilent as wrong:
            await finish(self._drop())
            raise BleakError(str(wrong)) from wrong
        except RadioError as wrong:
            raise BleakError(str(wrong)) from wrong
        except core.BaseBumbleError as wrong:
            raise _out_of_order(wrong) from wrong

    # Pairing

    async def pair(self, *_: Any, **__: Any) -> None:
        """Bond without a code (Just Works), unless that is done; see `bond_file` for how long the key is kept."""
        link = self._live_link()
        if self._key() is None:
            await self._secure(link)

    async def unpair(self) -> None:
        """Forget the bond, and disconnect."""
        if self._key() is None:
            raise BleakDeviceNotFoundError(self.address, f"Device with address {self.address} is not paired.")
        bonds_of(self.radio).forget(str(self._target))
        await self.disconnect()

    def _key(self) -> bytes | None:
        return None if self._target is None else bonds_of(self.radio).of(str(self._target))

    async def _secure(self, link: RadioLink) -> None:
        """Encrypt with the bond, or bond; a link whose bond fails is ended, as by BlueZ's kernel."""
        async with link.securing:
            if link.encrypted:
                return
            key = self._key()
            try:
                async with asyncio.timeout(PAIRING_S):
                    if key is None:
                        bonds_of(self.radio).keep(str(self._target), await link.bond())
                    else:
                        await link.encrypt(key)
            except (TimeoutError, NotPaired, RadioError, core.BaseBumbleError) as wrong:
                link.refused = True
                if key is not None:
                    await finish(self._drop())
                raise _not_authenticated(wrong, bonded=key is not None) from wrong

    async def _secured(self, link: RadioLink, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `work` gives, once more on an encrypted link where it is refused for want of that."""
        try:
            return await self._ask(work())
        except BleakGATTProtocolError as refused:
            if int(refused.code) not in WANTS_ENCRYPTION or link.encrypted or link.refused:
                raise
        try:
            await self._secure(link)
        except BleakDBusError as wrong:
            raise BleakDBusError("org.bluez.Error.NotPermitted", ["Not paired"]) from wrong
        return await self._ask(work())

    # Values

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **_: Any
    ) -> bytearray:
        """Read a value, however long."""
        return await self._read(characteristic.handle, use_cached=use_cached)

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **_: Any
    ) -> bytearray:
        """Read a descriptor, however long."""
        return await self._read(descriptor.handle, use_cached=use_cached)

    async def _read(self, handle: int, *, use_cached: bool) -> bytearray:
        link = self._live_link()
        seen = link.att.cached(handle) if use_cached else None
        return bytearray(await self._secured(link, lambda: link.att.read(handle)) if seen is None else seen)

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool) -> None:
        """Write as asked, whatever the properties say: it is the device that refuses.

        A value that doesn't fit in one packet goes out in parts when `response` is asked for, and is refused when not.
        """
        link = self._live_link()
        value = bytes(data)
        if response:
            await self._write(link, characteristic.handle, value)
            return
        longest = longest_command(link.att)
        if len(value) > longest:
            raise BleakError(
                f"Writing {len(value)} bytes without response was refused: {longest} fit into one packet. "
                "See max_write_without_response_size, or write with response"
            )
        await self._ask(link.att.write_value(characteristic.handle, value, with_response=False))
        queue = link.connection.data_packet_queue
        if queue is not None and queue.pending > COMMANDS_QUEUED_MAX:
            await self._ask(link.until_over(link.connection.drain()))

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        """Write a descriptor, with response."""
        await self._write(self._live_link(), descriptor.handle, bytes(data))

    async def _write(self, link: RadioLink, handle: int, value: bytes) -> None:
        if len(value) > VALUE_MAX:
            raise BleakGATTProtocolError(BleakGATTProtocolErrorCode.INVALID_ATTRIBUTE_VALUE_LENGTH)
        if len(value) <= link.att.mtu - WRITE_OVERHEAD:
            await self._secured(link, lambda: link.att.write_value(handle, value, with_response=True))
        else:
            await self._secured(link, lambda: link.att.write_in_parts(handle, value))

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **kwargs: Any
    ) -> None:
        """Ask for notifications, or for indications where there is nothing else or `force_indicate` is given."""
        link = self._live_link()
        handle = characteristic.handle
        if handle in self._notifying:
            raise BleakError(f"Notifications of {characteristic.uuid} have been started already")
        can_indicate = "indicate" in characteristic.properties
        can_notify = "notify" in characteristic.properties
        cccd = characteristic.get_descriptor(_CCCD)
        if cccd is None or not (can_notify or can_indicate):
            raise BleakError(f"{characteristic.uuid} gives neither notifications nor indications")
        indicate = can_indicate and (not can_notify or bool(kwargs.get("force_indicate")))
        self._notifying.add(handle)
        link.att.subscribers[handle] = callback
        try:
            await self._write(link, cccd.handle, _INDICATE if indicate else _NOTIFY)
        except BaseException:
            link.att.subscribers.pop(handle, None)
            self._notifying.discard(handle)
            raise

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """Ask for no more of them."""
        link = self._live_link()
        handle = characteristic.handle
        cccd = characteristic.get_descriptor(_CCCD)
        if handle not in self._notifying or cccd is None:
            raise BleakError(f"Notifications of {characteristic.uuid} have not been started")
        await self._write(link, cccd.handle, _SILENT)
        link.att.subscribers.pop(handle, None)
        self._notifying.discard(handle)


def _not_authenticated(wrong: BaseException, *, bonded: bool) -> BleakDBusError:
    """As BlueZ names it (doc/org.bluez.Device.rst, Pair), with why in words."""
    forgets = "; the device may have forgotten the bond, as unpair() does here" if bonded else ""
    if isinstance(wrong, TimeoutError):
        return BleakDBusError("org.bluez.Error.AuthenticationTimeout", [f"no answer within {PAIRING_S:g} s"])
    name = "AuthenticationCanceled" if isinstance(wrong, RadioError) else "AuthenticationFailed"
    return BleakDBusError(f"org.bluez.Error.{name}", [f"Authentication Failed: {said_of(wrong)}{forgets}"])


def _out_of_order(wrong: core.BaseBumbleError) -> BleakError:
    return BleakError(f"The device answered out of order: {said_of(wrong)}")


async def _settled(task: "asyncio.Task[None]") -> None:
    await asyncio.wait([task])
