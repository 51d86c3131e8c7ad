"""What people should read of a task before they say yes: where what is installed comes from."""

import os
import re

from regrow.recipes import harmless
from regrow_marks.directory import ancestors, join
from regrow_marks.plain import TYPE_CHECKING
from regrow_marks.safe_read import LOCK_LIMIT, TEXT_LIMIT, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from regrow.model import Record

# In the locks of npm, yarn 1, pnpm and bun.
_RESOLVED = re.compile(rb"(?:resolved|tarball)[\"']?:?[ \t]*[\"']?([a-z+]+://[^\s\"'#?,}]+)")
_HOST = re.compile(r"[a-z+]+://[^/]*")
_ADDRESS = re.compile(r"(?:https?|file)://[^\s\"']+")
_TABLES = ("[tool.uv]", "[[tool.uv.index]]", "[tool.uv.pip]")
_MOST = 20  # addresses of one kind that are shown


def of(record: "Record", directory: str) -> list[str]:
    """Return what is said of a task.

    Args:
        record: the record, of a form that regrow writes.
        directory: where the commands are run.

    Returns:
        A sentence for every editable and for every address that is named, those of the project's
        settings included. A tool's own index is named by locks and conda's lists alone.
    """
    found: list[str] = []
    requirements = record.recipe.get("requirements", ())
    for line in requirements if isinstance(requirements, list) else ():
        if line.startswith("-e "):
            found.append(f"editable: {line.removeprefix('-e ')}")
        elif " @ " in line:
            found.append(f"not from an index: {line}")
    explicit = record.recipe.get("explicit", ())
    lines = [line for line in explicit if "://" in line] if isinstance(explicit, list) else []
    channels = dict.fromkeys(line.rpartition("/")[0].rpartition("/")[0] for line in lines)
    found += _shown("channel", channels)
    if record.recipe.get("kind") == "node":
        lock = record.recipe.get("lock")
        content = _content(str(lock)) if str(lock).startswith("/") else b""
        hosts = (_HOST.match(os.fsdecode(one)) for one in _RESOLVED.findall(content))
        found += _shown("packages from", dict.fromkeys(host[0] for host in hosts if host))
        found += _shown("set by .npmrc", _addresses(_text(join(directory, ".npmrc"))))
    if requirements:
        found += _of_uv(directory)
    found += without(record)
    return [harmless.text(line)[0] for line in found]


def without(record: "Record") -> list[str]:
    """Return what a record lacks, for it may be a secret: whoever rebuilds has to supply it."""
    cut = record.recipe.get("cut")
    if not isinstance(cut, list) or not cut:
        return []
    names = ", ".join(map(str, cut))
    kind = record.recipe.get("kind")
    if kind in ("cmake", "meson"):
        return [f"without options that may be secrets, and are not recorded: {names}"]
    return [f"the credentials are not recorded of: {names}; the tool's own settings need them"]


def _shown(what: str, addresses: "dict[str, None]") -> list[str]:
    found = list(addresses)
    more = [f"{what}: {len(found) - _MOST} more"] if len(found) > _MOST else []
    return [f"{what}: {address}" for address in found[:_MOST]] + more


def _of_uv(directory: str) -> list[str]:
    """Return the indexes that a project's settings name: uv takes the nearest."""
    for place in (directory, *ancestors(directory)):
        for name in ("uv.toml", "pyproject.toml"):
            text = _text(join(place, name))
            if name == "pyproject.toml":
                text = "\n".join(_lines_of_uv(text))
            addresses = _addresses(text)
            if addresses:
                return _shown(f"set by {name}", addresses)
    return []


def _lines_of_uv(text: str) -> "Iterator[str]":
    is_uvs = False
    for line in text.split("\n"):
        if line.startswith("["):
            is_uvs = line.partition("#")[0].strip().replace(" ", "") in _TABLES
        elif is_uvs:
            yield line


def _addresses(text: str) -> "dict[str, None]":
    lines = (line for line in text.split("\n") if not line.lstrip().startswith(("#", ";")))
    return dict.fromkeys(address for line in lines for address in _ADDRESS.findall(line))


def _text(path: str) -> str:
    try:
        return os.fsdecode(read(path, TEXT_LIMIT) or b"")
    except (OSError, ValueError):
        return ""  # the tool will say so


def _content(path: str) -> bytes:
    try:
        return read(path, LOCK_LIMIT) or b""
    except (OSError, ValueError):
        return b""
