"""``regrow explain``: why a path would be marked, or stays in the backup."""

import argparse
import os
import shlex

from regrow import config, pipeline
from regrow.cli.output import parser, print_json, show
from regrow.decide.decisions import objections_to
from regrow.decide.guards import GUARDS
from regrow.model import KEEP, MARK, Candidate, Decision, Rule, Scope
from regrow.rules import loader
from regrow.scan import evidence, home, walk
from regrow.scan.matching import Index
from regrow_marks.directory import Directory, ancestors, open_child, open_parent, split
from regrow_marks.errors import PathError
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from regrow.config import Configuration
    from regrow.model import Survey
    from regrow.recipes.recipe import RecipeResult


class Near(NamedTuple):
    """A rule whose directory the path could be, and what it lacks."""

    rule: Rule
    lacking: tuple[str, ...]


class Explanation(NamedTuple):
    """All that is known about one path."""

    path: str
    decision: Decision | None
    """The decision about the path itself; None where no rule recognises it."""
    above: Candidate | None
    """The candidate that the path lies in, if there is one: a sweep doesn't look further."""
    reached: bool
    """Whether a sweep comes to look at the path at all."""
    near: tuple[Near, ...]
    objections: dict[str, str | None]
    """By guard: its objection; None where it has none."""


def arguments() -> argparse.ArgumentParser:
    """Describe the command's arguments."""
    made = parser(
        "explain",
        "Explain why a path would be marked or stays in the backup: the rule that recognises it"
        " and on what evidence, the rules that come near and what they lack, each guard's"
        " objection, and what brings it back. Nothing is changed.",
        "  regrow explain node_modules\n  regrow explain build ~/thesis\n"
        "  regrow explain --json .venv",
    )
    made.add_argument("path", nargs="+", metavar="PATH", help="any path that exists")
    made.add_argument("--json", action="store_true", help="print a line of JSON for each path")
    return made


def run(words: list[str]) -> int:
    """Run the command; returns its exit code."""
    options = arguments().parse_args(words)
    configuration = config.read()
    active_rules = loader.active_rules(configuration, config.path())
    failed = False
    for path in options.path:
        try:
            explanation = explain(path, active_rules, configuration)
        except PathError as error:
            failed = True
            if options.json:
                print_json({"path": path, "error": str(error)})
            else:
                from regrow.cli.output import complain

                complain(str(error))
            continue
        if options.json:
            _print_json(explanation)
        else:
            _print(explanation)
    return int(failed)


def explain(
    path: str, active_rules: "Sequence[Rule]", configuration: "Configuration"
) -> Explanation:
    """Return all that is known about a path. Raises PathError: it does not exist."""
    parent_path, name = split(path)
    if name in ("", ".", ".."):
        with open_parent(path) as directory:
            parent_path, name = split(directory.path)
    with open_parent(parent_path) as parent:
        true_path = os.path.join(parent.path, name)
        if not parent.has(name):
            raise PathError(f"{path}: it does not exist")
        near = _near(parent, name, active_rules)
    scope = Scope([_start_above(true_path, configuration)], configuration, active_rules)
    at_home = [one for one in home.at_home(active_rules) if one.path == true_path]
    scan = walk.Scan(scope.start, active_rules, configuration.skip, walk.towards(true_path))

    def look() -> "Survey":
        found = pipeline.survey_of(scan)
        if not any(one.rule.container for one in at_home):
            return found
        inside = walk.Scan([true_path], active_rules, configuration.skip)
        return found._replace(findings=[*found.findings, *inside])

    plan = pipeline.plan(scope, None, scan=look, also=at_home)
    decisions = {decision.candidate.path: decision for decision in plan.decisions}
    decision = decisions.get(true_path)
    if decision is None:
        above = next((one.candidate for one in plan.decisions), None)
        reached = scan.last_seen in (true_path, split(true_path)[0])
        return Explanation(true_path, None, above, reached, near, {})
    objections = objections_to(decision.candidate, scope)
    return Explanation(true_path, decision, None, True, near, objections)


def _start_above(path: str, configuration: "Configuration") -> str:
    """Return the start directory that a sweep would reach the path from, else the root."""
    above = set(ancestors(path))
    for start in configuration.start:
        true_start = os.path.realpath(os.path.expanduser(start))
        if true_start in above:
            return true_start
    return "/"


