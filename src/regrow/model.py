"""The data that pass from one step of the pipeline to the next: plain and immutable."""

import os

from regrow_marks.model import ALREADY_MARKED, FAILED, MARKED, NOT_MARKED, UNMARKED, Outcome
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from regrow.config import Configuration
    from regrow.recipes.recipe import Recipe, RecipeResult

KEPT = "kept"
VANISHED = "vanished"


class Record(NamedTuple):
    """One directory that regrow marked: the recipe and the journal."""

    path: str
    host: str
    inode: int
    born: int | None
    """Birth time in nanoseconds since 1970 (UTC); None where the file system keeps none."""
    rule: str
    """The rule that recognised it, or ``explicit`` where the user named the directory."""
    evidence: tuple[str, ...]
    recipe: "Recipe"
    """What brings it back, ``kind`` first; ``{"kind": "none"}`` where nothing is known."""
    set: tuple[str, ...]
    """The markers that regrow set itself: what undo may take away."""
    found: tuple[str, ...]
    """The markers that held already."""
    previous: dict[str, bytes]
    """By marker: the foreign value that regrow replaced."""
    state: str
    """``pending`` from before the first mark until all of them hold, then ``marked``."""
    time: int
    """When this record was written, in seconds since 1970 (UTC)."""
    modified: int | None = None
    """When the directory was modified last before regrow touched it, in nanoseconds since 1970."""
    mount: str = ""
    """Where the file system is mounted that it was recorded on; empty: an older regrow wrote it."""
    awaited: int | None = None
    """The stamp of what stands there, where that is less than the recipe lists; else None."""


class Rule(NamedTuple):
    """One kind of rebuildable directory, as data."""

    name: str
    directory: str
    """A name, or a path from the project directory; globs in the last component only."""
    ecosystem: str = ""
    beside: tuple[str, ...] = ()
    """Any of these beside it (for a path: in the project directory). A trailing ``/`` means a
    directory, anything else a regular file; a link is neither."""
    beside_all: tuple[str, ...] = ()
    """All of these beside it."""
    inside: tuple[str, ...] = ()
    """Any of these directly inside it."""
    inside_all: tuple[str, ...] = ()
    """All of these directly inside it."""
    inside_none: tuple[str, ...] = ()
    """None of these may be inside it."""
    only: tuple[str, ...] = ()
    """No entry but these may be directly inside it; empty: any may. See ``contents.strangers``."""
    makes: tuple[str, ...] = ()
    """What the tool makes directly inside it. Another entry keeps it, unless git ignores it: what
    a build makes can have any name."""
    targets: str = ""
    """What has the name of something that the tool makes in its own: ``CMakeFiles/*.dir/``."""
    source_outside: str = ""
    """The variable of CMakeCache.txt that must name a directory outside the match."""
    generic: bool = False
    """The name is a common word: the inside evidence decides, or git has to ignore it."""
    output: bool = False
    """People publish it: never write a tag into it."""
    recipe: str = "command"
    """``command`` where the command alone is enough; else the recipe that has to be taken."""
    command: str = ""
    """What brings it back, as a person types it in the project directory."""
    manual: bool = False
    """The command wants an argument that only the project knows: regrow never runs it."""
    documentation: str = ""
    """The page that says so."""
    note: str = ""
    home: bool = False
    """The path counts from the home directory, and only where the configuration names it."""
    container: bool = False
    """With ``home``: a tool keeps environments in it, and it counts without being named. Its own
    mark covers those that the tool makes anew; each has a record of its own."""
    keep: str = ""
    """Not empty: it stays in the backup, for this reason."""

    @property
    def has_path(self) -> bool:
        """Whether the rule names a path below the project directory, not a name beside evidence."""
        return "/" in self.directory


class Candidate(NamedTuple):
    """A directory and the rule that recognised it."""

    path: str
    rule: Rule
    project: str
    """Where the evidence beside stands; the parent directory, where there is none."""
    evidence: tuple[str, ...]
    """The names that were found, with ``inside/`` before those that stand inside."""
    decisive: bool
    """Whether the contents identify the directory despite its generic name."""
    device: int
    inode: int
    foreign: str = ""
    """What stands directly inside that the rule's tool does not make: the first names."""
    kept_by: Rule | None = None
    """A rule that says to keep this very directory, where there is one."""


