"""Home directories: whose they are, whatever ``HOME`` says."""

import os
import pwd

from regrow_marks.directory import ancestors, identity_at
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from regrow_marks.directory import Directory

_FIRST_USER = 500  # below it are a system's own accounts, macOS's; Linux's end at 999
_NOBODY = 65534


def by_identity() -> dict[tuple[int, int], str]:
    """Return homes by the identities of all directories that must not be left out for them.

    What ``HOME`` says may be wrong, and behind sudo it may be either user's; so the user database
    is asked as well. Identities, because one directory has many spellings.
    """
    found: dict[tuple[int, int], str] = {}
    for home in dict.fromkeys(paths()):
        true_path = os.path.realpath(home)
        for path in (home, true_path, *ancestors(true_path), *ancestors(os.path.abspath(home))):
            identity = identity_at(path)
            if identity is not None:
                found.setdefault(identity, home)
    return found


def paths() -> "Iterator[str]":
    """Yield the homes of who runs regrow, of who runs it behind sudo, and for root of everybody."""
    home = os.environ.get("HOME", "")
    if home.startswith("/"):
        yield home
    users: list[int] = [os.getuid(), os.geteuid()]
    for name in ("SUDO_UID", "PKEXEC_UID"):
        number = os.environ.get(name, "")
        if number.isascii() and number.isdigit():
            users.append(int(number))
    if 0 in users:
        yield from (entry.pw_dir for entry in pwd.getpwall() if _is_persons(entry.pw_uid))
    for user in dict.fromkeys(users):
        try:
            yield pwd.getpwuid(user).pw_dir
        except (KeyError, OverflowError):
            continue  # a container's user has no entry


def _is_persons(user: int) -> bool:
    return user == 0 or (user >= _FIRST_USER and user != _NOBODY)


def of_owner(directory: "Directory") -> str:
    """Return a directory's path where it is its owner's home, whoever asks."""
    if directory.status.st_uid == os.geteuid():
        return ""  # it is known already
    try:
        home = pwd.getpwuid(directory.status.st_uid).pw_dir
    except KeyError:
        return ""
    status = directory.status
    return home if identity_at(home) == (status.st_dev, status.st_ino) else ""