def _near(parent: Directory, name: str, active_rules: "Sequence[Rule]") -> tuple[Near, ...]:
    """Return the rules for a directory of this name or place, and what each lacks."""
    here = evidence.Listing.read(parent.fd)
    try:
        with open_child(parent, name) as directory:
            listing = evidence.Listing.read(directory.fd)
            index = Index(active_rules)
            found = [
                Near(rule, tuple(evidence.missing(rule, here, listing)))
                for rule in index.for_name(name)
            ]
            if not index.triggers.isdisjoint(listing.names):
                found += (
                    Near(rule, tuple(evidence.missing(rule, here, listing)))
                    for rule in index.anywhere
                    if any(listing.find(one) for one in (*rule.inside, *rule.inside_all))
                )
    except PathError:
        return ()
    true_path = os.path.join(parent.path, name)
    for rule in active_rules:
        tail = f"/{rule.directory}"
        if rule.home or not rule.has_path or not true_path.endswith(tail):
            continue
        with open_parent(true_path.removesuffix(tail) or "/") as project:
            listed = evidence.Listing.read(project.fd)
            found.append(Near(rule, tuple(evidence.missing(rule, listed, None))))
    home = os.path.expanduser("~")
    for rule in active_rules:
        if rule.home and rule.keep and true_path == os.path.realpath(f"{home}/{rule.directory}"):
            found.append(Near(rule, ()))
    return tuple(found)


def _print_json(explanation: Explanation) -> None:
    decision = explanation.decision
    candidate = decision.candidate if decision else None
    print_json(
        {
            "path": explanation.path,
            "decision": decision.decision if decision else KEEP,
            "rule": candidate.rule.name if candidate else None,
            "evidence": list(candidate.evidence) if candidate else [],
            "reason": decision.reason or None if decision else _why_not(explanation),
            "guards": explanation.objections,
            "rebuilt_by": candidate.rule.command if candidate else None,
            "recipe": decision.recipe.recipe if decision and decision.recipe else None,
            "remarks": list(decision.recipe.remarks) if decision and decision.recipe else [],
            "near": [
                {
                    "rule": near.rule.name,
                    "lacks": list(near.lacking),
                    "keep": near.rule.keep or None,
                }
                for near in explanation.near
            ],
        }
    )


def _print(explanation: Explanation) -> None:
    decision = explanation.decision
    print(show(explanation.path))
    if decision is None:
        print(f"  stays in the backup: {show(_why_not(explanation))}")
        for near in explanation.near:
            if near.rule.keep:
                continue
            lacks = "; ".join(near.lacking) or "nothing; but a sweep does not come here"
            print(f"  rule {near.rule.name} comes near; it lacks {show(lacks)}")
        return
    rule = decision.candidate.rule
    verdict = {MARK: "would be marked", KEEP: f"stays in the backup: {decision.reason}"}
    print(f"  {show(verdict.get(decision.decision, 'is marked already'))}")
    print(f"  rule {rule.name}, on the evidence of {show(', '.join(decision.candidate.evidence))}")
    print(f"  it comes back by: {show(rule.command)}")
    if rule.note:
        print(f"  note: {show(rule.note)}")
    if decision.recipe is not None:
        for line in _recipe_lines(decision.recipe):
            print(f"  {show(line)}")
    if rule.documentation:
        print(f"  see {show(rule.documentation)}")
    for guard in GUARDS:
        objection = explanation.objections[guard.name]
        answer = f"yes: {show(objection)}" if objection else "no objection"
        print(f"  {guard.question:42} {answer}")


_COMMANDS = ("command", "configure", "build")  # the words of a command line
_SHOWN = 5  # entries of a long list; --json has all


def _recipe_lines(result: "RecipeResult") -> "Iterator[str]":
    """Yield a recipe as lines for people, long lists cut."""
    for key, value in result.recipe.items():
        if isinstance(value, list) and key in _COMMANDS:
            yield f"recipe, {key}: {shlex.join(value)}"
        elif isinstance(value, list):
            more = f" and {len(value) - _SHOWN} more" if len(value) > _SHOWN else ""
            yield f"recipe, {key}: {', '.join(value[:_SHOWN]) or 'none'}{more}"
        elif value != "":
            yield f"recipe, {key}: {value}"
    for remark in result.remarks:
        yield f"remark: {remark}"


def _why_not(explanation: Explanation) -> str:
    """Return why no rule recognises a path."""
    if explanation.above is not None:
        return (
            f"it lies in {explanation.above.path}, which rule {explanation.above.rule.name}"
            " recognises as a whole"
        )
    for near in explanation.near:
        if near.rule.keep and not near.lacking:
            return f"{near.rule.keep} (rule {near.rule.name})"
    if not os.path.isdir(explanation.path) or os.path.islink(explanation.path):
        return "it is not a directory; regrow marks directories only, and follows no link"
    if not explanation.reached:
        return "a sweep does not come here: a directory above it is skipped, hidden or excluded"
    return "no rule recognises it"
