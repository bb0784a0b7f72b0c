"""bleak's scanner on a Bumble radio."""

from typing import Any, ClassVar, Literal

from bleak.backends.scanner import AdvertisementDataCallback, BaseBleakScanner
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakError
from bleak.uuids import normalize_uuid_str

from dermalink_simulator.radio.adapter import Adapter, hold
from dermalink_simulator.radio.bleak_advertising import Report, Spoken
from dermalink_simulator.radio.bleak_options import RadioOptions
from dermalink_simulator.radio.errors import RadioError


class BumbleBleakScanner(BaseBleakScanner):
    """Give a subclass that `backends` made to `BleakScanner(backend=...)`."""

    radio: ClassVar[RadioOptions]

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: Literal["active", "passive"] = "active",
        **_: Any,  # bleak hands each operating system's own options to every backend
    ) -> None:
        uuids = None if service_uuids is None else [normalize_uuid_str(uuid) for uuid in service_uuids]
        super().__init__(detection_callback, uuids)
        self._active = scanning_mode != "passive"
        self._spoken: dict[str, Spoken] = {}
        self._adapter: Adapter | None = None

    async def start(self) -> None:
        """Listen; raises `BleakBluetoothNotAvailableError` when there is no such radio."""
        if self._adapter is not None and self._adapter.gone is None:
            raise BleakError("This scanner has been started; stop it first")
        await self.stop()
        self.seen_devices = {}
        self._spoken = {}
        try:
            adapter = await hold(self.radio)
        except RadioError as wrong:
            raise not_available(wrong) from wrong
        try:
            await adapter.listen(self._on_report, active=self._active)
        except BaseException as wrong:
            adapter.let_go()
            if isinstance(wrong, RadioError):
                raise not_available(wrong) from wrong
            raise
        self._adapter = adapter

    async def stop(self) -> None:
        """Listen no longer; nothing when it doesn't, or when the radio has died."""
        adapter, self._adapter = self._adapter, None
        if adapter is None:
            return
        try:
            await adapter.stop_listening(self._on_report)
        except RadioError as wrong:
            raise BleakError(str(wrong)) from wrong
        finally:
            adapter.let_go()
            await adapter.at_rest()

    def _on_report(self, report: Report) -> None:
        address = report.address_text
        spoken = self._spoken.setdefault(address, Spoken())
        spoken.hear(report.data)
        if not self.is_allowed_uuid(spoken.service_uuids):
            return
        advertisement = spoken.for_bleak(report)
        details = {"address": report.address}
        device = self.create_or_update_device(address, address, spoken.local_name, details, advertisement)
        self.call_detection_callbacks(device, advertisement)


def not_available(wrong: RadioError) -> BleakBluetoothNotAvailableError:
    """What bleak's users are told when there is no radio."""
    return BleakBluetoothNotAvailableError(str(wrong), BleakBluetoothNotAvailableReason.NO_BLUETOOTH)
