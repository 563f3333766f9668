"""From tensor names, shapes and metadata to an `Identification` with the evidence for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.identify.claims import (
    base_model,
    claims,
    network_algorithm,
    network_alpha,
    network_dim,
    shown,
)
from registry.identify.judge import Verdict, judge, size_variant
from registry.identify.names import NO_ARCHITECTURE, PRECISIONS, TARGETS
from registry.identify.rules import ARCHITECTURES, CONTROLS
from registry.identify.rules_encoders import EMBEDDING_SETS, EMBEDDING_WIDTHS, SLOT_TARGETS
from registry.identify.rules_kinds import STRAYS
from registry.identify.survey import Survey
from registry.views import Identification, TensorInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_DENOISER_OF = {row.name: row.denoiser for row in ARCHITECTURES}
_CONTROLLED = frozenset(architecture for architecture, _, _ in CONTROLS)
_MAX_EVIDENCE = 12
_MAX_RANKS = 64
_MIXED = 0.25
_MOST_EMBEDDINGS = 16
_MOST_VECTORS = 128
_PRIMARY = ("lora", "lokr", "loha", "oft", "ia3", "glora", "other")
_SECONDARY = ("diff", "norm")
_FLOATS = ("F64", "F32", "F16", "BF16", None)


def identify(tensors: Mapping[str, TensorInfo], metadata: Mapping[str, str]) -> Identification:
    """Say what a file is from the names, dtypes and shapes of its tensors; metadata only break ties.

    Shapes are in elements; a dtype or shape of `None` is unknown. The precision is the dtype that holds most
    bytes, or `mixed` where a second one holds more than a quarter. Never raises on odd names or shapes.
    """
    if any(isinstance(info.shape, list) for info in tensors.values()):
        # JSON has no tuples, and callers that read it forget.
        tensors = {name: TensorInfo(info.dtype, _as_tuple(info.shape)) for name, info in tensors.items()}
    return identify_surveyed(tensors, Survey(tensors), metadata)


def _as_tuple(shape: Iterable[int] | None) -> tuple[int, ...] | None:
    return None if shape is None else tuple(shape)


def identify_surveyed(
    tensors: Mapping[str, TensorInfo], survey: Survey, metadata: Mapping[str, str]
) -> Identification:
    """Do what `identify` does for tensors that were surveyed before: files of one layout share a survey."""
    family = _family(survey)
    if family is None:
        return _without_adapter(tensors, metadata, survey)
    return _adapter(metadata, survey, family)


def _family(survey: Survey) -> str | None:
    """Name the adapter family of most modules; differences of whole weights count where nothing else is."""
    families = survey.names.families()
    for group in (_PRIMARY, _SECONDARY):
        present = [(families[name], -number, name) for number, name in enumerate(group) if families[name]]
        if present:
            return max(present)[2]
    if survey.names.family("magnitude"):
        return "magnitude"
    if survey.names.adapter_prefix and survey.names.scored:
        return "lora"
    return None


def _adapter(metadata: Mapping[str, str], survey: Survey, family: str) -> Identification:
    claimed = claims(metadata)
    verdict = judge(survey, claimed, "lora")
    adapter, evidence = _adapter_name(metadata, survey, family, verdict.architecture)
    kind = "lora"
    stray = min(survey.names.strays, default=None)
    if verdict.architecture == "unknown" and stray is not None and STRAYS[stray].kind == "controlnet":
        return _stray(metadata, survey, stray)
    if verdict.architecture == "unknown" and survey.names.foreign * 2 >= survey.names.denoiser > 0:
        kind = "other"
        verdict.settle("none")
        verdict.evidence.append("module names of a language, vision or speech model")
    elif verdict.architecture == "unknown" and family == "other":
        kind = "other"
        verdict.settle("none")
        verdict.evidence.append("tensors of a kind that only adapters of language models have")
    elif verdict.architecture == "unknown":
        verdict.evidence.append("no known diffusion model has modules of these names")
        verdict.evidence += [f"metadata {claim.key} say {shown(claim.value)}" for claim in claimed[:1]]
    return _finish(metadata, survey, verdict, (kind, adapter), evidence)


def _adapter_name(
    metadata: Mapping[str, str],
    survey: Survey,
    family: str,
    architecture: str,
) -> tuple[str, list[str]]:
    modules = survey.names.family(family)
    magnitudes = survey.names.family("magnitude")
    evidence = [f"{modules} modules with {family} factors"]
    others = [
        f"{count} {name}" for name, count in survey.names.families().items() if name != family and count
    ]
    if others:
        evidence.append(f"also adapted modules: {', '.join(others)}")
    adapter = family
    if family == "magnitude":
        adapter = "dora"
    elif family == "lora" and (control := _control(survey, architecture)):
        adapter = "control_lora"
        evidence.append(control)
    elif family == "lora" and (survey.convolutions or survey.names.roles["lora", "mid"]):
        adapter = "locon"
        evidence.append(f"{survey.convolutions or survey.names.roles['lora', 'mid']} factors of convolutions")
    elif family == "lora" and magnitudes:
        adapter = "dora"
    elif family == "diff" and network_algorithm(metadata) == "full":
        adapter = "full"
    if magnitudes:
        evidence.append(f"{magnitudes} DoRA magnitudes")
    return adapter, evidence


def _control(survey: Survey, architecture: str) -> str | None:
    """Find a doubled image input, or biases with replaced norm scales: only control LoRAs have them."""
    for slot, _, shape in survey.groups if architecture in _CONTROLLED else ():
        axis = slot.suffix.wide_in
        size = shape[axis] if axis is not None and shape is not None and len(shape) > axis else None
        if size is not None and (architecture, slot.module, size) in CONTROLS:
            return f"input width {size} at {slot.module} takes a control image"
    if survey.names.roles["lora", "bias"] > 0 and survey.names.roles["plain", "scale"] > 0:
        return "factors come with biases and replaced norm scales, as in a control LoRA"
    return None


def _without_adapter(
    tensors: Mapping[str, TensorInfo],
    metadata: Mapping[str, str],
    survey: Survey,
) -> Identification:
    embedding = _embedding(tensors, metadata, survey)
    if embedding is not None:
        return embedding
    stray = min(survey.names.strays, default=None)
    if stray is not None:
        alone = survey.names.strays[stray] == survey.names.tensors
        if STRAYS[stray].kind == "controlnet" or (alone and STRAYS[stray].part):
            return _stray(metadata, survey, stray)
    whole = judge(survey, claims(metadata), "checkpoint")
    if survey.names.scored and whole.architecture != "unknown":
        return _finish(metadata, survey, whole, ("checkpoint", "none"), ["whole weights, no adapter factors"])
    if stray is not None:
        return _stray(metadata, survey, stray)
    verdict = Verdict()
    verdict.settle("none")
    verdict.evidence.append(
        f"none of {survey.names.tensors} tensor names belongs to a known model or adapter"
    )
    return _finish(metadata, survey, verdict, ("other", "none"))


def _stray(metadata: Mapping[str, str], survey: Survey, number: int) -> Identification:
    """Answer for a file that is known and no adapter of a diffusion model."""
    row = STRAYS[number]
    verdict = Verdict()
    verdict.settle("none")
    count = survey.names.strays[number]
    verdict.evidence.append(f"{count} of {survey.names.tensors} tensors have names of: {row.what}")
    return _finish(metadata, survey, verdict, (row.kind, row.adapter))


def _embedding(
    tensors: Mapping[str, TensorInfo],
    metadata: Mapping[str, str],
    survey: Survey,
) -> Identification | None:
    """Recognise a textual inversion: a few tensors of token vectors, or the bundle of a trainer."""
    bundled = survey.names.targets["embedding"] == survey.names.tensors > 0
    if not bundled and not 0 < survey.names.tensors <= _MOST_EMBEDDINGS:
        return None
    names = frozenset(name.rpartition(".")[2].removesuffix("_out") if bundled else name for name in tensors)
    widths: set[int] = set()
    for name, info in tensors.items():
        width = _vector_width(info)
        if width is not None:
            widths.add(width)
        elif not bundled and name not in ("emb_params", "clip_l", "clip_g", "t5", "t5xxl"):
            return None
    verdict = Verdict()
    users = next((users for known, users in EMBEDDING_SETS if known == names), ())
    if not users:
        if not bundled and not all(_is_token(name, len(tensors)) for name in tensors):
            return None
        users = tuple(dict.fromkeys(user for width in widths for user in EMBEDDING_WIDTHS.get(width, ())))
    if not users and not bundled and not any(name == "emb_params" for name in tensors):
        return None
    claimed = claims(metadata)
    named = next((claim.architecture for claim in claimed if claim.architecture in users), None)
    if len(users) == 1 or named is not None:
        verdict.settle(named or users[0])
    elif users:
        verdict.settle("ambiguous", users)
    sizes = ", ".join(str(width) for width in sorted(widths)[:4]) or "unknown width"
    verdict.evidence.append(f"{len(tensors)} tensors of token vectors ({sizes}), no modules")
    return _finish(
        metadata, survey, verdict, ("lora", "bundle_emb") if bundled else ("embedding", "textual_inversion")
    )


def _vector_width(info: TensorInfo) -> int | None:
    shape = info.shape
    if shape is None or info.dtype not in _FLOATS or not 1 <= len(shape) <= 2:
        return None
    vectors = shape[0] if len(shape) == 2 else 1
    return shape[-1] if 0 < vectors <= _MOST_VECTORS and shape[-1] >= 256 else None


def _is_token(name: str, tensors: int) -> bool:
    """Tell whether a name may be that of a token or one of the usual keys of embedding files."""
    if name == "emb_params" or name.startswith(("string_to_param", "<")):
        return True
    return tensors == 1 and "." not in name and ":" not in name


def _finish(
    metadata: Mapping[str, str],
    survey: Survey,
    verdict: Verdict,
    what: tuple[str, str],
    evidence: Sequence[str] = (),
) -> Identification:
    """Fill in everything that follows from the verdict and `what` it is: a kind and an adapter."""
    kind, adapter = what
    evidence = list(evidence)
    architecture = verdict.architecture
    known = architecture not in NO_ARCHITECTURE
    layouts = survey.names.layouts
    ranks = survey.ranks if kind in ("lora", "other") and adapter != "none" else None
    rank = max(ranks, key=lambda size: (ranks[size], size)) if ranks else None
    distinct = tuple(sorted(ranks))[:_MAX_RANKS] if ranks else ()
    if rank is None and kind == "lora" and adapter in ("lora", "locon", "dora") and not survey.bits:
        rank = network_dim(metadata)
        distinct = () if rank is None else (rank,)
        if rank is not None:
            evidence.append(f"no shapes are known; metadata say rank {rank}")
    return Identification(
        kind=kind,
        architecture=architecture,
        base_model=base_model(metadata, architecture, size_variant(survey, architecture)) if known else None,
        adapter=adapter,
        rank=rank,
        ranks=distinct,
        alpha=network_alpha(metadata) if kind in ("lora", "other") else None,
        precision=_precision(survey),
        targets=_targets(survey, (architecture,) if known else verdict.others or tuple(survey.names.scores))
        if kind in ("lora", "checkpoint")
        else (),
        key_layout=max(layouts, key=lambda name: (layouts[name], name)) if layouts else None,
        evidence=tuple(sentence[:240] for sentence in [*evidence, *verdict.evidence][:_MAX_EVIDENCE]),
        ambiguous_with=verdict.others,
    )


def _precision(survey: Survey) -> str | None:
    most = survey.bits.most_common(2)
    if not most:
        return None
    total = survey.bits.total()
    if len(most) == 2 and most[1][1] > _MIXED * total:
        return "mixed"
    return PRECISIONS.get(most[0][0], shown(most[0][0].lower()))


def _targets(survey: Survey, possible: tuple[str, ...]) -> tuple[str, ...]:
    found: set[str] = set()
    for slot in survey.names.targets:
        if slot == "denoiser":
            found.add("unet" if {_DENOISER_OF.get(name) for name in possible} == {"unet"} else "transformer")
        elif slot in SLOT_TARGETS:
            forms = {form for other, form in survey.names.encoders if other == slot}
            found.add("te1" if slot == "te" and forms & {"clip", "openclip"} else SLOT_TARGETS[slot])
        elif slot == "vae":
            found.add("vae")
    return tuple(target for target in TARGETS if target in found)
