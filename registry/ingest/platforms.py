"""What differs from platform to platform in looking at files: stat, junctions, cloud placeholders."""

# ruff: noqa: PTH116 - paths are bytes here, which pathlib does not take

from __future__ import annotations

import os
import sys

# Files of a cloud folder whose bytes are not here: winnt.h FILE_ATTRIBUTE_OFFLINE, RECALL_ON_OPEN and
# RECALL_ON_DATA_ACCESS; sys/stat.h of macOS SF_DATALESS.
_WINDOWS_PLACEHOLDER = 0x00001000 | 0x00040000 | 0x00400000
_MACOS_PLACEHOLDER = 0x40000000
_JUNCTION = 0xA0000003  # winnt.h IO_REPARSE_TAG_MOUNT_POINT

NO_PLACEHOLDERS = sys.platform not in {"win32", "darwin"}
"""Whether this platform has no files whose bytes are in a cloud, so that nobody need ask of each."""

if sys.platform == "win32":

    def stat_of(entry: os.DirEntry[bytes]) -> os.stat_result:
        """Return what `stat` says of an entry, symlinks followed."""
        return os.stat(entry.path)  # what scandir knows has no inode there

    def is_junction(entry: os.DirEntry[bytes]) -> bool:
        """Whether a folder is a junction, which leads elsewhere as a symlink does."""
        return entry.stat(follow_symlinks=False).st_reparse_tag == _JUNCTION

    def is_placeholder(found: os.stat_result) -> bool:
        """Whether reading a file would fetch it from a cloud."""
        return bool(found.st_file_attributes & _WINDOWS_PLACEHOLDER)

else:
    stat_of = os.DirEntry.stat

    def is_junction(entry: os.DirEntry[bytes]) -> bool:
        """Whether a folder is a junction: there are none here."""
        del entry
        return False

    if sys.platform == "darwin":

        def is_placeholder(found: os.stat_result) -> bool:
            """Whether reading a file would fetch it from a cloud."""
            return bool(found.st_flags & _MACOS_PLACEHOLDER)

    else:

        def is_placeholder(found: os.stat_result) -> bool:
            """Whether reading a file would fetch it from a cloud: there are no such files here."""
            del found
            return False
