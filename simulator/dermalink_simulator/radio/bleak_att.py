"""Bumble's GATT client with one transaction at a time that always comes to an end.

Stock Bumble cancels whoever waits when the link is lost, lets the next request take a late answer for its own when a
caller gave up, and passes an error of a notification's callback up into the transport.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from bumble import att, core
from bumble.device import Connection
from bumble.gatt import GATT_REQUEST_TIMEOUT

from dermalink_simulator.radio.asked import listens
from dermalink_simulator.radio.attributes import QuietClient, parse
from dermalink_simulator.radio.errors import LinkLost

VALUE_MAX: Final = 512  # Core 5.4, Vol 3, Part F, 3.2.9: the longest attribute value

OnValue = Callable[[bytearray], None]


class AttSilent(LinkLost):
    """The other device did not answer in time; the specification allows nothing more on this link."""


class AttClient(QuietClient):
    """The requests of one link, and what comes back and in."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._loop = asyncio.get_running_loop()
        self._turn = asyncio.Semaphore(1)
        self._writing = asyncio.Lock()
        self._over: LinkLost | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self.subscribers: dict[int, OnValue] = {}  # by value handle

    def end(self, why: LinkLost) -> None:
        """The link is lost: nobody waits any longer, and nobody is heard."""
        self._over = self._over or why
        self.subscribers.clear()
        if self.pending_response is not None and not self.pending_response.done():
            self.pending_response.set_exception(why)

    def on_disconnection(self, *_: object) -> None:
        """Instead of cancelling whoever waits."""
        self.end(LinkLost("The link to the device was lost"))

    async def send_request(self, request: att.ATT_PDU) -> Any:
        """One transaction; the next one waits for its end even when this caller gives up."""
        await self._turn.acquire()
        if self._over is not None:
            self._turn.release()
            raise self._over
        answer: asyncio.Future[att.ATT_PDU] = self._loop.create_future()
        answer.add_done_callback(self._transaction_over)
        self.pending_request, self.pending_response = request, answer
        self._deadline = self._loop.call_later(GATT_REQUEST_TIMEOUT, self._silent, answer)
        self.send_gatt_pdu(bytes(request))
        return await asyncio.shield(answer)

    def _silent(self, answer: asyncio.Future[att.ATT_PDU]) -> None:
        why = AttSilent("The device was given up", limit=f"it left a request unanswered for {GATT_REQUEST_TIMEOUT:g} s")
        self._over = self._over or why
        if not answer.done():
            answer.set_exception(why)

    def _transaction_over(self, answer: asyncio.Future[att.ATT_PDU]) -> None:
        _seen(answer)
        if self._deadline is not None:
            self._deadline.cancel()
        self.pending_request = self.pending_response = self._deadline = None
        self._turn.release()

    def take(self, pdu: bytes) -> None:
        """A packet of the other device's server; one that is none fails the request that is under way, if any."""
        try:
            parsed = parse(pdu)
        except Exception as wrong:  # noqa: BLE001 (Bumble's parser raises whatever a short packet makes it raise)
            if self.pending_response is not None and not self.pending_response.done():
                self.pending_response.set_exception(core.InvalidPacketError(f"{pdu.hex()} is no answer ({wrong})"))
            return
        if type(parsed) is not att.ATT_PDU:  # else it is of a kind that the specification has not
            self.on_gatt_pdu(parsed)

    def send_confirmation(self, confirmation: att.ATT_Handle_Value_Confirmation) -> None:
        """Confirm an indication, to whom takes what it is sent."""
        if listens(self.connection):
            super().send_confirmation(confirmation)

    def on_gatt_pdu(self, att_pdu: att.ATT_PDU) -> None:
        """What the other device sent; a second answer to the same request is left out."""
        if isinstance(att_pdu, att.ATT_Handle_Value_Notification):
            self._deliver(att_pdu.attribute_handle, att_pdu.attribute_value)
        elif isinstance(att_pdu, att.ATT_Handle_Value_Indication):
            self.send_confirmation(att.ATT_Handle_Value_Confirmation())
            self._deliver(att_pdu.attribute_handle, att_pdu.attribute_value)
        else:
            super().on_gatt_pdu(att_pdu)

    def _deliver(self, handle: int, value: bytes) -> None:
        on_value = self.subscribers.get(handle)
        if on_value is None:
            return
        self.cache_value(handle, value)
        try:
            on_value(bytearray(value))
        except Exception as wrong:  # noqa: BLE001 (a user's callback; the link goes on)
            self._loop.call_exception_handler({"message": "A notification's callback failed", "exception": wrong})

    async def request_mtu(self, mtu: int) -> int:
        """Agree on an ATT_MTU; a server that says less than the least that there is, has that."""
        self.mtu = max(att.ATT_DEFAULT_MTU, await super().request_mtu(mtu))
        return self.mtu

    def cached(self, handle: int) -> bytes | None:
        """The last value seen at `handle`."""
        seen = self.cached_values.get(handle)
        return None if seen is None else seen[1]

    async def read(self, handle: int) -> bytes:
        """A value, in as many parts as it needs."""
        first = await self._answer(att.ATT_Read_Request(attribute_handle=handle))
        value = bytes(first.attribute_value)
        part = value
        while len(part) == self.mtu - 1 and len(value) < VALUE_MAX:
            try:
                more = await self._answer(att.ATT_Read_Blob_Request(attribute_handle=handle, value_offset=len(value)))
            except att.ATT_Error as refused:
                if refused.error_code in (att.ATT_ATTRIBUTE_NOT_LONG_ERROR, att.ATT_INVALID_OFFSET_ERROR):
                    break
                raise
            part = bytes(more.part_attribute_value)
            value += part
        self.cache_value(handle, value)
        return value

    async def write_in_parts(self, handle: int, value: bytes) -> None:
        """A value too long for one packet; goes on to its end when the caller gives up, lest half of it stay queued."""
        writing = asyncio.ensure_future(self._write_whole(handle, value))
        writing.add_done_callback(_seen)
        await asyncio.shield(writing)

    async def _write_whole(self, handle: int, value: bytes) -> None:
        async with self._writing:  # the device has one queue of parts for each link
            await self.write_long_value(handle, value)

    async def _answer(self, request: att.ATT_PDU) -> Any:
        answer = await self.send_request(request)
        if answer.op_code == att.Opcode.ATT_ERROR_RESPONSE:
            raise att.ATT_Error(error_code=answer.error_code, att_handle=request.attribute_handle)  # type: ignore[attr-defined]
        return answer


def _seen(future: "asyncio.Future[Any]") -> None:
    """Nobody may be left to take its exception."""
    if not future.cancelled():
        future.exception()
