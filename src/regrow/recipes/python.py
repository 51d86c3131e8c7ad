"""The recipe of a Python environment: the interpreter, and every distribution in it.

Everything is read from metadata; the interpreter is not run, and neither is anything installed.
"""

import os
import re

from regrow.plain import TYPE_CHECKING, NamedTuple
from regrow.recipes import RecipeError, Taken
from regrow.recipes.files import LOCK_LIMIT, read, read_head, read_text
from regrow.recipes.urls import without_credentials

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from regrow.recipes import Recipe

# PEP 508 and PEP 440 say what names and versions may be; anything else could be an option.
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")
_HEAD = 8192  # bytes of METADATA: name and version stand in its first lines

LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pylock.toml")
_REQUIREMENTS = re.compile(r"requirements[\w.-]*\.txt")
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;#\\]+)", re.MULTILINE)

_SEEDS = frozenset(("pip", "setuptools", "wheel"))
_BY_CREATORS = re.compile(r"__pycache__|_virtualenv\.(py|pth)|easy-install\.pth|.*\.egg-link")
_BIN_BY_CREATORS = re.compile(
    r"python[\d.]*w?|pypy[\d.]*|[aA]ctivate.*|deactivate.*|pydoc\.bat|__pycache__"
    r"|(pip|wheel|easy_install)-?[\d.]*"
)


class Distribution(NamedTuple):
    """One installed distribution."""

    name: str
    version: str
    requirement: str
    """The line that installs it."""
    is_pinned: bool
    """Whether the line is ``name==version``; else it has an address of its own."""


def take(path: str, project: str) -> Taken:
    """Take the recipe of a virtual environment.

    Args:
        path: the environment.
        project: where its project's lock files are looked for.

    Returns:
        The recipe. Its requirements are lines that pip and uv read.

    Raises:
        RecipeError: a distribution can't be described.
        OSError, ValueError: the metadata can't be read.
    """
    text = read_text(os.path.join(path, "pyvenv.cfg"))
    if text is None:
        raise RecipeError("it has no pyvenv.cfg")
    settings = parse_pyvenv_cfg(text)
    remarks: list[str] = []
    distributions: list[Distribution] = []
    unowned: list[str] = []
    places = site_packages(path)
    for place in places:
        distributions += read_distributions(place, remarks)
        unowned += _unowned(path, place)
    distributions.sort(key=lambda d: d.name.lower())
    recipe: Recipe = {
        "kind": "python",
        **_interpreter(path, settings),
        "creator": _creator(settings),
        "prompt": settings.get("prompt", "").strip("'\""),
        "system_site_packages": settings.get("include-system-site-packages", "") == "true",
        "requirements": [d.requirement for d in distributions],
        **_locks(project, distributions),
    }
    if unowned:
        recipe["unowned"] = unowned
        shown = ", ".join(unowned[:5]) + (", …" if len(unowned) > 5 else "")
        remarks.append(f"no package brings these files in it back: {shown}")
    return Taken(recipe, (), tuple(remarks))


def parse_pyvenv_cfg(text: str) -> dict[str, str]:
    """Read ``key = value`` lines; keys in lower case."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def site_packages(path: str) -> list[str]:
    """Find an environment's site-packages; ``lib64`` counts only if it is no link to ``lib``."""
    found = []
    for library in ("lib", "lib64"):
        base = os.path.join(path, library)
        if os.path.islink(base) or not os.path.isdir(base):
            continue
        for name in sorted(os.listdir(base)):
            place = os.path.join(base, name, "site-packages")
            if name.startswith(("python", "pypy")) and os.path.isdir(place):
                found.append(place)
    windows = os.path.join(path, "Lib", "site-packages")
    if not found and os.path.isdir(windows):
        found.append(windows)
    return found


def read_distributions(
    place: str, remarks: list[str], by: "Collection[str] | None" = None
) -> list[Distribution]:
    """Read what is installed in one site-packages.

    Args:
        place: the directory.
        remarks: sentences for people are added here.
        by: only what these installed; None: all. (INSTALLER tells, PEP 376.)

    Raises:
        RecipeError: a distribution has no name or version, or one that can't be written down.
    """
    found = []
    for entry in sorted(os.listdir(place)):
        if by is not None and not _is_installed_by(os.path.join(place, entry), by):
            continue
        if entry.endswith(".dist-info"):
            found.append(_from_dist_info(os.path.join(place, entry), remarks))
        elif entry.endswith(".egg-info"):
            inside = os.path.join(place, entry, "PKG-INFO")
            head = read_head(inside, _HEAD) or read_head(os.path.join(place, entry), _HEAD)
            name, version = _name_and_version(head, entry)
            found.append(Distribution(name, version, f"{name}=={version}", True))
        elif entry.endswith(".egg-link"):
            found.append(_from_egg_link(place, entry))
    return found


