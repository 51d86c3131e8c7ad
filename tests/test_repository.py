"""What CI runs is known to the byte: packages by their hashes, actions by their commits."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


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


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_and_get_no_credentials(workflow: Path) -> None:
    text = workflow.read_text()
    uses = re.findall(r"uses: (.*)", text)
    assert uses
    for one in uses:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one)
    checkouts = re.findall(
        r"uses: actions/checkout.*\n +with:\n +persist-credentials: false\n", text
    )
    assert len(checkouts) == text.count("actions/checkout")
    assert re.search(r"^permissions:\n  contents: read$", text, re.MULTILINE)
