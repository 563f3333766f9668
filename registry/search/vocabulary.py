"""Words of the index: what completes the word being typed, and what was meant where nothing was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rapidfuzz.distance import OSA
from rapidfuzz.process import extractOne

from registry.search import text
from registry.search.fields import BY_NAME, TABLE, TAG, Kind
from registry.search.index import no_panic
from registry.search.reading import MINUS, OPENING, QUOTES, SAVED, clean, last_word
from registry.search.schema import BAG
from registry.search.writing import plain
from registry.views import Suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import tantivy

    from registry.search.translations import Translations

_DISTANCE: Final = 2
_SHORTEST: Final = 4
"""Words of fewer letters have too many neighbours."""
_CANDIDATES: Final = 20_000
_KEPT: Final = 2
_MOST_KEPT: Final = 5_000
# Full-width signs, as they are typed beside Chinese words.
_SIGNS: Final = str.maketrans({"：": ":", "，": ","})


class Terms:
    """The terms of an index at one commit; for short beginnings, which most have, it is asked once."""

    def __init__(self, searcher: tantivy.Searcher) -> None:
        self._searcher = searcher
        self._kept: dict[tuple[str, str, int], list[tuple[str, int]]] = {}

    def beginning(self, field: str, prefix: str, limit: int) -> list[tuple[str, int]]:
        """Return the commonest terms of a field that begin so, and how many documents have each."""
        if len(prefix) > _KEPT:
            return self._searcher.terms_with_prefix(field, prefix, limit=limit)
        asked = field, prefix, limit
        found = self._kept.get(asked)
        if found is None:
            found = self._searcher.terms_with_prefix(field, prefix, limit=limit)
            if found and len(self._kept) < _MOST_KEPT:
                self._kept[asked] = found
        return found

    def tags(self, prefix: str, limit: int) -> list[tuple[str, int]]:
        """Return the commonest tags that begin so, and how many loras have each."""
        found = self.beginning("k_tag", text.tag_term(prefix), limit)
        return [(text.tag_of(term), count) for term, count in found]

    def loras_with(self, tag: str) -> int:
        """Return how many loras have a tag."""
        return self._searcher.doc_freq("k_tag", text.tag_term(tag))


def suggest(  # noqa: PLR0913 - what there is to complete with, all named
    terms: Terms,
    typed: str,
    *,
    translations: Translations,
    saved: Sequence[str] = (),
    limit: int = 12,
    fixed: bool = False,
) -> list[Suggestion]:
    """Return what may complete the last word of a query, the likeliest first.

    With `fixed` that are fields, values of fixed tables and saved searches: nothing that tells of any lora.
    """
    word = last_word(clean(typed)).translate(_SIGNS).lstrip(MINUS + OPENING + QUOTES)
    name, colon, rest = word.partition(":")
    with no_panic():
        if colon and name.lower() == SAVED:
            return list(_saved(rest, saved))[:limit]
        if colon and name.lower() in BY_NAME and fixed:
            return list(_fixed_values(name, rest))[:limit]
        if colon and name.lower() in BY_NAME:
            return list(_values(terms, name, rest, translations))[:limit]
        if not word:
            return []
        words = () if fixed else _words(terms, word, translations)
        found = [*_fields(word), *words, *_saved_too(word, saved)]
    return found[:limit]


def _saved(prefix: str, saved: Sequence[str]) -> Iterator[Suggestion]:
    wanted = text.key(prefix.strip(QUOTES))
    for name in saved:
        if text.key(name).startswith(wanted):
            yield Suggestion(name, f"saved:{plain(name)}", "saved")


def _saved_too(word: str, saved: Sequence[str]) -> Iterator[Suggestion]:
    return (one for one in _saved(word, saved) if len(word) > 1)


def _fields(word: str) -> Iterator[Suggestion]:
    for row in TABLE:
        if row.name.startswith(word.lower()):
            yield Suggestion(f"{row.name}:", f"{row.name}:", "field", note=row.help)


def _fixed_values(name: str, typed: str) -> Iterator[Suggestion]:
    """Yield the values that a field has whatever loras there are."""
    before, comma, last = typed.rpartition(",")
    prefix, kept = text.key(last.strip(QUOTES)), f"{name}:{before}{comma}"
    for value, note in BY_NAME[name.lower()].names.items():
        if text.key(value).startswith(prefix):
            yield Suggestion(value, kept + plain(value), "value", note=note)


def _values(terms: Terms, name: str, typed: str, translations: Translations) -> Iterator[Suggestion]:
    row = BY_NAME[name.lower()]
    before, comma, last = typed.rpartition(",")
    prefix = text.key(last.strip(QUOTES))
    kept = f"{name}:{before}{comma}"
    if row.kind is Kind.FLAG:
        for value in ("yes", "no"):
            if value.startswith(prefix):
                yield Suggestion(value, kept + value, "value")
        return
    if row.kind is Kind.WORDS:
        field = f"t_{row.name}" if row.name != "name" else "whole"
    elif row.kind in {Kind.KEY, Kind.FOLDER}:
        field = f"k_{row.name}"
    else:
        yield Suggestion(row.example, row.example, "value", note=row.help)
        return
    if row.name == TAG and last:
        yield from _translated(terms, last.strip(QUOTES), translations, kept)
    found = terms.tags(prefix, 12) if row.name == TAG else terms.beginning(field, prefix, 12)
    for value, count in found:
        note = translations.name(value) if row.name == TAG else row.names.get(value.replace(" ", "_"))
        yield Suggestion(value, kept + plain(value), "value", count, note)


def _words(terms: Terms, word: str, translations: Translations) -> Iterator[Suggestion]:
    prefix = text.key(word)
    yield from _translated(terms, word, translations, "tag:")
    # There are as many names as files; with one letter typed, they tell nobody anything.
    long_enough = len(prefix) > 1 or not prefix.isascii()
    names = terms.beginning("whole", prefix, 5) if long_enough else []
    for value, count in names:
        yield Suggestion(value, f"name:{plain(value)}", "name", count)
    for value, count in terms.tags(prefix, 6):
        yield Suggestion(value, f"tag:{plain(value)}", "tag", count, translations.name(value))
    whole = {value for value, _ in names}
    for value, count in terms.beginning("t_name", prefix, 4) if long_enough else ():
        if value not in whole:
            yield Suggestion(value, value, "name", count)


def _translated(terms: Terms, typed: str, translations: Translations, before: str) -> Iterator[Suggestion]:
    for name, tag in translations.beginning(typed, 4):
        count = terms.loras_with(tag)
        if count:
            yield Suggestion(tag, before + plain(tag), "tag", count, name)


def nearest(searcher: tantivy.Searcher, word: str) -> str | None:
    """Return the commonest of the words nearest to one that nothing has, at most two letters away.

    Only words that begin with one of its first two letters are looked at.
    """
    folded = text.fold(word)
    if len(folded) < _SHORTEST or any(run.script for run in text.runs(word)):
        return None
    near: list[tuple[int, int, str]] = []
    for start in dict.fromkeys((folded[0], folded[1])):
        with no_panic():
            found = searcher.terms_with_prefix(BAG, start, limit=_CANDIDATES)
        # The commonest come first, and of equally near ones the first is taken.
        best = extractOne(folded, [term for term, _ in found], scorer=OSA.distance, score_cutoff=_DISTANCE)
        if best is not None:
            term, away, place = best
            near.append((int(away), -found[place][1], term))
    return min(near)[2] if near else None
