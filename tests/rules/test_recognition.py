"""A row for each rule, made from the rules: a match, and what comes near without being one."""

import os
import subprocess
from pathlib import Path

import pytest

from regrow.config import Configuration
from regrow.decide.decisions import decide
from regrow.errors import ConfigurationError
from regrow.model import KEEP, MARK, Candidate, Decision, Rule, Scope
from regrow.rules import loader
from regrow.scan.walk import Scan
from tests.rules.trees import build, concrete, pieces, place

SHIPPED = loader.shipped()
MARKING = [rule for rule in SHIPPED if not rule.keep and not rule.home]
KEPT = [rule for rule in SHIPPED if rule.keep]
HOME = [rule for rule in SHIPPED if rule.home and not rule.keep and not rule.container]

each = pytest.mark.parametrize("rule", MARKING, ids=lambda rule: rule.name)
each_piece = pytest.mark.parametrize(
    ("rule", "piece"),
    [
        pytest.param(rule, piece, id=f"{rule.name}-{piece[1]}")
        for rule in MARKING
        for piece in pieces(rule)
        # Without its inside evidence a generic rule still matches; git has to decide then.
        if not (piece[0] == "inside" and rule.generic and rule.directory != "*")
    ],
)


def candidates(start: Path) -> list[Candidate]:
    return [found for found in Scan([str(start)], SHIPPED) if isinstance(found, Candidate)]


def decisions(start: Path) -> dict[str, Decision]:
    decided = decide(candidates(start), Scope([str(start)], Configuration(), ()))
    return {os.path.relpath(d.candidate.path, start.resolve()): d for d in decided}


def matches(start: Path, target: Path, rule: Rule) -> bool:
    return any(
        found.path == str(target.resolve()) and found.rule.name == rule.name
        for found in candidates(start)
    )


def ignore_all_but_evidence(project: Path, target: Path) -> None:
    subprocess.run(["git", "init", "-q", project], check=True)
    (project / ".gitignore").write_text(f"/{target.relative_to(project)}/\n")


@each
def test_a_rule_recognises_what_it_describes(rule: Rule, tmp_path: Path) -> None:
    target = build(tmp_path / "project", rule)
    assert matches(tmp_path, target, rule)


