"""Time Machine's marker, on a double of Apple's libraries: there is no Mac here."""

from __future__ import annotations

import errno
import os
import plistlib
import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from apple_double import (
    ATTRIBUTE,
    CLAIMS_IT,
    REFUSES,
    WITHOUT_SET_CALL,
    WITHOUT_TRUE,
    AppleDouble,
    Builder,
    pretend_to_be_a_mac,
)

import regrow_marks
from regrow_marks import darwin, markers, timemachine
from regrow_marks.directory import Directory, open_directory
from regrow_marks.errors import MarkerError
from regrow_marks.model import (
    ABSENT,
    ALREADY_MARKED,
    FAILED,
    FOREIGN,
    HOLDS,
    MARKED,
    NOT_MARKED,
    UNMARKED,
)

pytestmark = pytest.mark.needs("gcc")

VALUE = (
    b"bplist00\x5f\x10\x11com.apple.backupd\x08"
    b"\0\0\0\0\0\0\1\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x1c"
)
FOREIGN_VALUES = (b"com.apple.backupd", b"1", b"", VALUE[:-1], VALUE + b"\0")
DARWIN_ENOTSUP = 45
SUPERUSER, ORDINARY_USER = 0, 501


@pytest.fixture(scope="session")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return Builder(tmp_path_factory.mktemp("apple-double"))


@pytest.fixture
def apple(builder: Builder) -> Iterator[AppleDouble]:
    """The double; whatever a test does, each object is released once and no other is touched."""
    double = AppleDouble(builder.build())
    yield double
    assert double.faults == []
    created, released = double.objects
    assert created == released


@pytest.fixture
def mark(apple: AppleDouble) -> timemachine.TimeMachine:
    return timemachine.TimeMachine(apple.darwin())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "node_modules"
    path.mkdir()
    return path


@pytest.fixture
def directory(place: Path) -> Iterator[Directory]:
    with open_directory(place) as opened:
        yield opened


@pytest.fixture(autouse=True)
def ordinary_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: ORDINARY_USER)


# The bytes


def test_the_name_and_the_61_bytes_are_those_that_apple_writes() -> None:
    assert timemachine.ATTRIBUTE == ATTRIBUTE
    assert timemachine.VALUE == VALUE
    assert len(timemachine.VALUE) == 61


def test_the_value_is_the_binary_property_list_of_a_string() -> None:
    expected = plistlib.dumps("com.apple.backupd", fmt=plistlib.FMT_BINARY)
    assert expected == timemachine.VALUE


# Setting, through CoreFoundation


def test_core_foundation_sets_the_attribute_by_the_path(
    apple: AppleDouble, mark: timemachine.TimeMachine, directory: Directory, place: Path
) -> None:
    mark.set(directory)

    assert apple.log == [
        "fgetattrlist()",
        f"CFURLCreateFromFileSystemRepresentation(NULL, {place}, {len(os.fsencode(place))}, 1)",
        "CFStringCreateWithCString(NULL, NSURLIsExcludedFromBackupKey, 0x08000100)",
        "CFURLSetResourcePropertyForKey(true, NULL)",
        "CFRelease()",
        "CFRelease()",
        f"fgetxattr({ATTRIBUTE.decode()})",
    ]
    assert apple.attribute(place) == VALUE


@pytest.mark.skipif(sys.platform == "darwin", reason="APFS takes no such name")
def test_a_path_that_is_not_utf_8_reaches_core_foundation_byte_by_byte(
    apple: AppleDouble, mark: timemachine.TimeMachine, tmp_path: Path
) -> None:
    path = os.fsencode(tmp_path) + b"/gr\xf6\xdf"
    os.mkdir(path)
    with open_directory(path) as directory:
        mark.set(directory)

    assert apple.log[1] == (
        "CFURLCreateFromFileSystemRepresentation"
        rf"(NULL, {tmp_path}/gr\xf6\xdf, {len(path)}, 1)"
    )
    assert apple.attribute(Path(os.fsdecode(path))) == VALUE


