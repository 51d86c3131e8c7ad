"""Credentials in text that holds addresses among other things: options, locks."""

import re

_USER = re.compile(r"""://([^/?#\s"<>]*)@""")
_PARAMETER = re.compile(
    r"""([?&][^=&?#\s"<>]{0,99}"""
    r"""(?:token|secret|passw|signature|api_?key|auth|credential)[^=&?#\s"<>]{0,99}=)"""
    r"""[^&#\s"<>]+""",
    re.IGNORECASE,
)
_NAMES = re.compile(r"git|(?:\$\{\w+\})?(?::(?:\$\{\w+\})?)?")


def cut_out(text: str) -> tuple[str, bool]:
    """Cut user names, passwords and tokens out of every address in a text.

    The user ``git`` of an SSH address and variables (``${TOKEN}``) are names, not secrets, and
    stay.

    Args:
        text: any text.

    Returns:
        The text without them, and whether anything was cut.
    """
    if "://" not in text:
        return text, False
    clean = _USER.sub(lambda user: user[0] if _NAMES.fullmatch(user[1]) else "://", text)
    clean = _PARAMETER.sub(r"\1", clean)
    return clean, clean != text
