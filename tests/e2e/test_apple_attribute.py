"""Apple's attribute as regrow sets it, on a file system that takes it, and a program that reads it.

No Mac is needed: FUSE takes any attribute name, and borg 2 honours this one on every platform.
"""
# ruff: noqa: ARG002 - a double takes what the calls it stands for take

import errno
import os
import plistlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from regrow_marks.darwin import Darwin
from regrow_marks.directory import open_directory
from regrow_marks.markers import TIME_MACHINE, put_on, take_off
from regrow_marks.model import HOLDS, MARKED, UNMARKED
from regrow_marks.programs import program
from regrow_marks.timemachine import TimeMachine
from tests.e2e.backups import BORG2, backup, read_back, tree
from tests.mounts import fuse_passthrough

if sys.platform != "linux":
    pytest.skip("Linux' FUSE stands in for macOS", allow_module_level=True)

pytestmark = pytest.mark.needs("fusermount3")

NAME = "com.apple.metadata:com_apple_backup_excludeItem"
VALUE = plistlib.dumps("com.apple.backupd", fmt=plistlib.FMT_BINARY)


class DarwinOnLinux(Darwin):
    """Darwin's attribute calls by Linux' own, and a CoreFoundation that only claims success."""

    def __init__(self) -> None:
        """Load nothing: there is no library of Apple's here."""

    def get_attribute(self, fd: int, name: bytes) -> bytes | None:
        try:
            return os.getxattr(fd, name)
        except OSError as error:
            if error.errno == errno.ENODATA:
                return None
            raise

    def set_attribute(self, fd: int, name: bytes, value: bytes) -> None:
        os.setxattr(fd, name, value)

    def remove_attribute(self, fd: int, name: bytes) -> None:
        if self.get_attribute(fd, name) is not None:
            os.removexattr(fd, name)

    def has_native_attributes(self, fd: int) -> bool:
        return True

    def exclude_url(self, path: bytes) -> bool:
        return True


TIME_MACHINE_ON_LINUX = TimeMachine(DarwinOnLinux())


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """A file system that takes any attribute name, with a project that has an environment."""
    below, mount_point = tmp_path / "below", tmp_path / "mount"
    below.mkdir()
    mount_point.mkdir()
    with fuse_passthrough(below, mount_point) as root:
        (root / "project" / ".venv" / "bin").mkdir(parents=True)
        (root / "project" / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin\n")
        (root / "project" / ".venv" / "bin" / "python").symlink_to("/usr/bin/python3")
        (root / "project" / "main.py").write_text("pass\n")
        yield root


@pytest.fixture
def environment(mount: Path) -> Path:
    return mount / "project" / ".venv"


def test_linux_refuses_the_attribute_where_the_mount_takes_it(
    environment: Path, tmp_path: Path
) -> None:
    os.setxattr(environment, NAME, b"any")
    with pytest.raises(OSError, match="not supported") as refused:
        os.setxattr(tmp_path, NAME, b"any")
    assert refused.value.errno == errno.ENOTSUP


def test_regrow_sets_apples_name_and_its_61_bytes_and_nothing_else(environment: Path) -> None:
    with open_directory(environment) as directory:
        assert put_on(TIME_MACHINE_ON_LINUX, directory).state == MARKED
    assert os.listxattr(environment) == [NAME]
    assert os.getxattr(environment, NAME) == VALUE
    assert len(VALUE) == 61
    assert sorted(os.listdir(environment.parent)) == [".venv", "main.py"]


def test_a_foreign_value_is_replaced_by_apples(environment: Path) -> None:
    os.setxattr(environment, NAME, b"com.apple.backupd")
    with open_directory(environment) as directory:
        assert put_on(TIME_MACHINE_ON_LINUX, directory).state == MARKED
    assert os.getxattr(environment, NAME) == VALUE


def test_the_attribute_is_gone_once_it_is_taken_off(environment: Path) -> None:
    with open_directory(environment) as directory:
        put_on(TIME_MACHINE_ON_LINUX, directory)
        assert take_off(TIME_MACHINE_ON_LINUX, directory).state == UNMARKED
    assert os.listxattr(environment) == []


def test_the_attribute_travels_with_a_rename(environment: Path) -> None:
    with open_directory(environment) as directory:
        put_on(TIME_MACHINE_ON_LINUX, directory)
    renamed = environment.rename(environment.with_name("env"))
    with open_directory(renamed) as directory:
        assert TIME_MACHINE_ON_LINUX.read(directory).state == HOLDS


@pytest.mark.slow
@pytest.mark.needs(BORG2)
class TestBorg2:
    """What borg 2 makes of the attribute, whatever its value: that the bytes are Apple's is for
    the tests above to say.
    """

    option = program("borg2").honours[TIME_MACHINE]

    def test_it_leaves_out_the_directory_that_has_it(
        self, environment: Path, tmp_path: Path
    ) -> None:
        with open_directory(environment) as directory:
            put_on(TIME_MACHINE_ON_LINUX, directory)
        stored = read_back(backup("borg2"), environment.parent, tmp_path, self.option)
        assert stored == {"main.py": b"pass\n"}

    def test_it_keeps_the_directory_that_has_none(self, environment: Path, tmp_path: Path) -> None:
        stored = read_back(backup("borg2"), environment.parent, tmp_path, self.option)
        assert stored == tree(environment.parent)

    def test_it_keeps_the_directory_that_has_it_by_another_name(
        self, environment: Path, tmp_path: Path
    ) -> None:
        os.setxattr(environment, f"user.{NAME}", VALUE)
        stored = read_back(backup("borg2"), environment.parent, tmp_path, self.option)
        assert stored == tree(environment.parent)

    def test_it_leaves_out_the_directory_with_a_foreign_value_too(
        self, environment: Path, tmp_path: Path
    ) -> None:
        os.setxattr(environment, NAME, b"1")
        stored = read_back(backup("borg2"), environment.parent, tmp_path, self.option)
        assert stored == {"main.py": b"pass\n"}
