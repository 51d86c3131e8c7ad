"""The recipe of a Python environment: the interpreter, and every distribution in it.

Everything is read from metadata; the interpreter is not run, and neither is anything installed.
"""

import os
import re
import stat
from functools import lru_cache

from regrow.recipes import harmless
from regrow.recipes.files import names_in, parse_json, read_lines
from regrow.recipes.recipe import CUT, RecipeError, RecipeResult
from regrow_marks.directory import join, split
from regrow_marks.plain import TYPE_CHECKING, NamedTuple
from regrow_marks.safe_read import LOCK_LIMIT, RECORD_LIMIT, read, read_head

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Any

    from regrow.recipes.recipe import Recipe

# PEP 508 and PEP 440 say what names and versions may be; anything else could be an option.
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")
_REMEMBERED = 4096  # names of distributions: the same come in one environment after the other
HEAD = 8192  # bytes of METADATA: name and version stand in its first lines
_HEADER = re.compile(
    rb"^(?:(name|version)[ \t\r\f\v]*:(.*)|[ \t\r\f\v]*)$", re.MULTILINE | re.IGNORECASE
)
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pylock.toml")
_REQUIREMENTS = re.compile(r"requirements[\w.-]*\.txt")
_PINS = 100_000  # of one lock
_TABLES = 1_000_000  # of one lock: a second's work
_PIN = re.compile(
    rb"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]\n]*\])? *== *([^\s;#\\]+)", re.MULTILINE
)
# What the tools write, line by line: a TOML parser takes longer than all the rest together, and
# minutes for a file that somebody made to keep it busy.
_TABLE = re.compile(rb'^(\[.*)|^(name|version) = "([^"\\\n]*)"', re.MULTILINE)

SEEDS = frozenset(("pip", "setuptools", "wheel"))
"""What creators put into an environment by themselves."""

_BY_CREATORS = re.compile(
    r"__pycache__|_virtualenv\.(py|pth)|(pip|setuptools|wheel)-[\d.]+\.virtualenv"
    r"|easy-install\.pth|.*\.egg-link|~.*"  # pip renames what it removes to ~…
)
_BIN_BY_CREATORS = re.compile(
    r"python[\d.]*t?w?|pypy[\d.]*|[aA]ctivate.*|deactivate.*|pydoc\.bat|__pycache__"
    r"|(pip|wheel|easy_install)-?[\d.]*"
)
_TOP_BY_CREATORS = re.compile(
    r"bin|Scripts|lib|lib64|Lib|[iI]nclude|pyvenv\.cfg|CACHEDIR\.TAG|\.gitignore|\.lock|src"
)
_RECORDED = re.compile(rb'^(?:((?:\.\./)+[^,"\r\n]+)|"([^"/\r\n]+)|([^/,"\r\n]+))', re.MULTILINE)

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


def build(path: str, project: str) -> RecipeResult:
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
    data = read(os.path.join(path, "pyvenv.cfg"))
    if data is None:
        raise RecipeError("it has no pyvenv.cfg")
    settings = parse_pyvenv_cfg(os.fsdecode(data))
    remarks: list[str] = []
    distributions: list[Distribution] = []
    places = site_packages(path)
    if not places and os.path.lexists(os.path.join(path, "lib")):
        raise RecipeError("its lib/ holds no site-packages, or it is behind a symbolic link")
    for place in places:
        distributions += read_distributions(place, remarks)
    refuse_lost(distributions, path)
    distributions.sort(key=lambda d: d.name.lower())
    unowned = _unowned(path, places)
    recipe: Recipe = {
        "kind": "python",
        **_interpreter(path, settings),
        "creator": _creator(settings),
        "prompt": _unquoted(settings.get("prompt", "")),
        "system_site_packages": settings.get("include-system-site-packages", "").lower() == "true",
        "requirements": list(dict.fromkeys(d.requirement for d in distributions)),
        **_locks(project, distributions),
    }
    if unowned:
        recipe["unowned"] = unowned
        shown = ", ".join(unowned[:5]) + (", …" if len(unowned) > 5 else "")
        remarks.append(f"no package brings these files in it back: {shown}")
    return RecipeResult(recipe, (), tuple(remarks))


