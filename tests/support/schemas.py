"""Checking JSON against the schemas of an OpenAPI document, strictly: no key may be undeclared."""

from __future__ import annotations

from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def violations(value: Any, schema: dict[str, Any], document: dict[str, Any], at: str = "$") -> list[str]:
    """Return where a value breaks its schema; knows the keywords that our documents use and no others."""
    unknown = schema.keys() - _KNOWN
    assert not unknown, f"{at}: the test does not know {unknown}"
    if "$ref" in schema:
        target: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return violations(value, target, document, at)
    if "anyOf" in schema:
        tried = [violations(value, each, document, at) for each in schema["anyOf"]]
        return [] if [] in tried else [f"{at}: fits none of {len(tried)}"]
    expected = schema.get("type")
    if expected is not None:
        fits = isinstance(value, _TYPES[expected]) and (expected == "boolean" or not isinstance(value, bool))
        if not fits:
            return [f"{at}: {type(value).__name__} instead of {expected}"]
    found: list[str] = []
    if isinstance(value, dict):
        found += _object(value, schema, document, at)
    if isinstance(value, list):
        for index, each in enumerate(value):
            found += violations(each, schema.get("items", {}), document, f"{at}[{index}]")
    return found


_KNOWN = {"$ref", "anyOf", "type", "properties", "required", "items", "additionalProperties"} | {
    "title",
    "description",
    "default",
}


def _object(value: dict[str, Any], schema: dict[str, Any], document: dict[str, Any], at: str) -> list[str]:
    declared = schema.get("properties", {})
    found = [f"{at}: {name} is missing" for name in schema.get("required", ()) if name not in value]
    rest = schema.get("additionalProperties", not declared)
    for name, each in value.items():
        if name in declared:
            found += violations(each, declared[name], document, f"{at}.{name}")
        elif rest is False:
            found.append(f"{at}: {name} is not declared")
        elif isinstance(rest, dict):
            found += violations(each, rest, document, f"{at}.{name}")
    return found
