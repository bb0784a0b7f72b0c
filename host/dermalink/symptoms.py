"""A symptom written down where no pen is at hand, or after one was told: it bars sessions either way (SR-SYM-1)."""

from dermalink.journal_file import FileJournal, default_path
from dermalink.records import SymptomSaid
from dermalink_protocol.zones import Symptom


async def write_down(symptom: Symptom, *, told: bool, utc_s: int, pen: str = "", simulated: bool = False) -> None:
    """Keep it in this person's own journal; one that no pen was `told` is given to the next pen, before all else.

    Raises `JournalError`, `JournalBusy` while a session holds the journal (which then keeps it by itself).
    """
    journal = FileJournal(default_path(simulated=simulated))
    try:
        await journal.append(SymptomSaid(pen=pen, utc_s=utc_s, symptom=int(symptom), told=told))
    finally:
        await journal.close()
