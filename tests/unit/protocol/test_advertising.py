"""What a pen advertises fits, and a host reads from it what the pen put in, whatever else is on the air."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermalink_protocol.advertising import (
    ADVERTISING_BYTES_MAX,
    advertised_serial,
    advertisement,
    device_name,
    fields_of,
    read_advertised,
    scan_response,
)
from dermalink_protocol.channels import SERVICE_UUID
from dermalink_protocol.errors import OutOfRange

printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=16)


def test_the_advertisement_is_what_the_specification_lays_out() -> None:
    assert advertisement() == bytes.fromhex("020106 1107") + SERVICE_UUID.bytes[::-1]
    assert scan_response("DL-SIM-00000007") == b"\x1a\x09Dermalink DL-SIM-00000007"


@given(printable)
def test_every_serial_number_goes_round(serial_number: str) -> None:
    packets = advertisement(), scan_response(serial_number)
    assert all(len(packet) <= ADVERTISING_BYTES_MAX for packet in packets)
    assert read_advertised(*packets) == (True, device_name(serial_number), serial_number)
    assert advertised_serial(device_name(serial_number)) == serial_number


@given(printable)
def test_the_advertisement_alone_says_that_it_is_a_pen_and_the_answer_alone_which(serial_number: str) -> None:
    assert read_advertised(advertisement()) == (True, "", "")
    assert read_advertised(b"", scan_response(serial_number)).serial_number == serial_number


@pytest.mark.parametrize("serial_number", ["", "S" * 17, "DL\n1", "DL-ä", "\x7f"])
def test_a_serial_number_that_can_not_be_is_refused(serial_number: str) -> None:
    with pytest.raises(OutOfRange, match="1 to 16 printable ASCII"):
        scan_response(serial_number)


@pytest.mark.parametrize(
    "name",
    [None, "", "Dermalink", "Dermalink ", "dermalink DL-1", "Dermalink " + "S" * 17, "Dermalink \x00", "Lamp"],
)
def test_no_other_name_gives_a_serial_number(name: str | None) -> None:
    assert advertised_serial(name) == ""


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_whatever_is_on_the_air_does_no_harm(one: bytes, other: bytes) -> None:
    read = read_advertised(one, other)
    assert not read.serial_number or read.name == device_name(read.serial_number)
    for field in fields_of(one):
        assert bytes([len(field.data) + 1, field.kind]) + field.data in one


def test_a_length_that_can_not_be_ends_the_reading() -> None:
    name = scan_response("DL-1")
    assert [field.kind for field in fields_of(name + b"\x00" + name)] == [0x09]
    assert [field.kind for field in fields_of(name + b"\x05\x09ab")] == [0x09]
    assert fields_of(string.ascii_letters.encode()) == []
