"""What templates get of one lora: its row and its badges."""

from __future__ import annotations

from dataclasses import replace

from registry.web.presenters import Badge, Marks, Place, row
from tests.unit.web.samples import FILE, LORA, NOW


def test_a_row_says_what_a_lora_is() -> None:
    shown = row(LORA)
    assert (shown.url, shown.name, shown.title) == ("/loras/7", "x", "")
    assert (shown.base, shown.variant, shown.adapter) == ("Stable Diffusion XL", "pony", "LoKr")
    assert (shown.rank, shown.size, shown.date) == ("32", "228 MB", "2023-11-14")
    assert shown.places == (Place("loras", "style"),)
    assert shown.badges == ()


def test_what_is_not_known_is_not_claimed() -> None:
    bare = row(replace(LORA, architecture="unknown", base_model=None, adapter="none", kind="vae", rank=None))
    assert (bare.base, bare.variant, bare.adapter, bare.rank) == ("", "", "VAE", "")


def test_badges_tell_where_it_is_not_and_how_often_it_is() -> None:
    twice = row(
        replace(LORA, files=[FILE, replace(FILE, id=2, folder=""), replace(FILE, id=3, state="missing")])
    )
    assert [badge.text for badge in twice.badges] == ["2 copies"]
    assert twice.places == (Place("loras", "style"), Place("loras", ""))
    gone = row(replace(LORA, state="missing", files=[replace(FILE, state="missing", state_since=NOW)]))
    assert gone.badges == (Badge("missing", "bad", "its file is not there since 2023-11-14"),)
    away = row(replace(LORA, state="unreachable", files=[replace(FILE, state="unreachable")]))
    assert away.badges[0].tone == "warn"
    none = row(replace(LORA, state="gone", files=[]))
    assert none.badges == (Badge("gone", "bad", "its file is not there"),)
    damaged = row(replace(LORA, files=[replace(FILE, cause="truncated-data")]))
    assert damaged.badges == (Badge("damaged", "bad", "truncated data"),)


def test_names_that_nobody_can_see_are_written_out() -> None:
    shown = row(replace(LORA, name="a\u202eb\x00", title="盲盒 \u2066", base_model="\udcff"))
    assert (shown.name, shown.title, shown.variant) == ("a\\u202eb\\x00", "盲盒 \\u2066", "\\xff")
    assert row(replace(LORA, name="")).name == "lora 7"
    assert row(replace(LORA, name="FilmGrain_v2", title="Film Grain")).title == ""


def test_a_row_goes_by_the_name_that_the_user_gave_it() -> None:
    own = row(LORA, Marks(name="Ink wash", own=True))
    assert (own.name, own.title) == ("Ink wash", "x")
    told = row(LORA, Marks(name="Ink wash"))
    assert (told.name, told.title) == ("x", "Ink wash")
    same = row(replace(LORA, name="ink_wash_v2"), Marks(name="Ink wash", own=True))
    assert (same.name, same.title) == ("Ink wash", "")
    assert row(LORA, Marks(name="a\u202e", own=True)).name == "a\\u202e"
