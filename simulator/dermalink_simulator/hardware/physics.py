"""The physical numbers of the simulated pen, each with its unit in the name and its source in the text.

Where no source is named the number is an assumption of the project's table of numbers for the simulation, or of
this model: plausible for a small brushed motor and a lead-screw carriage, measured on no device.
"""

from typing import Final, NamedTuple

from dermalink_simulator.seam import EXERCISE_STOP_UM

# The parked carriage stands this far below the head's face: above the self-test's stop there must be a gap left.
PARKED_UM: Final = -(EXERCISE_STOP_UM + 100)
HEAD_WIDTH_UM: Final = 6_000
HEAD_FACE_MM2: Final = 28
NEEDLES: Final = 12


class Physics(NamedTuple):
    """One pen's body.

    `drive_tolerance_um` and `sensor_accuracy_um` are what the maker declares; the head's part of the tolerance is what
    is left when `drive_error_um` (greatest error of the carriage) is taken off. `seat_sigma_um` is the spread of a
    seated head, cut at that part. `sensor_noise_um` and `feedback_noise_um` are the greatest noise of a reading.
    `spring_ms` is a retraction from anywhere; a spring's time does not depend on how far it is drawn. `slew_um_ms` is
    the carriage's speed outwards, `spin_up_ms` the motor's time constant (99 % after 4.6 of them, so that the 300 ms of
    SR-RATE-1 suffice), `brake_ms` that of braking with the winding shorted. `skin_takes_permille` is how much of the
    protrusion gets into skin (300 to 1 000; every safety argument takes 1 000).
    """

    drive_tolerance_um: int = 30
    sensor_accuracy_um: int = 20
    drive_error_um: int = 8
    seat_sigma_um: int = 12
    sensor_noise_um: int = 3
    feedback_noise_um: int = 1
    spring_ms: int = 15
    slew_um_ms: int = 40
    spin_up_ms: int = 50
    brake_ms: int = 3
    skin_takes_permille: int = 500
    force_noise_mn: int = 60
    contact_from_mn: int = 50
    battery_mah: int = 1_000
    electronics_ma: int = 8
    motor_ma_100hz: int = 220
    tag_read_ms: int = 8
    flash_page_bytes: int = 256
    flash_page_ms: int = 1
    flash_erase_ms: int = 45
    restart_ms: int = 200
    hard_watchdog_ms: int = 500

    @property
    def seat_limit_um(self) -> int:
        """The head's part of the declared tolerance, in µm; a seat beyond it is a fault (SR-DEPTH-6)."""
        return max(0, self.drive_tolerance_um - self.drive_error_um)
