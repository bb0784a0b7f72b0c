"""Bluetooth's own pairing as three systems are documented, or BlueZ was measured, to do it, without a radio.

BlueZ answers a refusal for want of encryption by encrypting or pairing, again twice a second for 45 s; without a
pairing agent that never returns. CoreBluetooth does so once, and has no call for it. Windows does nothing, and has one.
"""

import asyncio
from typing import ClassVar, Literal, cast

from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import NotifyCallback
from bleak.exc import BleakDBusError, BleakError, BleakGATTProtocolError

from dermalink.links.ble_radio import Radio
from dermalink_protocol.channels import CHANNEL_RULES, AttError, Channel
from tests.air.host.fake_bleak import FOREVER, Computer, FakeClient, FakeScanner, Peripheral, pass_time

System = Literal["bluez", "macos", "windows"]
PAIRS_S = 0.3
PAIRS_AGAIN_S = 0.5
PAIRS_FOR_S = 45.0
HANGS_UP_AFTER = 3  # refused pairings on one link


class OwnedPeripheral(Peripheral):
    """A pen with an owner: some channels want an encrypted link, and a bond takes a press."""

    def __init__(self, serial_number: str = "DP1-00042") -> None:
        super().__init__(serial_number)
        self.pressed = False
        self.bonded = False  # it keeps a bond, which may be another computer's
        self.answers_pairing = True
        self.hangs_up = True
        self.never_satisfied: Channel | None = None
        self.pairings = 0

    @property
    def refuses_with(self) -> int:
        return AttError.INSUFFICIENT_ENCRYPTION if self.bonded else AttError.INSUFFICIENT_AUTHENTICATION


class BondingComputer(Computer):
    """A computer of one of the three, with its bonds."""

    def __init__(self, system: System, *peripherals: Peripheral) -> None:
        super().__init__(*peripherals)
        self.system = system
        self.bonds: set[str] = set()
        self.has_agent = True
        self.forgets_s = 0.0
        self.asks_s = 0.0  # how long the system's question stands before the person answers

    def radio(self) -> Radio:
        client = type("Client", (BondingClient,), {"computer": self})
        scanner = type("Scanner", (FakeScanner,), {"computer": self})
        return Radio(f"fake:{id(self)}", client, scanner)


class BondingClient(FakeClient):
    """bleak's client there."""

    computer: ClassVar[BondingComputer]
    encrypted = False
    refused = 0
    started: tuple[Channel, ...] = ()

    @property
    def pen(self) -> OwnedPeripheral:
        return cast(OwnedPeripheral, self.peripheral)

    @property
    def bonded(self) -> bool:
        return self.pen.address in self.computer.bonds

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **_: object
    ) -> None:
        channel = cast(Channel, characteristic.obj)
        if self.computer.system == "macos":
            if channel in self.started:
                raise ValueError("Characteristic notifications already started")
            self.started = (*self.started, channel)  # also where it fails
        await pass_time(self.pen.subscribe_s)
        if channel is self.pen.never_satisfied:
            raise BleakGATTProtocolError(self.pen.refuses_with)
        if CHANNEL_RULES[channel].encrypted and not self.encrypted:
            await {"bluez": self._as_bluez, "macos": self._as_macos, "windows": self._as_windows}[
                self.computer.system
            ]()
        await super().start_notify(characteristic, callback)

    async def _pairs(self) -> bool:
        """Encrypt with the bond, or pair once; whether the link is encrypted then."""
        if self.bonded:
            await pass_time(PAIRS_S / 3)
            self.encrypted = self.pen.bonded
            return self.encrypted
        self.pen.pairings += 1
        await pass_time(PAIRS_S if self.pen.answers_pairing else FOREVER)
        if self.pen.pressed:
            self.computer.bonds.add(self.pen.address)
            self.pen.bonded = self.encrypted = True
            return True
        self.refused += 1
        if self.pen.hangs_up and self.refused == HANGS_UP_AFTER:
            self.computer.drop(self.pen)
        return False

    async def _as_bluez(self) -> None:
        if not self.computer.has_agent and not self.bonded:
            await pass_time(FOREVER)
        until_s = asyncio.get_running_loop().time() + PAIRS_FOR_S
        while not await self._pairs():
            if self.bonded:  # "PIN or Key Missing": the kernel drops the link
                self.computer.drop(self.pen)
            if not self.up or asyncio.get_running_loop().time() >= until_s:
                raise BleakDBusError("org.bluez.Error.NotPermitted", ["Not paired"])
            await asyncio.sleep(PAIRS_AGAIN_S)

    async def _as_macos(self) -> None:
        had = self.bonded
        if not had:
            await pass_time(self.computer.asks_s)
        if not await self._pairs():
            said = (
                'CBErrorDomain Code=14 "Peer removed pairing information"'
                if had
                else f'CBATTErrorDomain Code={self.pen.refuses_with} "Authentication is insufficient."'
            )
            raise BleakError(f"Failed to update the notification status for characteristic 30: Error Domain={said}")

    async def _as_windows(self) -> None:
        if not (self.bonded and await self._pairs()):
            raise BleakGATTProtocolError(self.pen.refuses_with)

    async def pair(self, *_: object, **__: object) -> None:
        if self.computer.system == "macos":
            raise NotImplementedError("Pairing is not available in Core Bluetooth.")
        self.computer.pairings += 1
        if self.bonded:
            return
        if await self._pairs():
            return
        if self.computer.system == "windows":
            raise BleakError("Could not pair with device: FAILED")
        raise BleakDBusError("org.bluez.Error.AuthenticationFailed", ["Authentication Failed"])

    async def unpair(self) -> None:
        if self.computer.system == "macos":
            raise NotImplementedError("Pairing is not available in Core Bluetooth.")
        await pass_time(self.computer.forgets_s)
        self.computer.bonds.discard(self.pen.address)
        await self.disconnect()
