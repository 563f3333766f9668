"""Descriptions are shown as text; whatever HTML says otherwise is left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.formats.markup import MAX_MARKUP, plain_text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("", ""),
        ("plain text, 1 < 2 & so on", "plain text, 1 < 2 & so on"),
        ("two\nlines", "two\nlines"),
        ("<p>New <b>triggers</b>:</p><ul><li><p>one</p></li><li>two</li></ul>", "New triggers:\none\ntwo"),
        ("a<br>b<BR/>c", "a\nb\nc"),
        ("&lt;lora:x:1&gt; &amp; 漢服", "<lora:x:1> & 漢服"),
        ("<script>alert(1)</script>x<style>p {}</style>", "x"),
        ('<a href="javascript:alert(1)" onclick="x">link</a>', "link"),
        ('<img src=x onerror="alert(1)">', ""),
        ("<!-- a comment -->x", "x"),
        ("  much \t blank  \n\n\n space ", "much blank\nspace"),
        ("an unclosed <b", "an unclosed"),
    ],
)
def test_html_is_read_as_a_person_reads_it(markup: str, text: str) -> None:
    assert plain_text(markup) == text


@given(
    st.lists(st.sampled_from(["<", ">", "&", "p", "/", "script", "=", '"', "lt;", "!--", " ", "x"])).map(
        "".join
    )
)
def test_any_text_has_a_text(markup: str) -> None:
    found = plain_text(markup)
    assert found == found.strip()


def test_only_the_beginning_of_a_long_text_is_looked_at() -> None:
    assert len(plain_text("<b>x</b> " * MAX_MARKUP)) < MAX_MARKUP
