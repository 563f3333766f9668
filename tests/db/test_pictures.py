"""Which pictures a lora has, which of them stands for it, and what is forgotten with the last of its kind."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from registry.asked import FOUND, Outcome
from registry.catalog.curation import edit
from registry.catalog.lookups import record_outcomes
from registry.catalog.picture_due import (
    PreviewSeen,
    forget_gone_previews,
    headers_after,
    headers_looked_up_to,
    note_headers,
    previews_after,
    settle_problems,
)
from registry.catalog.picture_rows import (
    BESIDE,
    CIVITAI,
    HEADER,
    USER,
    Looked,
    Tie,
    forget_ties,
    user_picture,
    write_looked,
    write_said,
)
from registry.catalog.pictures import cover_of, picture_of_key, pictures_of
from registry.catalog.problems import list_problems
from registry.catalog.remote import Sent, images_of, store_versions
from registry.catalog.showing import known_of
from registry.curation import Change
from registry.formats.civitai import version_of
from registry.formats.nsfw import PG, PG13, XXX, R, X, read_words
from registry.views import CompanionSeen, PictureKept
from tests.support.civitai_answers import file_answer, image_answer, version_answer
from tests.support.library import MACHINE, Model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.catalog.pictures import Cover, PictureView
    from tests.support.library import Clock, Library

WORDS = read_words(["naked,x"])
A = Model("a.safetensors", weights="a")


def kept(name: str, *, thumbnail: int | None = 20, kind: str = "image/png") -> PictureKept:
    return PictureKept(
        hashlib.sha256(name.encode()).hexdigest(), kind, 60, 40, 100, thumbnail, original=False
    )


def key(name: str) -> str:
    return kept(name).key


def looked(library: Library, *found: Looked) -> list[str]:
    with library.catalog.write() as unit:
        return write_looked(unit, found)


def beside(*names: str) -> tuple[CompanionSeen, ...]:
    return tuple(CompanionSeen(name.encode(), name, "preview", "plain") for name in names)


def id_of(library: Library, model: Model) -> int:
    return int(library.row(model.path).lora_id)


def preview(library: Library, model: Model, name: str, level: int | None = None) -> None:
    """Let somebody have looked at what lies beside a model."""
    tie = Tie(BESIDE, int(library.row(model.path).id), name.encode(), level=level, size=1, mtime_ns=1)
    looked(library, Looked(tie, kept(name)))


def given(library: Library, model: Model, name: str) -> Tie:
    """Let the user have given a picture."""
    tie = Tie(USER, id_of(library, model), key(name).encode())
    looked(library, Looked(tie, kept(name)))
    return tie


def shown_by_civitai(library: Library, model: Model, *levels: int, version: int = 70) -> list[str]:
    """Let Civitai have the file in a version with pictures of these levels, and return their addresses."""
    library.hash(model)
    sha = model.digests["sha256"]
    urls = [f"https://image.civitai.com/x/{version}-{place}.jpeg" for place in range(len(levels))]
    images = [image_answer(url, nsfwLevel=level) for url, level in zip(urls, levels, strict=True)]
    answer = version_answer(version, [file_answer(sha)], images=images, modelId=7)
    told = version_of(answer)
    assert told is not None
    with library.catalog.write() as unit:
        store_versions(unit, [Sent(b"{}", told)], "civitai")
        record_outcomes(unit, [Outcome(sha, FOUND, "sha256", (version,))])
    ties = [Tie(CIVITAI, version, url.encode(), place, levels[place]) for place, url in enumerate(urls)]
    looked(library, *(Looked(tie, kept(f"civitai {tie.place}")) for tie in ties))
    return urls


def cover(library: Library, model: Model, limit: int | None = None) -> Cover | None:
    lora_id = id_of(library, model)
    with library.catalog.read() as conn:
        return cover_of(conn, known_of(conn, [lora_id], words=WORDS), limit).get(lora_id)


def pictures(library: Library, model: Model) -> list[PictureView]:
    lora_id = id_of(library, model)
    with library.catalog.read() as conn:
        return pictures_of(conn, lora_id, known_of(conn, [lora_id], words=WORDS)[lora_id])


def sources(views: Sequence[PictureView]) -> list[tuple[str, str | None]]:
    return [(view.source, view.key) for view in views]


def test_a_lora_without_pictures_has_no_cover(library: Library) -> None:
    library.scan(A)
    assert cover(library, A) is None
    assert pictures(library, A) == []


def test_pictures_stand_in_the_order_of_who_gave_them(library: Library, clock: Clock) -> None:
    model = A.but(companions=beside("a.png", "a.preview.png"), metadata={"x": "y"})
    library.scan(model)
    shown_by_civitai(library, model, PG)
    header = int(library.row(model.path).header_id)
    looked(library, Looked(Tie(HEADER, header, b"0"), kept("cover")))
    preview(library, model, "a.preview.png")
    preview(library, model, "a.png")
    given(library, model, "old")
    clock.tick()
    given(library, model, "new")
    assert sources(pictures(library, model)) == [
        ("user", key("new")),
        ("user", key("old")),
        ("file", key("a.png")),
        ("file", key("a.preview.png")),
        ("header", key("cover")),
        ("civitai", key("civitai 0")),
    ]
    with library.catalog.write() as unit:
        edit(unit, [id_of(library, model)], {"cover": Change(key("cover"))})
    found = cover(library, model)
    assert found is not None
    assert (found.source, found.key) == ("header", key("cover"))


def test_the_cover_is_the_first_that_may_be_shown_and_the_first_of_all_where_none_may(
    library: Library,
) -> None:
    library.scan(A)
    shown_by_civitai(library, A, X, PG13, PG)
    found = {limit: cover(library, A, limit) for limit in (None, X, PG13, PG)}
    assert {limit: one and one.key for limit, one in found.items()} == {
        None: key("civitai 0"),
        X: key("civitai 0"),
        PG13: key("civitai 1"),
        PG: key("civitai 2"),
    }
    above = cover(library, A, 0)
    assert above is not None
    assert above.level == X


def test_a_picture_without_a_level_has_that_of_the_lora(library: Library) -> None:
    model = Model("naked.safetensors", companions=beside("naked.png"))
    library.scan(model)
    preview(library, model, "naked.png")
    found = cover(library, model)
    assert found is not None
    assert found.level == X
    with library.catalog.write() as unit:
        edit(unit, [id_of(library, model)], {"nsfw": Change(PG)})
    found = cover(library, model)
    assert found is not None
    assert found.level == PG


def test_the_same_picture_from_two_places_is_one_with_the_level_that_either_tells(library: Library) -> None:
    model = A.but(companions=beside("a.png"))
    library.scan(model)
    shown_by_civitai(library, model, R)
    file_id = int(library.row(model.path).id)
    looked(library, Looked(Tie(BESIDE, file_id, b"a.png"), kept("civitai 0")))
    (view,) = pictures(library, model)
    assert (view.source, view.level) == ("file", R)


def test_what_lies_beside_a_file_no_longer_is_no_picture_of_it(library: Library) -> None:
    model = A.but(companions=beside("a.png"))
    library.scan(model)
    preview(library, model, "a.png")
    library.scan(model.but(companions=()))
    assert cover(library, model) is None
    with library.catalog.write() as unit:
        assert forget_gone_previews(unit) == [key("a.png")]
        assert forget_gone_previews(unit) == []
    assert (library.count("picture"), library.count("picture_of")) == (0, 0)


def test_a_video_that_nobody_looked_into_is_listed_and_no_cover(library: Library) -> None:
    model = A.but(companions=beside("a.mp4"))
    library.scan(model)
    tie = Tie(BESIDE, int(library.row(model.path).id), b"a.mp4")
    looked(library, Looked(tie, kept("v", thumbnail=None, kind="video/mp4")))
    assert cover(library, model) is None
    (view,) = pictures(library, model)
    assert (view.video, view.thumbnail) == (True, False)


def test_what_civitai_shows_and_is_not_kept_stands_at_the_end_with_its_prompt(library: Library) -> None:
    library.scan(A)
    urls = shown_by_civitai(library, A, PG, XXX)
    with library.catalog.write() as unit:
        assert forget_ties(unit, [Tie(CIVITAI, 70, urls[1].encode())]) == [key("civitai 1")]
    first, second = pictures(library, A)
    assert (first.key, first.width, first.height) == (key("civitai 0"), 832, 1216)
    assert (second.key, second.name, second.level) == (None, urls[1], XXX)


def test_pictures_that_the_user_gave_stay_when_loras_turn_out_to_be_one(library: Library) -> None:
    one, two = A, A.but(path="b.safetensors")
    library.scan(one, two)
    given(library, one, "mine")
    given(library, two, "too")
    library.hash(one, two)
    assert id_of(library, one) == id_of(library, two)
    assert {view.key for view in pictures(library, two)} == {key("mine"), key("too")}
    with library.catalog.write() as unit:
        ties = [user_picture(unit.conn, id_of(library, one), key(name)) for name in ("mine", "too")]
        unused = forget_ties(unit, [tie for tie in ties if tie is not None])
    assert sorted(unused) == sorted([key("mine"), key("too")])
    assert pictures(library, one) == []


def test_a_picture_is_forgotten_with_the_last_thing_that_it_is_of(library: Library) -> None:
    other = Model("b.safetensors", weights="b")
    library.scan(A, other)
    first, second = given(library, A, "same"), given(library, other, "same")
    with library.catalog.write() as unit:
        assert forget_ties(unit, [first]) == []
        assert forget_ties(unit, [second]) == [key("same")]
        assert forget_ties(unit, [second]) == []
    assert library.count("picture") == 0


def test_another_picture_in_the_same_place_takes_the_place_of_the_first(library: Library) -> None:
    library.scan(A.but(companions=beside("a.png")))
    tie = Tie(BESIDE, int(library.row(A.path).id), b"a.png")
    assert looked(library, Looked(tie, kept("one"))) == []
    assert looked(library, Looked(tie, kept("two"))) == [key("one")]
    assert looked(library, Looked(tie, None, "it is broken")) == [key("two")]
    assert cover(library, A) is None


def test_failures_are_counted_until_one_goes_well(library: Library) -> None:
    library.scan(A)
    tie = Tie(CIVITAI, 70, b"https://image.civitai.com/a.jpeg")

    def tries() -> int:
        with library.catalog.read() as conn:
            return int(conn.exec_driver_sql("SELECT tries FROM picture_of").scalar() or 0)

    for number in (1, 2):
        looked(library, Looked(tie, None, "no answer"))
        assert tries() == number
    looked(library, Looked(tie, kept("a")))
    assert tries() == 0


def test_news_of_pictures_are_told_of_their_lora_and_disturb_no_list(library: Library) -> None:
    model = A.but(companions=beside("a.png"))
    library.scan(model)
    before = library.generation()
    preview(library, model, "a.png")
    (change,) = library.changes(before)
    assert (change.entity, change.entity_id, change.kind) == ("picture", id_of(library, model), "changed")
    assert change.apart
    before = library.generation()
    preview(library, model, "a.png")
    assert library.changes(before) == []


def test_what_a_source_says_anew_of_a_picture_is_kept(library: Library) -> None:
    library.scan(A)
    (url,) = shown_by_civitai(library, A, PG)
    with library.catalog.write() as unit:
        write_said(unit, [Tie(CIVITAI, 70, url.encode(), 0, X)])
        write_said(unit, [])
    found = cover(library, A)
    assert found is not None
    assert found.level == X


def test_a_picture_by_its_key_has_the_highest_level_of_all_that_it_is_of(library: Library) -> None:
    model = Model("naked.safetensors", weights="n", companions=beside("naked.png"))
    library.scan(A, model)
    preview(library, model, "naked.png")
    shown_by_civitai(library, A, PG, R)
    with library.catalog.read() as conn:
        of = [picture_of_key(conn, key(name), WORDS) for name in ("civitai 1", "naked.png", "nothing")]
    assert [one and one.level for one in of] == [R, X, None]
    assert of[2] is None


def test_images_are_those_that_the_service_itself_told(library: Library) -> None:
    library.scan(A)
    urls = shown_by_civitai(library, A, PG)
    sha = A.digests["sha256"]
    with library.catalog.read() as conn:
        assert [image.url for image in images_of(conn, [sha], "civitai")[70]] == urls
        assert images_of(conn, [sha], "archive") == {}


def test_previews_that_nobody_looked_at_are_found_page_by_page(library: Library) -> None:
    models = [
        Model(f"{name}.safetensors", weights=name, companions=beside(f"{name}.png", f"{name}.jpg"))
        for name in "abc"
    ]
    library.scan(*models)
    preview(library, models[1], "b.png")

    def all_of(*, new: bool) -> list[PreviewSeen]:
        found: list[PreviewSeen] = []
        after = (0, b"")
        with library.catalog.read() as conn:
            while page := previews_after(conn, [library.root_id], after, 2, new=new):
                found += page
                after = page[-1].file_id, page[-1].name_raw
        return found

    names = {f"{name}.{kind}".encode() for name in "abc" for kind in ("png", "jpg")}
    assert {seen.name_raw for seen in all_of(new=False)} == names
    assert {seen.name_raw for seen in all_of(new=True)} == names - {b"b.png"}
    (known,) = [seen for seen in all_of(new=False) if seen.looked is not None]
    assert (known.size, known.mtime_ns, known.key, known.thumbnail) == (1, 1, key("b.png"), 20)


def test_headers_are_looked_at_once(library: Library) -> None:
    library.scan(A.but(metadata={"k": "1"}), Model("b.safetensors", weights="b", metadata={"k": "2"}))
    with library.catalog.read() as conn:
        assert headers_looked_up_to(conn, MACHINE) == 0
        found = headers_after(conn, 0, 1) + headers_after(conn, headers_after(conn, 0, 1)[0][0], 5)
    assert [metadata["k"] for _, metadata in found] == ["1", "2"]
    with library.catalog.write() as unit:
        note_headers(unit, MACHINE, found[-1][0])
        assert headers_looked_up_to(unit.conn, MACHINE) == found[-1][0]
        assert headers_looked_up_to(unit.conn, "another") == 0


@pytest.mark.parametrize("kind", [BESIDE, HEADER])
def test_bad_pictures_of_a_file_are_one_problem_until_they_are_good(library: Library, kind: str) -> None:
    library.scan(A.but(companions=beside("a.png", "a.jpg"), metadata={"k": "v"}))
    row = library.row(A.path)
    of_id = int(row.id if kind == BESIDE else row.header_id)
    names = (b"a.png", b"a.jpg") if kind == BESIDE else (b"0", b"1")
    ties = [Tie(kind, of_id, name, place) for place, name in enumerate(names)]

    def settled(*found: Looked) -> list[str]:
        with library.catalog.write() as unit:
            write_looked(unit, found)
            settle_problems(unit, *([of_id], []) if kind == BESIDE else ([], [of_id]))
        with library.catalog.read() as conn:
            return [one.text for one in list_problems(conn, slug="bad-picture")]

    (text,) = settled(*(Looked(tie, None, "it is broken") for tie in ties))
    assert text.count("it is broken") == 2
    (text,) = settled(Looked(ties[0], kept("good")))
    assert text.count("it is broken") == 1
    assert settled(Looked(ties[1], kept("good too"))) == []
