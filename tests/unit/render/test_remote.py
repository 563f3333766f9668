"""Drawing for another machine: base models of one's own, loras that are fetched, and no database."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from safetensors.numpy import save

from registry.errors import BadRequest, FileChanged, NotFound, OutboundError
from registry.render.base_folder import NOTES, BaseFolder, sha256_of
from registry.render.batch import BASE, BaseAsk, Batch, CellAsk, LoraAsk, pack_batch, unpack_answer
from registry.render.fetched import Fetched
from registry.render.remote import BASES, CACHE, CACHE_MB, VRAM_MB, Station, station_of
from tests.support.adapters import lora
from tests.support.oracles import oracle
from tests.support.outside import Answer, outside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from registry.work.lines import Line
    from tests.support.outside import Outside, Said


def lora_file(seed: int = 0) -> bytes:
    return save(lora(rows=32, columns=32, seed=seed))


class Quiet:
    """A line that nobody listens to."""

    def step(self, done: int, total: int) -> None:
        del done, total

    def dropped(self) -> frozenset[int]:
        return frozenset()


class Recording:
    """Draws nothing and keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def draw(self, spec: str, line: Line) -> str:
        del line
        self.asked.append(json.loads(spec))
        return "drawn"


class Sender:
    """A server that sends files of loras by their names."""

    def __init__(self, server: Outside) -> None:
        self._server = server
        self.files: dict[str, bytes] = {}
        server.otherwise = self._answer

    @property
    def asked(self) -> list[str]:
        return [said.path for said in self._server.asked]

    def ask(self, name: str, data: bytes, **told: Any) -> LoraAsk:
        """Send data under a name from now on, and return how a worker is asked to fetch it."""
        self.files[f"/{name}"] = data
        data_sha256 = hashlib.sha256(data[8 + int.from_bytes(data[:8], "little") :]).hexdigest()
        known = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), **told}
        url = f"{self._server.url}/{name}"
        return LoraAsk(data_sha256, name, f"{name}.safetensors", "/elsewhere", url, **known)

    def _answer(self, said: Said) -> Answer:
        body = self.files.get(said.path)
        return Answer(403) if body is None else Answer(body=body)


