"""Who can have written a file: its owner, its permissions, and those of the directories above."""

import os
import stat
import sys

from regrow_marks import safe_read
from regrow_marks.errors import PathError, in_words
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from regrow_marks.directory import Directory, Opener

_MOST_LINKS = 40  # what Linux follows before it says ELOOP
_ADMINISTRATORS = 80  # macOS: the group that may become root; Homebrew's directories are its
_OF_THE_SYSTEM = ("wheel", "staff", "admin", "sudo")  # Debian's /usr/local is staff's


def not_own(status: os.stat_result) -> str:
    """Return why a file may be somebody else's work; empty: only this user can have written it."""
    if status.st_uid != os.geteuid():
        return f"it belongs to another user ({status.st_uid})"
    return _open_to(status)


def read_own(path: str, limit: int, place: int | None = None) -> bytes | None:
    """Return what a regular file holds that only this user can have written; None: there is none.

    See ``safe_read.read``; a file of another user's, or that others may write to, is refused.
    """
    return safe_read.read(path, limit, place, not_own)


def not_trusted(status: os.stat_result, also: int = 0) -> str:
    """Return why a file may be the work of others than this user and root; empty: it is not.

    Args:
        status: what the file is.
        also: another user who may have written it.
    """
    if status.st_uid not in (os.geteuid(), 0, also):
        return f"it belongs to another user ({status.st_uid})"
    return _open_to(status)


def is_strangers(path: str) -> bool:
    """Return whether another user than this one and root put something where others may write.

    In /tmp, or in what a group shares, whoever comes by can put a file above somebody's project. It
    decides nothing about what is below.

    Args:
        path: what stands there; a link is not followed.

    Returns:
        False, too, where nothing is there.
    """
    try:
        if os.lstat(path).st_uid in (os.geteuid(), 0):
            return False
        return bool(not_trusted(os.stat(os.path.dirname(path) or ".")))
    except (OSError, ValueError):
        return False


def not_trusted_way(path: str, top: str = "/") -> str:
    """Return why others may decide about what stands at a path; empty: they can't.

    The path and every directory above it must belong to this user or to root, and nobody else may
    write there. A sticky directory, as /tmp is one, lets nobody take the place of what is inside,
    and counts only where it is the last. What does not exist is passed over.

    Args:
        path: an absolute path; links in it are followed, and must be trusted themselves.
        top: the directory above which nothing is looked at.

    Returns:
        A sentence that names the place.
    """
    for place, is_last in _places(path):
        if top.startswith(place.rstrip("/") + "/"):
            continue
        try:
            status = os.lstat(place)
        except (FileNotFoundError, NotADirectoryError):
            break
        why = not_trusted(status)
        is_sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
        if why and is_sticky and not is_last and status.st_uid in (os.geteuid(), 0):
            continue
        if why:
            return f"{place}: {why}"
    return ""


def replaceable(path: str) -> str:
    """Return why somebody else may have put what stands at a path; empty: nobody can have.

    Unlike ``not_trusted_way`` it allows for what another user has in a place of his own, to which
    this user or root has led: whoever took a package from there knew whose it is.

    Args:
        path: an absolute path; links in it are followed.

    Returns:
        A sentence that names the place.
    """
    trusted = {os.geteuid(), 0}
    is_shared = False  # others may put something into the directory above
    for place, is_last in _places(path):
        try:
            status = os.lstat(place)
        except (FileNotFoundError, NotADirectoryError):
            break
        if status.st_uid not in trusted:
            if is_shared:
                return f"{place}: it belongs to another user ({status.st_uid})"
            trusted.add(status.st_uid)
        why = _open_to(status)
        if why and (is_last or not status.st_mode & stat.S_ISVTX):
            return f"{place}: {why}"
        is_shared = bool(why)
    return ""


def not_trusted_above(path: str) -> str:
    """Return why others may lead a path elsewhere; empty: they can't.

    Every directory and link that is passed must exist, belong to this user or to root, and be
    closed to others, as in ``not_trusted_way``. What stands at the path itself is not looked at: a
    sticky directory may hold it.

    Args:
        path: a path; links in it are followed, and must be trusted themselves.

    Returns:
        A sentence that names the place.
    """
    for place, is_last in _places(os.path.join(os.getcwd(), path)):
        if is_last:
            break
        try:
            status = os.lstat(place)
        except OSError as error:
            return f"{place}: {in_words(error)}"
        why = not_trusted(status)
        if why and not (status.st_uid in (os.geteuid(), 0) and status.st_mode & stat.S_ISVTX):
            return f"{place}: {why}"
    return ""


def open_to_change(path: str, opener: "Opener") -> "Directory":
    """Open a directory that a user names, to put marks on it or to take them off.

    The superuser goes no way that another user can turn to another place, and changes nothing of
    another user's.

    Args:
        path: the directory.
        opener: opens it.

    Raises:
        PathError: as ``Opener.open``; or it is not the superuser's to change.
    """
    if os.geteuid() != 0:
        return opener.open(path)
    why = not_trusted_above(path)
    if why:
        raise PathError(
            f"{path}: the superuser goes no way that others can change: {why}; run regrow as the"
            " user whose directory it is"
        )
    directory = opener.open(path)
    if directory.status.st_uid != 0:
        directory.close()
        raise PathError(f"{path}: it belongs to another user: run regrow as that user")
    return directory


def _places(path: str) -> "Iterator[tuple[str, bool]]":
    """Yield every place that the kernel passes on its way to a path, and whether it is the last."""
    names = path.split("/")[::-1]
    here = "/"
    links = 0
    yield here, False
    while names:
        name = names.pop()
        if name in ("", "."):
            continue
        if name == "..":
            here = os.path.dirname(here)
            continue
        place = os.path.join(here, name)
        try:
            target = os.readlink(place)
        except OSError:  # it is no link, or nothing is there
            here = place
            yield place, not any(names)
            continue
        yield place, False
        links += 1
        if links > _MOST_LINKS:
            return
        here = "/" if target.startswith("/") else here
        names += target.split("/")[::-1]


def _open_to(status: os.stat_result) -> str:
    if stat.S_ISLNK(status.st_mode):
        return ""  # a link has no permissions
    if status.st_mode & stat.S_IWOTH:
        return "everybody may write to it"
    if status.st_mode & stat.S_IWGRP and not _is_private(status):
        return f"others may write to it (group {status.st_gid})"
    return ""


def _is_private(status: os.stat_result) -> bool:
    """Return whether a group has no other member: many systems give each user one of their own."""
    if status.st_gid == 0 or (sys.platform == "darwin" and status.st_gid == _ADMINISTRATORS):
        return True
    import grp
    import pwd

    try:
        group, user = grp.getgrgid(status.st_gid), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    if not {user.pw_name, "root"}.issuperset(group.gr_mem):
        return False
    is_systems = status.st_uid == 0 and group.gr_name in _OF_THE_SYSTEM
    return is_systems or group.gr_name == user.pw_name
