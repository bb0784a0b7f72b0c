"""What a person is told whose Stop is not proved; imports nothing, for Ctrl-C may come before anything is imported."""

LIFT = "Lift the pen straight off the skin and press its button"
NOT_SENT = "Stop was NOT SENT"
NOT_CONFIRMED = "Stop was sent and is NOT CONFIRMED"
INTERRUPTED = f"{LIFT}. {NOT_SENT}: this was interrupted before any pen was found"
