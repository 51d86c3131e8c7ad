"""tox's plugin: marks the environments that virtualenv's plugin does not see being made.

They are those of tox-uv, and those for old Pythons, for which tox runs an older virtualenv in a
process of its own.
"""

import pluggy

from regrow.plugins.birth import attempt
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from tox.tox_env.api import ToxEnv  # type: ignore[import-not-found]

    from regrow.recipes.recipe import Recipe

# Optional: tox 3 has other hooks, and its environments are made by virtualenv.
_hook = pluggy.HookimplMarker("tox")(optionalhook=True)


@_hook
def tox_on_install(tox_env: "ToxEnv") -> None:
    """Called before packages go into an environment, which stands by then."""
    attempt(lambda: _mark(tox_env))


@_hook
def tox_before_run_commands(tox_env: "ToxEnv") -> None:
    """Called when all packages are in: the record says how they come back."""
    attempt(lambda: _mark(tox_env))


def _mark(tox_env: "ToxEnv") -> None:
    from regrow.plugins import steps

    name = tox_env.conf.name
    command = ["tox", "run", "--notest", "-c", str(tox_env.core["tox_root"]), "-e", name]
    recipe: Recipe = {"kind": "python", "command": command, "made_by": "tox"}
    steps.mark_made(str(tox_env.env_dir), recipe)
