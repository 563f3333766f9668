"""From a survey to an architecture: by names, blocks, places, encoders, widths, metadata, usage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.identify.claims import Claim, folded, shown
from registry.identify.rules import ABSENCES, ARCHITECTURES, SIZE_VARIANTS, TWINS, USUAL
from registry.identify.rules_encoders import ENCODERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.identify.rows import Absence, Encoder, Usual
    from registry.identify.survey import Survey

_ROWS = {row.name: row for row in ARCHITECTURES}
_ORDER = {row.name: number for number, row in enumerate(ARCHITECTURES)}
_LEAST_SHARE = 0.4
_TOLERATED = 0.1
_EQUAL = 0.98


class Verdict:
    """The answer so far: who is still possible, and the reasons in sentences."""

    def __init__(self) -> None:
        """Start without candidates."""
        self.architecture = "unknown"
        self.others: tuple[str, ...] = ()
        self.evidence: list[str] = []
        self.sized = False

    def settle(self, architecture: str, others: Sequence[str] = ()) -> None:
        """Record the answer and the other possible ones."""
        self.architecture = architecture
        self.others = tuple(sorted(others, key=lambda name: _ORDER.get(name, 99)))


def judge(survey: Survey, claimed: Sequence[Claim], kind: str) -> Verdict:
    """Decide the architecture; metadata choose among what names and shapes leave possible, and no more."""
    verdict = Verdict()
    candidates = _by_modules(survey, verdict)
    candidates = _by_blocks(survey, candidates, verdict)
    candidates = _by_encoders(survey, candidates, verdict)
    candidates = _by_widths(survey, candidates, verdict)
    candidates = _by_dimensions(survey, candidates)
    candidates = _by_completeness(survey, candidates, verdict)
    absences = [row for row in enumerate(ABSENCES) if _holds(row[1], survey, claimed, kind)]
    candidates = _by_absence(survey, candidates, absences, verdict)
    _decide(survey, candidates, claimed, kind, verdict)
    _compare(claimed, verdict)
    return verdict


def size_variant(survey: Survey, architecture: str) -> str | None:
    """Name the variant whose input width is the only one of its kind in the file."""
    found = [
        row.variant for row in SIZE_VARIANTS if row.architecture == architecture and row.size in survey.hidden
    ]
    return found[0] if len(found) == 1 else None


def _by_modules(survey: Survey, verdict: Verdict) -> list[str]:
    """Take those whose module names explain the most; a thin share explains nothing."""
    scores = {
        name: score
        for name, score in survey.names.scores.items()
        if not _ROWS[name].requires or name in survey.names.required
    }
    if not scores:
        return []
    best = max(scores.values())
    if best < _LEAST_SHARE * survey.names.denoiser:
        return []
    candidates = sorted(
        (name for name, score in scores.items() if score >= _EQUAL * best), key=_ORDER.__getitem__
    )
    modules = survey.names.modules
    module = max(modules, key=lambda name: (modules[name], name))
    verdict.evidence.append(
        f"{best} of {survey.names.denoiser} denoiser tensors have module names of {', '.join(candidates)}, "
        f"such as {shown(module)} ({modules[module]})",
    )
    return candidates


def _by_blocks(survey: Survey, candidates: list[str], verdict: Verdict) -> list[str]:
    """Drop those that have fewer blocks than the names count, or attention in other places."""
    kept = [name for name in candidates if _blocks_fit(survey, name)]
    for place in survey.names.places:
        kept = [name for name in kept if name not in place.never and (not place.only or name in place.only)]
    gone = [name for name in candidates if name not in kept]
    if gone and kept:
        verdict.evidence.append(f"block numbers and places are not those of {', '.join(gone)}")
    if not kept and len(candidates) > 1:
        verdict.evidence.append("no architecture with these module names has so many blocks in these places")
        return []
    return kept or candidates


def _blocks_fit(survey: Survey, name: str) -> bool:
    sizes = _ROWS[name].blocks
    return not sizes or any(
        all(max(survey.names.blocks(stem), default=-1) < limit for stem, limit in size) for size in sizes
    )


def _by_encoders(survey: Survey, candidates: list[str], verdict: Verdict) -> list[str]:
    """Meet the candidates with the users of the text encoders, who alone count without a denoiser."""
    if survey.names.scored and not candidates:
        return []
    for slot, form in sorted(survey.names.encoders):
        widths = survey.encoders.get((slot, form), set())
        rows = _encoder_rows(survey, slot, form, widths)
        users = list(dict.fromkeys(name for row in rows for name in row.architectures))
        if not users:
            continue
        met = _met(candidates, users) if candidates else users
        if met and met != candidates:
            size = f" of width {rows[0].width}" if widths else ""
            verdict.evidence.append(f"text encoder {slot} ({form}){size} belongs to {', '.join(users)}")
            candidates = met
    return candidates


def _met(candidates: list[str], users: list[str]) -> list[str]:
    twins = [twin for name, twin in TWINS if name in candidates and twin in users]
    return [name for name in candidates if name in users] or twins


def _encoder_rows(survey: Survey, slot: str, form: str, widths: set[int]) -> list[Encoder]:
    rows = [row for row in ENCODERS if row.slot == slot and row.form == form]
    if widths:
        return [row for row in rows if row.width in widths]
    layers = survey.names.layers.get(slot, set())
    rows = [row for row in rows if row.layers is None or max(layers, default=0) < row.layers]
    complete = [row for row in rows if row.layers == len(layers)]
    return complete or rows


def _by_widths(survey: Survey, candidates: list[str], verdict: Verdict) -> list[str]:
    """Drop those whose layers have other sizes; if that is everyone, only a name of its own still counts."""
    fitting: list[str] = []
    for name in candidates:
        hits = sum(survey.widths[name, side, True] for side in ("in", "out"))
        misses = sum(survey.widths[name, side, False] for side in ("in", "out"))
        verdict.sized = verdict.sized or hits + misses > 0
        if misses > _TOLERATED * (hits + misses):
            if len(verdict.evidence) < 8:
                verdict.evidence.append(_miss(survey, name))
        else:
            fitting.append(name)
    if fitting:
        hit = survey.examples.get((fitting[0], "in", True))
        if hit is not None:
            verdict.evidence.append(f"input width {hit[1]} at {shown(hit[0])} fits {', '.join(fitting)}")
        return fitting
    if len(candidates) > 1 and not survey.names.family("lokr"):
        verdict.evidence.append("no architecture with these module names has layers of these sizes")
        return []
    return candidates


def _miss(survey: Survey, name: str) -> str:
    for side in ("in", "out"):
        example = survey.examples.get((name, side, False))
        if example is not None:
            return f"{side}put width {example[1]} at {shown(example[0])} is not that of {name}"
    return f"sizes are not those of {name}"


def _by_dimensions(survey: Survey, candidates: list[str]) -> list[str]:
    """Tell linear from 1x1 convolution, as far as it still matters."""
    if len(candidates) < 2:
        return candidates
    kept = [name for name in candidates if not survey.widths[name, "ndim", False]]
    return kept or candidates


def _by_completeness(survey: Survey, candidates: list[str], verdict: Verdict) -> list[str]:
    """Prefer those of whom every block is there: 19 and 38 of 19 and 38 rather than of 20 and 40."""
    if len(candidates) < 2:
        return candidates
    kept = [name for name in candidates if _complete(survey, name)]
    if kept and len(kept) < len(candidates):
        verdict.evidence.append(f"the numbers of blocks are exactly those of {', '.join(kept)}")
    return kept or candidates


def _complete(survey: Survey, name: str) -> bool:
    for size in _ROWS[name].blocks:
        seen = [(len(survey.names.blocks(stem)), limit) for stem, limit in size if survey.names.blocks(stem)]
        if seen and all(count == limit for count, limit in seen) and max(limit for _, limit in seen) >= 8:
            return True
    return False


def _holds(row: Absence, survey: Survey, claimed: Sequence[Claim], kind: str) -> bool:
    """Tell whether what is missing was left out by nobody; whole weights leave nothing out."""
    if kind == "checkpoint":
        return True
    if row.layouts and not set(row.layouts) & set(survey.names.layouts):
        return False
    return not any(word in folded(claim.value) for word in row.unless for claim in claimed)


def _by_absence(
    survey: Survey, candidates: list[str], absences: Sequence[tuple[int, Absence]], verdict: Verdict
) -> list[str]:
    for number, row in absences:
        if row.winner not in candidates or not set(candidates) & set(row.losers):
            continue
        if (number, True) in survey.names.seen and (number, False) not in survey.names.seen:
            seen = sum(1 for slot in {group[0] for group in survey.groups} if (number, True) in slot.absences)
            if seen >= len(row.seen) and len(survey.names.blocks(row.stem)) >= row.at_least:
                verdict.evidence.append(row.why)
                candidates = [name for name in candidates if name not in row.losers]
    return candidates


def _decide(
    survey: Survey,
    candidates: list[str],
    claimed: Sequence[Claim],
    kind: str,
    verdict: Verdict,
) -> None:
    if not candidates:
        return
    if len(candidates) == 1:
        only = candidates[0]
        twin = next((b for a, b in TWINS if a == only and claimed and claimed[0].architecture == b), only)
        verdict.settle(twin)
        return
    for claim in claimed:
        if claim.architecture in candidates:
            verdict.evidence.append(
                f"among {', '.join(candidates)}, metadata {claim.key}={shown(claim.value)} decide",
            )
            verdict.settle(claim.architecture)
            return
    mute = survey.shaped and not verdict.sized and "denoiser" in survey.names.targets
    for row in USUAL:
        if (row.quiet or not mute) and _covers(row, survey, candidates, kind, sized=verdict.sized):
            others = [] if row.quiet else [name for name in candidates if name != row.winner]
            if others:
                verdict.evidence.append(
                    f"names and shapes fit {', '.join(candidates)}; {row.winner} is the usual one",
                )
            verdict.settle(row.winner, others)
            return
    verdict.evidence.append(f"names and shapes fit {', '.join(candidates)} alike")
    verdict.settle("ambiguous", candidates)


def _covers(row: Usual, survey: Survey, candidates: list[str], kind: str, *, sized: bool) -> bool:
    return (
        row.winner in candidates
        and set(candidates) <= {row.winner, *row.over}
        and (
            not row.stems
            or any(stem in survey.names.stems or stem in survey.names.targets for stem in row.stems)
        )
        and (row.bare is None or row.bare == survey.names.bare)
        and (row.sized is None or row.sized == sized)
        and (row.layout is None or row.layout in survey.names.layouts)
        and (row.kind is None or row.kind == kind)
    )


def _compare(claimed: Sequence[Claim], verdict: Verdict) -> None:
    """Report the first claim that the weights contradict."""
    if verdict.architecture in ("unknown", "ambiguous"):
        return
    for claim in claimed:
        if claim.architecture != verdict.architecture:
            verdict.evidence.append(
                f"metadata {claim.key} say {shown(claim.value)}, names and shapes say {verdict.architecture}",
            )
            return
