"""Sidecars that we write for other tools: their names, and what is to become of what is there already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.errors import BadRequest
from registry.formats import ours
from registry.formats.json_editing import Style, edited, same, written
from registry.formats.merging import by_user
from registry.formats.values import OddValueError, json_value
from registry.formats.verdicts import DIFFERS, verdict
from registry.wire import civitai_helper, lora_manager, rgthree, stability_matrix, swarmui, user_json
from registry.wire.companions import SIDECAR_FAMILIES, pair
from registry.wire.sidecars import BLANK, MAX_SIDECAR, BadSidecar, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from registry.outgoing import Outgoing
    from registry.told import SidecarFacts


class Planned(NamedTuple):
    """What is to be written: nothing if `data` is `None`; `changed` are the members that become others.

    `problem` says why a file is left alone, in a short sentence that begins with "it".
    """

    data: bytes | None = None
    changed: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Export:
    """A kind of sidecar: its ending, after the stem or with `whole_name` after the name, and how it is made.

    `write` takes what is there and gives what is to be there, `None` where that is not for it to write.
    """

    ending: str
    read: Callable[[object], SidecarFacts | None]
    write: Callable[[Mapping[str, object] | None, Outgoing], Mapping[str, object] | None]
    style: Style
    whole_name: bool = False


# How each tool writes JSON: A1111 modules/ui_extra_networks_user_metadata.py; Civitai Helper
# scripts/ch_lib/model.py; Lora-Manager py/utils/metadata_manager.py; StabilityMatrix ConnectedModelInfo.cs;
# SwarmUI src/Text2Image/T2IModelHandler.cs; rgthree-comfy py/utils.py.
TABLE: Final[Mapping[str, Export]] = {
    "a1111": Export(".json", user_json.read, user_json.write, Style(4, ascii=False)),
    "civitai-helper": Export(
        ".civitai.info", civitai_helper.read, civitai_helper.write, Style(4, ascii=True)
    ),
    "lora-manager": Export(".metadata.json", lora_manager.read, lora_manager.write, Style(2, ascii=False)),
    "stability-matrix": Export(
        ".cm-info.json", stability_matrix.read, stability_matrix.write, Style(None, ascii=True)
    ),
    "swarmui": Export(".swarm.json", swarmui.read, swarmui.write, Style(2, ascii=False)),
    "rgthree": Export(
        ".rgthree-info.json", rgthree.read, rgthree.write, Style(2, ascii=True), whole_name=True
    ),
}


def export_of(tool: str) -> Export:
    """Return the kind of sidecar that a tool keeps. Raises BadRequest for a tool that has none."""
    found = TABLE.get(tool)
    if found is None:
        raise BadRequest(
            f"nothing is written for {tool!r}", remedy=f"It is one of {', '.join(sorted(TABLE))}."
        )
    return found


def sidecar_name(tool: str, file_name: str, beside: Iterable[str] = ()) -> str:
    """Return the name of a tool's sidecar beside a model: of the one that is there, else a new one.

    Raises BadRequest as `export_of` does.
    """
    export = export_of(tool)
    stem = file_name if export.whole_name else file_name.rpartition(".")[0] or file_name
    name = stem + export.ending
    there = [
        one.file_name
        for one in pair(beside, [file_name]).get(file_name, ())
        if one.family == SIDECAR_FAMILIES[export.ending]
    ]
    return name if name in there else next(iter(there), name)


def plan(tool: str, original: bytes | None, out: Outgoing) -> Planned:
    """Return what is to be written over the bytes that are there, `None` if there is no file.

    A file that is no JSON, of another kind, or by its hashes of another model is left alone. Raises
    BadRequest as `export_of` does.
    """
    export = export_of(tool)
    try:
        return _planned(tool, export, original, out)
    except BadSidecar as error:
        return Planned(problem=f"{error}: left alone")


def _planned(tool: str, export: Export, original: bytes | None, out: Outgoing) -> Planned:
    """Return what `plan` does. Raises BadSidecar for what is left alone."""
    text, known = (None, None) if original is None else _parsed(original)
    new = export.write(known, out)
    if new is None:
        raise BadSidecar(f"it is no file of {tool}")
    before = known or {}
    changed = tuple(key for key, item in new.items() if key not in before or not same(before[key], item))
    if not changed:
        return Planned()
    if known and _is_of_another(export, known, out):
        raise BadSidecar("it names the hashes of another file")
    return Planned(_encoded(new, text, known, export.style), changed)


def _encoded(
    new: Mapping[str, object], text: str | None, known: Mapping[str, object] | None, style: Style
) -> bytes:
    try:
        data = encode(new, text, known, style)
    except (ValueError, RecursionError):
        raise BadSidecar("it holds numbers that JSON has not, or is nested too deep") from None
    if len(data) > MAX_SIDECAR:
        raise BadSidecar(f"it would be larger than {MAX_SIDECAR // 1024**2} MiB")
    return data


def encode(
    new: Mapping[str, object], text: str | None, known: Mapping[str, object] | None, style: Style
) -> bytes:
    """Return JSON in UTF-8: the text that says what is `known` with what is new in it, else all of it anew.

    Raises ValueError for numbers that JSON has not, RecursionError for what is nested too deep.
    """
    whole = written(new, style) if text is None or known is None else edited(text, known, new, style)
    return whole.encode()


def remembered(
    tool: str, before: bytes | None, after: bytes, earlier: Mapping[str, object] | None = None
) -> dict[str, list[str]]:
    """Return what of a sidecar is ours once `after` is written: JSON to keep, for `registry.formats.ours`.

    `earlier` is what was remembered of it before, which stays ours as long as the file says it.
    """
    read = export_of(tool).read
    there = None if before is None else read(_parsed(before)[1])
    if there is not None and earlier:
        there = ours.without(there, earlier)
    return ours.added(there, read(_parsed(after)[1]))


def _parsed(data: bytes) -> tuple[str, Mapping[str, object]]:
    if len(data) > MAX_SIDECAR:
        raise BadSidecar(f"it is larger than {MAX_SIDECAR // 1024**2} MiB")
    text = decode(data)
    if not text.strip(BLANK):
        raise BadSidecar("it is empty")
    try:
        value = json_value(text)
    except OddValueError:
        raise BadSidecar("it is not JSON") from None
    if not isinstance(value, dict):
        raise BadSidecar("it is not a JSON object")
    return text, value


def _is_of_another(export: Export, known: Mapping[str, object], out: Outgoing) -> bool:
    """Whether a file names hashes, and none is ours; a version that the user chose may have others."""
    facts = export.read(known)
    if facts is None or by_user(out, "version_id"):
        return False
    return verdict(facts.hashes, set(out.hashes.values()), hashed="sha256" in out.hashes) == DIFFERS
