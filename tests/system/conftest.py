"""What tests of whole sessions share."""

from functools import partial

import pytest

from tests.system.guided_session import ROOM, SEALED, STREAM, Tell
from tests.system.guided_session import guided as tell


@pytest.fixture(params=[STREAM, ROOM, SEALED], ids=str)
def guided(request: pytest.FixtureRequest) -> Tell:
    """Runs a story by a stream, by BLE through the air of an ordinary room, and by a stream under seal."""
    return partial(tell, way=request.param)
