"""Records and query trees made by chance, small enough that queries find something and ties are common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.search.fields import FIELDS, NUMERIC, TABLE, Kind
from registry.search.nodes import And, Between, Exact, Known, Match, Node, Not, Or, Text, Value
from registry.told import SidecarFacts, UserFacts
from registry.views import SearchFile, SearchRecord

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

WORDS = (
    "red", "Dress", "long_hair", "DetailTweakerXL", "detail", "tweaker", "v2", "1girl", "Café", "naïve",
    "re:zero", "盲盒", "漢服", "汉服", "猫", "长发女孩", "ツインテール", "dumbbell，cylinder", "ﾈｺ", "c++",
    "don't", "style10",
)  # fmt: skip
FOLDERS = ("", "a", "a/b", "style/Anime", "盲盒/x")
HEX = "0123456789abcdef"
START = 1_700_000_000_000
NUMBERS = (0, 1, 4, 8, 16, 32, 1024)
FLOATS = (0.0, 1e-4, 5e-5, 0.5, 1.0, 16.0)


def texts(chance: random.Random, most: int) -> list[str]:
    """Return some texts of one to three words."""
    return [joined(chance) for _ in range(chance.randint(0, most))]


def joined(chance: random.Random) -> str:
    return chance.choice((" ", "_", "-")).join(chance.choices(WORDS, k=chance.randint(1, 3)))


def record(chance: random.Random, number: int) -> SearchRecord:
    """Return a lora."""
    files = tuple(file(chance) for _ in range(chance.randint(1, 3)))
    header: dict[str, object] = {}
    for row in (
        "rank",
        "steps",
        "epoch",
        "num_train_images",
        "clip_skip",
        "seed",
        "session_id",
        "num_epochs",
    ):
        if chance.random() < 0.6:
            header[row] = chance.choice(NUMBERS)
    for row in ("alpha", "learning_rate", "noise_offset", "min_snr_gamma"):
        if chance.random() < 0.6:
            header[row] = chance.choice(FLOATS)
    for row in ("title", "output_name", "comment", "trainer", "optimizer", "base_model", "sd_model_name"):
        if chance.random() < 0.4:
            header[row] = joined(chance)
    header["architecture"] = chance.choice(("sdxl", "sd15", "z_image"))
    header["adapter"] = chance.choice(("lora", "lokr"))
    if chance.random() < 0.5:
        header["resolution_width"], header["resolution_height"] = chance.choice(((512, 768), (1024, 1024)))
    tags = {text: chance.randint(1, 100) for text in texts(chance, 6)}
    return SearchRecord(
        number, chance.choice(("lora", "checkpoint")), files[0].name, chance.choice(NUMBERS) << 20,
        START + chance.randint(0, 3) * 86_400_000, START + chance.randint(0, 3) * 1000,
        files, header, tuple(chance.sample(("unet", "te1", "te2"), chance.randint(0, 2))),
        tuple(texts(chance, 2)), tuple(texts(chance, 2)), tuple(tags.items()),
        joined(chance) if chance.random() < 0.3 else None,
        tuple(sidecar(chance) for _ in range(chance.choice((0, 0, 1, 2)))),
    )  # fmt: skip


def sidecar(chance: random.Random) -> SidecarFacts:
    """Return what a sidecar says."""
    return SidecarFacts(
        "lora-manager",
        model_id=chance.choice((None, *NUMBERS)),
        name=chance.choice((None, joined(chance))),
        description=chance.choice((None, f"<p>{joined(chance)}</p>")),
        trigger_words=tuple(texts(chance, 2)),
        tags=tuple(texts(chance, 2)),
        creator=chance.choice((None, joined(chance))),
        user=UserFacts(
            title=chance.choice((None, joined(chance))),
            notes=chance.choice((None, joined(chance))),
            activation_text=chance.choice((None, joined(chance))),
        ),
    )


def file(chance: random.Random) -> SearchFile:
    """Return a file of a lora."""
    folder, name = chance.choice(FOLDERS), joined(chance)
    return SearchFile(
        1, chance.choice(("Root A", "root_b")), f"{folder}/{name}.safetensors".lstrip("/"), folder, name,
        chance.choice(("present", "present", "missing")), chance.random() < 0.5,
        tuple("".join(chance.choices(HEX, k=12)) for _ in range(2)),
        tuple(chance.sample(("match", "differs"), chance.randint(0, 1))),
        tuple(chance.sample(("preview", "sidecar"), chance.randint(0, 2))),
    )  # fmt: skip


def node(chance: random.Random, records: Sequence[SearchRecord], depth: int = 3) -> Node:
    """Return a tree, whose values mostly are those of some record."""
    kind = chance.random()
    if depth and kind < 0.35:
        inner = tuple(node(chance, records, depth - 1) for _ in range(chance.randint(2, 3)))
        return And(inner) if chance.random() < 0.5 else Or(inner)
    if depth and kind < 0.45:
        return Not(node(chance, records, depth - 1))
    if kind < 0.7:
        return text(chance)
    row = chance.choice(TABLE)
    values = tuple(value(chance, row.name, records) for _ in range(chance.randint(1, 2)))
    return Match(row.name, values)


def text(chance: random.Random) -> Text:
    """Return a word, the beginning of one, or a phrase."""
    kind = chance.random()
    if kind < 0.3:
        return Text(joined(chance).replace("_", " "), phrase=True, prefix=chance.random() < 0.3)
    word = chance.choice(WORDS)
    if kind < 0.5:
        return Text(word[: chance.randint(1, len(word))], prefix=True)
    if kind < 0.6 and len(word) > 2:
        return Text(word[1:3])
    return Text(word.lower() if chance.random() < 0.5 else word)


def value(  # noqa: PLR0911 - one for each kind of value
    chance: random.Random, name: str, records: Sequence[SearchRecord]
) -> Value:
    """Return a value to ask for in a field."""
    row = FIELDS[name]
    if chance.random() < 0.15:
        return Known(known=chance.random() < 0.5)
    known = [one for one in row.read(chance.choice(records)) if one is not None]
    some = chance.choice(known) if known else None
    if row.kind in NUMERIC:
        if row.kind is Kind.RESOLUTION and chance.random() < 0.3:
            return Exact("512x768")
        numbers: Sequence[float] = FLOATS if row.kind is Kind.NUMBER else NUMBERS
        base = some if isinstance(some, int | float) else chance.choice(numbers)
        low, high = sorted((base, chance.choice((base, *numbers))))
        return Between(
            chance.choice((low, None)),
            chance.choice((high, None)),
            chance.random() < 0.2,
            chance.random() < 0.2,
        )
    if row.kind is Kind.FLAG:
        return Exact(chance.choice(("yes", "no")))
    if row.kind is Kind.HASH:
        return Exact((str(some) if some else "abcdef0123")[:8])
    written = str(some) if some is not None else chance.choice(WORDS)
    if chance.random() < 0.3:
        return Exact(written[: chance.randint(1, max(1, len(written)))], prefix=True)
    return Exact(written.upper() if chance.random() < 0.3 else written)
