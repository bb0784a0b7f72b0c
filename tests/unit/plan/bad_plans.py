"""Plans that are refused, each with what its sentence must say; the command line's tests run them as well."""

from typing import Final, NamedTuple

from dermalink.plan.example import EXAMPLE


class Bad(NamedTuple):
    """A plan's bytes, and words that its refusal must contain."""

    data: bytes
    says: tuple[str, ...]


def zone(
    name: str = "chin", depth: str = 'depth = "0.25 mm"', rest: str = "", directions: str = '["vertical"]'
) -> bytes:
    """A plan with one zone."""
    return f'plan = 1\n[[zone]]\nname = "{name}"\ndirections = {directions}\n{depth}\n{rest}\n'.encode()


SR_DEPTH_1: Final = "SR-DEPTH-1"
UNIT: Final = 'Write depth = "0.25 mm" or depth_um = 250'
NEVER: Final = "do not exist as zones [SR-DEPTH-3]"

BAD: Final = {
    "0.6 mm": Bad(zone(depth='depth = "0.6 mm"'), ("line 5, zone 1, depth", "0.2 mm to 0.5 mm", SR_DEPTH_1)),
    "0.51 mm": Bad(zone(depth='depth = "0.51 mm"'), ("line 5", "0.2 mm to 0.5 mm", SR_DEPTH_1)),
    "501 um": Bad(zone(depth="depth_um = 501"), ("line 5, zone 1, depth_um", "0.5 mm", SR_DEPTH_1)),
    "65535 um": Bad(zone(depth="depth_um = 65535"), ("line 5", "0.5 mm", SR_DEPTH_1)),
    "-0.3 bare": Bad(zone(depth="depth = -0.3"), ("line 5", "bare number -0.3", UNIT)),
    "-0.3 mm": Bad(zone(depth='depth = "-0.3 mm"'), ("line 5", "0.2 mm to 0.5 mm", SR_DEPTH_1)),
    "NaN": Bad(zone(depth="depth = nan"), ("line 5", "bare number nan", UNIT)),
    "NaN text": Bad(zone(depth='depth = "NaN mm"'), ("line 5", "'NaN mm' is no depth", UNIT)),
    "infinity": Bad(zone(depth="depth = inf"), ("bare number inf", UNIT)),
    "no unit": Bad(zone(depth='depth = "0.5"'), ("line 5", "it has no unit", UNIT)),
    "other unit": Bad(zone(depth='depth = "0.05 cm"'), ("line 5", "mm and um are known, 'cm' is not")),
    "bare integer": Bad(zone(depth="depth = 250"), ("bare number 250", UNIT)),
    "true": Bad(zone(depth="depth_um = true"), ("True was refused", SR_DEPTH_1)),
    "float um": Bad(zone(depth="depth_um = 250.0"), ("250.0 was refused", "whole number of um")),
    "text um": Bad(zone(depth='depth_um = "250"'), ("'250' was refused", "whole number of um")),
    "comma": Bad(zone(depth='depth = "0,25 mm"'), ("a decimal has a point",)),
    "half a um": Bad(zone(depth='depth = "0.2505 mm"'), ("whole number of um",)),
    "off the step": Bad(zone(depth='depth = "0.255 mm"'), ("steps of 10 um", "Take 250 um")),
    "zero": Bad(zone(depth='depth = "0 mm"'), ("0.2 mm to 0.5 mm",)),
    "nose at 0.26": Bad(zone("nose", "depth_um = 260"), ("line 5", "on the nose the cap is 250 um", "SR-DEPTH-3")),
    "no depth": Bad(zone(depth=""), ("line 2, zone 1", "there is no depth")),
    "two depths": Bad(zone(rest="depth_um = 250"), ("there are two depths",)),
    "unknown zone": Bad(zone("nosee"), ("line 3, zone 1, name", "Did you mean nose?", "SR-DEPTH-3")),
    "no zone of the face": Bad(zone("arm"), ("'arm' is not known", "Zones are forehead")),
    "eyelids": Bad(zone("eyelids"), ("line 3", NEVER, "left_under_eye")),
    "upper eyelid": Bad(zone("Left upper eyelid"), (NEVER,)),
    "lips": Bad(zone("lips"), (NEVER, "upper_lip (stamp head only)")),
    "lower lip": Bad(zone("lower-lip"), (NEVER,)),
    "inside the rim": Bad(zone("inside the orbital rim"), (NEVER,)),
    "scalp": Bad(zone("scalp"), ("a device made for it", "dermatologist", "SR-DEPTH-3")),
    "cheeks": Bad(zone("cheeks"), ("names two zones", "left_cheek or right_cheek")),
    "zone is a number": Bad(b"plan = 1\n[[zone]]\nname = 5\n", ("5 is no zone's name",)),
    "unknown direction": Bad(zone(directions='["sideways"]'), ("line 4", "'sideways' is not known", "SR-PASS-1")),
    "direction as text": Bad(zone(directions='"vertical"'), ("it is a list",)),
    "no direction": Bad(zone(directions="[]"), ("the list is empty",)),
    "pass twice": Bad(zone(directions='["vertical", "vertical"]'), ("line 4", "planned twice", "SR-PASS-1")),
    "pass twice, apart": Bad(zone() + zone()[9:], ("line 9", "planned twice", "SR-PASS-1")),
    "rate too high": Bad(zone(rest="rate_hz = 151"), ("line 6", "50 to 150 Hz", "SR-RATE-1")),
    "rate as text": Bad(zone(rest='rate_hz = "100 Hz"'), ("whole number of Hz",)),
    "speed too low": Bad(zone(rest="speed_mm_s = 9"), ("10 to 40 mm/s", "SR-PASS-6")),
    "unknown key": Bad(zone(rest="deepth = 1"), ("line 6, zone 1, deepth", "no such key", "Known are name")),
    "no version": Bad(b"[[zone]]\n", ("plan: it is missing", "plan = 1")),
    "other version": Bad(zone().replace(b"plan = 1", b"plan = 2"), ("line 1, plan", "reads plan = 1")),
    "version true": Bad(zone().replace(b"plan = 1", b"plan = true"), ("line 1, plan",)),
    "no zone": Bad(b"plan = 1\n", ("it has no zone", "dermalink session plan")),
    "zone is no table": Bad(b"plan = 1\nzone = 3\n", ("line 2", "zones are tables")),
    "zones empty": Bad(b"plan = 1\nzone = []\n", ("there is no zone",)),
    "empty": Bad(b"", ("it is empty", "dermalink session plan")),
    "only blanks": Bad(b"\n \t\n", ("it is empty",)),
    "no TOML": Bad(b"plan = 1\nnose 0.25 mm\n", ("line 2", "it is no TOML")),
    "unclosed": Bad(b'plan = 1\nname = "nose\n', ("line 2", "it is no TOML")),
    "key twice": Bad(b"plan = 1\nplan = 1\n", ("it is no TOML",)),
    "too deep": Bad(b"plan = " + b"[" * 30_000, ("nested too deeply",)),
    "number too long": Bad(b"plan = " + b"1" * 5_000, ("it is no TOML",)),
    "too long": Bad(b"#" * 70_000, ("it is too long",)),
    "UTF-16": Bad(EXAMPLE.encode("utf-16"), ("it is written in UTF-16", "Save it as UTF-8")),
    "UTF-16, unmarked": Bad(EXAMPLE.encode("utf-16-le"), ("UTF-16", "Save it as UTF-8")),
    "latin-1": Bad(b"plan = 1\n# Ges\xe4\xdf\n", ("line 2", "byte 0xe4 is no UTF-8", "Save it as UTF-8")),
    "binary": Bad(bytes(range(256)), ("UTF-16",)),
}
