"""Controllers with bare hosts, and whole devices, on an air; and the same on stock Bumble, to see it go wrong."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from bumble import hci
from bumble.controller import Controller
from bumble.device import Device, DeviceConfiguration
from bumble.link import LocalLink
from bumble.transport.common import TransportSink, TransportSource

from dermalink_simulator.hardware.air import PERFECT, AirConditions
from dermalink_simulator.radio.air import Air
from dermalink_simulator.radio.controller import CorrectedController
from dermalink_simulator.radio.corrections import make_controller, make_device, static_address, switch_on

Meta = hci.HCI_LE_Meta_Event


class Heard(NamedTuple):
    """A packet of the controller, and when it came."""

    at: float
    packet: hci.HCI_Packet


@dataclass
class BareHost:
    """A host that sends commands and data, and writes down what comes."""

    controller: Controller
    heard: list[Heard] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.controller.set_packet_sink(self)

    def on_packet(self, packet: bytes) -> None:
        self.heard.append(Heard(asyncio.get_running_loop().time(), hci.HCI_Packet.from_bytes(packet)))

    def command(self, command: hci.HCI_Command) -> None:
        self.controller.on_packet(bytes(command))

    def data(self, handle: int, data: bytes, *, first: bool = True) -> None:
        packet = hci.HCI_AclDataPacket(handle, 0 if first else 1, 0, len(data), data)
        self.controller.on_packet(bytes(packet))

    def of(self, kind: type[Any]) -> list[Any]:
        return [one.packet for one in self.heard if isinstance(one.packet, kind)]

    def times(self, kind: type[Any]) -> list[float]:
        return [one.at for one in self.heard if isinstance(one.packet, kind)]

    @property
    def received(self) -> list[bytes]:
        return [one.data for one in self.of(hci.HCI_AclDataPacket)]

    @property
    def ended(self) -> list[int]:
        return [one.reason for one in self.of(hci.HCI_Disconnection_Complete_Event)]

    @property
    def connected(self) -> list[hci.HCI_LE_Connection_Complete_Event]:
        return self.of(hci.HCI_LE_Connection_Complete_Event)

    @property
    def statuses(self) -> list[int]:
        return [one.status for one in self.of(hci.HCI_Command_Status_Event)]

    @property
    def reports(self) -> list[hci.HCI_LE_Advertising_Report_Event.Report]:
        return [report for one in self.of(hci.HCI_LE_Advertising_Report_Event) for report in one.reports]


PEN_ADDRESS = static_address("pen")
HOST_ADDRESS = static_address("host")


def bare(name: str, air: Air, address: hci.Address) -> BareHost:
    host = BareHost(make_controller(name, air))
    host.command(hci.HCI_LE_Set_Random_Address_Command(random_address=address))
    return host


def advertise(
    host: BareHost, *, interval: int = 160, data: bytes = b"", answer: bytes = b"", kind: int = 0, on: bool = True
) -> None:
    """Have a bare host advertise; `interval` in 0.625 ms."""
    host.command(hci.HCI_LE_Set_Advertising_Data_Command(advertising_data=data))
    host.command(hci.HCI_LE_Set_Scan_Response_Data_Command(scan_response_data=answer))
    host.command(
        hci.HCI_LE_Set_Advertising_Parameters_Command(
            advertising_interval_min=interval,
            advertising_interval_max=interval,
            advertising_type=kind,
            own_address_type=1,
            peer_address_type=0,
            peer_address=hci.Address.ANY,
            advertising_channel_map=7,
            advertising_filter_policy=0,
        )
    )
    host.command(hci.HCI_LE_Set_Advertising_Enable_Command(advertising_enable=int(on)))


def scan(host: BareHost, *, active: bool = True, once: bool = False) -> None:
    host.command(
        hci.HCI_LE_Set_Scan_Parameters_Command(
            le_scan_type=int(active), le_scan_interval=16, le_scan_window=16, own_address_type=1,
            scanning_filter_policy=0,
        )
    )  # fmt: skip
    host.command(hci.HCI_LE_Set_Scan_Enable_Command(le_scan_enable=1, filter_duplicates=int(once)))


def initiate(
    host: BareHost, peer: hci.Address, *, interval: int = 24, latency: int = 0, supervision: int = 100
) -> None:
    """Have a bare host connect; `interval` in 1.25 ms, `supervision` in 10 ms."""
    host.command(
        hci.HCI_LE_Create_Connection_Command(
            le_scan_interval=16,
            le_scan_window=16,
            initiator_filter_policy=0,
            peer_address_type=peer.address_type,
            peer_address=peer,
            own_address_type=1,
            connection_interval_min=interval,
            connection_interval_max=interval,
            max_latency=latency,
            supervision_timeout=supervision,
            min_ce_length=0,
            max_ce_length=0,
        )
    )


class Pair(NamedTuple):
    """Two bare hosts with a link between them."""

    air: Air
    host: BareHost
    pen: BareHost
    to_pen: int
    to_host: int
    connected_at: float


async def linked(
    conditions: AirConditions = PERFECT, seed: int = 0, *, interval: int = 24, latency: int = 0, supervision: int = 100
) -> Pair:
    """A link that has just been made; the conditions hold from then on."""
    air = Air(PERFECT, seed)
    host, pen = bare("host", air, HOST_ADDRESS), bare("pen", air, PEN_ADDRESS)
    advertise(pen)
    initiate(host, PEN_ADDRESS, interval=interval, latency=latency, supervision=supervision)
    await asyncio.sleep(1)
    (ours,), (theirs,) = host.connected, pen.connected
    air.conditions.become(conditions)
    now = asyncio.get_running_loop().time()
    return Pair(air, host, pen, ours.connection_handle, theirs.connection_handle, now)


@asynccontextmanager
async def devices(*, stock: bool = False, conditions: AirConditions = PERFECT) -> AsyncIterator[tuple[Device, Device]]:
    """A pen's and a host's device, switched on, of ours or of stock Bumble."""
    link = LocalLink() if stock else Air(conditions)  # type: ignore[no-untyped-call]
    made: list[Device] = []
    for name, address in (("pen", PEN_ADDRESS), ("host", HOST_ADDRESS)):
        if isinstance(link, Air):
            controller: Controller = make_controller(name, link)
            source, sink = cast("TransportSource", controller), cast("TransportSink", controller)
            made.append(make_device(name, address, source, sink))
        else:
            controller = Controller(name, link=link)
            config = DeviceConfiguration(name=name, address=address)
            made.append(Device.from_config_with_hci(config, controller, controller))
        await switch_on(made[-1])
    try:
        yield made[0], made[1]
    finally:
        if isinstance(link, Air):
            link.close()
        else:
            for one in link.controllers:
                one.le_legacy_advertiser.stop()
                for advertising in one.advertising_sets.values():
                    advertising.stop()


def corrected(device: Device) -> CorrectedController:
    controller = device.host.controller
    assert isinstance(controller, CorrectedController)
    return controller
