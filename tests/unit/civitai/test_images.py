"""Which pictures of a version are wanted, and the address that each is asked for at."""

from __future__ import annotations

from dataclasses import replace

import pytest

from registry.civitai.images import ALL, FIRST, Choice, image_purpose, reduced, wanted_images
from registry.civitai.policy import DAY, JUST_NOW, image_due
from registry.config import CIVITAI_URL
from registry.told import RemoteImage

HERE = "https://image.civitai.com/xG1n/0f1a2b3c"
CHOICE = Choice(image_purpose(CIVITAI_URL, CIVITAI_URL), ALL)


def image(name: str = "1.jpeg", level: int | None = 1, *, video: bool = False) -> RemoteImage:
    return RemoteImage(f"{HERE}/original=true/{name}", nsfw_level=level, video=video)


def places(images: list[RemoteImage], choice: Choice) -> list[int]:
    return [place for place, _ in wanted_images(images, choice)]


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        (f"{HERE}/original=true/12.jpeg", f"{HERE}/width=450/12.jpeg"),
        (f"{HERE}/width=1024/12.jpeg", f"{HERE}/width=450/12.jpeg"),
        (f"{HERE}/width=450/12.jpeg", f"{HERE}/width=450/12.jpeg"),
        (f"{HERE}/12.jpeg", f"{HERE}/12.jpeg"),
        (f"{HERE}/original=true/a/12.jpeg", f"{HERE}/original=true/a/12.jpeg"),
        ("https://image.civitai.com/original=true", "https://image.civitai.com/original=true"),
    ],
)
def test_a_picture_is_asked_for_in_the_width_of_a_thumbnail_where_that_can_be_said(
    url: str, asked: str
) -> None:
    assert reduced(RemoteImage(url)) == asked


def test_a_video_is_asked_for_as_it_is() -> None:
    assert reduced(image("1.mp4", video=True)).endswith("/original=true/1.mp4")


def test_the_first_is_wanted_and_the_first_that_everybody_may_see() -> None:
    images = [image("1", 8), image("2", 4), image("3", 2), image("4", 1)]
    assert places(images, replace(CHOICE, mode=FIRST)) == [0, 2]
    assert places(images, replace(CHOICE, mode=FIRST, limit=8)) == [0]
    assert places(images[:2], replace(CHOICE, mode=FIRST)) == [0]
    assert places([], replace(CHOICE, mode=FIRST)) == []


def test_all_are_wanted_up_to_a_number() -> None:
    assert places([image(str(number)) for number in range(5)], replace(CHOICE, most=3)) == [0, 1, 2]


def test_videos_are_wanted_where_somebody_can_look_into_them() -> None:
    images = [image("1.mp4", video=True), image("2.jpeg")]
    assert places(images, CHOICE) == [1]
    assert places(images, replace(CHOICE, videos=True)) == [0, 1]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/1.jpeg",
        "https://image.civitai.com.evil.example/1.jpeg",
        "https://evilcivitai.com/1.jpeg",
        "http://image.civitai.com/1.jpeg",
        "https://[::1/1.jpeg",
        "https://10.0.0.1/1.jpeg",
        "https://image.civitai.com/" + "x" * 1000,
        "https://image.civitai.com/画.jpeg",
    ],
)
def test_pictures_elsewhere_are_not_wanted(url: str) -> None:
    assert wanted_images([RemoteImage(url)], CHOICE) == []


def test_a_mirror_sends_its_own_pictures() -> None:
    mirror = replace(CHOICE, purpose=image_purpose("http://mirror.lan:8080/civitai", CIVITAI_URL))
    assert len(wanted_images([RemoteImage("http://mirror.lan:8080/1.jpeg"), image()], mirror)) == 2
    assert wanted_images([RemoteImage("http://mirror.lan:8080/1.jpeg")], CHOICE) == []


def test_what_failed_is_asked_for_again_ever_later() -> None:
    for tries, days in ((1, 1), (2, 3), (3, 9), (9, 81)):
        assert not image_due(tries, 0, days * DAY - 1)
        assert image_due(tries, 0, days * DAY)
    assert image_due(9, 0, JUST_NOW, everything=True)
    assert not image_due(9, 0, JUST_NOW - 1, everything=True)
