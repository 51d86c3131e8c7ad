"""What ``regrow doctor`` finds: subjects and states. One module per subject does the looking."""

from regrow_marks.plain import NamedTuple

OK = "ok"
TO_DO = "to do"
WRONG = "wrong"
NOT_APPLICABLE = "not applicable"

STATES = {
    OK: "it is as it should be",
    TO_DO: "regrow works, and would do more if something were done",
    WRONG: "something that regrow was asked for does not hold; only this makes the exit code 1",
    NOT_APPLICABLE: "it is not here, or can't be had here",
}
"""By state: what it means, for people."""


class Finding(NamedTuple):
    """One thing that was looked at."""

    subject: str
    """One of ``HEADINGS``."""
    name: str
    state: str
    """One of ``STATES``."""
    text: str
    remedy: str = ""
    """What to do, where something is to be done."""


REGROW = "regrow"
CONFIGURATION = "configuration"
RECORDS = "records"
SERVICE = "service"
MARKER = "marker"
PROGRAM = "program"
CREATOR = "creator"
TOOL = "tool"

HEADINGS = {
    REGROW: "This regrow",
    CONFIGURATION: "Configuration",
    RECORDS: "Records and marks",
    SERVICE: "Watching",
    MARKER: "Markers",
    PROGRAM: "Backup programs",
    CREATOR: "Creators of environments",
    TOOL: "Tools that make environments",
}
"""By subject, in the order in which they are shown."""
