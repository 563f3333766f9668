"""A generated catalog to search: deterministic, Zipf vocabulary, partly Chinese and Japanese.

50,000 booru-like tags of which 7 % are Chinese or Japanese, 30 to 800 tags a LoRA (151 on average), a
description of about 1.8 kB of which 12 % are partly Chinese, 10 architectures, 8 adapters, 300 base models,
320 folders; one lora in 20 has a second file. The same number gives the same record on every machine: what is
drawn comes from raw PCG64 numbers, whose stream numpy promises to keep, and from `random.Random`.
"""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from registry.views import SearchFile, SearchRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

VOCABULARY: Final = 50_000
EXPONENT: Final = 0.95
ARCHITECTURES: Final = (
    "sdxl", "sd15", "flux1", "sd3", "wan", "qwen_image", "z_image", "chroma", "sd2", "hunyuan_video",
)  # fmt: skip
ADAPTERS: Final = ("lora", "locon", "lokr", "loha", "dora", "oft", "ia3", "diff")
RANKS: Final = (4, 8, 16, 32, 64, 128)
TRAINERS: Final = ("kohya", "onetrainer", "ai-toolkit", "musubi", "diffusers")
OPTIMIZERS: Final = ("AdamW8bit", "Prodigy", "Adafactor", "Lion", "CAME")
SCHEDULERS: Final = ("cosine", "constant", "cosine_with_restarts", "polynomial")
PRECISIONS: Final = ("fp16", "bf16", "fp32")
LEARNING_RATES: Final = (1e-4, 5e-5, 2e-4, 1.0)
SIDES: Final = (512, 768, 832, 1024, 1216)
SIZES: Final = (18, 36, 72, 144, 228)
ROOTS: Final = 3
FOLDERS: Final = 320
BASE_MODELS: Final = 300
NOW: Final = 1_780_000_000_000
YEAR: Final = 365 * 86_400_000
DIGESTS: Final = (
    ("autov1", 8), ("autov2", 10), ("autov3", 12), ("blake3", 64), ("crc32", 8), ("data_sha256", 64),
    ("sha256", 64), ("sshs_legacy_hash", 8), ("tensor_hash", 64),
)  # fmt: skip
"""The digests of a usual file, with their length in hex digits."""

_SYLLABLES: Final = (
    "ka", "ri", "mo", "te", "shi", "blu", "red", "long", "hair", "sho", "gir", "eye", "smi", "le", "dre",
    "ss", "fa", "ce", "ha", "nd", "bow", "sky", "ar", "mor", "wa", "ter", "sun", "moon", "li", "ght", "kni",
    "fe", "cat", "dog", "fox", "ear", "ta", "il", "wing", "ho", "rn", "ro", "be", "coat", "boot", "glo",
    "ve", "mask", "hat",
)  # fmt: skip
_CHINESE: Final = (
    "猫狗女孩长发裙子红蓝白黑天空花海月夜灯光盲盒汉服旗袍古风水墨山川城市少年眼睛微笑背景立绘人物机甲未来战士"
)
_JAPANESE: Final = ("ツインテール", "セーラー服", "巫女", "着物", "ねこみみ", "アニメ塗り", "制服", "浴衣")
_ODD: Final = (
    "盲盒", "dumbbell，cylinder", "re:zero", ":3", "1girl", "long_hair", "c++", "blue_eyes", "solo",
)  # fmt: skip
_BITS: Final = 20  # of a raw number that choose a tag


@cache
def vocabulary() -> tuple[str, ...]:
    """Return the tags, the commonest first."""
    chance = random.Random(1)
    found: dict[str, None] = dict.fromkeys(_ODD)
    while len(found) < VOCABULARY:
        if chance.random() < 0.0587:
            made = chance.choice(_JAPANESE) if chance.random() < 0.2 else ""
            found[made + "".join(chance.choices(_CHINESE, k=chance.randint(2, 4)))] = None
        else:
            some = chance.randint(1, 3)
            words = ["".join(chance.choices(_SYLLABLES, k=chance.randint(1, 3))) for _ in range(some)]
            found["_".join(words)] = None
    tags = list(found)
    head, rest = tags[: len(_ODD)], tags[len(_ODD) :]
    chance.shuffle(rest)
    return tuple(rest[:20] + head + rest[20:])


