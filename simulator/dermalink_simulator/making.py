"""Makes a simulated pen from what a person says: profile, seed, head, and the folder that keeps its state."""

from collections.abc import Container
from pathlib import Path
from typing import Any, Final

from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.hardware.cartridge import HEADS, Cartridge
from dermalink_simulator.pen import SimulatedPen, factory_image
from dermalink_simulator.profile import PROFILES, profile_named
from dermalink_simulator.runner import PenRunner
from dermalink_simulator.seam import Tag
from dermalink_simulator.state_folder import Identity, StateError, StateFolder

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
    fitted = profile_named(profile)
    pen = SimulatedPen(fitted if head in (None, NO_HEAD) else fitted._replace(head=head), seed)
    if head == NO_HEAD:
        pen.cartridge.pull()
    return pen


class KeptPen:
    """A pen whose flash, clock and head live in a state folder; its clock stands still between runs unless it follows.

    The head that was fitted is fitted again; one that is asked for is a fresh one.
    """

    def __init__(self, folder: StateFolder, head: str | None, *, follow_wall: bool) -> None:
        """Made by `open`."""
        self.folder = folder
        profile, clock = profile_named(folder.identity.profile), folder.clock
        if clock is not None:
            away_s = clock.ago_s if follow_wall else 0
            profile = profile._replace(utc_s=clock.utc_s + away_s, ran_s=clock.ran_s + away_s)
        kept = folder.read("head")
        self.pen = SimulatedPen(profile, folder.identity.seed, folder.flash, power=False)
        if kept is None:
            _fit(self.pen, head)
        else:
            self.pen.cartridge.pull()
            self.pen.cartridge.fitted, was = _heads_from(kept)
            if head is not None:
                _fit(self.pen, head)
            elif was is not None:
                self.pen.cartridge.fit(was)
        if clock is not None and clock.utc_s == 0:
            self.pen.clock.lose()
        self.pen.power.restore()
        self._noted_clock: tuple[int, int] = (0, 0)
        self._noted_head: Cartridge | None = None
        self._noted_fitted = -1
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
        """Note the pen's clock and head; costs nothing while they stay the same."""
        clock, cartridge = self.pen.clock, self.pen.cartridge
        now = (clock.utc_s, clock.ran_s)
        if now != self._noted_clock:
            self._noted_clock = now
            self.folder.note_clock(*now)
        if cartridge.head is not self._noted_head or cartridge.fitted != self._noted_fitted:
            self._noted_head, self._noted_fitted = cartridge.head, cartridge.fitted
            self.folder.write("head", {"fitted": cartridge.fitted, "head": _as_record(cartridge.head)})

    def close(self) -> None:
        """Let the folder go; the pen must not run any more."""
        self.folder.close()


def _fit(pen: SimulatedPen, head: str | None) -> None:
    """Fit a fresh head of that kind; None leaves what the profile has."""
    if head == NO_HEAD:
        pen.cartridge.pull()
    elif head is not None:
        pen.cartridge.fit(head)


def _as_record(head: Cartridge | None) -> dict[str, Any] | None:
    if head is None:
        return None
    tag = None if head.tag is None else head.tag._asdict() | {"tag_id": head.tag.tag_id.hex()}
    return head._asdict() | {"tag": tag}


def _heads_from(kept: dict[str, Any]) -> tuple[int, Cartridge | None]:
    """How many heads there were, and the one that is fitted; raises `StateError` for what is no such record."""
    try:
        fitted, record = int(kept["fitted"]), kept["head"]
        if record is None:
            return fitted, None
        tag = record["tag"]
        known = None if tag is None else Tag(**(tag | {"tag_id": bytes.fromhex(tag["tag_id"])}))
        return fitted, Cartridge(**(record | {"tag": known}))
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(
            "The state folder was refused", limit="head.json holds no head", advice="Use another folder"
        ) from error
