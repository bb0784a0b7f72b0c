"""What is being served to hosts elsewhere, as long as it is."""

import asyncio
from typing import TYPE_CHECKING

from dermalink_simulator.radio.errors import RadioGone

if TYPE_CHECKING:
    from dermalink_simulator.radio.controller import CorrectedController


class Served:
    """Controllers that are being served; `reach` is what a host elsewhere gives `open_controller`, if it can."""

    def __init__(self, reach: str = "") -> None:
        self.reach = reach
        self.controllers: list[CorrectedController] = []
        self.turned_away = 0
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def gone(self, spec: str) -> None:
        """The way to the hosts broke: `lost` says so."""
        if not self.lost.done():
            self.lost.set_exception(RadioGone(f"The radio {spec!r} is gone", limit="the system closed it"))
            self.lost.exception()  # seen, also where nobody waits for it
