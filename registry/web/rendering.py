"""Templates, static files, and the headers that every page has."""

from __future__ import annotations

from hashlib import blake2b
from importlib import resources
from typing import TYPE_CHECKING, Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from registry.web.words import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    # Without any referrer browsers call the origin of a form "null", and the door lets no such in.
    "referrer-policy": "same-origin",
}
STATIC: Final = "/static"
_FOREVER: Final = "private, max-age=31536000, immutable"
_ASK: Final = "private, no-cache"
_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}


class Asset(NamedTuple):
    """A static file: the name that it is served under, which changes with its bytes, and what it is."""

    served: str
    media_type: str
    body: bytes


def _assets() -> dict[str, Asset]:
    found = {}
    for file in resources.files("registry.web").joinpath("static").iterdir():
        stem, _, ending = file.name.rpartition(".")
        if ending in _TYPES:
            body = file.read_bytes()
            served = f"{stem}.{blake2b(body, digest_size=6).hexdigest()}.{ending}"
            found[file.name] = Asset(served, _TYPES[ending], body)
    return found


_ASSETS: Final = _assets()
_SERVED: Final = {asset.served: asset for asset in _ASSETS.values()}


def _static_url(name: str) -> str:
    return f"{STATIC}/{_ASSETS[name].served}"


_ENVIRONMENT: Final = Environment(
    loader=PackageLoader("registry.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_ENVIRONMENT.globals["static"] = _static_url
_ENVIRONMENT.filters["visible"] = visible


def render(template: str, **values: object) -> bytes:
    """Return a template with values in it, escaped."""
    # What is still half of a surrogate pair after presenting must not fail the whole page.
    return _ENVIRONMENT.get_template(template).render(values).encode("utf-8", "replace")


def page(body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer that is a page, or a part of one; it is shown again only after asking."""
    kept = {**HEADERS, "cache-control": _ASK, **(headers or {})}
    return Response(body, status, kept, "text/html")


def revalidated(request: Request, body: bytes) -> Response:
    """Return a page that a browser keeps and asks about, or only that it is the same still."""
    etag = f'W/"{blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"cache-control": _ASK, "etag": etag}
    given = request.headers.get("if-none-match", "")
    if etag in [part.strip() for part in given.split(",")]:
        return Response(status_code=304, headers={**HEADERS, **headers})
    return page(body, headers=headers)


def unchanged() -> Response:
    """Return the answer that leaves a page as it is; the next time it is asked for anew."""
    return Response(status_code=204, headers={**HEADERS, "cache-control": "no-store"})


def static_file(served: str) -> Response:
    """Return a static file under the name that has the digest of its bytes in it, to be kept for good."""
    asset = _SERVED.get(served)
    if asset is None:
        return Response("there is no such file\n", 404, dict(HEADERS), "text/plain")
    return Response(asset.body, 200, {**HEADERS, "cache-control": _FOREVER}, asset.media_type)
