"""One lora or one file in words: sections of names and values, for people."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from cli.linked import describe_linked
from cli.noted import describe_noted, noted
from cli.output import joined, pairs, say, size
from registry.formats.markup import readable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from registry.views import FileView, LoraDetail, SidecarView

_SHOWN_TAGS: Final = 20
_SHOWN_TEXT: Final = 200
_FOR_THIS_FILE: Final = {
    "match": "yes, by its hash",
    "differs": "no, it names other hashes",
    "unchecked": "not hashed yet",
    "unsaid": "by its name only: it names no hash that tells files apart",
}
_STRUCTURED: Final = ("tags", "notes", "datasets", "dataset_dirs", "reg_dataset_dirs", "buckets", "modelspec")


def describe_file(facts: Mapping[str, Any]) -> None:
    """Print what `registry.ingest.inspecting` found out about a file."""
    if facts["header"] is None:
        say(str(facts["path"]))
        _problems(facts["problems"])
        return
    say(f"{facts['path']} ({size(facts['size'])})")
    header = facts["header"]
    pairs(
        [
            ("verdict", "valid safetensors" if header["accepted"] else f"not usable: {header['cause']}"),
            ("header", None if header["length"] is None else size(header["length"])),
            ("tensors", f"{header['tensors']} ({joined(header['dtypes'])})" if header["tensors"] else "none"),
            ("parameters", _count(header["parameters"]) if header["tensors"] else None),
            ("metadata", f"{len(facts['metadata'])} entries"),
        ],
        under="file",
    )
    _identification(facts["identification"])
    _triggers(facts["trigger_words"])
    _training(facts["training"])
    pairs(facts["hashes"].items(), under="hashes")
    _claims(facts["claims"])
    _problems(facts["problems"])
    _notes([*header["notes"], *facts["training"]["notes"]])


def describe_lora(detail: LoraDetail) -> None:
    """Print what the catalog knows of a lora."""
    lora = detail.lora
    say(f"{lora.name} (id {lora.id})")
    pairs(
        [
            ("identity", lora.identity),
            # Without files there is nothing left that could be verified.
            ("state", lora.state + ("" if lora.verified or not lora.files else ", not yet verified by hash")),
            ("size", size(lora.size)),
            ("date", _moment(lora.date)),
            ("first seen", _moment(lora.first_seen)),
            ("replaces", None if lora.replaces is None else f"id {lora.replaces}"),
            ("title", lora.title),
            ("trainer", lora.trainer),
        ],
        under="lora",
    )
    describe_noted(detail.curation)
    describe_linked(detail.link, detail.shown)
    _identification(detail.identification)
    _triggers(detail.trigger_words)
    pairs(
        (
            (name, _moment(int(str(value))) if name.endswith("_at") else _short(value))
            for name, value in lora.training.items()
        ),
        under="training",
    )
    _weights(detail)
    for file in lora.files:
        _file(file)
    for sidecar in detail.sidecars:
        _sidecar(sidecar)
    _problems([{"slug": problem.slug, "text": problem.text} for problem in detail.problems])
    _notes(detail.notes)


def _weights(detail: LoraDetail) -> None:
    found = detail.weights
    if found is None:
        return
    pairs(
        [
            ("health", ", ".join(found.health)),
            ("problem", found.problem),
            ("norm, U-Net or transformer", _figure(found.unet_norm or None)),
            ("norm, text encoders", _figure(found.te_norm or None)),
            ("largest singular value", _figure(found.spectral)),
            ("effective rank", _figure(found.effective_rank)),
        ],
        under="weights",
    )


def _figure(value: float | None) -> str | None:
    return None if value is None else f"{value:.3g}"


def _file(file: FileView) -> None:
    beside = ", ".join(companion["name"] for companion in file.companions)
    pairs(
        [
            ("path", file.location or file.path),
            ("root", file.root),
            ("state", f"{file.state} since {_moment(file.state_since)}"),
            ("size", size(file.size)),
            ("beside it", beside),
            *sorted(file.hashes.items()),
            ("hashing", None if file.hash_state == "done" else file.hash_state),
        ],
        under=f"file {file.id}",
    )
    _claims(file.claims)


def _sidecar(sidecar: SidecarView) -> None:
    facts: Mapping[str, Any] = sidecar.facts or {}
    user: Mapping[str, Any] = facts.get("user") or {}
    civitai = [facts[name] for name in ("model_id", "version_id") if facts.get(name) is not None]
    texts = (user.get("notes"), user.get("description"), facts.get("description"))
    pairs(
        [
            ("written by", f"{sidecar.tool}, as we wrote it" if sidecar.ours else sidecar.tool),
            ("for this file", _FOR_THIS_FILE[sidecar.verdict] if facts else None),
            ("problem", sidecar.problem),
            ("name", facts.get("name")),
            ("version", facts.get("version_name")),
            ("base model", facts.get("base_model")),
            ("creator", facts.get("creator")),
            ("on Civitai", " / ".join(map(str, civitai))),
            ("trigger words", _several(facts.get("trigger_words", ()))),
            ("activation text", _short(user.get("activation_text") or "")),
            ("weight", user.get("weight")),
            *(("text", _short(readable(text))) for text in texts if text),
            *(("says since", f"{name}: {noted(name, value)}") for name, value in sidecar.offered.items()),
        ],
        under=f"sidecar {sidecar.name}",
    )


def _identification(found: Mapping[str, Any]) -> None:
    if not found:
        return
    ranks = found["ranks"]
    pairs(
        [
            ("kind", found["kind"]),
            ("architecture", found["architecture"]),
            ("base model", found["base_model"]),
            ("adapter", found["adapter"]),
            ("rank", _several(ranks) if len(ranks) > 1 else found["rank"]),
            ("alpha", found["alpha"]),
            ("precision", found["precision"]),
            ("targets", _several(found["targets"])),
            ("key layout", found["key_layout"]),
            ("could also be", _several(found["ambiguous_with"])),
            *(("because", reason) for reason in found["evidence"]),
        ],
        under="what it is",
    )


def _triggers(words: Mapping[str, Any]) -> None:
    if not words:
        return
    tags = [
        tag["tag"] if tag["share"] is None else f"{tag['tag']} {tag['share']:.0%}"
        for tag in words["tags"][:_SHOWN_TAGS]
    ]
    more = len(words["tags"]) - len(tags)
    pairs(
        [
            ("claimed", _several(item["word"] for item in words["claimed"])),
            ("folders", _several(item["word"] for item in words["folders"])),
            ("tags", _several([*tags, f"and {more} more"] if more > 0 else tags)),
        ],
        under="trigger words",
    )


def _training(training: Mapping[str, Any]) -> None:
    scalars = [
        (name, _short(value)) for name, value in training.items() if name not in _STRUCTURED and value != {}
    ]
    datasets = training["datasets"]
    spec = [(f"modelspec.{name}", _short(value)) for name, value in training["modelspec"].items()]
    pairs([*scalars, *spec, ("datasets", len(datasets) or None)], under="training")


def _claims(claims: Sequence[Mapping[str, Any]]) -> None:
    pairs(
        ((claim["name"], f"{claim['claimed']} {claim['verdict']}") for claim in claims),
        under="claimed hashes",
    )


def _problems(problems: Sequence[Mapping[str, Any]]) -> None:
    pairs(((problem["slug"], problem["text"]) for problem in problems), under="problems")


def _notes(notes: Sequence[Mapping[str, Any]]) -> None:
    pairs(((note["slug"], note["text"]) for note in notes), under="notes")


def _count(number: int | None) -> str | None:
    return None if number is None else f"{number:,}"


def _several(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def _short(value: object) -> str | None:
    if value is None:
        return None
    text = (
        joined(value)
        if isinstance(value, dict)
        else _several(value)
        if isinstance(value, list)
        else str(value)
    )
    return text if len(text) <= _SHOWN_TEXT else text[: _SHOWN_TEXT - 1] + "…"


def _moment(milliseconds: int) -> str:
    moment = dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC).astimezone()
    return f"{moment:%Y-%m-%d %H:%M}"
