"""What a person is told after a session (SR-AFT-1, SR-SAN-2): facts, and no promise of what it does."""

from typing import Final

from dermalink_protocol.limits import INTERVAL_PLANNED_S, INTERVAL_S

DAY_S: Final = 86_400
SKIN_HOURS: Final = 48
REDNESS_HOURS: Final = (24, 72)
COURSE: Final = "A course is 4 to 6 sessions, 3 to 4 weeks apart."


def aftercare() -> tuple[str, ...]:
    """The points in the order in which they matter."""
    earliest, planned = INTERVAL_S // DAY_S, INTERVAL_PLANNED_S // DAY_S
    return (
        "Now: take the head out and put it in a sharps container; a disposable head is never kept or lent.",
        "Wipe the pen's nose, and keep the pen dry and covered.",
        f"For {SKIN_HOURS} hours: no retinol, no vitamin C, no acids, no sun.",
        "Every day: sun protection of SPF 30 or more.",
        f"Redness for {REDNESS_HOURS[0]} to {REDNESS_HOURS[1]} hours is usual.",
        "Pain, bleeding or a rash is not: report it with `dermalink symptom`, and ask a dermatologist.",
        f"Next session: not before {earliest} days from now; {planned} days are the plan. {COURSE}",
    )
