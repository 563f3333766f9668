"""Other tools' HTTP shapes and sidecar names: pure codecs, one module per tool, found by their `ROUTES`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Operation(Enum):
    """What a foreign route asks for; the API binds each to a function of its own."""

    LIST_LORAS = auto()
    REFRESH_LORAS = auto()


class Auth(Enum):
    """How the clients of a tool identify themselves besides a bearer token."""

    BASIC = auto()
    BODY = auto()


@dataclass(frozen=True, slots=True)
class Route:
    """One route of a tool.

    `encode` turns the rows of the operation's answer into JSON: an iterator of raw bytes mixed with the
    bodies that the rows carry ready-made, which it passes through untouched. `around` is what the answer has
    before and after that. The rows of a list may be encoded in parts, which are then joined by commas.
    """

    method: str
    path: str
    operation: Operation
    auth: Auth
    encode: Callable[[Iterable[Any]], Iterator[Any]]
    around: tuple[bytes, bytes] = (b"", b"")