def parse_pyvenv_cfg(text: str) -> dict[str, str]:
    """Read ``key = value`` lines; keys in lower case."""
    pairs = (line.partition("=") for line in text.split("\n") if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def site_packages(path: str) -> list[str]:
    """Find an environment's site-packages, without those behind links: they are not its own."""
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
    """Tell whether a directory is there; a link is none."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def places(path: str) -> list[str]:
    """Return what is inside an environment and decides about its recipe."""
    packages = site_packages(path)
    found = [join(path, name) for name in ("lib", "src", "bin", "bin/python")]
    for place in packages:
        found += (place, split(place)[0], split(split(place)[0])[0])
    return found


def others(taken: "Recipe", project: str) -> list[str]:
    """Return what is outside an environment and decides about its recipe."""
    found = [project]  # locks appear in it
    locks, requirements = taken.get("locks", ()), taken.get("requirements", ())
    found += (os.path.join(project, name) for name in locks)  # type: ignore[union-attr]
    found.append(str(taken.get("interpreter") or project))
    for line in requirements:  # type: ignore[union-attr]
        # What was installed from a local place is refused once that is gone.
        target = line.removeprefix("-e ") if line.startswith("-e ") else line.partition(" @ ")[2]
        if not target:
            continue  # it came from an index
        source = target if target.startswith("/") else _local_path(target.partition("#")[0])
        if source:
            found.append(source)
    return found


def path_in_itself(inner: str, path: str) -> bool:
    """Tell whether a path, links resolved, is below another."""
    return os.path.realpath(inner).startswith(os.path.realpath(path).rstrip("/") + "/")


def read_distributions(
    place: str, remarks: list[str], owned: "Collection[str]" = ()
) -> list[Distribution]:
    """Read what is installed in one site-packages.

    Args:
        place: the directory.
        remarks: sentences for people are added here.
        owned: the entries that are left out, for another package manager brings them back.

    Raises:
        RecipeError: a distribution has no name or version, or one that can't be written down.
        OSError, ValueError: the metadata can't be read.
    """
    found = []
    fd = os.open(place, _DIRECTORY)
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


def refuse_lost(distributions: "Sequence[Distribution]", environment: str) -> None:
    """Refuse what its own requirement would not bring back.

    Raises:
        RecipeError: a distribution is there in two versions, or came from a local place that is
            gone, or would go with the environment.
    """
    versions: dict[str, Distribution] = {}
    for one in distributions:
        other = versions.setdefault(canonical(one.name), one)
        if other.requirement != one.requirement:
            raise RecipeError(
                f"{one.name} is in it twice: {other.requirement} and {one.requirement}"
            )
        if one.source and not os.path.exists(one.source):
            raise RecipeError(f"{one.name} was installed from {one.source}, which is gone")
        if one.source and path_in_itself(one.source, environment):
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
    """Read the headers Name and Version, which the core metadata specification requires."""
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
    if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
        raise RecipeError(f"{entry} in it has no usable name and version: {name!r}, {version!r}")
    return name, version


def _from_direct_url(name: str, data: bytes, remarks: list[str]) -> tuple[str, str]:
    """Turn PEP 610's origin into a requirement, and the local path it names."""
    origin = parse_json(data)
    url, was_cut = harmless.address(origin["url"])
    url = url.partition("#")[0]
    if was_cut:
        remarks.append(f"{CUT}the address of {name}")
    source = _local_path(url)
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
    """Give an archive's strongest hash as a URL's fragment has it; ``hash`` is the older form."""
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
    """Read what ``setup.py develop`` left: the path of the project, on the first line."""
    path = os.fsdecode(read(entry, place=place) or b"").partition("\n")[0].strip()
    name = entry.removesuffix(".egg-link")
    if not path.startswith("/") or "\0" in path or not _NAME.fullmatch(name):
        raise RecipeError(f"{entry} in it names no project")
    return Distribution(name, "", f"-e {_quoted(path)}", False, path)


def _local_path(url: str) -> str:
    """Give the path that a ``file:`` URL names; empty for others."""
    if not url.lower().startswith("file:"):
        return ""
    from urllib.parse import unquote_to_bytes

    host, slash, path = url[len("file:") :].removeprefix("//").partition("/")
    path = os.fsdecode(unquote_to_bytes(slash + path))
    if host not in ("", "localhost") or not slash or "\0" in path:
        raise ValueError("its address names no local path")
    return path


def _quoted(path: str) -> str:
    """Give a path as it may stand after ``-e``, where pip and uv read lines as a shell does."""
    if re.fullmatch(r"[A-Za-z0-9/._+@-]+", path):
        return path
    return _file_url(path)


def _file_url(path: str) -> str:
    from urllib.parse import quote

    return f"file://{quote(os.fsencode(path))}"


def _interpreter(path: str, settings: dict[str, str]) -> dict[str, str]:
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
        "implementation": implementation if _NAME.fullmatch(implementation) else "",
        "version": version if _VERSION.fullmatch(version) else "",
        "interpreter": base if base.startswith("/") and "\0" not in base else "",
        "interpreter_from": _source(base, true_path),
    }


