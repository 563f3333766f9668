"""Pictures and prompts: what is above the limit is only counted."""

from __future__ import annotations

from typing import Any

from registry.catalog.picture_rows import BESIDE, CIVITAI, HEADER, RENDER, USER
from registry.catalog.pictures import PictureView
from registry.web.gallery import SOURCES, gallery

KEY = "a" * 64


def view(place: int = 0, **more: Any) -> PictureView:
    given: dict[str, Any] = {
        "key": f"{place:x}" * 64, "source": CIVITAI, "name": "https://image.civitai.com/x.jpeg", "level": 1,
        "media_type": "image/png", "width": 832, "height": 1216, "video": False, "thumbnail": True,
        "original": False, **more,
    }  # fmt: skip
    return PictureView(**given)


def up_to(limit: int) -> Any:
    return lambda level: (level or 0) <= limit


def test_pictures_within_the_limit_are_shown_and_all_others_counted() -> None:
    pictures = [view(1), view(2, level=16, meta={"prompt": "secret"}), view(3, level=None)]
    found = gallery(pictures, up_to(2), "ink", None)
    assert [one.key[0] for one in found.thumbs] == ["1", "3"]
    assert (found.hidden, found.prompts) == (1, ())
    raised = gallery(pictures, up_to(16), "ink", None)
    assert (len(raised.thumbs), raised.hidden) == (3, 0)
    assert [one.positive for one in raised.prompts] == ["secret"]


def test_a_picture_says_what_it_is_and_how_large() -> None:
    (one,) = gallery([view(1, original=True)], up_to(2), "ink\u202e", "1" * 64).thumbs
    assert (one.url, one.whole) == (
        f"/api/v1/pictures/{'1' * 64}",
        f"/api/v1/pictures/{'1' * 64}/original",
    )
    assert (one.width, one.height, one.cover) == (832, 1216, True)
    assert (one.alt, one.note) == ("Picture 1 of ink\\u202e", "from Civitai, PG")
    beside = gallery([view(1, source=BESIDE, name="<x>.png", level=None, width=None)], up_to(2), "i", None)
    assert beside.thumbs[0].note == "beside the file: <x>.png"
    assert (beside.thumbs[0].width, beside.thumbs[0].whole, beside.thumbs[0].cover) == (2, None, False)
    assert gallery([view(1, video=True)], up_to(2), "i", None).thumbs[0].alt == "Video 1 of i"


def test_pictures_that_were_drawn_here_are_told_from_each_other() -> None:
    drawn = {"weight": 0.5, "seed": 1234, "prompt": "a heron"}
    pictures = [
        view(1, source=RENDER, drawn=drawn),
        view(2, source=RENDER, drawn={"weight": "<b>", "seed": None}),
    ]
    found = gallery(pictures, up_to(2), "ink", None)
    assert [one.note for one in found.thumbs] == ["drawn here, weight 0.5, seed 1234, PG", "drawn here, PG"]
    assert found.prompts == ()


def test_what_is_not_kept_here_is_counted_and_its_prompt_told() -> None:
    found = gallery([view(key=None, thumbnail=False, meta={"prompt": "p"})], up_to(2), "ink", None)
    assert (found.thumbs, found.absent, found.hidden) == ((), 1, 0)
    assert found.prompts[0].thumb is None


def test_prompts_are_told_with_what_they_were_made_with() -> None:
    meta = {
        "prompt": " a heron, <lora:ink:1> ", "negativePrompt": "photo", "steps": 28, "cfgScale": 7.5,
        "seed": 42, "sampler": "Euler\u202e", "Size": {"odd": 1}, "Model": True, "resources": [1],
    }  # fmt: skip
    (one,) = gallery([view(1, meta=meta)], up_to(2), "ink", None).prompts
    assert (one.positive, one.negative) == ("a heron, <lora:ink:1>", "photo")
    assert [(fact.name, fact.value) for fact in one.settings] == [
        ("sampler", "Euler\\u202e"),
        ("steps", "28"),
        ("CFG scale", "7.5"),
        ("seed", "42"),
    ]
    values: tuple[object, ...] = (7, None, [], {}, "", "  ", True)
    odd = [view(1, meta={"prompt": value}) for value in values]
    assert gallery(odd, up_to(2), "ink", None).prompts == ()


def test_there_are_never_too_many() -> None:
    pictures = [view(n % 16, key=f"{n:064x}", meta={"prompt": "x" * 90_000}) for n in range(200)]
    found = gallery(pictures, up_to(2), "ink", None)
    assert (len(found.thumbs), len(found.prompts)) == (60, 12)
    assert found.prompts[0].positive.endswith("(90,000 characters)")


def test_every_source_of_pictures_has_a_name() -> None:
    assert SOURCES.keys() == {USER, BESIDE, HEADER, CIVITAI, RENDER}
