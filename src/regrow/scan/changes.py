"""What has changed since an earlier scan: what to visit again, and what is still true."""

import os

from regrow.scan.snapshot import Recorder
from regrow_marks.directory import ancestors, join, split
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from regrow.scan.snapshot import Snapshot


class Changes(Recorder):
    """Guides a scan to what has changed, and records it.

    ``visits`` lets the scan visit what has changed, what is new, and the way to both. Afterwards
    ``stays`` returns which earlier findings still hold.
    """

    def __init__(
        self,
        began: int,
        earlier: "Snapshot",
        changed: "Mapping[str, bool]",
        places: "Sequence[str]",
    ) -> None:
        """Prepare it.

        Args:
            began: when the scan began, in nanoseconds since 1970 (UTC).
            earlier: what is known.
            changed: by path, the directories that have changed, and whether another one is there
                by now.
            places: the start directories. They are visited each time: one below another one is
                seen from there, too.
        """
        super().__init__(began)
        self._earlier = earlier
        self.doubtful_ones: set[str] = set()
        """The directories that are looked at whether they have changed or not."""
        self._changed = set(changed)
        self._new = {path for path, is_another in changed.items() if is_another}
        self._route = self._changed.union(places, *map(ancestors, [*changed, *places]))
        self._with_other_hints: set[str] = set()
        self._inodes: dict[str, int] = {}
        """Of the children of directories whose listings decide about them anew."""
        self._verdicts = {"/": False}
        """By path: whether what was known at and below it still holds."""
        for path, _, inode in earlier.rows():
            parent = split(path)[0]
            if not inode:
                self.doubtful_ones.add(path)
            elif path not in earlier.owners and (
                parent in changed or parent in earlier.hinted_ones
            ):
                self._inodes[path] = inode

    def visits(self, parent: str, name: str, is_hinted: bool) -> bool:
        """Return whether a directory is visited; see ``walk.Scan``."""
        path = join(parent, name)
        is_visited = self._is_to_visit(parent, path, is_hinted)
        if not is_visited:
            self._verdicts[path] = True
        return is_visited

    def _is_to_visit(self, parent: str, path: str, is_hinted: bool) -> bool:
        # If a listing has changed, so may have what it says about the directories below it. One
        # that is no longer recognised by that has children that nobody has looked at.
        may_differ = parent in self._changed or parent in self._with_other_hints
        if path in self._new or parent in self._new or (may_differ and not self._is_known(path)):
            self._new.add(path)
            self._changed.add(path)
            return True
        if may_differ and (is_hinted or path in self._earlier.hinted_ones):
            self._with_other_hints.add(path)
            return True
        return path in self._route

    def _is_known(self, path: str) -> bool:
        """Return whether the very same directory is there: one moved here keeps its ctime."""
        try:
            return os.lstat(path).st_ino == self._inodes.get(path)
        except OSError:
            return False

    def looked_at(self, path: str, status: os.stat_result) -> None:
        """See ``observer.Recorder``."""
        super().looked_at(path, status)
        self._verdicts[path] = False

    def doubtful(self, path: str) -> None:
        """See ``observer.Recorder``."""
        super().doubtful(path)
        self._verdicts[path] = False  # perhaps it could not even be opened

    def stays(self, path: str) -> bool:
        """Return whether what was known about a path, and not looked at again, still holds.

        The nearest directory above it that the scan came to decides: it was visited, or left out
        because nothing below it had changed.
        """
        way = []
        while path not in self._verdicts:
            way.append(path)
            path = split(path)[0]
        verdict = self._verdicts[path]
        # The first one is the path itself. Most are asked about once, so it is not kept.
        self._verdicts.update(dict.fromkeys(way[1:], verdict))
        return verdict

    def adopt(self) -> None:
        """Record what the earlier scan has recorded, as far as it still holds."""
        for row in self._earlier.rows():
            if row[0] not in self.owners and self.stays(row[0]):
                self.add_row(row)
        for path, owner in self._earlier.owners.items():
            if self.stays(path):
                self.owners.setdefault(path, owner)
        self.hinted_ones.update(filter(self.stays, self._earlier.hinted_ones))
