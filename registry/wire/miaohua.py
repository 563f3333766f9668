"""The lists of models of SenseTime Miaohua's `/api/v1b`, as its document for business users describes them.

All of it is POST with the token in the JSON body; answers are in an envelope `{code, info, msg}`, but for the
one of get_token.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from registry.errors import BadRequest
from registry.formats.markup import readable
from registry.formats.sidecar_values import record
from registry.wire.civitai_words import base_model, title
from registry.wire.parameters import line, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from registry.errors import RegistryError
    from registry.shown import Entry

PER_PAGE: Final = 20
MAX_PER_PAGE: Final = 1_000
MAX_PAGE: Final = 1_000_000
MAX_DESCRIPTION: Final = 5_000
_MAX_SECRET: Final = 1_000

KINDS: Final[Mapping[str, str]] = {"lora": "lora", "base": "checkpoint"}
"""The lists of models that hold one kind of ours; `private` is what Civitai does not know, of both."""
_TAGS: Final[Mapping[str, str]] = {"lora": "LORA"}
_OTHER_TAG: Final = "upload"


@dataclass(frozen=True, slots=True)
class Login:
    """Who asks for a token: the password is a token of ours, the email is not looked at."""

    email: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Query:
    """What list is asked for: pages count from 1, `query` is looked for in names and tags."""

    token: str = field(repr=False)
    page: int = 1
    per_page: int = PER_PAGE
    query: str | None = None

    @property
    def start(self) -> int:
        """How many models come before the page."""
        return (self.page - 1) * self.per_page


def read_login(body: object) -> Login:
    """Return what get_token was sent; BadRequest without a password."""
    asked = record(body)
    password = line("password", asked.get("password"), _MAX_SECRET)
    if password is None:
        raise BadRequest("password is missing", remedy="give a token of this server as the password")
    return Login(line("email", asked.get("email")) or "", password)


def read_query(body: object) -> Query:
    """Return what a list was asked for; BadRequest for a page or a query that cannot be.

    Whether the token is known is for the server to say: without one it is empty.
    """
    asked = record(body)
    return Query(
        token=line("token", asked.get("token"), _MAX_SECRET) or "",
        page=_number("page", asked, 1, MAX_PAGE),
        per_page=_number("per_page", asked, PER_PAGE, MAX_PER_PAGE),
        query=line("query", asked.get("query")),
    )


def token(login: Login) -> dict[str, object]:
    """Return the answer of get_token, which has no envelope."""
    return {"token": login.password}


def model(entry: Entry, *, demo_picture: str = "") -> dict[str, object]:
    """Return a model of a list; `demo_picture` is the address of its picture.

    `model_id` and `versionid` are the id of the lora, as a number and as a text. `is_opensource` tells the
    families of Stable Diffusion from SenseTime's own models, of which there are none here.
    """
    shown = entry.shown
    return {
        "author": shown.creator or "",
        "base_model": base_model(entry) or "",
        "demo_picture": demo_picture,
        "description": readable(shown.description or shown.version_description or "")[:MAX_DESCRIPTION],
        "is_opensource": True,
        "model_id": entry.lora_id,
        "model_name": title(shown),
        "tag": _TAGS.get(entry.kind, _OTHER_TAG),
        "versionid": str(entry.lora_id),
    }


def models(found: Iterable[Mapping[str, object]], query: Query, *, has_next: bool) -> dict[str, object]:
    """Return a page of a list of models in its envelope."""
    info = {"has_next": has_next, "models": list(found), "page": query.page, "per_page": query.per_page}
    return envelope(info)


def envelope(info: object, *, code: int = 0, msg: str = "") -> dict[str, object]:
    """Return an answer; a code other than 0 says that something is wrong."""
    return {"code": code, "info": info, "msg": msg}


def failed(error: RegistryError) -> dict[str, object]:
    """Return the answer that says what is wrong; its code is the HTTP status of the error."""
    return envelope("", code=error.status, msg=str(error))


def _number(name: str, asked: Mapping[str, object], otherwise: int, most: int) -> int:
    value = asked.get(name)
    return otherwise if value is None else whole(name, value, 1, most)
