"""Whether pip's own settings name indexes, which uv does not read."""

import os
import re
import sys

from regrow_marks.safe_read import read_head

_VARIABLES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX")
_SETTING = re.compile(rb"^\s*(index-url|extra-index-url|find-links|no-index)\s*[=:]", re.MULTILINE)
_LIMIT = 64 * 1024  # bytes of a configuration file


def are_set_for_pip() -> bool:
    """Return whether pip's own settings name indexes.

    What pip has installed from a private index, uv would look for in the public one, where anybody
    may offer something else by that name.
    """
    return any(map(os.environ.get, _VARIABLES)) or any(map(_names_indexes, _files()))


def _files() -> list[str]:
    """Return the paths of pip's configuration files, as its documentation has them."""
    home = os.path.expanduser
    given = os.environ.get("PIP_CONFIG_FILE", "")
    user = os.environ.get("XDG_CONFIG_HOME") or home("~/.config")
    everyones = (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)
    found = [f"{place}/pip/pip.conf" for place in (user, *everyones)]
    if sys.platform == "darwin":
        support = "Library/Application Support/pip/pip.conf"
        found += [home(f"~/{support}"), f"/{support}"]
    return [given, "/etc/pip.conf", home("~/.pip/pip.conf"), *found]


def _names_indexes(file_name: str) -> bool:
    try:
        text = read_head(os.path.realpath(file_name), _LIMIT) or b""
    except (OSError, ValueError):
        return False
    return _SETTING.search(text) is not None
