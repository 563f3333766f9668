"""Base models from files of one piece and from folders, without a network and without anything unpickled."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from registry.errors import NoBase, RegistryError, UnreadableFile, UnsupportedArchitecture, UnsupportedKind
from registry.render.batch import BaseAsk
from tests.support.oracles import oracle

torch = oracle("torch")
diffusers = oracle("diffusers")
transformers = oracle("transformers")

from registry.render.bases import Bases  # noqa: E402 - only with torch
from registry.render.checkpoints import facts_of_file  # noqa: E402
from registry.render.clip import CONFIGS, tokenizer  # noqa: E402
from registry.render.engine import Cell, Look  # noqa: E402
from registry.render.precision import in_32_bits  # noqa: E402
from tests.support.checkpoints import checkpoint_of, config_of, with_all_words  # noqa: E402
from tests.support.fitted import adapter_of  # noqa: E402
from tests.support.pipelines import tiny_sd15, tiny_sdxl  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

CPU = torch.device("cpu")
TINY = {"sd15": tiny_sd15, "sd2": tiny_sd15, "sdxl": tiny_sdxl}
PARTS = ("unet", "vae", "text_encoder", "text_encoder_2")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def ask_of(path: Path | None, architecture: str = "sd15", **told: Any) -> BaseAsk:
    return BaseAsk(architecture, "tiny", None if path is None else str(path), **told)


def weights_of(pipe: Any) -> dict[str, Any]:
    parts = {part: getattr(pipe, part) for part in PARTS if hasattr(pipe, part)}
    return {
        f"{part}.{name}": data for part, model in parts.items() for name, data in model.named_parameters()
    }


def picture(base: Any) -> Any:
    ((_, found),) = base.engine.draw([Cell("a photo of a cat", 1)], Look(64, 64, steps=2))
    return found.pixels


@pytest.fixture(scope="module", params=["sd15", "sd2", "sdxl"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any, Path]:
    """A tiny pipeline, and a place where it lies as a folder, as a file, and with its configuration."""
    place = tmp_path_factory.mktemp("base")
    name = request.param
    pipe = with_all_words(TINY[name](place / "words"))
    for words in ("tokenizer", "tokenizer_2"):
        if hasattr(pipe, words):
            setattr(pipe, words, tokenizer(CONFIGS / name / words))
    pipe.save_pretrained(place / "folder")
    checkpoint_of(pipe, place / "one.safetensors", open_clip=name == "sd2")
    config_of(pipe, place / "configs" / name, CONFIGS / name)
    return name, pipe, place


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A tiny base model as a folder."""
    tiny_sd15(tmp_path / "words").save_pretrained(tmp_path / "small")
    return tmp_path / "small"


def test_a_folder_and_a_file_of_one_piece_are_the_same_model(both: tuple[str, Any, Path]) -> None:
    name, pipe, place = both
    bases = Bases(CPU, configs=place / "configs")
    opened = [bases.open(ask_of(place / path, name), "float16") for path in ("folder", "one.safetensors")]
    for base in opened:
        found, wanted = weights_of(base.engine.pipe), weights_of(pipe)
        assert found.keys() == wanted.keys()
        assert all(each.dtype == torch.float32 for each in found.values())
        assert all(bool((found[each] == wanted[each]).all()) for each in wanted)
    np.testing.assert_array_equal(picture(opened[0]), picture(opened[1]))
    assert picture(opened[0]).std() > 1


def test_words_are_those_of_clip() -> None:
    words = {
        name: tokenizer(CONFIGS / name) for name in ("sd15/tokenizer", "sd2/tokenizer", "sdxl/tokenizer_2")
    }
    for each in words.values():
        assert len(each) == 49408
        assert (each.bos_token_id, each.eos_token_id, each.model_max_length) == (49406, 49407, 77)
        assert each("A photo of  a CAT").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
        assert each.decode(each("watercolour heron, reeds!").input_ids[1:-1]) == "watercolour heron , reeds !"
    assert [each.pad_token_id for each in words.values()] == [49407, 0, 0]


