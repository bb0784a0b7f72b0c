"""Named profiles: what a simulated pen is made of, as data."""

from typing import Final, NamedTuple

from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.hardware.physics import Physics

# A summer day of the example pen's calibration year, 2026-06-01T00:00:00Z.
START_UTC_S: Final = 1_780_272_000


class UnknownProfileError(DermalinkError):
    """No profile has that name."""


class Profile(NamedTuple):
    """A kind of pen. `control_channel` is False in a product: no faults, no tester's door (SR-SEC-4).

    `owners_only` is True where nobody runs it before it is paired, as a product is in any case (SR-OWN-1).
    `utc_s` and `ran_s` are what its clock chip shows and has counted when the simulation begins.
    """

    name: str
    says: str
    physics: Physics = Physics()
    control_channel: bool = True
    owners_only: bool = False
    battery_percent: int = 100
    head: str = "glide"
    utc_s: int = START_UTC_S
    ran_s: int = 0


PROFILES: Final = {
    profile.name: profile
    for profile in (
        Profile("nominal", "An ordinary pen with ordinary noise, with a control channel for tests."),
        Profile(
            "boxed",
            "As it comes out of the box: nobody runs it before it is paired; with a control channel for tests.",
            owners_only=True,
        ),
        Profile(
            "product",
            "The same pen as it would be sold: no control channel.",
            control_channel=False,
            owners_only=True,
        ),
        Profile(
            "exact",
            "No noise, no error, a head that sits perfectly.",
            Physics(drive_error_um=0, seat_sigma_um=0, sensor_noise_um=0, feedback_noise_um=0, force_noise_mn=0),
        ),
        Profile(
            "loose",
            "The widest tolerance and accuracy that get any therapy, and skin that gives nothing.",
            Physics(
                drive_tolerance_um=50,
                sensor_accuracy_um=25,
                drive_error_um=25,
                seat_sigma_um=6,
                sensor_noise_um=8,
                feedback_noise_um=2,
                skin_takes_permille=1_000,
            ),
        ),
        Profile("undeclared", "A pen that declares no tolerance: it gets no therapy.", Physics(drive_tolerance_um=0)),
        Profile("imprecise", "A pen that declares 60 µm: it gets no therapy.", Physics(drive_tolerance_um=60)),
    )
}


def profile_named(name: str) -> Profile:
    """The profile of that name; raises `UnknownProfileError`."""
    profile = PROFILES.get(name)
    if profile is None:
        raise UnknownProfileError(f"profile {name!r} was refused", limit=f"there are {', '.join(PROFILES)}")
    return profile
