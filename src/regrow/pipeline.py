"""The steps in their order: record, then mark. There is one implementation of each."""

from regrow import markers, records
from regrow.errors import NewerRecordError, RecordError
from regrow.markers import CACHEDIR_TAG, tag
from regrow.model import FAILED, FOREIGN, HOLDS, Outcome, Record
from regrow.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regrow.config import Configuration
    from regrow.directory import Directory
    from regrow.markers import Marker
    from regrow.records import Store

EXPLICIT = "explicit"
"""The rule in the record of a directory that the user named."""

NO_RECIPE: "dict[str, str | int | bool | list[str]]" = {"kind": "none"}


class Reason(NamedTuple):
    """Why a directory is marked: what its record will say."""

    rule: str = EXPLICIT
    evidence: tuple[str, ...] = ()
    recipe: "dict[str, str | int | bool | list[str]]" = NO_RECIPE


def choose_markers(
    directory: "Directory", configuration: "Configuration", wants_tag: bool | None = None
) -> "tuple[Marker, ...]":
    """Choose the markers that must hold for a directory to be marked.

    Args:
        directory: the directory.
        configuration: the user's settings.
        wants_tag: whether ``CACHEDIR.TAG`` is among them; None: in environments, and where git
            ignores the directory.

    Returns:
        The markers, attributes first.
    """
    chosen = markers.selected(nodump=configuration.nodump)
    if wants_tag is None:
        wants_tag = tag.is_environment(directory) or _is_ignored(directory)
    return (*chosen, markers.marker(CACHEDIR_TAG)) if wants_tag else chosen


def _is_ignored(directory: "Directory") -> bool:
    from regrow import git

    repository = git.repository_of(directory.path)
    return repository is not None and git.ignores(repository, directory.path)


def mark(
    directory: "Directory",
    chosen: "Sequence[Marker]",
    store: "Store",
    reason: Reason,
    path: str | None = None,
) -> dict[str, Outcome]:
    """Record a directory and put the chosen marks on it.

    Args:
        directory: the directory, open.
        chosen: the markers that must hold.
        store: where the record goes.
        reason: why it is marked.
        path: the path that the record names, where the directory has yet to move there; default:
            the directory's own.

    Returns:
        The outcome of each marker, by name.

    Raises:
        RecordError: the record can't be written; no mark was set.
    """
    path = path or directory.path
    # Markers are read before the record: a mark that another regrow sets meanwhile has its record
    # already, and is then found there.
    before = {}
    for marker in chosen:
        try:
            before[marker.name] = marker.read(directory)
        except OSError:
            continue  # setting it will tell
    holding = tuple(name for name, reading in before.items() if reading.state == HOLDS)
    this = records.identity(directory.fd)
    data = store.data(path)
    if data is not None and len(holding) == len(chosen) and records.is_current(data, path, this):
        return {marker.name: markers.put_on(marker, directory) for marker in chosen}

    former = _former(data, path)
    is_same = former is not None and (former.host, former.inode, former.born) == (
        records.host(),
        *this,
    )
    own = tuple(name for name in former.set if name in holding) if former and is_same else ()
    replaced = {
        name: reading.value
        for name, reading in before.items()
        if reading.state == FOREIGN and reading.value is not None
    }
    if former and is_same:
        replaced = former.previous | replaced
    if former and reason.recipe == NO_RECIPE:
        reason = Reason(former.rule, former.evidence, former.recipe)
    record = Record(
        path=path,
        host=records.host(),
        inode=this.inode,
        born=this.born,
        rule=reason.rule,
        evidence=reason.evidence,
        recipe=reason.recipe,
        set=tuple(m.name for m in chosen if m.name in own or m.name not in holding),
        found=tuple(name for name in holding if name not in own),
        previous=replaced,
        state=records.PENDING,
        time=records.now(),
    )
    store.write(record)
    outcomes = {marker.name: markers.put_on(marker, directory) for marker in chosen}
    failed = {name for name, outcome in outcomes.items() if outcome.state == FAILED}
    if failed == set(outcomes) and former is None:
        store.remove(path)
    else:
        store.write(
            record._replace(
                set=tuple(name for name in record.set if name not in failed),
                state=records.PENDING if failed else records.MARKED,
            )
        )
    return outcomes


def _former(data: bytes | None, path: str) -> Record | None:
    """Read the record that is to be replaced; what a damaged one said is lost already."""
    if data is None:
        return None
    try:
        return records.decode(data, records.file_name(path))
    except NewerRecordError:
        raise
    except RecordError:
        return None


def unmark(
    directory: "Directory", store: "Store", configuration: "Configuration"
) -> dict[str, Outcome]:
    """Take regrow's marks off a directory, and its record away.

    Attributes go whoever set them; a tag goes only if it carries regrow's comment line; the nodump
    flag goes only where the configuration asks for it or the record says that regrow set it.

    Args:
        directory: the directory, open.
        store: where its record is.
        configuration: the user's settings.

    Returns:
        The outcome of each marker, by name.
    """
    data = store.data(directory.path)
    former = _former(data, directory.path)
    chosen = markers.by_name(markers.selected(nodump=configuration.nodump))
    for name in (*(former.set if former else ()), CACHEDIR_TAG):
        chosen.setdefault(name, markers.marker(name))
    outcomes = {name: markers.take_off(marker, directory) for name, marker in chosen.items()}
    # The record goes last, and only if nothing that it answers for is left.
    if not any(outcome.state == FAILED for outcome in outcomes.values()):
        store.remove(directory.path)
    return outcomes
