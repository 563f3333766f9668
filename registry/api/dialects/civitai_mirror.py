"""Civitai's REST v1 under `/civitai`, answered from the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response

from registry.api.access import needs
from registry.api.context import context_of
from registry.api.dialects.addresses import Addresses
from registry.api.dialects.answers import Dialect, JsonBody, sent
from registry.api.dialects.civitai_models import page_of_models
from registry.api.dialects.civitai_told import Teller
from registry.catalog.lookup import by_hash
from registry.catalog.loras import current_id
from registry.catalog.origins import holders_of
from registry.wire import civitai_mirror as mirror
from registry.wire.civitai_shapes import version_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registry.errors import RegistryError
    from registry.shown import Entry

router = APIRouter(prefix="/civitai/api/v1")

_VERSIONS: Final = "/model-versions"
_READ: Final = [needs("read")]
_AT_ONCE: Final = 500


@router.get(f"{_VERSIONS}/by-hash/{{hash}}", dependencies=_READ)
def version_by_hash(request: Request, hash: str) -> Response:  # noqa: A002 - as Civitai calls it
    """Tell of the version of a file, by any hash of it; of several the one that appeared first."""
    digits = mirror.read_hash(hash)
    addresses = Addresses(request)
    with context_of(request).catalog.read() as conn:
        teller = Teller(request, conn, addresses)
        hits = by_hash(conn, digits)
        files = {hit.file_id for hit in hits}
        entries = [one for one in teller.of_loras(hit.lora_id for hit in hits) if one.file_id in files]
        if not entries:
            raise mirror.missing()
        first = min(entries, key=_appeared)
        found = teller.versions([first])[version_id(first)]
    return sent(request, found)


@router.get(f"{_VERSIONS}/{{number}}", dependencies=_READ)
def version(request: Request, number: str) -> Response:
    """Tell of a version."""
    wanted = mirror.read_id(number)
    addresses = Addresses(request)
    with context_of(request).catalog.read() as conn:
        teller = Teller(request, conn, addresses)
        ours = mirror.lora_of(wanted)
        if ours is None:
            found = teller.versions_of([wanted]).get(wanted)
        else:
            entries = teller.of_loras([current_id(conn, ours)])
            found = next(iter(teller.versions(entries).values()), None)
        if found is None:
            raise mirror.missing()
    return sent(request, found)


@router.get("/models/{number}", dependencies=_READ)
def model(request: Request, number: str) -> Response:
    """Tell of a model with its versions."""
    wanted = mirror.read_id(number)
    addresses = Addresses(request)
    with context_of(request).catalog.read() as conn:
        teller = Teller(request, conn, addresses)
        ours = mirror.lora_of(wanted)
        if ours is None:
            found = teller.models_of([wanted]).get(wanted)
        else:
            entries = teller.of_loras([current_id(conn, ours)])
            found = next(iter(teller.models(teller.files_of_models(entries)).values()), None)
        if found is None:
            raise mirror.missing(wanted)
    return sent(request, found)


@router.get("/models", dependencies=_READ)
def models(request: Request) -> Response:
    """List models page by page: what was added last first, or what fits a query best."""
    query = mirror.read_query(request.query_params.multi_items())
    page, withheld = page_of_models(request, query)
    return sent(request, page, withheld=withheld)


@router.post(f"{_VERSIONS}/by-hash", dependencies=_READ)
def versions_by_hash(request: Request, body: JsonBody) -> Response:
    """Tell of the versions of files, by their SHA-256."""
    wanted = mirror.read_hashes(body, mirror.VERSIONS_AT_ONCE)
    addresses = Addresses(request)
    with context_of(request).catalog.read() as conn:
        teller = Teller(request, conn, addresses)
        found = teller.versions(entry for _, entry in _holders(teller, wanted))
    return sent(request, list(found.values()))


@router.post(f"{_VERSIONS}/by-hash/ids", dependencies=_READ)
def ids_by_hash(request: Request, body: JsonBody) -> Response:
    """Tell the versions and models of files, by their SHA-256."""
    wanted = mirror.read_hashes(body, mirror.IDS_AT_ONCE)
    addresses = Addresses(request)
    with context_of(request).catalog.read() as conn:
        found = mirror.ids(_holders(Teller(request, conn, addresses), wanted))
    return sent(request, found)


def _holders(teller: Teller, sha256s: Sequence[str]) -> Iterator[tuple[str, Entry]]:
    """Yield each SHA-256 with the first file that has it, in the order of the roots."""
    for start in range(0, len(sha256s), _AT_ONCE):
        holders = holders_of(teller.conn, sha256s[start : start + _AT_ONCE])
        has = {holder.file_id: holder.sha256 for holder in holders}
        seen: set[str] = set()
        for entry in teller.of_loras(holder.lora_id for holder in holders):
            sha256 = has.get(entry.file_id)
            if sha256 is not None and sha256 not in seen:
                seen.add(sha256)
                yield sha256, entry


def _appeared(entry: Entry) -> tuple[bool, int, int]:
    """Sort by what Civitai knows and when that appeared, as it does itself."""
    told = entry.version
    moment = None if told is None else told.published_at or told.created_at
    return entry.shown.version_id is None, entry.added if moment is None else moment, version_id(entry)


def _failure(error: RegistryError) -> tuple[int, object]:
    return error.status, mirror.failed(error)


DIALECT: Final = Dialect(router, _failure)
