"""Decides whether this regrow is installed where a service can rely on it."""

import os
import sys
import tempfile

from regrow import config, pipeline
from regrow.model import KEEP, Scope
from regrow.rules import loader
from regrow.scan.home import at_home
from regrow.scan.walk import Scan, towards
from regrow_marks.directory import is_below
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from regrow.config import Configuration

REMEDY = (
    "install it for good (`uv tool install regrow`, or `pipx install regrow`), and let that one"
    " install the service"
)

_TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm", "/private/tmp", "/private/var/folders")  # noqa: S108
_CACHES = (".cache", "Caches")
_INSTALLED = ("site-packages", "dist-packages")


def objection(configuration: "Configuration") -> str | None:
    """Return why no service should run this regrow, naming the place; None if one may."""
    package = os.path.realpath(os.path.dirname(os.path.dirname(__file__)))
    environment = os.path.realpath(sys.prefix)
    for place in (package, environment):
        kind = _kind(place)
        if kind:
            return f"{place}: this regrow stands in {kind}, and will be gone one day"
    if environment == os.path.realpath(sys.base_prefix):
        return None
    above = _marked(environment, configuration)
    if above is None:
        return None
    return (
        f"{above}: this regrow stands in an environment that regrow itself leaves out of backups:"
        " its project may replace it at any time, and a restore would not bring it back"
    )


def _kind(place: str) -> str | None:
    home = os.path.realpath(os.path.expanduser("~"))
    temporary = {os.path.realpath(path) for path in (tempfile.gettempdir(), *_TEMPORARY)}
    # A home may itself stand there; what is in it is as good as the home.
    if any(is_below(place, path) and not is_below(home, path) for path in temporary):
        return "a temporary directory"
    caches = [os.environ.get(name, "") for name in ("UV_CACHE_DIR", "XDG_CACHE_HOME")]
    if any(path and is_below(place, os.path.realpath(path)) for path in caches):
        return "a cache"
    names = place.removeprefix(f"{home}/").split("/")
    if any(name in names for name in _CACHES):
        return "a cache"
    if "build" in names and not any(name in names for name in _INSTALLED):
        return "a build directory"
    return None


def _marked(environment: str, configuration: "Configuration") -> str | None:
    """Return what a sweep would mark of the environment and the directories above it."""
    rules = loader.active_rules(configuration, config.path())
    scan = Scan(configuration.start, rules, configuration.skip, towards(environment))
    above = [one for one in at_home(rules) if is_below(environment, one.path)]
    scope = Scope(configuration.start, configuration, rules)
    plan = pipeline.plan(scope, None, scan=lambda: pipeline.survey_of(scan), also=above)
    marked = (one.candidate.path for one in plan.decisions if one.decision != KEEP)
    return next(marked, None)
