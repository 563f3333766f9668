"""References to loras in the paths of routes."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from starlette.convertors import PathConvertor, register_url_convertor

from registry.errors import BadRequest


class _ReferenceConvertor(PathConvertor):
    """The rest of a path, lines of it too: names of files may have line breaks in them."""

    regex = "(?s:.*)"


register_url_convertor("reference", _ReferenceConvertor())

ONE = "/loras/{ref:reference}"
"""The path of one lora; what stands behind it must be declared before it."""

Reference = Annotated[
    str,
    Path(
        max_length=4096,
        description="an id (`12`, `id:12`), 8 or more digits of any hash (`hash:H`), a path or a name",
    ),
]


def check_reference(ref: str) -> None:
    """Raise BadRequest for a text that neither a file system nor a database could hold."""
    if "\x00" in ref:
        raise BadRequest("no reference has a NUL in it")
