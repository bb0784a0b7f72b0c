"""What goes out over BLE: one request at a time, each answered before the next, and Stop past all of them.

A write without response is not held up by a request that waits for its answer, on the air or in any system's stack. So
Stop goes out as such at once. Where its own answer is not heard, a copy follows that is answered: the first may be
thrown away by a full queue, the second only by the loss of the link. A copy that is refused goes again until the answer
comes, or the link is given up. A pen takes Stop as often as it comes.
"""

import asyncio
import copy
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from dermalink.errors import LinkError
from dermalink.links.ble_calls import CallCancelled, leave
from dermalink.links.ble_platform import is_busy, is_refusal
from dermalink_protocol.channels import CHANNEL_RULES, Channel, Gatt
from dermalink_protocol.envelope import decode_envelope, peek_opcode, peek_request_id
from dermalink_protocol.errors import ProtocolError
from dermalink_protocol.schema import Message, Request
from dermalink_protocol.segmentation import ATT_HEADER_BYTES, Segmenter

# ATT gives an answer 30 s (Core, Vol 3, Part F, 3.3.3). No lease lasts longer than 1 s, and no system that a pen meets
# keeps a silent link longer than 6 s (Apple's accessory guidelines bound the supervision time-out so): it is dead.
WRITE_WITHIN_S: Final = 6.0
GATHERED_MAX: Final = 4  # a renewal waits behind them: 240 ms at 30 ms an interval, half of a default lease
RETRY_AFTER_S: Final = 0.05  # a procedure takes a few connection intervals, 7.5 to 100 ms each
RETRY_FOR_S: Final = 1.0  # of what nobody waits for in `send`: as long as a reply is waited for
# A Stop is answered in three connection intervals of 30 ms when another answer is under way. Each copy costs the pen an
# indication that has to be confirmed, and so two intervals before what is asked next: it is sent when it is needed. On
# a link that answered the last write later than that allows for, Stop's own answer is due after two such times; not
# after more than a default lease, whatever stood still.
COPY_AFTER_S: Final = 0.15
COPY_AFTER_ANSWERS: Final = 2
COPY_AFTER_MAX_S: Final = 0.5
REFUSED_FOR_S: Final = 1.0  # a pen that refuses Stop for so long has no lease left once the link is given up
OUT_WITHIN_S: Final = 0.25  # what was handed over gets out before a close: two round trips at 100 ms


class Writes(Protocol):
    """What the writer needs of a client."""

    def value_bytes(self, channel: Channel) -> int:
        """Bytes that a value may have."""

    async def write(self, channel: Channel, value: bytes, *, response: bool) -> None:
        """Write a value; may never return, and may raise anything."""

    async def read(self, channel: Channel) -> bytes:
        """Read a value; may never return, and may raise anything."""


class Turn:
    """A message on its way; `done` is cancelled by whoever gives it up, which counts until its turn has come."""

    __slots__ = ("body", "channel", "done", "handed", "noted", "until")

    def __init__(self, channel: Channel, body: bytes, *, until: float | None) -> None:
        self.channel: Final = channel
        self.body: Final = body
        self.done: Final[asyncio.Future[None]] = asyncio.get_running_loop().create_future()
        self.handed: Final = until is not None  # its sender has gone on: it gets out though the link is closed
        self.until: Final = until
        self.noted = False
        if self.handed:
            self.done.add_done_callback(lambda done: done.cancelled() or done.exception())

    def settle(self, error: Exception | None = None) -> None:
        """Tell who waits."""
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class Urgent:
    """A message that went past everything; `refused_until_s` is from its first refusal on how long it is tried."""

    __slots__ = ("channel", "kind", "refused_until_s", "request_id", "value")

    def __init__(self, channel: Channel, body: bytes, value: bytes) -> None:
        self.channel: Final = channel
        self.value: Final = value
        self.kind: Final = peek_opcode(body)
        self.request_id: Final = peek_request_id(body)
        self.refused_until_s: float | None = None

    def is_answered_by(self, channel: Channel, body: bytes) -> bool:
        """Whether this is its very reply, and no refusal."""
        asked = Message.by_opcode.get(self.kind)
        if channel is not self.channel or peek_request_id(body) != self.request_id or asked is None:
            return False
        try:
            message = decode_envelope(channel, body).message
        except ProtocolError:
            return False
        return issubclass(asked, Request) and isinstance(message, asked.reply)


