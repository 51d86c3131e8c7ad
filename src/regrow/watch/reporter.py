"""What a watch reports: each change of a mark, and each problem only once."""

import os

from regrow_marks.model import FAILED
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from regrow.model import Result, Unreadable


class Reporter:
    """Passes on results and problems, unless the path's problem is the one reported before."""

    def __init__(
        self, report: "Callable[[Result], None]", complain: "Callable[[str], None]"
    ) -> None:
        """Prepare it.

        Args:
            report: called with each directory whose marks were changed, or could not be.
            complain: called with a sentence about anything else that is wrong.
        """
        self._report = report
        self.complain = complain
        self._problems: dict[str, str] = {}

    def result(self, result: "Result") -> None:
        """Report what became of a directory."""
        path = result.decision.candidate.path
        if result.outcome == FAILED:
            if self._is_new(path, result.problem):
                self._report(result)
            return
        if not result.notes:
            self._problems.pop(path, None)
        elif not self._is_new(path, result.notes[0]):
            result = result._replace(notes=())
        self._report(result)

    def unreadable(self, findings: "Iterable[Unreadable]") -> None:
        """Report directories that a scan could not read."""
        for finding in findings:
            if self._is_new(finding.path, finding.error):
                self.complain(f"{finding.path}: {finding.error}")

    def failed_look(self, problem: str) -> None:
        """Report that a look at what has changed failed as a whole."""
        if self._is_new("", problem):
            self.complain(f"a look failed, another follows: {problem}")

    def forget_vanished(self) -> None:
        """Forget the problems of paths that are gone."""
        self._problems = {path: p for path, p in self._problems.items() if os.path.lexists(path)}

    def _is_new(self, path: str, problem: str) -> bool:
        """Return whether a path has another problem than before, and remember this one."""
        before = self._problems.get(path)
        self._problems[path] = problem
        return before != problem
