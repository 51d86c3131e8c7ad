"""``EnvBuilder``: the standard library's, whose environments are marked before their first file."""

import os
import venv

import regrow_marks
from regrow.decide.refusals import version_control_inside
from regrow_marks.directory import holds_file, is_empty, open_directory
from regrow_marks.errors import PathError
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from types import SimpleNamespace

    from regrow_marks.directory import StrOrBytesPath
    from regrow_marks.model import Outcome


class EnvBuilder(venv.EnvBuilder):
    """Makes environments as ``venv.EnvBuilder`` does, and backup programs leave them out.

    The attributes are on the directory before its first file, and the ``CACHEDIR.TAG`` comes last.
    A directory that holds other files than an environment's, or version control anywhere, is not
    marked: somebody may need them.
    Like all calls of the library it writes no record.

    Example:
        >>> import regrow, tempfile
        >>> builder = regrow.EnvBuilder(symlinks=True)
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     builder.create(f"{directory}/.venv")
        >>> builder.outcomes["cachedir-tag"].state
        'marked'
    """

    outcomes: "dict[str, Outcome]"
    """By marker name: what became of it in the last environment made; empty: it was not marked."""

    def create(self, env_dir: "StrOrBytesPath") -> None:
        """Make an environment; see ``venv.EnvBuilder.create``.

        A mark that can't be set raises nothing: ``outcomes`` says so.

        Args:
            env_dir: where it is made; parents that are missing are made as well.
        """
        self.outcomes = {}
        super().create(env_dir)
        if self.outcomes:
            self.outcomes |= regrow_marks.exclude(env_dir, tag=True)

    def ensure_directories(self, env_dir: "StrOrBytesPath") -> "SimpleNamespace":
        """Make the directories of an environment, the outermost marked; ``create`` calls it."""
        path = os.path.abspath(os.fsdecode(env_dir))
        was_there = os.path.lexists(path)
        try:
            self.outcomes = self._mark(path)
        except PathError:
            pass  # venv itself reports what is wrong with the path
        try:
            return super().ensure_directories(env_dir)
        except BaseException:
            if self.outcomes and not was_there:
                os.rmdir(path)
            raise

    def _mark(self, path: str) -> "dict[str, Outcome]":
        if not os.path.lexists(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            return regrow_marks.create(path)
        with open_directory(path) as directory:
            is_replaceable = self.clear or is_empty(directory)
            if not is_replaceable and not holds_file(directory, "pyvenv.cfg"):
                return {}
            if not is_replaceable and version_control_inside(directory):
                return {}
        return regrow_marks.exclude(path, tag=False)
