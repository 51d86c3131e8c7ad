"""What CI runs is known to the byte: packages by their hashes, actions by their commits."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
YAML = sorted([*(ROOT / ".github").rglob("*.yml"), ROOT / ".pre-commit-config.yaml"])


def jobs(workflow: str) -> dict[str, Any]:
    content = yaml.safe_load((ROOT / f".github/workflows/{workflow}.yml").read_text())
    found: dict[str, Any] = content["jobs"]
    return found


def steps(workflow: Path) -> list[dict[str, Any]]:
    return [step for job in jobs(workflow.stem).values() for step in job["steps"]]


def pinned() -> dict[str, tuple[str, list[str]]]:
    """By name: the version of each package that is installed, and the hashes of its files."""
    text = (ROOT / "constraints.txt").read_text().replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        requirement, *hashes = line.split("--hash=")
        name, _, version = requirement.partition(";")[0].strip().partition("==")
        found[name] = (version, [one.strip() for one in hashes])
    return found


def asked_for() -> list[Requirement]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    texts = [
        *settings["project"]["dependencies"],
        *settings["dependency-groups"]["dev"],
        *settings["build-system"]["requires"],
    ]
    requirements = [Requirement(text) for text in texts]
    return [one for one in requirements if one.name != "regrow-marks"]  # installed from here


def test_every_package_is_pinned_by_version_and_hash() -> None:
    packages = pinned()
    assert len(packages) > 20
    for name, (version, hashes) in packages.items():
        assert re.fullmatch(r"[0-9a-z-]+", name)
        assert re.fullmatch(r"[0-9][0-9a-z.]*", version), name
        assert hashes, name
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), name


def test_the_pins_name_no_address() -> None:
    assert not re.search(r"//|index|find-links", (ROOT / "constraints.txt").read_text())


@pytest.mark.parametrize("requirement", asked_for(), ids=str)
def test_what_the_project_asks_for_is_among_the_pins(requirement: Requirement) -> None:
    version, _ = pinned()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version)


@pytest.mark.parametrize("file", YAML, ids=lambda path: path.name)
def test_yaml_can_be_read(file: Path) -> None:
    assert isinstance(yaml.safe_load(file.read_text()), dict)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
class TestWorkflow:
    def test_actions_are_pinned_by_commit_with_their_release_beside(self, workflow: Path) -> None:
        uses = re.findall(r"uses: (.*)", workflow.read_text())
        assert uses
        for one in uses:
            assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one)

    def test_a_checkout_leaves_no_credentials_behind(self, workflow: Path) -> None:
        for step in steps(workflow):
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"] == {"persist-credentials": False}

    def test_jobs_may_read_and_one_may_publish(self, workflow: Path) -> None:
        content = yaml.safe_load(workflow.read_text())
        assert content["permissions"] == {"contents": "read"}
        for name, job in content["jobs"].items():
            assert job.get("permissions") == ({"id-token": "write"} if name == "publish" else None)

    def test_runs_end_and_newer_ones_take_turns(self, workflow: Path) -> None:
        content = yaml.safe_load(workflow.read_text())
        assert content["concurrency"]["group"]
        assert all(job["timeout-minutes"] <= 30 for job in content["jobs"].values())


def test_ci_runs_every_python_that_the_package_names_on_both_systems() -> None:
    matrix = jobs("test")["test"]["strategy"]["matrix"]
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    prefix = "Programming Language :: Python :: "
    named = [
        text.removeprefix(prefix) for text in settings["project"]["classifiers"] if prefix in text
    ]
    assert matrix == {"os": ["ubuntu-latest", "macos-latest"], "python": named}


def test_ci_accepts_no_missing_program() -> None:
    content = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
    assert content["env"]["REGROW_REQUIRE_TOOLS"] == "1"


def test_a_release_publishes_both_distributions_without_a_token() -> None:
    publish = jobs("release")["publish"]
    assert publish["strategy"]["matrix"]["distribution"] == ["regrow-marks", "regrow"]
    assert "secrets" not in (ROOT / ".github/workflows/release.yml").read_text()
