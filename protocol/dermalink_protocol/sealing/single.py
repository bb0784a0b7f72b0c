"""What there must be one of: a copy would use the same nonces again, or take the same record twice."""

from typing import NoReturn


class Single:
    """Refuses to be copied, pickled or stored."""

    __slots__ = ()

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} can't be copied or stored: its keys must count once")
