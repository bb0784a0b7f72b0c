"""How often and how long a Bluetooth link is tried to be opened, and what is worth another try."""

from typing import Final

from dermalink.errors import CannotOpen, ForeignTable, NoSuchPen

# To be heard 10 s, and two tries that hang or three that fail: more than a person waits before looking at the pen.
OPEN_WITHIN_S: Final = 30.0
TRIES: Final = 3  # RF noise aborts one connect in a few ("le-connection-abort-by-local"); three in a row mean something
PAUSE_S: Final = 0.5
# The others stay as they are until a person does something.
WORTH_ANOTHER: Final = (CannotOpen, NoSuchPen, ForeignTable)
