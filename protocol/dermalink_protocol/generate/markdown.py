"""Small pieces of Markdown, as the reference pages need them."""

from collections.abc import Iterable, Sequence

from dermalink_protocol.wire import WIDTHS, Raw, Tail, Wire

UNITS = {
    "um": "µm",
    "hz": "Hz",
    "mn": "mN",
    "mm_s": "mm/s",
    "mm2": "mm²",
    "ms": "ms",
    "utc_s": "s since 1970, UTC",
    "until_s": "s since 1970, UTC",
    "made_s": "s since 1970, UTC",
    "expires_s": "s since 1970, UTC",
    "s": "s",
    "percent": "%",
    "per_cm2": "1/cm²",
    "per_cm2_pass": "1/cm²",
    "per_cm2_zone": "1/cm²",
    "bytes": "bytes",
    "ppm": "10⁻⁶",
}


def page(title: str, *parts: str) -> str:
    """A page under its title."""
    return "\n\n".join([f"# {title}", *(part.strip() for part in parts if part.strip())]) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; bars in cells are kept from ending them."""
    lines = [[*heads], ["---"] * len(heads), *([str(cell).replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def code(text: object) -> str:
    """As code."""
    return f"`{text}`"


def unit_of(name: str) -> str:
    """The unit that stands at the end of a name; the longest that fits."""
    words = name.lower().split("_")
    endings = ("_".join(words[start:]) for start in range(len(words)))
    return next((UNITS[ending] for ending in endings if ending in UNITS), "")


def type_of(wire: Wire | Raw | Tail) -> str:
    """The wire type's name as the declarations have it."""
    if isinstance(wire, Raw):
        return f"{wire.size} bytes"
    if isinstance(wire, Tail):
        return f"{wire.least} to {wire.most} " + ("bytes" if wire.item == 1 else f"times {wire.item} bytes")
    width = WIDTHS[wire.code]
    signed = width.low < 0
    return f"{'i' if signed else 'u'}{width.high.bit_length() + signed}"


def thousands(value: int) -> str:
    """A number with its thousands apart."""
    return f"{value:,}".replace(",", " ") if abs(value) >= 10_000 else f"{value}"


def paragraphs(doc: str | None) -> str:
    """A docstring's text without its indent."""
    return "\n".join(line.strip() for line in (doc or "").strip().splitlines())
