"""One telemetry sample, 8 bytes: what is in it and how a batch becomes an array without a loop."""

import struct
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE_BYTES: Final = 8
SAMPLE_MS: Final = 10
TRAVEL_UNIT_UM: Final = 10

# depth_um: peak held by the sensor since the last sample; force_mn; rate_hz: by stroke period; flags;
# dx, dy: displacement since the last sample, in TRAVEL_UNIT_UM (so up to 127 mm/s along an axis).
PACK_SAMPLE: Final = struct.Struct("<HHBBbb")

CONTACT: Final = 1
NEEDLES_OUT: Final = 2
ARMED: Final = 4


def sample_dtype() -> "np.dtype[Any]":
    """The structured numpy type of a sample; numpy is imported on first use."""
    import numpy as np

    return np.dtype(
        [
            ("depth_um", "<u2"),
            ("force_mn", "<u2"),
            ("rate_hz", "u1"),
            ("flags", "u1"),
            ("dx", "i1"),
            ("dy", "i1"),
        ]
    )


def view_samples(samples: bytes | bytearray | memoryview) -> "NDArray[Any]":
    """A read-only view of packed samples as a structured array; no copy."""
    import numpy as np

    return np.frombuffer(samples, dtype=sample_dtype())
