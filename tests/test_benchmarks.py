"""The benchmarks measure what they say: the same tree, searched by all for the same directories."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks import __main__, measure, report, searching, tree
from benchmarks.measure import Bench, Timing

from tests.conftest import Regrow

SIZE = 0.02  # five projects
GROUPS = ("sweep", "git", "large", "startup")


@pytest.fixture
def projects(tmp_path: Path) -> tree.Tree:
    return tree.build(tmp_path / "tree", SIZE)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "tools").symlink_to(sys.prefix)
    return Bench(tmp_path, {"PATH": os.environ["PATH"]}, 1, SIZE / 2)


def lines(words: list[str]) -> list[str]:
    """Give the directories that a search prints; fd ends them with a slash."""
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return sorted(line.rstrip("/") for line in done.stdout.splitlines())


@pytest.mark.needs("find", "fdfind", "gcc")
def test_regrow_and_what_it_is_compared_with_find_the_same(
    projects: tree.Tree, regrow: Regrow, tmp_path: Path
) -> None:
    marked = regrow("sweep", "--dry-run", "-0", projects.path).stdout.split("\0")[:-1]
    assert len(marked) == projects.rebuildable == 5
    assert lines(searching.find(projects.path)) == sorted(marked)
    assert lines(searching.fd(projects.path)) == sorted(marked)
    counted = f"{projects.entered} {projects.rebuildable}"
    assert lines(searching.reading(projects.path, tmp_path)) == [counted]


def test_every_kind_of_project_is_marked(
    regrow: Regrow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in tree.KINDS:
        with monkeypatch.context() as patch:
            patch.setattr(tree, "KINDS", (kind,))
            tree.build(tmp_path / kind.directory, size=0.004)
    found = regrow.json("sweep", "--dry-run", tmp_path)
    assert {Path(line["path"]).name for line in found} == set(tree.NAMES)
    assert {line["decision"] for line in found} == {"mark"}


def test_the_same_size_gives_the_same_tree(projects: tree.Tree, tmp_path: Path) -> None:
    again = tree.build(tmp_path / "again", SIZE)
    assert lines(["find", str(again.path), "-printf", "%P\\n"]) == lines(
        ["find", str(projects.path), "-printf", "%P\\n"]
    )


def test_repositories_have_their_sources_committed(projects: tree.Tree, regrow: Regrow) -> None:
    tree.make_repositories(projects)
    repositories = list(projects.path.glob("*/*/.git"))
    assert len(repositories) == projects.rebuildable
    for repository in repositories:
        assert lines(["git", "-C", str(repository.parent), "status", "--short"]) == []
    assert len(regrow.json("sweep", "--dry-run", projects.path)) == projects.rebuildable


@pytest.mark.needs("find", "fdfind", "gcc", "git")
def test_table_and_json_hold_every_figure(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "WARM_UPS", 0)
    results = __main__.measure(bench, GROUPS)
    described = report.machine(bench.place)
    table = report.as_table(described, results).splitlines()
    assert table[0].startswith("system: ")
    assert len(table) == 3 + len(results)
    figures = json.loads(report.as_json(described, results))
    assert {"system", "processors", "python", "file system", "find", "fd", "gcc"} <= set(
        figures["machine"]
    )
    for result, figure in zip(results, figures["results"], strict=True):
        assert figure["what"] == result.what
        assert figure["value"] > 0
        assert figure["exceeds"] == (result.bound is not None and result.value > result.bound)


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    ours, theirs = Timing((1.0, 10.0, 3.0), 20.0), Timing((2.0, 20.0, 2.0), 5.0)
    comparison = report.Comparison("what", "ours", "theirs", 0.5, 0.4)
    (result,) = report.compare({"ours": ours, "theirs": theirs}, comparison)
    assert (result.value, result.verdict, result.memory) == (0.5, "ok", 20.0)


def test_what_is_not_installed_is_not_compared() -> None:
    ours = Timing((1.0,), 20.0)
    assert report.compare({"ours": ours}, report.Comparison("what", "ours", "fd")) == []
