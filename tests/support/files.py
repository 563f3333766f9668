"""Builders of real `.safetensors` files, without numpy or torch.

Everything is deterministic: the same arguments give the same bytes.
"""

from __future__ import annotations

import json
import math
import random
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

Contents = bytes | int | None
"""The bytes of a tensor: as given, random from a seed, or zeros."""

TensorSpec = tuple[str, tuple[int, ...], Contents]
"""dtype, shape, contents."""

Order = Literal["file", "name", "reversed", "library"]
"""`file`: as listed; `name`: by name; `reversed`: as listed, backwards; `library`: as safetensors >= 0.3."""

DTYPE_BITS = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}


def tensor_size(dtype: str, shape: tuple[int, ...]) -> int:
    """Return the length of such a tensor in bytes."""
    return math.prod(shape) * DTYPE_BITS[dtype] // 8


def ordered(tensors: Mapping[str, TensorSpec], order: Order = "file") -> dict[str, TensorSpec]:
    """Return the tensors in the order in which their data are to be written."""
    items = list(tensors.items())
    if order == "name":
        items.sort(key=lambda item: item[0])
    elif order == "reversed":
        items.reverse()
    elif order == "library":
        items.sort(key=lambda item: (-DTYPE_BITS[item[1][0]], item[1][0], item[0]))
    return dict(items)


def tensor_entries(tensors: Mapping[str, TensorSpec]) -> str:
    """Return the members of the header object that describe `tensors`, without the braces."""
    entries, start = {}, 0
    for name, (dtype, shape, _) in tensors.items():
        end = start + tensor_size(dtype, shape)
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
        start = end
    return json.dumps(entries, ensure_ascii=False, separators=(",", ":"))[1:-1]


def frame(text: str | bytes, *, pad: bool = True) -> bytes:
    """Return `text` as the head of a file: its length, then itself, padded to 8 bytes if asked."""
    raw = text.encode() if isinstance(text, str) else text
    if pad:
        raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw


def join_header(entries: str, metadata: Mapping[str, str] | None, *, pad: bool = True) -> bytes:
    """Return the head of a file from the text of `tensor_entries` and the metadata."""
    members = [] if metadata is None else ['"__metadata__":' + _compact(dict(metadata))]
    if entries:
        members.append(entries)
    return frame("{" + ",".join(members) + "}", pad=pad)


def header_bytes(
    tensors: Mapping[str, TensorSpec],
    metadata: Mapping[str, str] | None = None,
    *,
    order: Order = "file",
    pad: bool = True,
) -> bytes:
    """Return everything before the data section: the length field and the JSON, `pad`ded to 8 bytes."""
    return join_header(tensor_entries(ordered(tensors, order)), metadata, pad=pad)


def tensor_bytes(spec: TensorSpec) -> bytes:
    """Return the contents of one tensor."""
    dtype, shape, contents = spec
    size = tensor_size(dtype, shape)
    if contents is None:
        return bytes(size)
    if isinstance(contents, int):
        return random.Random(contents).randbytes(size)
    if len(contents) != size:
        raise ValueError(f"{dtype}{list(shape)} takes {size} bytes, not {len(contents)}")
    return contents


def data_bytes(tensors: Mapping[str, TensorSpec], *, order: Order = "file") -> bytes:
    """Return the data section."""
    return b"".join(tensor_bytes(spec) for spec in ordered(tensors, order).values())


