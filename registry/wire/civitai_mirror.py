"""Civitai's REST v1 under another address: its answers as it sent them, and the like of them for all else.

Sources: civitai/civitai src/pages/api/v1/models and src/pages/api/v1/model-versions, and the developer pages
of Civitai on pagination and errors. What Civitai never knew has negative ids, those of our loras: Civitai
gives none itself, they fit wherever its own do, and who reads only positive ones is not misled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.errors import BadRequest, NotFound
from registry.formats.civitai import hashes, image_of, version_of
from registry.formats.sidecar_values import record
from registry.formats.sidecar_values import whole as whole_number
from registry.formats.values import is_shallow
from registry.hashing.lookup import is_hash_of_nothing, parse_hash_query
from registry.wire.civitai_shapes import (
    digests,
    model_id,
    shaped_file,
    shaped_model,
    shaped_version,
    version_id,
)
from registry.wire.civitai_words import MODEL_TYPES, SITE
from registry.wire.parameters import choices, flag, line, whole, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from registry.errors import RegistryError
    from registry.shown import Entry
    from registry.told import RemoteImage

    DownloadUrl = Callable[[Entry], str]
    Shows = Callable[[RemoteImage], bool]

MAX_ID: Final = 2**31 - 1
MAX_LIMIT: Final = 100
VERSIONS_AT_ONCE: Final = 100
IDS_AT_ONCE: Final = 10_000
_MAX_CURSOR: Final = 2_000
_MAX_NESTING: Final = 100
_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_DOWNLOAD: Final = re.compile(r"/api/download/models/[0-9]{1,10}(?:\?[^\s#]{0,500})?", re.ASCII)
# Each tells all bytes of a file; the first that an answer has counts.
_EXACT: Final = ("sha256", "blake3", "autov2")
_WEIGHTS: Final = "autov3"
_GONE: Final = "Archived"


@dataclass(frozen=True, slots=True)
class Query:
    """What models was asked for; `None` and empty ask for nothing in particular.

    Several `ids`, `types` or `base_models` are alternatives. `cursor` is ours, as it was given out.
    """

    query: str | None = None
    tag: str | None = None
    username: str | None = None
    ids: tuple[int, ...] = ()
    types: tuple[str, ...] = ()
    base_models: tuple[str, ...] = ()
    nsfw: bool | None = None
    limit: int = MAX_LIMIT
    cursor: str | None = None


def read_id(written: str) -> int:
    """Return the id of a model or version, negative for those of ours; BadRequest for what cannot be one."""
    found = whole("id", written, -MAX_ID, MAX_ID)
    if not found:
        raise BadRequest("there is no id 0", remedy=f"give 1 to {MAX_ID}, or an id that was sent from here")
    return found


def lora_of(number: int) -> int | None:
    """Return the lora whose id stands in for one of Civitai's, `None` for one of Civitai's."""
    return -number if number < 0 else None


def read_hash(written: str) -> str:
    """Return a hash of any kind in lower-case hex; NotFound for what is none, and for that of nothing."""
    digits = parse_hash_query(written)
    if digits is None or is_hash_of_nothing(digits):
        raise NotFound("Model not found", remedy="give 8 to 64 hex digits")
    return digits


def read_hashes(body: object, most: int) -> tuple[str, ...]:
    """Return the SHA-256 of a JSON array in lower case, each once; BadRequest for anything else."""
    if not isinstance(body, list) or len(body) > most:
        raise BadRequest(f"that is no array of up to {most:,} SHA-256", remedy="send fewer at once")
    if not all(isinstance(each, str) and _SHA256.fullmatch(each) for each in body):
        raise BadRequest("a SHA-256 has 64 hex digits", remedy="send SHA-256 of whole files only")
    return tuple(dict.fromkeys(each.lower() for each in body))


def read_query(params: Iterable[tuple[str, str]]) -> Query:
    """Return what models was asked for in pairs of names and values; names that do not narrow it are ignored.

    Raises BadRequest for a value that cannot be, for pages, and for lists that belong to an account.
    """
    given: dict[str, list[str]] = {}
    for name, value in params:
        given.setdefault(name.removesuffix("[]"), []).append(value)
    last = {name: values[-1] for name, values in given.items()}
    if last.get("page") not in (None, "", "1"):
        raise BadRequest("pages are not numbered here, use cursors", remedy="pass nextCursor on as cursor")
    for name in ("favorites", "hidden"):
        if flag(name, last.get(name)):
            raise BadRequest(f"there are no {name} here", remedy=f"leave {name} out")
    limit = last.get("limit")
    return Query(
        query=line("query", last.get("query")),
        tag=line("tag", last.get("tag")),
        username=line("username", last.get("username")),
        ids=tuple(read_id(each) for each in words("ids", given.get("ids", ()))),
        types=choices("types", words("types", given.get("types", ())), MODEL_TYPES),
        base_models=words("baseModels", given.get("baseModels", ())),
        nsfw=flag("nsfw", last.get("nsfw")),
        limit=whole("limit", limit, 0, MAX_LIMIT) if limit else MAX_LIMIT,
        cursor=line("cursor", last.get("cursor"), _MAX_CURSOR),
    )


def everything(_image: RemoteImage) -> bool:
    """Say of any image that it may be shown."""
    return True


def version(
    entries: Sequence[Entry], *, download_url: DownloadUrl, raw: object = None, shows: Shows = everything
) -> dict[str, object]:
    """Return the answer of model-versions and by-hash for files of one version, one at least.

    `raw` is what Civitai answered, parsed; it is sent as it was but for the links to files, images that may
    not be shown and the mark of what is gone. Without it the answer is made from what is shown.
    """
    sent = _sent(raw)
    if version_of(sent) is None:
        return shaped_version(entries, download_url=download_url, shows=shows)
    answer = _linked(sent, entries, download_url, shows)
    within = answer.get("model")
    if _are_gone(entries) and isinstance(within, dict) and within.get("mode") is None:
        answer["model"] = {**within, "mode": _GONE}
    return answer


def model(
    entries: Sequence[Entry], *, download_url: DownloadUrl, raw: object = None, shows: Shows = everything
) -> dict[str, object]:
    """Return the answer of models/{id} for files of one model, one at least; `raw` as for `version`."""
    sent = _sent(raw)
    versions = sent.get("modelVersions")
    if not isinstance(versions, list):
        return shaped_model(entries, download_url=download_url, shows=shows)
    answer = {
        **sent,
        "modelVersions": [
            _linked(each, _of_version(entries, each), download_url, shows) if isinstance(each, dict) else each
            for each in versions
        ],
    }
    if _are_gone(entries) and answer.get("mode") is None:
        answer["mode"] = _GONE
    return answer


def models(
    page: Iterable[Mapping[str, object]], *, next_cursor: str | None = None, next_page: str | None = None
) -> dict[str, object]:
    """Return a page of models; `next_page` is the address of the next one, which `next_cursor` begins."""
    following = {"nextCursor": next_cursor, "nextPage": next_page}
    metadata = {name: value for name, value in following.items() if value is not None}
    return {"items": list(page), "metadata": metadata}


def ids(matches: Iterable[tuple[str, Entry]]) -> list[dict[str, object]]:
    """Return the answer of by-hash/ids: for each SHA-256 that was asked, a file that has it."""
    return [
        {"modelVersionId": version_id(entry), "modelId": model_id(entry), "hash": sha256.upper()}
        for sha256, entry in matches
    ]


def failed(error: RegistryError) -> dict[str, object]:
    """Return the body that says what is wrong, sent with the status of the error."""
    return {"error": str(error)}


def missing(number: int | None = None) -> NotFound:
    """Return the error of a version or, with its id, of a model that is not there, in Civitai's words."""
    said = "Model not found" if number is None else f"No model with id {number}"
    return NotFound(said, remedy="ask for what this library has")


