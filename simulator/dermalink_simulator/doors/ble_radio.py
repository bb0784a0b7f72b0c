"""Where the pen's device sits: on an air of ours that hosts come to, or on a controller that is there already."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Final, cast

from bumble.device import Device, DeviceConfiguration

from dermalink_simulator.doors.address import listen, parse_address
from dermalink_simulator.hardware.air import AIR_PROFILES
from dermalink_simulator.radio.air import Air
from dermalink_simulator.radio.corrections import make_controller, make_device, static_address, switch_on
from dermalink_simulator.radio.errors import BadRadioSpec, RadioGone
from dermalink_simulator.radio.spaces import published_air
from dermalink_simulator.radio.specs import AIR, FOR_PENS, TO_CONTROLLERS, check_spec
from dermalink_simulator.radio.transports import Listen, open_controller, serve_controllers

if TYPE_CHECKING:
    from bumble.transport.common import TransportSink, TransportSource

    from dermalink_simulator.pen import SimulatedPen

AIR_DEFAULT: Final = "room"
COMMAND_S: Final = 5.0  # a controller answers in milliseconds


class Radio:
    """A device with its controller; `reach` is what a host puts behind `?radio=`, empty if it uses an adapter."""

    def __init__(self, spec: str, device: Device, reach: str, ends: "asyncio.Future[None] | None") -> None:
        """Made by `open_radio`; `ends` ends when the way to the controller, or to the hosts, does."""
        self.spec, self.device, self.reach = spec, device, reach
        self._ends = ends

    def when_gone(self, tell: Callable[[str], None]) -> None:
        """Have `tell` called if the controller goes away."""
        if self._ends is not None:
            self._ends.add_done_callback(lambda _: tell("its transport ended"))
        self.device.on(Device.EVENT_FLUSH, lambda: tell("its transport was lost"))

    def gone(self, why: str) -> RadioGone:
        """The error for whoever serves."""
        return RadioGone(f"The radio {self.spec} is gone", limit=why, advice="Is it still plugged in? Serve again")


@contextlib.asynccontextmanager
async def open_radio(
    spec: str, pen: "SimulatedPen | None", *, serial_number: str, seed: int, air: str | None, beyond_this_machine: bool
) -> AsyncIterator[Radio]:
    """The radio that `spec` names, switched on; raises a `RadioError` or a `DoorError` that says what is in the way."""
    check_spec(spec, FOR_PENS)
    kind, _, where = spec.partition(":")
    async with contextlib.AsyncExitStack() as stack:
        if kind in TO_CONTROLLERS:
            _refuse_air(spec, air)
            pair = await stack.enter_async_context(open_controller(spec))
            device = _device(serial_number, pair.source, pair.sink)
            radio = Radio(spec, device, "", getattr(pair.source, "terminated", None))
        else:
            room = Air(AIR_PROFILES[_profile(air)], seed)
            stack.callback(room.close)
            if pen is not None:
                pen.attach_air(room.conditions)
                stack.callback(pen.attach_air, None)
            controller = make_controller("pen", room, seed)
            stack.callback(controller.leave)
            # It is both ends of the way to itself, which Bumble's types leave out.
            device = _device(serial_number, cast("TransportSource", controller), cast("TransportSink", controller))
            ends: asyncio.Future[None] | None = None
            if kind == AIR:
                stack.enter_context(published_air(where, room))
                reach = spec
            else:
                served = await stack.enter_async_context(
                    serve_controllers(spec, room, listen=_listening(beyond_this_machine))
                )
                reach, ends = served.reach, served.lost
            radio = Radio(spec, device, reach, ends)
        device.command_timeout = COMMAND_S
        await switch_on(device)
        yield radio


def _refuse_air(spec: str, air: str | None) -> None:
    if air is not None:
        raise BadRadioSpec(
            f"The air {air!r} was refused",
            limit=f"{spec} leads to a radio that has an air of its own",
            advice="Leave --air away, or let hosts come to this process: --ble tcp-server:127.0.0.1:0",
        )


def _profile(air: str | None) -> str:
    name = AIR_DEFAULT if air is None else air
    if name not in AIR_PROFILES:
        raise BadRadioSpec(f"The air {name!r} was refused", limit=f"there are {', '.join(AIR_PROFILES)}")
    return name


def _listening(beyond_this_machine: bool) -> Listen:
    async def on(factory: Callable[[], asyncio.BaseProtocol], address: str) -> tuple[asyncio.Server, str]:
        server, real = await listen(factory, parse_address(address), beyond_this_machine=beyond_this_machine)
        return server, str(real)

    return on


def _device(serial_number: str, source: "TransportSource", sink: "TransportSink") -> Device:
    """A device without services; its address belongs to the serial number, and so stays the same."""
    config = DeviceConfiguration(gap_service_enabled=False, gatt_service_enabled=False, classic_enabled=False)
    return make_device("", static_address(f"pen/{serial_number}"), source, sink, config=config)