def _is_installed_by(directory: str, by: "Collection[str]") -> bool:
    installer = read_head(os.path.join(directory, "INSTALLER"), 64) or b""
    return installer.strip().decode(errors="replace") in by


def _from_dist_info(directory: str, remarks: list[str]) -> Distribution:
    entry = os.path.basename(directory)
    name, version = _name_and_version(read_head(f"{directory}/METADATA", _HEAD), entry)
    origin = read(f"{directory}/direct_url.json")
    if origin is None:
        return Distribution(name, version, f"{name}=={version}", True)
    requirement = _from_direct_url(name, origin, remarks)
    return Distribution(name, version, requirement, False)


def _name_and_version(head: bytes | None, entry: str) -> tuple[str, str]:
    """Read the headers Name and Version, which the core metadata specification requires."""
    if head is None:
        raise RecipeError(f"{entry} in it says neither name nor version")
    values: dict[bytes, str] = {}
    for line in head.split(b"\n"):
        if not line.strip():
            break  # the headers end; a description follows
        key, colon, value = line.partition(b":")
        if colon:
            values.setdefault(key.strip().lower(), value.strip().decode(errors="replace"))
    name, version = values.get(b"name", ""), values.get(b"version", "")
    if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
        raise RecipeError(f"{entry} in it has no usable name and version: {name!r}, {version!r}")
    return name, version


def _from_direct_url(name: str, data: bytes, remarks: list[str]) -> str:
    """Turn PEP 610's origin into a requirement."""
    import json

    origin = json.loads(data)
    url, was_cut = without_credentials(origin["url"])
    if was_cut:
        remarks.append(f"credentials were cut out of the address of {name}")
    if "dir_info" in origin:
        path = _local_path(url)
        if not origin["dir_info"].get("editable"):
            return f"{name} @ {url}"
        return f"-e {_quoted(path)}"
    subdirectory = origin.get("subdirectory")
    fragments = [f"subdirectory={subdirectory}"] if subdirectory else []
    if "vcs_info" in origin:
        vcs, commit = origin["vcs_info"]["vcs"], origin["vcs_info"]["commit_id"]
        if not re.fullmatch(r"[a-z]+", vcs) or not re.fullmatch(r"[\w.-]+", commit):
            raise RecipeError(f"the origin of {name} can't be written down: {vcs!r}, {commit!r}")
        url = f"{vcs}+{url}@{commit}"
    elif "archive_info" in origin:
        hashes = origin["archive_info"].get("hashes") or {}
        for algorithm, value in sorted(hashes.items()):
            if re.fullmatch(r"[a-z0-9]+", algorithm) and re.fullmatch(r"[0-9a-f]+", value):
                fragments.insert(0, f"{algorithm}={value}")
                break
    if fragments:
        clean, _ = without_credentials(f"{url}#{'&'.join(fragments)}")
        url = clean
    return f"{name} @ {url}"


def _from_egg_link(place: str, entry: str) -> Distribution:
    """Read what ``setup.py develop`` left: the path of the project, on the first line."""
    text = read_text(os.path.join(place, entry)) or ""
    path = text.partition("\n")[0].strip()
    name = entry.removesuffix(".egg-link")
    if not path.startswith("/"):
        raise RecipeError(f"{entry} in it names no project")
    return Distribution(name, "", f"-e {_quoted(path)}", False)


def _local_path(url: str) -> str:
    from urllib.parse import unquote, urlsplit

    parts = urlsplit(url)
    if parts.scheme != "file":
        raise RecipeError(f"{url}: an editable project must be a local directory")
    return unquote(parts.path)


def _quoted(path: str) -> str:
    """Give a path as it may stand after ``-e`` in a requirements file."""
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in path) or " #" in path:
        raise RecipeError(f"{path!r} can't stand in a requirements file")
    return path


def _interpreter(path: str, settings: dict[str, str]) -> dict[str, str]:
    version = settings.get("version_info") or settings.get("version") or ""
    base = settings.get("base-executable") or settings.get("executable") or ""
    if not base:
        home = settings.get("home", "")
        base = os.path.realpath(os.path.join(path, "bin", "python"))
        if home and not os.path.exists(base):
            base = os.path.join(home, "python3")
    return {
        "implementation": settings.get("implementation", "CPython"),
        "version": ".".join(version.split(".")[:3]),
        "interpreter": base,
        "interpreter_from": _source(base),
    }


