"""Roots and the paths below them: how a path becomes bytes, how bytes become a path again, what is ignored.

A file is known by its root and its relative path: the bytes of `os.fsencode` with `/` between the parts on
every platform, exactly as the file system spells them. No Unicode normalisation touches them; text made for
people (`display`) never leads back to a file.
"""

from __future__ import annotations

import ntpath
import os
import re
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import BadRequest
from registry.hashing.opening import extended_path
from registry.wire import companions

if TYPE_CHECKING:
    from collections.abc import Iterable

# Folders that storage boxes and interpreters put among a user's own, beside `companions.SYSTEM_NAMES`.
STORAGE_FOLDERS = frozenset(
    {"@recently-snapshot", "@recycle", "#snapshot", "__pycache__", "recycler", "~snapshot"}
)

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_WINDOWS_PREFIX = "\\\\?\\"
_WINDOWS_UNC_PREFIX = "\\\\?\\UNC\\"


def ignored(name: bytes) -> bool:
    """Whether one path part (of a file or folder) is hidden, temporary or a system's own."""
    text = os.fsdecode(name)
    return companions.ignored(text) or text.lower() in STORAGE_FOLDERS


def ignored_path(rel: bytes) -> bool:
    """Whether any part of a relative path is ignored."""
    return any(ignored(part) for part in rel.split(b"/"))


def extension_suffixes(extensions: Iterable[str]) -> tuple[bytes, ...]:
    """Extensions in the form `bytes.endswith` takes, for lower-cased names."""
    return tuple(sorted(os.fsencode(extension.lower()) for extension in extensions))


def relative_bytes(root: str, path: str) -> bytes:
    """Return the relative path bytes of `path`, which lies in `root` as spelt; `b""` for the root itself.

    Both are absolute and compared part by part, without looking at the disk. Raises `BadRequest` for a path
    outside the root.
    """
    if path == root:
        return b""
    prefix = _with_separator(root)
    if not path.startswith(prefix):
        if not contains(root, path):
            raise BadRequest(f"{path!r} does not lie in {root!r}")
        # The same folder in another spelling (case, normal form) has the same number of parts.
        return b"/".join(map(os.fsencode, Path(path).parts[len(Path(root).parts) :]))
    return _slashes(os.fsencode(path[len(prefix) :]))


def absolute(root: bytes | str, rel: bytes) -> str:
    """Join a root and relative path bytes of the catalog into a path of this platform.

    Raises `BadRequest` for anything that could lead elsewhere: an absolute path, an empty or `..` part, NUL,
    and on Windows a backslash, a drive or a stream name.
    """
    folder = os.fsdecode(root)
    if not rel:
        return folder
    parts = rel.split(b"/")
    unsafe = b"\0" in rel or any(part in {b"", b".", b".."} for part in parts)
    if unsafe or (os.name == "nt" and (b"\\" in rel or b":" in rel)):
        raise BadRequest(f"{rel!r} is not a path below a root")
    return _with_separator(folder) + os.fsdecode(rel).replace("/", os.sep)


def parent(rel: bytes) -> bytes:
    """Return the folder of a relative path; `b""` for the root."""
    return rel.rpartition(b"/")[0]


def display(rel: bytes) -> str:
    r"""Return relative path bytes as text for people and search: NFC, undecodable bytes as `\xNN`."""
    text = _LONE_SURROGATE.sub(_visible, os.fsdecode(rel))
    return unicodedata.normalize("NFC", text)


def windows_long_path(path: str) -> str:
    r"""Return an absolute Windows path in the form without the 260-character limit (`\\?\`, `\\?\UNC\`).

    Source: "Naming Files, Paths, and Namespaces" of the Windows documentation. Relative paths and paths in
    that form already come back as they are.
    """
    return extended_path(ntpath.normpath(path))


def windows_short_path(path: str) -> str:
    r"""Return a Windows path without the `\\?\` or `\\?\UNC\` in front."""
    if path[: len(_WINDOWS_UNC_PREFIX)].upper() == _WINDOWS_UNC_PREFIX:
        return "\\\\" + path[len(_WINDOWS_UNC_PREFIX) :]
    return path.removeprefix(_WINDOWS_PREFIX)


def long_path(path: str) -> str:
    """Return the path to hand to the system for opening: `windows_long_path` on Windows, else unchanged."""
    return windows_long_path(path) if os.name == "nt" else path


def canonical_root(path: str) -> str:
    """Return the one spelling of a root: absolute, user expanded, no trailing separator, symlinks kept.

    Raises `BadRequest` for an empty path or one with a NUL.
    """
    if not path.strip() or "\0" in path:
        raise BadRequest("a root needs the path of a folder")
    try:
        full = os.path.normpath(Path(path).expanduser().absolute())
    except RuntimeError as error:  # "~somebody" who is not known here
        raise BadRequest(f"{path!r} names an unknown user") from error
    if os.name == "nt":
        short = windows_short_path(full)
        drive, tail = ntpath.splitdrive(short)
        return drive.upper() + tail if len(drive) == len("C:") else short
    return "/" + full.lstrip("/")  # POSIX lets two leading slashes mean something else; nobody does


def folded(path: str, platform: str = sys.platform) -> str:
    """Return a key that is equal for two spellings of one path under the platform's usual file system rules.

    Windows ignores case and takes both slashes, macOS ignores case and normal form, others compare as spelt.
    """
    if platform == "win32":
        return ntpath.normcase(windows_short_path(path))
    if platform == "darwin":
        return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
    return path


def same_path(first: str, second: str, platform: str = sys.platform) -> bool:
    """Whether two canonical paths name the same place, judged by their spelling alone."""
    return folded(first, platform) == folded(second, platform)


def contains(outer: str, inner: str, platform: str = sys.platform) -> bool:
    """Whether `inner` is `outer` or lies below it, both canonical, judged by spelling alone."""
    separator = "\\" if platform == "win32" else "/"
    above, below = folded(outer, platform), folded(inner, platform)
    return below == above or below.startswith(above.rstrip(separator) + separator)


def innermost(roots: Iterable[str], path: str, platform: str = sys.platform) -> str | None:
    """Return the root a path belongs to: of those that contain it the innermost one, or `None`."""
    around = [root for root in roots if contains(root, path, platform)]
    return max(around, key=len, default=None)


def nested(root: str, all_roots: Iterable[str]) -> frozenset[bytes]:
    """Return the relative paths of other roots that lie inside this one, which a walk of it leaves out."""
    return frozenset(
        relative_bytes(root, other)
        for other in all_roots
        if contains(root, other) and not same_path(root, other)
    )


def _with_separator(folder: str) -> str:
    return folder if folder.endswith(os.sep) else folder + os.sep


def _slashes(path: bytes) -> bytes:
    return path.replace(b"\\", b"/") if os.name == "nt" else path


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    # 0xDC80..0xDCFF are how `surrogateescape` carries the bytes 0x80..0xFF.
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
