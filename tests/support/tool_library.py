"""A library of two roots as the dialects of other tools are asked for it, with names that are hard."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from registry.catalog.curation import edit
from registry.catalog.lookup import resolve
from registry.catalog.picture_rows import HEADER, Looked, Tie, write_looked
from registry.catalog.presence import set_missing
from registry.curation import Change
from registry.pictures.picture import Picture
from registry.pictures.sniff import KINDS
from registry.views import PictureKept
from tests.support.catalogs import MACHINE
from tests.support.files import kohya_metadata
from tests.support.pictures import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.catalogs import Builder
    from tests.support.serving import Service

WINDOWS = {
    "main": "D:\\ai\\models\\Lora",
    "more": "\\\\nas\\loras",
}
ODD = "style/ä ö #1 100%?&+'\n.safetensors"
MAIN = ["a.v1.safetensors", "hat10.safetensors", "hat2.safetensors", "style/deep/pen.pt", ODD]
MORE = ["flux/cap.safetensors", "hat2.safetensors"]
INK = {
    **kohya_metadata(seed=3, tags=5, name="ink"),
    "ss_bucket_info": '{"buckets": {}}',
    "ssmd_cover_images": '["data:image/png;base64,aaaa"]',
    "prompt": "a secret",
}


def fill(builder: Builder) -> None:
    """Fill a catalog with two roots; one file is missing, another cannot be reached."""
    roots = builder.root("/srv/loras", label="main"), builder.root("/mnt/more", label="more")
    for root, paths in zip(roots, (MAIN, MORE), strict=True):
        for path in paths:
            builder.file(root, path, opened=not path.endswith(".pt"))
    builder.file(roots[0], "style/ink.safetensors", INK)
    builder.file(roots[0], "gone.safetensors")
    builder.file(roots[1], "away.safetensors")
    builder.write()
    with builder.catalog.write() as unit:
        for name, state in (("gone", "missing"), ("away", "unreachable")):
            query = f"SELECT id FROM file WHERE name = '{name}'"
            set_missing(unit, unit.conn.exec_driver_sql(query).scalars().all(), state=state)


def note(builder: Builder, reference: str, **values: Any) -> int:
    """Note something of a lora, as a user does, and return its id."""
    with builder.catalog.write() as unit:
        lora_id = resolve(unit.conn, reference, MACHINE)
        edit(unit, [lora_id], {name: Change(value) for name, value in values.items()})
    return lora_id


def give_picture(service: Service, reference: str, level: int | None = None) -> str:
    """Let a picture be in the header of a lora, and return its key."""
    data = reference.encode()
    key = service.studio.store.put(data, Picture(KINDS["png"], 6, 4, plain("WEBP")))
    kept = PictureKept(key, "image/png", 6, 4, len(data), 20, original=False)
    with service.builder.catalog.write() as unit:
        lora_id = resolve(unit.conn, reference, MACHINE)
        query = f"SELECT header_id FROM file WHERE lora_id = {lora_id}"
        header = unit.conn.exec_driver_sql(query).scalar_one()
        write_looked(unit, [Looked(Tie(HEADER, header, b"0", 0, level), kept)])
    assert key == hashlib.sha256(data).hexdigest()
    return key


def windows(dialect: str, **more: Any) -> dict[str, Any]:
    """Return the profile of a tool on Windows that sees both roots."""
    return {"dialect": dialect, "prefix": WINDOWS, **more}


def opened(start: Callable[..., Service], **settings: Any) -> Service:
    """Start an application with a tool on Windows and one that sees the second root alone."""
    dialect = settings.pop("dialect")
    tools = {"win": windows(dialect), "alone": {"dialect": dialect, "roots": ["more"]}}
    return start(tools={**tools, **settings.pop("tools", {})}, **settings)
