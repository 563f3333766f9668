"""Poster frames: what ffmpeg is told, and what becomes of one that misbehaves.

A script plays ffmpeg where what it does matters; tests of the real one are skipped where there is none.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from registry.errors import BadPicture, RegistryError
from registry.pictures.picture import DEFAULTS
from registry.pictures.sniff import KINDS, sniff
from registry.pictures.video import find_ffmpeg, poster
from tests.support.pictures import opened, plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from registry.pictures.sniff import Kind

MP4, WEBM = KINDS["mp4"], KINDS["webm"]
VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"
scripts = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")


@pytest.fixture
def standing_in(tmp_path: Path) -> Callable[[str], str]:
    """Make a program of a shell script; `$here` is its folder."""

    def make(script: str) -> str:
        program = tmp_path / "ffmpeg"
        program.write_text(f'#!/bin/sh\nhere="{tmp_path}"\n{script}\n', encoding="utf-8")
        program.chmod(0o755)
        return str(program)

    return make


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    found = find_ffmpeg()
    if found is None:
        pytest.skip("this machine has no ffmpeg")
    return found


@scripts
@pytest.mark.parametrize(("kind", "demuxer"), [(MP4, "mov"), (WEBM, "matroska")])
def test_it_is_told_what_it_reads_and_that_there_is_no_network(
    standing_in: Callable[[str], str], tmp_path: Path, kind: Kind, demuxer: str
) -> None:
    (tmp_path / "frame").write_bytes(plain())
    tool = standing_in('printf "%s\\n" "$@" >"$here/told"; cat "$here/frame"')

    assert poster(VIDEO, kind, tool, DEFAULTS, tmp_path) == plain()

    told = (tmp_path / "told").read_text(encoding="utf-8").splitlines()
    reading = told[: told.index("-i") + 2]
    assert reading[-1].startswith(f"file:{tmp_path}")
    assert reading[reading.index("-f") + 1] == demuxer
    assert reading[reading.index("-protocol_whitelist") + 1] == "file,pipe"
    assert reading[reading.index("-max_pixels") + 1] == "100000000"
    assert told[told.index("-frames:v") + 1] == "1"
    assert "-nostdin" in told


@scripts
def test_nothing_stays_in_the_temporary_folder(standing_in: Callable[[str], str], tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    for script in ("echo frame", "exit 1"):
        with suppress(BadPicture):
            poster(VIDEO, MP4, standing_in(script), DEFAULTS, inside)
        assert list(inside.iterdir()) == []


@scripts
@pytest.mark.parametrize("script", ["exit 1", "exit 0", "echo frame; exit 1", "kill -9 $$"])
def test_a_video_without_a_frame_is_refused(standing_in: Callable[[str], str], script: str) -> None:
    with pytest.raises(BadPicture, match="the MP4 video has no frame that can be shown"):
        poster(VIDEO, MP4, standing_in(script))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell when a stranger's child ends")
def test_one_that_hangs_is_ended_with_all_that_it_started(
    standing_in: Callable[[str], str], tmp_path: Path
) -> None:
    tool = standing_in('sleep 600 & echo $! >"$here/child"; wait')
    with pytest.raises(BadPicture, match="took more than 2 seconds"):
        poster(VIDEO, MP4, tool, replace(DEFAULTS, seconds=2.0))

    try:
        child = os.pidfd_open(int((tmp_path / "child").read_text(encoding="ascii")))
    except ProcessLookupError:
        return
    ended, _, _ = select.select([child], [], [], 60)
    os.close(child)
    assert ended == [child]


@scripts
def test_it_writes_no_more_than_a_picture_may_have(standing_in: Callable[[str], str]) -> None:
    with pytest.raises(BadPicture, match="no frame"):
        poster(VIDEO, MP4, standing_in("exec cat /dev/zero"), replace(DEFAULTS, size=1 << 20))


@scripts
def test_it_is_limited_in_memory_and_time(standing_in: Callable[[str], str]) -> None:
    tool = standing_in("ulimit -v; ulimit -t; ulimit -c")
    told = poster(VIDEO, MP4, tool, replace(DEFAULTS, seconds=7.5)).split()
    assert told[1:] == [b"8", b"0"]
    assert sys.platform != "linux" or told[0] == b"2097152"


@pytest.mark.parametrize("made", [False, True])
def test_one_that_cannot_be_run_is_no_videos_fault(tmp_path: Path, *, made: bool) -> None:
    tool = tmp_path / "ffmpeg"
    if made:
        tool.write_bytes(b"")
    with pytest.raises(RegistryError, match="no frame can be taken") as caught:
        poster(VIDEO, MP4, str(tool))
    assert not isinstance(caught.value, BadPicture)
    assert str(tool) in caught.value.remedy


def test_what_is_no_video_or_too_long_is_not_given_to_it() -> None:
    with pytest.raises(BadPicture, match="PNG is no video"):
        poster(plain(), KINDS["png"], "no such program")
    with pytest.raises(BadPicture, match="more than 10"):
        poster(VIDEO, MP4, "no such program", replace(DEFAULTS, size=10))


def filmed(ffmpeg: str, path: Path, *options: str) -> bytes:
    """Return a second of ffmpeg's test picture."""
    source = ["-f", "lavfi", "-i", "testsrc=size=322x180:rate=5", "-t", "1"]
    subprocess.run([ffmpeg, "-loglevel", "error", *source, *options, str(path)], check=True, timeout=120)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.mp4", ("-c:v", "mpeg4")), ("a.webm", ("-c:v", "libvpx"))],
)
def test_ffmpeg_gives_the_first_frame_in_its_own_size(
    ffmpeg: str, tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    video = filmed(ffmpeg, tmp_path / name, *options)
    kind = sniff(video)
    assert kind is not None
    assert kind.extension == name.partition(".")[2]

    assert opened(poster(video, kind, ffmpeg)).size == (322, 180)


@pytest.mark.parametrize(
    "video",
    [
        VIDEO,
        VIDEO + bytes(1000),
        b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
    ],
)
def test_ffmpeg_reads_nothing_but_the_container_that_was_seen(ffmpeg: str, video: bytes) -> None:
    with pytest.raises(BadPicture, match="no frame"):
        poster(video, MP4, ffmpeg)


def test_ffmpeg_decodes_only_what_browsers_play(ffmpeg: str, tmp_path: Path) -> None:
    video = filmed(ffmpeg, tmp_path / "a.mp4", "-c:v", "mjpeg")
    with pytest.raises(BadPicture, match="no frame"):
        poster(video, MP4, ffmpeg)


def test_ffmpeg_keeps_to_the_cap_of_pixels(ffmpeg: str, tmp_path: Path) -> None:
    video = filmed(ffmpeg, tmp_path / "a.mp4", "-c:v", "mpeg4")
    with pytest.raises(BadPicture, match="no frame"):
        poster(video, MP4, ffmpeg, replace(DEFAULTS, pixels=322 * 180 - 1))


def test_a_video_that_was_cut_off_is_refused(ffmpeg: str, tmp_path: Path) -> None:
    video = filmed(ffmpeg, tmp_path / "a.mp4", "-c:v", "mpeg4")
    with pytest.raises(BadPicture, match="no frame"):
        poster(video[: len(video) // 2], MP4, ffmpeg)
