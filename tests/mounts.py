"""File systems that tests mount: images of other kinds, and one that takes any attribute name.

Each is a context manager that unmounts whatever happens in its block.
"""
# ruff: noqa: ARG002 - FUSE decides what its calls are given

import contextlib
import ctypes
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_MAKE = {"ext4": ("mkfs.ext4", "-q", "-F"), "ramfs": ("true",), "vfat": ("mkfs.vfat",)}
_CAP_SYS_ADMIN = 1 << 21  # <linux/capability.h>
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
_PATIENCE = 20.0  # seconds that a mount may take


@contextlib.contextmanager
def mounted_image(
    directory: Path,
    kind: str,
    megabytes: int = 8,
    read_only: bool = False,
    prepare: Callable[[Path], None] | None = None,
) -> Iterator[Path]:
    """Mount a fresh file system for the length of a block. Needs root.

    Args:
        directory: where the image and the mount point are put, and taken away from afterwards.
        kind: ``ext4``; or, without extended attributes, ``vfat``, which not every kernel has, and
            ``ramfs``, which every one has.
        megabytes: the image's size, in MiB.
        read_only: whether it is mounted read-only in the block.
        prepare: called with the mounted root while it can still be written to.

    Yields:
        The mounted root.
    """
    if not _may_mount() or not os.path.exists("/dev/loop-control"):
        pytest.skip("mounting an image needs CAP_SYS_ADMIN and loop devices")
    image, root = directory / f"{kind}.image", directory / kind
    root.mkdir()
    with contextlib.ExitStack() as undo:
        undo.callback(root.rmdir)
        undo.callback(image.unlink, missing_ok=True)
        with image.open("wb") as file:
            file.truncate(megabytes << 20)
        _run(*_MAKE[kind], image)
        try:
            _run("mount", "-t", kind, "-o", "loop", image, root)
        except AssertionError as error:
            if "unknown filesystem type" in str(error):
                pytest.skip(f"this kernel has no {kind}")
            raise
        undo.callback(_unmount, root, image)
        if prepare is not None:
            prepare(root)
        if read_only:
            _run("mount", "-o", "remount,ro", root)
        yield root


@contextlib.contextmanager
def bind_mount(source: Path, mount_point: Path) -> Iterator[None]:
    """Show a directory at another place, too, for the length of a block. Needs root."""
    if not _may_mount():
        pytest.skip("mounting needs CAP_SYS_ADMIN")
    _run("mount", "--bind", source, mount_point)
    held = os.open(mount_point, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield
    finally:
        place = os.readlink(f"/proc/self/fd/{held}")  # a directory above it may have been moved
        os.close(held)
        _run("umount", place)


@contextlib.contextmanager
def fuse_passthrough(root: Path, mount_point: Path) -> Iterator[Path]:
    """Show a directory at a second place whose file system takes any attribute name.

    Linux' own file systems refuse names outside their few name spaces, Apple's among them. The
    attributes live in the serving process' memory, and end with the block.

    Args:
        root: the directory that is shown.
        mount_point: an empty directory.

    Yields:
        The mount point.
    """
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("mounting with FUSE needs /dev/fuse")
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", __file__, root, mount_point],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        errors="replace",
    )
    try:
        _wait_for_mount(mount_point, server)
        yield mount_point
    finally:
        subprocess.run(
            ["fusermount3", "-u", "-z", mount_point], capture_output=True, check=False, timeout=60
        )
        try:
            server.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            server.kill()
            server.communicate()


def _may_mount() -> bool:
    with open("/proc/self/status") as status:
        effective = next(line for line in status if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) & _CAP_SYS_ADMIN)


def _run(*words: str | Path) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.stderr or done.stdout}"
    return done.stdout


def _unmount(root: Path, image: Path) -> None:
    _run("umount", "-l", root)
    # The kernel frees the device with the last file open in it: right away, unless a test left one.
    for line in _run("losetup", "-j", image).splitlines():
        subprocess.run(["losetup", "-d", line.partition(":")[0]], check=False, timeout=60)


def _wait_for_mount(mount_point: Path, server: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + _PATIENCE
    while not os.path.ismount(mount_point):
        if server.poll() is not None:
            raise RuntimeError(f"{mount_point}: not mounted: {server.communicate()[0]}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{mount_point}: not mounted after {_PATIENCE} seconds")
        time.sleep(0.01)


class Passthrough:
    """The file system's calls, each handed on to the directory below; attributes are kept here."""

    use_ns = True

    def __init__(self, root: str) -> None:
        self._root = root
        self._attributes: dict[int, dict[str, bytes]] = {}

    def _at(self, path: str) -> str:
        return self._root + path

    def _of(self, path: str) -> dict[str, bytes]:
        return self._attributes.setdefault(os.lstat(self._at(path)).st_ino, {})

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        status = os.lstat(self._at(path))
        names = ("mode", "ino", "nlink", "uid", "gid", "size", "blocks")
        values = {f"st_{name}": getattr(status, f"st_{name}") for name in names}
        times = {f"st_{name}time": getattr(status, f"st_{name}time_ns") for name in "amc"}
        return values | times

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", *os.listdir(self._at(path))]

    def readlink(self, path: str) -> str:
        return os.readlink(self._at(path))

    def mkdir(self, path: str, mode: int) -> None:
        os.mkdir(self._at(path), mode)

    def rmdir(self, path: str) -> None:
        inode = os.lstat(self._at(path)).st_ino
        os.rmdir(self._at(path))
        self._attributes.pop(inode, None)

    def unlink(self, path: str) -> None:
        status = os.lstat(self._at(path))
        os.unlink(self._at(path))
        if status.st_nlink == 1:
            self._attributes.pop(status.st_ino, None)

    def rename(self, old: str, new: str) -> None:
        os.rename(self._at(old), self._at(new))

    def symlink(self, made: str, target: str) -> None:
        os.symlink(target, self._at(made))

    def link(self, made: str, existing: str) -> None:
        os.link(self._at(existing), self._at(made))

    def chmod(self, path: str, mode: int) -> None:
        os.chmod(self._at(path), mode)

    def chown(self, path: str, user: int, group: int) -> None:
        os.lchown(self._at(path), user, group)

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        os.utime(self._at(path), ns=times or (now := time.time_ns(), now), follow_symlinks=False)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        os.truncate(self._at(path), length)

    def create(self, path: str, mode: int, fi: object = None) -> int:
        return os.open(self._at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def open(self, path: str, flags: int) -> int:
        return os.open(self._at(path), flags)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        return os.pwrite(fh, data, offset)

    def release(self, path: str, fh: int) -> None:
        os.close(fh)

    def getxattr(self, path: str, name: str, position: int = 0) -> bytes:
        try:
            return self._of(path)[name]
        except KeyError:
            raise OSError(errno.ENODATA, os.strerror(errno.ENODATA)) from None

    def listxattr(self, path: str) -> list[str]:
        return list(self._of(path))

    def setxattr(self, path: str, name: str, value: bytes, options: int, position: int = 0) -> None:
        self._of(path)[name] = value

    def removexattr(self, path: str, name: str) -> None:
        self.getxattr(path, name)
        del self._of(path)[name]


def _serve(root: str, mount_point: str) -> None:
    import importlib

    # A test run that is killed takes its mount along.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    mfusepy: Any = importlib.import_module("mfusepy")  # it has no type information
    mfusepy.FUSE(Passthrough(root), mount_point, foreground=True, nothreads=True)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
