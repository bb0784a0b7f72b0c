"""The pen as a Bluetooth Low Energy peripheral: each central is a port of the pen, as a client of the TCP door is.

Whatever the radio is (an air of ours that hosts in other processes come to, an adapter of the system's, a dongle),
the device, its table and its rules are the same.
"""

import asyncio
import contextlib
import datetime as dt
from typing import TYPE_CHECKING, Final

from bumble import att, hci
from bumble.core import BaseBumbleError

from dermalink_protocol.advertising import advertisement, device_name, scan_response
from dermalink_protocol.channels import BATTERY_LEVEL, CURRENT_TIME
from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.doors.ble_advertiser import Advertiser
from dermalink_simulator.doors.ble_bonding import Bonding
from dermalink_simulator.doors.ble_link import BleLink
from dermalink_simulator.doors.ble_places import Places
from dermalink_simulator.doors.ble_radio import Radio, open_radio
from dermalink_simulator.doors.ble_server import PenServer
from dermalink_simulator.doors.ble_table import make_table
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.radio.besides_att import offer_attributes_only
from dermalink_simulator.runner import PenRunner

if TYPE_CHECKING:
    from bumble.device import Connection, Device
    from bumble.gatt import Characteristic

LOW_RESOURCES: Final = hci.HCI_REMOTE_DEVICE_TERMINATED_CONNECTION_DUE_TO_LOW_RESOURCES_ERROR
POWER_OFF: Final = hci.HCI_REMOTE_DEVICE_TERMINATED_CONNECTION_DUE_TO_POWER_OFF_ERROR
# How long the hosts may take to be told, when the door closes, before it closes on them.
PARTING_S: Final = 2.0
# How often a host that asked to be told of the battery or the clock is told at most.
CHANGE_MS: Final = 1_000
# A clock that differs by more from what it would show had it only run on was set (seconds).
CLOCK_SLACK_S: Final = 1


