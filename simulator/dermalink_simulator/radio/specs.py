"""What a radio is called: the words of each kind, looked at before anything is imported or opened.

Words that name no radio are a `BadRadioSpec`, which says what is wrong with them and how each kind is written. Whether
a radio that is well named is there, shows when it is opened.
"""

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from dermalink_simulator.radio.errors import BadRadioSpec

PORT_MAX: Final = 65_535
PORT_DIGITS: Final = 5
ADAPTER_MAX: Final = 65_534  # 65535 is HCI_DEV_NONE (Linux, include/net/bluetooth/hci.h)
AIR_NAME_MAX: Final = 64

# How Bumble writes a USB device (its transport/usb.py and transport/pyusb.py).
_USB: Final = re.compile(
    r"(\d{1,4}|[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}(/[^/#!+]+|#\d{1,4})?|\d+-\d+(\.\d+)*)(\+sco=\d)?!?", re.ASCII
)
_PYUSB: Final = re.compile(r"!?(\d{1,4}|[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}|\d+-\d+(\.\d+)*)", re.ASCII)
_SERIAL_WORDS: Final = ("rtscts", "dsrdtr", "delay", "resync")
_BRACKETS: Final = re.compile(r"\[([^\[\]]*)\]")
_IN_A_HOST: Final = re.compile(r"[^\s/:@,?#\[\]]+")

# The one option that is Bumble's (its drivers/__init__.py and drivers/intel.py): it skips a driver that it doesn't
# know without a word, and takes any other option and never looks at it.
DRIVER: Final = "driver"
DRIVER_WRITTEN: Final = "rtk, or intel, or intel/ddc_addon:HEX or intel/ddc_override:HEX"
_DDC: Final = r"ddc_(addon|override):([0-9A-Fa-f]{2})+"
_DRIVER: Final = re.compile(rf"rtk|intel(/{_DDC}(\+{_DDC})?)?")


class Form(NamedTuple):
    """How a kind is written, an example, and a check of what stands behind its colon: what is wrong, or empty."""

    written: str
    example: str
    wrong: Callable[[str], str]


class Brackets(NamedTuple):
    """What stands in the brackets of options, and the specification before and after them."""

    before: str
    entries: tuple[str, ...]
    after: str


def check_spec(spec: str, forms: Mapping[str, Form], *, whole: str = "") -> None:
    """Raise `BadRadioSpec` unless `spec` is one of `forms`; a person is told of it as `whole`, which they wrote."""
    said = whole or spec
    kind, _, rest = spec.partition(":")
    form = forms.get(kind)
    known = ", ".join(each.written for each in forms.values())
    if form is None:
        raise BadRadioSpec(
            f"The radio {said!r} can't be used", limit=_no_kind(spec, kind), advice=f"How radios are written: {known}"
        )
    wrong = "it holds what can't be printed" if not spec.isprintable() else _options_wrong(kind, rest)
    wrong = wrong or form.wrong(rest if kind in TO_HOSTS else without_options(rest))
    if wrong:
        advice = f"Write {form.written}, as in {form.example}. How radios are written: {known}"
        raise BadRadioSpec(f"The radio {said!r} can't be used", limit=wrong, advice=advice)


def find_brackets(rest: str) -> Brackets | None:
    """The options in square brackets, which are Bumble's own way of writing them; an IPv6 address is none."""
    for found in _BRACKETS.finditer(rest):
        if "=" in found[1] or (found[1] and ":" not in found[1]):
            return Brackets(rest[: found.start()], tuple(found[1].split(",")), rest[found.end() :])
    return None


def without_options(rest: str) -> str:
    """What stands behind a kind, without brackets of options."""
    found = find_brackets(rest)
    return rest if found is None else found.before + found.after


def as_bumble_writes(spec: str) -> str:
    """The same with IPv6 addresses bare, as Bumble wants them where it splits at the last colon."""
    if spec.partition(":")[0] not in ("tcp-client", "udp", "ws-server"):
        return spec
    return _BRACKETS.sub(lambda found: found[1] if is_ipv6(found[1]) else found[0], spec)


def is_ipv6(host: str) -> bool:
    """Whether it is a numeric address of that kind, with or without a zone."""
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def is_air_name(name: str) -> bool:
    """Whether an air of this process may have that name."""
    return name.isprintable() and 0 < len(name) <= AIR_NAME_MAX and name == name.strip()


