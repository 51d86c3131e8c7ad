"""The tools that make environments: whether regrow stands beside each, and what puts it there."""

import os
import shlex

from regrow.doctor import installed
from regrow.doctor.findings import NOT_APPLICABLE, OK, TO_DO, TOOL, Finding
from regrow.system.program import find_program
from regrow_marks import safe_read
from regrow_marks.plain import NamedTuple


class Tool(NamedTuple):
    """One tool that makes environments by virtualenv. ``docs/plugins.md`` has a row for each."""

    name: str
    """Its package, and its command."""
    own_command: str = ""
    """The tool's own command that puts a plugin beside it."""


TOOLS = (
    Tool("virtualenv"),
    Tool("tox"),
    Tool("nox"),
    Tool("poetry", "poetry self add regrow"),
    Tool("pdm", "pdm self add regrow"),
    Tool("hatch"),
    Tool("pipenv"),
    Tool("pre-commit"),
)

_COVERED = "a prompt hook (`regrow hook`) and `regrow service install` cover what it makes"
_OLDEST = (3, 11)  # the Python that regrow's plugins need


def check() -> list[Finding]:
    """Look beside every tool that is on PATH."""
    findings = []
    for tool in TOOLS:
        script = find_program(tool.name)
        if script is not None:
            findings.append(_finding(tool, script))
    if not findings:
        names = ", ".join(tool.name for tool in TOOLS)
        findings.append(Finding(TOOL, "none", NOT_APPLICABLE, f"none is on PATH of {names}"))
    return findings


def _finding(tool: Tool, script: str) -> Finding:
    where = installed.place(script)
    if where is None:
        text = f"{script} is no Python script, and does not tell where it is installed; {_COVERED}"
        return Finding(TOOL, tool.name, NOT_APPLICABLE, text)
    if installed.has_plugin(where):
        return Finding(TOOL, tool.name, OK, f"regrow stands beside it, in {where.prefix}")
    if where.version is not None and where.version < _OLDEST:
        python = ".".join(map(str, where.version))
        text = f"it runs on Python {python}, and the plugin needs 3.11; {_COVERED}"
        return Finding(TOOL, tool.name, NOT_APPLICABLE, text)
    command = what_puts_it_there(tool, where)
    if command is None:
        text = f"{where.by} installed it, and nothing can be put beside it; {_COVERED}"
        return Finding(TOOL, tool.name, NOT_APPLICABLE, text)
    return Finding(TOOL, tool.name, TO_DO, f"regrow does not stand beside it ({script})", command)


def what_puts_it_there(tool: Tool, where: installed.Place) -> str | None:
    """Return the one command that puts regrow beside a tool.

    None where it can't be done, because another package manager owns the environment.
    """
    if where.by == installed.DISTRIBUTION:
        return None
    if where.by == installed.PIPX:
        return f"pipx inject {tool.name} regrow"
    if tool.own_command:
        return tool.own_command
    if where.by == installed.HOMEBREW:
        return None
    if where.by == installed.UV:
        return f"uv tool install {tool.name}{_others(tool, where.prefix)} --with regrow"
    if where.by == installed.VENV and not installed.has_pip(where):
        return f"uv pip install --python {shlex.quote(where.interpreter)} regrow"
    return f"{shlex.quote(where.interpreter)} -m pip install regrow"


def _others(tool: Tool, prefix: str) -> str:
    """Return what uv has installed beside a tool: it would drop what is not named again."""
    from regrow.system import safe_toml

    try:
        receipt = safe_read.read(os.path.join(prefix, "uv-receipt.toml"), safe_toml.LIMIT) or b""
        listed = safe_toml.loads(receipt)["tool"]["requirements"]
        words = [_requirement(entry) for entry in listed if entry["name"] != tool.name]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return "".join(f" --with {shlex.quote(word)}" for word in words)


def _requirement(entry: "dict[str, object]") -> str:
    """Write an entry of uv's receipt as ``--with`` takes it."""
    for source in ("directory", "editable", "path", "url", "git"):
        if source in entry:
            return f"{'git+' if source == 'git' else ''}{entry[source]}"
    extras = entry.get("extras")
    listed = f"[{','.join(map(str, extras))}]" if isinstance(extras, list) else ""
    return f"{entry['name']}{listed}{entry.get('specifier', '')}"
