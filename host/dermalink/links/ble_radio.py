"""Which radio carries `ble:` links: the system's adapter, or one that another package brings.

The entry point group is `dermalink.radios`; its entry `bumble` is a function that takes the radio's spec and gives a
pair of bleak backends, a client's and a scanner's. It knows nothing of this package, so its errors are put into ours.
"""

import os
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

from dermalink.errors import BadUrl, NoRadio
from dermalink_protocol.errors import DermalinkError

if TYPE_CHECKING:
    from bleak.backends.client import BaseBleakClient
    from bleak.backends.scanner import BaseBleakScanner

GROUP: Final = "dermalink.radios"
BROUGHT_BY: Final = "bumble"
BAD_SPEC: Final = "BadRadioSpec"  # known by name, for the package that has it is not to be imported here
ENVIRONMENT: Final = "DERMALINK_RADIO"


@dataclass(frozen=True, slots=True)
class Radio:
    """A radio: its spec as it was written, and its backends; no spec and no backends is the system's adapter."""

    spec: str = ""
    client: "type[BaseBleakClient] | None" = None
    scanner: "type[BaseBleakScanner] | None" = None

    @property
    def said(self) -> str:
        """What a person is told of it."""
        return f"the radio {self.spec}" if self.spec else "this computer's Bluetooth"


def radio_of(url_option: str | None = None) -> Radio:
    """The radio that a URL names, or else the environment; raises `BadUrl` or `NoRadio`."""
    if url_option is not None and not url_option.strip():
        advice = "Write ?radio=tcp-client:127.0.0.1:7322, or leave it away to use this computer's adapter"
        raise BadUrl("The radio was refused", limit="?radio= names none", advice=advice)
    if url_option is not None:
        return _brought(url_option.strip())
    spec = os.environ.get(ENVIRONMENT, "").strip()
    try:
        return _brought(spec) if spec else Radio()
    except BadUrl as error:
        advice = f"{error.advice}. It stands in {ENVIRONMENT}"
        raise BadUrl(error.refused, rule=error.rule, limit=error.limit, advice=advice) from error


def must_name_a_radio(url_option: str | None = None) -> None:
    """Raise `BadUrl` for words that name no radio, as `radio_of` does; why one cannot be used shows when it is."""
    try:
        radio_of(url_option)
    except BadUrl:
        raise
    except Exception:  # noqa: BLE001 (a binding to the system may raise anything when it is loaded)
        return


def _brought(spec: str) -> Radio:
    refused = f"The radio {spec} cannot be used"
    entries = list(entry_points(group=GROUP, name=BROUGHT_BY))
    if not entries:
        advice = 'Install the simulator: pip install "dermalink[simulator]"'
        raise NoRadio(refused, limit="no package that brings radios is installed", advice=advice)
    try:
        client, scanner = entries[0].load()(spec)
    except DermalinkError as error:  # it has its own words
        kind = BadUrl if isinstance(error, ValueError) or type(error).__name__ == BAD_SPEC else NoRadio
        raise kind(error.refused, rule=error.rule, limit=error.limit, advice=error.advice) from error
    except ValueError as error:
        raise BadUrl(refused, limit=str(error), advice="Check its spelling") from error
    except (ImportError, AttributeError) as error:
        advice = 'Install the simulator whole: pip install "dermalink[simulator]"'
        raise NoRadio(refused, limit=f"{entries[0].value} cannot be loaded: {error}", advice=advice) from error
    except OSError as error:
        raise NoRadio(refused, limit=str(error), advice="Check that it is there") from error
    return Radio(spec, client, scanner)


def backend_of(backend: "type[BaseBleakClient | BaseBleakScanner] | None") -> dict[str, Any]:
    """What bleak is told: nothing, unless a radio is named."""
    return {} if backend is None else {"backend": backend}