def _source(interpreter: str) -> str:
    """Tell from its path who installed an interpreter."""
    real = os.path.realpath(interpreter)
    for mark, source in (
        ("/uv/python/", "uv"),
        ("/.pyenv/versions/", "pyenv"),
        ("/Cellar/python", "Homebrew"),
        ("/homebrew/", "Homebrew"),
        ("/Library/Frameworks/Python.framework/", "python.org"),
        ("/conda", "conda"),
        ("/miniforge", "conda"),
        ("/asdf/installs/", "asdf"),
        ("/mise/installs/", "mise"),
    ):
        if mark in real:
            return source
    return "system" if real.startswith(("/usr/bin/", "/bin/")) else "other"


def _creator(settings: dict[str, str]) -> str:
    for name in ("uv", "virtualenv"):
        if name in settings:
            return f"{name} {settings[name]}"
    return "venv"


def _locks(project: str, distributions: "Iterable[Distribution]") -> dict[str, bool | list[str]]:
    """Name the project's lock files, and tell whether the environment agrees with one of them."""
    try:
        names = sorted(os.listdir(project))
    except OSError:
        return {}
    locks = [n for n in names if n in LOCKS or _REQUIREMENTS.fullmatch(n)]
    if not locks:
        return {}
    installed = {
        canonical(d.name): d.version
        for d in distributions
        if d.is_pinned and canonical(d.name) not in _SEEDS
    }
    agreeing = []
    for name in locks:
        try:
            pinned = _pins(os.path.join(project, name))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # a lock that can't be read agrees with nothing
        if pinned and all(version in pinned.get(n, ()) for n, version in installed.items()):
            agreeing.append(name)
    return {"locks": locks, "agrees_with": agreeing}


def canonical(name: str) -> str:
    """Normalise a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _pins(path: str) -> dict[str, set[str]]:
    """Read which versions a lock file allows, by canonical name."""
    pins: dict[str, set[str]] = {}
    text = read_text(path, LOCK_LIMIT) or ""
    found: list[tuple[str, str]] = []
    if path.endswith(".txt"):
        found = _PIN.findall(text)
    elif path.endswith("Pipfile.lock"):
        import json

        for section in ("default", "develop"):
            for name, entry in json.loads(text).get(section, {}).items():
                found.append((name, str(entry.get("version", "")).removeprefix("==")))
    else:
        import tomllib

        table = tomllib.loads(text)
        for package in table.get("package", table.get("packages", ())):
            found.append((package["name"], str(package.get("version", ""))))
    for name, version in found:
        pins.setdefault(canonical(name), set()).add(version)
    return pins


def _unowned(path: str, place: str) -> list[str]:
    """Find files that no distribution's RECORD names: what people put there themselves."""
    entries = os.listdir(place)
    owned = {entry for entry in entries if entry.endswith((".dist-info", ".egg-info"))}
    scripts: set[str] = set()
    for entry in sorted(owned):
        data = read(os.path.join(place, entry, "RECORD"), LOCK_LIMIT)
        for line in (data or b"").split(b"\n"):
            top, _, rest = line.partition(b"/")
            if top == b"..":
                scripts.add(os.fsdecode(rest.rpartition(b"/")[2].partition(b",")[0]))
            else:
                owned.add(os.fsdecode(top.partition(b",")[0].strip(b'"')))
        if data is None:
            owned |= _without_record(place, entry)
    found = [
        os.path.relpath(os.path.join(place, entry), path)
        for entry in entries
        if entry not in owned and not _BY_CREATORS.fullmatch(entry)
    ]
    for directory in ("bin", "Scripts"):
        try:
            names = os.listdir(os.path.join(path, directory))
        except OSError:
            continue
        found += (
            f"{directory}/{name}"
            for name in names
            if name not in scripts and not _BIN_BY_CREATORS.fullmatch(name)
        )
    return sorted(found)


def _without_record(place: str, entry: str) -> set[str]:
    """Guess the modules of a distribution that kept no RECORD, from top_level.txt and its name."""
    text = read(os.path.join(place, entry, "top_level.txt")) or b""
    names = {os.fsdecode(line.strip()) for line in text.split(b"\n") if line.strip()}
    names.add(re.split(r"-\d", entry)[0].replace("-", "_"))
    return names | {f"{name}.py" for name in names}
