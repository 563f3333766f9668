"""Which files a request of another tool means: conditions that an index answers, for `listed_among`."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from sqlalchemy import and_, func, or_, select

from registry.catalog import tables
from registry.catalog.keys import MAX_KEY, fold
from registry.formats.packing import clean_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement

_TABLES = tables.TABLES
FILE, DIGEST = _TABLES["file"], _TABLES["digest"]


def with_ids(file_ids: Sequence[int]) -> ColumnElement[bool]:
    """Mean the files with these ids; at most as many as fit the parameters of one statement."""
    return FILE.c.id.in_(list(file_ids))


def with_paths(paths: Sequence[str], stems: Sequence[str] = ()) -> ColumnElement[bool]:
    """Mean the files whose paths below their roots are shown so, of `stems` without their extensions."""
    whole, bare = ([clean_text(path) for path in some] for some in (paths, stems))
    # Only what names are found by has an index, and bytes that are no text are shown as something else.
    keys = {fold(posixpath.splitext(posixpath.basename(path))[0]) for path in whole}
    keys.update(fold(posixpath.basename(path)) for path in bare)
    parted = map(posixpath.split, bare)
    places = [and_(FILE.c.folder == folder, FILE.c.name == name) for folder, name in parted]
    return and_(FILE.c.name_key.in_(sorted(keys)), or_(FILE.c.path.in_(whole), *places))


def with_name(name: str) -> ColumnElement[bool]:
    """Mean the files with a name, which is that of the file without its extension."""
    wanted = clean_text(name)
    return and_(FILE.c.name_key == fold(wanted), FILE.c.name == wanted)


def with_underscored_name(name: str) -> ColumnElement[bool]:
    """Mean the files that have a name once each dot in it is an underscore."""
    wanted = clean_text(name)
    first, underscore, _ = wanted.partition("_")
    key = fold(first)
    if not underscore or len(key) >= MAX_KEY:
        beginning = FILE.c.name_key == fold(wanted)
    else:
        beginning = or_(
            *(
                and_(FILE.c.name_key >= key + mark, FILE.c.name_key < key + chr(ord(mark) + 1))
                for mark in "._"
            )
        )
    return and_(beginning, func.replace(FILE.c.name, ".", "_") == wanted)


def with_hash(kind: str, digits: str) -> ColumnElement[bool]:
    """Mean the files with a hash of a kind, whole and in lower case."""
    return FILE.c.id.in_(select(DIGEST.c.file_id).where(DIGEST.c.value == digits, DIGEST.c.kind == kind))
