"""Words that name no radio: refused before anything is opened, with what is wrong in them, never in Python's own."""

import re

import pytest

from dermalink_simulator.radio.backends import backends
from dermalink_simulator.radio.bleak_options import read_options
from dermalink_simulator.radio.errors import BadRadioSpec
from dermalink_simulator.radio.specs import FOR_HOSTS, FOR_PENS, FOR_PROCESSES, TO_HOSTS, as_bumble_writes, check_spec

WRONG = [
    ("", "it is empty"),
    ("nonsense:1", "'nonsense' is no kind of radio"),
    ("tcp_client:127.0.0.1:1", "'tcp_client' is no kind of radio"),
    ("tcp-client", "names no host and no port"),
    ("tcp-client:", "names no host and no port"),
    ("tcp-client:127.0.0.1", "'127.0.0.1' has no port"),
    ("tcp-client:127.0.0.1:", "has no port"),
    ("tcp-client:127.0.0.1:abc", "'abc' is no port, which is a number from 1 to 65535"),
    ("tcp-client:127.0.0.1:0", "'0' is no port"),
    ("tcp-client:127.0.0.1:65536", "'65536' is no port"),
    ("tcp-client:127.0.0.1:99999", "'99999' is no port"),
    ("tcp-client:127.0.0.1:-1", "'-1' is no port"),
    ("tcp-client:127.0.0.1:٣", "is no port"),
    (f"tcp-client:127.0.0.1:{'9' * 5000}", "is no port"),
    ("tcp-client::1", "':1' has no host"),
    ("tcp-client:[]:1", "has no host"),
    ("tcp-client:[::g]:1", "no host's name or address"),
    ("tcp-client:http://a:1", "no host's name or address"),
    ("tcp-client:a b:1", "no host's name or address"),
    ("tcp-client:..:1", "no host's name or address"),
    (f"tcp-client:{'x' * 64}:1", "no host's name or address"),
    ("tcp-client:127.0.0.1:1\n", "can't be printed"),
    ("serial:/dev/x\0", "can't be printed"),
    ("tcp-client:[a=b=c]127.0.0.1:1", "'a=b=c' is no key=value"),
    ("usb:[driver=]0", "'driver=' is no key=value"),
    ("usb:[driver=rtk,]0", "'' is no key=value"),
    ("usb:[driver=rtk,driver=rtk]0", "driver is given twice"),
    ("usb:[driver=rtx]0", "driver=rtx: must be rtk, or intel, or intel/ddc_addon:HEX"),
    ("usb:[driver=intel/ddc_addon:1]0", "must be rtk, or intel, or intel/ddc_addon:HEX"),
    ("usb:[driver=rtk][driver=intel]0", "one pair of brackets"),
    ("tcp-client:127[driver=rtk].0.0.1:1", "behind the colon, or at the end"),
    ("tcp-client:[intervall=7.5]127.0.0.1:1", "'intervall' is no option"),
    ("air:[driver=rtk]bench", "'driver' is no option"),
    ("udp:", "names no address"),
    ("udp:127.0.0.1:1", "names no second address"),
    ("udp:127.0.0.1,127.0.0.1:1", "'127.0.0.1' has no port"),
    ("udp:127.0.0.1:1,127.0.0.1:99999", "'99999' is no port"),
    ("ws-client:", "names no URL"),
    ("ws-client:127.0.0.1:1", "does not begin with ws://"),
    ("ws-client:http://127.0.0.1:1", "does not begin with ws://"),
    ("ws-client:ws://127.0.0.1:abc", "is no URL"),
    ("ws-client:ws://127.0.0.1:99999", "is no URL"),
    ("ws-client:ws://127.0.0.1:0", "'0' is no port"),
    ("ws-client:ws://[::1", "is no URL"),
    ("ws-client:ws://", "no host's name or address"),
    ("serial", "names no path"),
    ("serial: ", "names no path"),
    ("serial:/dev/x,fast", "'fast' is no speed"),
    ("serial:/dev/x,0", "'0' is no speed"),
    ("serial:,115200", "names no path"),
    ("unix:", "names no path"),
    ("unix-client:", "names no path"),
    ("file:", "names no path"),
    ("usb", "names no USB device"),
    ("usb:first", "'first' is neither a number nor"),
    ("usb:0a12:", "is neither a number nor"),
    ("usb:0a12:00001", "is neither a number nor"),
    ("pyusb:-1", "is neither a number nor"),
    ("hci-socket:hci0", "'hci0' is no adapter"),
    ("hci-socket:65535", "no adapter, which is a number from 0 to 65534"),
    ("android-netsim:localhost", "has no port"),
    ("android-netsim:localhost:1,quick", "'quick' is no key=value"),
    ("android-netsim:_:1,mode=controller", "'mode=controller' is no way to a controller"),
    ("android-emulator:mode=controller", "'mode=controller' is no way to a controller"),
    ("air:", "'' is no name"),
    ("air: x", "' x' is no name"),
    (f"air:{'x' * 65}", "of 1 to 64 characters"),
]
RIGHT = [
    *(form.example for form in FOR_PENS.values()),
    "tcp-client:[::1]:1",
    "tcp-client:::1:1",
    "tcp-client:[fe80::1%eth0]:1",
    "tcp-client:böse.example:65535",
    "tcp-client:[driver=rtk]127.0.0.1:1",
    "usb:[driver=intel/ddc_addon:0304+ddc_override:AB]0",
    "pty:/tmp/[x]",
    "tcp-client:my_host:1",
    "udp:0.0.0.0:0,[::1]:9",
    "ws-client:wss://radio.example/v1/bt?x=1",
    "serial:COM3",
    "serial:/dev/x,921600,rtscts,delay",
    "usb:0!",
    "usb:0+sco=5",
    "usb:0a12:0001#2",
    "usb:0A12:0001/00E04C239987",
    "usb:1-2.3",
    "pyusb:!0",
    "hci-socket",
    "hci-socket:",
    "hci-socket:99",
    "unix:@radio",
    "android-netsim:name=bumble1",
    "android-netsim:localhost:8555,name=bumble1",
    "android-emulator:localhost:8555,mode=host",
    "vhci",
    "tcp-server::0",
    "ws-server:[::1]:0",
]


