"""Answers of CivArchive as its clients met them, built from the little that a test cares about."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import orjson

from tests.support.outside import Answer, outside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.outside import Outside, Said

Json = dict[str, Any]


def answer_of(model_id: int, version_id: int, sha256: str, **members: Any) -> Json:
    """Return the answer of `sha256` or `models` for a version with one file."""
    name = f"{sha256[:8]}.safetensors"
    version = {
        "id": version_id,
        "modelId": model_id,
        "name": "v1.0",
        "baseModel": "Pony",
        "createdAt": "2024-05-01T10:00:00.000Z",
        "trigger": ["archived word"],
        "downloadCount": 3,
        "nsfw_level": 1,
        "files": [{"id": version_id * 10, "name": name, "type": "Model", "sizeKB": 4.0, "sha256": sha256}],
        "images": [{"id": 1, "url": "https://img.example/1.png", "nsfwLevel": 1}],
    }
    model = {
        "id": model_id,
        "name": f"Model {model_id}",
        "type": "LORA",
        "description": "<p>It was there once.</p>",
        "is_nsfw": False,
        "tags": ["archived"],
        "creator_username": "somebody",
        "platform": "civitai",
        "deletedAt": "2025-01-01T00:00:00.000Z",
        "version": version,
        "versions": [{"id": version_id, "name": "v1.0"}],
        **members,
    }
    return {"data": model}


def files_answer(*places: tuple[int, int]) -> Json:
    """Return the answer of `sha256` that only tells where a file is: pairs of a model and a version."""
    return {
        "files": [
            {"model_id": model_id, "model_version_id": version_id, "source": "civitai"}
            for model_id, version_id in places
        ]
    }


class FakeArchive:
    """A running archive: what it knows by the SHA-256 of a file, and what it was asked."""

    def __init__(self, server: Outside) -> None:
        self.server = server
        self.url = f"{server.url}/api"
        self.known: dict[str, object] = {}
        self.failing = False
        server.otherwise = self._answer

    @property
    def asked(self) -> list[str]:
        """Return the SHA-256 that were asked for until now, in order."""
        return [said.path.removeprefix("/api/sha256/") for said in self.server.asked]

    def add(self, sha256: str, model_id: int, version_id: int, **members: Any) -> None:
        """Know a file as a version of a model."""
        self.known[sha256] = answer_of(model_id, version_id, sha256, **members)

    def _answer(self, said: Said) -> Answer:
        found = self.known.get(said.path.removeprefix("/api/sha256/"))
        status = 500 if self.failing else 404 if found is None else 200
        body = {"error": "File not found"} if found is None else found
        return Answer(status, orjson.dumps(body), {"Content-Type": "application/json"})


@contextmanager
def archive_server() -> Iterator[FakeArchive]:
    """Run an archive that knows nothing yet for the length of the block."""
    with outside() as server:
        yield FakeArchive(server)
