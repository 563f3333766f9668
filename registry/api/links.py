"""`/api/v1/loras/{ref}/link`: addresses under which a file can be fetched for a while without any token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from registry.api.access import needs
from registry.api.context import Context, context_of
from registry.api.levels import resolve_told
from registry.api.profiles import RAISED
from registry.api.references import ONE, Reference, check_reference
from registry.api.serialise import answer
from registry.api.shapes import FileLink
from registry.api.signing import sign, with_level
from registry.catalog.secrets import find_link_key, make_link_key
from registry.catalog.sending import files_to_send

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.catalog.engine import Catalog

router = APIRouter(tags=["files"], dependencies=[needs("read")])

LONGEST = 7 * 86_400
USUAL = 3600


class LinkWish(BaseModel):
    """For how long a link is to work."""

    model_config = ConfigDict(extra="forbid")
    seconds: Annotated[int, Field(ge=1, le=LONGEST)] = USUAL


@router.post(f"{ONE}/link", responses={200: {"model": FileLink}})
def make_link(request: Request, ref: Reference, wish: LinkWish) -> Response:
    """Make a link to the file of a lora that works without a token for a while, at most 7 days.

    It leads to that very file: by its hash, or by the id of its lora as long as it is not hashed.
    """
    check_reference(ref)
    context = context_of(request)
    with context.catalog.read() as conn:
        resolve_told(request, conn, ref)
        known = files_to_send(conn, ref, context.machine_id)[0]
    lasting = f"id:{known.lora_id}" if known.sha256 is None else f"hash:{known.sha256}"
    until = context.catalog.clock() // 1000 + wish.seconds
    return answer(request, FileLink(signer(context, request, until)(lasting), until * 1000))


def signed_url(context: Context, request: Request, ref: str, seconds: int) -> str:
    """Return the address of a file, an id or a hash, that works without a token for so many seconds."""
    return signer(context, request, context.catalog.clock() // 1000 + seconds)(ref)


def signer(context: Context, request: Request, until: int) -> Callable[[str], str]:
    """Return what makes links to files, ids or hashes, that work until a time, in seconds since the epoch.

    Who makes many links looks at the catalog once.
    """
    signed = path_signer(context, request, until)
    return lambda ref: signed(str(request.app.url_path_for("send_file", ref=ref)))


def path_signer(
    context: Context, request: Request, until: int, level: str | None = None
) -> Callable[[str], str]:
    """Return what makes links to paths of this server that work until a time, as `signer` does.

    With a `level` they show pictures up to it; it is signed with them. Apart from that only for paths that
    send whoever may read them the same, whatever else their address says.
    """
    key = _key(context.catalog)
    base = str(request.base_url).rstrip("/")
    raised = "" if level is None else f"&{RAISED}={level}"
    return lambda path: f"{base}{quote(path, safe='/:')}?{sign(key, with_level(path, level), until)}{raised}"


def _key(catalog: Catalog) -> bytes:
    with catalog.read() as conn:
        known = find_link_key(conn)
    if known is not None:
        return known
    with catalog.write() as unit:
        return make_link_key(unit)