def split_address(text: str) -> tuple[str, str]:
    """Host and port of `HOST:PORT`, as words; the host without the brackets of an IPv6 address."""
    host, _, port = text.rpartition(":")
    return (host[1:-1] if host.startswith("[") and host.endswith("]") else host), port


def _no_kind(spec: str, kind: str) -> str:
    if not spec:
        return "it is empty"
    if kind in TO_HOSTS:
        return f"{kind} waits for hosts, and this side is one"
    if kind == AIR:
        return "an air is found only by hosts in the same process, and here are none"
    return f"no host comes to {kind}" if kind in TO_CONTROLLERS else f"{kind!r} is no kind of radio"


def place_wrong(found: Brackets) -> str:
    """What is wrong with where options stand, or empty: Bumble drops whatever is behind brackets in the middle."""
    if find_brackets(found.before + found.after):
        return "options stand in one pair of brackets"
    return "options stand behind the colon, or at the end" if found.before and found.after else ""


def no_option(entry: str) -> str:
    """What keeps it from being an option at all, or empty."""
    key, _, value = entry.partition("=")
    return "" if key and value and "=" not in value else f"{entry!r} is no key=value"


def driver_wrong(value: str) -> str:
    """What is wrong with the name of a driver, or empty."""
    return "" if _DRIVER.fullmatch(value) else f"{DRIVER}={value}: must be {DRIVER_WRITTEN}"


def _options_wrong(kind: str, rest: str) -> str:
    """What is wrong with the options that are left for Bumble, or empty: it would pass most of that over in silence."""
    found = find_brackets(rest)
    if found is None or (kind in TO_HOSTS and not any("=" in entry for entry in found.entries)):
        return ""  # a path may have brackets
    if wrong := place_wrong(found):
        return wrong
    said: set[str] = set()
    for entry in found.entries:
        key, _, value = entry.partition("=")
        wrong = no_option(entry) or _option_wrong(kind, key, value)
        if wrong or key in said:
            return wrong or f"{key} is given twice"
        said.add(key)
    return ""


def _option_wrong(kind: str, key: str, value: str) -> str:
    whose = f"{key!r} is an option of a host's radio" if key in HOSTS_OPTIONS else f"{key!r} is no option"
    if kind not in TO_CONTROLLERS:
        return f"{whose}, and {kind} takes none here"
    return driver_wrong(value) if key == DRIVER else f"{whose}, and here there is {DRIVER} alone: {DRIVER_WRITTEN}"


def _address_wrong(text: str, least_port: int) -> str:
    """What keeps it from being HOST:PORT; no host is this machine, where one listens and may say port 0."""
    host, port = split_address(text)
    if not text:
        return "it names no host and no port"
    if ":" not in text or not port:
        return f"{text!r} has no port"
    if not (port.isascii() and port.isdecimal() and len(port) <= PORT_DIGITS and least_port <= int(port) <= PORT_MAX):
        return f"{port!r} is no port, which is a number from {least_port} to {PORT_MAX}"
    if not host:
        return f"{text!r} has no host" if least_port or text.startswith("[") else ""
    return "" if is_ipv6(host) or _is_host(text.rpartition(":")[0]) else f"{host!r} is no host's name or address"


def _is_host(host: str) -> bool:
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return _IN_A_HOST.fullmatch(host) is not None


def _far(text: str) -> str:
    return _address_wrong(text, 1)


def _near(text: str) -> str:
    return _address_wrong(text, 0)


def _both(text: str) -> str:
    here, comma, there = text.partition(",")
    if not comma:
        return "it names no second address" if text else "it names no address"
    return _address_wrong(here, 0) or _address_wrong(there, 1)


def _url(text: str) -> str:
    try:
        split = urlsplit(text)
        port = split.port
    except ValueError as error:  # brackets that don't close, a port that is none
        return f"{text!r} is no URL: {error}"
    if split.scheme not in ("ws", "wss"):
        return f"{text!r} does not begin with ws:// or wss://" if text else "it names no URL"
    if port == 0:
        return f"'0' is no port, which is a number from 1 to {PORT_MAX}"
    host = split.hostname or ""
    return "" if is_ipv6(host) or _is_host(host) else f"{host!r} is no host's name or address"


