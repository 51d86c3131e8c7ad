"""What is installed in an environment's site-packages: each distribution's requirement.

Everything is read from metadata (PEP 376, PEP 610, the core metadata specification).
"""

import os
import re
import stat
from functools import lru_cache

from regrow.recipes import harmless
from regrow.recipes.files import names_in, parse_json
from regrow.recipes.recipe import CUT, RecipeError
from regrow_marks.directory import join
from regrow_marks.plain import TYPE_CHECKING, NamedTuple
from regrow_marks.safe_read import read, read_head

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Any

SEEDS = frozenset(("pip", "setuptools", "wheel"))
"""What creators put into an environment by themselves."""

# PEP 508 and PEP 440 say what names and versions may be; anything else could be an option.
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")

HEAD = 8192  # bytes of METADATA: name and version stand in its first lines
_HEADER = re.compile(
    rb"^(?:(name|version)[ \t\r\f\v]*:(.*)|[ \t\r\f\v]*)$", re.MULTILINE | re.IGNORECASE
)
_REMEMBERED = 4096  # names of distributions: the same come in one environment after the other
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Distribution(NamedTuple):
    """One installed distribution."""

    name: str
    version: str
    requirement: str
    """The line that installs it."""
    is_pinned: bool
    """Whether the line is ``name==version``; else it has an address of its own."""
    source: str = ""
    """The local directory or file that it was installed from."""


@lru_cache(_REMEMBERED)
def canonical(name: str) -> str:
    """Return a distribution's name as indexes normalise it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def site_packages(path: str) -> list[str]:
    """Return an environment's site-packages, without those behind links: they are not its own."""
    found = []
    for library in ("lib", "lib64"):
        base = join(path, library)
        if not _is_directory(base):
            continue
        with os.scandir(base) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        for name in sorted(names):
            place = f"{base}/{name}/site-packages"
            if name.startswith(("python", "pypy")) and _is_directory(place):
                found.append(place)
    windows = os.path.join(path, "Lib", "site-packages")
    if not found and os.path.isdir(windows):
        found.append(windows)
    return found


