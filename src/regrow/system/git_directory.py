"""A work tree's git directory: where it is, and the few settings that git's answers depend on.

git is never shown a repository's own configuration, for it names programs (see ``git.py``). What
counts of it is read here, without git.
"""

import os
import stat

from regrow.errors import GitError
from regrow_marks import safe_read
from regrow_marks.directory import join
from regrow_marks.errors import in_words
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMATS = ("sha1", "sha256")
_TEXT_LIMIT = 1 << 20  # bytes of a configuration, or of a file that names a directory
_PATTERNS_LIMIT = 10 << 20  # bytes of a file of ignore patterns; git itself takes 100 MiB
_INDEX_LIMIT = 200 << 20  # bytes; that of two million files has as many
_MATTERS = ("core", "extensions")  # the sections that are read


class GitDirectory(NamedTuple):
    """What git is told of one work tree's repository."""

    own: str
    """The directory with this work tree's index and HEAD."""
    common: str
    """What all its work trees have in common; mostly the same directory."""
    is_bare: bool
    """Whether what stands beside is in no work tree, as beside the worktrees of a bare clone."""
    format: str
    """How objects are named: one of ``FORMATS``."""
    options: tuple[str, ...]
    """Settings of the repository that git is given: they tell names apart, or name patterns."""
    patterns: tuple[str, ...]
    """The files of the repository's own ignore patterns, whether or not they exist."""

    def files(self) -> list[str]:
        """Return the files that an answer depends on, whether or not they exist."""
        own, common = self.own, self.common
        files = [join(own, "index"), join(own, "config.worktree"), join(common, "config")]
        return [*files, join(common, "objects/info/alternates"), *self.patterns]


def find(work_tree: str) -> GitDirectory:
    """Return the git directory of a work tree, which has a ``.git`` in it.

    Raises:
        GitError: there is none, its work tree is elsewhere, or git would wait for one of its files.
    """
    own = _own(join(work_tree, ".git"))
    link = _read(join(own, "commondir"))
    common = own if link is None else os.path.normpath(os.path.join(own, link.rstrip("\r\n")))
    shared = _settings(join(common, "config"))
    settings = shared
    if link is not None:
        # What stands there of work trees is about the main one.
        settings = {key: shared[key] for key in shared if key not in ("core.bare", "core.worktree")}
    if _is_true(shared.get("extensions.worktreeconfig", "false")):
        settings = settings | _settings(join(own, "config.worktree"))
    elsewhere = settings.get("core.worktree")
    if elsewhere is not None and not _is_same(os.path.join(own, elsewhere), work_tree):
        raise GitError(f"{own}: its work tree is {elsewhere} (core.worktree)")
    name = settings.get("extensions.objectformat", FORMATS[0])
    if name not in FORMATS:
        raise GitError(f"{own}: its objects are named by {name!r}, which regrow doesn't know")
    _check_files(own)
    patterns = [join(common, "info/exclude")]
    options = []
    for key in ("core.ignorecase", "core.precomposeunicode"):
        if key in settings:
            options += ["-c", f"{key}={str(_is_true(settings[key])).lower()}"]
    file = settings.get("core.excludesfile")
    if file is not None:
        options += ["-c", f"core.excludesfile={file}"]
    if file:
        patterns.append(os.path.join(work_tree, os.path.expanduser(file)))
    for path in patterns:
        is_file(path, _PATTERNS_LIMIT)
    is_bare = elsewhere is None and _is_true(settings.get("core.bare", "false"))
    return GitDirectory(own, common, is_bare, name, tuple(options), tuple(patterns))


def check_patterns(directory: str) -> None:
    """Check that git would not wait for a directory's ``.gitignore``.

    Raises:
        GitError: it is a FIFO, a device or a socket, or larger than any that people write.
    """
    is_file(join(directory, ".gitignore"), _PATTERNS_LIMIT)


def check_nested(directory: str) -> None:
    """Check that git would not wait for the files of a repository that a directory may be.

    Raises:
        GitError: there is a file in its ``.git`` that is none.
    """
    if os.path.lexists(join(directory, ".git")):
        for name in ("HEAD", "commondir"):
            is_file(join(directory, f".git/{name}"), _TEXT_LIMIT)


