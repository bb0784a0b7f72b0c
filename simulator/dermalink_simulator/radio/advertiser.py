"""Advertising as a controller of metal does it: at its interval, never quite in step, answering who scans actively."""

import asyncio
from typing import Final, Protocol

from bumble import controller, hci

from dermalink_simulator.hardware.chance import generator

# Core specification 5.4, Vol 6, Part B, 4.4.2.2.1: advDelay, which keeps two advertisers from falling into step.
ADVERTISING_DELAY_S: Final = 0.010
ADVERTISING_UNIT_S: Final = 0.000_625
ADVERTISING_MIN: Final = 0x0020
ADVERTISING_MAX: Final = 0x4000

_Event = hci.HCI_LE_Advertising_Report_Event.EventType
_Type = hci.HCI_LE_Set_Advertising_Parameters_Command.AdvertisingType
# What a report says of an advertiser of a type, whether it may be asked for more, and whether connected to.
KINDS: Final = {
    int(_Type.ADV_IND): (_Event.ADV_IND, True, True),
    int(_Type.ADV_DIRECT_IND): (_Event.ADV_DIRECT_IND, False, True),
    int(_Type.ADV_SCAN_IND): (_Event.ADV_SCAN_IND, True, False),
    int(_Type.ADV_NONCONN_IND): (_Event.ADV_NONCONN_IND, False, False),
    4: (_Event.ADV_DIRECT_IND, False, True),  # directed, low duty cycle
}


class Surroundings(Protocol):
    """What an advertiser needs of the air."""

    seed: int

    def anybody_listens(self, advertising: controller.Controller) -> bool:
        """Whether an advertisement would be heard by anybody else."""
        ...

    def advertise(self, advertiser: "Advertiser") -> None:
        """One advertising event."""


class Advertiser(controller.LegacyAdvertiser):
    """Advertises at the interval it was told, a little late each time; sleeps while nobody would hear it."""

    def __init__(self, owner: controller.Controller, air: Surroundings, number: int) -> None:
        super().__init__(owner)
        self._air = air
        self._random = generator(air.seed, f"air/advertiser/{number}")
        self._sleeps = False

    @property
    def kind(self) -> tuple[int, bool, bool]:
        """Event type of its reports, whether it answers scanners, whether it may be connected to."""
        return KINDS[int(self.advertising_type)]

    def start(self) -> None:
        """Begin, anew if it was under way."""
        self.stop()
        self.enabled = True
        self._again(0.0)

    def stop(self) -> None:
        """No more."""
        super().stop()
        self._sleeps = False

    def wake(self) -> None:
        """Somebody listens again; where in its interval it is by now, is chance."""
        if self.enabled and self._sleeps:
            self._sleeps = False
            self._again(self._random.random() * self._interval_s)

    @property
    def _interval_s(self) -> float:
        return max(self.advertising_interval_min, ADVERTISING_MIN) * ADVERTISING_UNIT_S

    def _again(self, after_s: float) -> None:
        late_s = self._random.random() * ADVERTISING_DELAY_S
        self.timer_handle = asyncio.get_running_loop().call_later(after_s + late_s, self._on_timer_fired)

    def _on_timer_fired(self) -> None:
        self.timer_handle = None
        if not self._air.anybody_listens(self.controller):
            self._sleeps = True
            return
        self._again(self._interval_s)
        self._air.advertise(self)
