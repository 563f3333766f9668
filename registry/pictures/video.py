"""The first frame of a video, by ffmpeg where there is one: without network, and limited like a decoder.

Forced demuxer, protocol and codec lists: ffmpeg(1) and ffmpeg-formats(1), `-f`, `-protocol_whitelist`,
`-codec_whitelist`; ffmpeg-codecs(1), `-max_pixels`.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from registry.errors import BadPicture, RegistryError
from registry.pictures.picture import DEFAULTS

if TYPE_CHECKING:
    from registry.pictures.picture import Limits
    from registry.pictures.sniff import Kind

# What browsers play, by the names that builds of ffmpeg have for it.
_CODECS: Final = "h264,hevc,mpeg4,vp8,libvpx,vp9,libvpx-vp9,av1,libdav1d,libaom-av1"
_MAX_PIXELS: Final = (1 << 31) - 1
# The shell sets the limits (address space in KiB, seconds, blocks of 512 bytes) and becomes the program: what
# `preexec_fn` does is not safe in a process with threads. A limit that a system does not know is left out.
_LIMITED: Final = 'ulimit -c 0; ulimit -v "$1"; ulimit -t "$2"; ulimit -f "$3"; shift 3; exec "$@"'
_NOT_STARTED: Final = frozenset({126, 127})


def find_ffmpeg() -> str | None:
    """Return the path of ffmpeg, `None` if this machine has none: videos then have no poster frame."""
    return shutil.which("ffmpeg")


def poster(
    video: bytes, kind: Kind, ffmpeg: str, limits: Limits = DEFAULTS, folder: Path | None = None
) -> bytes:
    """Return the first frame of a video as PNG, to be decoded like any stranger's image.

    `folder` is for temporary files. Raises BadPicture for what has no frame that can be shown or takes more
    than the limits, RegistryError where ffmpeg cannot be run.
    """
    if kind.demuxer is None:
        raise BadPicture(f"{kind.name} is no video")
    if len(video) > limits.size:
        raise BadPicture(f"the {kind.name} video has {len(video):,} bytes, more than {limits.size:,}")
    try:
        with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as temporary:
            source, frame = Path(temporary, f"video.{kind.extension}"), Path(temporary, "frame.png")
            source.write_bytes(video)
            _run(_command(ffmpeg, kind.demuxer, source, limits), frame, kind, limits)
            with frame.open("rb") as file:
                found = file.read(limits.size + 1)
    except OSError as error:
        raise RegistryError(
            f"no frame can be taken from videos: {error.strerror or error}",
            remedy=f"look whether {ffmpeg} can be run and temporary files can be written",
        ) from error
    if not 0 < len(found) <= limits.size:
        raise BadPicture(f"the {kind.name} video has no frame that can be shown")
    return found


def _command(ffmpeg: str, demuxer: str, source: Path, limits: Limits) -> list[str]:
    reading = [
        "-threads", "1",
        "-max_pixels", str(min(limits.pixels, _MAX_PIXELS)),
        "-codec_whitelist", _CODECS,
        "-protocol_whitelist", "file,pipe",
        "-f", demuxer,
        "-i", f"file:{source}",
    ]  # fmt: skip
    # `V`: not the covers that a container may carry.
    writing = ["-map", "0:V:0", "-frames:v", "1", "-map_metadata", "-1", "-threads", "1", "-c:v", "png"]
    return [
        ffmpeg, "-nostdin", "-hide_banner", "-loglevel", "error", *reading, *writing,
        "-f", "image2pipe", "pipe:1",
    ]  # fmt: skip


def _run(command: list[str], output: Path, kind: Kind, limits: Limits) -> None:
    """Run a command, its output going to a file; raises BadPicture if it fails or takes too long, OSError."""
    if sys.platform != "win32":
        most = (limits.memory >> 10, math.ceil(limits.seconds), limits.size // 512)
        command = ["/bin/sh", "-c", _LIMITED, "sh", *map(str, most), *command]
    with output.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 - a fixed command; the stranger's part is a file of ours
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        code = process.wait(limits.seconds)
    except subprocess.TimeoutExpired:
        raise BadPicture(
            f"the {kind.name} video took more than {limits.seconds:g} seconds to look into"
        ) from None
    finally:
        _end(process)
    if code in _NOT_STARTED:
        raise OSError("ffmpeg does not start")
    if code:
        raise BadPicture(f"the {kind.name} video has no frame that can be shown")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process that may still run, and those that it started."""
    if process.returncode is not None:
        return
    if sys.platform == "win32":
        process.kill()
    else:
        # It may have ended this moment.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