def _linked_interpreter(path: str) -> str:
    """Resolve an environment's link to its interpreter; the environment's path is a true one."""
    binaries = join(path, "bin")
    interpreter = f"{binaries}/python"
    try:
        target = interpreter if os.path.islink(binaries) else os.readlink(interpreter)
    except OSError:
        return interpreter  # it is no link
    return os.path.realpath(join(binaries, target) if target[0] != "/" else target)


def _source(interpreter: str, true_path: str = "") -> str:
    """Tell from its path, and from the one with all links resolved, who installed it."""
    if not interpreter.startswith("/") or "\0" in interpreter:
        return "other"
    for place in (true_path or os.path.realpath(interpreter), interpreter):
        for pattern, source in _SOURCES:
            if pattern.search(place):
                return source
    return "other"


def _unquoted(text: str) -> str:
    """Take away the quotation marks that venv puts around a prompt."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _creator(settings: dict[str, str]) -> str:
    for name in ("uv", "virtualenv"):
        if name in settings:
            version = settings[name]
            return f"{name} {version}" if _VERSION.fullmatch(version) else f"{name} unknown"
    return "venv"


def _locks(project: str, distributions: "Sequence[Distribution]") -> dict[str, bool | list[str]]:
    """Name the project's lock files, and tell with which of them the environment agrees.

    It agrees if all that is installed from an index is what the lock says; a lock may name more,
    for other platforms and groups.
    """
    try:
        names = sorted(os.listdir(project))
    except OSError:
        return {}
    locks = [n for n in names if n in LOCKS or _REQUIREMENTS.fullmatch(n)]
    if not locks:
        return {}
    all_names = {canonical(d.name) for d in distributions}
    installed = {
        canonical(d.name): d.version
        for d in distributions
        if d.is_pinned and canonical(d.name) not in SEEDS
    }
    agreeing = []
    for name in locks:
        try:
            pinned = _pins(os.path.join(project, name))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # a lock that can't be read agrees with nothing
        if not pinned or not (installed or all_names.issuperset(pinned)):
            continue
        if all(version in pinned.get(n, ()) for n, version in installed.items()):
            agreeing.append(name)
    return {"locks": locks, "agrees_with": agreeing}


@lru_cache(_REMEMBERED)
def canonical(name: str) -> str:
    """Normalise a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _pins(path: str) -> dict[str, set[str]]:
    """Read which versions a lock file allows, by canonical name."""
    pins: dict[str, set[str]] = {}
    data = read(path, LOCK_LIMIT) or b""
    found: list[tuple[str, str]] = []
    if path.endswith(".txt"):
        for pin in _PIN.finditer(data):
            found.append((pin[1].decode(), pin[2].decode()))
            _refuse_many(found)
    elif path.endswith("Pipfile.lock"):
        lock = parse_json(data)
        for section in ("default", "develop"):
            for name, entry in lock.get(section, {}).items():
                found.append((name, str(entry.get("version", "")).removeprefix("==")))
    else:
        name = ""
        is_package = False
        if data.count(b"\n[") > _TABLES:
            raise ValueError(f"{path}: it has more than {_TABLES:,} tables")
        for line in _TABLE.finditer(data):
            header, key, value = line.groups()
            if header:
                name = ""
                is_package = header.strip() in (b"[[package]]", b"[[packages]]")
            elif is_package and key == b"name":
                name = value.decode()
            elif is_package and name:
                found.append((name, value.decode()))
                _refuse_many(found)
    for name, version in found:
        pins.setdefault(canonical(name), set()).add(version)
    return pins


