"""Numbers, sizes, dates and the text of strangers, as pages show them."""

from __future__ import annotations

import datetime as dt
import re
from typing import Final
from urllib.parse import quote, urlencode

# What separates, hides or turns text and shows nothing of itself, and halves of surrogate pairs.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_STARS: Final = 5
_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")


def visible(text: str) -> str:
    r"""Return text with what cannot be seen in it written out, as in `\u202e`; line breaks stay."""
    return _UNSEEN.sub(_written_out, text.replace("\r\n", "\n"))


def _written_out(match: re.Match[str]) -> str:
    code = ord(match.group())
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that was no text (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def cut(text: str, longest: int) -> str:
    """Return the beginning of a text, saying how much of it is missing."""
    if len(text) <= longest:
        return visible(text)
    return f"{visible(text[:longest])}… ({count(len(text))} characters)"


def count(number: int) -> str:
    """Return a number with its thousands apart."""
    return f"{number:,}"


def sentence(text: str) -> str:
    """Return what an error or warning says as a sentence by itself."""
    said = visible(text)
    end = "" if not said or said.endswith((".", "!", "?")) else "."
    return f"{said[:1].upper()}{said[1:]}{end}"


def alike(first: str, second: str) -> bool:
    """Whether letters and digits of the first text begin as the second: `FilmGrain_v2`, `Film grain`."""
    one, other = ("".join(filter(str.isalnum, text)).casefold() for text in (first, second))
    return one.startswith(other)


def several(number: int, thing: str) -> str:
    """Return how many there are of a thing."""
    return f"{count(number)} {thing}{'' if number == 1 else 's'}"


def size(number: int) -> str:
    """Return a number of bytes; it counts in 1,024s, as the query language does."""
    amount, power = float(number), 0
    while amount >= 1000 and power < len(_UNITS) - 1:
        amount, power = amount / 1024, power + 1
    return f"{amount:.{1 if power and amount < 10 else 0}f} {_UNITS[power]}"


def day(milliseconds: int) -> str:
    """Return the day of a moment, UTC; nothing for one that no calendar has."""
    return moment(milliseconds)[:10]


def moment(milliseconds: int, *, seconds: bool = False) -> str:
    """Return a moment, UTC, to the minute or second; nothing for one that no calendar has."""
    try:
        found = dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return ""
    return f"{found:%Y-%m-%d %H:%M:%S} UTC" if seconds else f"{found:%Y-%m-%d %H:%M} UTC"


def are(number: int) -> str:
    """Return the verb for so many."""
    return "is" if number == 1 else "are"


def duration(seconds: float) -> str:
    """Return about how long something takes."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{round(minutes / 60)} h"


def took(milliseconds: float) -> str:
    """Return how long a search took."""
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"


def number(value: object) -> str:
    """Return a value of metadata: numbers short, everything else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return visible(str(value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def search_url(query: str, sort: str = "", cursor: str = "", view: str = "") -> str:
    """Return the address of a search below the root, without what is empty."""
    named = (("q", query), ("sort", sort), ("cursor", cursor), ("view", view))
    given = {name: value for name, value in named if value}
    return f"/?{urlencode(given, quote_via=quote, errors='replace')}" if given else "/"


def lora_url(lora_id: int) -> str:
    """Return the address of the page of a lora, below the root."""
    return f"/loras/{lora_id}"


def relatives_url(lora_id: int) -> str:
    """Return the address of the page of what is like a lora, below the root."""
    return f"{lora_url(lora_id)}/relatives"


def job_url(job_id: int) -> str:
    """Return the address of the page of a job, below the root."""
    return f"/jobs/{job_id}"


def stars(rating: int) -> str:
    """Return a rating as five signs."""
    return f"{'★' * rating}{'☆' * (_STARS - rating)}"


def picture_url(key: str) -> str:
    """Return the address of the thumbnail of a picture, below the root."""
    return f"/api/v1/pictures/{key}"


def original_url(key: str) -> str:
    """Return the address of a picture as it came, below the root."""
    return f"/api/v1/pictures/{key}/original"
