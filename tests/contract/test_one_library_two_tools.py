"""One library as A1111 on Windows and ComfyUI on Linux are told of it, each through its profile."""

from __future__ import annotations

import json
import ntpath
import posixpath
from typing import Any

from registry.toolpaths import Profile, parse_profile
from registry.wire import a1111, comfyui
from tests.support.dialect_entries import entry

ROOTS = {"main": "/srv/loras", "shared": "/mnt/nas/loras"}
LIBRARY = [
    entry("style/ink.safetensors"),
    entry("hat10.safetensors"),
    entry("hat2.safetensors"),
    entry("base.safetensors", kind="checkpoint"),
    entry("hat2.safetensors", root=1),
    entry("flux/cap.safetensors", root=1, architecture="flux1"),
]


def list_of_a1111(tool: Profile) -> Any:
    files = tool.arranged(LIBRARY)
    rows = [(a1111.name_of(each.path.rpartition("/")[2]), each) for each in files]
    items = [
        a1111.Item(name, name, tool.absolute(each), b"{}") for name, each in a1111.arrange(rows, dict(rows))
    ]
    pieces = a1111.encode_entries(items)
    return json.loads(b"[" + b"".join(pieces) + b"]")


def test_the_web_ui_on_windows_sees_native_absolute_paths_and_one_entry_for_a_name() -> None:
    prefix = {"main": "D:\\ai\\models\\Lora", "shared": "\\\\nas\\loras"}
    tool = parse_profile("webui", {"dialect": "a1111", "kinds": ["lora"], "prefix": prefix}, ROOTS)
    told = list_of_a1111(tool)
    assert [(each["name"], each["path"]) for each in told] == [
        ("hat2", "\\\\nas\\loras\\hat2.safetensors"),
        ("hat10", "D:\\ai\\models\\Lora\\hat10.safetensors"),
        ("ink", "D:\\ai\\models\\Lora\\style\\ink.safetensors"),
        ("cap", "\\\\nas\\loras\\flux\\cap.safetensors"),
    ]
    assert all(ntpath.isabs(each["path"]) for each in told)


def test_comfyui_on_linux_sees_relative_names_with_extensions_over_all_roots() -> None:
    table = {"dialect": "comfyui", "roots": ["shared", "main"], "prefix": {"shared": "/data/loras"}}
    tool = parse_profile("comfy", table, {"shared": ROOTS["shared"], "main": ROOTS["main"]})
    place = {"main": 1, "shared": 0}
    turned = [
        entry(each.path, root=place[tuple(ROOTS)[each.root]], kind=each.kind, architecture=each.architecture)
        for each in LIBRARY
    ]
    admitted = tool.arranged(turned)
    names = comfyui.file_names(admitted, tool.relative)
    assert names == [
        "base.safetensors",
        "flux/cap.safetensors",
        "hat10.safetensors",
        "hat2.safetensors",
        "style/ink.safetensors",
    ]
    found = comfyui.find(admitted, "hat2.safetensors", tool.separator)
    assert tool.absolute(found) == "/data/loras/hat2.safetensors"
    assert all(posixpath.isabs(tool.absolute(each)) for each in admitted)
    assert [each["pathIndex"] for each in comfyui.detailed_list(admitted, tool.relative)] == [
        0,
        0,
        1,
        1,
        1,
        1,
    ]
