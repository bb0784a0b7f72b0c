"""The tester's own channel into a simulated pen: JSON lines over TCP, from this machine only, absent in a product.

It has no password: whoever may run programs as a user of this machine may press the simulated button. So it never
listens beyond loopback, and a pen whose profile is a product's has none at all (SR-SEC-4).
"""

import asyncio
import json
from typing import Any, Final

from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.control.actions import ACTIONS
from dermalink_simulator.control.events import Watcher
from dermalink_simulator.control.truth import hosts_of
from dermalink_simulator.control.words import LINE_BYTES_MAX, ControlError, check
from dermalink_simulator.doors.address import Address, listen
from dermalink_simulator.doors.errors import DoorError
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.runner import PenRunner

CLIENTS_MAX: Final = 8
# What a watcher that doesn't read may leave lying; then it is hung up, since a gap in events would mislead a test.
UNREAD_BYTES_MAX: Final = 1_048_576


class NoControlError(DoorError):
    """A product's profile has no control channel."""


class ControlDoor:
    """The listening end; every client may do everything."""

    def __init__(self, runner: PenRunner, pen: SimulatedPen) -> None:
        """Made by `open`."""
        self._runner, self._pen = runner, pen
        self._server: asyncio.Server | None = None
        self._clients: set[_Client] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self.address = Address("", 0)

    @classmethod
    async def open(cls, runner: PenRunner, pen: SimulatedPen, address: Address) -> "ControlDoor":
        """Listen on loopback; raises `NoControlError` for a product, and `DoorError` for what is in the way."""
        if not pen.profile.control_channel:
            raise NoControlError(
                "A control channel was refused",
                rule="SR-SEC-4",
                limit=f"profile {pen.profile.name!r} is a product's, which has none",
                advice="Use another --profile",
            )
        door = cls(runner, pen)
        door._server, door.address = await listen(lambda: _Client(door), address)
        runner.after.append(door.look)
        return door

    async def close(self) -> None:
        """Hang up and stop listening; may be called twice."""
        if self._server is None:
            return
        server, self._server = self._server, None
        self._runner.after.remove(self.look)
        server.close()
        for client in list(self._clients):
            client.hang_up()
        await server.wait_closed()
        await self._empty.wait()

    def look(self) -> None:
        """Tell the watchers what has changed in the pen."""
        for client in list(self._clients):
            client.look()

    def let_in(self, client: "_Client") -> bool:
        """Whether there is room for one more."""
        self._clients.add(client)
        self._empty.clear()
        return len(self._clients) <= CLIENTS_MAX

    def let_out(self, client: "_Client") -> None:
        """The client is gone."""
        self._clients.discard(client)
        if not self._clients:
            self._empty.set()

    def watch(self) -> Watcher:
        """A watcher from now on."""
        return Watcher(self._runner, self._pen)

    def do(self, name: object, given: object) -> dict[str, Any]:
        """Do one thing to the pen at the present moment; raises `DermalinkError`."""
        word, arguments = check(name, given)
        action = ACTIONS[word.name]
        answer = self._runner.act(lambda: action(self._pen, arguments)) or {}
        return answer | hosts_of(self._runner) if word.name == "truth" else answer


class _Client(asyncio.Protocol):
    """One tester's connection."""

    def __init__(self, door: ControlDoor) -> None:
        self._door = door
        self._transport: asyncio.Transport | None = None
        self._line = bytearray()
        self._watcher: Watcher | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A tester is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not self._door.let_in(self):
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Do what each whole line asks for."""
        self._line += data
        while (end := self._line.find(b"\n")) >= 0:
            line = bytes(self._line[:end])
            del self._line[: end + 1]
            if line.strip():
                self._say(self._answer(line))
        if len(self._line) > LINE_BYTES_MAX:
            self._say(_error(None, ControlError("A line was refused", limit=f"{LINE_BYTES_MAX} bytes at most")))
            if self._transport is not None:
                self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The tester is gone."""
        del exc
        self._door.let_out(self)

    def look(self) -> None:
        """Say what has changed, if that was asked for."""
        if self._watcher is not None:
            for event in self._watcher.changes():
                self._say(event)

    def hang_up(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _answer(self, line: bytes) -> dict[str, Any]:
        number = None
        try:
            request = _parse(line)
            number = request.get("id")
            if request["do"] == "watch":
                check("watch", request.get("with"))
                self._watcher = self._watcher or self._door.watch()
                return {"id": number, "result": {}}
            return {"id": number, "result": self._door.do(request["do"], request.get("with"))}
        except DermalinkError as error:
            return _error(number, error)

    def _say(self, record: dict[str, Any]) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            transport.abort()
            return
        transport.write(json.dumps(record).encode() + b"\n")


def _parse(line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ControlError("A line was refused", limit="it is not JSON") from error
    if not isinstance(request, dict) or "do" not in request or request.keys() - {"id", "do", "with"}:
        raise ControlError("A line was refused", limit='it is no object with "do", and if need be "with" and "id"')
    return request


def _error(number: object, error: DermalinkError) -> dict[str, Any]:
    return {
        "id": number,
        "error": {
            "kind": type(error).__name__,
            "message": str(error),
            "refused": error.refused,
            "rule": error.rule,
            "limit": error.limit,
            "advice": error.advice,
        },
    }
