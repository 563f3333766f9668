"""What a fake Civitai knows: models added whole, many made on demand, and recorded answers, found by hash."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from tests.support.civitai_answers import (
    PUBLISHED,
    Json,
    file_answer,
    is_published,
    model_answer,
    model_shown,
    version_answer,
    version_shown,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

DETAILS: Final = "/api/v1/model-versions/by-hash"
IDS: Final = "/api/v1/model-versions/by-hash/ids"
FIRST_MODEL: Final = 10_000_000
FIRST_VERSION: Final = 20_000_000
_HASHES: Final = frozenset({"AutoV1", "AutoV2", "AutoV3", "SHA256", "CRC32", "BLAKE3"})


class NotThere(Exception):
    """Nothing is shown under that number or hash; says why as Civitai does."""


class Row(NamedTuple):
    """A published file that has a hash."""

    published: str
    version_id: int
    model_id: int


class Many:
    """Models that have one file in each version, made when they are asked for; found by SHA-256 only."""

    def __init__(self, sha256s: Sequence[str], per_model: int, first_model: int, first_version: int) -> None:
        self._sha256s = tuple(map(str.upper, sha256s))
        self._places = {sha256: place for place, sha256 in enumerate(self._sha256s)}
        self._per_model = per_model
        self._first_model = first_model
        self._first_version = first_version

    def __len__(self) -> int:
        return len(self._sha256s)

    def row(self, sha256: str) -> Row | None:
        """Return which version and model have a file."""
        place = self._places.get(sha256.upper())
        if place is None:
            return None
        return Row(PUBLISHED, self._first_version + place, self._first_model + place // self._per_model)

    def model_id(self, version_id: int) -> int | None:
        """Return the model of a version."""
        place = version_id - self._first_version
        return self._first_model + place // self._per_model if 0 <= place < len(self) else None

    def model(self, model_id: int) -> Json | None:
        """Return the answer of a model."""
        begin = (model_id - self._first_model) * self._per_model
        if not 0 <= begin < len(self):
            return None
        places = range(begin, min(begin + self._per_model, len(self)))
        versions = [
            version_answer(
                self._first_version + place,
                [file_answer(self._sha256s[place])],
                name=f"v{place - begin + 1}",
                trainedWords=[f"word {place}"],
            )
            for place in places
        ]
        return model_answer(model_id, versions, tags=["one", f"tag {model_id % 50}"])


class Library:
    """Models and versions by number and by hash; all bodies are JSON as it is sent. For any thread.

    `tells_models` says whether the model stands beside each version of `by-hash/ids`, as it does since 2026.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.tells_models = True
        self._lock = threading.RLock()
        self._models: dict[int, Json] = {}
        self._holders: dict[int, int] = {}
        self._alone: dict[int, Json] = {}
        self._recorded: dict[tuple[str, int], bytes] = {}
        self._many: list[Many] = []
        self._gone_models: set[int] = set()
        self._gone_versions: set[int] = set()
        self._found: dict[tuple[str, str], list[Row]] | None = None
        self._images: dict[str, tuple[bytes, str]] = {}
        self._off: dict[str, int] = {}

    def add(self, model: Json) -> None:
        """Take in the answer of a model, or take it instead of an earlier one of the same number."""
        with self._lock:
            self._models[model["id"]] = model
            self._holders.update((version["id"], model["id"]) for version in model["modelVersions"])
            self._recorded.pop(("model", model["id"]), None)
            self._found = None

    def add_many(self, sha256s: Sequence[str], per_model: int = 1) -> Many:
        """Take in many files, so many versions to a model, whose answers are made when they are asked for."""
        with self._lock:
            before = sum(map(len, self._many))
            self._many.append(Many(sha256s, per_model, FIRST_MODEL + before, FIRST_VERSION + before))
            return self._many[-1]

    def serve_recorded(self, path: Path) -> None:
        """Serve a recorded model, version or list of models.

        A model or version in a file of its own is sent byte for byte; one within a record of its source, or
        in a list, is written anew.
        """
        whole = path.read_bytes()
        found = orjson.loads(whole)
        if "response" in found:
            found = found["response"]
            whole = orjson.dumps(found)
        with self._lock:
            if "items" in found:
                for model in found["items"]:
                    self.add(model)
            elif "modelVersions" in found:
                self.add(found)
                self._recorded["model", found["id"]] = whole
            else:
                self._alone[found["id"]] = found
                self._recorded["version", found["id"]] = whole
                self._found = None

    def take_away_model(self, model_id: int, *, versions: bool = True) -> None:
        """Show a model no more, and its versions neither unless they are to stay."""
        with self._lock:
            self._gone_models.add(model_id)
            if versions:
                self._gone_versions.update(self._versions_of(model_id))

    def take_away_version(self, version_id: int) -> None:
        """Show a version no more, not in its model either."""
        with self._lock:
            self._gone_versions.add(version_id)

    def bring_back_model(self, model_id: int) -> None:
        """Show a model and all its versions again."""
        with self._lock:
            self._gone_models.discard(model_id)
            self._gone_versions.difference_update(self._versions_of(model_id))

    def add_image(self, name: str, content: bytes, kind: str = "image/jpeg") -> str:
        """Take in an image and return its address."""
        with self._lock:
            self._images[name] = (content, kind)
        return f"{self.url}/images/{name}"

    def image(self, name: str) -> tuple[bytes, str] | None:
        """Return an image and its content type."""
        with self._lock:
            return self._images.get(name)

    def status_of(self, route: str) -> int | None:
        """Return what a route answers that is switched off."""
        with self._lock:
            return self._off.get(route)

    def switch_off(self, route: str, status: int = 405) -> None:
        """Be an older server, without DETAILS or IDS."""
        with self._lock:
            self._off[route] = status

    def model_body(self, model_id: int) -> bytes:
        """Return what `models/{id}` says; raises NotThere."""
        with self._lock:
            model = self._model(model_id)
            if model is None or model_id in self._gone_models:
                raise NotThere(f"No model with id {model_id}")
            versions = model["modelVersions"]
            kept = [one for one in versions if one["id"] not in self._gone_versions and is_published(one)]
            raw = self._recorded.get(("model", model_id))
            if raw is not None and len(kept) == len(versions):
                return raw
            return orjson.dumps(model_shown(model, kept))

    def version_body(self, version_id: int) -> bytes:
        """Return what `model-versions/{id}` says; raises NotThere."""
        with self._lock:
            if version_id in self._gone_versions:
                raise NotThere("Model not found")
            raw = self._recorded.get(("version", version_id))
            if raw is not None:
                return raw
            model, version = self._within(version_id)
            if not version.get("files"):
                raise NotThere("Missing model file")
            return orjson.dumps(version_shown(model, version))

    def oldest(self, digest: str) -> int:
        """Return the version that was published first of those with a file of this hash; raises NotThere."""
        with self._lock:
            rows = [row for kind in _HASHES for row in self._rows(kind, digest.upper())]
            if not rows:
                raise NotThere("Model not found")
            return min(rows).version_id

    def rows(self, sha256s: Sequence[str]) -> list[tuple[str, Row]]:
        """Return a pair of hash and row for each file that has one of these, the last asked for first."""
        asked = dict.fromkeys(map(str.upper, sha256s))
        with self._lock:
            found = [(sha256, row) for sha256 in asked for row in self._rows("SHA256", sha256)]
        return found[::-1]

    def _rows(self, kind: str, digest: str) -> Iterator[Row]:
        if self._found is None:
            self._found = self._by_hash()
        yield from (
            row for row in self._found.get((kind, digest), ()) if row.version_id not in self._gone_versions
        )
        if kind == "SHA256":
            found = (many.row(digest) for many in self._many)
            yield from (row for row in found if row and row.version_id not in self._gone_versions)

    def _by_hash(self) -> dict[tuple[str, str], list[Row]]:
        found: dict[tuple[str, str], list[Row]] = {}
        within = {
            one["id"]: (one, model["id"]) for model in self._models.values() for one in model["modelVersions"]
        }
        alone = {number: (one, one["modelId"]) for number, one in self._alone.items()}
        for version, model_id in (within | alone).values():
            if not is_published(version):
                continue
            row = Row(version.get("publishedAt") or "", version["id"], model_id)
            for key in (key for file in version.get("files", ()) for key in _keys(file)):
                found.setdefault(key, []).append(row)
        return found

    def _model(self, model_id: int) -> Json | None:
        made = (many.model(model_id) for many in self._many)
        return self._models.get(model_id) or next((model for model in made if model), None)

    def _within(self, version_id: int) -> tuple[Json, Json]:
        numbers = (self._holders.get(version_id), *(many.model_id(version_id) for many in self._many))
        for model in (self._model(number) for number in numbers if number is not None):
            for version in model["modelVersions"] if model else ():
                if model and version["id"] == version_id and is_published(version):
                    return model, version
        raise NotThere("Model not found")

    def _versions_of(self, model_id: int) -> set[int]:
        model: dict[str, Any] = self._model(model_id) or {"modelVersions": []}
        alone = {number for number, version in self._alone.items() if version["modelId"] == model_id}
        return alone | {version["id"] for version in model["modelVersions"]}


def _keys(file: Json) -> Iterator[tuple[str, str]]:
    """Give the hashes that a file is found by; since 2024 the database holds 12 digits of AutoV3."""
    for kind, digest in file.get("hashes", {}).items():
        if kind in _HASHES:
            yield kind, digest.upper()
        if kind == "AutoV3" and len(digest) > 12:
            yield kind, digest[:12].upper()
