"""A D-Bus system bus of our own, with a BlueZ on it or none: what a client of both is tried against."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # bleak brings it on Linux alone
    from dbus_fast import Message

ADDRESS = "DBUS_SYSTEM_BUS_ADDRESS"
FIXED_BYTES = 16
NOBODY = "org.freedesktop.DBus.Error.ServiceUnknown"


class LittleBus:
    """Answers one call at a time: `Hello` itself, the others as it is told."""

    def __init__(
        self, answer: "Callable[[Message], Message | None]", *, refuse: bool = False, deaf: bool = False
    ) -> None:
        self._answer = answer
        self._refuse, self._deaf = refuse, deaf
        self._serial = 0
        self._writers: list[asyncio.StreamWriter] = []
        self.calls: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            if self._deaf:
                await reader.read()
            elif await self._let_in(reader, writer):
                while True:
                    self._reply(writer, await self._message(reader))
        writer.close()

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        while True:
            line = await reader.readuntil(b"\r\n")
            if b"BEGIN" in line:
                return True
            writer.write(b"REJECTED EXTERNAL\r\n" if self._refuse else b"OK 0123456789abcdef0123456789abcdef\r\n")

    async def _message(self, reader: asyncio.StreamReader) -> "Message":
        from dbus_fast._private.unmarshaller import Unmarshaller

        head = await reader.readexactly(FIXED_BYTES)
        body, fields = int.from_bytes(head[4:8], "little"), int.from_bytes(head[12:16], "little")
        rest = await reader.readexactly(-(-fields // 8) * 8 + body)
        stream: Any = BytesIO(head + rest)
        message = Unmarshaller(stream).unmarshall()
        assert message is not None
        return message

    def _reply(self, writer: asyncio.StreamWriter, call: "Message") -> None:
        from dbus_fast import Message

        self.calls.append(str(call.member))
        hello = call.member == "Hello"
        reply = Message.new_method_return(call, "s", [":1.1"]) if hello else self._answer(call)
        if reply is not None:
            self._serial += 1
            reply.serial = self._serial
            writer.write(reply._marshall(False))


@contextlib.asynccontextmanager
async def little_bus(path: Path, monkeypatch: pytest.MonkeyPatch, bus: LittleBus) -> AsyncIterator[LittleBus]:
    """`bus` as this process's system bus, until the end of the block."""
    server = await asyncio.start_unix_server(bus.serve, path)
    monkeypatch.setenv(ADDRESS, f"unix:path={path}")
    try:
        yield bus
    finally:
        server.close()
        await bus.close()
        await server.wait_closed()


def objects(**adapters: dict[str, Any]) -> "Callable[[Message], Message]":
    """BlueZ's answer to what it has: adapters by name, each with its properties."""
    from dbus_fast import Message, Variant

    tree: dict[str, Any] = {"/org/bluez": {"org.bluez.AgentManager1": {}}}
    for name, properties in adapters.items():
        said = {key: Variant(_signature(value), value) for key, value in properties.items()}
        tree[f"/org/bluez/{name}"] = {"org.bluez.Adapter1": said}
    return lambda call: Message.new_method_return(call, "a{oa{sa{sv}}}", [tree])


def error(name: str, said: str) -> "Callable[[Message], Message]":
    """The bus's own refusal."""
    from dbus_fast import Message

    return lambda call: Message.new_error(call, name, said)


def _signature(value: object) -> str:
    return {bool: "b", str: "s", list: "as"}[type(value)]
