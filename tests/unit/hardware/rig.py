"""A simulated pen around the small firmware, with a port to talk to it."""

from dermalink_simulator.hardware.port import PenPort
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.profile import Profile
from dermalink_simulator.seam import FLASH_BYTES
from tests.unit.hardware.small_firmware import SmallFirmware

BLANK = b"\xff" * FLASH_BYTES


class Rig:
    """The pen, every firmware that was started in it, and one connection."""

    def __init__(self, profile: str | Profile = "nominal", seed: int = 1, flash: bytes | bytearray = BLANK) -> None:
        self.started: list[SmallFirmware] = []
        self.pen = SimulatedPen(profile, seed, flash, self._make)
        self.port: PenPort = self.pen.connect()

    def _make(self) -> SmallFirmware:
        self.started.append(SmallFirmware())
        return self.started[-1]

    @property
    def firmware(self) -> SmallFirmware:
        return self.started[-1]

    def say(self, words: str, ms: int = 0) -> None:
        """Send words to the firmware and let time pass."""
        self.port.write(words.encode())
        self.pen.advance(ms)

    def awake(self) -> None:
        """From now on the firmware asks for its main loop every 10 ms."""
        self.firmware.sleep_ms = 10
        self.say("n")

    def run_at(self, um: int, hz: int = 100, ms: int = 500) -> None:
        """Order the drive and let it come to rest."""
        self.firmware.sleep_ms = 10
        self.say(f"o{hz},{um}", ms)

    def out(self) -> bool:
        """Whether needles truly stand out of the head."""
        return self.pen.needles_out