@pytest.mark.parametrize(("spec", "says"), WRONG)
def test_a_host_is_told_what_is_wrong_and_how_radios_are_written(spec: str, says: str) -> None:
    with pytest.raises(BadRadioSpec) as refused:
        backends(spec)
    assert says in refused.value.limit
    assert repr(spec) in refused.value.refused
    for form in FOR_HOSTS.values():
        assert form.written in refused.value.advice or "Options stand in brackets" in refused.value.advice
    for pythons in ("Errno", "unpack", "could not convert", "invalid literal", "Is it plugged in"):
        assert pythons not in str(refused.value)


@pytest.mark.parametrize(("spec", "says"), WRONG)
def test_a_pen_is_told_the_same_and_what_it_can_be_besides(spec: str, says: str) -> None:
    with pytest.raises(BadRadioSpec, match=re.escape(says)) as refused:
        check_spec(spec, FOR_PENS)
    for form in TO_HOSTS.values():
        assert form.written in refused.value.advice


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("tcp-server:127.0.0.1", "has no port"),
        ("tcp-server:127.0.0.1:abc", "a number from 0 to 65535"),
        ("tcp-server:[mtu=23]127.0.0.1:0", "'mtu' is an option of a host's radio, and tcp-server takes none here"),
        ("pty:[interval=30]/tmp/radio", "'interval' is an option of a host's radio, and pty takes none here"),
        ("vhci:[driver=rtk]/dev/vhci", "'driver' is no option, and vhci takes none here"),
        ("ws-server", "names no host"),
        ("ws-server:127.0.0.1:65536", "is no port"),
        ("pty", "names no path"),
        ("pty:", "names no path"),
    ],
)
def test_where_hosts_come_is_named_as_carefully(spec: str, says: str) -> None:
    with pytest.raises(BadRadioSpec, match=re.escape(says)) as refused:
        check_spec(spec, TO_HOSTS)
    assert f"Write {TO_HOSTS[spec.partition(':')[0]].written}" in refused.value.advice


@pytest.mark.parametrize("key", ["address", "host", "interval", "latency", "supervision", "mtu"])
@pytest.mark.parametrize("spec", ["usb:[{}=23]0", "air:[{}=23]bench"])
def test_what_only_a_host_can_say_is_refused_on_the_pens_side(spec: str, key: str) -> None:
    with pytest.raises(BadRadioSpec) as refused:
        check_spec(spec.format(key), FOR_PENS)
    assert f"{key!r} is an option of a host's radio" in refused.value.limit
    if spec.startswith("usb"):
        assert "here there is driver alone: rtk, or intel, or " in refused.value.limit


@pytest.mark.parametrize("spec", RIGHT)
def test_what_is_well_named_passes(spec: str) -> None:
    check_spec(spec, FOR_PENS)
    if spec.partition(":")[0] in FOR_HOSTS:
        assert read_options(spec).spec == spec


def test_each_side_says_which_the_other_is() -> None:
    with pytest.raises(BadRadioSpec, match="tcp-server waits for hosts, and this side is one"):
        check_spec("tcp-server:127.0.0.1:0", FOR_HOSTS)
    with pytest.raises(BadRadioSpec, match="no host comes to usb"):
        check_spec("usb:0", TO_HOSTS)
    with pytest.raises(BadRadioSpec, match="hosts in the same process"):
        check_spec("air:bench", FOR_PROCESSES)


@pytest.mark.parametrize(
    ("spec", "transport"),
    [
        ("tcp-client:[::1]:9000", "tcp-client:[::1]:9000"),
        ("tcp-client:[mtu=23][::1]:9000", "tcp-client:[::1]:9000"),
        ("tcp-client:[::1]:9000[mtu=23]", "tcp-client:[::1]:9000"),
        ("tcp-client:[mtu=23,driver=rtk][::1]:9000", "tcp-client:[driver=rtk][::1]:9000"),
    ],
)
def test_an_ipv6_address_is_no_bracket_of_options(spec: str, transport: str) -> None:
    assert read_options(spec).transport == transport


def test_bumble_gets_an_ipv6_address_as_it_wants_it() -> None:
    assert as_bumble_writes("tcp-client:[driver=rtk][::1]:9000") == "tcp-client:[driver=rtk]::1:9000"
    assert as_bumble_writes("udp:[::1]:1,[::1]:2") == "udp:::1:1,::1:2"
    assert as_bumble_writes("ws-client:ws://[::1]:9000") == "ws-client:ws://[::1]:9000"
    assert as_bumble_writes("usb:[driver=rtk]0") == "usb:[driver=rtk]0"
