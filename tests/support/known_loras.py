"""A catalog of which much is known: answers of Civitai, pictures of several levels, notes of a user."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import orjson
from PIL import Image, ImageDraw

from registry.asked import AMBIGUOUS, FOUND, Outcome
from registry.catalog.curation import edit
from registry.catalog.lookup import resolve
from registry.catalog.lookups import record_outcomes
from registry.catalog.picture_rows import CIVITAI, Looked, Tie, write_looked
from registry.catalog.remote import Sent, store_model, store_versions
from registry.curation import read_changes
from registry.formats.civitai import model_of, version_of
from registry.formats.nsfw import PG, X
from tests.support.catalogs import MACHINE
from tests.support.civitai_answers import file_answer, image_answer, model_answer, version_answer
from tests.support.pictures import saved

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.support.catalogs import Builder
    from tests.support.serving import Service

MODEL: Final = 45
VERSION: Final = 123
NEWER: Final = "2026-05-01T10:00:00.000Z"
EARLY: Final = "2099-01-01T00:00:00.000Z"
PROMPTS: Final[Mapping[int, str]] = {
    PG: "ink wash, a heron between reeds, <lora:ink:0.8>",
    X: "something that not everybody wants to read",
}
DESCRIPTION: Final = (
    "<h1>Ink wash</h1><p>Strokes of <strong>ink</strong> on wet paper. Say <code>sumi-e</code>, and read "
    '<a href="https://example.com/notes">the notes</a>.</p><ul><li>0.6 for a hint</li><li>1 for all of it'
    '</li></ul><script>alert(1)</script><img src="https://example.com/x.png" onerror="alert(2)">'
)


def sha_of(name: str) -> str:
    """Return what a file counts as having for SHA-256."""
    return hashlib.sha256(name.encode()).hexdigest()


def id_of(builder: Builder, name: str) -> int:
    """Return the id of a lora by its name."""
    with builder.catalog.read() as conn:
        return resolve(conn, name, MACHINE)


def note(builder: Builder, name: str, actor: str | None = None, **fields: object) -> None:
    """Let a user have noted something."""
    with builder.catalog.write(actor=actor) as unit:
        edit(unit, [resolve(unit.conn, name, MACHINE)], read_changes(fields))


def painted(place: int, size: tuple[int, int] = (240, 360)) -> bytes:
    """Return a picture that looks like no other one."""
    red, green, blue = ((place * step) % 200 + 30 for step in (67, 131, 29))
    image = Image.new("RGB", size, (red, green, blue))
    draw = ImageDraw.Draw(image)
    for step in range(6):
        edge = (step + 1) * size[0] // 8
        draw.arc((edge // 2, edge, size[0] - edge // 3, size[1] - edge // 2), 20, 300, (250, 250, 250), 5)
    return saved(image)


def told_by_civitai(
    builder: Builder,
    service: Service,
    name: str,
    *,
    version: int = VERSION,
    images: Sequence[int] = (PG, X),
    state: str = FOUND,
    more: Sequence[int] = (),
    **members: Any,
) -> None:
    """Let Civitai know the file of a lora, in a version with kept pictures of these levels."""
    sha = sha_of(name)
    builder.hash(name, sha, sha_of(f"{name}'s weights"))
    urls = [f"https://image.civitai.com/x/{version}-{place}.jpeg" for place in range(len(images))]
    shown = [
        image_answer(url, nsfwLevel=level, meta={"prompt": PROMPTS.get(level, ""), "steps": 28, "seed": 42})
        for url, level in zip(urls, images, strict=True)
    ]
    usual: dict[str, Any] = {
        "trainedWords": ["ink wash, sumi-e", "ink"],
        "description": "<p>Second <em>training</em>.</p>",
        **members,
    }
    answers = [
        version_answer(version + place, [file_answer(sha)], images=shown if place == 0 else (), modelId=MODEL,
                       name=f"v{place + 1}", model={"name": "Ink wash 水墨", "type": "LORA", "nsfw": False},
                       **usual)
        for place in range(len(more) + 1)
    ]  # fmt: skip
    later = version_answer(
        version + 50, [file_answer(sha_of("later"))], modelId=MODEL, name="v9", publishedAt=NEWER,
        availability="EarlyAccess", earlyAccessEndsAt=EARLY, baseModel=answers[0]["baseModel"],
    )  # fmt: skip
    model = model_answer(
        MODEL, [*answers, later], tags=["style", "ink"], name="Ink wash 水墨", description=DESCRIPTION,
        creator="konan",
    )  # fmt: skip
    told, whole = [version_of(one) for one in answers], model_of(model)
    assert whole is not None
    with builder.catalog.write() as unit:
        store_versions(unit, [Sent(orjson.dumps(answers), one) for one in told if one is not None], "civitai")
        store_model(unit, orjson.dumps(model), whole, "civitai")
        found = tuple(version + place for place in range(len(answers)))
        record_outcomes(unit, [Outcome(sha, state, "sha256", found)])
    looked = []
    for place, (url, level) in enumerate(zip(urls, images, strict=True)):
        kept = service.studio.keep(painted(version + place))
        looked.append(Looked(Tie(CIVITAI, version, url.encode(), place, level), kept))
    with builder.catalog.write() as unit:
        write_looked(unit, looked)


def ambiguous(builder: Builder, service: Service, name: str, **members: Any) -> None:
    """Let two versions have the file of a lora."""
    told_by_civitai(builder, service, name, version=700, state=AMBIGUOUS, more=(1,), **members)
