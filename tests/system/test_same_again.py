"""One seed is one run, over the whole Bluetooth stack as by a stream: the same events, journal, memory and skin."""

import asyncio
from typing import Any

from dermalink.session import events
from dermalink.session.words import Word
from tests.system.guided_session import Guided, Tell


def everything(guided: Tell, seed: int) -> dict[str, Any]:
    """All that a session with a pause leaves behind, at the host, in the pen and in the skin."""

    async def story(world: Guided) -> dict[str, Any]:
        world.reactions[events.PassPaused] = lambda _: asyncio.get_running_loop().call_later(
            2, world.person.say, Word.RESUME
        )
        world.halfway(lambda: world.person.say(Word.PAUSE))
        await world.run()
        skin = world.sim.skin
        return {
            "events": [event.as_line().replace(world.url, "URL") for event in world.events],
            "journal": world.journal.entries(),
            "memory": world.sim.flash_image(),
            "skin": (skin.needles_out, skin.punctures, skin.deepest_um, skin.strokes),
            "ms": world.ms,
        }

    return guided(story, seed=seed)


def test_the_same_seed_is_the_same_run(guided: Tell) -> None:
    first, again, other = (everything(guided, seed) for seed in (3, 3, 4))
    for what, was in first.items():
        assert again[what] == was, what
    assert other["skin"] != first["skin"]
