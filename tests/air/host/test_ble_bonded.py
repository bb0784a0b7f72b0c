"""An owner's pen over the air, bonded: paired, run, lost and connected again, encrypted each time it has to be."""

import asyncio
from pathlib import Path

import pytest

from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.pairing import Led
from dermalink.cli.releasing import release
from dermalink.cli.setup_code import Said
from dermalink.cli.stopping import stop_one
from dermalink.errors import BondMissing, LinkError, NotSecured
from dermalink.journal import MemoryJournal
from dermalink.links.ble_client import OPEN_TO_ALL, THE_OTHERS, PenClient
from dermalink.links.open import open_link
from dermalink.ownership.pairing import Pairing
from dermalink.ownership.pairing_link import greeted
from dermalink.ownership.results import Paired
from dermalink.ownership.store import KeyStore
from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import State
from dermalink_protocol.limits import BOND_WINDOW_MS, HAND_OVER_HOLD_MS
from dermalink_protocol.messages.records import GetHistoryState
from dermalink_simulator.radio.adapter import bonds_of
from dermalink_simulator.radio.bleak_options import read_options
from dermalink_simulator.radio.bleak_security import Bonds
from tests.air.host.on_air import on_air
from tests.support.owned import no_keys
from tests.support.running import in_virtual_time
from tests.support.sealed_client import inside
from tests.unit.host.simulated import MOVING, Desk, keep_on, ready

STARTED_S = 1.5  # its self-test at power-up is over
PRESS_S = 0.3
NOW_S = 1_800_000_000
RECONNECTED_WITHIN_S = 5.0


class AtHome:
    """A person's computer, whose radio has bonds, and the desk with the pen."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self.desk, self.store = desk, KeyStore(folder, lambda: None)

    @property
    def bonds(self) -> Bonds:
        return bonds_of(read_options(self.desk.url.partition("?radio=")[2]))

    @property
    def bond(self) -> bytes | None:
        """The one that it keeps."""
        (key,) = self.bonds._keys.values() or (None,)
        return key

    def lose_bond(self) -> None:
        self.bonds._keys.clear()

    def another_bond(self) -> None:
        (address,) = self.bonds._keys
        self.bonds.keep(address, bytes(16))

    async def window_over(self) -> None:
        await asyncio.sleep(int(BOND_WINDOW_MS) / 1_000)

    async def press(self) -> None:
        self.desk.do(lambda sim: sim.button.press())
        await asyncio.sleep(PRESS_S)

    async def pair(self) -> None:
        """`dermalink pair`."""
        await self.press()
        async with greeted(await open_link(self.desk.url)) as link:
            result = await Pairing(link, self.store, utc=lambda: NOW_S).attempt(self.desk.sim.card.code)
            assert isinstance(result, Paired)
            self.desk.known = self.store.known
            await link.bond(result.pen)


@pytest.fixture
def pairings(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Each pairing of Bluetooth's that the computer has begun."""
    from dermalink_simulator.radio.bleak_link import RadioLink

    begun: list[None] = []
    bond = RadioLink.bond

    async def counted(link: RadioLink) -> bytes:
        begun.append(None)
        return await bond(link)

    monkeypatch.setattr(RadioLink, "bond", counted)
    return begun


@pytest.fixture
def encrypted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Channel, bool]]:
    """Each subscription that was taken, and whether the link was encrypted by then."""
    taken: list[tuple[Channel, bool]] = []
    subscribe_to = PenClient.subscribe_to

    async def subscribing(client: PenClient, channel: Channel) -> None:
        await subscribe_to(client, channel)
        assert client._client is not None
        taken.append((channel, client._client._backend._link.encrypted))  # type: ignore[attr-defined]

    monkeypatch.setattr(PenClient, "subscribe_to", subscribing)
    return taken


def as_an_owner() -> list[tuple[Channel, bool]]:
    return [*((channel, False) for channel in OPEN_TO_ALL), *((channel, True) for channel in THE_OTHERS)]


@pytest.mark.sr("SR-SEC-1", side="host")
@pytest.mark.parametrize("air", ["perfect", "room"])
@pytest.mark.parametrize("options", ["mtu=185", "mtu=23,interval=30"])
def test_paired_bonded_and_connected_again_it_is_encrypted_each_time(
    air: str, options: str, tmp_path: Path, pairings: list[None], encrypted: list[tuple[Channel, bool]]
) -> None:
    @in_virtual_time
    async def test() -> None:
        async with on_air(air=air, options=options) as desk:
            home = AtHome(desk, tmp_path)
            await asyncio.sleep(STARTED_S)
            await home.pair()
            assert encrypted == as_an_owner()
            key = home.bond
            assert key is not None
            await home.window_over()
            for _ in range(3):
                encrypted.clear()
                async with await desk.connect() as pen:
                    assert pen.sealed
                    assert (await pen.status()).state is State.IDLE
                assert encrypted == as_an_owner()
            assert len(pairings) == 1
            assert home.bond == key

    test()


