"""URLs without what opens doors: credentials are never written down."""

import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

_SECRET = re.compile(r"token|secret|passw|signature|^sig$|api_?key|auth|credential", re.IGNORECASE)
_CONDA_TOKEN = re.compile(r"/t/[^/]+/")  # anaconda.org puts its tokens into the path
_UNSAFE = re.compile(r"[\x00-\x20\x7f]")


def without_credentials(url: str) -> tuple[str, bool]:
    """Cut user names, passwords and tokens out of a URL.

    The user ``git`` of an SSH address and variables (``${TOKEN}``) are names, not secrets, and
    stay.

    Args:
        url: the address; a prefix such as ``git+`` may stand before it.

    Returns:
        The address without them, and whether anything was cut.

    Raises:
        ValueError: it holds white space or control characters, or is no URL.
    """
    if _UNSAFE.search(url) or any(0xD800 <= ord(c) <= 0xDFFF for c in url):
        raise ValueError(f"{url!r} is no URL")
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    is_name = user == "git" or all(
        re.fullmatch(r"\$\{\w+\}", part) for part in user.split(":") if part
    )
    netloc = f"{user}{at}{host}" if at and is_name else host
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(key, value) for key, value in pairs if not _SECRET.search(key)]
    query = parts.query if len(kept) == len(pairs) else urlencode(kept)
    path = _CONDA_TOKEN.sub("/", parts.path)
    clean = urlunsplit((parts.scheme, netloc, path, query, parts.fragment))
    return clean, (netloc, query, path) != (parts.netloc, parts.query, parts.path)
