"""Rights that one process at a time has for a catalog: a locked file beside SQLite, a lock of PostgreSQL."""

from __future__ import annotations

import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from registry.catalog.faults import named_errors
from registry.errors import CatalogError, Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.catalog.engine import Catalog

_ALIVE = text("SELECT 1")
_TRY = text("SELECT pg_try_advisory_lock(:space, :number)")
# Any fixed number serves: with it the locks of this program are none of others.
_SPACE = 0x6C6F7262


@contextmanager
def alone(catalog: Catalog, right: str) -> Iterator[Callable[[], bool]]:
    """Hold a right while the block runs; gives what tells whether it is held still.

    Raises Conflict where another process has it. Whoever is killed has it no longer, nor who loses the
    connection to PostgreSQL.
    """
    if catalog.sqlite:
        lock = FileLock(f"{catalog.url.database}.{right}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise _taken(right) from None
        except OSError as error:
            raise CatalogError(
                f"the lock beside the catalog cannot be made: {error.strerror or error}",
                remedy="see that the data folder can be written",
            ) from error
        try:
            yield lambda: lock.is_locked
        finally:
            lock.release()
        return
    # A connection of its own, outside of any transaction: the lock is the connection's and may last long.
    engine = create_engine(catalog.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with named_errors(), engine.connect() as conn:
        key = {"space": _SPACE, "number": zlib.crc32(right.encode()) & 0x7FFFFFFF}
        if not conn.execute(_TRY, key).scalar():
            raise _taken(right)

        def is_held() -> bool:
            try:
                return bool(conn.execute(_ALIVE).scalar())
            except DBAPIError:
                return False

        yield is_held


def _taken(right: str) -> Conflict:
    return Conflict(
        f"another process does this already ({right})", remedy="leave it to that one, or stop it first"
    )
