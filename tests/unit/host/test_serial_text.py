"""What a pen calls itself goes to a terminal: it can name itself as it likes, and orders nothing there."""

import pytest

from dermalink.connecting import serial_text
from tests.unit.host.facts import facts


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (b"DL-00000007", "DL-00000007"),
        (b"\x1b[2J\x1b[31mDL", "\\x1b[2J\\x1b[31mDL"),
        (b"DL\nall is well", "DL\\x0aall is well"),
        (b"DL\x9b31m\xff\x7f\r\t", "DL\\x9b31m\\xff\\x7f\\x0d\\x09"),
    ],
)
def test_a_serial_number_is_shown_without_what_a_terminal_would_obey(said: bytes, shown: str) -> None:
    assert serial_text(facts(hello={"serial_number": said.ljust(16, b"\0")}).hello) == shown
