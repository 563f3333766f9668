"""Fetching the pictures of versions from a stand-in for Civitai: what is kept, and what is refused."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from registry.catalog.curation import edit
from registry.catalog.lookups import asked_of
from registry.catalog.pictures import pictures_of
from registry.catalog.roots import change_root
from registry.catalog.showing import known_of
from registry.civitai.asking import Waiting
from registry.civitai.client import Client
from registry.civitai.images import ALL, AVERAGE_REDUCED, FIRST, Choice, Fetcher, fetch_images, image_purpose
from registry.civitai.planning import plan
from registry.civitai.policy import DAY
from registry.civitai.run import PATIENCE, Desk, Progress, Wish
from registry.civitai.sync import carry_out
from registry.config import CIVITAI_URL
from registry.curation import read_changes
from registry.errors import Cancelled
from registry.net import Door
from registry.pictures.process import Decoder
from registry.pictures.store import PictureStore
from registry.pictures.studio import Studio
from tests.support import civitai_faults as faults
from tests.support.civitai import civitai_server
from tests.support.civitai_answers import file_answer, image_answer, model_answer, version_answer
from tests.support.library import Model
from tests.support.pictures import plain, saved

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from registry.catalog.pictures import PictureView
    from tests.support.civitai import FakeCivitai
    from tests.support.library import Clock, Library

A, B = (Model(f"{name}.safetensors", weights=name) for name in "ab")
VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"
TOKEN = "secret"  # noqa: S105 - of a test


@pytest.fixture
def fake() -> Iterator[FakeCivitai]:
    with civitai_server() as server:
        yield server


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    decoder = Decoder()
    yield decoder
    decoder.close()


@dataclass
class Fetches:
    """Runs one sync with its pictures after the other."""

    library: Library
    fake: FakeCivitai
    store: PictureStore
    decoder: Decoder
    choice: Choice

    @property
    def studio(self) -> Studio:
        return Studio(self.store, decoder=self.decoder)

    def run(self, *, stop_after: int | None = None, **wish: Any) -> Progress:
        """Sync; with `stop_after` it is cancelled after so many pictures were asked for."""
        door = Door(own_hosts={"127.0.0.1"}, resolve=lambda _host, _port: ["127.0.0.1"], seconds=1.0)
        waiting = Waiting(sleep=lambda _: None, today=lambda: dt.datetime.now(dt.UTC), chance=lambda: 0.5)

        def cancelled() -> bool:
            return stop_after is not None and len(self.asked()) >= stop_after

        desk = Desk(
            self.library.catalog,
            Client(door, self.fake.url, token=TOKEN, waiting=waiting, attempts=1),
            cancelled=cancelled,
        )
        fetcher = Fetcher(door, self.choice.purpose, waiting=waiting, attempts=2, cancelled=cancelled)
        try:
            carry_out(desk, Wish(**wish))
            fetch_images(desk, Wish(**wish), self.choice, fetcher, self.studio)
        finally:
            door.close()
        return desk.progress

    def asked(self) -> list[str]:
        """Return the names of the pictures that were asked for, each as often as it was."""
        asked = (one.path for one in self.fake.asked if one.path.startswith("/images/"))
        return sorted(path.rpartition("/")[2] for path in asked)

    def pictures(self, model: Model = A) -> list[PictureView]:
        lora_id = int(self.library.row(model.path).lora_id)
        with self.library.catalog.read() as conn:
            return pictures_of(conn, lora_id, known_of(conn, [lora_id])[lora_id])

    def kept(self, model: Model = A) -> list[str]:
        """Return the names of the pictures that are kept, in order."""
        return [str(one.name).rpartition("/")[2] for one in self.pictures(model) if one.key is not None]

    def errors(self) -> list[str]:
        with self.library.catalog.read() as conn:
            query = "SELECT error FROM picture_of WHERE error IS NOT NULL ORDER BY place"
            return [str(error) for (error,) in conn.exec_driver_sql(query)]


@pytest.fixture
def fetches(library: Library, fake: FakeCivitai, decoder: Decoder, tmp_path: Path) -> Fetches:
    choice = Choice(image_purpose(fake.url, CIVITAI_URL), ALL)
    return Fetches(library, fake, PictureStore(tmp_path / "pictures"), decoder, choice)


def known(fetches: Fetches, *urls: str, model: Model = A, number: int = 7, **members: Any) -> None:
    """Let there be a file which the service has with pictures at these addresses."""
    fetches.library.scan(model)
    fetches.library.hash(model)
    files = [file_answer(model.digests["sha256"])]
    images = [image_answer(url, **members) for url in urls]
    fetches.fake.add(model_answer(number, [version_answer(number * 10, files, images=images)]))


def coloured(name: str) -> bytes:
    """Return an image that is another one for each name."""
    return saved(Image.new("RGB", (64, 48), (len(name), sum(name.encode()) % 256, 7)))


def image(fake: FakeCivitai, name: str, content: bytes | None = None) -> str:
    return fake.add_image(name, coloured(name) if content is None else content)


def test_pictures_are_fetched_once_and_kept_as_thumbnails(fetches: Fetches, fake: FakeCivitai) -> None:
    known(fetches, image(fake, "1.png"), image(fake, "2.png"))
    assert fetches.run().pictures == 2
    assert fetches.kept() == ["1.png", "2.png"]
    first = fetches.pictures()[0]
    assert (first.level, first.width, first.height, first.original) == (1, 832, 1216, False)
    assert first.key is not None
    assert fetches.store.thumbnail(first.key) is not None
    assert fetches.store.original(first.key) is None
    assert fetches.run(everything=True).pictures == 0
    assert fetches.asked() == ["1.png", "2.png"]


def test_the_token_is_sent_to_the_service_and_not_with_pictures(fetches: Fetches, fake: FakeCivitai) -> None:
    known(fetches, image(fake, "1.png"))
    fetches.run()
    others = len(fake.asked) - len(fetches.asked())
    assert fake.bearers == [f"Bearer {TOKEN}"] * others


def test_only_the_first_and_one_for_everybody_are_fetched_if_that_is_wanted(
    fetches: Fetches, fake: FakeCivitai
) -> None:
    fetches.choice = replace(fetches.choice, mode=FIRST)
    fetches.library.scan(A)
    fetches.library.hash(A)
    levels = {"1.png": 8, "2.png": 4, "3.png": 1, "4.png": 1}
    images = [image_answer(image(fake, name), nsfwLevel=level) for name, level in levels.items()]
    fake.add(model_answer(7, [version_answer(70, [file_answer(A.digests["sha256"])], images=images)]))
    fetches.run()
    assert fetches.asked() == ["1.png", "3.png"]
    assert [(one.level, one.key is not None) for one in fetches.pictures()] == [
        (8, True),
        (1, True),
        (4, False),
        (1, False),
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(b"<!DOCTYPE html><title>who are you?</title>", "no picture", id="a page"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture", id="SVG"),
        pytest.param(plain()[:60], "damaged", id="an image cut short"),
        pytest.param(b"", "empty", id="nothing"),
    ],
)
def test_what_is_no_picture_is_refused_and_asked_for_again_a_day_later(
    fetches: Fetches, fake: FakeCivitai, clock: Clock, content: bytes, why: str
) -> None:
    known(fetches, image(fake, "1.png", content), image(fake, "2.png"))
    told = fetches.run()
    assert (told.pictures, told.outcomes["found"], told.errors) == (1, 1, [])
    assert fetches.kept() == ["2.png"]
    (error,) = fetches.errors()
    assert why in error
    fetches.run()
    clock.tick(DAY)
    image(fake, "1.png")
    fetches.run()
    assert fetches.asked() == ["1.png", "1.png", "2.png"]
    assert (fetches.kept(), fetches.errors()) == (["1.png", "2.png"], [])


def test_a_body_without_end_is_left_where_it_is(fetches: Fetches, fake: FakeCivitai) -> None:
    known(fetches, image(fake, "1.png"), image(fake, "2.png"))
    fake.fail("/images/1.png", faults.endless(64 << 20), times=None)
    fetches.run()
    assert fetches.kept() == ["2.png"]
    (error,) = fetches.errors()
    assert "larger" in error


@pytest.mark.parametrize(
    "place",
    ["http://10.0.0.1/1.png", "http://localhost:1/1.png", "file:///etc/passwd", "http://evil.example/"],
)
def test_a_redirect_to_elsewhere_is_not_followed(fetches: Fetches, fake: FakeCivitai, place: str) -> None:
    known(fetches, image(fake, "1.png"))
    fake.fail("/images/1.png", faults.redirected(place), times=None)
    fetches.run()
    assert fetches.kept() == []
    assert len(fetches.errors()) == 1


def test_a_host_of_the_service_that_leads_into_the_private_network_is_not_asked(fetches: Fetches) -> None:
    known(fetches, "https://image.civitai.com/x/original=true/1.jpeg")
    told = fetches.run()
    (error,) = fetches.errors()
    assert "private network" in error
    assert told.outcomes["found"] == 1


def test_pictures_on_other_hosts_are_never_asked_for(fetches: Fetches, fake: FakeCivitai) -> None:
    known(fetches, "https://evil.example/1.png", image(fake, "2.png"))
    fetches.run()
    assert (fetches.kept(), fetches.errors()) == (["2.png"], [])


def test_videos_are_left_alone_without_ffmpeg(fetches: Fetches, fake: FakeCivitai) -> None:
    known(fetches, image(fake, "1.mp4", VIDEO), type="video")
    fetches.run()
    assert fetches.asked() == []
    (view,) = fetches.pictures()
    assert (view.video, view.key) == (True, None)


def test_what_passes_costs_a_second_request(fetches: Fetches, fake: FakeCivitai) -> None:
    known(fetches, image(fake, "1.png"))
    fake.fail("/images/*", faults.too_fast("1"))
    fetches.run()
    assert fetches.asked() == ["1.png", "1.png"]
    assert fetches.kept() == ["1.png"]


def test_pictures_that_are_gone_do_not_keep_others_from_being_fetched(
    fetches: Fetches, fake: FakeCivitai
) -> None:
    gone = [f"{fake.url}/images/gone-{number}.png" for number in range(PATIENCE + 2)]
    known(fetches, *gone, image(fake, "1.png"))
    told = fetches.run()
    assert (told.pictures, told.errors) == (1, [])
    assert len(fetches.errors()) == len(gone)


def test_a_service_that_stays_away_ends_the_stage_and_nothing_else(
    fetches: Fetches, fake: FakeCivitai, clock: Clock
) -> None:
    known(fetches, *(image(fake, f"{number}.png") for number in range(9)))
    fake.fail("/images/*", faults.answering(500), times=None)
    told = fetches.run()
    assert (told.pictures, told.outcomes["found"]) == (0, 1)
    assert told.errors
    assert len(fetches.errors()) == PATIENCE
    with fetches.library.catalog.read() as conn:
        assert asked_of(conn, [A.digests["sha256"]])[A.digests["sha256"]].state == "found"
    fake.mend()
    assert fetches.run().pictures == 9 - PATIENCE
    clock.tick(DAY)
    assert fetches.run().pictures == PATIENCE


def test_a_run_that_was_stopped_goes_on_with_what_is_left(fetches: Fetches, fake: FakeCivitai) -> None:
    known(fetches, *(image(fake, f"{number}.png") for number in range(8)))
    with pytest.raises(Cancelled):
        fetches.run(stop_after=2)
    first = len(fetches.kept())
    assert first < 8
    assert fetches.run().pictures == 8 - first
    assert len(fetches.kept()) == 8


def test_a_store_that_is_full_ends_the_stage_with_one_sentence(
    fetches: Fetches, fake: FakeCivitai, tmp_path: Path
) -> None:
    known(fetches, *(image(fake, f"{number}.png") for number in range(8)))
    fetches.store = PictureStore(tmp_path / "small", 200)
    told = fetches.run()
    assert told.pictures < 8
    (error,) = told.errors
    assert "limit" in error
    assert fetches.errors() == []


def test_originals_are_kept_if_that_is_wanted(fetches: Fetches, fake: FakeCivitai) -> None:
    known(fetches, image(fake, "1.png"))
    studio = Studio(fetches.store, decoder=fetches.decoder, originals=True)
    kept = studio.keep(coloured("1.png"))
    fetches.run()
    (view,) = fetches.pictures()
    assert view.key == kept.key
    assert fetches.store.original(kept.key) is not None


def test_levels_and_places_follow_what_the_service_says(
    fetches: Fetches, fake: FakeCivitai, clock: Clock
) -> None:
    one, two = image(fake, "1.png"), image(fake, "2.png")
    known(fetches, one, two)
    fetches.run()
    known(fetches, two, one, nsfwLevel=8)
    clock.tick(31 * DAY)
    fetches.run()
    assert fetches.kept() == ["2.png", "1.png"]
    assert [view.level for view in fetches.pictures()] == [8, 8]
    assert len(fetches.asked()) == 2


def test_a_thumbnail_that_was_deleted_is_fetched_again(fetches: Fetches, fake: FakeCivitai) -> None:
    known(fetches, image(fake, "1.png"))
    fetches.run()
    (view,) = fetches.pictures()
    assert view.key is not None
    fetches.store.remove([view.key])
    assert fetches.run().pictures == 1
    assert fetches.store.has(view.key)


def test_pictures_of_files_in_private_roots_are_not_asked_for(fetches: Fetches, fake: FakeCivitai) -> None:
    known(fetches, f"{fake.url}/images/gone.png")
    fetches.run()
    image(fake, "gone.png")
    with fetches.library.catalog.write() as unit:
        change_root(unit, fetches.library.root_id, private=True)
    before = len(fetches.asked())
    fetches.run(everything=True)
    assert len(fetches.asked()) == before


def test_a_wish_for_some_files_is_one_for_their_pictures(fetches: Fetches, fake: FakeCivitai) -> None:
    known(fetches, image(fake, "a.png"))
    known(fetches, image(fake, "b.png"), model=B, number=8)
    fetches.run(hashes=[B.digests["sha256"]])
    assert fetches.asked() == ["b.png"]


def test_a_plan_estimates_pictures_and_fetches_none(fetches: Fetches, fake: FakeCivitai) -> None:
    known(fetches, image(fake, "1.png"), f"{fake.url}/images/gone.png")
    catalog, first = fetches.library.catalog, replace(fetches.choice, mode=FIRST)
    made = plan(catalog, Wish(), images=first)
    assert (made.pictures, made.picture_bytes) == (1, AVERAGE_REDUCED)
    assert plan(catalog, Wish(), images=fetches.choice).pictures == fetches.choice.most
    assert plan(catalog, Wish()).pictures == 0
    fetches.choice = first
    fetches.run()
    assert plan(catalog, Wish(), images=fetches.choice).pictures == 0
    assert plan(catalog, Wish(), images=replace(first, mode=ALL)).pictures == 1
    assert fetches.asked() == ["1.png"]


def test_a_version_that_the_user_chose_has_its_pictures_too(fetches: Fetches, fake: FakeCivitai) -> None:
    fetches.library.scan(A)
    fetches.library.hash(A)
    images = [image_answer(image(fake, "chosen.png"))]
    fake.add(model_answer(9, [version_answer(90, [file_answer("9" * 64)], images=images)]))
    with fetches.library.catalog.write() as unit:
        edit(unit, [int(fetches.library.row(A.path).lora_id)], read_changes({"civitai": {"version": 90}}))

    fetches.run()

    assert fetches.kept() == ["chosen.png"]
