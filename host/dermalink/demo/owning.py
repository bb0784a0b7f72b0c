"""Before an act: its pen is made the demo's own, with the code on its card and a press, as `dermalink pair` does it."""

import asyncio
from typing import Final

from dermalink.demo.act import Act
from dermalink.demo.hand import READS_S
from dermalink.errors import HostError
from dermalink.links.open import open_link
from dermalink.ownership.pairing import Pairing
from dermalink.ownership.pairing_link import greeted
from dermalink.ownership.results import WINDOW_S, Paired, PairingResult, WindowShut
from dermalink_protocol.messages.owner import Owner
from dermalink_protocol.pairing.setup_code import SetupCode

OPEN_WITHIN_S: Final = 5.0  # a press is a tenth of a second; a busy machine may be slow to tell of it
ASK_AGAIN_S: Final = 0.05
# While a press goes on, which may become the hand-over, a pen takes no order; a simulated one lasts 80 ms.
LETS_GO_S: Final = 0.2


async def in_words(act: Act) -> None:
    """Claim the pen, and say what a person does for it."""
    stage = act.stage
    stage.say(
        "Nobody owns this pen yet. Making it yours takes the card that came with it and the pen in hand, as with"
        f" `dermalink pair`: on the card is a code of 9 digits, {act.simulator.setup_code}, and a press of the pen's"
        f" button opens it for pairing, for {WINDOW_S} s. The keys lie in a folder of this act's own, and go with it."
    )
    result = await _claimed(act)
    good = isinstance(result, Paired)
    stage.result("paired, with the code and a press", f"{result.said} {result.advice}", good=good)
    stage.in_short("A pen was made this computer's own, with the code on its card and a press.", good=good)


async def in_short(act: Act) -> None:
    """Claim the pen in a line; raises `HostError` when it came to nothing."""
    act.stage.say("First it is paired, as before: with the code on its card and a press.", style="dim")
    result = await _claimed(act)
    if not isinstance(result, Paired):
        raise HostError(f"The pen was not paired: {result.said}", advice=result.advice)


async def _claimed(act: Act) -> PairingResult:
    """The card's code, once the person has pressed."""
    async with greeted(await open_link(act.simulator.url)) as link:
        pairing = Pairing(link, act.keys, utc=act.utc)
        await asyncio.sleep(READS_S)
        await act.simulator.do("button.press")
        standing = await _until_open(pairing)
        if not isinstance(standing, Owner):
            return standing
        result = await pairing.attempt(SetupCode.parse(act.simulator.setup_code))
        if isinstance(result, Paired):
            await link.bond(result.pen)
        await asyncio.sleep(LETS_GO_S)
        return result


async def _until_open(pairing: Pairing) -> PairingResult | Owner:
    """How the pen stands once the press has opened it, or after `OPEN_WITHIN_S` all the same."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + OPEN_WITHIN_S
    while True:
        standing = await pairing.standing()
        if not isinstance(standing, WindowShut) or loop.time() >= deadline:
            return standing
        await asyncio.sleep(ASK_AGAIN_S)
