"""``regrow completion``: scripts that complete regrow's words in bash, zsh and fish.

They are made from the commands' own parsers, and never run regrow. shtab, which makes such scripts,
does not complete ``--option=value`` in bash, nor the command's own words after ``run --`` in zsh.
"""

import argparse
from importlib import import_module
from shlex import quote

from regrow.cli.main import COMMANDS
from regrow.cli.output import parser
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# What may stand in the place of an argument.
_NOTHING = "nothing"
_WORDS = "words"
_PATH = "path"
_DIRECTORY = "directory"
_COMMAND = "command"
_TEXT = "text"

_BY_METAVAR = {"PATH": _PATH, "FILE": _PATH, "DIRECTORY": _DIRECTORY, "DIR": _DIRECTORY}


class Argument(NamedTuple):
    """An option, or what stands in an operand's place."""

    flags: tuple[str, ...]
    """Empty for an operand."""
    help: str
    name: str
    """What people call its value."""
    takes: str
    words: tuple[str, ...]
    """What it may be, where it takes one of some words."""
    repeats: bool


class Command(NamedTuple):
    """A command with all its arguments."""

    name: str
    help: str
    options: list[Argument]
    operands: list[Argument]


def arguments() -> argparse.ArgumentParser:
    """Describe the command's arguments."""
    made = parser(
        "completion",
        "Print a script that completes regrow's commands, options and paths in a shell.",
        "  regrow completion bash > ~/.local/share/bash-completion/completions/regrow\n"
        '  eval "$(regrow completion bash)"       in ~/.bashrc, without bash-completion\n'
        "  regrow completion zsh > ~/.zsh/_regrow     ~/.zsh being in $fpath before compinit\n"
        "  regrow completion fish > ~/.config/fish/completions/regrow.fish",
    )
    made.add_argument("shell", choices=list(_SCRIPTS), help="the shell that is to read it")
    return made


def run(words: list[str]) -> int:
    """Run the command; returns its exit code."""
    options = arguments().parse_args(words)
    commands = [_describe(name, text) for name, text in COMMANDS.items()]
    print("\n".join(_SCRIPTS[options.shell](commands)))
    return 0


def _describe(name: str, text: str) -> Command:
    made = import_module(f"regrow.cli.{name}").arguments()
    # argparse has no public way to list what a parser takes; completers have read this for years.
    all_of_them = [_argument(action, made.prog) for action in made._actions]  # noqa: SLF001
    return Command(
        name,
        text,
        [argument for argument in all_of_them if argument.flags],
        [argument for argument in all_of_them if not argument.flags],
    )


def _argument(action: argparse.Action, program: str) -> Argument:
    name = str(action.metavar or action.dest)
    words = tuple(map(str, action.choices or ()))
    if action.nargs == 0:
        takes = _NOTHING
    elif action.nargs == argparse.REMAINDER:
        takes = _COMMAND
    else:
        takes = _WORDS if words else _BY_METAVAR.get(name, _TEXT)
    return Argument(
        tuple(action.option_strings),
        (action.help or "") % {**vars(action), "prog": program},
        name,
        takes,
        words,
        repeats=action.nargs in ("*", "+") or action.__class__.__name__ == "_AppendAction",
    )


def _escaped(words: "Iterable[str]") -> str:
    """Join words so that zsh and fish, which read them again, see them apart."""
    return " ".join(
        "".join(c if c.isalnum() or c in "-._" else f"\\{c}" for c in word) for word in words
    )


_BASH_HEAD = """\
# Completes regrow in bash 3.2 and later.
_regrow_complete() {
    local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" choice
    local -a choices
    # bash takes the = of --option=value for a word of its own.
    if [[ $word == = ]]; then
        word=
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD-2]}
    fi
    # Where there is nothing to choose from, readline completes file names, and quotes them.
    COMPREPLY=()
    case $COMP_CWORD:${COMP_WORDS[1]} in"""

_BASH_FOOT = """\
    esac
    for choice in ${choices[@]+"${choices[@]}"}; do
        [[ $choice == "$word"* ]] || continue
        printf -v choice %q "$choice"
        COMPREPLY+=("$choice")
    done
}
complete -o default -F _regrow_complete regrow"""


def _bash(commands: "list[Command]") -> "Iterator[str]":
    yield _BASH_HEAD
    names = [command.name for command in commands]
    yield f"        1:*) {_bash_choices(['--help', '--version', *names])} ;;"
    for command in commands:
        yield f"        *:{command.name})"
        yield "            case $before:$word in"
        for option in command.options:
            if option.takes != _NOTHING:
                pattern = " | ".join(f"{flag}:*" for flag in option.flags)
                yield f"                {pattern}) {_bash_value(option)} ;;"
        flags = [flag for option in command.options for flag in option.flags]
        yield f"                *:-*) {_bash_choices(flags)} ;;"
        for operand in command.operands[:1]:
            yield f"                *) {_bash_value(operand)} ;;"
        yield "            esac ;;"
    yield _BASH_FOOT