class BleDoor:
    """A device on the radio in front of a running pen."""

    def __init__(self, runner: PenRunner, radio: Radio, serial_number: str) -> None:
        """Made by `open`."""
        self._runner, self._radio = runner, radio
        self._serial_number = serial_number
        self._pen = runner.pen if isinstance(runner.pen, SimulatedPen) else None
        self._device: Device = radio.device
        self._table = make_table(runner.read_gatt, device_name(serial_number))
        self._server = PenServer(radio.device, self._table)
        self._bonding = Bonding(self._server.link_at)
        self._places = Places(self._server.links, lambda link: self._hang_up(link, LOW_RESOURCES))
        self._advertiser = Advertiser(
            radio.device,
            advertisement(),
            scan_response(serial_number),
            failed=self._radio_gone,
            changed=self._advertising_changed,
        )
        self._stack = contextlib.AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._tell_from_ms = 0
        self._battery: bytes | None = None
        self._clock_ahead_s: int | None = None
        self._closed = False
        self.turned_away = 0

    @classmethod
    async def open(
        cls,
        runner: PenRunner,
        spec: str,
        *,
        serial_number: str,
        seed: int,
        beyond_this_machine: bool = False,
        air: str | None = None,
    ) -> "BleDoor":
        """Put the pen on the radio that `spec` names; raises a `RadioError` or `DoorError` for what is in the way.

        `air` is the profile of the air between it and its hosts where that is ours (None: an ordinary room).
        """
        async with contextlib.AsyncExitStack() as stack:
            pen = runner.pen if isinstance(runner.pen, SimulatedPen) else None
            radio = await stack.enter_async_context(
                open_radio(
                    spec,
                    pen,
                    serial_number=serial_number,
                    seed=seed,
                    air=air,
                    beyond_this_machine=beyond_this_machine,
                )
            )
            door = cls(runner, radio, serial_number)
            stack.push_async_callback(door._leave)
            door._start()
            door._stack = stack.pop_all()
        return door

    @property
    def url(self) -> str:
        """How a host with an adapter reaches the door."""
        return f"ble:{self._serial_number}"

    @property
    def radio(self) -> str:
        """What a host without one puts behind `?radio=`; empty where it needs an adapter of its own."""
        return self._radio.reach

    @property
    def links(self) -> int:
        """How many centrals are connected."""
        return len(self._server.links)

    @property
    def advertising(self) -> bool:
        """Whether hosts can find the pen now."""
        return self._advertiser.on

    async def close(self) -> None:
        """Hang up and leave the radio; may be called twice."""
        await self._stack.aclose()

    def _start(self) -> None:
        self._device.on(self._device.EVENT_CONNECTION, self._connected)
        self._device.l2cap_channel_manager.register_fixed_channel(att.ATT_CID, self._server.take)
        # Who may do what is the pen's own affair, above BLE and serial alike (SR-SEC-5).
        offer_attributes_only(self._device, self._server.reply, pairing=self._bonding.take)
        self._device.host.long_term_key_provider = self._bonding.key
        self._radio.when_gone(self._radio_gone)
        self._runner.after.append(self._look)
        self._runner.radio = self
        self._look()

    async def _leave(self) -> None:
        """Stop advertising, tell every host, and wait a little for them to be told."""
        self._closed = True
        if self._look in self._runner.after:
            self._runner.after.remove(self._look)
        if self._runner.radio is self:
            self._runner.radio = None
        self._places.close()
        self._bonding.close()
        await self._advertiser.close()
        for link in list(self._server.links.values()):
            self._hang_up(link, hci.HCI_REMOTE_USER_TERMINATED_CONNECTION_ERROR)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PARTING_S):
                await self._empty.wait()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # Centrals

    def _connected(self, connection: "Connection") -> None:
        if connection.role != hci.Role.PERIPHERAL:
            return
        self._advertiser.taken()
        had_room = self._places.free
        link = BleLink(connection, self._runner, self._table, self._hang_up, self._server.links)
        self._server.links[connection] = link
        self._bonding.watch(link)
        self._empty.clear()
        connection.on(connection.EVENT_DISCONNECTION, lambda _: self._gone(link))
        if self._closed or not had_room:
            self.turned_away += 1
            self._hang_up(link, LOW_RESOURCES)
            return
        try:
            link.open()
        except DermalinkError:  # the pen takes no link: it is off
            self.turned_away += 1
            self._hang_up(link, 0)
        self._look()

    def _hang_up(self, link: BleLink, reason: int) -> None:
        """End a connection; reason 0: the pen hung up."""
        if link.gone:
            return
        link.close()
        if not reason:
            reason = LOW_RESOURCES if self._powered else POWER_OFF
        task = asyncio.get_running_loop().create_task(self._disconnect(link.connection, reason))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _disconnect(self, connection: "Connection", reason: int) -> None:
        command = hci.HCI_Disconnect_Command(connection_handle=connection.handle, reason=reason)
        with contextlib.suppress(BaseBumbleError):  # the radio is gone
            await self._device.send_async_command(command, check_status=False)  # the link may be gone already

    def _gone(self, link: BleLink) -> None:
        """The connection has ended, whoever ended it."""
        self._server.links.pop(link.connection, None)
        self._bonding.forget(link)
        link.close()
        for other in self._server.links.values():
            asyncio.get_running_loop().call_soon(other.woken)  # when Bumble has let go of its packets
        if not self._server.links:
            self._empty.set()
        self._look()

    def _advertising_changed(self) -> None:
        """Watchers want to know."""
        if not self._closed:
            self._runner.look()

    def _radio_gone(self, why: str) -> None:
        """Without its radio the door is of no use, and whoever serves must know."""
        if not self._closed:
            self._runner.fail(self._radio.gone(why))

    # The pen

    @property
    def _powered(self) -> bool:
        return not self._runner.stopped and (self._pen is None or self._pen.power.on)

    def _look(self) -> None:
        """The pen may have changed."""
        self._advertiser.want(on=not self._closed and self._powered and self._places.free)
        if not self._closed:
            self._places.look(refused=self._advertiser.blocked)
        if self._runner.pen.now_ms >= self._tell_from_ms and self._listeners():
            self._tell_from_ms = self._runner.pen.now_ms + CHANGE_MS
            asyncio.get_running_loop().call_soon(self._tell)

    def _listeners(self) -> list[BleLink]:
        both = (self._table.battery, self._table.clock)
        return [link for link in self._server.links.values() if any(link.wants(one) for one in both)]

    def _tell(self) -> None:
        """Tell those who asked for it that the battery's level has changed, or that the clock was set or lost."""
        if self._closed or not self._powered:
            return
        with contextlib.suppress(DermalinkError):
            battery, clock = self._runner.read_gatt(BATTERY_LEVEL), self._runner.read_gatt(CURRENT_TIME)
            self._tell_all(self._table.battery, battery, news=self._battery not in (None, battery))
            self._battery = battery
            ahead_s = _clock_s(clock) - self._runner.pen.now_ms // 1_000
            before_s, self._clock_ahead_s = self._clock_ahead_s, ahead_s
            self._tell_all(
                self._table.clock, clock, news=before_s is not None and abs(ahead_s - before_s) > CLOCK_SLACK_S
            )

    def _tell_all(self, characteristic: "Characteristic[bytes]", value: bytes, *, news: bool) -> None:
        if news:
            for link in self._listeners():
                link.notify(characteristic, value)


def _clock_s(value: bytes) -> int:
    """Seconds of a Current Time value (Current Time Service, 3.1), to see jumps by; 0 when the time isn't known."""
    year, (month, day, hour, minute, second) = int.from_bytes(value[:2], "little"), value[2:7]
    if not year:
        return 0
    moment = dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC)
    return int(moment.timestamp())
