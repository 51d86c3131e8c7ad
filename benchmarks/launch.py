"""Runs one command; prints its seconds and the peak memory of the largest of its processes, in MB.

``python -I -S launch.py PROCESSOR COMMAND ...``, where an empty word means all processors. It is a
process of its own because the kernel counts the memory of who starts a program as the program's:
what takes less than a bare interpreter can't be told apart.
"""

import os
import sys
import time

_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes; getrusage(2) of either system


def main() -> int:
    """Run the command; returns its exit code."""
    processor, *words = sys.argv[1:]
    if processor and sys.platform == "linux":
        os.sched_setaffinity(0, [int(processor)])
    nowhere = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    ]
    before = time.perf_counter()
    child = os.posix_spawnp(words[0], words, os.environ, file_actions=nowhere)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - before
    print(seconds, usage.ru_maxrss * _UNIT / 1e6)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    raise SystemExit(main())