def _sent(raw: object) -> Mapping[str, object]:
    """Return an answer of Civitai, an empty one for what cannot be one that others can read."""
    return record(raw) if is_shallow(raw, _MAX_NESTING) else {}


def _are_gone(entries: Sequence[Entry]) -> bool:
    return all(entry.shown.gone_at is not None for entry in entries)


def _of_version(entries: Sequence[Entry], sent: Mapping[str, object]) -> list[Entry]:
    """Return the files that are shown as a version, and those with the very bytes of one of its files."""
    number, files = whole_number(sent.get("id")), sent.get("files")
    told = {
        pair
        for file in (files if isinstance(files, list) else ())
        for pair in hashes(record(file).get("hashes")).items()
        if pair[0] in _EXACT
    }
    return [
        entry
        for entry in entries
        if entry.shown.version_id == number or not told.isdisjoint(digests(entry).items())
    ]


def _linked(
    sent: Mapping[str, object], entries: Sequence[Entry], download_url: DownloadUrl, shows: Shows
) -> dict[str, object]:
    """Return a version with links to the files that are here, and right ones to those that are not."""
    answer = dict(sent)
    links = _Links(entries, download_url, whole_number(sent.get("id")))
    files = sent.get("files")
    main: Mapping[str, object] = {}
    if isinstance(files, list):
        linked = [links.in_file(each) if isinstance(each, dict) else each for each in files]
        if not files:
            linked = [
                shaped_file(each, link=download_url(each), primary=number == 0)
                for number, each in enumerate(entries)
            ]
        answer["files"] = linked
        main = _main(linked)
    if "downloadUrl" in main and ("downloadUrl" in sent or not files):
        answer["downloadUrl"] = main["downloadUrl"]
    elif "downloadUrl" in sent:
        answer["downloadUrl"] = links.theirs(sent["downloadUrl"])
    images = sent.get("images")
    if isinstance(images, list) and shows is not everything:
        answer["images"] = [each for each in images if (image := image_of(each)) is not None and shows(image)]
    return answer


