"""Builds the double of Apple's libraries (``apple_double.c``) and drives it from tests."""

from __future__ import annotations

import ctypes
import os
import subprocess
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from regrow_marks import darwin, markers, programs, timemachine
from regrow_marks.darwin import Darwin

ATTRIBUTE = b"com.apple.metadata:com_apple_backup_excludeItem"
SOURCE = Path(__file__).with_suffix(".c")
WITHOUT_TRUE = "-DWITHOUT_TRUE"
WITHOUT_SET_CALL = "-DWITHOUT_SET_CALL"

DOES_IT, CLAIMS_IT, REFUSES = 0, 1, 2
"""What ``CFURLSetResourcePropertyForKey`` does, for ``set_call``."""

_WARNINGS = ("-Wall", "-Wextra", "-Werror")


def pretend_to_be_a_mac(double: AppleDouble, settings: Path, patch: pytest.MonkeyPatch) -> None:
    """Answer "darwin" to what asks for the platform; the modules below it stay on this machine.

    Args:
        double: stands in for Apple's libraries.
        settings: stands in for Time Machine's property list.
        patch: puts all back after the test.
    """
    for module in (markers, programs):
        patch.setattr(module, "sys", SimpleNamespace(platform="darwin"))
    patch.setattr(darwin, "_loaded", double.darwin())
    patch.setattr(timemachine.fixed_paths, "__defaults__", (str(settings),))


class Builder:
    """Compiles the double once for each set of flags."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self.build = lru_cache(maxsize=None)(self._build)

    def _build(self, *flags: str) -> Path:
        library = self._place / ("".join(("apple_double", *flags)) + ".so")
        subprocess.run(
            ["gcc", "-std=gnu11", *_WARNINGS, "-shared", "-fPIC", "-o", library, *flags, SOURCE],
            check=True,
        )
        return library


class AppleDouble:
    """The double, loaded, as a test sees it.

    It is loaded as regrow loads Apple's libraries: the names it shares with the C library
    (``fgetxattr``) stay its own.
    """

    def __init__(self, library: Path) -> None:
        self.library = ctypes.CDLL(str(library), use_errno=True)
        name, size = ctypes.c_char_p, ctypes.c_size_t
        self._get = self.library.double_get
        self._get.argtypes = (name, name, ctypes.c_void_p, size)
        self._get.restype = ctypes.c_ssize_t
        self._put = self.library.double_put
        self._put.argtypes = (name, name, ctypes.c_char_p, size)
        self._put.restype = None
        self.library.double_reset()

    def darwin(self, *, foundation: bool = True) -> Darwin:
        """Return regrow's calls on the double, with CoreFoundation or without."""
        return Darwin(self.library, self.library if foundation else None)

    def behave(self, **settings: int) -> None:
        """Set what the double does: each name is a variable of ``apple_double.c``."""
        for name, value in settings.items():
            self._int(f"double_{name}").value = value

    @property
    def log(self) -> list[str]:
        """The calls so far, with their arguments."""
        log = ctypes.c_char.in_dll(self.library, "double_log")
        return ctypes.string_at(ctypes.addressof(log)).decode().splitlines()

    @property
    def calls(self) -> list[str]:
        """The names of the calls so far."""
        return [line.partition("(")[0] for line in self.log]

    @property
    def foundation_calls(self) -> list[str]:
        """The names of CoreFoundation's calls so far."""
        return [name for name in self.calls if name.startswith("CF")]

    @property
    def faults(self) -> list[str]:
        """What would have crashed a Mac."""
        return [line for line in self.log if line.startswith("FAULT")]

    @property
    def objects(self) -> tuple[int, int]:
        """How many CoreFoundation objects were created, and how many released."""
        return self._int("double_created").value, self._int("double_released").value

    def attribute(self, path: Path, name: bytes = ATTRIBUTE) -> bytes | None:
        """Read an attribute, past regrow and past the log."""
        buffer = ctypes.create_string_buffer(8192)
        length = self._get(os.fsencode(path), name, buffer, len(buffer))
        return buffer.raw[:length] if length >= 0 else None

    def put(self, path: Path, value: bytes, name: bytes = ATTRIBUTE) -> None:
        """Set an attribute as another program would, past regrow and past the log."""
        self._put(os.fsencode(path), name, value, len(value))

    def _int(self, name: str) -> ctypes.c_int:
        return ctypes.c_int.in_dll(self.library, name)
