"""Which interpreter an environment has, who made it, and with what settings: pyvenv.cfg."""

import os
import re

from regrow.recipes.distributions import NAME, VERSION
from regrow_marks.directory import join
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from regrow.recipes.recipe import Recipe

_SOURCES = tuple(
    (re.compile(pattern), source)
    for pattern, source in (
        (r"/uv/python/", "uv"),
        (r"pyenv/versions/", "pyenv"),
        (r"/Cellar/python|/homebrew/|/\.linuxbrew/|/usr/local/opt/python@", "Homebrew"),
        (r"^/Library/Frameworks/Python\.framework/", "python.org"),
        (r"/(ana|mini)?conda\d*/|/mini(forge|mamba)[\w-]*/|/mambaforge[\w-]*/", "conda"),
        (r"asdf/installs/", "asdf"),
        (r"/mise/installs/", "mise"),
        (r"^/usr/(?!local/)|^/bin/|^/Library/Developer/|^/Applications/Xcode", "system"),
    )
)


def parse_pyvenv_cfg(text: str) -> dict[str, str]:
    """Return the values of pyvenv.cfg by their keys in lower case."""
    pairs = (line.partition("=") for line in text.split("\n") if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def describe(path: str, settings: dict[str, str]) -> "Recipe":
    """Return what an environment's recipe says of its interpreter and of its creator.

    The path is a true one; the settings are what ``parse_pyvenv_cfg`` returned.
    """
    version = settings.get("version_info") or settings.get("version") or ""
    version = ".".join(version.split(".")[:3])
    implementation = settings.get("implementation", "CPython")
    base = settings.get("base-executable") or settings.get("executable") or ""
    true_path = ""
    if not base:
        home = settings.get("home", "")
        base = true_path = _linked_interpreter(path)
        if home and not os.path.exists(base):
            base, true_path = os.path.join(home, "python3"), ""
    # Each is a word that a creator is given: nothing in it may be an option.
    return {
        "implementation": implementation if NAME.fullmatch(implementation) else "",
        "version": version if VERSION.fullmatch(version) else "",
        "interpreter": base if base.startswith("/") and "\0" not in base else "",
        "interpreter_from": _source(base, true_path),
        "creator": _creator(settings),
        "prompt": _unquoted(settings.get("prompt", "")),
        "system_site_packages": settings.get("include-system-site-packages", "").lower() == "true",
    }


def _linked_interpreter(path: str) -> str:
    """Return what an environment's link to its interpreter leads to in the end."""
    binaries = join(path, "bin")
    interpreter = f"{binaries}/python"
    try:
        target = interpreter if os.path.islink(binaries) else os.readlink(interpreter)
    except OSError:
        return interpreter  # it is no link
    return os.path.realpath(join(binaries, target) if target[0] != "/" else target)


def _source(interpreter: str, true_path: str = "") -> str:
    """Return who installed an interpreter, by its resolved path, else by its path."""
    if not interpreter.startswith("/") or "\0" in interpreter:
        return "other"
    for place in (true_path or os.path.realpath(interpreter), interpreter):
        for pattern, source in _SOURCES:
            if pattern.search(place):
                return source
    return "other"


def _unquoted(text: str) -> str:
    """Return a prompt without the quotation marks that venv puts around it."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _creator(settings: dict[str, str]) -> str:
    for name in ("uv", "virtualenv"):
        if name in settings:
            version = settings[name]
            return f"{name} {version}" if VERSION.fullmatch(version) else f"{name} unknown"
    return "venv"
