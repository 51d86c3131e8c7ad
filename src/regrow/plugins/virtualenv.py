"""virtualenv's plugin: its environments are recorded and marked before their first file.

virtualenv imports it for every creation, since it is registered as an activator. So it works in
every tool that runs virtualenv: tox, nox, poetry, pdm, hatch, pipenv, pre-commit.
"""

import functools
import os

from virtualenv.activation.activator import Activator

from regrow.plugins.birth import Birth, attempt
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from virtualenv.create.creator import Creator
    from virtualenv.run import Session

    from regrow.recipes.recipe import Recipe


def _mark_at_birth() -> bool:
    """Wrap ``Session.run``, which makes every environment; return True when that is done."""
    from virtualenv.run import Session

    run = Session.run

    @functools.wraps(run)
    def run_marked(session: "Session") -> None:
        birth = attempt(lambda: _birth(session.creator))
        if birth is None:
            run(session)
            return
        with birth:
            run(session)

    Session.run = run_marked  # type: ignore[assignment]
    return True


def _birth(creator: "Creator") -> Birth:
    """Return the birth of an environment, which begins when its creator has done its clearing."""
    birth = Birth(os.fspath(creator.dest), _recipe(creator))
    create = creator.create

    def create_marked() -> None:
        del creator.create
        birth.begin()
        create()

    creator.create = create_marked  # type: ignore[method-assign]
    return birth


def _recipe(creator: "Creator") -> "Recipe":
    python = str(creator.interpreter.system_executable or creator.interpreter.executable)
    command = ["virtualenv", "--python", python, os.fspath(creator.dest)]
    return {"kind": "python", "command": command, "made_by": "virtualenv"}


_MARKS_AT_BIRTH = attempt(_mark_at_birth)


class RegrowActivator(Activator):
    """Writes no script. Marks the environment late if this virtualenv could not be wrapped."""

    def generate(self, creator: "Creator") -> "list[Path]":
        """See ``Activator.generate``; returns no files."""
        if not _MARKS_AT_BIRTH:
            attempt(lambda: _mark_late(creator))
        return []


def _mark_late(creator: "Creator") -> None:
    from regrow.plugins import steps

    steps.mark_made(os.fspath(creator.dest), _recipe(creator))
