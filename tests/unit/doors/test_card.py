"""The card of a simulated pen: drawn from its seed, told to testers, and never in the flash."""

import subprocess
import sys

import pytest

from dermalink_protocol.pairing.registration import Derivation, derive_secret
from dermalink_protocol.pairing.setup_code import parse_label
from dermalink_simulator.card import ITERATIONS, card_of, setup_of
from dermalink_simulator.control.actions import ACTIONS
from dermalink_simulator.control.words import check
from dermalink_simulator.pen import SimulatedPen


def test_each_seed_has_its_own_code_and_the_same_each_time() -> None:
    codes = {card_of(seed).code.digits for seed in range(50)}
    assert len(codes) == 50
    assert card_of(7) == card_of(7)
    assert len({setup_of(seed).salt for seed in range(20)}) == 20


def test_the_card_reads_back_as_this_pens() -> None:
    pen = SimulatedPen(seed=7)
    assert parse_label(pen.card.text) == pen.card == card_of(7)
    assert pen.card.serial_number == "DL-SIM-00000007"


@pytest.mark.sr("SR-SEC-2", side="pen")
def test_the_flash_has_what_follows_from_the_code_and_not_the_code() -> None:
    pen = SimulatedPen(seed=7)
    setup = setup_of(7)
    derivation = Derivation(setup.salt[: setup.salt_bytes], ITERATIONS)
    secret = derive_secret(pen.card.code, pen.card.serial_number, derivation)
    assert setup.registration == secret.registration().pack()
    image = pen.flash_image()
    assert image.count(setup.registration) == 2
    for plain in (pen.card.code.digits, pen.card.code.printed, pen.card.text):
        assert plain.encode() not in image
    assert secret.w1.to_bytes(32, "big") not in image


def test_a_tester_is_told_the_card() -> None:
    pen = SimulatedPen(seed=7)
    word, given = check("card", None)
    assert not word.changes
    assert ACTIONS["card"](pen, given) == {"setup_code": pen.card.code.printed, "card": pen.card.text}


def test_whoever_only_imports_the_simulator_does_not_load_the_curve() -> None:
    program = (
        "import sys, dermalink_simulator.pen, dermalink_simulator.firmware.firmware; print('Crypto' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"