@pytest.mark.needs("git")
@each
def test_what_is_recognised_would_be_marked_where_git_ignores_it(
    rule: Rule, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    target = build(project, rule)
    ignore_all_but_evidence(project, target)
    decision = decisions(tmp_path)[str(target.relative_to(tmp_path))]
    assert (decision.decision, decision.reason) == (MARK, "")


@pytest.mark.needs("git")
@pytest.mark.parametrize(
    "rule",
    # Where the directory may have any name, its inside evidence decides, always.
    [rule for rule in MARKING if rule.generic and rule.directory != "*"],
    ids=lambda rule: rule.name,
)
def test_a_generic_name_is_kept_where_git_does_not_ignore_it(rule: Rule, tmp_path: Path) -> None:
    project = tmp_path / "project"
    decisive = [piece for piece in pieces(rule) if piece[0] == "inside"]
    target = project / concrete(rule.directory)
    target.mkdir(parents=True)
    for where, name in pieces(rule):
        if where == "beside":
            place(project, name)
    name = str(target.relative_to(tmp_path))
    assert decisions(tmp_path)[name].guard == "generic-name"
    subprocess.run(["git", "init", "-q", project], check=True)
    assert decisions(tmp_path)[name].guard == "generic-name"
    if decisive:
        for _, inside in decisive:
            place(target, inside)
        assert decisions(tmp_path)[name].decision == MARK


@each_piece
def test_a_piece_of_evidence_missing_is_no_match(
    rule: Rule, piece: tuple[str, str], tmp_path: Path
) -> None:
    target = build(tmp_path / "project", rule, without=piece)
    assert not matches(tmp_path, target, rule)


@each_piece
def test_evidence_of_the_wrong_type_is_no_match(
    rule: Rule, piece: tuple[str, str], tmp_path: Path
) -> None:
    project = tmp_path / "project"
    target = build(project, rule, without=piece)
    where = project if piece[0] == "beside" else target
    (where / concrete(piece[1].rstrip("/"))).unlink(missing_ok=True)
    place(where, piece[1], wrong_type=True)
    assert not matches(tmp_path, target, rule)


@each_piece
def test_evidence_in_the_wrong_place_is_no_match(
    rule: Rule, piece: tuple[str, str], tmp_path: Path
) -> None:
    project = tmp_path / "project"
    target = build(project, rule, without=piece)
    place(project.parent / "elsewhere", piece[1])
    place(project.parent, piece[1])
    assert not matches(tmp_path, target, rule)


@each
def test_a_link_of_the_directorys_name_is_never_a_match(rule: Rule, tmp_path: Path) -> None:
    target = build(tmp_path / "project", rule)
    moved = tmp_path / "moved"
    target.rename(moved)
    target.symlink_to(moved)
    assert str(target) not in {found.path for found in candidates(tmp_path)}


@pytest.mark.parametrize("rule", KEPT, ids=lambda rule: rule.name)
def test_what_a_rule_keeps_stays(rule: Rule, tmp_path: Path, home: Path) -> None:
    base = home if rule.home else tmp_path / "project"
    target = base / concrete(rule.directory)
    target.mkdir(parents=True)
    (target / "precious").touch()
    for name in (*rule.beside[:1], *rule.beside_all):
        place(base, name)
    for start in (base, base.parent):
        marked = [d.candidate.path for d in decisions(start).values() if d.decision == MARK]
        assert not any(str(target / "precious").startswith(path + "/") for path in marked)


@pytest.mark.parametrize("rule", HOME, ids=lambda rule: rule.name)
def test_a_home_cache_is_found_only_if_the_configuration_names_it(rule: Rule, home: Path) -> None:
    (home / rule.directory).mkdir(parents=True)
    assert candidates(home) == []
    assert rule not in loader.active_rules(Configuration(), "config.toml")
    named = Configuration(caches=(f"~/{rule.directory}",))
    assert rule in loader.active_rules(named, "config.toml")
    assert str(home / rule.directory) in loader.at_home(loader.active_rules(named, "c"))


def test_a_rule_that_keeps_stands_above_one_that_marks(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "hardhat.config.js").touch()
    (tmp_path / "foundry.toml").touch()
    decision = decisions(tmp_path)["cache"]
    assert (decision.decision, decision.guard) == (KEEP, "kept-rule")
    assert "foundry" in decision.reason


def table(**changed: object) -> dict[str, object]:
    whole: dict[str, object] = {
        "name": "mine", "directory": "out", "beside": ["mine.toml"], "command": "make",
    }  # fmt: skip
    whole |= changed
    return {key: value for key, value in whole.items() if value is not None}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": None}, "rule (without a name): name: it is missing"),
        ({"directory": None}, "rule mine: directory: it is missing"),
        ({"directory": "/etc"}, "rule mine: directory: it must be a name"),
        ({"directory": "../x"}, "rule mine: directory: it must be a name"),
        ({"directory": "~/x"}, "rule mine: directory: it must be a name"),
        ({"directory": "a*/b"}, "rule mine: directory: globs may stand in its last"),
        ({"directory": "a/"}, "rule mine: directory: globs may stand in its last"),
        ({"directory": "*"}, "rule mine: inside: a rule for any name needs evidence inside"),
        ({"beside": None}, "rule mine: beside: a rule needs evidence"),
        ({"beside": "mine.toml"}, "rule mine: beside: it must be a list of names"),
        ({"beside": [""]}, "rule mine: beside: it must be a list of names"),
        ({"besides": ["x"]}, "rule mine: besides: unknown field; known are beside,"),
        ({"generic": "yes"}, "rule mine: generic: it must be true or false"),
        ({"command": None}, "rule mine: command: it is missing"),
        ({"command": 3}, "rule mine: command: it must be a string"),
        ({"recipe": "magic"}, "rule mine: recipe: it must be one of command, contents,"),
    ],
)
def test_a_broken_rule_is_an_error_that_names_file_rule_and_field(
    changed: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loader.check(table(**changed), "config.toml")
    assert str(caught.value).startswith(f"config.toml: {words}")


def test_the_configuration_adds_changes_and_disables_rules() -> None:
    configuration = Configuration(
        rules=(table(), {"name": "cargo-target", "command": "cargo build --release"}),
        disable=("gradle-build",),
    )
    found = {rule.name: rule for rule in loader.active_rules(configuration, "config.toml")}
    assert found["mine"].directory == "out"
    assert found["cargo-target"].command == "cargo build --release"
    assert found["cargo-target"].beside == ("Cargo.toml",)
    assert "gradle-build" not in found
    with pytest.raises(ConfigurationError, match="disable: there is no rule 'nonsense'"):
        loader.active_rules(Configuration(disable=("nonsense",)), "config.toml")
    with pytest.raises(ConfigurationError, match=r"regrow knows no home cache ~/\.thunderbird"):
        loader.active_rules(Configuration(caches=("~/.thunderbird",)), "config.toml")
