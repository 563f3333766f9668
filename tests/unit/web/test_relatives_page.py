"""The list of the loras that are most like one, up to the level of whoever looks at it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from registry.catalog.fingerprints import keep_fingerprint
from registry.catalog.tokens import TokenScope, create_token
from registry.errors import Forbidden
from registry.formats.nsfw import PG, XXX
from registry.lora.fingerprint import VERSION
from registry.lora.sketch import SIZE
from registry.measured import Measured, MeasuredBlock, Relatives
from tests.support.documents import Document, document
from tests.support.known_loras import id_of, note, told_by_civitai
from tests.support.serving import REMOTE

if TYPE_CHECKING:
    from tests.support.catalogs import Builder
    from tests.support.serving import Service

HOSTILE = "<b>&{{ 7*7 }}"
MEASURED = Measured(
    "change", ("ok",), 4, 2.0, 0.0, 0.5, 3.0, (MeasuredBlock("unet", "mid_block", 4, 2.0),), VERSION, 0
)


@pytest.fixture
def ink(builder: Builder) -> int:
    """A lora with the same weights again, an epoch of it, a stranger, and one that was not measured."""
    root = builder.root("/models/loras")
    for name in ("ink", "ink_again", "ink_epoch", "other", "bare", "old"):
        builder.file(root, f"{name}.safetensors")
    builder.write()
    first, second = np.random.default_rng(3).standard_normal((2, SIZE)).astype(np.float32)
    sketches = {"ink": first, "ink_again": first, "ink_epoch": first + 0.3 * second, "other": second}
    for name, sketch in sketches.items():
        measure(builder, name, sketch)
    measure(builder, "old", first, version=VERSION - 1)
    return id_of(builder, "ink")


def measure(builder: Builder, name: str, sketch: Any, version: int = VERSION) -> None:
    raw = (sketch / np.linalg.norm(sketch)).astype("<f2").tobytes()
    with builder.catalog.write() as unit:
        assert keep_fingerprint(unit, id_of(builder, name), replace(MEASURED, version=version), raw)


def listed(page: Document) -> list[str]:
    return [link for link in page.links if link.startswith("/loras/")]


def relatives_of(service: Service, lora_id: int, **more: Any) -> Document:
    return document(service.ask("GET", f"/loras/{lora_id}/relatives", **more))


def test_what_is_most_like_a_lora_is_listed_with_what_it_is_to_it(
    ink: int, service: Service, builder: Builder
) -> None:
    page = relatives_of(service, ink)
    again, epoch = id_of(builder, "ink_again"), id_of(builder, "ink_epoch")
    assert listed(page) == [f"/loras/{ink}", f"/loras/{again}", f"/loras/{epoch}"]
    assert "ink_again same weights 1.000" in page.text
    assert "ink_epoch near epoch 0.9" in page.text
    hints = [one["title"] for one in page.all("span") if one.get("class") == "badge "]
    assert hints[0] == "the same change, stored in the same precision"
    assert f"/?q=similar%3A{ink}" in page.links


def test_the_page_of_a_lora_fetches_the_list_once_it_is_seen(ink: int, service: Service) -> None:
    page = document(service.ask("GET", f"/loras/{ink}"))
    (place,) = [one for one in page.all("div") if one.get("id") == "relatives"]
    assert (place["hx-get"], place["hx-trigger"]) == (f"/loras/{ink}/relatives", "revealed")
    assert {f"/loras/{ink}/relatives", f"/?q=similar%3A{ink}"} <= set(page.links)
    assert "relatives" in [one.get("id") for one in relatives_of(service, ink).all("div")]


@pytest.mark.parametrize("name", ["bare", "old"])
def test_nothing_is_measured_for_a_page(ink: int, service: Service, builder: Builder, name: str) -> None:
    asked: list[int] = []

    def relatives(lora_id: int, *_: object) -> Relatives:
        asked.append(lora_id)
        raise Forbidden("this would measure it")

    state = service.app.state
    state.context = replace(state.context, relatives=relatives)
    lora_id = id_of(builder, name)
    page = document(service.ask("GET", f"/loras/{lora_id}"))
    assert f"/loras/{lora_id}/relatives" not in page.links
    refused = document(service.ask("GET", f"/loras/{lora_id}/relatives"), 404)
    assert "Its weights were not measured yet." in refused.text
    assert asked == []


def test_where_nothing_is_alike_that_is_said(ink: int, service: Service, builder: Builder) -> None:
    page = relatives_of(service, id_of(builder, "other"))
    assert "Nothing that was measured is much like it." in page.text
    assert "hidden" not in page.text


def test_of_loras_above_the_limit_only_their_number_is_told(
    ink: int, service: Service, builder: Builder
) -> None:
    for name, level in (("ink", "pg"), ("ink_again", "xxx"), ("ink_epoch", "pg")):
        note(builder, name, nsfw=level)
    with builder.catalog.write() as unit:
        secret = create_token(unit, "child", "read", TokenScope(nsfw_entries=PG))
    asked: dict[str, Any] = {"peer": REMOTE, "auth": ("x", secret)}
    page = relatives_of(service, ink, **asked)
    assert listed(page) == [f"/loras/{ink}", f"/loras/{id_of(builder, 'ink_epoch')}"]
    assert "1 lora hidden by level." in page.text
    assert "ink_again" not in page.text
    hidden = service.ask("GET", f"/loras/{id_of(builder, 'ink_again')}/relatives", **asked)
    assert "Hidden by level." in document(hidden, 403).text


def test_pictures_of_what_is_alike_are_sent_up_to_the_level_of_pictures(
    ink: int, service: Service, builder: Builder
) -> None:
    told_by_civitai(builder, service, "ink_again", images=(XXX,))
    low = relatives_of(service, ink)
    high = relatives_of(service, ink, headers={"cookie": "nsfw=xxx"})
    pictures = [
        [str(one["src"]) for one in page.all("img") if "/pictures/" in str(one["src"])]
        for page in (low, high)
    ]
    assert [len(each) for each in pictures] == [0, 1]
    assert "hidden by level" in [one.get("title") for one in low.all("span")]


def test_names_of_what_is_alike_are_text(ink: int, service: Service, builder: Builder) -> None:
    note(builder, "ink_again", display_name=HOSTILE)
    page = relatives_of(service, ink)
    assert HOSTILE in page.text
    assert not page.all("b")
    theirs = relatives_of(service, id_of(builder, "ink_again"))
    assert f"The most like {HOSTILE}" in theirs.text


def test_numbers_of_loras_are_read_as_everywhere(ink: int, service: Service) -> None:
    for given in ("999", "x", "9" * 40):
        document(service.ask("GET", f"/loras/{given}/relatives"), 404)
    answer = service.ask("GET", f"/loras/0{ink}/relatives")
    assert answer.headers["location"] == f"/loras/{ink}/relatives"


def test_the_list_is_sent_once_as_long_as_it_is_the_same(
    ink: int, service: Service, builder: Builder
) -> None:
    etag = service.ask("GET", f"/loras/{ink}/relatives").headers["etag"]
    asked: dict[str, Any] = {"headers": {"if-none-match": etag}}
    assert service.ask("GET", f"/loras/{ink}/relatives", **asked).status_code == 304
    note(builder, "ink_again", display_name="another name")
    assert service.ask("GET", f"/loras/{ink}/relatives", **asked).status_code == 200
