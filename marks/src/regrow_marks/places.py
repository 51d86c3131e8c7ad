"""What is never left out because of where it is: homes, what holds them, and mount points.

Whoever names such a directory has most often mistyped another one.
"""

import os
import pwd

from regrow_marks.directory import ancestors, identity_at
from regrow_marks.errors import RefusedError
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from regrow_marks.directory import Directory

    Homes = dict[tuple[int, int], str]
    """Home directories, by the device and inode of what must not be left out for their sake."""

_FIRST_USER = 500  # below are the system's own accounts: up to 499 on macOS, up to 999 on Linux
_NOBODY = 65534


def refuse(directory: "Directory") -> None:
    """Raise RefusedError if a directory is one that nobody can mean, because of where it is."""
    reason = why_refused(directory)
    if reason:
        raise RefusedError(f"{directory.path}: not marked: {reason}")


def why_refused(directory: "Directory", known: "Homes | None" = None) -> str:
    """Return why a directory can't be meant, as a sentence about it; empty: it can.

    Args:
        directory: the directory, open.
        known: what ``homes`` returned, where many directories are asked about.
    """
    if directory.path == "/":
        return "it is the root directory, which holds everything"
    known = homes() if known is None else known
    home = known.get(directory.identity) or _home_of_owner(directory)
    if home:
        is_itself = identity_at(home) == directory.identity
        what = "is the home directory" if is_itself else "holds"
        return f"it {what} {home}, and all in it would be left out"
    return "it is a mount point" if _is_mount_point(directory) else ""


def homes() -> "Homes":
    """Return the homes, by the identity of each and of every directory above it.

    ``HOME`` may be wrong, and behind sudo it may be either user's, so the user database is asked as
    well. Identities are compared because one directory has many spellings.
    """
    found: Homes = {}
    for home in dict.fromkeys(home_paths()):
        true_path = os.path.realpath(home)
        for path in (home, true_path, *ancestors(true_path), *ancestors(os.path.abspath(home))):
            identity = identity_at(path)
            if identity is not None:
                found.setdefault(identity, home)
    return found


def home_paths() -> "Iterator[str]":
    """Yield the homes of this user and of who called sudo; for root also those of all people."""
    home = os.environ.get("HOME", "")
    if home.startswith("/"):
        yield home
    users = [os.getuid(), os.geteuid()]
    for name in ("SUDO_UID", "PKEXEC_UID"):
        number = os.environ.get(name, "")
        if number.isascii() and number.isdigit():
            users.append(int(number))
    if 0 in users:
        yield from (entry.pw_dir for entry in pwd.getpwall() if _is_person(entry.pw_uid))
    for user in dict.fromkeys(users):
        try:
            yield pwd.getpwuid(user).pw_dir
        except (KeyError, OverflowError):
            continue  # a container's user has no entry


def _is_person(user: int) -> bool:
    return user == 0 or (user >= _FIRST_USER and user != _NOBODY)


def _home_of_owner(directory: "Directory") -> str:
    """Return the home of a directory's owner if it is this directory, else an empty string."""
    owner = directory.status.st_uid
    if owner == os.geteuid():
        return ""  # ``home_paths`` has asked
    try:
        home = pwd.getpwuid(owner).pw_dir
    except KeyError:
        return ""
    return home if identity_at(home) == directory.identity else ""


def _is_mount_point(directory: "Directory") -> bool:
    from regrow_marks.libc import is_mount_point

    if is_mount_point(directory.fd):
        return True
    try:
        above = os.stat("..", dir_fd=directory.fd)
    except OSError:
        return False
    return above.st_dev != directory.status.st_dev
