"""Batches drawn by this program itself: what comes back for each cell, whatever is wrong with others."""

from __future__ import annotations

import base64
import io
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest
from PIL import Image

from registry.errors import BadRequest, CannotDraw
from registry.render.batch import (
    Answer,
    BaseAsk,
    Batch,
    CellAsk,
    LoraAsk,
    Made,
    pack_batch,
    unpack_answer,
)
from registry.render.output import png
from registry.work.executors import Child
from tests.support.oracles import oracle

torch = oracle("torch")
oracle("diffusers")

from registry.hashing.reader import hash_file  # noqa: E402 - only with torch
from registry.render.backends.local import Local  # noqa: E402
from registry.render.bases import Bases  # noqa: E402
from registry.render.held import Held  # noqa: E402
from registry.render.precision import device_of  # noqa: E402
from tests.support.adapters import written  # noqa: E402
from tests.support.fitted import arrays_for, base_of  # noqa: E402
from tests.support.pipelines import tiny_sd15, tiny_sdxl  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CPU = torch.device("cpu")


class Told:
    """A line whose places are dropped when a number of steps is done."""

    def __init__(self, *places: int, after: int = 0) -> None:
        self.steps: list[tuple[int, int]] = []
        self._places, self._after = frozenset(places), after

    def step(self, done: int, total: int) -> None:
        self.steps.append((done, total))

    def dropped(self) -> frozenset[int]:
        return self._places if len(self.steps) >= self._after else frozenset()