@cache
def _places() -> NDArray[np.uint16]:
    """Return a place in the vocabulary for each number of 20 bits, so that common tags have many."""
    weights = np.cumsum(1 / np.arange(1, VOCABULARY + 1) ** EXPONENT)
    at = (np.arange(1 << _BITS) + 0.5) * (weights[-1] / (1 << _BITS))
    places: NDArray[np.uint16] = np.searchsorted(weights, at).astype(np.uint16)
    return places


@cache
def _spoken() -> tuple[tuple[str, ...], NDArray[np.bool_]]:
    """Return the vocabulary as words of a text, and which of them are Chinese or Japanese."""
    words = tuple(tag.replace("_", " ") for tag in vocabulary())
    return words, np.array([not word.isascii() for word in words])


def _draw(raw: NDArray[np.uint64]) -> NDArray[np.uint16]:
    drawn: NDArray[np.uint16] = _places()[raw >> (64 - _BITS)]
    return drawn


def tag_places(number: int) -> list[tuple[int, int]]:
    """Return the tags of a lora as places in the vocabulary with their counts, the highest count first."""
    chance = random.Random(-number)
    some = min(800, max(30, int(chance.lognormvariate(4.895, 0.55))))
    source = np.random.PCG64(number)
    drawn = _draw(source.random_raw(2 * some))
    while len(places := list(dict.fromkeys(drawn.tolist()))) < some:
        drawn = np.concatenate([drawn, _draw(source.random_raw(some))])
    places = places[:some]
    high = 30 + 400 * chance.random()
    shares = (source.random_raw(some) >> 11) * 2.0**-53
    counts = np.sort(1 + (high * shares**3).astype(np.int64))[::-1]
    return list(zip(places, counts.tolist(), strict=True))


def digests(number: int) -> dict[str, str]:
    """Return the digests of the files of a lora; none for one in 20, which is not hashed yet."""
    if number % 20 == 7:
        return {}
    chance = random.Random(f"digests of {number}")
    return {name: f"{chance.getrandbits(4 * digits):0{digits}x}" for name, digits in DIGESTS}


