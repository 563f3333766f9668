"""What SenseTime Miaohua's clients send with a bearer token in the header: pictures to begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from registry.api.access import needs
from registry.api.context import context_of
from registry.api.dialects.answers import Dialect, sent
from registry.api.dialects.base_models import bases_of
from registry.api.dialects.starts import keep_start, start_address
from registry.errors import BadRequest
from registry.wire import miaohua, miaohua_drawn

if TYPE_CHECKING:
    from registry.errors import RegistryError

router = APIRouter(prefix="/api/v1b")
MOST: Final = 20
_FIELD: Final = "init_img"
_MOST_FIELDS: Final = 20


@router.get("/get_generation_form", dependencies=[needs("read")])
def get_generation_form(request: Request) -> Response:
    """Tell what a task can say; base models are those of the settings."""
    names = [base.name for base in bases_of(context_of(request).settings)]
    return sent(request, miaohua_drawn.generation_form(names))


@router.post("/upload_img", dependencies=[needs("write")])
async def upload_img(request: Request) -> Response:
    """Keep a picture for a day at least and answer with its address."""
    return await _kept(request, 1)


@router.post("/upload_imgs", dependencies=[needs("write")])
async def upload_imgs(request: Request) -> Response:
    """Keep pictures for a day at least and answer with their addresses."""
    return await _kept(request, MOST)


async def _kept(request: Request, most: int) -> Response:
    keys: list[str] = []
    async with request.form(max_files=most, max_fields=_MOST_FIELDS) as form:
        files = form.getlist(_FIELD)
        if not files:
            raise BadRequest(f"{_FIELD} is missing", remedy=f"send a file in the multipart field {_FIELD}")
        for file in files:
            if not isinstance(file, UploadFile):
                raise BadRequest(f"{_FIELD} is no file", remedy="send the picture itself")
            data = await file.read()
            keys.append((await run_in_threadpool(keep_start, request, data)).key)
    address = await run_in_threadpool(start_address, request)
    return sent(request, miaohua_drawn.uploaded_images([address(key) for key in keys]))


def _failure(error: RegistryError) -> tuple[int, object]:
    return 200, miaohua.failed(error)


DIALECT: Final = Dialect(router, _failure)
