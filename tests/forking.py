"""What the tests of a second process share: what must not be left, and what there is little of."""

import contextlib
import os
import resource
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def leaving_nothing() -> Iterator[None]:
    """Check that a block leaves no descriptor open and no process behind."""
    before = len(os.listdir("/dev/fd"))
    yield
    assert len(os.listdir("/dev/fd")) == before
    assert children() == []


def children() -> list[int]:
    """Give the processes that were forked from here and not waited for."""
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return [int(number) for number in file.read().split()]


def have_two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let two processes pay, on any machine."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})


@contextlib.contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """Let no more than some descriptors be opened in a block."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open("/", os.O_RDONLY))
        for _ in range(count):
            os.close(taken.pop())
        yield
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
