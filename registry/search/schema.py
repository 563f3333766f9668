"""The fields of the index, made from the table of fields: which engine field holds what.

===============  ==========================================================================================
`key`            `L` and the id, by which documents are replaced (deleting by a number deletes nothing)
`t_<column>`     the tokens of a text column in order; of tags, those of several words
`b_<column>`     all tokens by which its words are found, order aside, for columns that count apart
`bag`            the same of all texts in which free words are looked for, the oftener the more they count
`whole`          whole names, folded
`k_<field>`      values of fields that are compared as wholes, folded; folders with all above them; tags with
                 `_` for blanks
`n_<field>`      numbers, one a document
`f_<field>`      values as facets show them
`s_<field>`      the folded beginning of a text that is sorted by, `s_<field>_0` ... its bytes as numbers
`known`          the names of the fields that have a value
===============  ==========================================================================================
"""

from __future__ import annotations

from typing import Final

import tantivy

from registry.search.fields import COLUMNS, NUMERIC, TABLE, TAG, Field, Kind

INDEX_VERSION: Final = 7
"""Raise it whenever documents or fields change: the index is then made anew."""

BAG: Final = "bag"
TOKENS: Final = "whitespace"
SORT_BYTES: Final = 48
SORT_PARTS: Final = SORT_BYTES // 8
FLOATS: Final = frozenset({Kind.NUMBER})
KEYS: Final = frozenset({Kind.KEY, Kind.FLAG, Kind.HASH, Kind.FOLDER, Kind.RESOLUTION})


def document_key(lora_id: int) -> str:
    """Return the term by which the document of a lora is found and replaced."""
    return f"L{lora_id}"


def sorts_by_text(row: Field) -> bool:
    """Whether a field is sorted by text."""
    return row.sort is not None and row.kind not in NUMERIC


def build() -> tantivy.Schema:
    """Return the schema of an index."""
    made = tantivy.SchemaBuilder()
    made.add_text_field("key", tokenizer_name="raw", index_option="basic")
    made.add_text_field("whole", tokenizer_name="raw", index_option="basic")
    made.add_text_field("known", tokenizer_name=TOKENS, index_option="basic")
    made.add_text_field(BAG, tokenizer_name=TOKENS, index_option="freq")
    for column in COLUMNS:
        made.add_text_field(f"t_{column.name}", tokenizer_name=TOKENS, index_option="position")
        if column.counts_apart:
            made.add_text_field(f"b_{column.name}", tokenizer_name=TOKENS, index_option="basic")
    for row in TABLE:
        if row.kind in KEYS:
            # One text of many values without blanks is taken in sooner than each by itself.
            tokenizer = TOKENS if row.name == TAG or row.kind is Kind.HASH else "raw"
            made.add_text_field(f"k_{row.name}", tokenizer_name=tokenizer, index_option="basic")
        if row.kind in FLOATS:
            made.add_float_field(f"n_{row.name}", fast=True)
        elif row.kind in NUMERIC:
            made.add_integer_field(f"n_{row.name}", fast=True)
        if row.facet is not None:
            made.add_text_field(f"f_{row.name}", fast=True, tokenizer_name="raw", index_option="basic")
        if sorts_by_text(row):
            made.add_text_field(f"s_{row.name}", fast=True, tokenizer_name="raw", index_option="basic")
            for part in range(SORT_PARTS):
                made.add_unsigned_field(f"s_{row.name}_{part}", fast=True)
    return made.build()


def register(index: tantivy.Index) -> None:
    """Teach an index the tokenizer of its text columns."""
    index.register_tokenizer(TOKENS, tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build())
