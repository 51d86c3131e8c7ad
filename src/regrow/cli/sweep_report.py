"""What ``regrow sweep`` prints: the plan, what was done, and the summary of either."""

from collections import Counter

from regrow.cli.output import (
    complain,
    human_size,
    outcomes_as_json,
    print_json,
    print_null_ended,
    print_table,
    show,
)
from regrow.model import KEEP, KEPT, MARK, MARKED_ALREADY, TAKE_BACK, VANISHED, Result
from regrow_marks.model import ALREADY_MARKED, FAILED, MARKED, NOT_MARKED, UNMARKED
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from regrow.model import Decision, Plan

    Sizes = Mapping[str, int]  # by path, in bytes; empty where nobody asked

_PLANNED = {
    MARK: "would mark",
    MARKED_ALREADY: "marked already",
    KEEP: "keep",
    TAKE_BACK: "would take back",
}
_DONE = {
    MARKED: "marked",
    ALREADY_MARKED: "marked already",
    KEPT: "keep",
    UNMARKED: "taken back",
    NOT_MARKED: "taken back",
    VANISHED: "vanished",
    FAILED: "failed",
}


def report_plan(plan: "Plan", sizes: "Sizes", options: "argparse.Namespace") -> None:
    """Print what would be done, in the shape that the command line asks for."""
    if options.json:
        _print_json([Result(decision, "") for decision in plan.decisions], plan, sizes)
    elif options.print0:
        print_null_ended(d.candidate.path for d in plan.decisions if d.decision == MARK)
        _report_unreadable(plan)
    else:
        _print_plan(plan.decisions, plan, sizes)


def print_changes(plan: "Plan", sizes: "Sizes") -> None:
    """Print what would be done, for people who are about to be asked."""
    _print_plan([d for d in plan.decisions if d.decision != MARKED_ALREADY], plan, sizes)


def question(plan: "Plan") -> str:
    """Return what people are asked about a plan, as in ``Mark 3 and take back 1``."""
    counts = Counter(decision.decision for decision in plan.decisions)
    parts = [(MARK, "mark"), (TAKE_BACK, "take back")]
    return " and ".join(f"{word} {counts[key]}" for key, word in parts if counts[key]).capitalize()


def report(
    results: "Sequence[Result]", plan: "Plan", sizes: "Sizes", options: "argparse.Namespace"
) -> None:
    """Print what was done, in the shape that the command line asks for."""
    if options.json:
        _print_json(results, plan, sizes)
    elif options.print0:
        print_null_ended(r.decision.candidate.path for r in results if r.outcome == MARKED)
        report_problems(results)
        _report_unreadable(plan)
    else:
        # What changed, and what stays; what was marked before is only counted.
        rows = [
            (one.decision, _DONE[one.outcome], one.error or _why(one.decision))
            for one in results
            if one.outcome != ALREADY_MARKED
        ]
        _print_rows(rows, sizes)
        report_problems(results)
        _report_unreadable(plan)
        print(result_summary(results, plan, sizes))


def report_problems(results: "Iterable[Result]") -> None:
    """Print on standard error what failed, and what people should read besides."""
    for result in results:
        if result.outcome == FAILED:
            complain(result.problem)
        for note in result.notes:
            complain(f"{result.decision.candidate.path}: {note}")


def result_summary(results: "Sequence[Result]", plan: "Plan", sizes: "Sizes") -> str:
    """Return how much was done, in a line."""
    counts = Counter(result.outcome for result in results)
    back = counts[UNMARKED] + counts[NOT_MARKED]
    return _summary(
        [
            f"marked {counts[MARKED]}{_size(plan, MARK, sizes)}",
            f"marked already {counts[ALREADY_MARKED]}",
            *([f"taken back {back}"] if back else []),
            *([f"vanished {counts[VANISHED]}"] if counts[VANISHED] else []),
            *([f"failed {counts[FAILED]}"] if counts[FAILED] else []),
        ],
        plan,
        counts[KEPT],
    )


def _report_unreadable(plan: "Plan") -> None:
    for finding in plan.unreadable:
        complain(f"{finding.path}: not read: {finding.error}")


def _print_json(results: "Sequence[Result]", plan: "Plan", sizes: "Sizes") -> None:
    for result in results:
        decision = result.decision
        candidate = decision.candidate
        line: dict[str, Any] = {
            "path": candidate.path,
            "rule": candidate.rule.name,
            "decision": decision.decision,
            "guard": decision.guard or None,
            "reason": decision.reason or None,
            "evidence": list(candidate.evidence),
            "recipe": decision.recipe.recipe if decision.recipe else None,
            "remarks": list(decision.recipe.remarks) if decision.recipe else [],
            "bytes": sizes.get(candidate.path),
        }
        if result.outcome:
            line |= {
                "outcome": result.outcome,
                "error": result.error or None,
                **({"notes": list(result.notes)} if result.notes else {}),
                "markers": outcomes_as_json(result.outcomes),
            }
        print_json(line)
    for finding in plan.unreadable:
        print_json({"path": finding.path, "decision": "unreadable", "reason": finding.error})


def _print_plan(decisions: "Iterable[Decision]", plan: "Plan", sizes: "Sizes") -> None:
    _print_rows([(one, _PLANNED[one.decision], _why(one)) for one in decisions], sizes)
    _report_unreadable(plan)
    counts = Counter(decision.decision for decision in plan.decisions)
    back = counts[TAKE_BACK]
    parts = [
        f"would mark {counts[MARK]}{_size(plan, MARK, sizes)}",
        f"marked already {counts[MARKED_ALREADY]}",
        *([f"would take back {back}"] if back else []),
    ]
    print(_summary(parts, plan, counts[KEEP]))


def _why(decision: "Decision") -> str:
    return decision.reason or decision.candidate.rule.command


def _print_rows(rows: "Sequence[tuple[Decision, str, str]]", sizes: "Sizes") -> None:
    """Print one row per directory, by project: what is done with it, and why."""
    by_project: dict[str, list[tuple[str, ...]]] = {}
    for decision, word, why in rows:
        candidate = decision.candidate
        relative = candidate.path[len(candidate.project.rstrip("/")) + 1 :]
        size = human_size(sizes[candidate.path]) if sizes else ""
        row = (f"  {relative}", word, size, candidate.rule.name, why)
        by_project.setdefault(candidate.project, []).append(row)
    for project in sorted(by_project):
        print(show(project))
        print_table(by_project[project], ("", "bold", "", "dim", ""))
    if rows:
        print()


def _summary(parts: list[str], plan: "Plan", kept: int) -> str:
    guards = Counter(d.guard for d in plan.decisions if d.decision == KEEP)
    reasons = ", ".join(f"{name} {count}" for name, count in sorted(guards.items()))
    parts.append(f"kept {kept}" + (f" ({reasons})" if reasons else ""))
    parts.append(f"not readable {len(plan.unreadable)}")
    read = f"{plan.read:,} directories read"
    if plan.unchanged:
        read += f", {plan.unchanged:,} unchanged since the last sweep"
    return f"{', '.join(parts)}; {read}"


def _size(plan: "Plan", decision: str, sizes: "Sizes") -> str:
    if not sizes:
        return ""
    paths = (d.candidate.path for d in plan.decisions if d.decision == decision)
    return f" ({human_size(sum(sizes[path] for path in paths))})"
