"""Keeps a pen advertising for as long as it takes hosts, whatever ended the last advertising."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from bumble.core import BaseBumbleError, CommandTimeoutError

if TYPE_CHECKING:
    from bumble.device import Device

# From one advertisement to the next; Bumble takes ms. The specification allows 20 ms to 10.24 s (Core, Vol 6, Part B,
# 4.4.2.2); phones ask for 152.5 ms or less to be found soon. A pen that is on is about to be used (assumption).
INTERVAL_MS: Final = 100.0
# A controller that can't advertise now (some can't while they have links) is asked again.
AGAIN_S: Final = 1.0
# So long may a controller take over a command when the door closes; then it is left as it is.
PATIENCE_S: Final = 2.0


class Advertiser:
    """One device's advertising, in a task of its own: `want` says whether, `taken` that a link ended it."""

    def __init__(
        self,
        device: "Device",
        data: bytes,
        scan_response: bytes,
        failed: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        """`failed` is told, once, that the controller answers no more; `changed`, that `on` or `blocked` is another."""
        self._device = device
        self._data, self._scan_response = data, scan_response
        self._failed, self._tell_change = failed, changed
        self._wanted = False
        self._closed = False
        self.on = False
        self.refused = ""
        self._changed = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._keep())

    @property
    def blocked(self) -> bool:
        """Whether it should be on, and the controller refused: it may have no link left."""
        return self._wanted and bool(self.refused)

    def want(self, *, on: bool) -> None:
        """Advertise from now on, or don't."""
        if on != self._wanted:
            self._wanted = on
            self._changed.set()

    def taken(self) -> None:
        """A central has connected, which ends a controller's advertising."""
        self.on = False
        self._changed.set()

    async def close(self) -> None:
        """End it; may be called twice."""
        self._wanted, self._closed = False, True
        if self._task.done():
            return
        may_be_on = self.on
        self._task.cancel()
        await asyncio.wait((self._task,))
        if may_be_on:
            with contextlib.suppress(BaseBumbleError, TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    await self._device.stop_advertising()
        self.on = False

    async def _keep(self) -> None:
        """Set what is wanted, whenever that or what is has changed."""
        while True:
            self._changed.clear()
            before = self.on, self.blocked
            answered = await self._set()
            if (self.on, self.blocked) != before:
                self._tell_change()
            if not answered or self._closed:  # a command that is cancelled comes back as one that was refused
                return
            patience = AGAIN_S if self.on != self._wanted else None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), patience)

    async def _set(self) -> bool:
        """Start or stop; False when the controller is gone."""
        if self.on == self._wanted:
            return True
        try:
            if self._wanted:
                self.on = True  # a central may take it before the last command is answered
                await self._device.start_advertising(
                    auto_restart=False,
                    advertising_data=self._data,
                    scan_response_data=self._scan_response,
                    advertising_interval_min=INTERVAL_MS,
                    advertising_interval_max=INTERVAL_MS,
                )
            else:
                await self._device.stop_advertising()
                self.on = False
            self.refused = ""
        except CommandTimeoutError:
            self.on = False
            self._failed("it does not answer any more")
            return False
        except BaseBumbleError as error:
            self.on = False
            self.refused = str(error)
        return True
