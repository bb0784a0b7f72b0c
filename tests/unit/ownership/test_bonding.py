"""After a pairing: over Bluetooth the owner's channel and then a bond, on the same link; elsewhere nothing."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from dermalink.errors import WrongPen
from dermalink.ownership import pairing_link
from dermalink.ownership.pairing_link import PairingLink
from tests.support.running import in_virtual_time
from tests.unit.host.scripted_pen import SERIAL
from tests.unit.ownership.keyrings import a_pen


def a_link(kind: str, done: list[object], monkeypatch: pytest.MonkeyPatch, *, says: str = SERIAL) -> PairingLink:
    hello = SimpleNamespace(serial_number=says.encode())

    async def say_hello(_: object) -> Any:
        done.append("hello")
        return hello

    async def open_channel(_connection: object, _link: object, owned: object, said: object, again: object) -> None:
        assert callable(again)
        done.append((owned, said is hello))

    async def secure(*, pairs: bool) -> None:
        done.append(("secure", pairs))

    monkeypatch.setattr(pairing_link, "say_hello", say_hello)
    monkeypatch.setattr(pairing_link, "open_channel", open_channel)
    link = SimpleNamespace(kind=kind, url=f"{kind}:x", promised_serial=SERIAL, secure=secure)
    return PairingLink(cast(Any, None), cast(Any, link), cast(Any, hello), cast(Any, None))


@in_virtual_time
async def test_by_bluetooth_the_channel_is_opened_and_then_a_bond_made(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []
    owned = a_pen(SERIAL)
    await a_link("ble", done, monkeypatch).bond(owned)
    assert done == ["hello", (owned, True), ("secure", True)]


@in_virtual_time
async def test_another_pen_that_says_hello_then_is_not_bonded_with(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []
    with pytest.raises(WrongPen):
        await a_link("ble", done, monkeypatch, says="DL-OTHER").bond(a_pen(SERIAL))
    assert done == ["hello"]


@pytest.mark.parametrize("kind", ["serial", "tcp", "sim"])
def test_elsewhere_there_is_nothing_to_do(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    @in_virtual_time
    async def test() -> None:
        done: list[object] = []
        await a_link(kind, done, monkeypatch).bond(a_pen(SERIAL))
        assert done == []

    test()
