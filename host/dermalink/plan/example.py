"""The example plan, as text to edit."""

from typing import Final

EXAMPLE: Final = """\
# A plan for one session, in TOML. Lines that begin with # are for you.
# Check it:  dermalink session check plan.toml
# Run it:    dermalink session run plan.toml --pen URL

plan = 1             # the version of this format

# For all zones, unless a zone says otherwise.
rate_hz = 60         # strokes a second: 50 to 150, and what your pen allows
speed_mm_s = 20      # how fast you mean to move the pen: 10 to 40
                     # Refused is what leaves over 650 punctures per cm2:
                     # rate x needles / (head width x speed).

# One block for each zone:
#   forehead, left_cheek, right_cheek, chin     at most 0.5 mm
#   nose                                        at most 0.25 mm
#   upper_lip, left_under_eye, right_under_eye  at most 0.25 mm, stamp head only
# Eyelids, lips and the inside of the orbital rim are no zones.
#
# A depth says its unit: "0.25 mm" or "250 um", or depth_um = 250.
# It goes from 0.2 mm to 0.5 mm in steps of 0.01 mm. Begin with 0.25 mm.
#
# A zone takes one pass in each direction: vertical, horizontal, diagonal.

[[zone]]
name = "left_cheek"
directions = ["vertical", "horizontal"]
depth = "0.25 mm"

[[zone]]
name = "right_cheek"
directions = ["vertical", "horizontal"]
depth = "0.25 mm"

[[zone]]
name = "nose"
directions = ["vertical"]
depth_um = 250
rate_hz = 50
"""
