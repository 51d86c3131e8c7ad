"""Where a directory's times can be relied on, and where not."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from regrow.system import mounts
from regrow.system.mounts import Mount
from regrow_marks import libc
from tests.hostile.helpers import LINUX_ONLY

DOUBLE = Path(__file__).with_name("statfs_double.c")


@LINUX_ONLY
def test_what_is_mounted_is_read() -> None:
    found = mounts.mounts()
    assert "proc" in {mount.kind for mount in found if mount.point == "/proc"}
    assert found[0].options.split(",")[0] in ("rw", "ro")


@pytest.mark.parametrize(
    ("path", "is_kept"),
    [
        ("/home/ada/code", True),
        ("/home/ada/net", False),
        ("/home/ada/net/code", False),
        ("/home/ada/network", True),
        ("/home/ada/net/local/code", True),
        ("/media/stick", False),
        ("/twice/x", False),
        ("/home/ada/with blank/code", False),
    ],
)
def test_the_nearest_mount_decides(
    path: str, is_kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = [
        Mount("/", "ext4", "rw"),
        Mount("/home/ada/net", "nfs4", "rw"),
        Mount("/home/ada/net/local", "xfs", "rw"),
        Mount("/media/stick", "vfat", "rw"),
        Mount("/twice", "ext4", "rw"),
        Mount("/twice", "fuse.sshfs", "rw"),
        Mount("/home/ada/with blank", "cifs", "rw"),
    ]
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(mounts, "mounts", lambda: mounted)
    assert mounts.keeps_times(path) is is_kept


def test_where_nothing_is_known_nothing_is_relied_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(mounts, "mounts", list)
    assert not mounts.keeps_times("/home/ada")


@LINUX_ONLY
@pytest.mark.needs("gcc")
@pytest.mark.parametrize("flags", [(), ("-DWITH_INODE64",)], ids=["Arm", "Intel"])
def test_macos_is_asked_as_its_header_says(
    flags: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "double.so"
    gcc = ["gcc", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run([*gcc, "-o", library, *flags, DOUBLE], check=True)
    double = ctypes.CDLL(str(library))
    assert libc.file_system("/Users/ada", double) == "apfs"
    assert libc.file_system("/Volumes/smbfs", double) == "smbfs"
    assert libc.file_system("/Volumes/gone", double) == ""

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(libc.file_system, "__defaults__", (double,))
    assert mounts.keeps_times("/Users/ada")
    assert not mounts.keeps_times("/Volumes/smbfs")
    assert not mounts.keeps_times("/Volumes/gone")
