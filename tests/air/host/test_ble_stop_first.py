"""`dermalink stop` by Bluetooth: Stop is at the pen before anything that can wait until it is there."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.stopping import stop_one
from dermalink.connection import Connection
from dermalink.errors import CannotOpen, ForeignTable
from dermalink.links.ble_client import OPEN_TO_ALL, STOP_WITHIN_S
from dermalink.links.open import open_link
from dermalink.stopping import stop_and_confirm
from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode
from dermalink_protocol.limits import IN_WITHIN_MS
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.doors.ble_link import BleLink
from tests.air.host.fake_bleak import FOREVER, Computer, Peripheral, pass_time
from tests.air.host.on_air import on_air
from tests.air.host.rig import using
from tests.support.running import in_virtual_time
from tests.unit.host.simulated import MOVING, Desk, keep_on, ready

STOP_VALUE = bytes([0b1100_0000]) + int(Opcode.STOP).to_bytes(2, "little") + b"\xff\xff"


class AtThePen:
    """What comes in at the pen's BLE door, and when."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.came: list[tuple[str, BleLink, float]] = []
        write, configure = BleLink.write, BleLink.configure

        def note_write(link: BleLink, channel: Channel, segment: bytes) -> int:
            self._note(channel.name, link)
            return write(link, channel, segment)

        def note_configure(link: BleLink, *what: object) -> int:
            self._note("CCCD", link)
            return configure(link, *what)  # type: ignore[arg-type]

        monkeypatch.setattr(BleLink, "write", note_write)
        monkeypatch.setattr(BleLink, "configure", note_configure)

    def _note(self, what: str, link: BleLink) -> None:
        self.came.append((what, link, asyncio.get_running_loop().time()))

    def names(self) -> list[str]:
        """What came on the link that was opened last."""
        return [what for what, link, _ in self.came if link is self.came[-1][1]]

    def first_s(self, what: str) -> float:
        """When the last link's first of these came."""
        return next(at for name, link, at in self.came if name == what and link is self.came[-1][1])


async def _in_turn(url: str) -> None:
    connection = Connection(await open_link(url))
    connection.start()
    await stop_and_confirm(connection)
    await connection.close()


async def _first(url: str) -> None:
    assert (await stop_one(url)).code is ExitCode.DONE


async def _after_s(at: AtThePen, url: str, stop: Callable[[str], Awaitable[None]]) -> float:
    """How long from the beginning until the Stop was at the pen."""
    began = asyncio.get_running_loop().time()
    await stop(url)
    return at.first_s("STOP") - began


@pytest.mark.sr("SR-STOP-4", side="host")
@in_virtual_time
async def test_the_first_one_takes_the_needles_in(monkeypatch: pytest.MonkeyPatch) -> None:
    async with on_air() as desk, await desk.connect() as pen:
        lease = await ready(pen)
        await keep_on(pen, lease, lambda status: status.lease_left_ms > 0)
        desk.do(lambda sim: sim.button.press())
        await keep_on(pen, lease, lambda status: status.state in MOVING)
        desk.do(lambda sim: sim.hand.sweep(Zone.NOSE, Direction.VERTICAL, speed_mm_s=40))
        await keep_on(pen, lease, lambda _: desk.do(lambda sim: sim.skin.strokes) > 0)
        at = AtThePen(monkeypatch)
        running = asyncio.ensure_future(keep_on(pen, lease, lambda status: status.state not in MOVING))
        result = await stop_one(_other(desk))
        await running
        assert result.code is ExitCode.DONE, result.said
        last_in_us = desk.do(lambda sim: sim.skin.last_in_us)
        assert last_in_us is not None
        stop_came_s = next(came_s for what, _, came_s in at.came if what == "STOP")
        assert last_in_us / 1e6 - stop_came_s <= IN_WITHIN_MS / 1e3


@pytest.mark.parametrize("air", ["perfect", "room"])
@in_virtual_time
async def test_it_is_at_the_pen_before_any_subscription_and_again_after_all_of_them(
    air: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with on_air(air=air) as desk:
        at = AtThePen(monkeypatch)
        result = await stop_one(desk.url)
        assert result.code is ExitCode.DONE, result.said
        told = len(OPEN_TO_ALL)  # as a stranger, also by its owner: nothing that would have a system pair
        assert at.names()[: told + 2] == ["STOP", *["CCCD"] * told, "STOP"]
        assert at.names().count("CCCD") == told


def _other(desk: Desk) -> str:
    return desk.url.replace("air:", "air:[host=other]")


@in_virtual_time
async def test_that_is_sooner_by_all_that_is_done_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with on_air(air="room") as desk:
        at = AtThePen(monkeypatch)
        in_turn_s = await _after_s(at, desk.url, _in_turn)
        await asyncio.sleep(2)
        first_s = await _after_s(at, desk.url, _first)
        assert first_s < in_turn_s - 0.3


@in_virtual_time
async def test_a_table_that_is_refused_afterwards_keeps_no_stop_back() -> None:
    device = Peripheral()
    device.version = b"9"
    with using(Computer(device)), pytest.raises(ForeignTable, match="protocol version"):
        await open_link(f"ble:{device.serial_number}", stop_first=True)
    assert device.written == [(Channel.STOP, STOP_VALUE, False)] * 2  # at each try


@pytest.mark.sr("SR-STOP-2", side="host")
@in_virtual_time
async def test_that_it_went_out_is_told_though_the_link_never_stood() -> None:
    device = Peripheral()
    device.version = b"9"
    with using(Computer(device)):
        result = await stop_one(f"ble:{device.serial_number}")
    assert (result.sent, result.code) == (True, ExitCode.NOT_CONFIRMED)
    assert result.said.startswith("Lift the pen straight off the skin and press its button. Stop was sent and is NOT")
    device.connect_error = OSError("no")
    with using(Computer(device)):
        result = await stop_one(f"ble:{device.serial_number}")
    assert (result.sent, result.code) == (False, ExitCode.NO_PEN)


@pytest.mark.parametrize("wrong", ["missing", "refused", "hangs"])
@in_virtual_time
async def test_a_stop_that_cannot_be_written_is_no_error_of_its_own_and_bounded(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Peripheral()
    computer = Computer(device)
    if wrong == "missing":
        del device.properties[Channel.STOP]
    elif wrong == "refused":
        device.without_response_error = OSError("queue full")
    else:

        async def never(*_: object, **__: object) -> None:
            await pass_time(FOREVER)

        monkeypatch.setattr("tests.air.host.fake_bleak.FakeClient.write_gatt_char", never)
    began = asyncio.get_running_loop().time()
    with using(computer):
        if wrong == "missing":
            with pytest.raises(CannotOpen, match="stop is missing"):
                await open_link(f"ble:{device.serial_number}", stop_first=True)
            return
        link = await open_link(f"ble:{device.serial_number}", stop_first=True)
    assert asyncio.get_running_loop().time() - began < STOP_WITHIN_S + 1.0
    await link.close()


@in_virtual_time
async def test_nothing_is_stopped_by_a_link_that_is_opened_for_anything_else() -> None:
    device = Peripheral()
    with using(Computer(device)):
        await (await open_link(f"ble:{device.serial_number}")).close()
    assert device.written == []
