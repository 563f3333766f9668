"""Which file systems are a network's, read from samples of what systems print and from this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from registry.errors import UnsupportedLocation
from registry.ingest import mounts
from registry.ingest.mounts import (
    Filesystem,
    mount_of,
    network_type,
    parse_mount_output,
    parse_mountinfo,
)

LINUX = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
40 27 0:45 / /mnt/nas rw,relatime shared:2 master:1 - cifs //nas/loras rw,vers=3.1.1
41 27 0:46 / /mnt/my\040disk\134x rw - nfs4 box:/vol rw
42 27 8:17 / /mnt/usb rw - fuseblk /dev/sdb1 rw
43 40 0:50 / /mnt/nas/local rw - ext4 /dev/sdc1 rw
44 27 0:51 / /mnt/usb rw - fuse.sshfs me@there: rw
45 27 0:52 / /mnt/c rw - 9p C:\134 rw,aname=drvfs
not a line at all
46 27 0:53
"""
MACOS = """/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
//GUEST:@nas._smb._tcp.local/loras on /Volumes/my loras (v2) (smbfs, nodev, nosuid, mounted by me)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me", "ext4"),
        ("/mnt/nas", "cifs"),
        ("/mnt/nas/deep/er", "cifs"),
        ("/mnt/nas2", "ext4"),
        ("/mnt/nas/local/x", "ext4"),
        ("/mnt/my disk\\x/y", "nfs4"),
        ("/mnt/usb/x", "fuse.sshfs"),
        ("/mnt/c/Users", "9p"),
    ],
)
def test_a_path_lies_on_the_longest_and_last_mount_above_it(path: str, kind: str) -> None:
    found = mount_of(path, parse_mountinfo(LINUX))
    assert found is not None
    assert found.type == kind


def test_what_mount_prints_is_understood_with_blanks_and_brackets_in_names() -> None:
    found = parse_mount_output(MACOS)
    assert [(mount.point, mount.type) for mount in found] == [
        ("/", "apfs"),
        ("/Volumes/my loras (v2)", "smbfs"),
        ("/System/Volumes/Data/home", "autofs"),
    ]


@pytest.mark.parametrize("name", ["cifs", "smb3", "nfs", "nfs4", "fuse.sshfs", "fuse.rclone", "9p", "drvfs",
                                  "virtiofs", "afs", "smbfs", "CIFS"])  # fmt: skip
def test_shares_and_user_space_file_systems_count_as_network(name: str) -> None:
    assert network_type(name)
    assert not mounts.sqlite_safe(Filesystem(name, network_type(name), None))


@pytest.mark.parametrize(
    "name",
    ["ext4", "btrfs", "xfs", "zfs", "apfs", "NTFS", "tmpfs", "overlay", "fuseblk", "fuse.gocryptfs"],
)
def test_local_file_systems_do_not(name: str) -> None:
    assert not network_type(name)


def test_a_folder_of_this_machine_is_found_also_before_it_exists(tmp_path: Path) -> None:
    here = mounts.filesystem_of(str(tmp_path))
    assert here.type
    assert mounts.filesystem_of(str(tmp_path / "not" / "yet")) == here
    assert mounts.is_network(str(tmp_path)) is here.network


@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="Linux only")
def test_a_symlink_is_judged_by_where_it_leads(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/proc")
    assert mounts.filesystem_of(str(link)).type == "proc"


def test_a_local_data_folder_is_accepted(tmp_path: Path) -> None:
    if mounts.is_network(str(tmp_path)):
        pytest.skip("the temporary folder lies on a network file system")
    mounts.require_sqlite_safe(str(tmp_path))


@pytest.mark.skipif(os.name == "nt", reason="needs a network mount, looked for in the mount table")
def test_a_data_folder_on_a_network_is_refused_with_the_remedy() -> None:
    try:
        table = parse_mountinfo(Path("/proc/self/mountinfo").read_text(encoding="utf-8"))
    except OSError:
        pytest.skip("no mount table")
    shares = [mount.point for mount in table if network_type(mount.type)]
    if not shares:
        pytest.skip("no network file system is mounted here")
    with pytest.raises(UnsupportedLocation) as refused:
        mounts.require_sqlite_safe(shares[0])
    assert "PostgreSQL" in refused.value.remedy
