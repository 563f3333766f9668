"""Names of files that are longer than Windows likes."""

from __future__ import annotations

import pytest

from registry.hashing.opening import extended_path


@pytest.mark.parametrize(
    ("text", "extended"),
    [
        (r"C:\loras\a.safetensors", r"\\?\C:\loras\a.safetensors"),
        (r"\\nas\share\a.safetensors", r"\\?\UNC\nas\share\a.safetensors"),
        (r"\\?\C:\loras\a.safetensors", r"\\?\C:\loras\a.safetensors"),
        (r"\\?\UNC\nas\share\a", r"\\?\UNC\nas\share\a"),
        (r"\\.\pipe\x", r"\\.\pipe\x"),
        (r"relative\a", r"relative\a"),
    ],
)
def test_extended_names_of_windows(text: str, extended: str) -> None:
    assert extended_path(text) == extended
