"""Finds the rule that recognises a directory, by the listings beside, above and inside it."""

import os
import re
from fnmatch import fnmatchcase, translate
from functools import lru_cache

from regrow.model import Candidate, Rule
from regrow.scan import evidence
from regrow_marks.directory import split
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from regrow.scan.evidence import Listing

_REMEMBERED = 4096  # names of directories


class Hint(NamedTuple):
    """Evidence for a directory in the listing of a project directory."""

    rule: Rule
    rest: tuple[str, ...]
    """The path components down to the directory; empty: the hint is about the directory itself."""
    project: str
    found: tuple[str, ...]
    """The names found beside."""


class Index:
    """The rules, by what a listing can be searched for."""

    def __init__(self, active_rules: "Iterable[Rule]") -> None:
        """Arrange the rules. Those for the home directory are left out: no scan looks for them."""
        self._by_name: dict[str, list[Rule]] = {}
        self._by_glob: list[Rule] = []
        self._by_path: dict[str, list[Rule]] = {}
        self.anywhere: list[Rule] = []
        for rule in active_rules:
            if rule.home:
                continue
            if rule.directory == "*":
                self.anywhere.append(rule)
            elif rule.has_path:
                self._by_path.setdefault(rule.directory.partition("/")[0], []).append(rule)
            elif "*" in rule.directory:
                self._by_glob.append(rule)
            else:
                self._by_name.setdefault(rule.directory, []).append(rule)
        globs = "|".join(translate(rule.directory) for rule in self._by_glob)
        self._is_glob = re.compile(globs).match if globs else None
        # The same few names come again and again.
        self._for_name = lru_cache(_REMEMBERED)(self._look_up)
        self.is_known = lru_cache(_REMEMBERED)(self._has_rule)
        self.triggers = frozenset(
            name.rstrip("/").partition("/")[0]
            for rule in self.anywhere
            for name in (*rule.inside, *rule.inside_all)
        )
        """Without any of these inside, a directory without hints is not recognised."""

    def _has_rule(self, name: str) -> bool:
        """Return whether a rule is for a directory's name, or for a path that begins with it."""
        return (
            name in self._by_name
            or name in self._by_path
            or (self._is_glob is not None and self._is_glob(name) is not None)
        )

    def for_name(self, name: str) -> "list[Rule]":
        """Return the rules for a directory's name, without those for a path."""
        return [rule for rule, rest in self._for_name(name) if not rest]

    def _look_up(self, name: str) -> "list[tuple[Rule, tuple[str, ...]]]":
        """Return the rules for a name, each with the path components that must follow."""
        named = self._by_name.get(name, ())
        by_glob = (rule for rule in self._by_glob if fnmatchcase(name, rule.directory))
        with_path = self._by_path.get(name, ())
        return [
            *((rule, ()) for rule in (*named, *by_glob)),
            *((rule, tuple(rule.directory.split("/")[1:])) for rule in with_path),
        ]

    def hints(
        self, name: str, path: str, listing: "Listing", above: "Iterable[Hint]"
    ) -> list[Hint]:
        """Return the evidence that a listing, and those above it, hold for a directory in it.

        Args:
            name: the directory's name.
            path: the path of what is listed.
            listing: its entries.
            above: the hints for what is listed.
        """
        found = []
        for rule, rest in self._for_name(name):
            names = evidence.beside(rule, listing)
            if names is not None:
                found.append(Hint(rule, rest, path, names))
        for hint in above:
            if hint.rest and fnmatchcase(name, hint.rest[0]):
                found.append(hint._replace(rest=hint.rest[1:]))
        return found

    def recognise_unlisted(
        self, path: str, status: os.stat_result, hints: "Sequence[Hint]"
    ) -> Candidate | None:
        """Find the rule for a directory for which the evidence beside it is enough.

        Args:
            path: the directory.
            status: what it is.
            hints: the evidence for it in listings above.
        """
        for hint in hints:
            rule = hint.rule
            if hint.rest or rule.keep or rule.generic or evidence.needs_inside(rule):
                continue
            return _candidate(path, status, hint, _kept_by(hints))
        return None

    def recognise(
        self, path: str, status: os.stat_result, hints: "Sequence[Hint]", listing: "Listing"
    ) -> Candidate | None:
        """Find the rule for a directory that is listed.

        Args:
            path: the directory.
            status: what it is.
            hints: the evidence for it in listings above.
            listing: its entries.
        """
        best: Candidate | None = None
        for hint in hints:
            rule = hint.rule
            if hint.rest or rule.keep:
                continue
            found = evidence.inside(rule, listing)
            if found is None and (
                evidence.needs_inside(rule) or evidence.speaks_against(rule, listing)
            ):
                continue
            if best is None or (best.rule.generic and not best.decisive):
                others = _foreign(rule, listing, found or ()) or ""
                best = _candidate(path, status, hint, _kept_by(hints), found or (), others)
        if best is not None or self.triggers.isdisjoint(listing.names):
            return best
        for rule in self.anywhere:
            found = evidence.inside(rule, listing)
            if found is None:
                continue
            foreign = _foreign(rule, listing, found)
            if foreign is not None:
                hint = Hint(rule, (), split(path)[0], ())
                return _candidate(path, status, hint, _kept_by(hints), found, foreign)
        return None


def _foreign(rule: Rule, listing: "Listing", found: "Sequence[str]") -> str | None:
    """Return what a directory holds that its rule's tool does not make; see ``contents``."""
    if not rule.makes:
        return ""
    from regrow.scan.contents import foreign

    return foreign(rule, listing, found)


def _candidate(
    path: str,
    status: os.stat_result,
    hint: Hint,
    kept_by: Rule | None,
    inside: tuple[str, ...] = (),
    foreign: str = "",
) -> Candidate:
    return Candidate(
        path,
        hint.rule,
        hint.project,
        (*hint.found, *(f"inside/{name}" for name in inside)),
        hint.rule.generic and bool(inside),
        status.st_dev,
        status.st_ino,
        foreign,
        kept_by,
    )


def _kept_by(hints: "Iterable[Hint]") -> Rule | None:
    return next((hint.rule for hint in hints if hint.rule.keep and not hint.rest), None)