@pytest.fixture
def sender() -> Iterator[Sender]:
    with outside() as server:
        yield Sender(server)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two checkpoints and a diffusers folder."""
    place = tmp_path / "bases"
    (place / "sdxl").mkdir(parents=True)
    (place / "one.safetensors").write_bytes(b"one")
    (place / "sdxl" / "two.safetensors").write_bytes(b"two")
    (place / "small" / "unet").mkdir(parents=True)
    (place / "small" / "model_index.json").write_text("{}")
    (place / "small" / "unet" / "model.safetensors").write_bytes(b"part")
    return place


def base(name: str, data: bytes | None = None) -> BaseAsk:
    return BaseAsk("sd15", name, "/elsewhere", None if data is None else hashlib.sha256(data).hexdigest())


def batch(of: BaseAsk, *loras: LoraAsk | None, **more: Any) -> str:
    cells = tuple(CellAsk(f"k{number}", "a cat", "", number, lora=each) for number, each in enumerate(loras))
    return pack_batch(Batch("b", of, cells, 64, 64, 2, "Euler", 7.0, dtype="float32", **more))


def test_a_base_model_is_found_by_its_hash_whatever_it_is_called(folder: Path) -> None:
    bases = BaseFolder(folder)
    assert bases.find(base("another.safetensors", b"two")) == folder / "sdxl" / "two.safetensors"
    assert bases.find(base("one.safetensors", b"one")) == folder / "one.safetensors"


def test_a_base_model_without_a_hash_is_found_by_its_name(folder: Path) -> None:
    bases = BaseFolder(folder)
    assert bases.find(base("two.safetensors")) == folder / "sdxl" / "two.safetensors"
    assert bases.find(base("two")) == folder / "sdxl" / "two.safetensors"
    assert bases.find(base("small")) == folder / "small"
    assert bases.find(base("model.safetensors")) is None


def test_a_name_does_not_count_against_a_hash(folder: Path) -> None:
    assert BaseFolder(folder).find(base("one.safetensors", b"another")) is None
    # Folders have none.
    assert BaseFolder(folder).find(base("small", b"another")) == folder / "small"


def test_each_file_is_hashed_once_until_it_changes(folder: Path) -> None:
    hashed: list[str] = []

    def counted(path: Path) -> str:
        hashed.append(path.name)
        return sha256_of(path)

    for _ in range(2):
        assert BaseFolder(folder, counted).find(base("x", b"nowhere")) is None
    assert hashed == ["one.safetensors", "two.safetensors"]
    (folder / "one.safetensors").write_bytes(b"changed")
    found = BaseFolder(folder, counted).find(base("one.safetensors", b"changed"))
    assert (found, hashed[2:]) == (folder / "one.safetensors", ["one.safetensors"])


def test_damaged_notes_are_made_anew(folder: Path) -> None:
    (folder / NOTES).write_text('{"one.safetensors": 1}')
    assert BaseFolder(folder).find(base("x", b"one")) == folder / "one.safetensors"
    assert (
        json.loads((folder / NOTES).read_bytes())["one.safetensors"][2] == hashlib.sha256(b"one").hexdigest()
    )


def test_a_lora_is_fetched_once_and_verified(sender: Sender, tmp_path: Path) -> None:
    ask = sender.ask("ink", lora_file())
    fetched = Fetched(tmp_path / "cache", 1_000_000)
    for _ in range(2):
        assert fetched.fetch(ask).read_bytes() == sender.files["/ink"]
    assert sender.asked == ["/ink"]
    unhashed = sender.ask("new", lora_file(), sha256=None)
    assert fetched.fetch(unhashed).read_bytes() == sender.files["/new"]


def test_what_came_as_another_file_is_not_kept(sender: Sender, tmp_path: Path) -> None:
    ask, short = sender.ask("ink", lora_file()), sender.ask("short", lora_file(), sha256=None)
    sender.files["/ink"] = bytes(len(sender.files["/ink"]))
    sender.files["/short"] = b"short"
    for each in (ask, short):
        with pytest.raises(FileChanged):
            Fetched(tmp_path / "cache", 1_000_000).fetch(each)
    assert not list((tmp_path / "cache").iterdir())


def test_a_link_that_ended_and_one_that_is_missing_are_told(sender: Sender, tmp_path: Path) -> None:
    ask = sender.ask("ink", lora_file())
    sender.files.clear()
    with pytest.raises(OutboundError, match="403"):
        Fetched(tmp_path, 1_000_000).fetch(ask)
    with pytest.raises(NotFound):
        Fetched(tmp_path, 1_000_000).fetch(LoraAsk("0" * 64, "ink", "ink.safetensors"))
    with pytest.raises(BadRequest):
        Fetched(tmp_path, 1_000_000).fetch(
            LoraAsk("../../ink", "ink", "ink.safetensors", url="http://127.0.0.1/")
        )


def test_those_used_least_recently_make_room(sender: Sender, tmp_path: Path) -> None:
    asks = [sender.ask(f"l{n}", lora_file(seed=n)) for n in range(3)]
    fetched = Fetched(tmp_path, 2 * len(lora_file()))
    first, second = (fetched.fetch(each) for each in asks[:2])
    # Times of files are as fine as their clock.
    os.utime(second, (1, 1))
    assert fetched.fetch(asks[0]) == first
    third = fetched.fetch(asks[2])
    assert {path for path in tmp_path.iterdir() if path.suffix == ".safetensors"} == {first, third}


def test_paths_of_the_other_machine_are_replaced(folder: Path, sender: Sender, tmp_path: Path) -> None:
    local = Recording()
    ask, near = sender.ask("ink", lora_file()), LoraAsk("0" * 64, "near", "near.safetensors", "/here")
    spec = batch(replace(base("one.safetensors"), stamp="3 1"), ask, near, None, soon=(ask,))
    assert Station(BaseFolder(folder), local).draw(spec, Quiet()) == "drawn"
    (asked,) = local.asked
    assert (asked["base"]["path"], asked["base"]["stamp"]) == (str(folder / "one.safetensors"), None)
    assert [cell["lora"] and cell["lora"]["path"] for cell in asked["cells"]] == [None, "/here", None]
    assert [each["path"] for each in asked["soon"]] == [None]


@pytest.mark.parametrize("there", [True, False])
def test_without_the_base_model_no_picture_is_drawn(folder: Path, tmp_path: Path, *, there: bool) -> None:
    local = Recording()
    without = Station(BaseFolder(folder) if there else None, local)
    answer = unpack_answer(without.draw(batch(base("nowhere"), None, None), Quiet()), ["k0", "k1"])
    assert [(made.key, made.png, made.problem) for made in answer.made] == [
        ("k0", None, BASE),
        ("k1", None, BASE),
    ]
    assert BASES in answer.made[0].text
    assert not local.asked


def test_the_environment_says_what_a_worker_has(sender: Sender, tmp_path: Path) -> None:
    torch = oracle("torch")
    oracle("diffusers")
    pipelines = oracle("tests.support.pipelines")
    torch.set_num_threads(1)
    pipe = pipelines.tiny_sd15(tmp_path / "words")
    pipe.save_pretrained(tmp_path / "bases" / "small")
    environment = {BASES: str(tmp_path / "bases"), CACHE: str(tmp_path / "cache"), CACHE_MB: "10"}
    spec = batch(base("small"), sender.ask("ink", lora_file()), None)
    worker = station_of(environment)
    answer = unpack_answer(worker.draw(spec, Quiet()), ["k0", "k1"])
    assert [(made.key, made.problem) for made in answer.made] == [("k0", None), ("k1", None)]
    assert all(made.png is not None for made in answer.made)
    assert sender.asked == ["/ink"]
    fitted = oracle("tests.support.fitted")
    lcm = sender.ask("lcm", save(fitted.arrays_for(fitted.base_of(pipe), "lora", size=0.4)))
    drafts, bare = (
        unpack_answer(worker.draw(batch(base("small"), None, draft=True, draft_lora=each), Quiet()), ["k0"])
        for each in (lcm, None)
    )
    assert drafts.made[0].png not in {None, bare.made[0].png}
    assert (drafts.made[0].text, "LORAS_DRAFT_LORAS" in bare.made[0].text) == ("", True)
    changed = sender.ask("lcm2", lora_file(7))
    sender.files["/lcm2"] = bytes(len(lora_file(7)))
    spec = batch(base("small"), None, None, draft=True, draft_lora=changed)
    refused = unpack_answer(worker.draw(spec, Quiet()), ["k0", "k1"])
    assert [(made.png, made.problem) for made in refused.made] == [(None, FileChanged.slug)] * 2


@pytest.mark.parametrize("name", [CACHE_MB, VRAM_MB])
def test_what_is_no_number_of_megabytes_is_refused(name: str) -> None:
    with pytest.raises(BadRequest, match=name):
        station_of({name: "much"})


def test_a_worker_leaves_a_graphics_card_alone_that_somebody_uses() -> None:
    oracle("torch")
    oracle("diffusers")
    local = oracle("registry.render.backends.local").Local
    for told, least in (({}, 4_000_000_000), ({VRAM_MB: "12000"}, 12_000_000_000)):
        worker = station_of(told)
        assert isinstance(worker._local, local)
        assert worker._local._least_free == least