def test_core_foundation_is_never_called_as_superuser(
    apple: AppleDouble,
    mark: timemachine.TimeMachine,
    directory: Directory,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: SUPERUSER)
    mark.set(directory)
    assert apple.foundation_calls == []
    assert apple.attribute(place) == VALUE


def test_a_directory_that_was_moved_is_marked_on_the_descriptor_alone(
    apple: AppleDouble, mark: timemachine.TimeMachine, directory: Directory, place: Path
) -> None:
    elsewhere = place.rename(place.with_name("elsewhere"))
    place.mkdir()

    mark.set(directory)

    assert apple.foundation_calls == []
    assert apple.attribute(elsewhere) == VALUE
    assert apple.attribute(place) is None


def test_a_link_that_took_the_directorys_place_is_never_followed(
    apple: AppleDouble,
    mark: timemachine.TimeMachine,
    directory: Directory,
    place: Path,
    tmp_path: Path,
) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    elsewhere = place.rename(tmp_path / "elsewhere")
    place.symlink_to(documents)

    mark.set(directory)

    assert apple.foundation_calls == []
    assert apple.attribute(elsewhere) == VALUE
    assert apple.attribute(documents) is None


def test_a_link_back_to_the_directory_is_no_way_to_it(
    apple: AppleDouble, mark: timemachine.TimeMachine, directory: Directory, place: Path
) -> None:
    place.symlink_to(place.rename(place.with_name("elsewhere")))
    mark.set(directory)
    assert apple.foundation_calls == []


# Setting, where CoreFoundation does not do its work


def test_a_set_call_that_claims_success_and_does_nothing_is_made_good_on_the_descriptor(
    apple: AppleDouble, mark: timemachine.TimeMachine, directory: Directory, place: Path
) -> None:
    apple.behave(set_call=CLAIMS_IT)
    assert markers.put_on(mark, directory).state == MARKED
    assert apple.attribute(place) == VALUE
    assert "fsetxattr" in apple.calls


@pytest.mark.parametrize(
    ("failure", "made"),
    [({"no_url": 1}, 0), ({"no_string": 1}, 1), ({"set_call": REFUSES}, 2)],
    ids=["no URL", "no string", "the call refuses"],
)
def test_a_failure_of_core_foundation_leaks_nothing_and_is_made_good(
    failure: dict[str, int],
    made: int,
    apple: AppleDouble,
    mark: timemachine.TimeMachine,
    directory: Directory,
    place: Path,
) -> None:
    apple.behave(**failure)
    assert not apple.darwin().exclude_url(os.fsencode(place))
    assert apple.objects == (made, made)

    assert markers.put_on(mark, directory).state == MARKED
    assert apple.attribute(place) == VALUE


def test_every_object_is_released_once_on_success(apple: AppleDouble, place: Path) -> None:
    assert apple.darwin().exclude_url(os.fsencode(place))
    assert apple.objects == (2, 2)
    assert apple.faults == []


@pytest.mark.parametrize("flag", [WITHOUT_TRUE, WITHOUT_SET_CALL])
def test_core_foundation_without_a_symbol_is_not_used(
    flag: str, builder: Builder, directory: Directory, place: Path
) -> None:
    apple = AppleDouble(builder.build(flag))
    assert markers.put_on(timemachine.TimeMachine(apple.darwin()), directory).state == MARKED
    assert apple.foundation_calls == []
    assert apple.attribute(place) == VALUE


def test_without_core_foundation_the_attribute_goes_on_the_descriptor(
    apple: AppleDouble, directory: Directory, place: Path
) -> None:
    mark = timemachine.TimeMachine(apple.darwin(foundation=False))
    assert markers.put_on(mark, directory).state == MARKED
    assert apple.foundation_calls == []
    assert apple.attribute(place) == VALUE


# Reading


