"""One physical link of the adapter, from connection to its one end."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from bumble.device import Connection
from bumble.hci import HCI_ErrorCode

from dermalink_simulator.radio.bleak_att import AttClient
from dermalink_simulator.radio.bleak_security import Pairing, Say, encrypt
from dermalink_simulator.radio.errors import LinkLost

T = TypeVar("T")


class RadioLink:
    """A Bumble connection with our own GATT client and pairing; `over` says why it ended.

    `securing` is held by whoever encrypts it; `refused` says that it came to nothing here, so that nobody tries again.
    """

    def __init__(self, connection: Connection, on_over: Callable[[LinkLost], None], say: Say) -> None:
        self.connection = connection
        self.att = connection.gatt_client = AttClient(connection)
        self.over: LinkLost | None = None
        self.securing = asyncio.Lock()
        self.refused = False
        self.pairing: Pairing | None = None
        self._say = say
        self._ended = asyncio.Event()
        self._on_over = on_over
        connection.on(Connection.EVENT_DISCONNECTION, self._on_disconnection)

    def _on_disconnection(self, reason: int) -> None:
        name = HCI_ErrorCode(reason).name.removesuffix("_ERROR").replace("_", " ").lower()
        self.end(LinkLost("The link to the device was lost", limit=name))

    def end(self, why: LinkLost) -> None:
        """It is over; whoever waits is told, once."""
        if self.over is None:
            self.over = why
            self.att.end(why)
            self._ended.set()
            self._on_over(why)

    @property
    def encrypted(self) -> bool:
        """Whether it is encrypted, by whichever key."""
        return bool(self.connection.is_encrypted)

    async def bond(self) -> bytes:
        """Pair, and encrypt with the key that comes of it; raises `NotPaired`, an `HCI_Error` or `LinkLost`."""
        self.pairing = Pairing(self.connection, self._say)
        try:
            key = await self.until_over(self.pairing.run())
        finally:
            self.pairing = None
        await self.encrypt(key)
        return key

    async def encrypt(self, key: bytes) -> None:
        """Encrypt with the key of a bond; raises an `HCI_Error` or `LinkLost`."""
        await self.until_over(encrypt(self.connection, key))

    async def until_over(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` gives, or `LinkLost` as soon as the link is over, whatever `work` does then."""
        task = asyncio.ensure_future(work)
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait([task, ended], return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            if not task.done():
                task.cancel()
            await asyncio.wait([task, ended])
        if self.over is not None and (task.cancelled() or task.exception() is not None):
            raise self.over
        if task.cancelled():
            raise LinkLost("The device did not go through with it")
        return task.result()