@pytest.mark.parametrize(
    ("architecture", "counts"),
    [
        ("sd15", (859_520_964, 83_653_863, 123_060_480)),
        ("sd2", (865_910_724, 83_653_863, 340_387_840)),
        ("sdxl", (2_567_463_684, 83_653_863, 123_060_480, 694_659_840)),
    ],
)
def test_configurations_are_those_of_the_real_models(architecture: str, counts: tuple[int, ...]) -> None:
    config = CONFIGS / architecture
    with torch.device("meta"):
        models = [
            kind.from_config(kind.load_config(config / part))
            for kind, part in ((diffusers.UNet2DConditionModel, "unet"), (diffusers.AutoencoderKL, "vae"))
        ]
        for kind, part in (
            ("CLIPTextModel", "text_encoder"),
            ("CLIPTextModelWithProjection", "text_encoder_2"),
        ):
            if (config / part).is_dir():
                told = transformers.CLIPTextConfig.from_pretrained(config / part)
                models.append(getattr(transformers, kind)(told))
    assert tuple(sum(each.numel() for each in model.parameters()) for model in models) == counts
    named = json.loads((config / "model_index.json").read_text(encoding="utf-8"))
    assert {name for name, each in named.items() if isinstance(each, list)} == {
        each.name for each in config.iterdir() if each.is_dir()
    }


def test_what_noise_is_predicted_is_what_is_said_or_else_what_the_file_tells(tmp_path: Path) -> None:
    pipe = with_all_words(tiny_sd15(tmp_path / "words"))
    config_of(pipe, tmp_path / "sd15", CONFIGS / "sd15")
    plain = checkpoint_of(pipe, tmp_path / "plain.safetensors")
    told = checkpoint_of(pipe, tmp_path / "told.safetensors", v_pred=torch.zeros(0), ztsnr=torch.zeros(0))
    spec = checkpoint_of(pipe, tmp_path / "spec.safetensors", metadata={"modelspec.prediction_type": "v"})
    bases = Bases(CPU, configs=tmp_path)

    def config(ask: BaseAsk) -> Any:
        return bases.open(ask, "float32").engine.pipe.scheduler.config

    assert config(ask_of(plain)).get("prediction_type", "epsilon") == "epsilon"
    assert config(ask_of(plain, prediction="v_prediction")).prediction_type == "v_prediction"
    assert config(ask_of(told)).prediction_type == "v_prediction"
    assert config(ask_of(told)).rescale_betas_zero_snr is True
    assert config(ask_of(spec)).prediction_type == "v_prediction"
    assert config(ask_of(spec, prediction="epsilon")).prediction_type == "epsilon"
    assert len({picture(bases.open(ask_of(each), "float32")).tobytes() for each in (plain, told, spec)}) == 3


@pytest.mark.parametrize(("spread", "prediction"), [(0.2, "v_prediction"), (0.02, "epsilon")])
def test_weights_of_sd2_tell_which_noise_they_predict(tmp_path: Path, spread: float, prediction: str) -> None:
    bias = np.tile(np.array([spread, -spread], np.float32), 160)
    path = tmp_path / "two.safetensors"
    save_file(
        {**parts(1024), "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias": bias},
        path,
    )
    assert facts_of_file(path, CONFIGS / "sd2").schedule["prediction_type"] == prediction


def parts(width: int, channels: int = 4) -> dict[str, Any]:
    """The least that a checkpoint of one piece is known by."""
    return {
        "model.diffusion_model.input_blocks.0.0.weight": np.zeros((2, channels, 3, 3), np.float16),
        "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": np.zeros(
            (2, width), np.float16
        ),
        "first_stage_model.encoder.conv_in.weight": np.zeros((1, 1), np.float16),
        "cond_stage_model.transformer.x": np.zeros((1, 1), np.float16),
        "model_ema.whatever": np.zeros((100, 100), np.float32),
    }


def test_averages_of_a_training_are_not_counted(tmp_path: Path) -> None:
    save_file(parts(768), tmp_path / "one.safetensors")
    assert facts_of_file(tmp_path / "one.safetensors", CONFIGS / "sd15").numbers == 72 + 1536 + 2