def test_a_directory_without_the_attribute_is_read_as_such(
    mark: timemachine.TimeMachine, directory: Directory
) -> None:
    assert mark.read(directory).state == ABSENT


def test_apples_value_holds_whoever_set_it(
    apple: AppleDouble, mark: timemachine.TimeMachine, directory: Directory, place: Path
) -> None:
    apple.put(place, VALUE)
    assert mark.read(directory).state == HOLDS
    assert markers.put_on(mark, directory).state == ALREADY_MARKED
    assert set(apple.calls) == {"fgetxattr"}


@pytest.mark.parametrize("value", FOREIGN_VALUES)
def test_another_value_is_foreign_and_is_kept_for_the_record(
    value: bytes,
    apple: AppleDouble,
    mark: timemachine.TimeMachine,
    directory: Directory,
    place: Path,
) -> None:
    apple.put(place, value)
    reading = mark.read(directory)
    assert (reading.state, reading.value) == (FOREIGN, value)
    assert "not the one Apple writes" in reading.detail


@pytest.mark.parametrize("set_call", [CLAIMS_IT, REFUSES])
@pytest.mark.parametrize("value", FOREIGN_VALUES)
def test_another_value_is_replaced(
    value: bytes,
    set_call: int,
    apple: AppleDouble,
    mark: timemachine.TimeMachine,
    directory: Directory,
    place: Path,
) -> None:
    apple.put(place, value)
    apple.behave(set_call=set_call)
    assert markers.put_on(mark, directory).state == MARKED
    assert apple.attribute(place) == VALUE


# Volumes that keep no attributes


@pytest.mark.parametrize(
    "volume",
    [
        {"capabilities": 0},
        {"capabilities_valid": 0},
        {"capabilities": ~0x4000, "capabilities_valid": -1},
        {"fgetattrlist_errno": errno.EINVAL},
    ],
    ids=["not capable", "capability not valid", "every other capability", "no answer"],
)
def test_a_volume_that_keeps_no_attributes_is_left_without_litter(
    volume: dict[str, int],
    apple: AppleDouble,
    mark: timemachine.TimeMachine,
    directory: Directory,
    place: Path,
) -> None:
    apple.behave(**volume)
    outcome = markers.put_on(mark, directory)

    assert outcome.state == FAILED
    assert "keeps no attributes" in outcome.error
    assert "._node_modules" in outcome.error
    assert apple.attribute(place) is None
    assert set(apple.calls) == {"fgetxattr", "fgetattrlist"}


def test_setting_on_such_a_volume_is_an_error_of_the_marker(
    apple: AppleDouble, mark: timemachine.TimeMachine, directory: Directory
) -> None:
    apple.behave(capabilities=0)
    with pytest.raises(MarkerError, match=r"\._node_modules"):
        mark.set(directory)


def test_where_only_a_volumes_root_can_be_asked_the_root_is_asked(
    apple: AppleDouble, mark: timemachine.TimeMachine, directory: Directory, place: Path
) -> None:
    apple.behave(volume_root_only=1)
    assert markers.put_on(mark, directory).state == MARKED
    assert apple.attribute(place) == timemachine.VALUE
    assert apple.calls.count("fgetattrlist") == 2


# Outcomes, in words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "no permission (EACCES)"),
        (errno.EPERM, "only its owner may do that (EPERM)"),
        (errno.EROFS, "read-only (EROFS)"),
        (errno.ENOSPC, "the disk is full (ENOSPC)"),
    ],
)
def test_a_refusal_of_the_system_is_told_in_words(
    number: int,
    words: str,
    apple: AppleDouble,
    mark: timemachine.TimeMachine,
    directory: Directory,
    place: Path,
) -> None:
    apple.behave(set_call=CLAIMS_IT, fsetxattr_errno=number)
    outcome = markers.put_on(mark, directory)
    assert outcome.state == FAILED
    assert outcome.error.startswith("Time Machine's attribute: ")
    assert words in outcome.error
    assert apple.attribute(place) is None