class Writer:
    """See the module. `note` is told of each message as it goes, `fail` once of what the link is lost by."""

    def __init__(
        self,
        client: Writes,
        *,
        note: Callable[[Channel, bytes, list[bytes]], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        """Nothing runs until there is something to write."""
        self._client = client
        self._note = note
        self._fail = fail
        self._loop = asyncio.get_running_loop()
        self._segmenters = {channel: Segmenter() for channel in Channel}
        self._waiting: deque[Turn] = deque()
        self._current: Turn | None = None
        self._torn: Turn | None = None  # something urgent went in between its segments
        self._parked: dict[Turn, asyncio.TimerHandle] = {}
        self._unheard: dict[int, Urgent] = {}  # the newest of each kind, while neither answer nor copy is through
        self._copy_due: asyncio.TimerHandle | None = None
        self._copies: list[Urgent] = []
        self._reads: deque[tuple[Channel, asyncio.Future[bytes | None]]] = deque()
        self._answered_s = 0.0  # how long the last write took to be answered
        self._task: asyncio.Task[None] | None = None
        self._urgent: set[asyncio.Task[None]] = set()
        self._stopped = False

    def has_room(self, *, gather: bool) -> bool:
        """Whether a message would be the next to go out, or with `gather` one of the next few."""
        return len(self._waiting) < (GATHERED_MAX if gather else 1)

    async def send(self, channel: Channel, body: bytes) -> None:
        """Write a message in its turn, and wait until all of it was answered."""
        turn = Turn(channel, body, until=None)
        self._waiting.append(turn)
        self._begin()
        await turn.done

    def hand(self, channel: Channel, body: bytes, *, first: bool = False) -> None:
        """Write a message in its turn, or before all that wait, with nobody waiting for it."""
        turn = Turn(channel, body, until=self._loop.time() + RETRY_FOR_S)
        if first:
            self._waiting.appendleft(turn)
        else:
            self._waiting.append(turn)
        self._begin()

    def send_now(self, channel: Channel, body: bytes) -> None:
        """Write a message past everything: at once without response; see the module for its copy."""
        size = self._client.value_bytes(channel)
        if Gatt.WRITE_WITHOUT_RESPONSE not in CHANNEL_RULES[channel].gatt or len(body) >= size:
            self.hand(channel, body, first=True)
            return
        values = self._segmenters[channel].cut(body, size + ATT_HEADER_BYTES)
        self._note(channel, body, values)
        self._note_torn(channel)
        task = asyncio.ensure_future(self._write_now(channel, values[0]))
        task.set_name("write at once")
        self._urgent.add(task)
        task.add_done_callback(self._urgent.discard)
        urgent = Urgent(channel, body, values[0])
        self._unheard.pop(urgent.kind, None)  # the newest is the last
        self._unheard[urgent.kind] = urgent
        self._copy_after()

    async def read(self, channel: Channel) -> bytes | None:
        """Read a value before all that waits, Stop's copy excepted; None when it can't be had.

        Who gives it up stops no read that has begun: its answer would be taken for the next request's.
        """
        if self._stopped:
            return None
        value: asyncio.Future[bytes | None] = self._loop.create_future()
        self._reads.append((channel, value))
        self._begin()
        return await value

    def heard(self, channel: Channel, body: bytes) -> None:
        """A message came: what it answers of that which went past everything needs no copy any more."""
        for urgent in [urgent for urgent in self._unheard.values() if urgent.is_answered_by(channel, body)]:
            self._settle(urgent)

    def _settle(self, urgent: Urgent) -> None:
        if self._unheard.get(urgent.kind) is urgent:
            del self._unheard[urgent.kind]
        if urgent in self._copies:
            self._copies.remove(urgent)
        if not self._unheard:
            self._copy_not_due()

    def _copy_after(self) -> None:
        if self._copy_due is None:  # a newer one does not put it off
            after_s = min(COPY_AFTER_ANSWERS * self._answered_s, COPY_AFTER_MAX_S)
            self._copy_due = self._loop.call_later(max(COPY_AFTER_S, after_s), self._copy_now)

    def _copy_not_due(self) -> None:
        if self._copy_due is not None:
            self._copy_due.cancel()
            self._copy_due = None

    def _copy_now(self) -> None:
        """Send the answered copies that are due before all that waits."""
        self._copy_not_due()
        if self._unheard:
            self._copies = list(self._unheard.values())
            self._begin()

    # The urgent

    async def _write_now(self, channel: Channel, value: bytes) -> None:
        try:
            async with asyncio.timeout(WRITE_WITHIN_S):
                await self._client.write(channel, value, response=False)
        except asyncio.CancelledError:
            if self._stopped or _cancelled_from_outside():
                raise
            self._copy_now()
        except Exception:  # noqa: BLE001  (the copy that is answered finds out what became of the link)
            self._copy_now()

    # The others

    def _begin(self) -> None:
        if self._task is None and not self._stopped:
            self._task = asyncio.ensure_future(self._run())
            self._task.set_name("write")

    async def _run(self) -> None:
        try:
            while self._copies or self._reads or self._waiting:
                if self._urgent:
                    await asyncio.sleep(0)  # it goes to bleak first, though this task was ready before it
                if self._copies or self._reads:
                    await self._before_all()
                elif not (turn := self._waiting.popleft()).done.cancelled():
                    await self._write_turn(turn)
        except asyncio.CancelledError:
            if self._stopped or _cancelled_from_outside():
                raise
            self._fail(CallCancelled("a write was cancelled from the inside"))
        except Exception as error:  # noqa: BLE001  (whatever bleak raised, the link is lost by it)
            self._fail(error)
        finally:
            self._task = None

    async def _before_all(self) -> None:
        while self._copies or self._reads:
            if self._copies:
                await self._write_copy(self._copies.pop(0))
            else:
                await self._read(*self._reads.popleft())

    async def _read(self, channel: Channel, value: "asyncio.Future[bytes | None]") -> None:
        if value.done():
            return
        overdue = self._loop.call_later(WRITE_WITHIN_S, self._never_answered)
        result = None
        try:
            result = await self._client.read(channel)
        except Exception:  # noqa: BLE001  (it can be asked for otherwise, and a write finds out what became of the link)
            return
        finally:
            overdue.cancel()
            if not value.done():
                value.set_result(result)

    async def _write_copy(self, urgent: Urgent) -> None:
        self._note_torn(urgent.channel)
        try:
            await self._write(urgent.channel, urgent.value)
        except Exception as error:
            if not (is_refusal(error) or is_busy(error)):
                raise
            self._refused(urgent, error)
        else:
            self._settle(urgent)

    def _refused(self, urgent: Urgent, error: Exception) -> None:
        """Unless its answer, or a newer one, has come meanwhile it goes again; refused too long, the link is lost."""
        if self._unheard.get(urgent.kind) is not urgent:
            return
        now_s = self._loop.time()
        if urgent.refused_until_s is None:
            urgent.refused_until_s = now_s + REFUSED_FOR_S
        if now_s >= urgent.refused_until_s:
            raise error
        self._copy_after()

    async def _write_turn(self, turn: Turn) -> None:
        """All segments of a message. The sequence goes on only when the first was taken, else the pen misses one."""
        self._current = turn
        kept = self._segmenters[turn.channel]
        segmenter = kept if Gatt.WRITE_WITHOUT_RESPONSE in CHANNEL_RULES[turn.channel].gatt else copy.copy(kept)
        values = segmenter.cut(turn.body, self._client.value_bytes(turn.channel) + ATT_HEADER_BYTES)
        if not turn.noted:
            turn.noted = True
            self._note(turn.channel, turn.body, values)
        for index, value in enumerate(values):
            try:
                await self._write(turn.channel, value)
            except Exception as error:
                if self._begins_anew(turn, values[index:]):
                    return
                if index or not is_busy(error):
                    raise
                self._park(turn)
                return
            self._segmenters[turn.channel] = segmenter
            await self._before_all()
            if self._begins_anew(turn, values[index + 1 :]):
                return
        self._current = None
        turn.settle()

    def _note_torn(self, channel: Channel) -> None:
        """A message of its own goes in between the segments of what is being written there."""
        if self._current is not None and self._current.channel is channel:
            self._torn = self._current

    def _begins_anew(self, turn: Turn, left: list[bytes]) -> bool:
        """Whether it was torn with segments left: the pen has dropped those that it has, so all of it goes again."""
        torn, self._torn = self._torn is turn, None
        if not torn or not left:
            return False
        self._current = None
        if not turn.done.done():
            self._waiting.appendleft(turn)
        return True

    async def _write(self, channel: Channel, value: bytes) -> None:
        began_s = self._loop.time()
        overdue = self._loop.call_later(WRITE_WITHIN_S, self._never_answered)
        try:
            await self._client.write(channel, value, response=True)
            self._answered_s = self._loop.time() - began_s
        finally:
            overdue.cancel()

    def _never_answered(self) -> None:
        self._fail(TimeoutError(f"a write was not answered within {WRITE_WITHIN_S:g} s"))

    def _park(self, turn: Turn) -> None:
        """Nothing of it was taken: others go on, and it tries again shortly, in its sender's own time."""
        self._current = None
        if turn.done.done() or (turn.until is not None and self._loop.time() >= turn.until):
            return
        self._parked[turn] = self._loop.call_later(RETRY_AFTER_S, self._unpark, turn)

    def _unpark(self, turn: Turn) -> None:
        del self._parked[turn]
        self._waiting.appendleft(turn)
        self._begin()

    # The end

    async def finish(self, error: LinkError) -> None:
        """Take nothing more, let out what was handed over, in `OUT_WITHIN_S`, and tell all others `error`."""
        for turn in [turn for turn in self._waiting if not turn.handed]:
            self._waiting.remove(turn)
            turn.settle(copy.copy(error))
        self._drop_reads()
        self._copy_now()
        out = [*self._urgent, *([] if self._task is None else [self._task])]
        if out:
            await asyncio.wait(out, timeout=OUT_WITHIN_S)
        self.stop(error)

    def _drop_reads(self) -> None:
        for _, value in self._reads:
            if not value.done():
                value.set_result(None)
        self._reads.clear()

    def stop(self, error: LinkError) -> None:
        """End at once; whoever waits is told `error`, and nobody waits for a call that does not return."""
        self._stopped = True
        tasks = [*self._urgent, *([] if self._task is None else [self._task])]
        for handle in self._parked.values():
            handle.cancel()
        told = [*([] if self._current is None else [self._current]), *self._waiting, *self._parked]
        self._waiting.clear()
        self._parked.clear()
        self._copies.clear()
        self._unheard.clear()
        self._drop_reads()
        self._copy_not_due()
        for task in tasks:
            if task is not asyncio.current_task():
                leave(task)
        for turn in told:
            turn.settle(copy.copy(error))


def _cancelled_from_outside() -> bool:
    """Whether somebody cancelled this task, as against a `CancelledError` that arose in what it called."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
