import os
import re
import shlex
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from regrow.programs.export import borg, formats, paths, rclone, restic, rsync, sources, tar
from regrow.programs.export.compose import check_source, compose, is_by_regrow
from regrow.programs.export.model import Format, SourceNeededError
from regrow.programs.export.sources import Source
from regrow_marks.directory import split
from regrow_marks.errors import PathError
from tests.programs.export.backups import BACKUPS
from tests.programs.export.trees import NAMES

HOME = Source("/home/ada", "/home/ada")
DOCUMENTATION = Path(__file__).parents[3] / "docs" / "export.md"

over_formats = pytest.mark.parametrize("form", formats.FORMATS, ids=lambda form: form.name)

LEFT_OUT: dict[str, Callable[[bytes], bool]] = {
    "bsdtar": lambda name: b"\n" in name or b"\r" in name,
    "dar": lambda name: b"\n" in name or name.endswith(b"\r"),
    "duplicacy": lambda name: not is_utf_8(name) or "\ufffd".encode() in name,
    "duplicity": lambda name: not is_utf_8(name) or b"\r" in name,
    "kopia": lambda name: not is_utf_8(name) or "\ufffd".encode() in name or b"\n" in name,
    "paths": lambda name: b"\n" in name,
    "rclone": lambda name: (
        not is_utf_8(name)
        or re.search("[\ufffd\u2400-\u2421\u201b\uff0e\uff0f]", name.decode()) is not None
    ),
    "rustic": lambda name: not is_utf_8(name) or b"\n" in name,
    "tar": lambda name: b"\n" in name,
}
"""By format: which names can't be expressed; every other format is exact for every name."""


def is_utf_8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_formats_are_sorted_and_each_is_known_by_its_name() -> None:
    names = formats.names()
    assert list(names) == sorted(names)
    assert all(formats.by_name(name).name == name for name in names)
    with pytest.raises(KeyError):
        formats.by_name("time-machine")


def test_every_format_that_is_called_proven_has_its_program_run() -> None:
    proven = {form.name for form in formats.FORMATS if form.proven and form.commands}
    assert proven == {row.name for row in BACKUPS}


@over_formats
def test_only_what_the_limits_tell_is_left_out(form: Format) -> None:
    directories = [f"/home/ada/{os.fsdecode(name)}" for name in NAMES]
    file = compose(form, directories, HOME)
    left_out = {os.fsencode(split(path)[1]) for path, _ in file.left_out}
    is_left_out = LEFT_OUT.get(form.name, lambda _: False)
    assert left_out == set(filter(is_left_out, NAMES))
    assert set(file.listed) | {path for path, _ in file.left_out} == set(directories)
    assert all(reason.startswith("its name ") for _, reason in file.left_out)
    assert bool(left_out) == (form.limits != "exact for every name")


@over_formats
def test_lines_are_sorted_by_path_and_each_directory_is_named_once(form: Format) -> None:
    directories = ["/home/ada/b", "/home/ada/ä", "/home/ada/a", "/home/ada/b"]
    file = compose(form, directories, HOME)
    assert file.listed == ("/home/ada/a", "/home/ada/b", "/home/ada/ä")
    lines = file.data.split(form.end.encode())[:-1]
    assert len(lines) == 3 + bool(form.comment)
    assert compose(form, reversed(directories), HOME).data == file.data


@over_formats
def test_what_is_outside_the_source_is_not_listed_and_the_source_itself_is_left_out(
    form: Format,
) -> None:
    file = compose(form, ["/home/ada", "/home/adam/x", "/home/ada/x", "/srv"], HOME)
    assert file.listed == ("/home/ada/x",)
    assert [path for path, _ in file.left_out] == ["/home/ada"]


@over_formats
def test_the_whole_disk_may_be_the_source(form: Format) -> None:
    file = compose(form, ["/home/ada/x"], Source("/", "/"))
    assert file.listed == ("/home/ada/x",)
    assert b"//" not in file.data


@over_formats
def test_a_comment_says_what_made_the_file_where_there_are_comments(form: Format) -> None:
    file = compose(form, [], HOME)
    assert file.data.startswith(form.comment.encode())
    assert (f"regrow export {form.name}`" in file.data.decode()) == bool(form.comment)
    assert is_by_regrow(form, file.data)
    assert is_by_regrow(form, b"")
    assert is_by_regrow(form, b"/srv\n") == (not form.comment)


@over_formats
def test_without_a_source_true_paths_are_listed_or_the_way_out_is_told(form: Format) -> None:
    if form.needs_source:
        with pytest.raises(SourceNeededError, match="--source DIR"):
            compose(form, ["/srv/x"])
    else:
        check_source(form, None)
        assert compose(form, ["/srv/x"]).data == compose(form, ["/srv/x"], Source("/", "/")).data


def test_a_link_to_the_source_stays_in_the_names_of_those_that_keep_it(tmp_path: Path) -> None:
    (tmp_path / "true").mkdir()
    (tmp_path / "link").symlink_to("true")
    source = sources.find(str(tmp_path / "link"))
    assert source == (str(tmp_path / "link"), str(tmp_path / "true"))
    assert sources.true_path(source) == f"{tmp_path}/true/"
    assert sources.absolute(source) == f"{tmp_path}/link/"
    with pytest.raises(PathError, match="does not exist"):
        sources.find(str(tmp_path / "missing"))


def test_on_macos_borg_compares_decomposed_names(monkeypatch: pytest.MonkeyPatch) -> None:
    composed = unicodedata.normalize("NFC", "/Users/ada/größe")
    decomposed = unicodedata.normalize("NFD", composed)
    assert borg.line(composed) != borg.line(decomposed)
    monkeypatch.setattr("sys.platform", "darwin")
    assert borg.line(composed) == borg.line(decomposed) == f"re:^{decomposed[1:]}(/|\\Z)"


def test_what_the_lines_look_like() -> None:
    path = "/home/ada/a b/[x]$/.venv"
    assert borg.line(path) == r"re:^home/ada/a\ b/\[x\]\$/\.venv(/|\Z)"
    assert restic.line(path) == r"/home/ada/a b/\[x]$$/.venv/"
    assert rsync.line(path) == r"-/ /home/ada/a b/\[x]$/.venv/"
    assert rsync.line("/back\\slash") == "-/ /back\\slash/"
    assert tar.gnu_line("/blank ") == "/blank[ ]"
    assert rclone.line("a\x01b") == "/a\u2401b/"
    assert paths.NUL_FORMAT.line("/a\nb") == "/a\nb"


@over_formats
def test_the_documentation_tells_the_commands_that_the_tests_run(form: Format) -> None:
    page = DOCUMENTATION.read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (.+)\n((?:(?!## ).*\n)*)", page, re.MULTILINE))
    section = sections[form.title]
    for command in form.commands:
        assert f"\n{command}\n" in section
        assert len(shlex.split(command)) > 1
    assert f"regrow export {form.name} " in section
    assert form.limits in re.sub(r"\s+", " ", section)
    if form.file:
        assert form.file in section
