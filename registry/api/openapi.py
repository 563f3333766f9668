"""The OpenAPI document: what FastAPI derives from the routes, with our media types and ways to sign in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry.api.dialects import TAGS
from registry.api.problems import MEDIA_TYPE

if TYPE_CHECKING:
    from fastapi import FastAPI

_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "a token made by `loras token create`"},
    "basic": {"type": "http", "scheme": "basic", "description": "any user name, the token as password"},
}


def describe(app: FastAPI) -> None:
    """Complete the document of an application; it is made when it is first asked for."""
    derived = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(derived())
        return app.openapi_schema

    app.__dict__["openapi"] = openapi


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    document.setdefault("components", {})["securitySchemes"] = _SCHEMES
    # The empty way: clients on the same machine need no token unless they are told to.
    document["security"] = [{"bearer": []}, {"basic": []}, {}]
    for operations in document["paths"].values():
        for operation in operations.values():
            # Other tools have shapes of their own.
            if set(TAGS).isdisjoint(operation.get("tags", ())):
                error = operation["responses"]["default"]
                error["content"] = {MEDIA_TYPE: error["content"].pop("application/json")}
    return document
