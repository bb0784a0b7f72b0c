"""Numbers as a person reads them."""


def um(value: int) -> str:
    """Micrometres: `250 um` as "250 µm"."""
    return f"{value} \N{MICRO SIGN}m"


def newton(millinewton: int) -> str:
    """A force in newton, one decimal, rounded up so that it is never shown as less."""
    tenths = -(-millinewton // 100)
    return f"{tenths // 10}.{tenths % 10} N"


def count(value: int) -> str:
    """A whole number with its thousands apart."""
    return f"{value:,}".replace(",", " ")


def name(word: str) -> str:
    """An enumeration's name as words: LEFT_CHEEK is "left cheek"."""
    return word.lower().replace("_", " ")


def duration(seconds: float) -> str:
    """Seconds as "9.8 s" or "3 min 12 s"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"
