"""The routes of other tools: a module for each, found by its `DIALECT`; codecs are in `registry.wire`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

from starlette.routing import Match

from registry.api import problems
from registry.api.dialects.answers import ERRORS, TAGS, Dialect, told

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Scope

    from registry.api.problems import Problem


__all__ = ["ERRORS", "TAGS", "Dialect", "body_token_paths", "dialects", "respond"]


@cache
def dialects() -> tuple[Dialect, ...]:
    """Return the dialects of all modules of this package."""
    modules = [
        importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)
    ]
    found = (getattr(module, "DIALECT", None) for module in modules)
    return tuple(dialect for dialect in found if dialect is not None)


def body_token_paths() -> frozenset[str]:
    """Return the paths of the tools whose clients name their token in the body."""
    return frozenset().union(*(dialect.body_paths for dialect in dialects()))


def respond(problem: Problem, scope: Scope) -> Response:
    """Return what tells of a problem in the words of the tool that the path belongs to, else in our own."""
    for dialect in dialects():
        if any(route.matches(scope)[0] is not Match.NONE for route in dialect.router.routes):
            return told(problem, dialect.failure)
    return problems.respond(problem, scope["path"])
