"""What of a stranger's description is shown."""

from __future__ import annotations

import pytest

from registry.web.sanitised import LONGEST, MOST_ELEMENTS, Prose, plainly_formatted, prose


def html(text: str) -> str:
    found = prose(text)
    assert not found.text
    return found.html


def test_paragraphs_lists_emphasis_and_code_stay() -> None:
    kept = (
        "<p>a <b>b</b> <i>c</i> <strong>d</strong> <em>e</em></p><ul><li>f</li></ul><ol><li>g</li></ol>"
        "<pre><code>h</code></pre><blockquote>i</blockquote>j<br>k"
    )
    assert html(kept) == kept


def test_headings_stand_below_those_of_the_page() -> None:
    assert html("<h1>a</h1><h2>b</h2><h3>c</h3><h4>d</h4><p>x</p>") == (
        "<h4>a</h4><h5>b</h5><h6>c</h6><h6>d</h6><p>x</p>"
    )


def test_links_to_web_pages_tell_them_nothing_and_are_not_recommended() -> None:
    link = html('<p><a href="https://example.com/?a=1&amp;b=2" onclick="x()" class="y">here</a></p>')
    assert 'href="https://example.com/?a=1&amp;b=2"' in link
    assert 'rel="nofollow noopener noreferrer"' in link
    assert 'target="_blank"' in link
    assert "onclick" not in link
    assert "class" not in link


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\tscript:alert(1)",
        " javascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "/loras/1/undo",
        "//example.com",
        "\\\\example.com",
        "loras/1",
        "?saved=1",
        "http:///x",
        "http:x",
        "mailto:a@example.com",
    ],
)
def test_no_other_address_is_a_link(address: str) -> None:
    assert "href" not in html(f'<p><a href="{address}">x</a></p>')


@pytest.mark.parametrize(
    "markup",
    [
        "<p><script>alert(1)</script></p>",
        "<p><style>p{}</style></p>",
        '<p><img src="https://example.com/x.png" onerror="alert(1)"></p>',
        "<p><svg onload=alert(1)><a href='javascript:x'>y</a></svg></p>",
        "<p><iframe src='https://example.com'></iframe></p>",
        "<p><math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></p>",
        "<p><form action='/loras/1'><input name=a><button>x</button></form></p>",
        "<p><template><script>x</script></template></p>",
        '<p><object data="x"></object><embed src=x></p>',
        "<p><!-- <img src=x onerror=alert(1)> --></p>",
        '<p style="position:fixed" id="main" class="top" hx-get="/x" data-copy="y">x</p>',
        "<p><noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript></p>",
        "<p><meta http-equiv=refresh content=0><base href=x><link rel=stylesheet href=x></p>",
    ],
)
def test_nothing_that_runs_loads_or_looks_like_ours_stays(markup: str) -> None:
    found = html(markup)
    for unwanted in ("alert", "<img", "<svg", "<form", "<input", "<iframe", "style", "hx-", "data-", "class",
                     "<script", "id=", "<meta", "<base", "<link", "<!--"):  # fmt: skip
        assert unwanted not in found, found


def test_what_was_typed_is_text_and_not_looked_into() -> None:
    typed = "<lora:ink:0.8> and a < b > c, <b>, I <3 it\nnext"
    assert prose(typed) == Prose("", typed)


def test_what_hides_or_turns_text_is_written_out_however_it_was_written() -> None:
    assert html("<p>a&#x202e;b\u202ec</p>") == "<p>a\\u202eb\\u202ec</p>"
    assert prose("a\u202eb") == Prose("", "a\\u202eb")


def test_long_ones_are_cut_and_their_elements_closed() -> None:
    found = html("<p><b>" + "word " * LONGEST)
    assert found.endswith("</b></p>")
    assert len(found) < LONGEST + 100


@pytest.mark.parametrize("part", ["<div>", "<ul><li>", "<p><b><i>", "<a href=https://a.b>", "<table>", "&"])
def test_no_nesting_makes_much_of_little(part: str) -> None:
    found = prose("<p>x</p>" + part * (LONGEST // len(part)))
    assert len(found.html) + len(found.text) <= 4 * LONGEST + 100


def test_formatting_that_differs_in_attributes_does_not_multiply() -> None:
    different = "".join(f"<b {number:x}>" for number in range(2200))
    assert len("<p>" + different + "<p>x" * 3500) < LONGEST
    assert plainly_formatted("<p>" + different + "<p>x" * 3500) is None
    assert prose("<p>" + different + "<p>x" * 3500 + "</p>").html == ""

    few = "<p>" + "".join(f"<B\n{number:x}='y' z=\"a\">" for number in range(500)) + "<p>x" * 100
    assert plainly_formatted(few) == "<p>" + "<B>" * 500 + "<p>x" * 100
    assert html(few).count("<b>") <= 500 + 3 * 100


def test_there_is_a_bound_of_elements() -> None:
    assert plainly_formatted("<p>" * MOST_ELEMENTS) is not None
    assert plainly_formatted("<p>" * (MOST_ELEMENTS + 1)) is None


@pytest.mark.parametrize("odd", ["<b a='<'>", '<b/a="<">', "<FONT\na", "<strong a<b>"])
def test_attributes_that_cannot_be_made_out_make_it_text(odd: str) -> None:
    assert plainly_formatted(f"<p>x</p>{odd}") is None
    assert prose(f"<p>x</p>{odd}").html == ""


def test_other_elements_and_words_keep_what_they_have() -> None:
    for kept in (
        '<p class="x">',
        '<a href="https://a.b/" title="c">',
        "<big>",
        "<blockquote cite=x>",
        "a <b",
        "<br />",
    ):
        assert plainly_formatted(kept) == kept
    assert html('<p><b class="x">a</b> <code/>b</code></p>') == "<p><b>a</b> <code>b</code></p>"


def test_half_of_a_surrogate_pair_ends_nothing() -> None:
    assert "\\ud83d" in html("<p>\ud83d</p>")
