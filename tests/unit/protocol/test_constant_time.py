"""Secrets are compared by nobody here, but by `hmac.compare_digest` and by the libraries' AEAD: in constant time.

The source is walked for `==`, `!=` and `in` on what by its name could be a secret. It is a net, not a proof: a secret
under another name slips through. What is on the list is no secret, or is compared with nothing that comes from outside.
What the arithmetic itself takes is the libraries' matter, and they say so of theirs: P-256 is pycryptodome's, X25519
and ChaCha20-Poly1305 are OpenSSL's.
"""

import ast
from collections.abc import Iterator
from hmac import compare_digest
from pathlib import Path
from typing import Final

import pytest

from dermalink_protocol.pairing import spake2plus
from dermalink_protocol.pairing.errors import WrongConfirmation
from dermalink_protocol.pairing.registration import Derivation, derive_secret
from dermalink_protocol.pairing.setup_code import SetupCode
from dermalink_protocol.pairing.spake2plus import Parties, Prover, Verifier

ROOT: Final = Path(__file__).parents[3]
WALKED: Final = (
    "protocol/dermalink_protocol/pairing/*.py",
    "protocol/dermalink_protocol/sealing/*.py",
    "host/dermalink/channel/*.py",
    "host/dermalink/ownership/*.py",
    "simulator/dermalink_simulator/firmware/access.py",
    "simulator/dermalink_simulator/firmware/channel.py",
    "simulator/dermalink_simulator/firmware/entropy.py",
    "simulator/dermalink_simulator/firmware/owner_*.py",
    "simulator/dermalink_simulator/firmware/pairing*.py",
    "simulator/dermalink_simulator/firmware/ports.py",
)
SECRET_WORDS: Final = frozenset(
    {"key", "keys", "secret", "private", "binding", "shared", "share", "confirmation", "confirm", "told", "digest"}
    | {"digits", "tag", "ephemeral", "peer", "own", "w0", "w1", "sealed", "record", "password"}
)
NO_SECRETS: Final = {
    "ephemeral in self._known": "public keys, as they stand on the wire",
    "peer in (own, ephemeral)": "public keys",
    "own == ephemeral": "public keys",
    "key == key[:1] * KEY_BYTES": "a key with itself",
    "(message.step, message.share, pen.owner.number) == (CONFIRM, last.share, last.number)": (
        "what stood on the wire when the owner was made, and whoever has it gets what stood there after it"
    ),
    "run.share == share": "a share, as it stands on the wire",
    "pen.pairing.desk.wrong != pen.pairing.told_wrong": "how many wrong codes there were",
}


def names_in(node: ast.expr) -> set[str]:
    """The words that the names in an expression are made of, but for those under `len`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len":
        return set()
    words: set[str] = set()
    if isinstance(node, ast.Name):
        words |= set(node.id.lower().split("_"))
    elif isinstance(node, ast.Attribute):
        words |= set(node.attr.lower().split("_"))
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            words |= names_in(child)
    return words


def constant(node: ast.expr) -> bool:
    """A number, a name in capitals, or None: nothing that is secret stands in the source."""
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return isinstance(node, ast.Constant) or (bool(name) and name == name.upper())


def comparisons(source: str) -> Iterator[str]:
    """Those of what could be a secret with what is no constant."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Compare):
            continue
        if not any(isinstance(each, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for each in node.ops):
            continue
        sides = [node.left, *node.comparators]
        if any(names_in(each) & SECRET_WORDS for each in sides) and not any(constant(each) for each in sides[1:]):
            yield ast.unparse(node)


def test_no_secret_is_compared_byte_by_byte() -> None:
    found = set()
    for pattern in WALKED:
        files = sorted(ROOT.glob(pattern))
        assert files, pattern
        for file in files:
            found |= set(comparisons(file.read_text(encoding="utf-8")))
    assert found == NO_SECRETS.keys()


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("told == right", True),
        ("if a.confirmation != b.confirmation: pass", True),
        ("shared_key in known", True),
        ("len(key) != size", False),
        ("stage == 3", False),
        ("record == RECORD", False),
    ],
)
def test_the_net_has_meshes_of_that_size(source: str, *, seen: bool) -> None:
    assert bool(list(comparisons(source))) is seen


def test_both_confirmations_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def noted(told: bytes, right: bytes) -> bool:
        compared.append((told, right))
        return compare_digest(told, right)

    monkeypatch.setattr(spake2plus, "compare_digest", noted)
    secret = derive_secret(SetupCode("20202021"), "DL-000123", Derivation(bytes(16), 1_000))
    parties = Parties.of(1, b"hello", bytes(16), "DL-000123")
    prover = Prover(secret, parties, 5)
    answer = Verifier(secret.registration(), parties, 7).answer(prover.share)
    confirmed = prover.finish(answer.share, answer.confirmation)
    with pytest.raises(WrongConfirmation):
        answer.finish(bytes(32))
    assert [told for told, _ in compared] == [answer.confirmation, bytes(32)]
    assert compared[1][1] == confirmed.confirmation
