"""Everything known about one lora, and why, ready for its page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from registry.formats.verdicts import DIFFERS
from registry.identify.names import ADAPTERS, ARCHITECTURES, LAYOUTS
from registry.web import words
from registry.web.beside import Sidecar, sidecar
from registry.web.presenters import (
    KIND_NAMES,
    Badge,
    Fact,
    Link,
    Word,
    adapter,
    badges,
    base,
    names,
    state_badge,
    value_url,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from registry.views import FileView, LoraDetail, LoraView, ProblemView, SidecarView

_TAGS: Final = 60
_TEXT: Final = 2000
_WORDS: Final = 100
MOST: Final = 1000
"""Tags and entries of metadata that the page has; the API has all of them."""
# Verdict -> tone of its badge, and what it means (docs/hashes.md).
VERDICTS: Final[Mapping[str, tuple[str, str]]] = {
    "match": ("good", "equal to what was computed, or in the digits that are claimed"),
    "differs": ("bad", "another value: the file was changed, or the claim was copied from another file"),
    "hash_of_nothing": ("warn", "the trainer hashed an empty buffer: this says nothing"),
    "malformed": ("warn", "not a hash: wrong length or odd digits"),
    "unverifiable": ("", "cannot be computed from the file"),
    "unchecked": ("", "not hashed yet"),
}
HASHES: Final = (
    "sha256", "autov2", "autov1", "data_sha256", "autov3", "sshs_legacy_hash", "blake3", "crc32",
    "tensor_hash", "name_order_sha256",
)  # fmt: skip
# Columns of the training in the order of the page, with what they are called.
TRAINING: Final[Mapping[str, str]] = {
    "sd_model_name": "trained on",
    "base_model_version": "base model, as written",
    "sd_model_hash": "hash of the base model",
    "new_sd_model_hash": "SHA-256 of the base model",
    "network_module": "network module",
    "network_dim": "network dim",
    "network_alpha": "network alpha",
    "resolution": "resolution",
    "bucket": "commonest bucket",
    "num_train_images": "images, repeats counted",
    "num_reg_images": "regularisation images",
    "repeats": "repeats",
    "batch_size": "batch size",
    "epoch": "epoch",
    "num_epochs": "epochs of the run",
    "steps": "steps",
    "max_train_steps": "steps of the run",
    "optimizer": "optimizer",
    "learning_rate": "learning rate",
    "unet_lr": "learning rate, U-Net",
    "text_encoder_lr": "learning rate, text encoder",
    "lr_scheduler": "scheduler",
    "noise_offset": "noise offset",
    "min_snr_gamma": "min-SNR gamma",
    "clip_skip": "clip skip",
    "mixed_precision": "mixed precision",
    "seed": "seed",
    "session_id": "session",
    "started_at": "started",
    "finished_at": "finished",
    "comment": "comment",
}
_SIDES: Final = ("resolution", "bucket")
_PICTURES: Final = frozenset({"modelspec.preview_image", "modelspec.thumbnail", "ssmd_cover_images"})
_CORRECTED: Final = "corrected by you"
_UNVERIFIED: Final[Mapping[str, str]] = {
    "pending": "not hashed yet",
    "failed": "could not be hashed",
    "skipped": "not hashed",
}


class Source(NamedTuple):
    """Trigger words by where they come from."""

    name: str
    words: tuple[Word, ...]


class Claim(NamedTuple):
    """A hash that the header claims, beside the computed one."""

    name: str
    claimed: str
    computed: str
    verdict: Badge


@dataclass(frozen=True, slots=True)
class File:
    """One file of the lora."""

    path: str
    badges: tuple[Badge, ...]
    facts: tuple[Fact, ...]
    hashes: tuple[Fact, ...]
    claims: tuple[Claim, ...]


class Remark(NamedTuple):
    """A note or problem: its stable name, a sentence, since when."""

    slug: str
    text: str
    since: str = ""


@dataclass(frozen=True, slots=True)
class Particulars:
    """The page of one lora."""

    url: str
    name: str
    title: str
    summary: str
    badges: tuple[Badge, ...]
    facts: tuple[Fact, ...]
    evidence: tuple[str, ...]
    triggers: tuple[Source, ...]
    tags: tuple[Word, ...]
    more_tags: tuple[Word, ...]
    training: tuple[Fact, ...]
    files: tuple[File, ...]
    sidecars: tuple[Sidecar, ...]
    problems: tuple[Remark, ...]
    notes: tuple[Remark, ...]
    entries: int
    metadata: tuple[Fact, ...]
    replaces: Link | None
    json_url: str


def particulars(detail: LoraDetail) -> Particulars:
    """Return the page of one lora."""
    lora = detail.lora
    found: Mapping[str, Any] = detail.identification
    tags = [_tag(tag) for tag in detail.tags[:MOST]]
    name, title = _names(detail)
    return Particulars(
        url=words.lora_url(lora.id),
        name=name,
        title=title,
        summary=" · ".join(_summary(lora)),
        badges=tuple(badges(lora)),
        facts=tuple(_facts(lora, found)),
        evidence=tuple(words.cut(str(reason), _TEXT) for reason in found.get("evidence", ())),
        triggers=(*_triggers(detail.trigger_words), *_told_triggers(detail.sidecars)),
        tags=tuple(tags[:_TAGS]),
        more_tags=tuple(tags[_TAGS:]),
        training=tuple(_training(lora.training)),
        files=tuple(map(_file, lora.files)),
        sidecars=tuple(map(sidecar, detail.sidecars)),
        # Several files may have the same one.
        problems=tuple(dict.fromkeys(map(_problem, detail.problems))),
        notes=tuple(Remark(note["slug"], words.cut(note["text"], _TEXT)) for note in detail.notes),
        entries=len(detail.metadata),
        metadata=tuple(
            Fact(words.cut(key, 200), _entry(key, value))
            for key, value in sorted(detail.metadata.items())[:MOST]
        ),
        replaces=_replaced(lora.replaces),
        json_url=f"/api/v1/loras/{lora.id}",
    )


def _names(detail: LoraDetail) -> tuple[str, str]:
    shown = detail.shown
    if shown is None:
        return names(detail.lora, "", own=False)
    source = shown.sources.get("name")
    return names(detail.lora, shown.name, own=source is not None and source.kind == "user")


def _entry(key: str, value: str) -> str:
    """Return an entry of metadata; pictures in them have levels, and are shown with the others."""
    return (
        f"{words.count(len(value))} characters of a picture" if key in _PICTURES else words.cut(value, _TEXT)
    )


def _replaced(lora_id: int | None) -> Link | None:
    return None if lora_id is None else Link(f"lora {lora_id}", words.lora_url(lora_id))


def _known(*facts: tuple[str, object, str | None]) -> Iterable[Fact]:
    """Give the facts that are known: name, value, and the field in which the value can be searched for."""
    for name, value, field in facts:
        if value not in {None, ""}:
            yield Fact(name, words.number(value), value_url(field, str(value)) if field else None)


def _summary(lora: LoraView) -> Iterable[str]:
    yield adapter(lora.kind, lora.adapter)
    for part in (base(lora.architecture), words.visible(lora.base_model or "")):
        if part:
            yield part
    if lora.rank is not None:
        yield f"rank {lora.rank}"
    yield words.size(lora.size)


def _facts(lora: LoraView, found: Mapping[str, Any]) -> Iterable[Fact]:
    kind = adapter(lora.kind, lora.adapter)
    asked = ("adapter", lora.adapter) if lora.kind == "lora" else ("kind", lora.kind)
    yield Fact("type", kind, value_url(*asked), by=_beside(lora, found, "kind", "adapter"))
    family = base(lora.architecture) or "unknown"
    yield Fact(
        "base model", family, value_url("arch", lora.architecture), by=_beside(lora, found, "architecture")
    )
    if also := [base(str(name)) or str(name) for name in found.get("ambiguous_with", ())]:
        yield Fact("could be", ", ".join(also))
    if lora.base_model:
        variant = words.cut(lora.base_model, _TEXT)
        yield Fact(
            "variant", variant, value_url("base", lora.base_model), by=_beside(lora, found, "base_model")
        )
    yield from _known(("rank", lora.rank, "rank"))
    if len(ranks := found.get("ranks", ())) > 1:
        yield Fact("all its ranks", words.cut(", ".join(map(str, ranks)), _TEXT))
    yield from _known(("alpha", lora.alpha, "alpha"), ("precision", lora.precision, "prec"))
    if targets := found.get("targets", ()):
        yield Fact("changes", ", ".join(words.visible(str(target)) for target in targets))
    if lora.key_layout:
        name = LAYOUTS.get(lora.key_layout, lora.key_layout)
        yield Fact("key layout", words.visible(name), value_url("layout", lora.key_layout))
    yield from _known(
        ("trainer", lora.trainer, "trainer"),
        ("title", lora.title, None),
        ("saved as", lora.output_name, None),
        ("size", f"{words.size(lora.size)} ({words.several(lora.size, 'byte')})", None),
        ("changed", words.moment(lora.date), None),
        ("first seen", words.moment(lora.first_seen), None),
    )
    yield Fact("identity", words.visible(lora.identity), code=True)


def _beside(lora: LoraView, found: Mapping[str, Any], *fields: str) -> str:
    """Return what was identified where the user corrected it, nothing where nobody did."""
    if not any(name in lora.corrected for name in fields):
        return ""
    told = [_called(name, found.get(name)) for name in fields if found.get(name)]
    return f"{_CORRECTED}; identified as {', '.join(told)}" if told else _CORRECTED


def _called(field: str, value: object) -> str:
    name = str(value)
    tables = {
        "kind": {**KIND_NAMES, "lora": "an adapter"},
        "adapter": ADAPTERS,
        "architecture": ARCHITECTURES,
    }
    return words.cut(tables.get(field, {}).get(name, name), _TEXT)


def _triggers(found: Mapping[str, Any]) -> Iterable[Source]:
    claimed: dict[str, list[Word]] = {}
    for item in found.get("claimed", ()):
        claimed.setdefault(str(item["source"]), []).append(_word("trigger", str(item["word"])))
    for source, listed in claimed.items():
        yield Source(f"claimed by {words.visible(source)}", tuple(listed[:_WORDS]))
    if folders := [_word("dataset", str(item["word"])) for item in found.get("folders", ())]:
        yield Source("names of dataset folders", tuple(folders[:_WORDS]))
    often = [tag for tag in found.get("tags", ()) if (tag["share"] or 0) >= 0.5]
    if often:
        listed = [_word("tag", str(tag["tag"]), f"{tag['share']:.0%}") for tag in often]
        yield Source("in at least half of the captions", tuple(listed[:_WORDS]))


def _told_triggers(sidecars: Sequence[SidecarView]) -> Iterable[Source]:
    """Give what other tools say starts it, each text once, by the first that says so."""
    told: set[str] = set()
    for one in sidecars:
        if one.facts is None or one.verdict == DIFFERS:
            continue
        facts: Mapping[str, Any] = one.facts
        texts = [(facts.get("user") or {}).get("activation_text"), *facts.get("trigger_words", ())]
        fresh = [text for text in dict.fromkeys(texts) if text and text not in told]
        told.update(fresh)
        if fresh:
            listed = tuple(_word("trigger", text) for text in fresh[:_WORDS])
            yield Source(f"in {words.visible(one.name)}", listed)


def _word(field: str, text: str, count: str = "") -> Word:
    return Word(words.cut(text, 300), count, value_url(field, text))


def _tag(tag: Mapping[str, object]) -> Word:
    return _word("tag", str(tag["tag"]), words.count(int(str(tag["count"]))))


def _training(training: Mapping[str, Any]) -> Iterable[Fact]:
    known = dict(training)
    for name in _SIDES:
        width, height = known.get(f"{name}_width"), known.get(f"{name}_height")
        if width and height:
            known[name] = f"{width} × {height}"
    for name, called in TRAINING.items():
        value = known.get(name)
        if value in {None, ""}:
            continue
        text = words.moment(int(value)) if name.endswith("_at") else words.number(value)
        if text:
            url = value_url("session", str(value)) if name == "session_id" else None
            yield Fact(called, words.cut(text, _TEXT), url)


def _file(file: FileView) -> File:
    marks = [] if file.state == "present" else [state_badge(file.state, file)]
    if file.cause:
        marks.append(Badge("damaged", "bad", words.visible(file.cause.replace("-", " "))))
    if file.verified:
        marks.append(Badge("verified", "good", "hashed as it is now"))
    else:
        text = _UNVERIFIED.get(file.hash_state, "not verified yet")
        marks.append(Badge(text, "warn", "its hashes are not those of the file as it is now"))
    beside = ", ".join(words.visible(companion["name"]) for companion in file.companions)
    facts = _known(
        ("root", file.root, "root"),
        ("location", file.location, None),
        ("size", words.size(file.size), None),
        ("changed", words.moment(file.mtime_ns // 1_000_000), None),
        ("first seen", words.moment(file.first_seen), None),
        (f"{file.state} since", words.moment(file.state_since), None),
        ("beside it", beside, None),
    )
    return File(
        path=words.visible(file.path),
        badges=tuple(marks),
        facts=tuple(facts),
        hashes=tuple(_hashes(file.hashes)),
        claims=tuple(map(_claim, file.claims)),
    )


def _hashes(hashes: Mapping[str, str]) -> Iterable[Fact]:
    for name in sorted(hashes, key=lambda name: HASHES.index(name) if name in HASHES else len(HASHES)):
        yield Fact(name, words.visible(hashes[name]), code=True)


def _claim(claim: Mapping[str, object]) -> Claim:
    verdict = str(claim["verdict"])
    tone, hint = VERDICTS.get(verdict, ("", ""))
    computed = claim.get("computed")
    return Claim(
        name=words.cut(str(claim["name"]), 200),
        claimed=words.cut(str(claim["claimed"]), 200),
        computed="" if computed is None else words.visible(str(computed)),
        verdict=Badge(words.visible(verdict.replace("_", " ")), tone, hint),
    )


def _problem(problem: ProblemView) -> Remark:
    return Remark(problem.slug, words.cut(problem.text, _TEXT), words.day(problem.at))
