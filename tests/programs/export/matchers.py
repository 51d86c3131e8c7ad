"""Reference matchers for programs that can't be run here, written from their documented syntax.

They prove that regrow's lines mean, by the documentation, what they shall mean; not that the
programs do as documented.
"""

import re


def kopia_leaves_out(data: bytes, path: bytes, *, is_directory: bool) -> bool:
    """Tell whether Kopia's ignore file names a path, given from the source.

    https://kopia.io/docs/advanced/kopiaignore/: gitignore's syntax; names are read as text, in
    which each byte that is not UTF-8 becomes U+FFFD.
    """
    text = "/" + path.decode(errors="replace")
    for line in data.decode(errors="replace").split("\n"):
        line = line.removesuffix("\r")
        if not line.strip() or line.startswith("#"):
            continue
        assert not line.startswith("!")
        pattern = line if line[-2:-1] == "\\" else line.strip()
        only_directories = pattern.endswith("/")
        anchored = "/" in pattern[:-1]
        assert anchored
        if only_directories and not is_directory:
            continue
        if re.fullmatch(_wildcards_as_regex(pattern.removesuffix("/")), text, re.DOTALL):
            return True
    return False


def _wildcards_as_regex(pattern: str) -> str:
    parts = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            parts.append(re.escape(next(characters)))
        elif character == "*":
            parts.append("[^/]*")
        elif character == "?":
            parts.append("[^/]")
        else:
            assert character != "["
            parts.append(re.escape(character))
    return "".join(parts)


def duplicacy_leaves_out(data: bytes, path: bytes, *, is_directory: bool) -> bool:
    """Tell whether Duplicacy's filters exclude a path, given from the repository.

    https://forum.duplicacy.com/t/filters-include-exclude-patterns/1089: ``e:`` begins a regular
    expression (Go's) for what is excluded, ``i:`` one for what is included; a directory's path
    ends with a slash. The first that matches counts.
    """
    text = path.decode(errors="replace") + ("/" if is_directory else "")
    for line in data.decode(errors="replace").split("\n"):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        assert line.startswith("e:")
        if re.search(_go_as_python(line[2:]), text):
            return True
    return False


def _go_as_python(expression: str) -> str:
    """Write Go's ``\\x{…}`` and its ``$``, which is the very end of a text, as Python does."""
    assert expression.endswith("$")
    assert not expression.endswith("\\$")
    python = re.sub(
        r"\\x\{([0-9a-f]+)\}", lambda found: f"\\U{int(found[1], 16):08x}", expression[:-1]
    )
    return python + r"\Z"
