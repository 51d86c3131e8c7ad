"""How much room a directory takes."""

import os

_BLOCK = 512  # bytes; the unit of st_blocks, whatever the file system's own (stat(2))


def on_disk(path: str) -> int:
    """Return what a tree takes on the disk.

    Args:
        path: the directory; links below it are counted, not followed.

    Returns:
        Bytes. A file with several hard links inside counts once; what can't be read counts as 0.
    """
    total = 0
    seen: set[tuple[int, int]] = set()
    pending = [path]
    while pending:
        try:
            entries = os.scandir(pending.pop())
        except OSError:
            continue
        with entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif status.st_nlink > 1:
                    identity = (status.st_dev, status.st_ino)
                    if identity in seen:
                        continue
                    seen.add(identity)
                total += status.st_blocks * _BLOCK
    return total