@pytest.mark.parametrize("call", ["get", "set", "remove"])
def test_each_call_raises_with_the_systems_own_number(
    call: str, apple: AppleDouble, directory: Directory
) -> None:
    apple.behave(**{f"f{call}xattr_errno": DARWIN_ENOTSUP})
    darwins, fd = apple.darwin(), directory.fd
    attempts: dict[str, Callable[[], object]] = {
        "get": lambda: darwins.get_attribute(fd, ATTRIBUTE),
        "set": lambda: darwins.set_attribute(fd, ATTRIBUTE, VALUE),
        "remove": lambda: darwins.remove_attribute(fd, ATTRIBUTE),
    }
    with pytest.raises(OSError, match=r".") as raised:
        attempts[call]()
    assert raised.value.errno == DARWIN_ENOTSUP


def test_an_attribute_that_cannot_be_read_is_not_set_blindly(
    apple: AppleDouble, mark: timemachine.TimeMachine, directory: Directory, place: Path
) -> None:
    apple.behave(fgetxattr_errno=errno.EACCES)
    outcome = markers.put_on(mark, directory)
    assert outcome.state == FAILED
    assert "no permission (EACCES)" in outcome.error
    assert apple.calls == ["fgetxattr"]


def test_an_attribute_that_does_not_stay_is_a_failure(
    apple: AppleDouble, mark: timemachine.TimeMachine, directory: Directory
) -> None:
    apple.behave(set_call=CLAIMS_IT, fsetxattr_idles=1)
    outcome = markers.put_on(mark, directory)
    assert outcome.state == FAILED
    assert "set without an error, and does not hold" in outcome.error


# Taking off


@pytest.mark.parametrize("value", [VALUE, b"1"])
def test_the_attribute_is_taken_off_whoever_set_it(
    value: bytes,
    apple: AppleDouble,
    mark: timemachine.TimeMachine,
    directory: Directory,
    place: Path,
) -> None:
    apple.put(place, value)
    apple.put(place, b"stays", b"com.apple.quarantine")
    assert markers.take_off(mark, directory).state == UNMARKED
    assert apple.attribute(place) is None
    assert apple.attribute(place, b"com.apple.quarantine") == b"stays"


def test_what_carries_no_attribute_is_not_touched(
    apple: AppleDouble, mark: timemachine.TimeMachine, directory: Directory
) -> None:
    assert markers.take_off(mark, directory).state == NOT_MARKED
    assert apple.calls == ["fgetxattr"]


def test_removing_an_attribute_that_is_gone_already_is_no_error(
    apple: AppleDouble, mark: timemachine.TimeMachine, directory: Directory
) -> None:
    assert mark.clear(directory)
    assert apple.calls == ["fremovexattr"]


def test_a_removal_that_is_refused_is_told_in_words(
    apple: AppleDouble, mark: timemachine.TimeMachine, directory: Directory, place: Path
) -> None:
    apple.put(place, VALUE)
    apple.behave(fremovexattr_errno=errno.EACCES)
    outcome = markers.take_off(mark, directory)
    assert outcome.state == FAILED
    assert "no permission (EACCES)" in outcome.error
    assert apple.attribute(place) == VALUE


def test_a_removal_that_does_nothing_is_a_failure(
    apple: AppleDouble, mark: timemachine.TimeMachine, directory: Directory, place: Path
) -> None:
    apple.put(place, VALUE)
    apple.behave(fremovexattr_idles=1)
    outcome = markers.take_off(mark, directory)
    assert outcome.state == FAILED
    assert "still stands" in outcome.error


# Taking back


@pytest.mark.parametrize("previous", [None, *FOREIGN_VALUES])
def test_what_regrow_set_is_taken_back_and_what_it_replaced_returns(
    previous: bytes | None,
    apple: AppleDouble,
    mark: timemachine.TimeMachine,
    directory: Directory,
    place: Path,
) -> None:
    if previous is not None:
        apple.put(place, previous)
    before = mark.read(directory)
    assert markers.put_on(mark, directory).state == MARKED
    assert before.value == previous
    assert markers.take_back(mark, directory, before.value) == (UNMARKED, "")
    assert apple.attribute(place) == previous