def test_what_cannot_be_opened_is_refused_with_what_to_do(tmp_path: Path) -> None:
    bases = Bases(CPU)
    files = {
        "pickled.ckpt": None,
        "text.safetensors": None,
        "xl.safetensors": parts(2048),
        "inpainting.safetensors": parts(768, 9),
        "unet.safetensors": {name: each for name, each in parts(768).items() if "first_stage" not in name},
        "edm.safetensors": {**parts(768), "edm_mean": np.zeros(4, np.float32)},
        "empty.safetensors": parts(768),
    }
    for name, arrays in files.items():
        if arrays is None:
            (tmp_path / name).write_bytes(b"\x80\x02not weights at all")
        else:
            save_file(arrays, tmp_path / name)
    wanted: dict[str, tuple[type[RegistryError], str]] = {
        "pickled.ckpt": (UnsupportedKind, "convert it to safetensors"),
        "text.safetensors": (UnreadableFile, "no whole safetensors file"),
        "xl.safetensors": (NoBase, "2048 numbers, not 768.*LORAS_BASES"),
        "inpainting.safetensors": (UnsupportedKind, "inpainting"),
        "unet.safetensors": (UnreadableFile, "first_stage_model.*folder of diffusers"),
        "edm.safetensors": (UnsupportedKind, "of another noise"),
        "empty.safetensors": (UnreadableFile, "cannot be opened as sd15"),
        "nowhere.safetensors": (NoBase, "nowhere.*LORAS_BASES"),
    }
    for name, (kind, text) in wanted.items():
        told = refusal(bases, ask_of(tmp_path / name))
        assert type(told) is kind, name
        assert re.search(text, f"{told}; {told.remedy}"), f"{told}; {told.remedy}"
    assert "LORAS_BASES" in refusal(bases, ask_of(None)).remedy
    flux = refusal(bases, ask_of(tmp_path / "xl.safetensors", "flux1"))
    assert isinstance(flux, UnsupportedArchitecture)
    assert "sd15, sd2, sdxl" in flux.remedy


def test_a_file_that_lacks_a_weight_is_refused_and_not_made_up(tmp_path: Path) -> None:
    pipe = with_all_words(tiny_sd15(tmp_path / "words"))
    config_of(pipe, tmp_path / "sd15", CONFIGS / "sd15")
    path = checkpoint_of(pipe, tmp_path / "one.safetensors")
    for name in ("final_layer_norm.weight", "decoder.conv_out.bias", "middle_block.0.out_layers.3.bias"):
        arrays = {each: data for each, data in load_file(path).items() if not each.endswith(name)}
        save_file(arrays, tmp_path / "lacks.safetensors")
        told = refusal(Bases(CPU, configs=tmp_path), ask_of(tmp_path / "lacks.safetensors"))
        assert isinstance(told, UnreadableFile)
        assert re.search(r"lacks (1 )?weights of its", str(told))


def refusal(bases: Bases, ask: BaseAsk) -> RegistryError:
    with pytest.raises(RegistryError) as told:
        bases.open(ask, "float16")
    return told.value


def test_a_folder_runs_no_code_of_its_own(small: Path) -> None:
    index = json.loads((small / "model_index.json").read_text(encoding="utf-8"))
    index["unet"] = ["evil", "Evil"]
    (small / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    (small / "unet" / "evil.py").write_text("raise SystemExit('code of a stranger ran')\n", encoding="utf-8")
    assert Bases(CPU).open(ask_of(small), "float16").engine.pipe.unet.config.in_channels == 4


def test_a_folder_with_pickled_weights_is_refused(small: Path) -> None:
    weights = small / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    told = refusal(Bases(CPU), ask_of(small))
    assert isinstance(told, UnsupportedKind)
    assert "convert it to safetensors" in told.remedy


def test_a_folder_of_another_architecture_is_refused(small: Path) -> None:
    told = refusal(Bases(CPU), ask_of(small, "sdxl"))
    assert isinstance(told, NoBase)
    assert "not text_encoder, text_encoder_2, unet, vae" in str(told)
    (small / "text_encoder").rename(small / "text_encoder_2")
    assert isinstance(refusal(Bases(CPU), ask_of(small)), NoBase)
    (small / "text_encoder_2").rename(small / "text_encoder")
    config = small / "unet" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "in_channels": 9}), encoding="utf-8")
    assert isinstance(refusal(Bases(CPU), ask_of(small)), UnsupportedKind)
    config.write_text("{", encoding="utf-8")
    assert isinstance(refusal(Bases(CPU), ask_of(small)), UnreadableFile)


