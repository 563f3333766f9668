"""Sidecars and previews onto the disk: whole or not at all, never over a model or out of the roots."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.errors import BadRequest, Conflict, FileChanged, Forbidden, NotARegularFile, UnreadableFile
from registry.hashing.opening import extended_path
from registry.wire.companions import PREVIEW, SIDECAR, classify, is_model, pair
from registry.wire.sidecars import MAX_SIDECAR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from registry.wire.exports import Planned

_READ: Final = (
    os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
)
_CREATE: Final = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
)
_PRIVATE: Final = 0o600
_PUBLIC: Final = 0o666
_MODE: Final = 0o777
_WRITABLE: Final = 0o222
_DENIED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NO_LINKS: Final = frozenset(
    getattr(errno, name, errno.EPERM) for name in ("EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK")
)
_PICTURES: Final = ((b"\x89PNG\r\n\x1a\n", ".png"), (b"\xff\xd8\xff", ".jpg"))
CLOSED: Final = "it leads into a root that is not writable: left alone"


class Written(NamedTuple):
    """What became of a file: the members that changed, and the SHA-256 of the bytes if there are new ones.

    `before` and `data` are its bytes then and now, `None` for no file and for no new ones. `problem` says why
    it was left alone. `done` is whether it is on the disk, which a dry run leaves as it is.
    """

    path: str
    changed: tuple[str, ...] = ()
    digest: str | None = None
    problem: str | None = None
    before: bytes | None = None
    data: bytes | None = None
    done: bool = False


class _There(NamedTuple):
    """What is under a name: the real path to write to, and how its bytes were found, `None` for no file."""

    real: str
    found: os.stat_result | None
    data: bytes | None


def write_sidecar(  # noqa: PLR0913 - where, what, and what bounds it
    folder: str,
    file_name: str,
    planned: Callable[[bytes | None], Planned],
    within: Sequence[str] | None,
    *,
    roots: Mapping[str, bool] | None = None,
    dry_run: bool = False,
) -> Written:
    """Write what `planned` makes of a sidecar, given its bytes or `None` where there is none.

    `within` are the folders that links may lead into, `None` for anywhere; `roots` are folders with whether
    they may be written, of which the innermost decides. Permissions stay, and so does a
    link: what it leads to is written. Raises BadRequest for a name that is not one of a sidecar, Conflict for
    a link that leads nowhere or out, Forbidden where nothing may be written, FileChanged for what changes
    meanwhile, and UnreadableFile for all else that the system refuses.
    """
    path = _path(folder, file_name, SIDECAR)
    with _named_errors(path):
        there = _read(path, within)
        if _is_closed(there.real, roots):
            return Written(path, problem=CLOSED)
        if there.data is not None and len(there.data) > MAX_SIDECAR:
            size = f"it is larger than {MAX_SIDECAR // 1024**2} MiB: left alone"
            return Written(path, problem=size)
        plan = planned(there.data)
        if plan.data is None:
            return Written(path, problem=plan.problem, before=there.data)
        digest = hashlib.sha256(plan.data).hexdigest()
        if not dry_run:
            _write(path, there, plan.data)
        return Written(path, plan.changed, digest, None, there.data, plan.data, done=not dry_run)


def write_preview(  # noqa: PLR0913 - where, what, and what bounds it
    folder: str,
    model_name: str,
    data: bytes,
    within: Sequence[str] | None,
    *,
    roots: Mapping[str, bool] | None = None,
    dry_run: bool = False,
) -> Written:
    """Write a picture beside a model as `<stem>.preview` with the extension of what it is.

    Only where no tool finds one by any rule of names; the `problem` says so otherwise. Raises BadRequest for
    what is neither PNG, JPEG nor WebP, and all that `write_sidecar` raises.
    """
    stem = model_name.rpartition(".")[0] or model_name
    file_name = f"{stem}.preview{_extension(data)}"
    path = _path(folder, file_name, PREVIEW)
    with _named_errors(path):
        beside = pair(os.listdir(extended(folder)), [model_name])  # noqa: PTH208 - as above
        shown = [one.file_name for one in beside.get(model_name, ()) if one.kind == PREVIEW]
        if shown:
            return Written(path, problem=f"there is {shown[0]!r} already")
        there = _read(path, within)
        if _is_closed(there.real, roots):
            return Written(path, problem=CLOSED)
        if there.found is not None:
            return Written(path, problem=f"there is {file_name!r} already")
        if not dry_run:
            _write(path, there, data)
        return Written(path, (), hashlib.sha256(data).hexdigest(), None, None, data, done=not dry_run)


def extended(path: str) -> str:
    """Return the path to hand to the system, in the long form on Windows."""
    return extended_path(os.path.normpath(path)) if os.name == "nt" else path


def _path(folder: str, file_name: str, kind: str) -> str:
    """Return a path. Raises BadRequest unless the name is a plain one of a companion, which no model has."""
    path = os.path.join(folder, file_name)  # noqa: PTH118 - it may hold bytes that are no text
    plain = not any(char in file_name for char in ("/", "\\", ":" if os.name == "nt" else "/"))
    kinds = {one.kind for one in classify(file_name)} if plain else set()
    if kind not in kinds or is_model(file_name, pickles=True):
        raise BadRequest(f"{file_name!r} is no name of a {kind}")
    try:
        unsafe = b"\0" in os.fsencode(path)
    except UnicodeEncodeError:
        unsafe = True
    if unsafe:
        raise BadRequest(f"{path!r} is no path of this system")
    return path


def _extension(data: bytes) -> str:
    for mark, extension in _PICTURES:
        if data.startswith(mark):
            return extension
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return ".webp"
    raise BadRequest("the preview is neither PNG, JPEG nor WebP")


def _read(path: str, within: Sequence[str] | None) -> _There:
    """Return what is there, at most one byte more than a sidecar may have."""
    real = _real(path, within)
    try:
        descriptor = os.open(real, _READ)
    except FileNotFoundError:
        os.stat(os.path.dirname(real))  # noqa: PTH116, PTH120 - as above; without a folder nothing is written
        return _There(real, None, None)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise NotARegularFile(f"{path!r} is not a file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return _There(real, found, file.read(MAX_SIDECAR + 1))
    finally:
        os.close(descriptor)


def _real(path: str, within: Sequence[str] | None) -> str:
    """Return the real path to write to, which has to be of a file that is none of a model."""
    long = extended(path)
    real = os.path.realpath(long)
    if os.path.islink(long):  # noqa: PTH114 - as above
        if not os.path.exists(real):  # noqa: PTH110 - as above
            raise Conflict(f"{path!r} is a link that leads nowhere", remedy="Remove it, or what it needs.")
        if is_model(os.path.basename(real), pickles=True):  # noqa: PTH119 - as above
            raise Conflict(f"{path!r} is a link to a model", remedy="Remove the link.")
    if within is not None and not any(_inside(real, folder) for folder in within):
        raise Conflict(f"{path!r} leads out of all roots", remedy="Remove the link, or add a root for it.")
    return real


def _is_closed(real: str, roots: Mapping[str, bool] | None) -> bool:
    """Whether a real path lies in a root that may not be written; of nested ones the innermost counts."""
    around = [
        (len(_top(folder)), writable) for folder, writable in (roots or {}).items() if _inside(real, folder)
    ]
    return bool(around) and not max(around)[1]


def _inside(real: str, folder: str) -> bool:
    return os.path.normcase(real).startswith(os.path.normcase(_top(folder)))


def _top(folder: str) -> str:
    return os.path.join(os.path.realpath(extended(folder)), "")  # noqa: PTH118 - as above


def _write(path: str, there: _There, data: bytes) -> None:
    """Put bytes in the place of what was read, unless that is something else by now."""
    if there.found is not None and not there.found.st_mode & _WRITABLE:
        raise Forbidden(f"{path!r} is marked as not to be written", remedy="Change its mode, or leave it.")
    folder = os.path.dirname(there.real)  # noqa: PTH120 - as above
    # Of a name that every scan leaves out.
    temporary = os.path.join(folder, f".loras-{secrets.token_hex(8)}.tmp")  # noqa: PTH118 - as above
    mode = _PUBLIC if there.found is None else _PRIVATE
    descriptor = os.open(temporary, _CREATE, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if there.found is not None:
            with suppress(PermissionError):
                # Shares of other systems know no modes.
                os.chmod(temporary, there.found.st_mode & _MODE)  # noqa: PTH101 - as above
        _check_unchanged(path, there)
        if there.found is None:
            _place(path, temporary, there.real)
        else:
            os.replace(temporary, there.real)  # noqa: PTH105 - as above
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)  # noqa: PTH108 - as above
    _sync(folder)


def _check_unchanged(path: str, there: _There) -> None:
    """Raise FileChanged if a path leads to something else than what was read, or that is not as it was."""
    changed = os.path.realpath(extended(path)) != there.real
    try:
        now = os.stat(there.real)  # noqa: PTH116 - as above
    except FileNotFoundError:
        changed = changed or there.found is not None
    else:
        changed = changed or there.found is None or _state(now) != _state(there.found)
    if changed:
        raise FileChanged(f"{path!r} changed while it was being written", remedy="Try again.")


def _state(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _place(path: str, temporary: str, real: str) -> None:
    """Give a new file its name, unless somebody took it meanwhile."""
    try:
        os.link(temporary, real)
    except FileExistsError:
        raise FileChanged(f"{path!r} was made by somebody else meanwhile", remedy="Try again.") from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # File systems without hard links; where it is there by now, this would take its place.
        if os.path.lexists(real):
            raise FileChanged(f"{path!r} was made by somebody else meanwhile", remedy="Try again.") from None
        os.rename(temporary, real)  # noqa: PTH104 - as above


def _sync(folder: str) -> None:
    """Make a new name last, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _named_errors(path: str) -> Iterator[None]:
    """Turn what the system refuses into the errors of this product."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _DENIED:
            raise Forbidden(
                f"{path!r} may not be written: {reason}",
                remedy="Let the user who runs this program write there.",
            ) from error
        raise UnreadableFile(f"{path!r} cannot be written: {reason}") from error