def write_safetensors(
    path: Path,
    tensors: Mapping[str, TensorSpec],
    metadata: Mapping[str, str] | None = None,
    *,
    order: Order = "file",
    pad: bool = True,
    sparse: bool = False,
) -> Path:
    """Write a file that the safetensors library accepts and return `path`; folders are made as needed.

    With `sparse`, tensors without contents become holes that take no disk space.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        end = file.write(header_bytes(tensors, metadata, order=order, pad=pad))
        for spec in ordered(tensors, order).values():
            size = tensor_size(spec[0], spec[1])
            if sparse and spec[2] is None:
                file.seek(size, 1)
            else:
                file.write(tensor_bytes(spec))
            end += size
        file.truncate(end)
    return path


def kohya_lora(
    path: Path,
    *,
    modules: int = 264,
    rank: int = 8,
    metadata: Mapping[str, str | None] | None = None,
    tags: int = 150,
    seed: int = 0,
    sparse: bool = False,
) -> Path:
    """Write a LoRA for Stable Diffusion 1.5 as kohya-ss/sd-scripts lays it out and return `path`.

    `modules` counts from the text encoder on (264 are all there are); `metadata` goes over the generated
    entries, `None` removes one. With `sparse` all but the first tensor are holes, so that the data still
    differ by `seed`.
    """
    tensors = kohya_tensors(modules=modules, rank=rank)
    filled: dict[str, TensorSpec] = {
        name: (dtype, shape, None if sparse and index else seed * 1_000_003 + index)
        for index, (name, (dtype, shape, _)) in enumerate(tensors.items())
    }
    merged = {**kohya_metadata(seed=seed, tags=tags, rank=rank, name=path.stem), **(metadata or {})}
    kept = {key: value for key, value in merged.items() if value is not None}
    return write_safetensors(path, filled, kept, sparse=sparse)


def kohya_tensors(*, modules: int = 264, rank: int = 8, dtype: str = "F16") -> dict[str, TensorSpec]:
    """Return the tensors of an SD 1.5 LoRA in file order: per module `alpha`, `lora_down`, `lora_up`."""
    tensors: dict[str, TensorSpec] = {}
    for name, out_width, in_width, kernel in list(_modules())[:modules]:
        tensors[f"{name}.alpha"] = (dtype, (), None)
        tensors[f"{name}.lora_down.weight"] = (dtype, (rank, in_width, *kernel), None)
        tensors[f"{name}.lora_up.weight"] = (dtype, (out_width, rank, *kernel), None)
    return ordered(tensors, "name")


def kohya_metadata(*, seed: int = 0, tags: int = 150, rank: int = 8, name: str = "lora") -> dict[str, str]:
    """Return about sixty `ss_*` entries as `train_network.py` of sd-scripts writes them.

    All values are `str()` of Python values; a tenth of the tags are Chinese.
    """
    rng = random.Random(seed)
    images, repeats, epochs, batch = (
        rng.randint(12, 90),
        rng.choice((4, 8, 10, 20)),
        rng.choice((5, 10, 16)),
        2,
    )
    steps = images * repeats * epochs // batch
    started = 1_680_000_000 + rng.randrange(60_000_000) + rng.random()
    folder = f"{repeats}_{name}"
    frequency = dict(_tags(rng, tags, images))
    learning_rate = rng.choice((1e-4, 5e-5, 2e-4))
    values: dict[str, object] = {
        "ss_session_id": rng.randrange(2**32),
        "ss_training_started_at": started,
        "ss_training_finished_at": started + steps * 0.6,
        "ss_output_name": name,
        "ss_training_comment": None,
        "ss_sd_scripts_commit_hash": rng.randbytes(20).hex(),
        "ss_seed": rng.randrange(2**31),
        "ss_num_train_images": images * repeats,
        "ss_num_reg_images": 0,
        "ss_num_batches_per_epoch": images * repeats // batch,
        "ss_num_epochs": epochs,
        "ss_epoch": epochs,
        "ss_steps": steps,
        "ss_max_train_steps": steps,
        "ss_optimizer": "bitsandbytes.optim.adamw.AdamW8bit",
        "ss_learning_rate": learning_rate,
        "ss_unet_lr": learning_rate,
        "ss_text_encoder_lr": learning_rate / 2,
        "ss_lr_scheduler": rng.choice(("cosine_with_restarts", "constant", "cosine")),
        "ss_lr_warmup_steps": steps // 10,
        "ss_max_grad_norm": 1.0,
        "ss_gradient_accumulation_steps": 1,
        "ss_gradient_checkpointing": False,
        "ss_mixed_precision": "fp16",
        "ss_full_fp16": False,
        "ss_lowram": False,
        "ss_network_module": "networks.lora",
        "ss_network_dim": rank,
        "ss_network_alpha": float(rank // 2 or 1),
        "ss_network_dropout": None,
        "ss_sd_model_name": rng.choice(("v1-5-pruned.safetensors", "animefull-final-pruned.safetensors")),
        "ss_sd_model_hash": rng.randbytes(4).hex(),
        "ss_new_sd_model_hash": rng.randbytes(32).hex(),
        "ss_v2": False,
        "ss_base_model_version": "sd_v1",
        "ss_clip_skip": rng.choice((None, 2)),
        "ss_max_token_length": 225,
        "ss_noise_offset": None,
        "ss_multires_noise_iterations": None,
        "ss_multires_noise_discount": 0.3,
        "ss_adaptive_noise_scale": None,
        "ss_zero_terminal_snr": False,
        "ss_min_snr_gamma": 5.0,
        "ss_scale_weight_norms": None,
        "ss_prior_loss_weight": 1.0,
        "ss_caption_dropout_rate": 0.0,
        "ss_caption_dropout_every_n_epochs": 0,
        "ss_caption_tag_dropout_rate": 0.0,
        "ss_face_crop_aug_range": None,
        "ss_cache_latents": True,
        "ss_batch_size_per_device": batch,
        "ss_total_batch_size": batch,
        "ss_resolution": (512, 768),
        "ss_color_aug": False,
        "ss_flip_aug": False,
        "ss_random_crop": False,
        "ss_shuffle_caption": True,
        "ss_enable_bucket": True,
        "ss_bucket_no_upscale": True,
        "ss_min_bucket_reso": 256,
        "ss_max_bucket_reso": 1024,
        "ss_keep_tokens": 1,
        "ss_dataset_dirs": _compact({folder: {"n_repeats": repeats, "img_count": images}}),
        "ss_reg_dataset_dirs": "{}",
        "ss_tag_frequency": _compact({folder: frequency}),
        "ss_bucket_info": _compact(_buckets(rng, images * repeats)),
    }
    return {key: str(value) for key, value in values.items()}


def _modules() -> Iterator[tuple[str, int, int, tuple[int, ...]]]:
    """Yield name, output width, input width and kernel of the modules that sd-scripts adapts in SD 1.5."""
    for layer in range(12):
        stem = f"lora_te_text_model_encoder_layers_{layer}"
        yield from ((f"{stem}_self_attn_{part}_proj", 768, 768, ()) for part in ("q", "k", "v", "out"))
        yield f"{stem}_mlp_fc1", 3072, 768, ()
        yield f"{stem}_mlp_fc2", 768, 3072, ()
    for block, width in _attention_blocks():
        stem = f"lora_unet_{block}"
        inner = f"{stem}_transformer_blocks_0"
        yield f"{stem}_proj_in", width, width, (1, 1)
        for attention, context in (("attn1", width), ("attn2", 768)):
            yield f"{inner}_{attention}_to_q", width, width, ()
            yield f"{inner}_{attention}_to_k", width, context, ()
            yield f"{inner}_{attention}_to_v", width, context, ()
            yield f"{inner}_{attention}_to_out_0", width, width, ()
        yield f"{inner}_ff_net_0_proj", width * 8, width, ()
        yield f"{inner}_ff_net_2", width, width * 4, ()
        yield f"{stem}_proj_out", width, width, (1, 1)


def _attention_blocks() -> Iterator[tuple[str, int]]:
    for block, width in enumerate((320, 640, 1280)):
        yield from ((f"down_blocks_{block}_attentions_{index}", width) for index in range(2))
    yield "mid_block_attentions_0", 1280
    for block, width in enumerate((1280, 640, 320), start=1):
        yield from ((f"up_blocks_{block}_attentions_{index}", width) for index in range(3))


_ADJECTIVES = (
    "long",
    "short",
    "red",
    "blue",
    "silver",
    "open",
    "closed",
    "white",
    "black",
    "smiling",
    "striped",
    "wet",
)
_NOUNS = (
    "hair",
    "eyes",
    "dress",
    "jacket",
    "sky",
    "forest",
    "hat",
    "gloves",
    "skirt",
    "background",
    "ribbon",
    "sword",
)
_CHINESE = ("长发", "蓝眼睛", "微笑", "单人", "汉服", "剑", "白发", "夜晚", "花", "水墨画", "城市", "雪")


def _tags(rng: random.Random, count: int, images: int) -> Iterable[tuple[str, int]]:
    seen: dict[str, int] = {}
    while len(seen) < count:
        if rng.random() < 0.1:
            tag = rng.choice(_CHINESE)
        else:
            tag = f"{rng.choice(_ADJECTIVES)} {rng.choice(_NOUNS)}"
        if tag in seen:
            tag = f"{tag} {len(seen)}"
        seen[tag] = 1 + int(images * rng.random() ** 3)
    return seen.items()


def _buckets(rng: random.Random, count: int) -> dict[str, object]:
    buckets: dict[str, object] = {}
    left, index = count, rng.randrange(3)
    while left > 0:
        held = rng.randint(1, left)
        buckets[str(index)] = {"resolution": [256 + 64 * (index % 12), 832 - 64 * (index % 7)], "count": held}
        left -= held
        index += rng.randint(1, 3)
    return {"buckets": buckets, "mean_img_ar_error": rng.random() / 20}


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
