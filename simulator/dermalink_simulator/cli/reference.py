"""Write the reference's simulator.md and faults.schema.json from the vocabularies (`--check`: only compare)."""

import json
import sys
from typing import Final

from dermalink_protocol.generate.files import ROOT, write_or_check
from dermalink_protocol.generate.markdown import code, page, table
from dermalink_simulator.cli.exit_codes import ExitCode
from dermalink_simulator.control.words import REQUIRED, VOCABULARY, Argument
from dermalink_simulator.faults.models import schema
from dermalink_simulator.faults.words import VOCABULARY as FAULTS
from dermalink_simulator.profile import PROFILES

PAGE: Final = ROOT / "docs" / "reference" / "simulator.md"
SCHEMA: Final = PAGE.with_name("faults.schema.json")
INTRODUCTION: Final = "Written from the simulator's own vocabularies; what is not here is refused."
CONTROL: Final = """
The control channel speaks lines of JSON, a request and its answer, or why not:

    {"id": 1, "do": "hand.sweep", "with": {"zone": "nose"}}
    {"id": 1, "result": {"once_ms": 12345}}
    {"id": 1, "error": {"kind": "ControlError", "message": "...", "limit": "...", "advice": "..."}}

After `watch`, events come in between: `{"event": "needles", "out": false, "at_us": 1234567}`, and `powered`,
`motor_turns`, `light`, `faults`, `missed`, `links`, `att_mtu` and `advertising` with `at_ms` and `is`; times are the
pen's own. `faults` is what is on, `missed` what was to begin and could not. `links` is how many hosts are connected by
each door (`tcp`, `pty`, `ble`; `sim` in its own process, `person` a simulated person), `att_mtu` the ATT_MTU of each
link by BLE, and `advertising` whether hosts can find the pen on the air now, null without
a radio. The channel listens on loopback only, and a product has none.
"""


FAULTS_SAY: Final = """
Each takes `after_ms` as well, when it begins; one that lasts takes `for_ms`, how long; one that is drawn by chance
takes `seed`, else the pen's own seed counts. [Breaking a pen](../faults.md) has them in Python, on the control
channel, in pytest and in a file, whose JSON schema is [faults.schema.json](faults.schema.json).
"""


def rendered() -> str:
    """The whole page."""
    return page(
        "The simulator",
        INTRODUCTION,
        "## Words of the control channel",
        CONTROL,
        _words(),
        "## Faults",
        FAULTS_SAY,
        _faults(),
        "## Profiles",
        table(("profile", "what it is"), [(code(profile.name), profile.says) for profile in PROFILES.values()]),
        "## Exit codes of dermalink-sim",
        table(("code", "meaning"), [(one.value, one.meaning) for one in ExitCode]),
    )


def rendered_schema() -> str:
    """The schema of a file of faults."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def _words() -> str:
    return table(
        ("word", "what it does", "with"),
        [(code(word.name), word.says, "; ".join(map(_argument, word.arguments))) for word in VOCABULARY],
    )


def _argument(argument: Argument) -> str:
    if argument.choices:
        span = ", ".join(argument.choices)
    elif argument.flag:
        span = "true or false"
    elif argument.numbers:
        span = "numbers by name"
    else:
        span = "a name" if argument.text else f"{argument.low} to {argument.high}"
    default = "" if argument.default in (REQUIRED, None) else f", else {argument.default}"
    needed = "" if argument.default is REQUIRED else "optional: "
    return f"`{argument.name}` ({needed}{span}{default})"


def _faults() -> str:
    rows = []
    for fault in FAULTS:
        numbers = "; ".join(
            f"`{one.name}` ({one.low} to {one.high}, else {one.default}: {one.says})" for one in fault.parameters
        )
        which = f"1 to {fault.instances}, 0 for any" if fault.instances else ""
        when = "" if fault.once else "lasts"
        drawn = ", drawn" if fault.drawn and when else "drawn" if fault.drawn else ""
        rows.append((code(fault.unit), code(fault.kind), fault.says, numbers, which, when + drawn))
    return table(("unit", "kind", "what happens", "numbers", "instances", "and"), rows)


if __name__ == "__main__":
    sys.exit(write_or_check({PAGE: rendered(), SCHEMA: rendered_schema()}, sys.argv[1:]))
