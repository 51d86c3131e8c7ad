"""What people should read of a task before they say yes: where its packages come from."""

import os
import re

from regrow.recipes import harmless
from regrow.recipes.compare import texts
from regrow_marks.directory import ancestors, join
from regrow_marks.plain import TYPE_CHECKING
from regrow_marks.safe_read import LOCK_LIMIT, TEXT_LIMIT, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from regrow.model import Record

# In the locks of npm, yarn 1, pnpm and bun.
_RESOLVED = re.compile(rb"(?:resolved|tarball)[\"']?:?[ \t]*[\"']?([a-z+]+://[^\s\"'#?,}]+)")
_HOST = re.compile(r"[a-z+]+://[^/]*")
_ADDRESS = re.compile(rb"(?:https?|file)://[^\s\"']+")
_TABLES = (b"[tool.uv]", b"[[tool.uv.index]]", b"[tool.uv.pip]")
_MOST = 20  # addresses of one kind that are shown


def of(record: "Record", directory: str) -> list[str]:
    """Return what the plan says of a task whose commands run in *directory*.

    There is a sentence for every editable and for every address that is named, those of the
    project's settings included. A tool's own index is named by locks and conda's lists alone.
    """
    found: list[str] = []
    requirements = texts(record.recipe, "requirements")
    for line in requirements:
        if line.startswith("-e "):
            found.append(f"editable: {line.removeprefix('-e ')}")
        elif " @ " in line:
            found.append(f"not from an index: {line}")
    lines = [line for line in texts(record.recipe, "explicit") if "://" in line]
    channels = dict.fromkeys(line.rpartition("/")[0].rpartition("/")[0] for line in lines)
    found += _shown("channel", channels)
    if record.recipe.get("kind") == "node":
        lock = record.recipe.get("lock")
        content = _read(str(lock), LOCK_LIMIT) if str(lock).startswith("/") else b""
        hosts = (_HOST.match(os.fsdecode(one)) for one in _RESOLVED.findall(content))
        found += _shown("packages from", dict.fromkeys(host[0] for host in hosts if host))
        found += _shown("set by .npmrc", _addresses(_read(join(directory, ".npmrc"))))
    if requirements:
        found += _of_uv(directory)
    found += without(record)
    return [harmless.text(line)[0] for line in found]


def without(record: "Record") -> list[str]:
    """Return what is not recorded because it may be secret: whoever rebuilds has to supply it."""
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
            content = _read(join(place, name))
            if name == "pyproject.toml":
                content = b"\n".join(_lines_of_uv(content))
            addresses = _addresses(content)
            if addresses:
                return _shown(f"set by {name}", addresses)
    return []


def _lines_of_uv(content: bytes) -> "Iterator[bytes]":
    """Yield the lines of a pyproject.toml that are uv's."""
    is_uvs = False
    for line in content.split(b"\n"):
        if line.startswith(b"["):
            is_uvs = line.partition(b"#")[0].strip().replace(b" ", b"") in _TABLES
        elif is_uvs:
            yield line


def _addresses(content: bytes) -> "dict[str, None]":
    """Return the addresses in a file of settings, comments aside, in their order."""
    lines = (line for line in content.split(b"\n") if not line.lstrip().startswith((b"#", b";")))
    return dict.fromkeys(os.fsdecode(one) for line in lines for one in _ADDRESS.findall(line))


def _read(path: str, limit: int = TEXT_LIMIT) -> bytes:
    try:
        return read(path, limit) or b""
    except (OSError, ValueError):
        return b""  # the tool will say so
