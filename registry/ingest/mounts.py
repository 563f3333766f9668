"""Which file system a path lies on: whether it is a network's, and whether its disk spins."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from registry.errors import UnsupportedLocation
from registry.ingest.paths import contains

if TYPE_CHECKING:
    from collections.abc import Iterable

# Types whose changes may be made elsewhere, unseen by this kernel: shares, cluster file systems, folders of a
# virtual machine's host. `autofs` is what lies at a share's place until somebody looks at it.
NETWORK_TYPES = frozenset(
    {
        "9p",
        "acfs",
        "afpfs",
        "afs",
        "autofs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "drvfs",
        "fuse",
        "ftp",
        "glusterfs",
        "gpfs",
        "lustre",
        "macfuse",
        "ncpfs",
        "nfs",
        "nfs3",
        "nfs4",
        "osxfuse",
        "osxfusefs",
        "prl_fs",
        "smb",
        "smb2",
        "smb3",
        "smbfs",
        "vboxsf",
        "virtiofs",
        "vmhgfs",
        "webdav",
    }
)

# User-space file systems over a local disk that only this machine writes to.
LOCAL_FUSE_TYPES = frozenset(
    {
        "fuse.cryfs",
        "fuse.encfs",
        "fuse.exfat",
        "fuse.gocryptfs",
        "fuse.lxcfs",
        "fuse.ntfs",
        "fuse.ntfs-3g",
        "fuse.securefs",
    }
)

_MOUNTINFO = Path("/proc/self/mountinfo")
_OCTAL = re.compile(r"\\([0-7]{3})")
_MOUNT_LINE = re.compile(r"^(?P<source>.+?) on (?P<point>/.*) \((?P<type>[^,()]+)[^()]*\)$")
_DRIVE_REMOTE = 4  # winbase.h
_REMEDY = (
    "Keep the data folder on a local disk and let other machines reach one `loras serve` over HTTP, "
    "or use PostgreSQL with LORAS_DATABASE_URL."
)


class Filesystem(NamedTuple):
    """The file system of a path; `type` as the system calls it, `rotational` unknown where nobody says."""

    type: str
    network: bool
    rotational: bool | None


class Mount(NamedTuple):
    """One mounted file system; `device` is `major:minor` where known, `source` what was mounted."""

    point: str
    type: str
    source: str
    device: str


UNKNOWN = Filesystem("unknown", network=False, rotational=None)


def network_type(name: str) -> bool:
    """Whether a file system type is a network's; unknown `fuse.*` types count as such."""
    low = name.lower()
    if low in LOCAL_FUSE_TYPES:
        return False
    return low in NETWORK_TYPES or low.startswith(("fuse.", "macfuse", "osxfuse"))


def parse_mountinfo(text: str) -> list[Mount]:
    """Parse `/proc/self/mountinfo`, proc_pid_mountinfo(5), in its order; other lines are left out."""
    mounts = []
    for line in text.splitlines():
        left, dash, right = line.partition(" - ")
        fields, rest = left.split(" "), right.split(" ")
        if dash and len(fields) >= 5 and len(rest) >= 2:
            mounts.append(Mount(_unescape(fields[4]), rest[0], _unescape(rest[1]), fields[2]))
    return mounts


def parse_mount_output(text: str) -> list[Mount]:
    """Parse what mount(8) of macOS and the BSDs prints: `SOURCE on POINT (TYPE, OPTION...)` a line."""
    found = map(_MOUNT_LINE.match, text.splitlines())
    return [Mount(m["point"], m["type"].strip(), m["source"], "") for m in found if m]


def mount_of(path: str, mounts: Iterable[Mount]) -> Mount | None:
    """Return the mount an absolute path lies on: the longest point above it, of equals the last mounted."""
    best: Mount | None = None
    for mount in mounts:
        if contains(mount.point, path, "linux") and (best is None or len(mount.point) >= len(best.point)):
            best = mount
    return best


def filesystem_of(path: str) -> Filesystem:
    """Return the file system `path` lies on, or would lie on if it does not exist yet.

    Symlinks are followed, but only after the path as spelt proved local, so that a dead share named directly
    cannot make the caller wait. `UNKNOWN` where the system does not tell.
    """
    full = os.path.normpath(Path(path).absolute())
    if sys.platform == "win32":
        return _windows_filesystem(full)
    mounts = _mounts()
    found = _judge(mount_of(full, mounts))
    if found.network:
        return found
    return _judge(mount_of(os.path.realpath(full), mounts))


def is_network(path: str) -> bool:
    """Whether changes below `path` may be made by other machines, unseen by this one."""
    return filesystem_of(path).network


def sqlite_safe(filesystem: Filesystem) -> bool:
    """Whether SQLite's locks and shared memory can be trusted there.

    Source: "How To Corrupt An SQLite Database File" 2.1 and "Write-Ahead Logging" (all processes must be on
    one host), sqlite.org.
    """
    return not filesystem.network


def require_sqlite_safe(folder: str) -> None:
    """Raise `UnsupportedLocation`, with the two right ways, for a data folder on a network file system."""
    found = filesystem_of(folder)
    if not sqlite_safe(found):
        raise UnsupportedLocation(
            f"the data folder {folder!r} lies on a network file system ({found.type}), "
            "where SQLite can lose data",
            remedy=_REMEDY,
        )


def _judge(mount: Mount | None) -> Filesystem:
    if mount is None:
        return UNKNOWN
    network = network_type(mount.type)
    return Filesystem(mount.type, network, None if network else _rotational(mount))


def _mounts() -> list[Mount]:
    with contextlib.suppress(OSError):
        return parse_mountinfo(_MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape"))
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(["/sbin/mount"], capture_output=True, check=False, timeout=10)
        return parse_mount_output(os.fsdecode(done.stdout))
    return []


def _rotational(mount: Mount) -> bool | None:
    device = mount.device
    if device.startswith("0:") and mount.source.startswith("/dev/"):  # btrfs and the like number themselves
        with contextlib.suppress(OSError):
            number = Path(mount.source).stat().st_rdev
            device = f"{os.major(number)}:{os.minor(number)}"
    disk = Path(f"/sys/dev/block/{device}")
    if "/virtio" in os.path.realpath(disk):  # a virtual disk says that it spins whatever lies below it
        return None
    for place in ("queue", "../queue"):  # a partition has no queue of its own, the disk around it has
        with contextlib.suppress(OSError):
            return (disk / place / "rotational").read_text(encoding="ascii").startswith("1")
    return None


def _unescape(text: str) -> str:
    # The kernel escapes blank, tab, newline and backslash as octal; bytes above 0x7F stay as they are.
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


if sys.platform == "win32":
    import ctypes
    import ntpath

    from registry.ingest.paths import windows_short_path

    def _windows_filesystem(path: str) -> Filesystem:
        drive = ntpath.splitdrive(windows_short_path(ntpath.realpath(path)))[0]
        kind = ctypes.create_unicode_buffer(64)
        place = drive + "\\"
        named = ctypes.windll.kernel32.GetVolumeInformationW(
            place, None, 0, None, None, None, kind, len(kind)
        )
        drive_type = ctypes.windll.kernel32.GetDriveTypeW(place)
        remote = drive.startswith("\\\\") or drive_type == _DRIVE_REMOTE
        return Filesystem(kind.value if named else "unknown", remote, None)

else:

    def _windows_filesystem(path: str) -> Filesystem:
        del path
        return UNKNOWN
