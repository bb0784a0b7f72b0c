"""What tests of whole sessions share."""

from functools import partial

import pytest

from tests.system.guided_session import ROOM, STREAM, Tell
from tests.system.guided_session import guided as tell


@pytest.fixture(params=[STREAM, ROOM], ids=str)
def guided(request: pytest.FixtureRequest) -> Tell:
    """Runs a story by a stream, and once more by BLE through the air of an ordinary room."""
    return partial(tell, way=request.param)