def test_a_folder_may_hold_the_weights_of_16_bits_alone(tmp_path: Path) -> None:
    tiny_sd15(tmp_path / "words").save_pretrained(tmp_path / "half", variant="fp16")
    base = Bases(CPU).open(ask_of(tmp_path / "half"), "float16")
    assert picture(base).std() > 1


def test_base_models_stay_open_while_they_fit_and_the_oldest_goes_first(small: Path, tmp_path: Path) -> None:
    other, third = tmp_path / "other", tmp_path / "third"
    tiny_sd15(tmp_path / "words", seed=1).save_pretrained(other)
    tiny_sd15(tmp_path / "words", seed=2).save_pretrained(third)
    asks = [ask_of(each) for each in (small, other, third)]
    closed: list[Any] = []
    size = 4 * sum(each.numel() for each in weights_of(tiny_sd15(tmp_path / "words")).values())
    bases = Bases(CPU, room=2 * size + size // 2, on_close=closed.append)
    first, second = (bases.open(ask, "float16") for ask in asks[:2])
    assert bases.open(asks[0], "float16") is first
    assert bases.open(replace(asks[0], name="by another name"), "float32") is first
    bases.open(asks[2], "float16")
    assert closed == [second]
    assert second.is_closed
    assert [bases.has(ask, "float16") for ask in asks] == [True, False, True]
    bases.close()
    assert len(closed) == 3


def test_a_file_that_was_replaced_is_opened_again(tmp_path: Path) -> None:
    pipe = with_all_words(tiny_sd15(tmp_path / "words"))
    config_of(pipe, tmp_path / "sd15", CONFIGS / "sd15")
    path = checkpoint_of(pipe, tmp_path / "one.safetensors")
    bases = Bases(CPU, configs=tmp_path)
    before = bases.open(ask_of(path), "float16")
    was = picture(before)
    checkpoint_of(
        with_all_words(tiny_sd15(tmp_path / "words", seed=5)), tmp_path / "new.safetensors", x=torch.ones(9)
    )
    (tmp_path / "new.safetensors").replace(path)
    after = bases.open(ask_of(path), "float16")
    assert after is not before
    assert (picture(after) != was).any()


def test_a_model_calculates_in_32_bits_for_a_while_and_is_then_as_it_was() -> None:
    for dtype in (torch.float16, torch.bfloat16):
        model = torch.nn.Linear(64, 64).to(dtype)
        # Among them the smallest numbers, which 32 bits write in another way.
        model.weight.data.copy_(torch.arange(4096).reshape(64, 64).to(torch.int16).view(dtype))
        before = model.weight.data.clone()
        with in_32_bits(model):
            assert model.weight.dtype == model.bias.dtype == torch.float32
        assert model.weight.dtype == dtype
        assert bool((model.weight.view(torch.int16) == before.view(torch.int16)).all())


def test_drafts_are_made_with_an_adapter_merged_in_once_and_taken_out_again(
    small: Path, tmp_path: Path
) -> None:
    base = Bases(CPU).open(ask_of(small), "float16")
    adapter = adapter_of(tmp_path, base.engine.base, "lora", size=0.5)
    read: list[str] = []

    def reading() -> Any:
        read.append("once")
        return adapter

    plain, weights = (
        picture(base),
        {name: each.clone() for name, each in weights_of(base.engine.pipe).items()},
    )
    base.draft_with("lcm", reading)
    base.draft_with("lcm", reading)
    assert read == ["once"]
    assert (picture(base) != plain).any()
    base.draft_with(None, reading)
    np.testing.assert_array_equal(picture(base), plain)
    assert all(bool((each == weights[name]).all()) for name, each in weights_of(base.engine.pipe).items())