def _description(number: int, chance: random.Random) -> str:
    words, foreign = _spoken()
    length = chance.randint(900, 2700)
    places = _draw(np.random.PCG64(-1 - number & 0xFFFF_FFFF).random_raw(length // 5))
    if chance.random() < 0.12:
        some = places[: len(places) // 8]
        chinese = "，".join(map(words.__getitem__, some[foreign[some]].tolist()))
        text = chinese + "。" + " ".join(map(words.__getitem__, places.tolist()))
    else:
        text = " ".join(map(words.__getitem__, places[~foreign[places]].tolist()))
    return text[:length].strip()


def _name(number: int, words: Sequence[str]) -> str:
    parts = ["".join(part.title() for part in word.split("_")) if word.isascii() else word for word in words]
    # With the folder they make a path that no other lora has, of few words.
    later = f"_{number // 56_000}" if number >= 56_000 else ""
    return f"{'_'.join(parts)}_v{number % 7}-{number % 1000:06d}{later}".replace(":", "")


def record(number: int) -> SearchRecord:
    """Return the lora of that number, from 1 on."""
    chance = random.Random(number)
    tags = vocabulary()
    words = [tags[place] for place in _draw(np.random.PCG64(number << 1).random_raw(2 + number % 2)).tolist()]
    name = _name(number, words)
    side = chance.choice(SIDES)
    rank = chance.choice(RANKS)
    rate = chance.choice(LEARNING_RATES)
    finished = NOW - chance.randrange(3 * YEAR)
    header: dict[str, object] = {
        "architecture": chance.choices(ARCHITECTURES, weights=range(len(ARCHITECTURES), 0, -1))[0],
        "base_model": f"base model {int(BASE_MODELS * chance.random() ** 2)}",
        "adapter": chance.choices(ADAPTERS, weights=(20, 4, 3, 2, 1, 1, 1, 1))[0],
        "rank": rank,
        "alpha": float(rank // 2),
        "precision": chance.choice(PRECISIONS),
        "key_layout": "kohya",
        "trainer": chance.choice(TRAINERS),
        "output_name": name,
        "base_model_version": "sdxl_base_v1-0",
        "sd_model_name": f"base{number % 50}.safetensors",
        "sd_model_hash": f"{chance.getrandbits(32):08x}",
        "new_sd_model_hash": f"{chance.getrandbits(256):064x}",
        "network_module": "networks.lora",
        "network_dim": rank,
        "network_alpha": float(rank // 2),
        "optimizer": chance.choice(OPTIMIZERS),
        "learning_rate": rate,
        "unet_lr": rate,
        "text_encoder_lr": rate / 2,
        "lr_scheduler": chance.choice(SCHEDULERS),
        "epoch": chance.randint(1, 20),
        "num_epochs": 20,
        "steps": chance.randint(500, 5000),
        "max_train_steps": 5000,
        "seed": chance.getrandbits(32),
        "session_id": number // 10,
        "num_train_images": chance.randint(10, 3000),
        "num_reg_images": 0,
        "repeats": chance.choice((1, 4, 10, 20)),
        "batch_size": chance.choice((1, 2, 4, 8)),
        "resolution_width": side,
        "resolution_height": side,
        "bucket_width": side,
        "bucket_height": chance.choice(SIDES),
        "clip_skip": 2,
        "noise_offset": 0.05,
        "min_snr_gamma": 5.0,
        "mixed_precision": "fp16",
        "started_at": finished - 3_600_000,
        "finished_at": finished,
    }
    if number % 3 == 0:
        header["comment"] = f"run {number % 1000}, {words[0].replace('_', ' ')} only, captions by hand"
    return SearchRecord(
        id=number,
        kind="lora" if number % 40 else "embedding",
        name=name,
        size=chance.choice(SIZES) * 1_000_000 + number % 1000,
        date=NOW - chance.randrange(3 * YEAR),
        added=NOW - number * 1000,
        files=_files(number, name),
        header=header,
        targets=("unet", "te1") if number % 3 else ("unet",),
        claimed=(words[-1].replace("_", " "),) if number % 2 else (),
        datasets=(f"concept {number % 500}",),
        # Where an author wrote a full-width comma, the catalog gives several tags.
        tags=tuple([(tag, n) for place, n in tag_places(number) for tag in tags[place].split("，")]),
        description=_description(number, chance),
    )


def _files(number: int, name: str) -> tuple[SearchFile, ...]:
    hashes = tuple(sorted(set(digests(number).values())))
    state = "missing" if number % 50 == 13 else "present"
    found = []
    for copy in range(2 if number % 20 == 0 else 1):
        folder = f"set_{(number + 7 * copy) % FOLDERS:03d}" + ("/backup" if copy else "")
        file = SearchFile(
            root_id=1 + (number + copy) % ROOTS,
            root=f"root {(number + copy) % ROOTS}",
            path=f"{folder}/{name}.safetensors",
            folder=folder,
            name=name,
            state=state,
            hashed=bool(hashes),
            hashes=hashes,
            verdicts=(("match",) if number % 5 else ("differs",)) if hashes else (),
            companions=(("preview",) if number % 4 else ("preview", "sidecar")) if number % 2 else (),
        )
        found.append(file)
    return tuple(found)
