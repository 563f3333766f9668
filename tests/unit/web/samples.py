"""A lora with one file, to be changed by tests."""

from __future__ import annotations

from registry.views import FileView, LoraView

NOW = 1_700_000_000_000
FILE = FileView(
    id=1,
    root_id=1,
    root="loras",
    path="style/x.safetensors",
    folder="style",
    name="x",
    location="/loras/style/x.safetensors",
    size=228 << 20,
    mtime_ns=NOW * 1_000_000,
    state="present",
    state_since=NOW,
    first_seen=NOW,
    verified=True,
    hash_state="done",
    cause=None,
    hashes={},
    claims=[],
    companions=[],
)
LORA = LoraView(
    id=7,
    identity="data:" + "a" * 64,
    kind="lora",
    name="x",
    size=228 << 20,
    date=NOW,
    first_seen=NOW,
    state="present",
    verified=True,
    architecture="sdxl",
    base_model="pony",
    adapter="lokr",
    rank=32,
    alpha=16.0,
    precision="bf16",
    key_layout="kohya",
    trainer="kohya",
    title=None,
    output_name=None,
    data_sha256="a" * 64,
    replaces=None,
    roots=["loras"],
    folders=["style"],
    training={},
    files=[FILE],
)