@in_virtual_time
async def test_a_session_that_lost_its_link_is_adopted_on_one_that_is_encrypted_again(
    tmp_path: Path, pairings: list[None], encrypted: list[tuple[Channel, bool]]
) -> None:
    async with on_air(options="mtu=185") as desk:
        home = AtHome(desk, tmp_path)
        await asyncio.sleep(STARTED_S)
        await home.pair()
        journal = MemoryJournal()
        pen = await desk.connect(journal=journal)
        lease = await ready(pen)
        desk.do(lambda sim: sim.button.press())
        await keep_on(pen, lease, lambda status: status.state in MOVING)
        session = (await pen.status()).session_id
        assert session
        await pen.connection.link.close()
        await pen.close()
        await asyncio.sleep(1)
        encrypted.clear()
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with await desk.connect(journal=journal) as again:
            assert loop.time() - began < RECONNECTED_WITHIN_S
            assert encrypted == as_an_owner()
            status = (await again.look()).status
            assert (status.session_id, status.state) == (session, State.PAUSED)
            await again.close_session()
        assert len(pairings) == 1


@in_virtual_time
async def test_a_computer_that_has_lost_its_bond_is_told_what_to_do_and_bonds_after_a_press(
    tmp_path: Path, pairings: list[None]
) -> None:
    async with on_air() as desk:
        home = AtHome(desk, tmp_path)
        await asyncio.sleep(STARTED_S)
        await home.pair()
        await home.window_over()
        home.lose_bond()
        pairings.clear()
        with pytest.raises(BondMissing) as caught:
            await desk.connect()
        assert "press the pen's button once" in caught.value.advice
        assert len(pairings) == 2  # as BlueZ answers a refusal, and as it is asked
        async with await desk.connect(inspect_only=True) as pen:  # which takes no bond
            assert pen.sealed
            assert (await pen.look()).status.state is State.IDLE
        await home.press()
        await (await desk.connect()).close()
        assert home.bond is not None
        await home.window_over()
        await (await desk.connect()).close()
        assert len(pairings) == 3


@in_virtual_time
async def test_a_bond_that_the_pen_does_not_have_ends_the_link_and_says_how_to_make_another(
    tmp_path: Path, pairings: list[None]
) -> None:
    async with on_air() as desk:
        home = AtHome(desk, tmp_path)
        await asyncio.sleep(STARTED_S)
        await home.pair()
        home.another_bond()
        with pytest.raises(LinkError) as caught:
            await desk.connect()
        assert "press the pen's button once" in caught.value.advice
        assert len(pairings) == 1
        async with await desk.connect(inspect_only=True) as pen:
            assert await pen.connection.link.forget_bond()
        await home.press()
        await (await desk.connect()).close()
        assert len(pairings) == 2


@in_virtual_time
async def test_whoever_takes_his_own_pen_over_anew_has_another_bond_under_the_same_press(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pairings: list[None]
) -> None:
    monkeypatch.setenv("DERMALINK_KEYS", str(tmp_path))
    async with on_air() as desk:
        home = AtHome(desk, tmp_path)
        await asyncio.sleep(STARTED_S)
        await home.pair()
        before = home.bond
        home.store.forget(desk.sim.card.serial_number)
        desk.do(lambda sim: sim.button.hold())
        await asyncio.sleep(int(HAND_OVER_HOLD_MS) / 1_000 + PRESS_S)
        desk.do(lambda sim: sim.button.release())
        led = Led(desk.url, home.store)
        await led.attempt(Said(desk.sim.card.code))
        assert isinstance(led.result, Paired)
        assert led.unbonded is None
        assert home.bond not in (None, before)
        assert len(pairings) == 2
        await (await desk.connect()).close()
        assert len(pairings) == 2


@in_virtual_time
async def test_a_pen_that_is_given_up_leaves_no_bond_on_either_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERMALINK_KEYS", str(tmp_path))
    async with on_air() as desk:
        home = AtHome(desk, tmp_path)
        await asyncio.sleep(STARTED_S)
        await home.pair()
        released = await release(desk.url)
        assert "has forgotten it as well" in await released.forget_bond()
        assert home.bond is None
        assert not desk.do(lambda sim: inside(sim).owner.owned)
        async with await desk.connect(known=no_keys) as pen:  # anybody's again, and no link of it is encrypted
            assert not pen.sealed
            assert home.bond is None


@pytest.mark.sr("SR-STOP-4", side="host")
@in_virtual_time
async def test_an_owner_stops_his_pen_without_a_word_of_bonds(
    tmp_path: Path, encrypted: list[tuple[Channel, bool]]
) -> None:
    async with on_air() as desk:
        home = AtHome(desk, tmp_path)
        await asyncio.sleep(STARTED_S)
        await home.pair()
        encrypted.clear()
        home.another_bond()  # whatever became of it
        assert (await stop_one(desk.url)).code is ExitCode.DONE
        assert encrypted == [(channel, False) for channel in OPEN_TO_ALL]


@in_virtual_time
async def test_an_owner_who_only_looks_hears_telemetry_and_history_once_he_asks(
    tmp_path: Path, encrypted: list[tuple[Channel, bool]]
) -> None:
    async with on_air() as desk:
        home = AtHome(desk, tmp_path)
        await asyncio.sleep(STARTED_S)
        await home.pair()
        encrypted.clear()
        async with await desk.connect(inspect_only=True) as pen:
            batches = pen.telemetry()
            with pytest.raises(NotSecured):
                await pen.request(GetHistoryState())
            await asyncio.sleep(3)
            assert batches.take_waiting() == []
            assert encrypted == [(channel, False) for channel in OPEN_TO_ALL]
            for _ in range(2):
                await pen.secure()
                assert encrypted == as_an_owner()
            assert (await pen.request(GetHistoryState())).last_number > 0
            await asyncio.sleep(3)
            assert batches.take_waiting()
