"""Which radio a URL or the environment names, and what is said of one that is not there."""

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from dermalink.errors import BadUrl, LinkError, NoRadio
from dermalink.links import ble_radio
from dermalink.links.ble import split
from dermalink.links.ble_radio import ENVIRONMENT, Radio, radio_of
from dermalink.links.open import known_schemes, open_link
from dermalink_protocol.errors import DermalinkError
from tests.support.running import in_virtual_time


class BadRadioSpec(DermalinkError):
    """The words that should name a radio do not."""


class Missing(DermalinkError):
    """Another package's."""


class Client:
    """A backend."""


class Scanner:
    """Another."""


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)


def bring(monkeypatch: pytest.MonkeyPatch, brought: Any) -> list[str]:
    """A package that brings radios; the specs that it is asked for."""
    asked: list[str] = []

    def backends(spec: str) -> Any:
        asked.append(spec)
        if isinstance(brought, Exception):
            raise brought
        return brought

    entry = EntryPoint("bumble", "somewhere:backends", ble_radio.GROUP)
    monkeypatch.setattr(ble_radio, "entry_points", lambda **_: [entry])
    monkeypatch.setattr(EntryPoint, "load", lambda _: backends)
    return asked


def test_without_a_word_it_is_the_system_s_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ble_radio, "entry_points", lambda **_: pytest.fail("nobody was to be asked"))
    assert radio_of() == radio_of(None) == Radio()
    monkeypatch.setenv(ENVIRONMENT, "  ")
    assert radio_of() == Radio()
    assert ble_radio.backend_of(None) == {}


def test_the_url_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = bring(monkeypatch, (Client, Scanner))
    assert radio_of("air:a") == Radio("air:a", Client, Scanner)  # type: ignore[arg-type]
    monkeypatch.setenv(ENVIRONMENT, "air:b")
    assert radio_of().spec == "air:b"
    assert radio_of("air:a").spec == "air:a"
    assert asked == ["air:a", "air:b", "air:a"]


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (BadRadioSpec("refused", limit="'x' is no way to a controller"), BadUrl, "no way to a controller"),
        (Missing("refused", limit="bumble is not installed", advice="pip install"), NoRadio, "pip install"),
        (ValueError("no such option"), BadUrl, "no such option"),
        (ImportError("bumble"), NoRadio, "dermalink[simulator]"),
        (OSError(2, "no such device"), NoRadio, "no such device"),
    ],
)
def test_a_radio_that_cannot_be_used_is_said(
    error: Exception, kind: type[LinkError], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(monkeypatch, error)
    with pytest.raises(kind, match=r".") as caught:
        radio_of("air:a")
    assert says in str(caught.value)


def test_no_package_that_brings_radios_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ble_radio, "entry_points", lambda **_: [])
    with pytest.raises(NoRadio, match=r"dermalink\[simulator\]"):
        radio_of("air:a")


@pytest.mark.parametrize(
    ("rest", "wanted", "radio"),
    [
        ("DP1-00042", "DP1-00042", None),
        ("C0:00:00:00:00:01", "C0:00:00:00:00:01", None),
        ("My%20pen", "My pen", None),
        ("My pen", "My pen", None),
        ("what%3F", "what?", None),
        ("a?radio=air:b", "a", "air:b"),
        ("a?radio=tcp-client:[interval=30,mtu=23]127.0.0.1:9000", "a", "tcp-client:[interval=30,mtu=23]127.0.0.1:9000"),
        ("a?radio=air:b%26c", "a", "air:b&c"),
    ],
)
def test_urls(rest: str, wanted: str, radio: str | None) -> None:
    assert split(rest) == (wanted, radio)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ble:", "names no pen"),
        ("ble:%20", "names no pen"),
        ("ble:?radio=air:a", "names no pen"),
        ("ble:a?adapter=hci0", "'adapter' is no option"),
        ("ble:a?", "'' is no option"),
        ("ble:a?radio=", "names none"),
    ],
)
@in_virtual_time
async def test_a_url_that_leads_nowhere_says_why(url: str, says: str) -> None:
    with pytest.raises(BadUrl) as caught:
        await open_link(url)
    assert says in str(caught.value)
    assert caught.value.advice


def test_it_is_a_scheme_that_is_known() -> None:
    assert "ble" in known_schemes()