def _bash_choices(words: "Iterable[str]") -> str:
    return f"choices=({' '.join(map(quote, words))})"


def _bash_value(argument: Argument) -> str:
    if argument.takes == _WORDS:
        return _bash_choices(argument.words)
    if argument.takes == _DIRECTORY:
        return "compopt -o dirnames 2>/dev/null"  # bash 3.2 has none, and completes files, too
    if argument.takes == _COMMAND:
        return '[[ $before != -- ]] || COMPREPLY=($(compgen -c -- "$word"))'
    return ":"


_ZSH_HEAD = """\
#compdef regrow
# Completes regrow in zsh: as the file _regrow in $fpath, or evaluated after compinit.
_regrow() {
    local curcontext=$curcontext state line ret=1
    local -A opt_args
    local -a commands
    _arguments -C \\
        '(- *)'{-h,--help}'[show what there is]' \\
        '(- *)'{-V,--version}'[show the version]' \\
        '1: :->command' '*:: :->arguments' && ret=0"""

_ZSH_FOOT = """\
    esac
    return ret
}
if [[ $funcstack[1] == _regrow ]]; then
    _regrow "$@"
elif (( $+functions[compdef] )); then
    compdef _regrow regrow
fi"""


def _zsh(commands: "list[Command]") -> "Iterator[str]":
    yield _ZSH_HEAD
    yield "    commands=("
    for command in commands:
        yield f"        {quote(f'{command.name}:{command.help}')}"
    yield "    )"
    yield "    case $state:$words[1] in"
    yield "        command:*) _describe command commands && ret=0 ;;"
    for command in commands:
        yield f"        arguments:{command.name}) _arguments -S \\"
        for option in command.options:
            for flag in option.flags:
                yield f"            {quote(_zsh_option(option, flag))} \\"
        for operand in command.operands:
            yield f"            {quote(_zsh_operand(operand))} \\"
        yield "            && ret=0 ;;"
    yield _ZSH_FOOT


def _zsh_option(option: Argument, flag: str) -> str:
    once = "*" if option.repeats else f"({' '.join(option.flags)})"
    help_text = "".join(f"\\{c}" if c in "[]\\" else c for c in option.help)
    if option.takes == _NOTHING:
        return f"{once}{flag}[{help_text}]"
    equals = "=" if flag.startswith("--") else "+"
    return f"{once}{flag}{equals}[{help_text}]:{option.name}:{_zsh_value(option)}"


def _zsh_operand(operand: Argument) -> str:
    if operand.takes == _COMMAND:
        return "*:::command: _normal"
    return f"{'*' if operand.repeats else ''}:{operand.name}:{_zsh_value(operand)}"


def _zsh_value(argument: Argument) -> str:
    return {
        _WORDS: f"({_escaped(argument.words)})",
        _PATH: "_files",
        _DIRECTORY: "_directories",
    }.get(argument.takes, " ")


_FISH_HEAD = """\
# Completes regrow in fish.
function __regrow_is
    set -l words (commandline -opc)
    test (count $words) -gt 1; and test "$words[2]" = $argv[1]
end
complete -c regrow -e
complete -c regrow -f
complete -c regrow -n __fish_is_first_token -s h -l help -d 'show what there is'
complete -c regrow -n __fish_is_first_token -s V -l version -d 'show the version'"""


def _fish(commands: "list[Command]") -> "Iterator[str]":
    yield _FISH_HEAD
    for command in commands:
        yield (
            f"complete -c regrow -n __fish_is_first_token -a {command.name}"
            f" -d {_fish_quote(command.help)}"
        )
    for command in commands:
        here = f"complete -c regrow -n '__regrow_is {command.name}'"
        for option in command.options:
            flags = " ".join(
                f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}"
                for flag in option.flags
            )
            value = "" if option.takes == _NOTHING else f" -r{_fish_value(option)}"
            yield f"{here} {flags}{value} -d {_fish_quote(option.help)}"
        for operand in command.operands[:1]:
            if operand.takes != _TEXT:
                yield here + _fish_value(operand)


def _fish_value(argument: Argument) -> str:
    return {
        _WORDS: f" -f -a {_fish_quote(_escaped(argument.words))}",
        _PATH: " -F",
        _DIRECTORY: " -f -a '(__fish_complete_directories)'",
        _COMMAND: " -f -a '(__fish_complete_subcommand --fcs-skip=2)'",
    }.get(argument.takes, " -f")


def _fish_quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_SCRIPTS = {"bash": _bash, "fish": _fish, "zsh": _zsh}
