"""What stock Bumble 0.0.236 gets wrong, set right: the way to a controller and a device for all rooms of the radio.

| stock Bumble | here | where |
|---|---|---|
| announces extended advertising, so legacy reports and scan responses are lost | not announced | `controller` |
| repeats the advertisement as scan response, also to passive scanners | the scan response, to active scanners | same |
| advertises every interval/1000 s, in step | 0.625 ms units, up to 10 ms late, asleep while unheard | `advertiser` |
| reports duplicates whatever the host asked for | each once where filtering was asked for | `controller` |
| cuts data into 27 octets | 251 octets, 8 packets under way | same |
| never ends a connection attempt that is cancelled | LE Connection Complete, unknown connection | same |
| connects to whoever advertised a moment ago, half a link | both sides at once or not at all | same |
| says interval 10, time-out 10 to the peripheral | what holds, to both; changes are said | same |
| takes any connection parameters and advertising intervals | within the specification | same |
| raises when a link ends twice | once | same |
| keeps links after a reset, and those of a controller that is gone | `forget` and `leave` end them | same |
| tells the host that ended a link the reason it gave | "terminated by local host" (0x16) | same |
| gives a handle anew at once | in turn | same |
| leaves an unknown command without an answer, and announces some | "unknown command"; announces what it has | same |
| keeps controllers in a set, draws random numbers from the system | in order; from the seed | `air`, `controller` |
| begins and answers to encrypt as often as it is asked, and raises when it did already | one at a time | `procedures` |
| tells of a link that is encrypted anew as of a first time, and lets it go on with no key | refresh; ends it | same |
| takes channel sounding and isochronous channels from whoever offers them | does not | same |
| has no air | connection events, losses, supervision | `link`, `air` |
| writes every packet out for the log, and parses all data | only for a log that is read; data as bytes | `host` |
| raises over a request to encrypt that needs no answer any more | does not; answers one at a time | `host` |
| complains of a packet that is longer than it says | drops it | `host` |
| raises when the transport is lost while a command has its answer | does not | `host` |
| gives the answer to a cancelled command to the next one, or raises | drops it | `host` |
| raises when the radio goes while a link is being ended | does not | here |
| opens channels and answers without end for whoever asks | refuses, once at a time | `besides_att` |
| pairs with whoever asks and how he likes, and raises over it | `just_works`, `just_works_peripheral` | those |
| raises over attributes that come out of turn | drops them | `asked` |

The attribute protocol's server and client are set right where they are used, by whoever serves or asks. What Bumble
draws from `secrets` (pairing, resolvable addresses) cannot be seeded; an unpaired link uses none of it.
"""

import asyncio
import hashlib
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bumble import hci, utils
from bumble.device import Device, DeviceConfiguration
from bumble.transport.common import TransportSink, TransportSource

from dermalink_simulator.radio.controller import CorrectedController
from dermalink_simulator.radio.controller import terminate_all as terminate_all  # noqa: PLC0414 (handed on)
from dermalink_simulator.radio.errors import LinkLost, RadioGone
from dermalink_simulator.radio.host import CorrectedHost

if TYPE_CHECKING:
    from dermalink_simulator.radio.air import Air

T = TypeVar("T")

POWER_ON_S: Final = 10.0  # a dongle's firmware is loaded within this; a controller in software takes milliseconds


def static_address(text: str) -> hci.Address:
    """A random static address that belongs to `text`: the same for the same, another for another."""
    drawn = bytearray(hashlib.blake2s(b"dermalink/address/" + text.encode(), digest_size=6).digest())
    drawn[5] |= 0xC0  # Core specification 5.4, Vol 6, Part B, 1.3.2.1: both upper bits are ones
    return hci.Address(bytes(drawn), hci.AddressType.RANDOM_DEVICE)


def make_controller(name: str, air: "Air", seed: int = 0) -> CorrectedController:
    """A controller in `air`, with a public address that belongs to its name; `leave` it when it is done with."""
    public = bytes(static_address(f"public/{air.seed}/{name}"))
    return CorrectedController(name, air, hci.Address(public, hci.AddressType.PUBLIC_DEVICE), seed)


class CorrectedDevice(Device):
    """A device whose links end once."""

    async def disconnect(self, connection: Any, reason: int) -> None:
        """End a link; cancelled, as with stock Bumble, when the radio goes meanwhile."""
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def over(_: int) -> None:
            if not ended.done():  # else the same loss of the radio has cancelled it
                ended.set_result(None)

        def failed(wrong: Exception) -> None:
            if not ended.done():
                ended.set_exception(wrong)

        connection.on(connection.EVENT_DISCONNECTION, over)
        connection.on(connection.EVENT_DISCONNECTION_FAILURE, failed)
        self.disconnecting = True
        try:
            command = hci.HCI_Disconnect_Command(connection_handle=connection.handle, reason=reason)
            await self.send_async_command(command)
            await utils.cancel_on_event(self, Device.EVENT_FLUSH, ended)
        finally:
            connection.remove_listener(connection.EVENT_DISCONNECTION, over)
            connection.remove_listener(connection.EVENT_DISCONNECTION_FAILURE, failed)
            self.disconnecting = False


def make_device(
    name: str,
    address: hci.Address,
    source: TransportSource,
    sink: TransportSink,
    *,
    config: DeviceConfiguration | None = None,
) -> Device:
    """A Bumble device on a controller, whatever that is; not switched on. Its name and address overrule `config`'s."""
    config = config or DeviceConfiguration()
    config.name, config.address = name, address
    host = CorrectedHost(source, sink)
    device = CorrectedDevice(config=config, host=host)
    host.fixed_channels = device.l2cap_channel_manager.fixed_channels  # type: ignore[assignment]
    return device


async def switch_on(device: Device) -> None:
    """Bring a device up, bounded; raises `RadioGone`."""
    try:
        async with asyncio.timeout(POWER_ON_S):
            await not_cancelled(device.power_on())
    except (TimeoutError, hci.HCI_Error, ConnectionError) as wrong:
        raise RadioGone(
            "The radio did not come up",
            limit=str(wrong) or f"its controller did not answer within {POWER_ON_S:g} s",
            advice="Is it plugged in, and does no other program use it?",
        ) from wrong


async def not_cancelled(work: Awaitable[T]) -> T:
    """What `work` gives; where Bumble cancels it because a link was lost, `LinkLost` and no cancellation.

    A cancellation of the calling task stays one.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise
    if task.cancelled():
        raise LinkLost("The link to the device was lost")
    wrong = task.exception()
    if isinstance(wrong, asyncio.CancelledError):  # Bumble sets it as a future's exception
        raise LinkLost("The link to the device was lost") from wrong
    return task.result()
