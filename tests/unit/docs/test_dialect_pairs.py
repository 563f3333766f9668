"""The answers that the pages of dialects show are what the codecs make."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from registry.errors import NotFound, Unauthorized
from registry.shown import Entry, Shown
from registry.told import Licence, RemoteImage
from registry.wire import civitai_mirror, miaohua, novita
from tests.support.civitai_entries import entry

PAGES = Path(__file__).parents[3] / "docs" / "dialects"
FILE = "https://loras.example/file/7"
SHOWN = Shown(
    "Ink wash",
    version_name="v2",
    description="<p>Ink on <b>paper</b>.</p>",
    triggers=(("ink wash",),),
    tags=("style",),
    creator="Konan",
    licence=Licence(commercial_use=("Image", "RentCivit"), different_licence=True),
    nsfw_level=1,
    images=(
        RemoteImage(
            "https://image.example/1.jpeg",
            width=512,
            height=768,
            nsfw_level=1,
            meta={"prompt": "ink wash, a heron", "steps": 20, "sampler": "Euler a"},
        ),
    ),
)
INK = entry(SHOWN)


def link(_: Entry) -> str:
    return FILE


ANSWERS: dict[str, list[Any]] = {
    "novita": [
        novita.found(INK, download_url=FILE),
        novita.failed(NotFound("no version has that id")),
        novita.models_v3(
            [
                novita.model_v3(
                    INK, download_url=FILE, download_ttl=600, cover_url="https://loras.example/7.webp"
                )
            ],
            next_start=1,
        ),
    ],
    "civitai_mirror": [
        civitai_mirror.version([INK], download_url=link),
        civitai_mirror.models([], next_cursor="bmFtZQ", next_page="https://loras.example/next"),
        civitai_mirror.ids([(INK.hashes["sha256"], INK)]),
        civitai_mirror.failed(civitai_mirror.missing()),
    ],
    "miaohua": [
        miaohua.token(miaohua.read_login({"email": "me@example.com", "password": "lr_secret"})),
        miaohua.models(
            [miaohua.model(INK, demo_picture="https://loras.example/7.webp")],
            miaohua.Query("lr_secret", per_page=1),
            has_next=True,
        ),
        miaohua.failed(Unauthorized("that token is not known")),
    ],
}


@pytest.mark.parametrize("name", ANSWERS)
def test_every_answer_on_the_page_is_made_by_the_codec(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    assert [json.dumps(each) for each in shown] == [json.dumps(each) for each in ANSWERS[name]]
