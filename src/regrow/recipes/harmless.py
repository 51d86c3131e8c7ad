"""What may be written down: known to be harmless. All else that projects hold may be a secret.

Records, logs and reports are copied into backups, sent to others and pasted into questions. No list
of names of secrets is ever complete, so these are lists of what is none: of an address its scheme,
host, port, path, commit and hashes; of an option a switch, a number, a path, a word that everybody
uses. What was cut is named, so that whoever rebuilds can supply it.
"""

import re

VARIABLE = "${TOKEN}"
"""What stands for a secret in the middle of a path. pip and uv put the variable's value there."""

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):"
    r"(?P<slashes>//)?(?P<place>(?(slashes)[^/?#]*))"
    r"(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?P<fragment>#.*)?"
)
_END = re.compile(r"[\s'\"<>`]")
_SCHEME_BACKWARDS = re.compile(r"[A-Za-z0-9+.-]*[A-Za-z]")
_LONGEST_SCHEME = 40  # characters
_PARTS = re.compile(r"([\s,;'\"<>`=]+)")
_HOST_AND_PATH = re.compile(r"[\w-]{1,63}(?:\.[\w-]{1,63}){1,9}[:/]")
_REFERENCE = re.compile(r"\$\{\w+\}")
_USERS = ("git", "hg", "svn", "anonymous")
_HOST = re.compile(r"(?:(?:[\w.-]|\$\{\w+\})+|\[[0-9A-Fa-f:.]+\])?(?::\d*)?")
_SECOND_HOST = re.compile(r"[^/]@[\w-]{1,63}(?:\.[\w-]{1,63}){0,9}\.[A-Za-z]{2,24}(?::\d|[/?#]|$)")

# What a service that has tokens in its paths puts before one, or has one behind its own name.
_BEFORE_TOKEN = re.compile(r"t|priv|tokens?|auth|keys?|secrets?|access[_-]?tokens?|api[_-]?keys?")
_TOKEN_FIRST = re.compile(r"dl\.cloudsmith\.io|packagecloud\.io|(?:[\w-]+\.)*fury\.io")
_NO_TOKENS = ("public", "basic")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_HASH_LENGTHS = (32, 40, 56, 60, 64, 96, 128)  # of MD5, SHA-1, …; PyPI parts one of 64 in three
_BEFORE_HASH = re.compile(
    r"[0-9a-f]{2}|-|archive|commits?|trees?|raw|blobs?|tarball|zipball|get|snapshot|packages|files"
    r"|[\w.-]+\.git"
)
_PACKAGE = re.compile(
    r"\.(whl|zip|egg|conda|tgz|tar|tar\.(gz|bz2|xz|zst)|tbz2?|txz)$", re.IGNORECASE
)
_LONGEST_VALUE = 4096  # characters of an option's value
_LONGEST = 16  # characters of a word that has letters and digits, or small and large letters
_LONGEST_PLAIN = 32  # characters of one that has small letters alone

_QUERY = frozenset(("ref", "rev", "branch", "tag", "version", "subdirectory", "egg", "format"))
_HASHES = frozenset(("md5", "sha1", "sha224", "sha256", "sha384", "sha512"))
_REF = re.compile(r"(semver:)?[\w.^~<>=*/@+-]{1,60}")
_SECRET_NAME = re.compile(
    r"token|secret|pass|pwd|(^|_)pw($|_)|(^|_)pat($|_)|credential|auth|(^|_)sig|sign|hmac|jwt|bearer"
    r"|session|cookie|(^|_)code($|_)|(^|_)pin($|_)|(^|_)key|key($|_)|login|user|licen[cs]e|account",
    re.IGNORECASE,
)

_HEADER = re.compile(
    r"(authorization|bearer|token|api[-_]?key|passw(or)?d|secret)\s*[:=]?\s+\S", re.IGNORECASE
)

_SWITCH = re.compile(r"on|off|true|false|yes|no|y|n|0|1|", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){0,3}")
_PATH = re.compile(
    r"/[^\0\n;:=@]*|\.|(lib(64|exec)?|s?bin|include|share|etc|var|com|man|doc)(/[\w.+-]{1,40})*"
)
_WORD = re.compile(
    r"auto|default|none|all|any|system|bundled|internal|external|static|shared|both|module|object"
    r"|enabled|disabled|debug|release|relwithdebinfo|minsizerel|debugoptimized|plain|minsize|custom"
    r"|everything|always|never|copy|nofallback|nodownload|forcefallback|nopromote|ninja|make"
    r"|unix makefiles|xcode|linux|darwin|windows|x86|x86_64|amd64|i[3-6]86|aarch64|arm|arm64|armv7"
    r"|riscv(32|64)?|powerpc|webassembly|native|generic|gcc|g\+\+|cc|c\+\+|clang|clang\+\+|msvc"
    r"|(gnu|c|c\+\+)(\+\+)?\d\d|python\d?(\.\d+)?|(cpython|pypy|graalpy)[@-]?\d?(\.\d+)*",
    re.IGNORECASE,
)
_SHORT = re.compile(r"[A-Za-z]{1,2}")
_FLAG = re.compile(
    r"-[OgWfmstvwEMS][\w=,.+-]{0,40}|-[ILB](/[\w./+-]*)?|-l[\w.+-]{1,30}|-std=[\w+]+|-pthread|-pipe"
    r"|-D[A-Z_]+(=[0-9]{1,6})?|-isystem|/[\w./+-]*|-framework|-arch|arm64|x86_64|-rdynamic|-ansi"
)
_FLAGS = re.compile(r"(^|_)(flags|args)($|_)", re.IGNORECASE)
_OPTION = re.compile(r"--?[A-Za-z][A-Za-z0-9-]{0,40}")
_NAME = re.compile(r"[A-Za-z_][\w.:+/-]{0,99}")