def _refuse_many(found: "Sequence[object]") -> None:
    if len(found) > _PINS:
        raise ValueError(f"it pins more than {_PINS:,} distributions")


def _unowned(path: str, places: "Sequence[str]") -> list[str]:
    """Find files that no distribution's RECORD names: what people put there themselves."""
    found: list[str] = []
    outside: set[str] = set()
    for place in places:
        below = place[len(path.rstrip("/")) + 1 :]
        found += (f"{below}/{entry}" for entry in _unowned_in(place, outside))
    for directory, by_creators in (
        ("", _TOP_BY_CREATORS),
        ("bin", _BIN_BY_CREATORS),
        ("Scripts", _BIN_BY_CREATORS),
    ):
        try:
            names = os.listdir(os.path.join(path, directory))
        except OSError:
            continue
        prefix = f"{directory}/" if directory else ""
        inside = (prefix + name for name in names if not by_creators.fullmatch(name))
        found += (name for name in inside if name not in outside)
    return sorted(found)


def _unowned_in(place: str, outside: set[str]) -> list[str]:
    """Find them in one site-packages; what is recorded outside of it is added to ``outside``."""
    fd = os.open(place, _DIRECTORY)
    try:
        entries = names_in(fd)
        owned = {entry for entry in entries if entry.endswith((".dist-info", ".egg-info"))}
        owned |= {entry for entry in entries if entry.endswith(".egg") and _is_egg(place, entry)}
        prefix = os.fsencode(place) + b"/"
        for entry in sorted(owned):
            data = read_lines(f"{entry}/RECORD", RECORD_LIMIT, fd)
            if data is None:
                owned |= _without_record(fd, entry)
                continue
            # Poetry records the full paths of what it installs in editable mode.
            recorded = set(_RECORDED.findall(data.replace(prefix, b"")))
            owned.update(os.fsdecode(quoted or top) for _, quoted, top in recorded)
            for file, _, _ in recorded:
                outside |= _places_of(os.fsdecode(file).replace("../", ""))
    finally:
        os.close(fd)
    return [entry for entry in entries if entry not in owned and not _BY_CREATORS.fullmatch(entry)]


def _is_egg(place: str, entry: str) -> bool:
    return os.path.isdir(os.path.join(place, entry, "EGG-INFO"))


def _places_of(file: str) -> set[str]:
    """Give what a file outside site-packages owns: itself in bin/, else the directory on top."""
    top, _, rest = file.partition("/")
    return {top, file} if rest else {top}


def _without_record(place: int, entry: str) -> set[str]:
    """Guess the modules of a distribution that kept no RECORD, from top_level.txt and its name."""
    text = read(f"{entry}/top_level.txt", place=place) or b""
    names = {os.fsdecode(line.strip()) for line in text.split(b"\n") if line.strip()}
    names.add(re.split(r"-\d", entry)[0].replace("-", "_"))
    return names | {f"{name}.py" for name in names}
