"""Every exit code of `dermalink`, once: the help, the documentation and the tests read this table."""

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

    DONE = 0, "It did what it was asked."
    UNEXPECTED = 1, "A mistake in Dermalink; the message says where the details are."
    USAGE = 2, "The command line was not understood."
    PLAN = 3, "The plan file can't be used; the message says why, with the line."
    NO_PEN = 4, "No pen reached: nothing there, busy, forbidden, or not a pen."
    REFUSED = 5, "Refused, by the host or by the pen; nothing moved because of it."
    LINK_LOST = 6, "The link was lost; the pen takes its needles in by itself."
    STOPPED = 7, "The session ended before its plan was done; needles measured in."
    NOT_CONFIRMED = 8, "Needles not confirmed in: lift the pen straight off the skin."
    FINDINGS = 9, "`doctor` found an error."
    KEYS = 10, "A pen's keys can't be kept, had or removed on this computer; the message says what to do."
    UNSETTLED = 11, "Pairing or giving up was cut off at its last word, or Bluetooth did not bond; run the same again."
    INTERRUPTED = 130, "Ctrl-C; if a session ran, needles measured in."
    OUTPUT_GONE = 141, "Whoever read the output went away; if a session ran, needles measured in."
    TERMINATED = 143, "Asked to end (SIGTERM, terminal closed); needles measured in."


def table() -> str:
    """The codes as lines of text, for the help."""
    return "\n".join(f"{code.value:>5}  {code.meaning}" for code in ExitCode)
