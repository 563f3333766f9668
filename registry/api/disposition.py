"""The Content-Disposition of a file to be saved (RFC 6266, RFC 8187), safe for any name."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

# What RFC 8187 allows unquoted in `filename*`, beyond letters, digits and `_.-~`.
_SAFE = "!#$&+^`|"
_NO_TOKEN = frozenset('"\\%')


def attachment(name: str) -> str:
    """Return the header value under which a client saves a file as `name`.

    Line breaks, control and formatting characters and separators of paths become `_`; clients that know only
    the old `filename` get `_` for everything beyond ASCII too.
    """
    shown = "".join(char if _is_plain(char) else "_" for char in name)
    old = "".join(char if char.isascii() and char not in _NO_TOKEN else "_" for char in shown)
    return f"attachment; filename=\"{old}\"; filename*=UTF-8''{quote(shown, safe=_SAFE)}"


def _is_plain(char: str) -> bool:
    return (char.isprintable() or unicodedata.category(char) == "Zs") and char not in "/\\"
