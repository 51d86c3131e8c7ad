"""URLs without what opens doors: credentials are never written down."""

import re

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):"
    r"(?P<slashes>//)?(?P<place>(?(slashes)[^/?#]*))"
    r"(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?P<fragment>#.*)?"
)
_SECRET = re.compile(
    r"token|secret|passw|pwd|signature|^sig$|^key$|api[_-]?key|access[_-]?key|auth|credential",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"\$\{\w+\}")
_CONDA_TOKEN = re.compile(r"/t/(?!\$\{\w+\})[^/]+(?=/|$)")  # anaconda.org: tokens in the path


def without_credentials(url: str) -> tuple[str, bool]:
    """Cut user names, passwords and tokens out of a URL.

    The user name of an SSH address and variables (``${TOKEN}``) open nothing, and stay.

    Args:
        url: the address; a prefix such as ``git+`` may stand before it.

    Returns:
        The address without them, and whether anything was cut.

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
    if "@" in rest and not is_file and (not host or re.search(r":(?!\d*$)(?!.*\])", host)):
        # A password with a slash in it, for one: what stands before that slash is no host.
        raise ValueError("an address in it can't be told from its credentials")
    if at and not _is_harmless(user, scheme):
        at = user = ""
    if not is_file:
        path = _CONDA_TOKEN.sub("", path)
    query, fragment = _without_secrets(parts["query"]), _without_secrets(parts["fragment"])
    clean = f"{scheme}:{slashes}{user}{at}{host}{path}{query}{fragment}"
    return clean, clean != url


def _is_harmless(user: str, scheme: str) -> bool:
    name, colon, _ = user.partition(":")
    if not colon and (name == "git" or scheme.rpartition("+")[2].lower() == "ssh"):
        return True
    return all(_VARIABLE.fullmatch(part) for part in user.split(":") if part)


def _without_secrets(text: str | None) -> str:
    """Cut a query's or fragment's secrets out; it begins with its ``?`` or ``#``."""
    if not text:
        return ""
    pairs = re.split("[&;]", text[1:])
    kept = [pair for pair in pairs if not _is_secret(*pair.partition("="))]
    if len(kept) == len(pairs):
        return text
    return text[0] + "&".join(kept) if kept else ""


def _is_secret(key: str, _: str, value: str) -> bool:
    if "%" in key:
        from urllib.parse import unquote

        key = unquote(key)
    return bool(_SECRET.search(key)) and not _VARIABLE.fullmatch(value)
