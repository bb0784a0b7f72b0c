"""Makes a simulated pen from what a person says: profile, seed, head, and the folder that keeps its state."""

from collections.abc import Container
from pathlib import Path
from typing import Final

from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.hardware.cartridge import HEADS
from dermalink_simulator.pen import SimulatedPen, factory_image
from dermalink_simulator.profile import PROFILES, Profile, profile_named
from dermalink_simulator.runner import PenRunner
from dermalink_simulator.state_folder import Identity, StateFolder

PROFILE_DEFAULT: Final = "nominal"
SEED_MAX: Final = 99_999_999  # eight digits of the serial number
NO_HEAD: Final = "none"


class PenOptionError(DermalinkError, ValueError):
    """An option of a simulated pen that it doesn't have, or a value out of range."""


def check_options(profile: str, seed: int, head: str | None = None) -> None:
    """Raise `PenOptionError` for what no simulated pen can be."""
    if profile not in PROFILES:
        raise PenOptionError(f"profile {profile!r} was refused", limit=f"there are {', '.join(PROFILES)}")
    if not 0 <= seed <= SEED_MAX:
        raise PenOptionError(f"seed {seed} was refused", limit=f"0 to {SEED_MAX}")
    if head is not None and head not in (*HEADS, NO_HEAD):
        raise PenOptionError(f"head {head!r} was refused", limit=f"there are {', '.join((*HEADS, NO_HEAD))}")


def make_pen(profile: str = PROFILE_DEFAULT, seed: int = 0, head: str | None = None) -> SimulatedPen:
    """A factory-new pen; `head` is the kind of cartridge that is fitted, the profile's own when None."""
    check_options(profile, seed, head)
    return _fitted(profile_named(profile), seed, head)


class KeptPen:
    """A pen whose flash and clock live in a state folder; its clock stands still between runs unless it follows."""

    def __init__(self, folder: StateFolder, head: str | None, *, follow_wall: bool) -> None:
        """Made by `open`."""
        self.folder = folder
        profile, clock = profile_named(folder.identity.profile), folder.clock
        if clock is not None:
            away_s = clock.ago_s if follow_wall else 0
            profile = profile._replace(utc_s=clock.utc_s + away_s, ran_s=clock.ran_s + away_s)
        self.pen = _fitted(profile, folder.identity.seed, head, folder)
        if clock is not None and clock.utc_s == 0:
            self.pen.clock.lose()
        self._noted = (0, 0)
        self.note()

    @classmethod
    def open(
        cls,
        path: Path,
        identity: Identity,
        given: Container[str],
        head: str | None = None,
        *,
        follow_wall: bool = False,
    ) -> "KeptPen":
        """Open or make the folder and the pen in it; raises `StateError` or `PenOptionError`."""
        check_options(identity.profile, identity.seed, head)
        folder = StateFolder.open(path, identity, given, lambda known: factory_image(known.profile, known.seed))
        try:
            return cls(folder, head, follow_wall=follow_wall)
        except BaseException:
            folder.close()
            raise

    def follow(self, runner: PenRunner) -> None:
        """Note the pen's clock whenever time has passed in it."""
        runner.after.append(self.note)

    def note(self) -> None:
        """Note the pen's clock; costs nothing while its second lasts."""
        clock = self.pen.clock
        now = (clock.utc_s, clock.ran_s)
        if now != self._noted:
            self._noted = now
            self.folder.note_clock(*now)

    def close(self) -> None:
        """Let the folder go; the pen must not run any more."""
        self.folder.close()


def _fitted(profile: Profile, seed: int, head: str | None, folder: StateFolder | None = None) -> SimulatedPen:
    pen = SimulatedPen(
        profile if head in (None, NO_HEAD) else profile._replace(head=head or ""),
        seed,
        None if folder is None else folder.flash,
    )
    if head == NO_HEAD:
        pen.cartridge.pull()
    return pen
