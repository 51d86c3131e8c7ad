import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from regrow.guards import GUARDS
from tests.conftest import Regrow


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
        assert "give --yes to mark, or --dry-run to see the plan" in done.stderr
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
    assert (line["decision"], line["guard"]) == ("keep", "users-word")
    done = regrow("sweep", "--dry-run", "--rule", "nonsense", work)
    assert done.returncode == 2
    assert "--rule nonsense: there is no such rule" in done.stderr


def test_a_project_can_say_keep(regrow: Regrow, work: Path) -> None:
    (work / "shop/.regrow.toml").write_text('keep = ["node_modules"]\n')
    line = regrow.json("sweep", "--dry-run", "--rule", "node-modules", work)[0]
    assert (line["decision"], line["guard"]) == ("keep", "users-word")
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
