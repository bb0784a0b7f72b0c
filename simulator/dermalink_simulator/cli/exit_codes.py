"""Every exit code of `dermalink-sim`, once: the help, the documentation and the tests read this table."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a script can tell from how the command ended; `meaning` says it in words."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> "ExitCode":
        """An integer that carries its meaning."""
        code = int.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        return code

    DONE = 0, "It did what it was asked; `serve` was ended by Ctrl-C or SIGTERM, in good order."
    UNEXPECTED = 1, "A mistake in the simulator, or in the firmware behind its seam."
    USAGE = 2, "The command line was not understood."
    DOOR = 3, "A door could not be opened: port in use, address or path refused."
    STATE = 4, "The state folder could not be used: held, damaged, or of another pen or version."
    REFUSED = 5, "The simulator refused; nothing was done."
    NOBODY = 6, "No simulator answered on the control channel."
    BROKEN = 7, "A campaign, or a script of one, broke a rule."
    INTERRUPTED = 130, "Ctrl-C."


def table() -> str:
    """The codes as lines of text, for the help."""
    return "\n".join(f"{code.value:>5}  {code.meaning}" for code in ExitCode)
