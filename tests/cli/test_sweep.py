import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from regrow.decide.guards import GUARDS
from regrow.records.store import file_name
from regrow_marks import signature, tag
from tests import attributes, terminal
from tests.conftest import NOBODY, Regrow
from tests.hostile.helpers import (
    LINUX_ONLY,
    has_regrows_tag,
    is_untouched,
    read_records,
    record_of,
)
from tests.sweeping import (
    HOSTILE_NAMES,
    UVS_TAG,
    Inside,
    age,
    attribute,
    configure,
    distribution,
    environment,
    ignore,
    immutable,
    modules,
    modules_without_lock,
    rewrite,
    set_attribute,
    stamps,
)
from tests.terminal import CTRL_C, CTRL_D


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Two projects: one with what would be marked, one with what stays."""
    shop = tmp_path / "shop"
    (shop / "node_modules/left-pad").mkdir(parents=True)
    (shop / "node_modules/left-pad/index.js").write_bytes(b"x" * 100_000)
    (shop / "package.json").touch()
    (shop / "package-lock.json").write_text("{}")
    (tmp_path / "thesis/build").mkdir(parents=True)
    (tmp_path / "thesis/setup.py").touch()
    (tmp_path / "thesis/notes").mkdir()
    return tmp_path


def test_without_a_terminal_one_of_yes_and_dry_run_is_needed(
    regrow: Regrow, work: Path, records_directory: Path
) -> None:
    for words in ((), ("--json",), ("-0",)):
        done = regrow("sweep", *words, work)
        assert done.returncode == 2
        assert "not a terminal: pass --yes to mark, or --dry-run to see the plan" in done.stderr
    assert not records_directory.exists()


def test_the_plan_is_grouped_by_project_and_summed_up(regrow: Regrow, work: Path) -> None:
    done = regrow("sweep", "--dry-run", work)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == str(work / "shop")
    assert lines[1].split() == ["node_modules", "would", "mark", "node-modules", "npm", "ci"]
    assert lines[2] == str(work / "thesis")
    assert "keep" in lines[3]
    assert "'build' is a common name" in lines[3]
    assert lines[-1] == (
        "would mark 1, marked already 0, kept 1 (generic-name 1), not readable 0;"
        " 5 directories read"
    )


def test_nothing_is_changed(regrow: Regrow, work: Path, records_directory: Path) -> None:
    def state() -> list[tuple[str, int, int]]:
        return [
            (str(path), path.lstat().st_ctime_ns, path.lstat().st_mtime_ns)
            for path in sorted(work.rglob("*"))
        ]

    before = state()
    regrow("sweep", "--dry-run", "--sizes", work)
    regrow("explain", work / "shop/node_modules")
    assert state() == before
    assert not records_directory.exists()


def test_json_has_a_line_a_finding(regrow: Regrow, work: Path) -> None:
    by_path = {line["path"]: line for line in regrow.json("sweep", "--dry-run", "--sizes", work)}
    line = by_path[str(work / "shop/node_modules")]
    assert line["rule"] == "node-modules"
    assert line["decision"] == "mark"
    assert line["evidence"] == ["package.json"]
    assert line["bytes"] >= 100_000
    kept = by_path[str(work / "thesis/build")]
    assert (kept["decision"], kept["guard"]) == ("keep", "generic-name")
    assert "common name" in kept["reason"]


def test_print0_lists_what_would_be_marked(regrow: Regrow, work: Path) -> None:
    assert regrow("sweep", "--dry-run", "-0", work).stdout == f"{work}/shop/node_modules\0"


def test_keep_and_rule_narrow_it(regrow: Regrow, work: Path) -> None:
    (line,) = regrow.json("sweep", "--dry-run", "--rule", "node-modules", work)
    assert line["decision"] == "mark"
    (line,) = regrow.json(
        "sweep", "--dry-run", "--rule", "node-modules", "--keep", "shop/node_modules", work
    )
    assert (line["decision"], line["guard"]) == ("keep", "kept-by-user")
    done = regrow("sweep", "--dry-run", "--rule", "nonsense", work)
    assert done.returncode == 2
    assert "--rule nonsense: there is no such rule" in done.stderr


def test_a_project_can_say_keep(regrow: Regrow, work: Path) -> None:
    (work / "shop/.regrow.toml").write_text('keep = ["node_modules"]\n')
    line = regrow.json("sweep", "--dry-run", "--rule", "node-modules", work)[0]
    assert (line["decision"], line["guard"]) == ("keep", "kept-by-user")
    assert line["reason"] == f"{work}/shop/.regrow.toml names it"


def test_the_configuration_gives_start_skip_keep_caches_and_rules(
    regrow: Regrow, work: Path, home: Path
) -> None:
    (home / ".npm/_cacache").mkdir(parents=True)
    (work / "gen/generated").mkdir(parents=True)
    (work / "gen/generator.yaml").touch()
    file = home / ".config/regrow/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(
        f'start = ["{work}"]\nskip = ["{work}/thesis"]\nkeep = ["**/shop/node_modules"]\n'
        'caches = ["~/.npm/_cacache"]\n'
        '[[rule]]\nname = "gen"\ndirectory = "generated"\nbeside = ["generator.yaml"]\n'
        'command = "make"\n'
    )
    decided = {
        line["path"]: (line["rule"], line["decision"]) for line in regrow.json("sweep", "--dry-run")
    }
    assert decided == {
        f"{work}/shop/node_modules": ("node-modules", "keep"),
        f"{work}/gen/generated": ("gen", "mark"),
        f"{home}/.npm/_cacache": ("npm-cacache", "mark"),
    }


def test_a_missing_start_directory_is_reported_and_the_rest_done(
    regrow: Regrow, work: Path
) -> None:
    done = regrow("sweep", "--dry-run", work / "nonsense", work)
    assert done.returncode == 1
    assert "nonsense: not read: it does not exist" in done.stderr
    assert "would mark 1" in done.stdout


def test_what_is_marked_is_said_to_be(regrow: Regrow, work: Path) -> None:
    regrow("mark", "--tag", work / "shop/node_modules")
    line = regrow.json("sweep", "--dry-run", "--rule", "node-modules", work)[0]
    assert line["decision"] == "marked already"


def test_explain_names_rule_evidence_guards_and_what_brings_it_back(
    regrow: Regrow, work: Path
) -> None:
    text = regrow("explain", work / "shop/node_modules").stdout
    assert "would be marked" in text
    assert "rule node-modules, on the evidence of package.json" in text
    assert "it comes back by: npm ci" in text
    assert text.count("no objection") == len(GUARDS)
    text = regrow("explain", work / "thesis/build").stdout
    assert "stays in the backup: 'build' is a common name" in text


def test_explain_says_what_a_near_rule_lacks(regrow: Regrow, work: Path) -> None:
    (work / "shop/package.json").unlink()
    text = regrow("explain", work / "shop/node_modules").stdout
    assert "stays in the backup: no rule recognises it" in text
    assert "rule node-modules comes near; it lacks beside it: package.json" in text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("shop/node_modules/left-pad", "which rule node-modules recognises as a whole"),
        ("shop/package.json", "it is not a directory"),
        ("thesis/notes", "no rule recognises it"),
        ("dist", "files of old releases"),
    ],
)
def test_explain_answers_for_any_path(name: str, words: str, regrow: Regrow, work: Path) -> None:
    (work / "dist").mkdir()
    done = regrow("explain", work / name)
    assert done.returncode == 0
    assert words in done.stdout
    (line,) = regrow.json("explain", work / name)
    assert line["decision"] == "keep"


def test_explain_says_that_a_sweep_does_not_come_there(regrow: Regrow, home: Path) -> None:
    hidden = home / ".secret/project/node_modules"
    hidden.mkdir(parents=True)
    (hidden.parent / "package.json").touch()
    assert "a sweep does not come here" in regrow("explain", hidden).stdout


def test_explain_of_a_missing_path_fails_and_the_rest_is_explained(
    regrow: Regrow, work: Path
) -> None:
    done = regrow("explain", work / "nonsense", work / "shop")
    assert done.returncode == 1
    assert "nonsense: it does not exist" in done.stderr
    assert str(work / "shop") in done.stdout


def test_sizes_count_a_hard_link_once(regrow: Regrow, work: Path) -> None:
    modules = work / "shop/node_modules"
    alone = regrow.json("sweep", "--dry-run", "--sizes", "--rule", "node-modules", work)[0]
    os.link(modules / "left-pad/index.js", modules / "left-pad/again.js")
    linked = regrow.json("sweep", "--dry-run", "--sizes", "--rule", "node-modules", work)[0]
    assert linked["bytes"] == alone["bytes"]
    control = int(
        subprocess.run(["du", "-sk", modules], capture_output=True, text=True).stdout.split()[0]
    )
    assert abs(linked["bytes"] - control * 1024) <= 8192


def test_a_start_directory_that_cannot_be_read_fails_and_one_below_is_told(
    monkeypatch: pytest.MonkeyPatch,
    as_ordinary_user: Callable[[Callable[[], int]], int],
    open_place: Path,
) -> None:
    from regrow.cli.main import main

    (open_place / "locked").mkdir(mode=0)
    (open_place / "home").mkdir()

    monkeypatch.setenv("HOME", str(open_place / "home"))

    def sweep(*start: Path) -> int:
        return main(["sweep", "--dry-run", *map(str, start)])

    # As an ordinary user the interpreter's own files may be out of reach: read them before.
    sweep(open_place / "home")
    assert as_ordinary_user(lambda: sweep(open_place)) == 0
    assert as_ordinary_user(lambda: sweep(open_place / "locked")) == 1


# Marking.


@pytest.fixture
def inside() -> Regrow:
    """regrow without a process of its own, where nothing is asked of that."""
    return Inside()


@LINUX_ONLY
def test_yes_marks_and_records_what_is_found_and_says_so(
    regrow: Regrow, work: Path, records_directory: Path
) -> None:
    path = work / "shop/node_modules"
    before = path.stat()
    done = regrow("sweep", "--yes", work)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == str(work / "shop")
    assert lines[1].split() == ["node_modules", "marked", "node-modules", "npm", "ci"]
    assert lines[2] == str(work / "thesis")
    assert lines[3].split()[:2] == ["build", "keep"]
    assert lines[-1] == (
        "marked 1, marked already 0, kept 1 (generic-name 1), not readable 0; 5 directories read"
    )
    assert attribute(path) == b"false"
    assert is_untouched(work / "thesis/build")
    (record,) = read_records(records_directory)
    assert record.path == str(path)
    assert (record.rule, record.evidence) == ("node-modules", ("package.json",))
    assert record.recipe["command"] == ["npm", "ci"]
    assert (record.set, record.found, record.previous) == (("xdg-robots",), (), {})
    assert (record.state, record.host) == ("marked", os.uname().nodename)
    assert (record.inode, record.modified) == (before.st_ino, before.st_mtime_ns)
    assert path.stat().st_mtime_ns == before.st_mtime_ns


@LINUX_ONLY
def test_what_others_set_is_recorded_as_found_or_as_replaced(
    inside: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    path = environment(tmp_path / ".venv")
    (path / tag.NAME).write_bytes(UVS_TAG)
    set_attribute(path, b"true")
    inside("sweep", "--yes", tmp_path)
    record = record_of(path, records_directory)
    assert record is not None
    assert (record.set, record.found) == (("xdg-robots",), ("cachedir-tag",))
    assert record.previous == {"xdg-robots": b"true"}
    assert (path / tag.NAME).read_bytes() == UVS_TAG


@LINUX_ONLY
@pytest.mark.needs("git")
def test_a_tag_goes_into_environments_and_into_what_git_ignores_and_nobody_publishes(
    inside: Regrow, tmp_path: Path
) -> None:
    ignored, plain = tmp_path / "ignored", tmp_path / "plain"
    ignore(ignored, "node_modules", ".next", ".venv")
    places = {}
    for project in (ignored, plain):
        places[project] = modules(project), environment(project / ".venv"), project / ".next"
        (project / ".next").mkdir()
        age(project)
    inside("sweep", "--yes", tmp_path)
    for project, (dependencies, virtual, published) in places.items():
        assert [attribute(path) for path in places[project]] == [b"false"] * 3
        assert has_regrows_tag(dependencies) == (project == ignored)
        assert has_regrows_tag(virtual)
        assert not has_regrows_tag(published)
    status = subprocess.run(
        ["git", "-C", ignored, "status", "--short"], capture_output=True, text=True, check=True
    )
    assert "CACHEDIR.TAG" not in status.stdout


@LINUX_ONLY
@pytest.mark.needs("git")
def test_a_second_run_changes_nothing_at_all(
    inside: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    ignore(tmp_path / "ignored", "target")
    (tmp_path / "ignored/target").mkdir()
    (tmp_path / "ignored/Cargo.toml").touch()
    modules(tmp_path / "shop")
    modules_without_lock(tmp_path / "old")
    distribution(environment(tmp_path / "web/.venv"))
    explicit = modules(tmp_path / "mine")
    for name in HOSTILE_NAMES:
        modules(tmp_path / os.fsdecode(name))
    assert inside("mark", explicit).returncode == 0
    first = inside("sweep", "--yes", tmp_path)
    assert (first.returncode, first.stderr) == (0, "")
    assert "marked 8, marked already 1, kept 0" in first.stdout

    before = stamps(tmp_path, records_directory)
    for words in ((), ("--json",), ("--sizes",), ("-0",)):
        done = inside("sweep", "--yes", *words, tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
    assert stamps(tmp_path, records_directory) == before
    done = inside("sweep", "--yes", tmp_path)
    assert done.stdout.startswith("marked 0, marked already 9, kept 0")
    outcomes = {line["outcome"] for line in inside.json("sweep", "--yes", tmp_path)}
    assert outcomes == {"already marked"}
    assert stamps(tmp_path, records_directory) == before


@LINUX_ONLY
def test_json_tells_the_outcome_of_each_marker(inside: Regrow, work: Path) -> None:
    environment(work / "web/.venv")
    by_path = {line["path"]: line for line in inside.json("sweep", "--yes", work)}
    line = by_path[str(work / "web/.venv")]
    assert (line["decision"], line["outcome"], line["error"]) == ("mark", "marked", None)
    assert line["markers"] == {
        "xdg-robots": {"state": "marked"},
        "cachedir-tag": {"state": "marked"},
    }
    assert line["recipe"]["kind"] == "python"
    kept = by_path[str(work / "thesis/build")]
    assert (kept["outcome"], kept["markers"]) == ("kept", {})
    again = {line["path"]: line for line in inside.json("sweep", "--yes", work)}
    line = again[str(work / "web/.venv")]
    assert (line["decision"], line["outcome"]) == ("marked already", "already marked")
    assert line["markers"]["cachedir-tag"] == {"state": "already marked"}


def test_print0_lists_what_was_marked_now(inside: Regrow, work: Path) -> None:
    assert inside("sweep", "--yes", "-0", work).stdout == f"{work}/shop/node_modules\0"
    assert inside("sweep", "--yes", "-0", work).stdout == ""


@LINUX_ONLY
def test_hostile_names_are_marked_and_shown_escaped(
    inside: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    paths = [modules(tmp_path / os.fsdecode(name)) for name in HOSTILE_NAMES]
    done = inside("sweep", "--yes", tmp_path)
    assert done.returncode == 0
    text = done.stdout
    assert text.replace("\n", "").isprintable()
    for shown in ("new\\nline", "\\xff not UTF-8", "\\x1b[31mred\\x1b[0m", "\\u202ebidi \\x9b"):
        assert f"{tmp_path}/{shown}\n" in text
    assert all(attribute(path) == b"false" for path in paths)
    assert {record.path for record in read_records(records_directory)} == {
        str(path) for path in paths
    }


@LINUX_ONLY
def test_keep_and_rule_narrow_what_is_marked(
    inside: Regrow, work: Path, records_directory: Path
) -> None:
    virtual = environment(work / "web/.venv")
    inside("sweep", "--yes", "--keep", "shop/node_modules", "--rule", "node-modules", work)
    assert read_records(records_directory) == []
    assert is_untouched(work / "shop/node_modules")
    inside("sweep", "--yes", "--rule", "node-modules", work)
    assert attribute(work / "shop/node_modules") == b"false"
    assert is_untouched(virtual)


def test_sizes_are_told_of_what_is_marked(inside: Regrow, work: Path) -> None:
    done = inside("sweep", "--yes", "--sizes", work)
    assert re.match(r"marked 1 \(1\d\d\.\d kB\), ", done.stdout.splitlines()[-1])
    lines = {line["path"]: line for line in inside.json("sweep", "--yes", "--sizes", work)}
    assert lines[f"{work}/shop/node_modules"]["bytes"] >= 100_000


@LINUX_ONLY
def test_home_caches_that_the_configuration_names_are_marked(
    inside: Regrow, home: Path, records_directory: Path
) -> None:
    for name in (".npm/_cacache", ".cargo/registry"):
        (home / name).mkdir(parents=True)
    configure(home, 'caches = ["~/.npm/_cacache"]\n')
    assert inside("sweep", "--yes").returncode == 0
    (record,) = read_records(records_directory)
    assert (record.path, record.rule) == (f"{home.resolve()}/.npm/_cacache", "npm-cacache")
    assert attribute(home / ".npm/_cacache") == b"false"
    assert is_untouched(home / ".cargo/registry")
    before = stamps(home / ".npm", records_directory)
    assert "marked already 1" in inside("sweep", "--yes").stdout
    assert stamps(home / ".npm", records_directory) == before


@LINUX_ONLY
def test_what_the_configuration_skips_is_not_marked(
    inside: Regrow, work: Path, home: Path, records_directory: Path
) -> None:
    configure(home, f'start = ["{work}"]\nskip = ["{work}/shop"]\n')
    assert inside("sweep", "--yes").returncode == 0
    assert is_untouched(work / "shop/node_modules")
    assert read_records(records_directory) == []


def test_contradictions_and_a_broken_configuration_are_wrong_usage(
    inside: Regrow, work: Path, home: Path, records_directory: Path
) -> None:
    assert inside("sweep", "--yes", "--dry-run", work).returncode == 2
    assert inside("sweep", "--yes", "--json", "-0", work).returncode == 2
    assert inside("sweep", "--yes", "--rule", "nonsense", work).returncode == 2
    configure(home, 'nonsense = "x"\n')
    assert inside("sweep", "--yes", work).returncode == 2
    assert not records_directory.exists() or read_records(records_directory) == []
    assert is_untouched(work / "shop/node_modules")


# Drift.


@LINUX_ONLY
def test_a_directory_that_took_anothers_place_is_marked_and_its_record_follows(
    inside: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    path = environment(tmp_path / ".venv")
    inside("sweep", "--yes", tmp_path)
    first = record_of(path, records_directory)
    path.rename(tmp_path / "aside")
    distribution(environment(path))
    (line,) = [
        line for line in inside.json("sweep", "--yes", tmp_path) if line["path"] == str(path)
    ]
    assert line["outcome"] == "marked"
    second = record_of(path, records_directory)
    assert first is not None
    assert second is not None
    assert second.inode == path.stat().st_ino != first.inode
    assert second.born != first.born
    assert (second.set, second.found) == (("xdg-robots", "cachedir-tag"), ())
    assert (first.recipe["requirements"], second.recipe["requirements"]) == ([], ["some==1.0"])
    assert has_regrows_tag(path)


@LINUX_ONLY
def test_a_successor_with_the_same_inode_is_known_by_its_birth(
    inside: Regrow, work: Path, records_directory: Path
) -> None:
    path = work / "shop/node_modules"
    inside("sweep", "--yes", work)
    (file,) = records_directory.iterdir()
    record = record_of(path, records_directory)
    assert record is not None
    if record.born is None:
        pytest.skip("this file system keeps no birth times")
    rewrite(file, f"born = {record.born}", f"born = {record.born - 1}")  # of the one before
    attributes.remove(path, signature.ATTRIBUTE)
    assert inside("sweep", "--yes", work).returncode == 0
    after = record_of(path, records_directory)
    assert after is not None
    assert (after.inode, after.born) == (record.inode, record.born)
    assert after.found == ("xdg-robots",), "whoever marked it: that one's record is not about it"


@LINUX_ONLY
def test_a_mark_that_was_lost_is_set_again_and_stays_regrows(
    inside: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    path = environment(tmp_path / ".venv")
    inside("sweep", "--yes", tmp_path)
    before = record_of(path, records_directory)
    attributes.remove(path, "user.xdg.robots.backup")
    (line,) = inside.json("sweep", "--yes", tmp_path)
    assert line["markers"] == {
        "xdg-robots": {"state": "marked"},
        "cachedir-tag": {"state": "already marked"},
    }
    after = record_of(path, records_directory)
    assert before is not None
    assert after is not None
    assert (after.set, after.found) == (before.set, before.found)


@LINUX_ONLY
def test_the_recipe_follows_what_is_installed(
    inside: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    path = environment(tmp_path / ".venv")
    age(path)
    inside("sweep", "--yes", tmp_path)
    distribution(path)
    (line,) = inside.json("sweep", "--yes", tmp_path)
    assert line["decision"] == "marked already"
    record = record_of(path, records_directory)
    assert record is not None
    assert record.recipe["requirements"] == ["some==1.0"]
    assert record.set == ("xdg-robots", "cachedir-tag")


@LINUX_ONLY
def test_what_a_kill_interrupted_is_completed_and_its_time_put_back(
    inside: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    path = environment(tmp_path / ".venv")
    age(path)
    before = path.stat().st_mtime_ns
    inside("sweep", "--yes", tmp_path)
    (file,) = records_directory.iterdir()
    rewrite(file, 'state = "marked" ', 'state = "pending"')
    written = (path / tag.NAME).stat().st_mtime_ns
    os.utime(path, ns=(written, written))  # as after the tag, before the time is put back
    assert inside("sweep", "--yes", tmp_path).returncode == 0
    record = record_of(path, records_directory)
    assert record is not None
    assert (record.state, record.modified) == ("marked", before)
    assert path.stat().st_mtime_ns == before


@LINUX_ONLY
def test_leftovers_of_a_killed_regrow_go(
    inside: Regrow, work: Path, records_directory: Path
) -> None:
    records_directory.mkdir(parents=True)
    leftover = records_directory / ".regrow-1234-0123abcd"
    leftover.touch()
    age(records_directory)
    inside("sweep", "--dry-run", work)
    assert leftover.exists()
    inside("sweep", "--yes", work)
    assert not leftover.exists()


# Failures.


@LINUX_ONLY
@pytest.mark.needs_root
@pytest.mark.needs("chattr")
@pytest.mark.parametrize("words", [(), ("-0",), ("--json",)], ids=["text", "print0", "json"])
def test_a_directory_that_refuses_is_named_with_the_cause_and_the_rest_is_done(
    words: tuple[str, ...], inside: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    first, stubborn, last = (modules(tmp_path / name) for name in "abc")
    with immutable(stubborn):
        done = inside("sweep", "--yes", *words, tmp_path)
    cause = "user.xdg.robots.backup: no permission: only its owner may do that (EPERM)"
    assert done.returncode == 1
    assert [attribute(path) for path in (first, stubborn, last)] == [b"false", None, b"false"]
    assert {record.path for record in read_records(records_directory)} == {str(first), str(last)}
    if "--json" in words:
        by_path = {line["path"]: line for line in map(json.loads, done.stdout.splitlines())}
        line = by_path[str(stubborn)]
        assert line["outcome"] == "failed"
        assert line["markers"] == {"xdg-robots": {"state": "failed", "error": cause}}
    else:
        assert done.stderr == f"regrow: {stubborn}: {cause}\n"
    if not words:
        assert "marked 2, marked already 0, failed 1" in done.stdout


@LINUX_ONLY
@pytest.mark.needs_root
def test_somebody_elses_directory_is_kept_and_the_rest_is_done(
    inside: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    first, theirs, last = (modules(tmp_path / name) for name in "abc")
    os.chown(theirs, NOBODY, NOBODY)
    lines = {line["path"]: line for line in inside.json("sweep", "--yes", tmp_path)}
    assert (lines[str(theirs)]["guard"], lines[str(theirs)]["outcome"]) == ("not-ours", "kept")
    assert is_untouched(theirs)
    assert {record.path for record in read_records(records_directory)} == {str(first), str(last)}


@LINUX_ONLY
@pytest.mark.needs_root
@pytest.mark.needs("chattr")
def test_where_no_record_can_be_written_nothing_is_marked(
    inside: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    paths = [modules(tmp_path / name) for name in "ab"]
    records_directory.mkdir(parents=True)
    before = stamps(tmp_path)
    with immutable(records_directory):
        done = inside("sweep", "--yes", tmp_path)
    assert done.returncode == 1
    for path, line in zip(paths, done.stderr.splitlines(), strict=True):
        assert line.startswith(f"regrow: {path}: its record can't be written: {records_directory}/")
        assert "no permission" in line
    assert stamps(tmp_path) == before


@LINUX_ONLY
def test_where_records_cannot_be_kept_nothing_is_marked(
    inside: Regrow, work: Path, records_directory: Path
) -> None:
    records_directory.parent.mkdir(parents=True)
    records_directory.write_text("in the way")
    before = stamps(work)
    done = inside("sweep", "--yes", work)
    assert done.returncode == 1
    assert done.stderr.startswith(f"regrow: {records_directory}: records can't be kept: ")
    assert stamps(work) == before


@LINUX_ONLY
def test_one_record_that_cannot_be_written_stops_no_other(
    inside: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    first, second, third = (modules(tmp_path / name) for name in "abc")
    in_the_way = records_directory / file_name(str(second))
    in_the_way.mkdir(parents=True)
    done = inside("sweep", "--yes", tmp_path)
    assert done.returncode == 1
    assert str(in_the_way) in done.stderr
    assert [attribute(path) for path in (first, second, third)] == [b"false", None, b"false"]


@LINUX_ONLY
def test_a_record_of_what_is_kept_that_cannot_be_read_stops_nothing(
    inside: Regrow, work: Path, records_directory: Path
) -> None:
    """Managers of settings put links in the place of files."""
    records_directory.mkdir(parents=True)
    link = records_directory / file_name(f"{work}/thesis/build")
    link.symlink_to("/dev/null")
    assert inside("sweep", "--yes", work).returncode == 0
    assert attribute(work / "shop/node_modules") == b"false"
    assert link.is_symlink()


@LINUX_ONLY
def test_a_newer_regrows_record_is_left_alone_with_its_directory_and_named(
    inside: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    first, second = (modules(tmp_path / name) for name in "ab")
    inside("sweep", "--yes", tmp_path)
    file = records_directory / file_name(str(first))
    rewrite(file, "format = 1", "format = 2")
    newer = file.read_bytes()
    for path in (first, second):
        attributes.remove(path, "user.xdg.robots.backup")
    done = inside("sweep", "--yes", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"regrow: {first}: {file}: a newer regrow wrote this record")
    assert file.read_bytes() == newer
    assert [attribute(path) for path in (first, second)] == [None, b"false"]


@LINUX_ONLY
@pytest.mark.parametrize("rest", [0, 70, 200])
def test_a_truncated_record_is_written_anew(
    rest: int, inside: Regrow, work: Path, records_directory: Path
) -> None:
    path = work / "shop/node_modules"
    inside("sweep", "--yes", work)
    (file,) = records_directory.iterdir()
    file.write_bytes(file.read_bytes()[:rest])
    done = inside("sweep", "--yes", work)
    assert done.returncode == 0
    record = record_of(path, records_directory)
    assert record is not None
    assert (record.rule, record.state) == ("node-modules", "marked")
    assert {*record.set, *record.found} == {"xdg-robots"}


@LINUX_ONLY
def test_a_missing_start_directory_fails_and_the_rest_is_marked(inside: Regrow, work: Path) -> None:
    for words in ((), ("-0",)):
        done = inside("sweep", "--yes", *words, work / "nonsense", work)
        assert done.returncode == 1
        assert "nonsense: not read: it does not exist" in done.stderr
    assert attribute(work / "shop/node_modules") == b"false"


# On a terminal.


@LINUX_ONLY
@pytest.mark.parametrize("answer", ["y", "yes", " Y "])
def test_on_a_terminal_the_plan_stands_before_the_question_and_yes_marks(
    answer: str, work: Path, records_directory: Path
) -> None:
    session = terminal.run("sweep", work, answer=answer)
    assert session.code == 0
    plan, question, result = session.text.partition("Mark 1? [y/N] ")
    assert question
    assert "would mark" in plan
    assert "would mark 1, marked already 0, kept 1 (generic-name 1)" in plan
    assert "marked 1, marked already 0, kept 1" in result
    assert attribute(work / "shop/node_modules") == b"false"
    (record,) = read_records(records_directory)
    assert record.state == "marked"


@pytest.mark.parametrize(
    ("answer", "code"),
    [("n", 0), ("", 0), ("perhaps", 0), (CTRL_D, 0), (CTRL_C, 130)],
    ids=["no", "Return", "another word", "Ctrl-D", "Ctrl-C"],
)
def test_on_a_terminal_anything_but_yes_leaves_all_untouched(
    answer: str, code: int, work: Path, home: Path
) -> None:
    (home / ".cache").mkdir(exist_ok=True)
    cached = str(home / ".cache/")  # what was read and decided is remembered, as a cache

    def all_but_the_cache() -> dict[str, tuple[int, int, int]]:
        found = stamps(work, home)
        return {path: stamp for path, stamp in found.items() if not path.startswith(cached)}

    before = all_but_the_cache()
    session = terminal.run("sweep", work, answer=answer)
    assert session.asked
    assert session.code == code
    assert "Traceback" not in session.text
    assert ("nothing was changed" in session.text) == (code == 0)
    assert all_but_the_cache() == before, "no directory of records either"


@LINUX_ONLY
def test_on_a_terminal_what_is_taken_back_is_asked_about(work: Path, inside: Regrow) -> None:
    inside("sweep", "--yes", work)
    (work / "shop/.regrow.toml").write_text('keep = ["node_modules"]\n')
    environment(work / "web/.venv")
    session = terminal.run("sweep", work, answer="n")
    assert "Mark 1 and take back 1? [y/N]" in session.text
    assert attribute(work / "shop/node_modules") == b"false"
    session = terminal.run("sweep", work, answer="y")
    assert "marked 1, marked already 0, taken back 1, kept 1" in session.text
    assert is_untouched(work / "shop/node_modules")
    assert attribute(work / "web/.venv") == b"false"


@LINUX_ONLY
def test_on_a_terminal_nothing_to_do_is_no_question(work: Path, inside: Regrow) -> None:
    inside("sweep", "--yes", work)
    session = terminal.run("sweep", work)
    assert (session.code, session.asked) == (0, False)
    assert "would mark 0, marked already 1, kept 1 (generic-name 1)" in session.text
    assert session.text.count("marked already") == 1


@LINUX_ONLY
def test_on_a_terminal_records_are_brought_up_to_date_without_a_question(
    tmp_path: Path, inside: Regrow, records_directory: Path
) -> None:
    path = environment(tmp_path / ".venv")
    age(path)
    inside("sweep", "--yes", tmp_path)
    distribution(path)
    assert not terminal.run("sweep", tmp_path).asked
    record = record_of(path, records_directory)
    assert record is not None
    assert record.recipe["requirements"] == ["some==1.0"]


def test_on_a_terminal_what_cannot_be_read_is_named_before_the_question(work: Path) -> None:
    session = terminal.run("sweep", work / "nonsense", work, answer="n")
    assert session.code == 1
    assert "nonsense: not read: it does not exist" in session.text.partition("[y/N]")[0]


def test_on_a_terminal_names_are_shown_escaped(tmp_path: Path) -> None:
    for name in HOSTILE_NAMES:
        modules(tmp_path / os.fsdecode(name))
    text = terminal.run("sweep", tmp_path, answer="n").text
    assert text.replace("\n", "").isprintable()
    assert "new\\nline" in text
    assert "\\x1b[31mred" in text


def test_on_a_terminal_yes_and_dry_run_ask_nothing(work: Path) -> None:
    assert not terminal.run("sweep", "--dry-run", work).asked
    session = terminal.run("sweep", "--yes", work)
    assert (session.code, session.asked) == (0, False)
    assert "marked 1, " in session.text


# A directory that is being emptied.


@LINUX_ONLY
@pytest.mark.needs("git")
def test_a_tag_that_was_just_removed_is_put_back_by_a_later_sweep(
    regrow: Regrow, tmp_path: Path
) -> None:
    ignore(tmp_path / "shop", "node_modules")
    path = modules(tmp_path / "shop")
    assert regrow("sweep", "--yes", tmp_path).returncode == 0
    (path / "CACHEDIR.TAG").unlink()
    assert regrow("sweep", "--yes", tmp_path).returncode == 0
    assert not (path / "CACHEDIR.TAG").exists(), "`rm -r` may be at work"
    assert attribute(path) == b"false"
    (line,) = regrow.json("list")
    assert (line["state"], line["detail"]) == ("mark lost", "cachedir-tag")
    os.utime(path, (0, 0))
    assert regrow("sweep", "--yes", tmp_path).returncode == 0
    assert (path / "CACHEDIR.TAG").exists()
    assert path.stat().st_mtime == 0
