"""The other end of the control channel, for commands and scripts: blocking, standard library only."""

import json
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self

from dermalink_protocol.errors import DermalinkError

ANSWER_WITHIN_S: Final = 10.0  # a suspended simulator is slow; a living one answers in under 1 ms


class NobodyThereError(DermalinkError):
    """No simulator's control channel is at that address, or it went away."""


class RefusedByControlError(DermalinkError):
    """The simulator said no; `kind` is the name of its error."""

    def __init__(self, error: dict[str, str]) -> None:
        self.kind = error.get("kind", "")
        super().__init__(
            error.get("refused", "The request was refused"),
            rule=error.get("rule", ""),
            limit=error.get("limit", ""),
            advice=error.get("advice", ""),
        )


class ControlClient:
    """One connection; `do` asks and waits for the answer, `events` waits for what happens."""

    def __init__(self, host: str, port: int, *, within_s: float = ANSWER_WITHIN_S) -> None:
        """Connect; raises `NobodyThereError`."""
        try:
            self._socket = socket.create_connection((host, port), within_s)
        except OSError as error:
            raise NobodyThereError(
                f"No simulator answers at {host}:{port}",
                limit=error.strerror or str(error),
                advice="Start one with `dermalink-sim serve --control HOST:PORT`",
            ) from error
        self._received = b""
        self._last = 0
        self._events: list[dict[str, Any]] = []

    def do(self, word: str, **arguments: Any) -> dict[str, Any]:
        """One word of the vocabulary; what is None is left to its default. Raises `RefusedByControlError`."""
        self._last += 1
        given = {name: value for name, value in arguments.items() if value is not None}
        request = {"id": self._last, "do": word, "with": given}
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise _gone() from error
        while True:
            try:
                record = self._next()
            except TimeoutError as error:
                raise NobodyThereError(
                    "The simulator does not answer", advice="It may be suspended, or be no simulator"
                ) from error
            if "event" in record:
                self._events.append(record)
            elif "error" in record:
                raise RefusedByControlError(record["error"])
            elif record.get("id") == self._last:
                result: dict[str, Any] = record["result"]
                return result

    def events(self, within_s: float | None = None) -> Iterator[dict[str, Any]]:
        """What happens, once `watch` was asked for; ends when nothing came for `within_s`."""
        self._socket.settimeout(within_s)
        while True:
            while self._events:
                yield self._events.pop(0)
            try:
                yield self._next()
            except TimeoutError:
                return

    def close(self) -> None:
        """Let go."""
        self._socket.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go."""
        self.close()

    def _next(self) -> dict[str, Any]:
        """The next record; `TimeoutError` when none comes in time."""
        while b"\n" not in self._received:
            try:
                data = self._socket.recv(65_536)
            except TimeoutError:
                raise
            except OSError as error:
                raise _gone() from error
            if not data:
                raise _gone()
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        record: dict[str, Any] = json.loads(line)
        return record


def _gone() -> NobodyThereError:
    return NobodyThereError("The simulator went away", advice="See what it said where it was started")
