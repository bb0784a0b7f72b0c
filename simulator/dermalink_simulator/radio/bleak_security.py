"""A host's bonds, and a link that is encrypted: by a bond that is kept, or by one that is made now (`just_works`).

Nothing of Bumble's Security Manager takes part: only a pairing that this host has begun is gone on with.
"""

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from bumble import core, hci, utils
from bumble.device import Connection

from dermalink_simulator.radio import bond_file
from dermalink_simulator.radio.just_works import FAILED, Ends, Initiator, NotPaired

Say = Callable[[bytes], None]


class Bonds:
    """The keys that a host keeps, by the other side's address, and in a file if there is one; shown by no repr."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._keys: dict[str, bytes] = {} if file is None else bond_file.read(file)

    def of(self, address: str) -> bytes | None:
        """The key of the bond with that device."""
        return self._keys.get(address)

    def keep(self, address: str, key: bytes) -> None:
        """Bonded: in the place of an earlier one."""
        self._keys[address] = key
        if self._file is not None:
            bond_file.change(self._file, address, key)

    def forget(self, address: str) -> None:
        """No bond with it any more; nothing where there is none."""
        self._keys.pop(address, None)
        if self._file is not None:
            bond_file.change(self._file, address, None)


class Pairing:
    """A pairing that this host has begun on one link, from its request to its key."""

    def __init__(self, connection: Connection, say: Say) -> None:
        self._initiator = Initiator(ends_of(connection))
        self._say = say
        self._key: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def run(self) -> bytes:
        """The key, once both have proved it; raises `NotPaired`. The caller bounds it, and ends it with the link."""
        self._say(self._initiator.begin())
        return await self._key

    def take(self, pdu: bytes) -> None:
        """A packet of the other side's."""
        if self._key.done():
            return
        try:
            answer = self._initiator.take(pdu)
        except NotPaired as wrong:
            self._key.set_exception(wrong)
            if wrong.tells:
                self._say(bytes([FAILED, wrong.reason]))
            return
        if answer:
            self._say(answer)
        if self._initiator.key is not None:
            self._key.set_result(self._initiator.key)


def ends_of(connection: Connection) -> Ends:
    """Both addresses of a link that this side has made, as they are on the air."""
    central = connection.self_resolvable_address or connection.self_address
    peripheral = connection.peer_resolvable_address or connection.peer_address
    return Ends(_in_key(central), _in_key(peripheral))


def _in_key(address: hci.Address) -> bytes:
    return bytes(address) + bytes([address.is_random])


async def encrypt(connection: Connection, key: bytes) -> None:
    """Have the controller encrypt with a key of LE Secure Connections; raises an `HCI_Error`. The caller bounds it."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def succeeded() -> None:
        if not done.done():
            done.set_result(None)

    def failed(code: int) -> None:
        if not done.done():
            done.set_exception(hci.HCI_Error(code))  # type: ignore[no-untyped-call]

    with closing(utils.EventWatcher()) as watcher:
        watcher.on(connection, Connection.EVENT_CONNECTION_ENCRYPTION_CHANGE, succeeded)
        watcher.on(connection, Connection.EVENT_CONNECTION_ENCRYPTION_FAILURE, failed)
        await connection.device.host.send_async_command(
            hci.HCI_LE_Enable_Encryption_Command(
                connection_handle=connection.handle,
                random_number=bytes(8),
                encrypted_diversifier=0,
                long_term_key=key,
            )
        )
        await done


def said_of(wrong: BaseException) -> str:
    """Why a link was not encrypted, in words."""
    if isinstance(wrong, core.BaseError) and wrong.error_name:
        return str(wrong.error_name).removesuffix("_ERROR").replace("_", " ").lower()
    return str(wrong) or type(wrong).__name__
