"""One telemetry sample, 8 bytes: what is in it and how a batch becomes an array without a loop."""

import struct
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dermalink_protocol.wire import Wire, i8, u8, u16

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE_MS: Final = 10
TRAVEL_UNIT_UM: Final = 10

CONTACT: Final = 1
NEEDLES_OUT: Final = 2
ARMED: Final = 4


class SampleField(NamedTuple):
    """One field of a sample: name, wire type, unit, meaning."""

    name: str
    wire: Wire
    unit: str
    meaning: str


SAMPLE_FIELDS: Final = (
    SampleField("depth_um", u16, "µm", "the deepest protrusion that the sensor has held since the last sample"),
    SampleField("force_mn", u16, "mN", "contact force"),
    SampleField("rate_hz", u8, "Hz", "stamp rate, by the period of the last stroke"),
    SampleField("flags", u8, "", f"{CONTACT}: in contact; {NEEDLES_OUT}: needles out; {ARMED}: armed"),
    SampleField("dx", i8, f"{TRAVEL_UNIT_UM} µm", "displacement since the last sample along x, 127 mm/s at most"),
    SampleField("dy", i8, f"{TRAVEL_UNIT_UM} µm", "displacement since the last sample along y, 127 mm/s at most"),
)

PACK_SAMPLE: Final = struct.Struct("<" + "".join(field.wire.code for field in SAMPLE_FIELDS))
SAMPLE_BYTES: Final = PACK_SAMPLE.size


@cache
def sample_dtype() -> "np.dtype[Any]":
    """The structured numpy type of a sample; numpy is imported on first use."""
    import numpy as np

    return np.dtype([(field.name, f"<{field.wire.code}") for field in SAMPLE_FIELDS])


def view_samples(samples: bytes | bytearray | memoryview) -> "NDArray[Any]":
    """A read-only view of packed samples as a structured array; no copy."""
    import numpy as np

    view = np.frombuffer(samples, dtype=sample_dtype())
    view.flags.writeable = False
    return view
