"""Descriptions are shown as text; of HTML what a person would read of it, of all else all of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.formats.markup import MAX_MARKUP, plain_text, readable


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("", ""),
        ("plain text, 1 < 2 & so on", "plain text, 1 < 2 & so on"),
        ("two\nlines", "two\nlines"),
        ("<p>New <b>triggers</b>:</p><ul><li><p>one</p></li><li>two</li></ul>", "New triggers:\none\ntwo"),
        ("a<br>b<BR/>c<br />d", "a\nb\nc\nd"),
        ("<h3 id='x'>Use</h3>it<hr>so", "Use\nit\nso"),
        ("<table><tr><th>a</th><th>b</th></tr><tr><td>c</td><td>d</td></tr></table>", "a b\nc d"),
        ("<dl><dt>a</dt><dd>b</dd></dl>", "a\nb"),
        ("&lt;lora:x:1&gt; &amp; 漢服&nbsp;&#8211;&#x41;", "<lora:x:1> & 漢服 –A"),
        ("&amp;lt;b&amp;gt;", "&lt;b&gt;"),
        ("x?a=1&copy=2 &nosuch; &#" + "9" * 5000 + ";", "x?a=1&copy=2 &nosuch; &#" + "9" * 5000 + ";"),
        ("<script>alert(1)</script>x<STYLE type='a'>p {}</style >", "x"),
        ("a <style> word", "a word"),
        ("<script>a<script>b", "ab"),
        ("</script>a<style/>b", "ab"),
        ('<a href="javascript:alert(1)" onclick="x">link</a>', "link"),
        ('<img src=x onerror="alert(1)">', ""),
        ("<!DOCTYPE html><html><body>x</body></html>", "x"),
        ("<!-- a <b> comment -->x<!---->y<!-->z", "xyz"),
        ("<!-- no end <i>x</i>", "no end x"),
        ("  much \t blank  \n\n\n space ", "much blank\nspace"),
        ("an unclosed <b", "an unclosed <b"),
        (
            "<lora:x:0.8> and <hypernet:y> <notatag> x<y then z>w",
            "<lora:x:0.8> and <hypernet:y> <notatag> x<y then z>w",
        ),
        ("< b> <3 <> </> <-- <b\nclass=x>bold</b\n>", "< b> <3 <> </> <-- bold"),
    ],
)
def test_html_is_read_as_a_person_reads_it(markup: str, text: str) -> None:
    assert plain_text(markup) == text


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("use <b>sks</b>", "use <b>sks</b>"),
        ("  a &amp; b\t\tc\r\n\r\n  d ", "a &amp; b c\nd"),
        ("<lora:x:0.8>, a <style> word, <p> alone", "<lora:x:0.8>, a <style> word, <p> alone"),
        ("<p>use <b>sks</b> &amp; co</p>", "use sks & co"),
        ("one<br>two <lora:x:1>", "one\ntwo <lora:x:1>"),
        ("one<BR />two", "one\ntwo"),
        ("<ul><li>a</LI >", "a"),
        ("a </b> <broken>", "a </b> <broken>"),
    ],
)
def test_only_what_has_blocks_or_breaks_is_html(written: str, text: str) -> None:
    assert readable(written) == text


ODD = st.lists(
    st.sampled_from(["<", ">", "&", "p", "/", "script", "=", '"', "lt;", "!--", " ", "x", "\n", "br"])
)


@given(ODD.map("".join))
def test_any_text_has_a_text(markup: str) -> None:
    for found in (plain_text(markup), readable(markup)):
        assert found == found.strip()
        assert "  " not in found
        assert "\n\n" not in found


def test_only_the_beginning_of_a_long_text_is_looked_at() -> None:
    assert len(plain_text("<b>x</b> " * MAX_MARKUP)) < MAX_MARKUP
    assert len(readable("x" * MAX_MARKUP * 2)) == MAX_MARKUP


@pytest.mark.parametrize(
    "piece",
    [
        " ", "\n", " \n", "\u3000", "<", "<b", "<b ", "</p ", "<p><b a><p><b b>", "<br", "<br ", "<!--",
        "-->", "<!-- -->", "<script>", "<script></script", "<script></script ", "<script></script>", "<div>",
        "<style></style ", "&", "&#", "&amp;", "&CounterClockwiseContourIntegral;", "<lora:x>", "<!doctype ",
        "<aaaaaaaaaa", "\"<a href='",
    ],
)  # fmt: skip
def test_what_repeats_without_end_is_read_at_once(piece: str) -> None:
    for written in (piece * MAX_MARKUP, "<br>" + piece * MAX_MARKUP, "<b" + piece * MAX_MARKUP):
        assert len(plain_text(written)) <= MAX_MARKUP
        assert len(readable(written)) <= MAX_MARKUP
