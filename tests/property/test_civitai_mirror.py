"""Whatever is shown of a file, the mirror's answers say the same to who reads Civitai's."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from registry.formats.civitai import model_of, version_of
from registry.shown import Entry, Shown
from registry.told import Licence, RemoteImage
from registry.wire import civitai_mirror as mirror
from registry.wire import civitai_words as words
from tests.support.civitai_entries import HASHES, entry

if TYPE_CHECKING:
    from registry.told import RemoteVersion

UNTIMED = settings(deadline=None)
# Texts are as they are stored: clean, and not blank.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20)
LINE = TEXT.filter(lambda text: not text.isspace())
NUMBER = st.integers(1, mirror.MAX_ID)
MAYBE_BOOLEAN = st.none() | st.booleans()
MOMENT = st.integers(0, 4_000_000_000_000)
META = st.dictionaries(LINE, LINE | st.integers(-(2**53), 2**53) | st.lists(LINE, max_size=2), max_size=3)
IMAGES = st.builds(
    RemoteImage,
    url=st.integers(0).map("https://image.example/{}.jpeg".format),
    width=st.none() | NUMBER,
    height=st.none() | NUMBER,
    nsfw_level=st.none() | st.sampled_from([0, 1, 2, 4, 8, 16, 32]),
    video=st.booleans(),
    blurhash=st.none() | LINE,
    meta=META,
)
LICENCES = st.builds(
    Licence,
    no_credit=MAYBE_BOOLEAN,
    commercial_use=st.none() | st.lists(LINE, max_size=3).map(tuple),
    derivatives=MAYBE_BOOLEAN,
    different_licence=MAYBE_BOOLEAN,
)
SHOWN = st.builds(
    Shown,
    name=LINE,
    model_name=st.none() | LINE,
    version_name=st.none() | LINE,
    model_id=st.none() | NUMBER,
    version_id=st.none() | NUMBER,
    model_type=st.none() | LINE,
    base_model=st.none() | LINE,
    description=st.none() | LINE,
    version_description=st.none() | LINE,
    triggers=st.lists(st.lists(LINE, min_size=1, max_size=2).map(tuple), max_size=3).map(tuple),
    tags=st.lists(LINE, max_size=3).map(tuple),
    creator=st.none() | LINE,
    licence=LICENCES,
    nsfw_level=st.none() | st.sampled_from([1, 2, 4, 8, 16, 32]),
    images=st.lists(IMAGES, max_size=3).map(tuple),
    gone_at=st.none() | MOMENT,
)
ENTRIES = st.builds(
    entry,
    SHOWN,
    lora_id=NUMBER,
    file_id=NUMBER,
    name=LINE,
    size=st.integers(0, 2**50),
    added=MOMENT,
    modified=MOMENT,
    kind=st.sampled_from(["lora", "checkpoint", "other"]),
    hashes=st.dictionaries(st.sampled_from(list(HASHES)), st.just(HASHES["sha256"])).map(
        lambda chosen: {kind: HASHES[kind] for kind in chosen}
    ),
)


def link(file: Entry) -> str:
    return f"https://here/file/{file.file_id}"


def says_what_is_shown(found: RemoteVersion, told: Entry) -> None:
    shown = told.shown
    assert (found.id, found.model_id) == (shown.version_id, shown.model_id)
    assert (found.name, found.model_name) == (shown.version_name or told.name, words.title(shown))
    assert found.model_type == words.model_type(told)
    assert found.base_model == (words.base_model(told) or "Other")
    assert (found.description, found.nsfw_level) == (shown.version_description, shown.nsfw_level)
    assert found.trained_words == tuple(", ".join(group) for group in shown.triggers)
    assert (found.created_at, found.updated_at) == (told.added, told.modified)
    assert found.mode == (None if shown.gone_at is None else "Archived")
    assert found.nsfw is words.is_nsfw(told)
    assert found.images == shown.images
    (file,) = found.files
    assert (file.name, file.size, file.download_url) == (told.name + told.ext, told.size, link(told))
    assert {kind: digest for kind, digest in file.hashes.items() if kind in told.hashes} == {
        kind: digest for kind, digest in told.hashes.items() if kind != "data_sha256"
    }


@UNTIMED
@given(ENTRIES)
def test_a_version_says_what_is_shown(told: Entry) -> None:
    answer = mirror.version([told], download_url=link)
    found = version_of(json.loads(json.dumps(answer, allow_nan=False)))
    assert found is not None
    says_what_is_shown(found, told)


@UNTIMED
@given(ENTRIES)
def test_a_model_says_what_is_shown(told: Entry) -> None:
    answer = mirror.model([told], download_url=link)
    found = model_of(json.loads(json.dumps(answer, allow_nan=False)))
    assert found is not None
    shown = told.shown
    assert (found.id, found.name, found.type) == (
        shown.model_id,
        words.title(shown),
        words.model_type(told),
    )
    assert (found.description, found.creator, found.tags) == (shown.description, shown.creator, shown.tags)
    assert (found.licence, found.nsfw_level) == (shown.licence, shown.nsfw_level)
    (version,) = found.versions
    says_what_is_shown(version, told)


@UNTIMED
@given(ENTRIES, ENTRIES)
def test_an_answer_of_civitai_says_the_same_after_it_was_sent_on(first: Entry, second: Entry) -> None:
    sent = mirror.version([first], download_url=link)
    told = mirror.version([second], download_url=link, raw=sent)
    before, after = version_of(sent), version_of(told)
    assert before is not None
    assert after is not None
    gone = before.mode or (None if second.shown.gone_at is None else "Archived")
    bare = [
        replace(each, mode=gone, files=tuple(replace(file, download_url=None) for file in each.files))
        for each in (before, after)
    ]
    assert bare[0] == bare[1]
