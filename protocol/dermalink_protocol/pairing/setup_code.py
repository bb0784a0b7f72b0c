"""The code printed for a pen: 8 digits and a check digit, in three groups of three, and the QR code beside it.

    on the card   DDD-DDD-DDC                    D: the code's 8 digits, C: Verhoeff's check digit over them
    QR code       DERMALINK:1:DDDDDDDDC:SERIAL

The QR code's fields are separated by colons: a name; the label's version, a decimal number without leading zeros; code
and check digit, 9 digits with nothing between; the serial number, which is the rest of the text, colons included
(1 to 16 printable ASCII characters, as in hello). A reader refuses a version that it does not know.

The check digit finds every single wrong digit and every two neighbours swapped, before a try is spent. It is no secret
and no part of what pairing derives keys from: that is the 8 digits, in ASCII.

Source: Matter Core Specification 1.x, 5.1.4.1 (manual pairing code, Verhoeff's check digit) and 5.1.7.1 (invalid
passcodes: one digit eight times, 12345678, 87654321); J. Verhoeff, Error Detecting Decimal Codes (1969).
"""

from hmac import compare_digest
from typing import Final, NamedTuple

from dermalink_protocol.advertising import SERIAL_BYTES_MAX
from dermalink_protocol.pairing.errors import (
    BadIdentity,
    CodeNotDigits,
    CodeWrongCheckDigit,
    CodeWrongLength,
    NotALabel,
    SetupCodeError,
    TrivialCode,
    UnknownLabelVersion,
)

CODE_DIGITS: Final = 8
PRINTED_DIGITS: Final = CODE_DIGITS + 1
TRIVIAL_CODES: Final = frozenset({*(digit * CODE_DIGITS for digit in "0123456789"), "12345678", "87654321"})
LABEL_NAME: Final = "DERMALINK"
LABEL_VERSION: Final = 1

_GROUP: Final = 3
# What people and word processors put between groups: spaces, the hyphens and dashes of Unicode, the minus sign.
_BETWEEN_GROUPS: Final = frozenset(" \t\r\n\u00a0\u2009\u202f-\u2010\u2011\u2012\u2013\u2014\u2212")
_READ_AGAIN: Final = "Read the code on the card that came with the pen again, digit by digit"

# A digit's place turns it by this permutation, so that swapped neighbours differ; the sum is that of the dihedral
# group of order 10, which does not commute.
_TURN: Final = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def _turned(digit: int, places: int) -> int:
    for _ in range(places % 8):
        digit = _TURN[digit]
    return digit


def _sum(left: int, right: int) -> int:
    turned = (left - right) if left >= 5 else (left + right)
    return turned % 5 + (5 if (left >= 5) != (right >= 5) else 0)


def check_digit(digits: str) -> str:
    """Verhoeff's check digit over any number of digits, in the order in which they are printed; or `CodeNotDigits`."""
    _refuse_all_but_digits(digits)
    total = 0
    for place, digit in enumerate(reversed(digits), start=1):
        total = _sum(total, _turned(int(digit), place))
    return str(-total % 5 if total < 5 else total)


def checked_serial_number(serial_number: str) -> str:
    """The serial number itself; raises `BadIdentity` unless it is 1 to 16 printable ASCII characters."""
    sound = type(serial_number) is str and serial_number.isascii() and serial_number.isprintable()
    if not sound or not 1 <= len(serial_number) <= SERIAL_BYTES_MAX:
        limit = f"it has 1 to {SERIAL_BYTES_MAX} printable ASCII characters"
        raise BadIdentity("the serial number was refused", limit=limit)
    return serial_number


