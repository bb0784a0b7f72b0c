"""The airs of this process, by name: whoever is told `air:NAME` finds the one that was published under it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dermalink_simulator.radio.errors import BadRadioSpec, NoSuchRadio
from dermalink_simulator.radio.specs import AIR_NAME_MAX, is_air_name

if TYPE_CHECKING:
    from dermalink_simulator.radio.air import Air

_published: "dict[str, Air]" = {}


@contextmanager
def published_air(name: str, air: "Air") -> Iterator["Air"]:
    """Let others in this process find `air` as `air:NAME` while this lasts."""
    if not is_air_name(name):
        raise BadRadioSpec(
            f"An air named {name!r} was refused",
            limit=f"a name is 1 to {AIR_NAME_MAX} characters that can be printed",
            advice="For example air:bench",
        )
    if name in _published:
        raise BadRadioSpec(
            f"An air named {name!r} was refused",
            limit="another one has that name in this process",
            advice="Choose another name, or close the other one first",
        )
    _published[name] = air
    try:
        yield air
    finally:
        del _published[name]


def is_published(name: str) -> bool:
    """Whether an air has that name now."""
    return name in _published


def find_air(name: str) -> "Air":
    """The air of that name; raises `NoSuchRadio`."""
    air = _published.get(name)
    if air is None:
        known = ", ".join(sorted(_published)) or "none"
        raise NoSuchRadio(
            f"The radio air:{name} was not found",
            limit=f"airs of this process: {known}",
            advice="An air is found only in the process that made it; between processes use tcp-client:HOST:PORT",
        )
    return air
