"""`dermalink pair` by Bluetooth: a bond under the same press, and what is said where there is none."""

import asyncio
import json
import signal

import pytest

from dermalink.cli import pairing
from dermalink.cli.exit_codes import ExitCode
from dermalink.errors import BondMissing, HandshakeFailed, LinkLost
from dermalink.ownership.owned_pen import OwnedPen
from dermalink.ownership.pairing_link import PairingLink
from tests.unit.cli.test_pairing_commands import GOOD, keys, known, pen, run, use, with_ctrl_c
from tests.unit.ownership.pairing_pen import PairingPen

__all__ = ["keys", "pen", "with_ctrl_c"]  # fixtures


def bonds(monkeypatch: pytest.MonkeyPatch, why_not: Exception | None, *, forgets: bool = False) -> list[str]:
    """A link by Bluetooth to the pen at `URL`: why no bond is made there, and whether there is an old one to forget."""
    done: list[str] = []

    async def bond(_: PairingLink, owned: OwnedPen) -> None:
        assert known() == owned
        done.append("bond")
        if why_not is not None:
            raise why_not

    async def forget(_: PairingLink) -> bool:
        done.append("forget")
        return forgets

    monkeypatch.setattr(PairingLink, "bond", bond)
    monkeypatch.setattr(PairingLink, "forget_bond", forget)
    return done


NO_BOND = BondMissing("not encrypted", limit="pairing came to nothing", advice="Press again")


@pytest.mark.parametrize("why_not", [NO_BOND, LinkLost("gone", advice="Press again"), HandshakeFailed("no")], ids=repr)
def test_a_pen_that_is_paired_and_not_bonded_is_said_to_be_both(
    why_not: Exception, pen: PairingPen, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bonds(monkeypatch, why_not) == []
    result = run("pair", typed=GOOD)
    assert result.exit_code == ExitCode.UNSETTLED
    assert "is paired with this computer" in result.stdout
    assert "Bluetooth has no bond with it yet" in result.stderr
    assert known() is not None
    if why_not is NO_BOND:
        assert "pairing came to nothing. Press again." in result.stderr


def test_a_bond_is_made_once_and_nothing_said_of_it(pen: PairingPen, monkeypatch: pytest.MonkeyPatch) -> None:
    done = bonds(monkeypatch, None)
    result = run("pair", typed=GOOD)
    assert result.exit_code == ExitCode.DONE
    assert "Bluetooth" not in result.output
    assert done == ["bond"]


@pytest.mark.parametrize("again", [None, NO_BOND])
def test_an_old_bond_is_forgotten_and_another_made_under_the_same_press(
    again: Exception | None, pen: PairingPen, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = bonds(monkeypatch, NO_BOND, forgets=True)
    use(monkeypatch, unbonded=again)
    result = run("pair", "--json", typed=GOOD)
    said = json.loads(result.stdout)
    assert said["result"] == "paired"
    assert said["exit_code"] == result.exit_code == (ExitCode.UNSETTLED if again else ExitCode.DONE)
    assert ("unbonded" in said) is (again is not None)
    assert done == ["bond", "forget"]


def test_the_same_command_again_bonds(pen: PairingPen, monkeypatch: pytest.MonkeyPatch) -> None:
    bonds(monkeypatch, NO_BOND)
    assert run("pair", typed=GOOD).exit_code == ExitCode.UNSETTLED
    use(monkeypatch, unbonded=NO_BOND)
    result = run("pair", typed=GOOD)
    assert result.exit_code == ExitCode.UNSETTLED
    assert "Bluetooth has no bond with it yet" in result.stderr
    use(monkeypatch)
    assert run("pair", typed=GOOD).exit_code == ExitCode.DONE


def test_ctrl_c_while_it_bonds_says_that_the_pen_is_paired(pen: PairingPen, monkeypatch: pytest.MonkeyPatch) -> None:
    async def bond(_: PairingLink, __: OwnedPen) -> None:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(60)

    monkeypatch.setattr(PairingLink, "bond", bond)
    result = run("pair", typed=GOOD)
    assert result.exit_code == ExitCode.INTERRUPTED
    assert pairing.CALLED_OFF_BONDING in result.stderr
    assert pairing.CALLED_OFF not in result.stderr
    assert known() is not None
