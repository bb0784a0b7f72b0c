"""Hypothesis strategies for packed records, drawn from their declarations."""

from enum import IntEnum, IntFlag
from typing import Any

from hypothesis import strategies as st

from dermalink_protocol.codec import Field, Packed
from dermalink_protocol.schema import Message
from dermalink_protocol.wire import Raw, Tail

MESSAGES = list(Message.by_opcode.values())


def values_of(field: Field) -> st.SearchStrategy[Any]:
    """Every value that a field may hold."""
    wire = field.wire
    if isinstance(wire, Raw):
        return st.binary(min_size=wire.size, max_size=wire.size)
    if isinstance(wire, Tail):
        count = st.integers(wire.least, wire.most)
        return count.flatmap(lambda items: st.binary(min_size=items * wire.item, max_size=items * wire.item))
    if issubclass(field.python, IntFlag):
        return st.sets(st.sampled_from(list(field.python))).map(lambda flags: field.python(sum(flags)))
    if issubclass(field.python, IntEnum):
        return st.sampled_from(list(field.python))
    return st.integers(wire.low, wire.high)


def records_of(cls: type[Packed]) -> st.SearchStrategy[Packed]:
    """Every record of a class."""
    return st.builds(cls, **{field.name: values_of(field) for field in cls.fields})


def messages() -> st.SearchStrategy[Any]:
    """Every message of the contract."""
    return st.sampled_from(MESSAGES).flatmap(records_of)
