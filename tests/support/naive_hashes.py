"""Every digest of a file computed the slow and obvious way, from its whole bytes, with the `json` module."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from typing import Any

from blake3 import blake3

from registry.views import Hashes

MIB = 1 << 20


def naive_hashes(raw: bytes) -> Hashes:
    """Return what `hash_file` must say of a file with these bytes, which the safetensors library accepts."""
    length = int.from_bytes(raw[:8], "little")
    header: dict[str, Any] = json.loads(raw[8 : 8 + length])
    metadata = header.pop("__metadata__", None) or {}
    data = raw[8 + length :]
    padded, plain = (legacy_hash(header, metadata, data, pad=pad) for pad in (True, False))
    legacy = (plain, padded) if length % 8 else (padded, plain)
    by_name = b"".join(data[slice(*header[name]["data_offsets"])] for name in sorted(header))
    file_hash, data_hash = _sha256(raw), _sha256(data)
    return Hashes(
        size=len(raw),
        sha256=file_hash,
        autov1=_sha256(raw[MIB : MIB + 65536])[:8],
        autov2=file_hash[:10],
        blake3=blake3(raw).hexdigest(),
        crc32=f"{zlib.crc32(raw):08x}",
        data_sha256=data_hash,
        autov3=data_hash[:12],
        sshs_legacy_hash=legacy[0],
        sshs_legacy_other=legacy[1],
        tensor_hash=tensor_hash(header, data),
        name_order_sha256=_sha256(by_name) if in_file_order(header) else None,
    )


def legacy_hash(header: dict[str, Any], metadata: dict[str, str], data: bytes, *, pad: bool) -> str:
    """Return the legacy hash by building the virtual file."""
    kept = {key: value for key, value in metadata.items() if key.startswith("ss_")}
    by_offset = dict(sorted(header.items(), key=lambda item: item[1]["data_offsets"]))
    text = json.dumps({"__metadata__": kept, **by_offset}, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8 if pad else 0)
    virtual = len(text).to_bytes(8, "little") + text + data
    return _sha256(virtual[MIB : MIB + 65536])[:8]


def tensor_hash(header: dict[str, Any], data: bytes) -> str:
    """Return the hash over (name, dtype, shape, digest) in name order."""
    records = bytearray()
    for name in sorted(header, key=str.encode):
        entry = header[name]
        digest = blake3(data[slice(*entry["data_offsets"])]).digest()
        for text in (name.encode(), entry["dtype"].encode()):
            records += struct.pack("<Q", len(text)) + text
        records += struct.pack(f"<Q{len(entry['shape'])}Q", len(entry["shape"]), *entry["shape"]) + digest
    return blake3(bytes(records)).hexdigest()


def in_file_order(header: dict[str, Any]) -> bool:
    """Tell whether tensors with bytes lie in the order of their names."""
    starts = [header[name]["data_offsets"] for name in sorted(header)]
    kept = [start for start, end in starts if end > start]
    return kept == sorted(kept)


def _sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