def true_paths(paths: "Iterable[str]") -> list[str]:
    """Return directories as the kernel names them; ``~`` stands for the home directory."""
    return [os.path.realpath(os.path.expanduser(path)) for path in paths]


class Scope(NamedTuple):
    """Where to look for what can be rebuilt, and by which settings."""

    start: "Sequence[str]"
    """The start directories, as the user names them."""
    configuration: "Configuration"
    rules: "Sequence[Rule]"
    keep: "Sequence[str]" = ()
    """Patterns besides the configuration's."""

    @property
    def places(self) -> list[str]:
        """The start directories' true paths."""
        return true_paths(self.start)


class Unreadable(NamedTuple):
    """A directory that a scan could not read."""

    path: str
    error: str
    """Why, in words."""


class Survey(NamedTuple):
    """What a scan found."""

    findings: "Sequence[Candidate | Unreadable]"
    read: int
    """How many directories were read."""
    unchanged: int = 0
    """How many were as an earlier scan had left them."""
    signed: "Sequence[str]" = ()
    """The paths of the directories that carry regrow's signature."""
    is_whole: bool = True
    """Whether all below the start directories was looked at."""


NO_RECIPE: "Recipe" = {"kind": "none"}

EXPLICIT = "explicit"
"""The rule in the record of a directory that the user named."""

MARK = "mark"
KEEP = "keep"
MARKED_ALREADY = "marked already"
TAKE_BACK = "take back"

FAILURE = "failure"
"""In place of a guard's name: to look at it failed."""


class Decision(NamedTuple):
    """Mark, or keep with the reason."""

    candidate: Candidate
    decision: str
    """``MARK``, ``MARKED_ALREADY``, ``KEEP``, or ``TAKE_BACK``: keep what regrow marked earlier."""
    guard: str = ""
    """The guard that keeps it."""
    reason: str = ""
    """Why it is kept, as a sentence for people."""
    recipe: "RecipeResult | None" = None
    """What brings it back, where it is not kept."""
    markers: tuple[str, ...] = ()
    """The markers that must hold, by name, where it is not kept."""


class Plan(NamedTuple):
    """What is to be done with what a scan found."""

    decisions: "Sequence[Decision]"
    moved: "Sequence[str]" = ()
    """The directories whose records are to follow them."""
    unreadable: "Sequence[Unreadable]" = ()
    read: int = 0
    """How many directories were read."""
    unchanged: int = 0
    """How many were as an earlier scan had left them."""


class Result(NamedTuple):
    """What became of a decision."""

    decision: Decision
    outcome: str
    """``MARKED``, ``ALREADY_MARKED``, ``UNMARKED``, ``KEPT``, ``VANISHED`` or ``FAILED``."""
    outcomes: dict[str, Outcome] = {}  # noqa: RUF012 - nobody changes it
    """By marker."""
    error: str = ""
    """Why it failed, or what happened to it, in words."""
    notes: tuple[str, ...] = ()
    """What people should read about it besides, as sentences without its path."""

    @property
    def change(self) -> str:
        """What changed about the directory, as a sentence for people; empty: nothing did."""
        candidate = self.decision.candidate
        if self.outcome == MARKED:
            done = f"{candidate.path} is left out of backups ({candidate.rule.command})"
            return "; ".join((done, *self.notes))
        if self.outcome == UNMARKED:
            return f"{candidate.path} is backed up again: {self.decision.reason}"
        return ""

    @property
    def problem(self) -> str:
        """Why it failed, as a sentence for people, with the path."""
        if self.error:
            return self.error
        errors = [outcome.error for outcome in self.outcomes.values() if outcome.error]
        return f"{self.decision.candidate.path}: {'; '.join(errors)}"


def summed_up(outcomes: dict[str, Outcome], done: str) -> str:
    """Return one word for a directory: failed if any marker failed, changed if any was changed.

    Args:
        outcomes: by marker.
        done: ``MARKED`` or ``UNMARKED``: what was to be done.
    """
    states = {outcome.state for outcome in outcomes.values()}
    if FAILED in states:
        return FAILED
    if done in states:
        return done
    return ALREADY_MARKED if done == MARKED else NOT_MARKED
