"""A client that fetches model files as another machine would: in parts, resumed, verified."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


@dataclass
class Fetcher:
    """Fetches one address; `data` is what it has so far, `etag` of which file that is."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    data: bytes = b""
    etag: str | None = None
    statuses: list[int] = field(default_factory=list)

    def fetch(self, stop: int | None = None) -> None:
        """Go on where it stopped, up to `stop` bytes; start anew if the file is another one by now."""
        asked = {**self.headers, "Range": f"bytes={len(self.data)}-{'' if stop is None else stop - 1}"}
        if self.etag is not None:
            asked["If-Range"] = self.etag
        answer = httpx.get(self.url, headers=asked)
        self.statuses.append(answer.status_code)
        if answer.status_code == 206:
            begin = int(answer.headers["content-range"].removeprefix("bytes ").partition("-")[0])
            assert begin == len(self.data)
            self.data += answer.content
        else:
            assert answer.status_code == 200, answer.text
            self.data = answer.content
        self.etag = answer.headers.get("etag")
        self._digest = answer.headers.get("repr-digest")

    def verify(self) -> bytes:
        """Return the whole file, which is what both of its names say."""
        digest = hashlib.sha256(self.data)
        assert self.etag == f'"{digest.hexdigest()}"'
        assert self._digest == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
        return self.data


def big_file(path: Path, size: int) -> Path:
    """Write a safetensors file with one tensor of zeros that takes hardly any disk space."""
    header = b'{"lora_unet_x.lora_down.weight":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (
        size,
        size,
    )
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size)
    return path
