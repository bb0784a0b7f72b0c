"""The air in which controllers find each other: who advertises, who listens, and the links between them.

On the event loop's clock, virtual or real. The same seed, calls and times give the same losses and delays.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, cast

from bumble import link
from bumble.controller import Controller

from dermalink_simulator.hardware.air import PERFECT, AirConditions, Losses
from dermalink_simulator.hardware.chance import generator
from dermalink_simulator.radio.link import End, Link, Parameters

if TYPE_CHECKING:
    from dermalink_simulator.radio.advertiser import Advertiser


class Member(Controller, ABC):
    """What the air needs of a controller in it; `number` is the air's to give."""

    number = 0
    le_legacy_advertiser: "Advertiser"

    @property
    @abstractmethod
    def listens(self) -> bool:
        """Whether it would hear an advertisement."""

    @abstractmethod
    def on_advertisement(self, advertiser: "Advertiser") -> None:
        """An advertisement is heard."""

    @abstractmethod
    def lose(self) -> None:
        """The air is gone."""


class Air(link.LocalLink):
    """One room's air. `conditions` are its own: change them with `conditions.become`, at any time."""

    def __init__(self, conditions: AirConditions = PERFECT, seed: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.conditions = conditions.copy()
        self.seed = seed
        # In the order in which they came: a set of objects has another order in every run.
        self.members: list[Member] = []
        self.links: list[Link] = []
        self._advertising_losses = Losses(generator(seed, "air/advertising"))
        self._linked = self._joined = 0

    def add_controller(self, controller: Controller) -> None:
        """A controller comes into this air."""
        member = cast("Member", controller)
        self.members.append(member)
        self._joined += 1
        member.number = self._joined

    def remove_controller(self, controller: Controller) -> None:
        """A controller is gone."""
        self.members = [one for one in self.members if one is not controller]

    def close(self) -> None:
        """Everything stops; hosts that are still here find their controller gone."""
        for one in list(self.links):
            one.drop()
        self.links.clear()
        for controller in list(self.members):
            controller.lose()

    # Advertising

    def anybody_listens(self, advertising: Controller) -> bool:
        """Whether an advertisement would be heard by anybody."""
        return any(one.listens for one in self.members if one is not advertising)

    def listening_changed(self) -> None:
        """Somebody began to listen: advertisers that slept go on."""
        for controller in self.members:
            controller.le_legacy_advertiser.wake()

    def advertise(self, advertiser: "Advertiser") -> None:
        """One advertising event, heard by each that listens unless it is lost for that one."""
        for controller in list(self.members):
            if controller is not advertiser.controller and controller.listens and self.heard():
                controller.on_advertisement(advertiser)

    def heard(self) -> bool:
        """Whether the next packet outside of any link passes."""
        return not self._advertising_losses.lost(self.conditions)

    # Links

    def connect(self, central: End, peripheral: End, agreed: Parameters) -> Link:
        """A new link between the two."""
        self.links = [one for one in self.links if one.alive]
        self._linked += 1
        losses = Losses(generator(self.seed, f"air/link/{self._linked}"))
        made = Link(self.conditions, losses, central, peripheral, agreed)
        self.links.append(made)
        return made