class Shop:
    """Base models as folders, and files of loras that fit them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pipes = {"sd15": tiny_sd15(folder / "words"), "sdxl": tiny_sdxl(folder / "words")}
        for name, pipe in self.pipes.items():
            pipe.save_pretrained(folder / name)

    def base(self, architecture: str = "sd15") -> BaseAsk:
        return BaseAsk(architecture, "tiny", str(self.folder / architecture))

    def lora(self, seed: int, family: str = "lora", architecture: str = "sd15", **more: Any) -> LoraAsk:
        path = self.folder / f"{architecture}-{family}-{seed}-{len(more)}.safetensors"
        if not path.is_file():
            arrays = arrays_for(base_of(self.pipes[architecture]), family, seed=seed, **more)
            written(path, arrays)
        return ask_of(path)


def ask_of(path: Path) -> LoraAsk:
    digest = hash_file(path).hashes.data_sha256
    assert digest is not None
    return LoraAsk(digest, path.stem, path.name, str(path), size=path.stat().st_size)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    torch.set_num_threads(1)
    return Shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def local() -> Iterator[Local]:
    made = Local(bases=Bases(CPU, most=4))
    yield made
    made.close()


def batch_of(shop: Shop, *cells: CellAsk, architecture: str = "sd15", **told: Any) -> Batch:
    common = {"width": 64, "height": 64, "steps": 3, "sampler": "DPM++ 2M", "cfg": 7.0, **told}
    return Batch("b", shop.base(architecture), tuple(cells), **common)


def cell(number: int, lora: LoraAsk | None = None, **told: Any) -> CellAsk:
    asked = {"prompt": f"picture {number}", "seed": number, "infotext": f"steps of {number}", **told}
    return CellAsk(key=f"k{number}", negative="blurred", lora=lora, **asked)


def answered(local: Local, batch: Batch, line: Any = None) -> Answer:
    text = local.draw(pack_batch(batch), line or Told())
    return unpack_answer(text, [each.key for each in batch.cells])


def made(local: Local, batch: Batch, line: Any = None) -> list[Made]:
    found = list(answered(local, batch, line).made)
    assert [each.key for each in found] == [each.key for each in batch.cells]
    return found


def pixels(one: Made) -> Any:
    assert one.png is not None, one
    return np.asarray(Image.open(io.BytesIO(one.png))).astype(int)


def same(one: Made, other: Made) -> bool:
    difference = np.abs(pixels(one) - pixels(other))
    return bool(difference.max() <= 1) and float(difference.mean()) / 255 < 1e-4


@pytest.mark.parametrize("architecture", ["sd15", "sdxl"])
def test_a_picture_is_the_same_alone_and_among_others(local: Local, shop: Shop, architecture: str) -> None:
    families = ("lora", "loha", "dora", "cp", "lokr")
    loras = [shop.lora(n, family, architecture) for n, family in enumerate(families)]
    cells = [cell(n, each, weight=0.8) for n, each in enumerate(loras)] + [cell(9)]
    line = Told()
    together = made(local, batch_of(shop, *cells, architecture=architecture), line)
    assert [each.problem for each in together] == [None] * 6
    assert line.steps[-1] == (18, 18)
    assert line.steps == sorted(line.steps)
    for place in (0, 2, 5):
        (alone,) = made(local, batch_of(shop, cells[place], architecture=architecture))
        assert same(alone, together[place])
        (bare,) = made(local, batch_of(shop, replace(cells[place], lora=None), architecture=architecture))
        assert same(bare, together[place]) == (place == 5)
    first = together[0].png
    assert first is not None
    assert Image.open(io.BytesIO(first)).info["parameters"] == "steps of 0"


def test_a_broken_lora_fails_alone_and_says_why(local: Local, shop: Shop, tmp_path: Path) -> None:
    good = shop.lora(1)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes((shop.folder / good.rel).read_bytes()[:-7])
    sick_arrays = arrays_for(base_of(shop.pipes["sd15"]), "lora")
    name = next(each for each in sick_arrays if each.endswith("lora_up.weight"))
    sick_arrays[name] = sick_arrays[name] * np.float32("nan")
    other = written(tmp_path / "text.safetensors", {"emb_params": np.zeros((4, 8), np.float32)})
    broken = {
        "unreadable-file": replace(good, data_sha256="a", path=str(tmp_path / "gone.safetensors")),
        "file-changed": replace(good, data_sha256="b", path=str(cut), size=cut.stat().st_size + 7),
        "wrong-base": shop.lora(1, architecture="sdxl"),
        "unsupported-kind": ask_of(other),
        "nan": ask_of(written(tmp_path / "sick.safetensors", sick_arrays)),
        "not-found": replace(good, data_sha256="c", path=None),
    }
    asked = [cell(n, lora) for n, lora in enumerate(broken.values())]
    found = made(local, batch_of(shop, cell(20, good), *asked, cell(21, good), cell(22, shop.lora(2))))
    assert [each.problem for each in found[1:-2]] == [
        "unreadable-file", "unreadable-file", "wrong-base", "unsupported-kind", "nan", "not-found",
    ]  # fmt: skip
    assert all(each.png is None and each.text for each in found[1:-2])
    assert "gone.safetensors" in found[1].text
    assert "choose the base model" in found[3].text
    assert "weights that are no numbers" in found[5].text
    assert [each.problem for each in (found[0], *found[-2:])] == [None] * 3


def test_a_lora_whose_bytes_are_others_than_those_that_were_hashed_is_not_drawn(
    local: Local, shop: Shop
) -> None:
    good, other = shop.lora(1), shop.lora(2)
    assert good.size == other.size
    (longer,) = made(local, batch_of(shop, cell(1, replace(good, size=good.size + 1))))
    assert longer.problem == "file-changed"
    assert "another size" in longer.text
    (told,) = made(local, batch_of(shop, cell(1, replace(good, path=other.path))))
    assert told.problem == "file-changed"
    assert told.png is None
    assert "hashed again" in told.text


def test_a_lora_of_no_weight_is_none_and_its_file_is_not_read(local: Local, shop: Shop) -> None:
    gone = LoraAsk("a", "gone", "gone", "/nowhere/gone.safetensors")
    zero, plain = made(local, batch_of(shop, cell(1, gone, weight=0.0), cell(1)))
    assert zero.problem is None
    assert same(zero, plain)


def test_a_lora_that_changes_nothing_is_told_where_that_can_be_seen(local: Local, shop: Shop) -> None:
    weak, strong = shop.lora(3, size=1e-6), shop.lora(4)
    cells = [cell(1, weak), cell(1, strong), cell(1), cell(2, weak), cell(1, weak, prompt="another")]
    found = made(local, batch_of(shop, *cells))
    assert [each.problem for each in found] == ["no-effect", None, None, None, None]
    assert "the same without" in found[0].text
    assert same(found[0], found[2])


@pytest.mark.parametrize("family", ["lora", "loha", "lokr"])
def test_a_lora_that_was_never_trained_is_told_without_a_picture_beside_it(
    local: Local, shop: Shop, family: str
) -> None:
    arrays = arrays_for(base_of(shop.pipes["sd15"]), family, seed=5)
    first = {"lora": "lora_up", "loha": "hada_w2_a", "lokr": "lokr_w1"}[family]
    zero = {name: array * 0 if first in name else array for name, array in arrays.items()}
    one = next(name for name in arrays if first in name)
    files = {"void": zero, "nearly": zero | {one: arrays[one]}}
    loras = [
        ask_of(written(shop.folder / f"{name}-{family}.safetensors", each)) for name, each in files.items()
    ]
    found = made(local, batch_of(shop, *(cell(1, each) for each in loras)))
    assert [each.problem for each in found] == ["no-effect", None]
    assert "change nothing" in found[0].text
    assert found[0].png is not None


def test_what_nobody_wants_is_not_drawn_and_all_of_it_stops_within_a_step(local: Local, shop: Shop) -> None:
    cells = [cell(n, shop.lora(n)) for n in range(3)]
    whole = made(local, batch_of(shop, *cells))
    begun = Told(1)
    some = made(local, batch_of(shop, *cells), begun)
    assert begun.steps == [(5, 9), (7, 9), (9, 9)]
    assert [each.problem for each in some] == [None, "cancelled", None]
    assert same(some[2], whole[2])
    midway = Told(1, after=2)
    found = made(local, batch_of(shop, *cells), midway)
    assert [each.problem for each in found] == [None, "cancelled", None]
    assert midway.steps[-1] == (9, 9)
    stopped = Told(0, 1, 2, after=2)
    assert [each.problem for each in made(local, batch_of(shop, *cells, steps=20), stopped)] == [
        "cancelled"
    ] * 3
    assert len(stopped.steps) == 2
    never = Told(0, 1, 2)
    assert {each.problem for each in made(local, batch_of(shop, *cells), never)} == {"cancelled"}
    assert never.steps == []
    assert same(made(local, batch_of(shop, cells[0]))[0], whole[0])


def test_a_picture_is_begun_with_another(local: Local, shop: Shop) -> None:
    start = np.random.default_rng(1).integers(0, 255, (8, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)

    def begun(number: int, picture: Any, **told: Any) -> CellAsk:
        data = base64.b64encode(png(picture, "")).decode()
        return cell(number, shop.lora(1), start=data, **told)

    cells = [begun(1, start, denoise=0.5), begun(1, 255 - start, denoise=0.5), cell(1, shop.lora(1))]
    broken = [replace(cells[0], key="k2", start="bm8gcG5n"), replace(cells[0], key="k3", start="?")]
    found = made(local, batch_of(shop, *cells, *broken, steps=4))
    assert [each.problem for each in found] == [None, None, None, "bad-picture", "bad-picture"]
    assert not same(found[0], found[1])
    assert not same(found[0], found[2])
    (alone,) = made(local, batch_of(shop, cells[0], steps=4))
    assert same(alone, found[0])


def test_a_base_model_that_cannot_be_opened_fails_the_batch_and_says_which_setting(
    local: Local, shop: Shop
) -> None:
    batch = replace(batch_of(shop, cell(1), cell(2)), base=BaseAsk("sd15", "gone", "/nowhere/gone"))
    for told in made(local, batch):
        assert told.problem == "no-base"
        assert "LORAS_BASES" in told.text
    flux = replace(batch, base=BaseAsk("flux1", "x", str(shop.folder)))
    assert {each.problem for each in made(local, flux)} == {"unsupported-architecture"}
    odd = batch_of(shop, cell(1), sampler="ancestral")
    assert [each.problem for each in made(local, odd)] == ["bad-request"]
    with pytest.raises(BadRequest):
        local.draw("{}", Told())


def test_nothing_is_opened_while_somebody_else_uses_the_graphics_card(shop: Shop) -> None:
    free: list[int] = [100]
    local = Local(bases=Bases(CPU), least_free=1000, free=lambda _device: free[-1])
    batch = batch_of(shop, cell(1))
    told = answered(local, batch)
    assert told.made == ()
    assert told.busy is not None
    assert "something else" in told.busy
    assert told.seconds == 30
    free.append(2000)
    assert made(local, batch)[0].problem is None
    free.append(100)
    # Who is open already stays; another one has ours closed first.
    assert made(local, batch)[0].problem is None
    assert answered(local, batch_of(shop, cell(1), architecture="sdxl")).busy is not None
    assert answered(local, batch).busy is not None


def test_loras_of_the_next_batch_are_read_while_this_one_is_drawn(shop: Shop) -> None:
    first, second, broken = (replace(shop.lora(number), path=None) for number in (1, 2, 3))
    fetched: list[LoraAsk] = []

    def fetch(ask: LoraAsk) -> Path:
        fetched.append(ask)
        if ask == second:
            begin.wait(20)
        if ask == broken:
            there.set()
            return shop.folder / "nowhere"
        return shop.folder / ask.rel

    local = Local(bases=Bases(CPU), fetch=fetch)
    seen: list[bool] = []

    class Waiting(Told):
        def step(self, done: int, total: int) -> None:
            super().step(done, total)
            base = local.bases.open(shop.base(), "float16")
            if len(self.steps) == 1:
                seen.append(local.adapters.has(second, base))
                begin.set()
            elif len(self.steps) == 2:
                there.wait(20)
                seen.append(local.adapters.has(second, base))

    begin, there = threading.Event(), threading.Event()
    made(local, batch_of(shop, cell(1, first), soon=(second, broken)), Waiting())
    assert seen == [False, True]
    assert made(local, batch_of(shop, cell(2, second)))[0].problem is None
    assert fetched.count(second) == 1
    assert made(local, batch_of(shop, cell(3, broken)))[0].problem == "unreadable-file"
    local.close()


def test_loras_are_kept_while_they_fit_and_go_with_their_base_model(shop: Shop) -> None:
    one, two, xl = shop.lora(1), shop.lora(2), shop.lora(1, architecture="sdxl")
    fetched: list[str] = []

    def fetch(ask: LoraAsk) -> Path:
        fetched.append(ask.name)
        return shop.folder / ask.rel

    room = int(one.size * 1.5)
    local = Local(bases=Bases(CPU, room=1), fetch=fetch, adapter_room=room)
    away = [replace(each, path=None) for each in (one, two, xl)]
    for lora in (away[0], away[0], away[1], away[0]):
        assert made(local, batch_of(shop, cell(1, lora)))[0].problem is None
    assert fetched == [one.name, two.name, one.name]
    made(local, batch_of(shop, cell(1, away[2]), architecture="sdxl"))
    made(local, batch_of(shop, cell(1, away[0])))
    assert fetched[3:] == [xl.name, one.name]
    local.close()
    assert len(local.adapters._held) == 0


def test_what_is_held_goes_by_when_it_was_used_last() -> None:
    gone: list[str] = []
    held: Held[str] = Held(10, gone.append)
    for name, size in (("a", 4), ("b", 4)):
        held.put(name, name, size)
    assert held.get("a") == "a"
    held.put("c", "c", 5)
    assert gone == ["b"]
    held.put("d", "d", 50)
    assert gone == ["b", "a", "c"]
    assert held.get("d") == "d"
    assert "a" not in held


def test_a_draft_is_drawn_with_the_lcm_lora_of_its_architecture(shop: Shop, tmp_path: Path) -> None:
    lcm = shop.lora(77, size=0.4).path or ""
    local = Local(bases=Bases(CPU), draft_loras={"sd15": lcm})
    look: dict[str, Any] = {"steps": 4, "sampler": "LCM", "cfg": 1.0}
    cells = [cell(1, shop.lora(1)), cell(2)]
    full = made(local, batch_of(shop, *cells))
    drafts = made(local, batch_of(shop, *cells, draft=True, **look))
    plain = made(local, batch_of(shop, *cells, **look))
    assert [each.text for each in drafts] == ["", ""]
    assert not any(map(same, drafts, plain))
    assert all(map(same, made(local, batch_of(shop, *cells)), full))
    without = Local(bases=Bases(CPU))
    told = made(without, batch_of(shop, *cells, draft=True, **look))
    assert all(map(same, told, plain))
    assert all("LORAS_DRAFT_LORAS" in each.text and each.problem is None for each in told)
    broken = Local(bases=Bases(CPU), draft_loras={"sd15": str(tmp_path / "gone")})
    assert made(broken, batch_of(shop, cell(1), draft=True, **look))[0].problem == "unreadable-file"


def test_memory_that_is_too_small_is_told(local: Local, shop: Shop) -> None:
    base = local.bases.open(shop.base(), "float16")

    def crowded(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError

    base.engine.pipe.unet.forward = crowded
    found = made(local, batch_of(shop, cell(1), cell(2)))
    assert [each.problem for each in found] == ["out-of-memory"] * 2
    assert "memory" in found[0].text


def test_a_picture_of_one_colour_is_kept_and_told(local: Local, shop: Shop) -> None:
    vae = local.bases.open(shop.base(), "float16").engine.pipe.vae
    vae.decoder.conv_out.weight.data.zero_()
    (told,) = made(local, batch_of(shop, cell(1)))
    assert told.problem == "flat"
    assert pixels(told).std(axis=(0, 1)).max() == 0


def test_a_graphics_card_that_is_not_there_is_told() -> None:
    with pytest.raises(CannotDraw, match=r"no graphics card 99"):
        device_of(99)


def test_a_child_process_draws_the_same_stays_at_home_and_leaves_the_processor_to_others(
    local: Local, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    batch = batch_of(shop, cell(1, shop.lora(1)), cell(2))
    options = orjson.dumps({"gpu": None, "least_free": 0, "draft_loras": {}}).decode()
    child = Child("tests.support.child_facts", options)
    try:
        handed = child.begin(pack_batch(batch))
        told = orjson.loads(handed.future.result(120))
        assert handed.progress() == (6, 6)
    finally:
        child.close()
    assert all(map(same, unpack_answer(told["answer"], ["k1", "k2"]).made, made(local, batch)))
    facts = told["facts"]
    assert facts["loaded_before"] == []
    assert set(facts["offline"].values()) == {"1"}
    assert facts["niceness"] in {None, 10, 19}
    assert facts["threads"] == 1 or torch.cuda.is_available()