def _main(files: Iterable[object]) -> Mapping[str, object]:
    """Return the primary file, else the first one, an empty one if there is none."""
    found = [each for each in files if isinstance(each, dict)]
    return next((each for each in found if each.get("primary") is True), found[0] if found else {})


class _Links:
    """Where the files of a version are had from: here where we have the very bytes, else from Civitai.

    Of what is gone there, a file with the same weights will do: its SHA-256 is then not the one that is told.
    """

    def __init__(self, entries: Sequence[Entry], download_url: DownloadUrl, number: int | None) -> None:
        self._download_url = download_url
        self._number = number
        self._ours: dict[tuple[str, str], Entry] = {}
        for entry in entries:
            kinds = _EXACT if entry.shown.gone_at is None else (*_EXACT, _WEIGHTS)
            for kind, digest in digests(entry).items():
                if kind in kinds:
                    self._ours.setdefault((kind, digest), entry)

    def in_file(self, file: Mapping[str, object]) -> dict[str, object]:
        """Return a file as it was sent, but for its link."""
        ours = self._entry(hashes(file.get("hashes")))
        if ours is not None:
            return {**file, "downloadUrl": self._download_url(ours)}
        if "downloadUrl" not in file:
            return dict(file)
        return {**file, "downloadUrl": self.theirs(file["downloadUrl"])}

    def theirs(self, written: object) -> object:
        """Return a link to Civitai with the right origin, which it was at times sent without."""
        if not isinstance(written, str):
            return written
        path = _DOWNLOAD.search(written)
        if path is not None:
            return SITE + path.group()
        return written if self._number is None else f"{SITE}/api/download/models/{self._number}"

    def _entry(self, told: Mapping[str, str]) -> Entry | None:
        exact = next((kind for kind in _EXACT if kind in told), None)
        found = self._ours.get((exact, told[exact])) if exact is not None else None
        if found is None and _WEIGHTS in told:
            found = self._ours.get((_WEIGHTS, told[_WEIGHTS]))
        return found