def address(url: str) -> tuple[str, bool]:
    """Return what of an address is harmless.

    Variables (``${TOKEN}``) and the users that repositories are read by, such as ``git``, stay.

    Args:
        url: the address; a prefix such as ``git+`` may stand before it.

    Returns:
        The address, and whether anything was cut out of it.

    Raises:
        ValueError: it is no URL, or none of which one can tell where its credentials end.
    """
    # No message here may show the address: it holds what must not be shown.
    if not url.isprintable() or " " in url:
        raise ValueError("an address in it holds white space or control characters")
    parts = _URL.fullmatch(url)
    if parts is None:
        raise ValueError("an address in it is no URL")
    scheme, slashes, path = parts["scheme"], parts["slashes"] or "", parts["path"]
    rest = path + (parts["query"] or "") + (parts["fragment"] or "")
    is_file = scheme.rpartition("+")[2].lower() == "file"
    user, at, host = parts["place"].rpartition("@")
    is_unclear = "@" in rest and (not host or _SECOND_HOST.search(rest))
    if not is_file and (is_unclear or not _HOST.fullmatch(host)):
        # A password with a slash in it, for one: what stands before that slash is no host.
        raise ValueError("an address in it can't be told from its credentials")
    if at and not _is_harmless_user(user, scheme):
        at = user = ""
    if not is_file:
        path = _clean_path(host, path)
    is_git = scheme.lower().startswith("git") or ".git" in path
    query = _clean_pairs(parts["query"], "?", is_git=False)
    fragment = _clean_pairs(parts["fragment"], "#", is_git=is_git)
    clean = f"{scheme}:{slashes}{user}{at}{host}{path}{query}{fragment}"
    return clean, clean != url


def text(line: str) -> tuple[str, bool]:
    """Return a text with what is harmless of each address in it.

    An address whose credentials have no clear end is cut from its host to the end of the text.
    """
    found: list[str] = []
    end = 0
    while (colon := line.find("://", end)) >= 0:
        begin = _begin_of_scheme(line, end, colon)
        found.append(_without_users(line[end:begin]))
        stop = _END.search(line, colon + 3)
        end = stop.start() if stop else len(line)
        try:
            found.append(address(line[begin:end])[0])
        except ValueError:
            found.append(f"{line[begin:colon]}://…")
            end = len(line)
    clean = "".join([*found, _without_users(line[end:])])
    return clean, clean != line


def _begin_of_scheme(line: str, end: int, colon: int) -> int:
    """Return where the scheme begins that stands before a colon."""
    scheme = _SCHEME_BACKWARDS.match(line[max(end, colon - _LONGEST_SCHEME) : colon][::-1])
    return colon - (scheme.end() if scheme else 0)


def option(name: str, value: str) -> bool:
    """Return whether an option of a tool may be written down with its value."""
    if not _NAME.fullmatch(name) or len(value) > _LONGEST_VALUE:
        return False
    items = [item.strip(" '\"[]") for item in re.split(r"[;,]", value.strip())]
    if all(_SWITCH.fullmatch(item) for item in items):
        return True
    if all(_PATH.fullmatch(item) for item in items):
        return True
    if _SECRET_NAME.search(name):
        return False
    if all(_is_known(item) or _PATH.fullmatch(item) for item in items):
        return True
    if _FLAGS.search(name):
        flags = (word.strip("'\",") for word in re.split(r"[\s;]+", value.strip(" []")))
        return all(_FLAG.fullmatch(flag) and not is_token(flag) for flag in flags if flag)
    if "://" in value:
        try:
            return address(value) == (value, False)
        except ValueError:
            return False
    return False


def words(given: "list[str]") -> list[str]:
    """Return the arguments of a command, with ``…`` for all that is not known to be harmless."""
    return [word if _is_harmless_word(word) else _without_value(word) for word in given]


