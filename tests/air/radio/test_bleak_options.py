"""What stands in the brackets of a radio's specification, and the pair of types made for it."""

import subprocess
import sys

import pytest

from dermalink_simulator.radio.backends import backends
from dermalink_simulator.radio.bleak_options import RadioOptions, read_options
from dermalink_simulator.radio.errors import BadRadioSpec


def test_a_plain_specification_goes_to_the_transport_as_it_is() -> None:
    for spec in ("air:bench", "usb:0", "tcp-client:127.0.0.1:9000", "hci-socket:0", "android-netsim"):
        assert read_options(spec).transport == spec


def test_our_options_are_taken_out_and_bumbles_are_left() -> None:
    options = read_options(
        "usb:[driver=rtk,interval=7.5,latency=4,supervision=2000,mtu=185,address=c0:00:00:00:00:0a,host=x]0"
    )
    assert options == RadioOptions(
        spec=options.spec,
        transport="usb:[driver=rtk]0",
        address="C0:00:00:00:00:0A",
        host="x",
        interval_ms=7.5,
        latency=4,
        supervision_ms=2000,
        mtu=185,
    )
    assert read_options("air:[mtu=23]bench").transport == "air:bench"


@pytest.mark.parametrize(
    ("inside", "says"),
    [
        ("interval=7.4", "7.5 to 4000"),
        ("interval=4001.25", "7.5 to 4000"),
        ("interval=8", "steps of 1.25"),
        ("interval=nan", "7.5 to 4000"),
        ("interval=fast", "interval=fast: must be 7.5 to 4000 ms, in steps of 1.25 ms"),
        ("interval=abc", "interval=abc: must be 7.5 to 4000 ms, in steps of 1.25 ms"),
        ("interval=1e2", "7.5 to 4000"),
        ("interval=\u0663\u0660", "7.5 to 4000"),
        ("mtu=2_3", "mtu=2_3: must be 23 to 517"),
        ("mtu=abc", "mtu=abc: must be 23 to 517"),
        (f"mtu={'9' * 5000}", "must be 23 to 517"),
        ("latency=", "no key=value"),
        ("latency=1.5", "latency=1.5: must be 0 to 499"),
        ("intervall=7.5", "'intervall' is no option"),
        ("Interval=7.5", "'Interval' is no option"),
        ("mtu=23][latency=1", "one pair of brackets"),
        ("latency=500", "0 to 499"),
        ("latency=-1", "0 to 499"),
        ("supervision=90", "100 to 32000"),
        ("supervision=32010", "100 to 32000"),
        ("supervision=100,interval=50", "2 * (1 + latency) * interval"),
        ("mtu=22", "23 to 517"),
        ("mtu=518", "23 to 517"),
        ("address=7F:00:00:00:00:01", "begins with C0"),
        ("address=C0:00:00:00:00", "six octets"),
        ("mtu", "no key=value"),
        ("mtu=", "no key=value"),
        ("mtu=23,mtu=24", "twice"),
    ],
)
def test_what_is_wrong_is_refused_in_words(inside: str, says: str) -> None:
    with pytest.raises(BadRadioSpec) as refused:
        backends(f"air:[{inside}]bench")
    assert says in str(refused.value)
    assert inside.split(",", maxsplit=1)[0].split("=", maxsplit=1)[0] in str(refused.value)
    for known in (
        "address (six octets from C0:00:00:00:00:00 on)",
        "host (any label)",
        "interval (7.5 to 4000 ms, in steps of 1.25 ms)",
        "latency (0 to 499)",
        "supervision (100 to 32000 ms)",
        "mtu (23 to 517)",
        "driver (rtk, or intel, or intel/ddc_addon:HEX or intel/ddc_override:HEX, not for an air)",
    ):
        assert known in refused.value.advice
    for pythons in ("could not convert", "invalid literal", "Exceeds the limit"):
        assert pythons not in str(refused.value)


def test_an_air_of_this_process_has_the_same_address_each_time_and_others_never() -> None:
    assert read_options("air:bench").address == read_options("air:bench").address
    assert read_options("air:bench").address != read_options("air:[host=other]bench").address
    assert read_options("usb:0").address != read_options("usb:0").address
    for spec in ("air:bench", "usb:0"):
        assert int(read_options(spec).address[:2], 16) >= 0xC0


def test_the_pair_is_the_same_two_types_each_time() -> None:
    assert backends("tcp-client:127.0.0.1:1") is backends("tcp-client:127.0.0.1:1")
    client, scanner = backends("air:one")
    assert (client.__name__, scanner.__name__) == ("BleakClientBumble", "BleakScannerBumble")
    assert backends("air:two")[0] is not client


def test_nothing_heavy_is_imported_until_a_radio_is_asked_for() -> None:
    code = (
        "import sys, dermalink_simulator.radio.backends;"
        "assert not [m for m in sys.modules if m.split('.')[0] in ('bumble', 'bleak')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("spec", ["", "bench", "sim:x", "tcp-server:127.0.0.1:9000", "vhci"])
def test_what_leads_to_no_controller_is_refused_at_once(spec: str) -> None:
    with pytest.raises(BadRadioSpec):
        backends(spec)