@pytest.mark.parametrize("previous", [None, b"1"])
def test_a_value_that_somebody_changed_since_is_left(
    previous: bytes | None,
    apple: AppleDouble,
    mark: timemachine.TimeMachine,
    directory: Directory,
    place: Path,
) -> None:
    apple.put(place, b"com.example.theirs")
    outcome = markers.take_back(mark, directory, previous)
    assert outcome.state == NOT_MARKED
    assert "left as it is: somebody changed it since" in outcome.error
    assert apple.attribute(place) == b"com.example.theirs"
    assert set(apple.calls) == {"fgetxattr"}


@pytest.mark.parametrize("previous", [None, b"1"])
def test_what_is_off_already_is_not_put_back(
    previous: bytes | None,
    apple: AppleDouble,
    mark: timemachine.TimeMachine,
    directory: Directory,
    place: Path,
) -> None:
    assert markers.take_back(mark, directory, previous) == (NOT_MARKED, "")
    assert apple.attribute(place) is None
    assert apple.calls == ["fgetxattr"]


@pytest.mark.parametrize(
    ("previous", "refusal"),
    [
        (None, {"fremovexattr_errno": errno.EACCES}),
        (b"1", {"fsetxattr_errno": errno.EACCES}),
    ],
)
def test_a_refusal_to_take_back_is_told_in_words(
    previous: bytes | None,
    refusal: dict[str, int],
    apple: AppleDouble,
    mark: timemachine.TimeMachine,
    directory: Directory,
    place: Path,
) -> None:
    apple.put(place, VALUE)
    apple.behave(**refusal)
    outcome = markers.take_back(mark, directory, previous)
    assert outcome.state == FAILED
    assert "no permission (EACCES)" in outcome.error
    assert apple.attribute(place) == VALUE


@pytest.mark.parametrize(
    ("previous", "idling"), [(None, {"fremovexattr_idles": 1}), (b"1", {"fsetxattr_idles": 1})]
)
def test_taking_back_that_does_nothing_is_a_failure(
    previous: bytes | None,
    idling: dict[str, int],
    apple: AppleDouble,
    mark: timemachine.TimeMachine,
    directory: Directory,
    place: Path,
) -> None:
    apple.put(place, VALUE)
    apple.behave(**idling)
    outcome = markers.take_back(mark, directory, previous)
    assert outcome.state == FAILED
    assert "still stands" in outcome.error


# The calls, on a Mac