def _path(text: str) -> str:
    return "" if text.strip() else "it names no path"


def _serial(text: str) -> str:
    path, *words = text.split(",")
    for word in words:
        if word not in _SERIAL_WORDS and not (word.isascii() and word.isdecimal() and int(word[:9]) > 0):
            return f"{word!r} is no speed, and none of {', '.join(_SERIAL_WORDS)}"
    return _path(path)


def _usb(text: str) -> str:
    return _no_usb(text, _USB)


def _pyusb(text: str) -> str:
    return _no_usb(text, _PYUSB)


def _no_usb(text: str, form: re.Pattern[str]) -> str:
    if form.fullmatch(text):
        return ""
    return f"{text!r} is neither a number nor VENDOR:PRODUCT in hexadecimal" if text else "it names no USB device"


def _adapter(text: str) -> str:
    known = text.isascii() and text.isdecimal() and len(text) <= PORT_DIGITS and int(text) <= ADAPTER_MAX
    return "" if not text or known else f"{text!r} is no adapter, which is a number from 0 to {ADAPTER_MAX}"


def _android(text: str) -> str:
    """An address may come first; `mode=controller` has hosts come, which nothing here would look after."""
    first, *words = text.split(",")
    if "=" in first:
        words.insert(0, first)
    for word in words:
        key, _, value = word.partition("=")
        if not key or not value or "=" in value:
            return f"{word!r} is no key=value"
        if key == "mode" and value != "host":
            return f"{word!r} is no way to a controller"
    return "" if not first or "=" in first else _address_wrong(first, 1)


def _air(text: str) -> str:
    return "" if is_air_name(text) else f"{text!r} is no name of 1 to {AIR_NAME_MAX} characters that can be printed"


def _anything(_: str) -> str:
    return ""


AIR: Final = "air"
# What a host says about its own adapter and its links (`bleak_options.py`), and a pen can't.
HOSTS_OPTIONS: Final = ("address", "host", "interval", "latency", "supervision", "mtu")
# Those at whose far end is a controller, and those at which hosts arrive; the names are Bumble's, but the air's.
TO_CONTROLLERS: Final[dict[str, Form]] = {
    "tcp-client": Form("tcp-client:HOST:PORT", "tcp-client:127.0.0.1:7323", _far),
    "usb": Form("usb:NUMBER", "usb:0", _usb),
    "pyusb": Form("pyusb:NUMBER", "pyusb:0", _pyusb),
    "hci-socket": Form("hci-socket:NUMBER", "hci-socket:0", _adapter),
    "serial": Form("serial:PATH", "serial:/dev/ttyACM0,1000000", _serial),
    "android-netsim": Form("android-netsim", "android-netsim:localhost:8555", _android),
    "android-emulator": Form("android-emulator", "android-emulator:localhost:8554", _android),
    "ws-client": Form("ws-client:ws://HOST:PORT", "ws-client:ws://127.0.0.1:7323", _url),
    "udp": Form("udp:HOST:PORT,HOST:PORT", "udp:127.0.0.1:7323,127.0.0.1:7324", _both),
    "unix": Form("unix:PATH", "unix:/tmp/radio", _path),
    "unix-client": Form("unix-client:PATH", "unix-client:/tmp/radio", _path),
    "file": Form("file:PATH", "file:/dev/vhci", _path),
}
TO_HOSTS: Final[dict[str, Form]] = {
    "tcp-server": Form("tcp-server:HOST:PORT", "tcp-server:127.0.0.1:7323", _near),
    "vhci": Form("vhci", "vhci:/dev/vhci", _anything),
    "pty": Form("pty:PATH", "pty:/tmp/radio", _path),
    "ws-server": Form("ws-server:HOST:PORT", "ws-server:127.0.0.1:7323", _near),
}
IN_PROCESS: Final[dict[str, Form]] = {AIR: Form("air:NAME", "air:bench", _air)}
FOR_HOSTS: Final[dict[str, Form]] = IN_PROCESS | TO_CONTROLLERS
FOR_PENS: Final[dict[str, Form]] = TO_HOSTS | TO_CONTROLLERS | IN_PROCESS
# Of a pen in a process of its own, in which there is no host to find an air.
FOR_PROCESSES: Final[dict[str, Form]] = TO_HOSTS | TO_CONTROLLERS