def _is_directory(path: str) -> bool:
    """Return whether a directory is there; a link is none."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def read_distributions(
    place: str, remarks: list[str], owned: "Collection[str]" = ()
) -> list[Distribution]:
    """Return what is installed in one site-packages.

    Args:
        place: the directory.
        remarks: sentences for people are added here.
        owned: the entries that are left out, for another package manager brings them back.

    Raises:
        RecipeError: a distribution has no name or version, or one that can't be written down.
        OSError, ValueError: the metadata can't be read.
    """
    found = []
    fd = os.open(place, DIRECTORY)
    try:
        for entry in sorted(names_in(fd)):
            if entry in owned or entry.startswith("~"):  # what pip is removing, or failed to
                continue
            if entry.endswith(".dist-info"):
                found.append(_from_dist_info(fd, entry, remarks))
            elif entry.endswith(".egg-info"):
                inside = os.path.isdir(f"{place}/{entry}")
                head = read_head(f"{entry}/PKG-INFO" if inside else entry, HEAD, fd)
                found.append(_pinned(*name_and_version(head, entry)))
            elif entry.endswith(".egg") and os.path.isdir(f"{place}/{entry}"):
                head = read_head(f"{entry}/EGG-INFO/PKG-INFO", HEAD, fd)
                found.append(_pinned(*name_and_version(head, entry)))
            elif entry.endswith(".egg-link"):
                found.append(_from_egg_link(fd, entry))
    finally:
        os.close(fd)
    return found


def check_reinstallable(distributions: "Sequence[Distribution]", environment: str) -> None:
    """Reject distributions that cannot be reinstalled from their requirements.

    Raises:
        RecipeError: a distribution is there in two versions, or came from a local place that is
            gone, or would go with the environment.
    """
    inside = os.path.realpath(environment).rstrip("/") + "/"
    versions: dict[str, Distribution] = {}
    for one in distributions:
        other = versions.setdefault(canonical(one.name), one)
        if other.requirement != one.requirement:
            raise RecipeError(
                f"{one.name} is in it twice: {other.requirement} and {one.requirement}"
            )
        if one.source and not os.path.exists(one.source):
            raise RecipeError(f"{one.name} was installed from {one.source}, which is gone")
        if one.source and os.path.realpath(one.source).startswith(inside):
            raise RecipeError(f"{one.name} was installed from {one.source}, which is inside it")


def _pinned(name: str, version: str) -> Distribution:
    return Distribution(name, version, f"{name}=={version}", True)


def _from_dist_info(place: int, entry: str, remarks: list[str]) -> Distribution:
    name, version = name_and_version(read_head(f"{entry}/METADATA", HEAD, place), entry)
    origin = read(f"{entry}/direct_url.json", place=place)
    if origin is None:
        return _pinned(name, version)
    try:
        requirement, source = _from_direct_url(name, origin, remarks)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # No KeyError's or TypeError's text is a sentence.
        why = str(error) if isinstance(error, ValueError) else "it is not as PEP 610 has it"
        raise RecipeError(f"where {name} comes from can't be read: {why}") from error
    return Distribution(name, version, requirement, False, source)


def name_and_version(head: bytes | None, entry: str) -> tuple[str, str]:
    """Return the headers Name and Version, which the core metadata specification requires.

    Args:
        head: the first ``HEAD`` bytes of the metadata; None: there are none.
        entry: the name of the distribution's directory, for messages.

    Raises:
        RecipeError: one is missing, or can't be part of a requirement.
    """
    if head is None:
        raise RecipeError(f"{entry} in it says neither name nor version")
    values: dict[bytes, str] = {}
    for header in _HEADER.finditer(head):
        key, value = header.groups()
        if key is None or header.end() == HEAD:
            break  # the headers end, and a description follows; or this one may be cut off
        values.setdefault(key.lower(), value.strip().decode(errors="replace"))
        if len(values) == 2:
            break  # they stand in front of some fifty others
    name, version = values.get(b"name", ""), values.get(b"version", "")
    if not NAME.fullmatch(name) or not VERSION.fullmatch(version):
        raise RecipeError(f"{entry} in it has no usable name and version: {name!r}, {version!r}")
    return name, version


def _from_direct_url(name: str, data: bytes, remarks: list[str]) -> tuple[str, str]:
    """Return the requirement for PEP 610's origin, and the local path that it names."""
    origin = parse_json(data)
    url, was_cut = harmless.address(origin["url"])
    url = url.partition("#")[0]
    if was_cut:
        remarks.append(f"{CUT}the address of {name}")
    source = local_path(url)
    if source:
        url = _file_url(source)  # uv leaves a single quote as it is, and pip doesn't
    if "dir_info" in origin:
        if not source:
            raise ValueError("a project's directory must be a local one")
        if origin["dir_info"].get("editable"):
            return f"-e {_quoted(source)}", source
    fragments = []
    if "vcs_info" in origin:
        vcs, commit = origin["vcs_info"]["vcs"], origin["vcs_info"]["commit_id"]
        if not re.fullmatch(r"[a-z]+", vcs) or not re.fullmatch(r"[A-Za-z0-9_.:+-]+", commit):
            raise ValueError(f"{vcs!r} with {commit!r} names no commit")
        url = f"{vcs}+{url}@{commit}"
    elif "archive_info" in origin:
        fragments += _hash(origin["archive_info"])
    subdirectory = origin.get("subdirectory")
    if subdirectory:
        from urllib.parse import quote

        fragments.append(f"subdirectory={quote(subdirectory)}")
    return f"{name} @ {url}{'#' if fragments else ''}{'&'.join(fragments)}", source


def _hash(archive: "dict[str, Any]") -> list[str]:
    """Return an archive's strongest hash as a URL's fragment; ``hash`` is PEP 610's older form."""
    hashes = dict(archive.get("hashes") or ())
    algorithm, equals, value = (archive.get("hash") or "").partition("=")
    if equals:
        hashes.setdefault(algorithm, value)
    for algorithm in ("sha512", "sha384", "sha256"):
        value = hashes.get(algorithm, "")
        if re.fullmatch(r"[0-9a-f]+", value):
            return [f"{algorithm}={value}"]
    return []


def _from_egg_link(place: int, entry: str) -> Distribution:
    """Return what ``setup.py develop`` installed: its link's first line is the project's path."""
    path = os.fsdecode(read(entry, place=place) or b"").partition("\n")[0].strip()
    name = entry.removesuffix(".egg-link")
    if not path.startswith("/") or "\0" in path or not NAME.fullmatch(name):
        raise RecipeError(f"{entry} in it names no project")
    return Distribution(name, "", f"-e {_quoted(path)}", False, path)


def local_path(url: str) -> str:
    """Return the path that a ``file:`` URL names; empty for others. Raises ValueError."""
    if not url.lower().startswith("file:"):
        return ""
    from urllib.parse import unquote_to_bytes

    host, slash, path = url[len("file:") :].removeprefix("//").partition("/")
    path = os.fsdecode(unquote_to_bytes(slash + path))
    if host not in ("", "localhost") or not slash or "\0" in path:
        raise ValueError("its address names no local path")
    return path


def _quoted(path: str) -> str:
    """Return a path as it may stand after ``-e``, where pip and uv read lines as a shell does."""
    if re.fullmatch(r"[A-Za-z0-9/._+@-]+", path):
        return path
    return _file_url(path)


def _file_url(path: str) -> str:
    from urllib.parse import quote

    return f"file://{quote(os.fsencode(path))}"