def is_file(path: str, limit: int) -> bool:
    """Return whether there is a regular file, for which git does not wait.

    Args:
        path: where; a link is followed, as git follows it.
        limit: the bytes it may have.

    Raises:
        GitError: it is a FIFO, a device or a socket, for which git would wait, or too large.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return False
    if stat.S_ISDIR(status.st_mode):
        return False
    if not stat.S_ISREG(status.st_mode):
        raise GitError(f"{path}: it is no regular file; git would wait for it")
    if status.st_size > limit:
        raise GitError(f"{path}: it is larger than {limit >> 20} MiB")
    return True


def _own(place: str) -> str:
    """Return the directory that a ``.git`` is, or names."""
    if os.path.isdir(place):
        return place
    head, _, rest = (_read(place) or "").rstrip("\r\n").partition(": ")
    if head != "gitdir" or not rest or "\0" in rest:
        raise GitError(f"{place}: it names no git directory")
    return os.path.normpath(os.path.join(os.path.dirname(place), rest))


def _check_files(own: str) -> None:
    head = join(own, "HEAD")
    # git reads where a link leads, and does not open it.
    if not os.path.islink(head) and not is_file(head, _TEXT_LIMIT):
        raise GitError(f"{own}: it is no git directory (it has no HEAD)")
    is_file(join(own, "index"), _INDEX_LIMIT)


def _read(path: str) -> str | None:
    """Return a small file, which git reads through links; None where there is none."""
    if not is_file(path, _TEXT_LIMIT):
        return None
    try:
        data = safe_read.read(os.path.realpath(path), _TEXT_LIMIT)
    except OSError as error:
        raise GitError(f"{path}: {in_words(error)}") from error
    except safe_read.UnsafeFileError as error:
        raise GitError(f"{path}: it was replaced while regrow opened it; try again") from error
    return None if data is None else os.fsdecode(data)


def _is_same(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except (OSError, ValueError):
        return False


def _is_true(word: str) -> bool:
    """Return whether a setting is a word that git takes for yes."""
    return word.lower() in ("true", "yes", "on") or (word.isdecimal() and word.strip("0") != "")


def _settings(path: str) -> dict[str, str]:
    """Return the settings of a configuration that count, without those of files it includes.

    Returns:
        By section and key in lower case, such as ``core.bare``: the last value.
    """
    found: dict[str, str] = {}
    section = ""
    lines = iter((_read(path) or "").removeprefix("\ufeff").replace("\r\n", "\n").split("\n"))
    for line in lines:
        rest = line.strip()
        while rest.startswith("["):
            section, rest = _section(path, rest)
        if not rest or rest[0] in "#;":
            continue
        key, equals, value = rest.partition("=")
        value = _value(value, lines)
        if "\0" in value:
            raise GitError(f"{path}: a value holds a null character")
        if section in _MATTERS:
            found[f"{section}.{key.strip().lower()}"] = value if equals else "true"
    return found


def _section(path: str, line: str) -> tuple[str, str]:
    """Return a section's name, which may hold another one in quotes, and the rest of the line."""
    is_quoted = False
    place = 1
    while place < len(line):
        character = line[place]
        if character == "]" and not is_quoted:
            return line[1:place].strip().lower(), line[place + 1 :].strip()
        if character == '"':
            is_quoted = not is_quoted
        place += 2 if character == "\\" else 1
    raise GitError(f"{path}: {line[:40]!r} is no head of a section")


def _value(text: str, lines: "Iterator[str]") -> str:
    """Return a value as git reads it: quotes, escapes, comments, and lines that go on below.

    Args:
        text: what stands behind the equals sign.
        lines: the lines below; those that belong to the value are taken from them.
    """
    if not any(character in text for character in '"\\#;'):
        return text.strip()
    words: list[str] = []
    kept = 0  # how many of them stay when spaces at the end go
    is_quoted = False
    rest = iter(text.lstrip())
    while True:
        character = next(rest, "")
        if not character or (character in "#;" and not is_quoted):
            break
        if character == '"':
            is_quoted = not is_quoted
            kept = len(words)
            continue
        if character == "\\":
            character = next(rest, "")
            if not character:
                rest = iter(next(lines, ""))
                continue
            character = {"n": "\n", "t": "\t", "b": "\b"}.get(character, character)
        words.append(character)
        if is_quoted or not character.isspace():
            kept = len(words)
    return "".join(words[:kept])
