"""Records for pairing: codes and labels, what is kept of them, whole runs, and the static keys that follow."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from dermalink_protocol.generate.pairing_by_the_book import (
    ORDER,
    B,
    G,
    M,
    N,
    Names,
    P,
    add,
    check_digit,
    derived,
    hkdf,
    number,
    plain,
    run,
    times,
)

Line = dict[str, Any]
DIGITS, OTHER_DIGITS, SERIAL_NUMBER = "20202021", "71945062", "DL-000123"
SALT = bytes(range(16))
HOST_ID = bytes(range(0xA0, 0xB0))
NEGOTIATED = b"hello and its reply"
SUITE = b"P256-SHA256-HKDF-HMAC-SHA256"
RFC = Names(b"SPAKE2+-P256-SHA256-HKDF-SHA256-HMAC-SHA256 Test Vectors", b"client", b"server")
RFC_SCALARS = (
    0xBB8E1BBCF3C48F62C08DB243652AE55D3E5586053FCA77102994F23AD95491B3,
    0x7E945F34D78785B8A3EF44D0DF5A1A97D6B3B460409A345CA7830387A74B1DBA,
    0xD1232C8E8693D02368976C174E2088851B8365D0D79A9EEE709C6A05A2FAD539,
    0x717A72348A182085109C8D3917D6C43D59B224DC6A7FC4F0483232FA6516D8B3,
)
LOW_ORDER = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
)


def pairing_lines() -> Iterator[Line]:
    """All records of pairing, good and bad."""
    yield from _codes()
    yield from _labels()
    yield from _registrations()
    yield from _runs()
    yield from _bad_runs()
    yield from _owner_keys()


def drawn(name: str) -> int:
    """A number that stands for a drawn one, the same in every run."""
    return int.from_bytes(sha256(name.encode()).digest(), "big") % ORDER


def _flipped(data: bytes, at: int) -> bytes:
    return bytes([*data[:at], data[at] ^ 1, *data[at + 1 :]])


# Codes and labels


def _printed(digits: str) -> str:
    text = digits + check_digit(digits)
    return f"{text[:3]}-{text[3:6]}-{text[6:]}"


def _codes() -> Iterator[Line]:
    for name, digits, typed in (
        ("as printed", DIGITS, _printed(DIGITS)),
        ("with spaces", OTHER_DIGITS, f" {_printed(OTHER_DIGITS).replace('-', ' ')} "),
        ("without groups", "00000001", _printed("00000001").replace("-", "")),
        ("with dashes of other kinds", "99999998", _printed("99999998").replace("-", "\u2013")),
    ):
        yield {"good": f"code: {name}", "typed": typed, "digits": digits, "printed": _printed(digits)}
    right = _printed(DIGITS)
    for name, typed, error in (
        ("nothing", "", "CodeWrongLength"),
        ("without its check digit", DIGITS, "CodeWrongLength"),
        ("a digit more", f"{right}0", "CodeWrongLength"),
        ("a letter O for a nought", right.replace("0", "O", 1), "CodeNotDigits"),
        ("digits of another script", "\u0662\u0660\u0662\u0660\u0662\u0660\u0662\u0661\u0669", "CodeNotDigits"),
        ("a point between", right.replace("-", "."), "CodeNotDigits"),
        ("one digit wrong", f"3{right[1:]}", "CodeWrongCheckDigit"),
        ("two neighbours swapped", f"{right[1]}{right[0]}{right[2:]}", "CodeWrongCheckDigit"),
        ("the check digit wrong", f"{right[:-1]}{(int(right[-1]) + 1) % 10}", "CodeWrongCheckDigit"),
        *((f"trivial {digits}", _printed(digits), "TrivialCode") for digits in _trivial()),
    ):
        yield {"bad": f"code: {name}", "typed": typed, "error": error}


def _trivial() -> list[str]:
    return [*(digit * 8 for digit in "0123456789"), "12345678", "87654321"]


def _labels() -> Iterator[Line]:
    code = _printed(DIGITS).replace("-", "")
    for name, serial_number in (("a pen's", SERIAL_NUMBER), ("the longest, with colons", "A:1:B:2:C:3:D:45")):
        text = f"DERMALINK:1:{code}:{serial_number}"
        yield {"good": f"label: {name}", "label": text, "digits": DIGITS, "serial_number": serial_number}
    for name, text, error in (
        ("nothing", "", "NotALabel"),
        ("another maker's", "MT:Y.K90GSY00KA0648G00", "NotALabel"),
        ("in small letters", f"dermalink:1:{code}:{SERIAL_NUMBER}", "NotALabel"),
        ("without a serial number", f"DERMALINK:1:{code}", "NotALabel"),
        ("with an empty serial number", f"DERMALINK:1:{code}:", "NotALabel"),
        ("with a serial number too long", f"DERMALINK:1:{code}:{'S' * 17}", "NotALabel"),
        ("with a serial number beyond ASCII", f"DERMALINK:1:{code}:DL-\u00e9", "NotALabel"),
        ("of the next version", f"DERMALINK:2:{code}:{SERIAL_NUMBER}", "UnknownLabelVersion"),
        ("of a later version with other fields", "DERMALINK:12:x", "UnknownLabelVersion"),
        ("of version nought", f"DERMALINK:0:{code}:{SERIAL_NUMBER}", "NotALabel"),
        ("with a leading nought", f"DERMALINK:01:{code}:{SERIAL_NUMBER}", "NotALabel"),
        ("without a version", f"DERMALINK::{code}:{SERIAL_NUMBER}", "NotALabel"),
        ("with a grouped code", f"DERMALINK:1:{_printed(DIGITS)}:{SERIAL_NUMBER}", "NotALabel"),
        ("with a wrong check digit", f"DERMALINK:1:{_flipped(code.encode(), 8).decode()}:{SERIAL_NUMBER}", "NotALabel"),
        ("with a trivial code", f"DERMALINK:1:000000000:{SERIAL_NUMBER}", "NotALabel"),
    ):
        yield {"bad": f"label: {name}", "label": text, "error": error}


# What is kept of a code


def _registrations() -> Iterator[Line]:
    for name, digits, serial_number, salt, iterations in (
        ("few iterations, short salt", DIGITS, SERIAL_NUMBER, SALT, 1_000),
        ("most iterations, long salt", OTHER_DIGITS, "S" * 16, SALT + SALT, 100_000),
    ):
        password, w0, w1 = derived(digits, serial_number, salt, iterations)
        yield {
            "good": f"registration: {name}",
            "digits": digits,
            "serial_number": serial_number,
            "salt": salt.hex(),
            "iterations": iterations,
            "password": password.hex(),
            "w0": number(w0).hex(),
            "w1": number(w1).hex(),
            "stored": (number(w0) + plain(times(w1, G))).hex(),
        }
    for name, salt, iterations in (
        ("salt of 15 bytes", SALT[:15], 1_000),
        ("salt of 33 bytes", SALT + SALT + b"!", 1_000),
        ("999 iterations", SALT, 999),
        ("100 001 iterations", SALT, 100_001),
    ):
        line = {"salt": salt.hex(), "iterations": iterations, "error": "BadDerivation"}
        yield {"bad": f"registration: {name}", **line}
    point = plain(times(7, G))
    for name, stored in (
        ("nothing", b""),
        ("erased", b"\xff" * 97),
        ("w0 = 0", number(0) + point),
        ("w0 = n", number(ORDER) + point),
        ("L off the curve", number(1) + _flipped(point, 64)),
        ("L at infinity", number(1) + b"\x04" + bytes(64)),
        ("a byte short", number(1) + point[:-1]),
        ("a byte more", number(1) + point + b"\0"),
    ):
        yield {"bad": f"registration: {name}", "stored": stored.hex(), "error": "BadRegistration"}


# Whole runs


def context_of(version: int, negotiated: bytes) -> bytes:
    """What a transcript begins with."""
    return b"dermalink pairing " + SUITE + b" " + version.to_bytes(2, "little") + sha256(negotiated).digest()


def _names(version: int = 1, negotiated: bytes = NEGOTIATED) -> Names:
    return Names(context_of(version, negotiated), HOST_ID, SERIAL_NUMBER.encode())


def _run(name: str, names: Names, scalars: tuple[int, int, int, int]) -> Line:
    made = run(names, *scalars)
    return {
        "good": f"run: {name}",
        **{key: value.hex() for key, value in names._asdict().items()},
        **{key: number(value).hex() for key, value in zip(("w0", "w1", "x", "y"), scalars, strict=True)},
        "l": plain(times(scalars[1], G)).hex(),
        **{key: value.hex() for key, value in made._asdict().items()},
    }


def _runs() -> Iterator[Line]:
    yield _run("RFC 9383, Appendix C", RFC, RFC_SCALARS)
    _, w0, w1 = derived(DIGITS, SERIAL_NUMBER, SALT, 1_000)
    for version, negotiated in ((1, NEGOTIATED), (0xFFFF, b"")):
        made_of = {"protocol_version": version, "negotiated": negotiated.hex(), "serial_number": SERIAL_NUMBER}
        line = _run(f"a pen, version {version}", _names(version, negotiated), (w0, w1, drawn("x"), drawn("y")))
        yield {**line, "made_of": {**made_of, "host_id": HOST_ID.hex()}}
    yield _run("the smallest and largest numbers", RFC, (1, ORDER - 1, ORDER - 1, 1))


def _no_shares(honest: bytes) -> dict[str, bytes]:
    x, y = honest[1:33], honest[33:]
    on_secp256k1 = bytes.fromhex(
        "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
        "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"
    )
    # Only a small coordinate leaves room for p in 32 bytes; there is a point with x = 5, and one with y = 5.
    small_x, its_y = 5, pow(5**3 - 3 * 5 + B, (P + 1) // 4, P)
    small_y, its_x = 5, 0xD7325D7646CD60D80A92738CEB345F844CFFAF35841022CAB176F692DE8DE1D7
    for point in ((small_x, its_y), (its_x, small_y)):
        assert (point[0] ** 3 - 3 * point[0] + B - point[1] ** 2) % P == 0
    return {
        "nothing": b"",
        "one byte, infinity": b"\0",
        "infinity as noughts": b"\x04" + bytes(64),
        "all noughts": bytes(65),
        "a byte short": honest[:-1],
        "a byte more": honest + b"\0",
        "compressed": bytes([2 + y[-1] % 2]) + x,
        "hybrid": bytes([6 + y[-1] % 2]) + x + y,
        "off the curve": _flipped(honest, 64),
        "x and y swapped": b"\x04" + y + x,
        "of another group": on_secp256k1,
        "x + p for x": b"\x04" + number(small_x + P) + number(its_y),
        "y + p for y": b"\x04" + number(its_x) + number(small_y + P),
        "a nought before y": b"\x04" + x + b"\0" + y,
        "no noughts before y": b"\x04" + number(its_x) + bytes([small_y]),
        "y = p": b"\x04" + x + number(P),
        "all ones": b"\x04" + b"\xff" * 64,
    }


def _bad_runs() -> Iterator[Line]:
    names = _names()
    _, w0, w1 = derived(DIGITS, SERIAL_NUMBER, SALT, 1_000)
    x, y = drawn("x"), drawn("y")
    made = run(names, w0, w1, x, y)
    pen: Line = {
        "side": "pen",
        **{key: value.hex() for key, value in names._asdict().items()},
        "stored": (number(w0) + plain(times(w1, G))).hex(),
        "y": number(y).hex(),
        "share": made.share_p.hex(),
        "confirmation": made.confirm_p.hex(),
    }
    host: Line = {
        "side": "host",
        **{key: value.hex() for key, value in names._asdict().items()},
        "w0": number(w0).hex(),
        "w1": number(w1).hex(),
        "x": number(x).hex(),
        "share": made.share_v.hex(),
        "confirmation": made.confirm_v.hex(),
    }
    for side, line, share, mask in (("pen", pen, made.share_p, M), ("host", host, made.share_v, N)):
        for name, data in {**_no_shares(share), "the mask alone": plain(times(w0, mask))}.items():
            yield {"bad": f"{side}: share {name}", **line, "share": data.hex(), "error": "BadShare"}
        for name, data in _wrong_confirmations(bytes.fromhex(line["confirmation"])).items():
            changed = {"confirmation": data.hex(), "error": "WrongConfirmation"}
            yield {"bad": f"{side}: confirmation {name}", **line, **changed}
        for name, change in _other_names(names).items():
            yield {"bad": f"{side}: {name}", **line, **change, "error": "WrongConfirmation"}
        for name, value in {"0": 0, "n": ORDER}.items():
            own = "y" if side == "pen" else "x"
            yield {"bad": f"{side}: {own} = {name}", **line, own: number(value).hex(), "error": "BadScalar"}
        other = plain(add(times(drawn("z"), G), times(w0, mask)))
        yield {"bad": f"{side}: another's share", **line, "share": other.hex(), "error": "WrongConfirmation"}
    for name, values in {"w0 = 0": (0, w1), "w1 = 0": (w0, 0), "w0 = n": (ORDER, w1)}.items():
        scalars = {"w0": number(values[0]).hex(), "w1": number(values[1]).hex()}
        yield {"bad": f"host: {name}", **host, **scalars, "error": "BadScalar"}
    yield from _of_another_code(names, pen, host, made.share_p, made.share_v)


def _of_another_code(names: Names, pen: Line, host: Line, share_p: bytes, share_v: bytes) -> Iterator[Line]:
    _, other_w0, other_w1 = derived(OTHER_DIGITS, SERIAL_NUMBER, SALT, 1_000)
    wrong = run(names, other_w0, other_w1, drawn("x"), drawn("y"))
    to_pen = {"share": wrong.share_p.hex(), "confirmation": wrong.confirm_p.hex(), "error": "WrongConfirmation"}
    yield {"bad": "pen: a host with another code", **pen, **to_pen}
    to_host = {"share": wrong.share_v.hex(), "confirmation": wrong.confirm_v.hex(), "error": "WrongConfirmation"}
    yield {"bad": "host: a pen with another code", **host, **to_host}
    yield {"bad": "pen: its own share sent back", **pen, "share": share_v.hex(), "error": "WrongConfirmation"}
    yield {"bad": "host: its own share sent back", **host, "share": share_p.hex(), "error": "WrongConfirmation"}


def _wrong_confirmations(right: bytes) -> dict[str, bytes]:
    return {
        "of nothing": b"",
        "of noughts": bytes(32),
        "cut": right[:-1],
        "too long": right + b"\0",
        "with its first bit flipped": _flipped(right, 0),
        "with its last bit flipped": _flipped(right, 31),
    }


def _other_names(names: Names) -> dict[str, Line]:
    longer = names.prover + names.verifier[:1]
    return {
        "context that differs by a byte": {"context": _flipped(names.context, len(names.context) - 1).hex()},
        "context of another version": {"context": _names(2).context.hex()},
        "another host": {"prover": _flipped(names.prover, 0).hex()},
        "another pen": {"verifier": _flipped(names.verifier, 0).hex()},
        "identities swapped": {"prover": names.verifier.hex(), "verifier": names.prover.hex()},
        "identities cut elsewhere": {"prover": longer.hex(), "verifier": names.verifier[1:].hex()},
    }


# Static keys


def seal(shared: bytes, label: str, public: bytes, bound_to: bytes) -> bytes:
    """A static key, `public`, sealed for the other side under a run's shared key."""
    key = hkdf(shared, f"dermalink pairing 1 {label} key".encode())
    return ChaCha20Poly1305(key).encrypt(bytes(12), public, bound_to)


