"""A symptom written down where no pen is at hand, or after one was told: it bars sessions either way (SR-SYM-1)."""

from dermalink.journal_file import FileJournal, default_path
from dermalink.records import symptom_said
from dermalink_protocol.zones import Symptom


async def write_down(
    symptom: Symptom, *, told: bool, utc_s: int, pen: str = "", sealed: bool = False, simulated: bool = False
) -> None:
    """Keep it in this person's own journal; one that no pen was `told` is given to the person's pen, before all else.

    `pen` is the serial number of the one that answered, and `sealed` whether it did so under seal: in the clear it is
    told once more to a pen that this computer owns. Raises `JournalError`; `JournalBusy`
    while a session holds the journal (which then keeps it by itself).
    """
    journal = FileJournal(default_path(simulated=simulated))
    try:
        await journal.append(symptom_said(symptom, pen=pen, sealed=sealed, told=told, utc_s=utc_s))
    finally:
        await journal.close()
