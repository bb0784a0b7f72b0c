"""Advertisements taken apart: what is there is found, and what is broken breaks nothing."""

from bleak.assigned_numbers import AdvertisementDataType as AdType
from bumble import hci
from hypothesis import given
from hypothesis import strategies as st

from dermalink_simulator.radio.bleak_advertising import Reassembler, Report, Spoken, structures, uuid_text

ADDRESS = hci.Address("F0:00:00:00:00:01")


def ad(kind: int, value: bytes) -> bytes:
    return bytes([len(value) + 1, kind]) + value


def test_every_kind_of_data_reaches_bleak() -> None:
    spoken = Spoken()
    spoken.hear(
        ad(AdType.FLAGS, b"\x06")
        + ad(AdType.COMPLETE_LIST_SERVICE_UUID16, b"\x0f\x18\x0a\x18")
        + ad(AdType.INCOMPLETE_LIST_SERVICE_UUID32, b"\x01\x02\x03\x04")
        + ad(AdType.TX_POWER_LEVEL, b"\xf0")
        + ad(AdType.SHORTENED_LOCAL_NAME, b"De")
    )
    spoken.hear(
        ad(AdType.COMPLETE_LIST_SERVICE_UUID128, bytes(range(16)))
        + ad(AdType.COMPLETE_LOCAL_NAME, "Dérma".encode())
        + ad(AdType.MANUFACTURER_SPECIFIC_DATA, b"\xff\xff\x01")
        + ad(AdType.SERVICE_DATA_UUID16, b"\x0f\x18\x64")
        + ad(AdType.SERVICE_DATA_UUID128, bytes(range(16)) + b"z")
    )
    spoken.hear(ad(AdType.SHORTENED_LOCAL_NAME, b"De"))
    data = spoken.for_bleak(Report(ADDRESS, b"", -60, is_scan_response=False))
    assert data.local_name == "Dérma"
    assert data.service_uuids == [
        "0000180f-0000-1000-8000-00805f9b34fb",
        "0000180a-0000-1000-8000-00805f9b34fb",
        "04030201-0000-1000-8000-00805f9b34fb",
        "0f0e0d0c-0b0a-0908-0706-050403020100",
    ]
    assert data.manufacturer_data == {0xFFFF: b"\x01"}
    assert data.service_data == {
        "0000180f-0000-1000-8000-00805f9b34fb": b"\x64",
        "0f0e0d0c-0b0a-0908-0706-050403020100": b"z",
    }
    assert (data.tx_power, data.rssi) == (-16, -60)


def test_what_bleak_was_given_does_not_change_later() -> None:
    spoken = Spoken()
    before = spoken.for_bleak(Report(ADDRESS, b"", -60, is_scan_response=False))
    spoken.hear(ad(AdType.COMPLETE_LIST_SERVICE_UUID16, b"\x0f\x18") + ad(AdType.MANUFACTURER_SPECIFIC_DATA, b"ab"))
    assert (before.service_uuids, before.manufacturer_data) == ([], {})


@given(st.binary(max_size=64))
def test_no_bytes_break_it(data: bytes) -> None:
    Spoken().hear(data)
    assert sum(2 + len(value) for _, value in structures(data)) <= len(data)


def test_uuids_are_lower_case_and_long() -> None:
    assert uuid_text(b"\xcd\xab") == "0000abcd-0000-1000-8000-00805f9b34fb"


def extended(
    data: bytes, status: int, *, response: bool = False
) -> hci.HCI_LE_Extended_Advertising_Report_Event.Report:
    return hci.HCI_LE_Extended_Advertising_Report_Event.Report(
        event_type=(0b1000 if response else 0) | status << 5,
        address_type=ADDRESS.address_type,
        address=ADDRESS,
        primary_phy=hci.Phy.LE_1M,
        secondary_phy=hci.Phy.LE_1M,
        advertising_sid=1,
        tx_power=127,
        rssi=127,
        periodic_advertising_interval=0,
        direct_address_type=hci.AddressType.PUBLIC_DEVICE,
        direct_address=hci.Address.ANY,
        data=data,
    )


def test_a_long_advertisement_is_put_together() -> None:
    reassembler = Reassembler()
    assert reassembler.take(extended(b"ab", 1)) is None
    whole = reassembler.take(extended(b"cd", 0))
    assert whole == Report(ADDRESS, b"abcd", -127, is_scan_response=False)
    cut_off = reassembler.take(extended(b"ef", 2, response=True))
    assert cut_off == Report(ADDRESS, b"ef", -127, is_scan_response=True)


def test_an_advertisement_without_end_is_not_kept() -> None:
    reassembler = Reassembler()
    taken = [reassembler.take(extended(bytes(200), 1)) for _ in range(10)]
    assert any(taken)