def _owner_keys() -> Iterator[Line]:
    shared, other = sha256(b"shared").digest(), sha256(b"another run").digest()
    host, pen = (sha256(name).digest()[:31] + b"\x40" for name in (b"host", b"pen"))
    to_pen, to_host = seal(shared, "host", host, b""), seal(shared, "pen", pen, host)
    yield {
        "good": "keys: exchanged",
        "shared": shared.hex(),
        "host": host.hex(),
        "pen": pen.hex(),
        "host_seals_with": hkdf(shared, b"dermalink pairing 1 host key").hex(),
        "pen_seals_with": hkdf(shared, b"dermalink pairing 1 pen key").hex(),
        "to_pen": to_pen.hex(),
        "to_host": to_host.hex(),
        "binding": hkdf(shared, b"dermalink pairing 1 binding" + host + pen).hex(),
    }
    for side, own, right in (("pen", pen, to_pen), ("host", host, to_host)):
        line = {"side": side, "shared": shared.hex(), "own": own.hex()}
        for name, sealed in {
            "of nothing": b"",
            "cut": right[:-1],
            "too long": right + b"\0",
            "with a flipped bit in the key": _flipped(right, 0),
            "with a flipped bit in the tag": _flipped(right, 47),
            "of the other direction": to_host if side == "pen" else to_pen,
            "of 31 bytes": seal(shared, "host", host[1:], b"") if side == "pen" else seal(shared, "pen", pen[1:], host),
            "of another run": seal(other, "host", host, b"") if side == "pen" else seal(other, "pen", pen, host),
            "bound to another key": seal(shared, "host", host, pen) if side == "pen" else seal(shared, "pen", pen, b""),
        }.items():
            yield {"bad": f"{side}: sealed key {name}", **line, "sealed": sealed.hex(), "error": "BrokenSeal"}
        for name, public in {"low order, sealed": bytes(32), "its own, sealed": own}.items():
            sealed = seal(shared, "host", public, b"") if side == "pen" else seal(shared, "pen", public, host)
            yield {"bad": f"{side}: {name}", **line, "sealed": sealed.hex(), "error": "BadPublicKey"}
    field = 2**255 - 19
    low = [(f"low order {key}", bytes.fromhex(key)) for key in LOW_ORDER]
    for name, public in (
        *low,
        *((f"{name}, top bit set", public[:31] + bytes([public[31] | 0x80])) for name, public in low),
        *((f"2^255 - 19 + {more}", (field + more).to_bytes(32, "little")) for more in (0, 1, 9, 18)),
        ("of nothing", b""),
        ("of 31 bytes", host[:31]),
        ("of 33 bytes", host + b"\0"),
    ):
        yield {"bad": f"key: {name}", "public": public.hex(), "error": "BadPublicKey"}