def command(given: "list[str]") -> list[str]:
    """Return the words of a command that the user has written, without what looks like a secret.

    A command may be any text: unlike the others, this function has a list of what is cut.
    """
    found: list[str] = []
    is_secret = False  # what stands behind --token
    for word in given:
        clean = text(word)[0]
        before, equals, value = word.partition("=")
        if equals and value and _SECRET_NAME.search(before) and not option(before, value):
            clean = f"{before}=…"
        elif _HEADER.search(word) or is_secret or is_token(re.sub(r"[/.]", " ", clean)):
            clean = "…"
        is_secret = word.startswith("-") and not equals and bool(_SECRET_NAME.search(word))
        found.append(clean)
    return found


def name(given: str) -> str:
    """Return the name of an option that was cut, as people may be shown it."""
    return given if _NAME.fullmatch(given) else "…"


def is_token(segment: str) -> bool:
    """Return whether a text looks like one that a machine made up."""
    if _UUID.search(segment):
        return True
    for word in re.split(r"[^A-Za-z0-9]+", segment):
        if len(word) > _LONGEST_PLAIN:
            return True
        is_mixed = not word.isdigit() and word.lower() != word[:1].lower() + word[1:]
        if len(word) >= _LONGEST and (is_mixed or any(map(str.isdigit, word))):
            return True
    return False


def _is_harmless_user(user: str, scheme: str) -> bool:
    name, colon, _ = user.partition(":")
    if not colon and name in _USERS and "http" not in scheme.lower():
        return True
    return bool(user) and all(_REFERENCE.fullmatch(part) for part in user.split(":") if part)


def _clean_path(host: str, path: str) -> str:
    """Cut tokens out of a path. conda's ``/t/TOKEN`` goes in full, as conda has it without."""
    path = re.sub(r"/t/(?!\$\{\w+\})[^/]+(?=/|$)", "", path)
    segments = path.split("/")
    last = len(segments) - 1
    is_first = _TOKEN_FIRST.fullmatch(host.partition(":")[0].lower())
    for number, segment in enumerate(segments):
        before = segments[number - 1] if number else ""
        if not segment or _REFERENCE.fullmatch(segment):
            continue
        is_package = number == last and _PACKAGE.search(segment)
        is_marked = _BEFORE_TOKEN.fullmatch(before.lower()) and not _NUMBER.fullmatch(segment)
        is_token_first = is_first and number == 1 and segment not in _NO_TOKENS and last > 1
        if is_token_first or (is_marked and not is_package):
            segments[number] = VARIABLE
        elif is_package or (_is_hash(segment.partition(".")[0]) and _BEFORE_HASH.fullmatch(before)):
            continue
        elif is_token(segment.rpartition("@")[0] or segment) or _is_secret_ref(segment):
            segments[number] = VARIABLE
    return "/".join(segments)


def _is_secret_ref(segment: str) -> bool:
    ref = segment.rpartition("@")[2]
    return "@" in segment and is_token(ref) and not _is_hash(ref)


def _is_hash(word: str) -> bool:
    return len(word) in _HASH_LENGTHS and bool(_HEX.fullmatch(word))


def _clean_pairs(given: str | None, sign: str, *, is_git: bool) -> str:
    """Cut all but what is known to be harmless out of a query, or a fragment."""
    if not given or given == sign:
        return given or ""
    pairs = re.split("[&;]", given[1:])
    kept = [pair for pair in pairs if _is_harmless_pair(*pair.partition("="), is_git=is_git)]
    if len(kept) == len(pairs):
        return given
    return sign + "&".join(kept) if kept else ""


def _is_harmless_pair(key: str, equals: str, value: str, *, is_git: bool) -> bool:
    if not equals:
        is_ref = is_git and _REF.fullmatch(key) and not is_token(key)
        return not key or bool(is_ref) or _is_hash(key)
    if _REFERENCE.fullmatch(value):
        return True
    if key in _HASHES:
        return bool(re.fullmatch(r"[0-9A-Za-z+/_-]{20,}={0,2}", value)) and (
            bool(_HEX.fullmatch(value)) or len(value) >= 40
        )
    from urllib.parse import unquote

    return key in _QUERY and not any(map(is_token, unquote(value).split("/")))


def _is_known(item: str) -> bool:
    patterns = (_SWITCH, _NUMBER, _WORD, _SHORT)
    return any(pattern.fullmatch(item) for pattern in patterns)


def _is_harmless_word(word: str) -> bool:
    before, equals, value = word.partition("=")
    if equals:
        return option(before.lstrip("-") or "-", value)
    return bool(_OPTION.fullmatch(word) or _PATH.fullmatch(word)) or _is_known(word)


def _without_value(word: str) -> str:
    before, equals, _ = word.partition("=")
    return f"{before}=…" if equals and _NAME.fullmatch(before.lstrip("-") or "-") else "…"


def _without_users(part: str) -> str:
    """Cut the user out of ``user:password@host/path``, which is an address without a scheme."""
    if "@" not in part:
        return part
    return "".join(map(_without_user, _PARTS.split(part)))


def _without_user(word: str) -> str:
    user, at, rest = word.rpartition("@")
    is_address = at and _HOST_AND_PATH.match(rest) and user and user not in _USERS
    return rest if is_address and "/" not in user.partition(":")[0] else word