class SetupCode:
    """A code of 8 digits, which are seen only by whoever asks for them: never in a repr, an error or a log."""

    __slots__ = ("_digits",)

    def __init__(self, digits: str) -> None:
        """From its 8 digits, without check digit; raises `CodeNotDigits`, `CodeWrongLength`, `TrivialCode`."""
        _refuse_all_but_digits(digits)
        if len(digits) != CODE_DIGITS:
            raise CodeWrongLength(f"a code of {len(digits)} digits was refused", limit=f"it has {CODE_DIGITS}")
        if digits in TRIVIAL_CODES:
            raise TrivialCode("a code that anybody would try first was refused", advice="Draw another.")
        self._digits = digits

    @classmethod
    def from_number(cls, number: int) -> "SetupCode":
        """The code of a drawn number, 0 to 99 999 999; for makers, from a true random source, another for each pen.

        Raises `CodeWrongLength` outside that range and `TrivialCode` for those to draw again.
        """
        if type(number) is not int or not 0 <= number < 10**CODE_DIGITS:
            raise CodeWrongLength("a number was refused as a code", limit=f"it has at most {CODE_DIGITS} digits")
        return cls(f"{number:0{CODE_DIGITS}}")

    @classmethod
    def parse(cls, typed: str) -> "SetupCode":
        """The code that a person typed: 9 digits, with spaces and dashes wherever they like.

        Raises `CodeNotDigits`, `CodeWrongLength`, `CodeWrongCheckDigit` or `TrivialCode`; each says what to do, and
        none repeats what was typed.
        """
        digits = "".join(character for character in _text(typed) if character not in _BETWEEN_GROUPS)
        _refuse_all_but_digits(digits)
        if len(digits) != PRINTED_DIGITS:
            few = "are missing" if len(digits) < PRINTED_DIGITS else "are too many"
            raise CodeWrongLength(
                f"a code of {len(digits)} digits was refused",
                limit=f"it has {PRINTED_DIGITS}, so {abs(PRINTED_DIGITS - len(digits))} {few}",
                advice=f"{_READ_AGAIN}, the last one included.",
            )
        if digits[:CODE_DIGITS] in TRIVIAL_CODES:
            limit = "no pen has one that anybody would try first"
            raise TrivialCode("the code was refused", limit=limit, advice=f"{_READ_AGAIN}. No try was spent.")
        code = cls(digits[:CODE_DIGITS])
        if not compare_digest(code.check_digit, digits[CODE_DIGITS:]):
            advice = f"{_READ_AGAIN}: one is wrong, or two are swapped. No try was spent."
            raise CodeWrongCheckDigit("the code was refused", limit="its check digit does not fit", advice=advice)
        return code

    @property
    def digits(self) -> str:
        """The 8 digits: the secret itself."""
        return self._digits

    @property
    def check_digit(self) -> str:
        """The ninth digit."""
        return check_digit(self._digits)

    @property
    def printed(self) -> str:
        """The 9 digits as they are printed, in three groups of three."""
        text = self._digits + self.check_digit
        return "-".join(text[at : at + _GROUP] for at in range(0, PRINTED_DIGITS, _GROUP))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SetupCode) and compare_digest(self._digits, other._digits)

    __hash__ = None  # type: ignore[assignment]  # a set or a dict of codes would keep them

    def __repr__(self) -> str:
        return "SetupCode(not shown)"


class Label(NamedTuple):
    """What a pen's QR code says: which pen, and its code."""

    serial_number: str
    code: SetupCode

    @property
    def text(self) -> str:
        """The text to print as a QR code; raises `BadIdentity` for a serial number that can't be."""
        digits = self.code.digits + self.code.check_digit
        return f"{LABEL_NAME}:{LABEL_VERSION}:{digits}:{checked_serial_number(self.serial_number)}"


def parse_label(text: str) -> Label:
    """What a QR code's text says.

    Raises `NotALabel` for anything else or broken, `UnknownLabelVersion` for a label of another version; neither
    repeats the text.
    """
    advice = "Scan the QR code on the card that came with the pen, or type the code beneath it."
    name, _, rest = _text(text).partition(":")
    version, _, rest = rest.partition(":")
    digits, _, serial_number = rest.partition(":")
    if name != LABEL_NAME or not _is_version(version):
        raise NotALabel("the QR code was refused", limit="it is no Dermalink pen's", advice=advice)
    if version != str(LABEL_VERSION):
        newer = "Bring Dermalink up to date, or type the code beneath the QR code."
        raise UnknownLabelVersion(
            "the QR code was refused", limit=f"only version {LABEL_VERSION} is known", advice=newer
        )
    if len(digits) != PRINTED_DIGITS:
        raise NotALabel("the QR code was refused", limit="the code in it is cut", advice=advice)
    try:
        return Label(checked_serial_number(serial_number), SetupCode.parse(digits))
    except (SetupCodeError, BadIdentity) as error:
        raise NotALabel("the QR code was refused", limit=error.limit or "it holds no code", advice=advice) from None


def _is_version(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 3 and not text.startswith("0")


def _text(value: str) -> str:
    return value if type(value) is str else ""


def _refuse_all_but_digits(text: str) -> None:
    if type(text) is not str or not (text.isascii() and (text.isdecimal() or not text)):
        raise CodeNotDigits("the code was refused", limit="it has digits 0 to 9 only", advice=f"{_READ_AGAIN}.")