@pytest.fixture
def mac(apple: AppleDouble, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AppleDouble:
    pretend_to_be_a_mac(apple, tmp_path / "com.apple.TimeMachine.plist", monkeypatch)
    return apple


def test_exclude_and_include_use_time_machines_marker(mac: AppleDouble, place: Path) -> None:
    assert {name: it.state for name, it in regrow_marks.exclude(place).items()} == {
        "time-machine": MARKED
    }
    assert mac.attribute(place) == VALUE
    assert regrow_marks.exclude(place)["time-machine"].state == ALREADY_MARKED

    assert {name: it.state for name, it in regrow_marks.include(place).items()} == {
        "time-machine": UNMARKED,
        "cachedir-tag": NOT_MARKED,
    }
    assert mac.attribute(place) is None


def test_a_directory_is_born_with_the_attribute(mac: AppleDouble, tmp_path: Path) -> None:
    born = tmp_path / ".venv"
    assert regrow_marks.create(born)["time-machine"].state == MARKED
    assert mac.attribute(born) == VALUE


def test_the_attribute_of_an_ancestor_covers_what_is_below(mac: AppleDouble, place: Path) -> None:
    package = place / "left-pad"
    package.mkdir()
    regrow_marks.exclude(place)

    excluded = regrow_marks.is_excluded(package)

    assert excluded["time-machine"] == ("time-machine", str(place), None)
    assert excluded["borg2"] == ("time-machine", str(place), None)
    assert excluded["restic"] is None
    assert regrow_marks.is_excluded(place.parent)["time-machine"] is None


@pytest.mark.parametrize("value", FOREIGN_VALUES)
def test_a_foreign_value_excludes_nothing(value: bytes, mac: AppleDouble, place: Path) -> None:
    mac.put(place, value)
    assert regrow_marks.is_excluded(place)["time-machine"] is None


def test_a_tag_excludes_nothing_from_time_machine(mac: AppleDouble, place: Path) -> None:
    regrow_marks.exclude(place, tag=True)
    mac.behave(fgetxattr_errno=errno.EACCES)
    excluded = regrow_marks.is_excluded(place)
    assert excluded["time-machine"] is None
    assert excluded["restic"] is not None


def test_a_path_that_time_machine_leaves_out_by_name_is_excluded(
    mac: AppleDouble, place: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "com.apple.TimeMachine.plist"
    settings.write_bytes(plistlib.dumps({"SkipPaths": [str(tmp_path)]}))
    assert regrow_marks.is_excluded(place)["time-machine"] == ("fixed-path", str(tmp_path), None)


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac has Apple's libraries")
def test_apples_libraries_are_missing_elsewhere() -> None:
    with pytest.raises(OSError, match="libSystem"):
        darwin.this_machine()


# Fixed paths


@pytest.mark.parametrize("form", [plistlib.FMT_XML, plistlib.FMT_BINARY])
def test_fixed_paths_are_read_from_both_kinds_of_property_list(
    form: plistlib.PlistFormat, tmp_path: Path, home: Path
) -> None:
    settings = tmp_path / "settings.plist"
    lists = {"SkipPaths": ["~/Downloads", "/opt"], "ExcludeByPath": ["/srv"], "AutoBackup": True}
    settings.write_bytes(plistlib.dumps(lists, fmt=form))
    assert timemachine.fixed_paths(str(settings)) == (f"{home}/Downloads", "/opt", "/srv")


@pytest.mark.parametrize(
    ("settings", "paths"),
    [
        ({}, ()),
        ([], ()),
        ("SkipPaths", ()),
        ({"SkipPaths": "/opt"}, ()),
        ({"SkipPaths": {"/opt": True}, "ExcludeByPath": ["/srv"]}, ("/srv",)),
        ({"SkipPaths": [1, b"/opt", ["/opt"], "/srv"]}, ("/srv",)),
    ],
    ids=repr,
)
def test_fixed_paths_of_the_wrong_type_are_passed_over(
    settings: dict[str, Any] | list[Any] | str, paths: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "settings.plist"
    file.write_bytes(plistlib.dumps(settings))
    assert timemachine.fixed_paths(str(file)) == paths


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no property list",
        b"bplist00",
        plistlib.dumps({"SkipPaths": ["/opt"]}, fmt=plistlib.FMT_BINARY)[:-1],
        plistlib.dumps({"SkipPaths": ["/opt"]})[:-10],
        b"<?xml version='1.0' encoding='no-such'?><plist></plist>",
        b"<plist><dict><true/></dict></plist>",
        b"<plist><dict><key>a</key><date>soon</date></dict></plist>",
        b"<plist></dict></plist>",
        b"<plist><array/><string/></plist>",
    ],
)
def test_a_damaged_property_list_names_no_paths(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "settings.plist"
    file.write_bytes(content)
    assert timemachine.fixed_paths(str(file)) == ()


def test_a_missing_property_list_names_no_paths(tmp_path: Path) -> None:
    assert timemachine.fixed_paths(str(tmp_path / "missing.plist")) == ()
    assert timemachine.fixed_paths(str(tmp_path)) == ()
