"""pdm's plugin: the environments that it makes by venv or uv are marked before their first file.

Those that it makes by virtualenv are marked by virtualenv's plugin.
"""

import functools
import os

from regrow.plugins.birth import Birth, attempt
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from pdm.cli.commands.venv.backends import Backend  # type: ignore[import-not-found]
    from pdm.core import Core  # type: ignore[import-not-found]

    from regrow.recipes.recipe import Recipe

_BACKENDS = ("venv", "uv")


def register(core: "Core") -> None:  # noqa: ARG001 - pdm gives it to every plugin
    """Wrap the backends that make environments; pdm calls this when it starts."""
    attempt(_mark_at_birth)


def _mark_at_birth() -> None:
    from pdm.cli.commands.venv.backends import BACKENDS

    for name in _BACKENDS:
        if name in BACKENDS:
            _wrap(BACKENDS[name])


def _wrap(backend_class: "type[Backend]") -> None:
    perform_create = backend_class.perform_create

    @functools.wraps(perform_create)
    def perform_create_marked(
        backend: "Backend", location: "str | os.PathLike[str]", *words: "Any", **more: "Any"
    ) -> None:
        with Birth(os.fspath(location), _recipe(backend)) as birth:
            birth.begin()
            perform_create(backend, location, *words, **more)

    backend_class.perform_create = perform_create_marked


def _recipe(backend: "Backend") -> "Recipe":
    command = ["pdm", "install", "--project", str(backend.project.root)]
    return {"kind": "python", "command": command, "made_by": "pdm"}
