"""The header phase of one file, as worker processes run it: read, parse, identify, and shape for the catalog.

Imports only formats, identify, wire and the reader, so that a worker starts fast and stays small.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from traceback import walk_tb
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from blake3 import blake3

from registry.errors import ReaderFailed, UnreadableFile
from registry.formats.covers import without_pictures
from registry.formats.flawless import KEPT
from registry.formats.packing import are_stored_tags, clean_text, pack_json, pack_metadata, stored_tag
from registry.formats.safetensors import header_span, parse
from registry.formats.training import read_training
from registry.formats.triggers import trigger_words
from registry.formats.values import quoted
from registry.hashing.claims import read_claims
from registry.hashing.reader import QuickHead, read_head, read_quick
from registry.identify import Survey, identify_surveyed
from registry.views import FileFacts, FileStat, HeaderFacts, Note
from registry.wire.a1111 import ALL_LEFT_OUT, NO_METADATA, metadata_json, metadata_visible
from registry.wire.companions import MODEL_EXTENSIONS
from registry.wire.gzip_segments import compress_fragment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from registry.formats.safetensors import Header
    from registry.formats.training import Training
    from registry.views import TensorInfo, TriggerWords

DERIVED_VERSION: Final = 3
"""Raise it when rules or fields get better: headers are then read again, without hashing again."""

MAX_TAGS: Final = 20_000
_OPENED: Final = tuple(extension.encode() for extension in MODEL_EXTENSIONS)
_SHOWN_TAGS: Final = 50
_MAX_TEXT: Final = 4000
_INT64: Final = 1 << 63
# The list is sent far more often than it is made, but it is made 10,000 times in a scan.
_LEVEL: Final = 4
_SLOW_SECONDS: Final = 0.002


class Task(NamedTuple):
    """A file to look at: `key` comes back with the answer.

    `opened` is false for files whose bytes are never parsed. With `known` only the header is read, and if its
    digest is that one the answer is that nothing changed.
    """

    key: int
    path: str
    opened: bool = True
    known: bytes | None = None


class Derived(NamedTuple):
    """The answer to a task: facts; or nothing changed; or the problem that kept the file from being read."""

    key: int
    facts: FileFacts | None
    problem: Note | None = None


Read = Callable[[str, bytes | None], QuickHead | None]
"""Reads the head and the end of a file; given the digest of a header, `None` if it still has that one."""


def read_unless_known(path: str, known: bytes | None) -> QuickHead | None:
    """Read the head of a file and its last 64 KiB, unless the digest of its header is `known`.

    Raises UnreadableFile, NotARegularFile.
    """
    if known is not None:
        data, stat = read_head(path)
        if blake3(data[: header_span(data, stat.size)]).digest() == known:
            return None
    return read_quick(path)


class _Pace:
    """Whether the files looked at last had to be waited for; kept between chunks."""

    slow = False


_pace = _Pace()


def derive_chunk(tasks: Sequence[Task], readers: int, read: Read = read_unless_known) -> list[Derived]:
    """Look at some files; never raises for what a file holds.

    As soon as one has to be waited for, as on a share or a spinning disk, `readers` of them read ahead. For
    files that are at hand, threads cost more than they bring.
    """
    answers: list[Derived] = []
    for task in tasks:
        if _pace.slow and readers > 1:
            return answers + _read_ahead(tasks[len(answers) :], readers, read)
        began = time.perf_counter()
        head = _read(task, read)
        _pace.slow = time.perf_counter() - began > _SLOW_SECONDS
        answers.append(_answer(task, head))
    return answers


def _read_ahead(tasks: Sequence[Task], readers: int, read: Read) -> list[Derived]:
    waits: list[float] = []

    def look(task: Task) -> QuickHead | Note | None:
        began = time.perf_counter()
        head = _read(task, read)
        waits.append(time.perf_counter() - began)
        return head

    with ThreadPoolExecutor(min(readers, len(tasks))) as pool:
        answers = [_answer(task, head) for task, head in zip(tasks, pool.map(look, tasks), strict=True)]
    # With threads about, the quickest tells best what the files themselves take.
    _pace.slow = min(waits) > _SLOW_SECONDS
    return answers


def derive(task: Task, read: Read = read_unless_known) -> Derived:
    """Look at one file."""
    return _answer(task, _read(task, read))


def _read(task: Task, read: Read) -> QuickHead | Note | None:
    try:
        return read(task.path, task.known)
    except UnreadableFile as error:
        return Note(error.slug, str(error))
    except Exception as error:  # noqa: BLE001 - a stranger's file must never end the work on others
        return _noted(error)


def _answer(task: Task, head: QuickHead | Note | None) -> Derived:
    if head is None:
        return Derived(task.key, None)
    if isinstance(head, Note):
        return Derived(task.key, None, head)
    try:
        return Derived(task.key, facts_of(head, opened=task.opened))
    except Exception as error:  # noqa: BLE001 - a stranger's file must never end the work on others
        return Derived(task.key, None, _noted(error))


def reader_failed(error: BaseException) -> ReaderFailed:
    """Return what says that a file made us fail in a way we know nothing of, and where."""
    *_, (frame, line) = walk_tb(error.__traceback__)
    return ReaderFailed(
        "Looking at this file failed in a way that it never should. This is a bug, please report it: "
        f"{type(error).__name__} {quoted(str(error))} in {frame.f_globals['__name__']}, line {line}."
    )


def _noted(error: Exception) -> Note:
    failed = reader_failed(error)
    return Note(failed.slug, str(failed))


def facts_of(head: QuickHead, *, opened: bool = True) -> FileFacts:
    """Return what the head of a file says; `opened=False` takes it as bytes only."""
    stat = signed(FileStat(*head.stat))
    # Empty files are equal, but that says nothing.
    quick_key = head.quick_key if stat.size else None
    if not opened:
        return FileFacts(stat, quick_key=quick_key)
    header = parse(head.data, stat.size)
    cause = None if header.verdict.accepted else header.verdict.cause
    problems = () if cause is None else (Note(cause, header.verdict.detail),)
    if header.data_start is None:
        return FileFacts(stat, quick_key=quick_key, cause=cause, problems=problems)
    data_size = stat.size - header.data_start
    tail = head.tail[-min(len(head.tail), data_size) :] if data_size > 0 else b""
    return FileFacts(
        stat,
        header=header_facts(head.data[: header.data_start], header),
        quick_key=quick_key,
        tail=blake3(tail).digest(16),
        data_size=data_size,
        cause=cause,
        problems=problems,
    )


def is_opened(rel: bytes) -> bool:
    """Whether a file of this name may be parsed; others, pickles above all, are taken as bytes."""
    return rel.lower().endswith(_OPENED)


def signed(stat: FileStat) -> FileStat:
    """Return the stat with device and inode folded to the signed 64 bits that databases hold."""
    return FileStat(stat[0], stat[1], fold_inode(stat[2]), fold_inode(stat[3]), stat[4])


def fold_inode(number: int) -> int:
    """Return a device or inode number as the signed 64 bits that databases hold."""
    return number if number < _INT64 else (number + _INT64) % (1 << 64) - _INT64


def header_facts(raw: bytes, header: Header) -> HeaderFacts:
    """Return everything that follows from the bytes of a header, shaped as the `header` table."""
    metadata = header.metadata
    training = read_training(metadata)
    # A tensor of a header begins as the tensor info of the identification.
    tensors = cast("Mapping[str, TensorInfo]", header.tensors)
    found = identify_surveyed(tensors, _survey(tensors), metadata)
    words = trigger_words(metadata, training)
    visible = metadata_visible(raw[8:16], ".safetensors", accepted=bool(header.tensors or metadata))
    listed = compress_fragment(_listed(metadata) if visible else NO_METADATA, _LEVEL)
    notes = (*header.notes, *training.notes)
    columns: dict[str, object] = {
        "length": len(raw),
        "tensors": len(header.tensors),
        "metadata_packed": pack_metadata(metadata),
        "a1111": listed.deflate,
        "a1111_crc": listed.crc,
        "a1111_size": listed.size,
        "alias": _text(metadata.get("ss_output_name")) if visible else None,
        "kind": found.kind,
        "architecture": found.architecture,
        "base_model": found.base_model,
        "adapter": found.adapter,
        "rank": found.rank,
        "alpha": found.alpha,
        "precision": found.precision,
        "key_layout": found.key_layout,
        "identification": pack_json(found),
        "triggers": pack_json(_trigger_json(words)),
        "notes": pack_json(notes[:100]),
        **_training_columns(training),
    }
    claims = read_claims(metadata, header, training.trainer)
    return HeaderFacts(blake3(raw).digest(), columns, _tags(training), claims)


def _listed(metadata: Mapping[str, str]) -> bytes:
    """Return the metadata as the list of A1111 has them for everybody, whatever level the lora gets."""
    kept = without_pictures(metadata)
    return ALL_LEFT_OUT if metadata and not kept else metadata_json(kept)


_surveys: OrderedDict[int, tuple[Mapping[str, TensorInfo], Survey]] = OrderedDict()


def _survey(tensors: Mapping[str, TensorInfo]) -> Survey:
    """Return the survey of some tensors, made once for those that `formats.flawless` hands out again.

    Keeping the tensors beside their survey keeps their identity from being given to others.
    """
    known = _surveys.get(id(tensors))
    if known is not None and known[0] is tensors:
        _surveys.move_to_end(id(tensors))
        return known[1]
    made = Survey(tensors)
    _surveys[id(tensors)] = (tensors, made)
    if len(_surveys) > KEPT:
        _surveys.popitem(last=False)
    return made


def _tags(training: Training) -> tuple[tuple[str, int], ...]:
    found: dict[str, int] = {}
    if are_stored_tags([tag.tag for tag in training.tags]):
        return tuple((tag.tag, min(tag.count, _INT64 - 1)) for tag in training.tags[:MAX_TAGS])
    for tag in training.tags[:MAX_TAGS]:
        name = stored_tag(tag.tag)
        if name in found:
            found[name] += tag.count
        else:
            found[name] = tag.count
    return tuple((name, min(count, _INT64 - 1)) for name, count in found.items())


def _trigger_json(words: TriggerWords) -> dict[str, object]:
    return {
        "claimed": [{"word": item.word, "source": item.source} for item in words.claimed],
        "folders": [{"word": item.word, "source": item.source} for item in words.folders],
        "tags": [
            {"tag": item.tag, "count": item.count, "share": item.share} for item in words.tags[:_SHOWN_TAGS]
        ],
    }


def _training_columns(training: Training) -> dict[str, object]:
    resolution = training.resolution
    bucket = training.buckets.commonest() if training.buckets else None
    return {
        "trainer": training.trainer,
        "output_name": _text(training.output_name),
        "title": _text(training.modelspec.title),
        "base_model_version": _text(training.base_model_version),
        "sd_model_name": _text(training.sd_model_name),
        "sd_model_hash": _text(training.sd_model_hash),
        "new_sd_model_hash": _text(training.new_sd_model_hash),
        "network_module": _text(training.network_module),
        "network_dim": _whole(training.network_dim),
        "network_alpha": _number(training.network_alpha),
        "optimizer": _text(training.optimizer),
        "learning_rate": _number(training.learning_rate),
        "unet_lr": _number(training.unet_lr),
        "text_encoder_lr": _number(training.text_encoder_lr),
        "lr_scheduler": _text(training.lr_scheduler),
        "epoch": _whole(training.epoch),
        "num_epochs": _whole(training.num_epochs),
        "steps": _whole(training.steps),
        "max_train_steps": _whole(training.max_train_steps),
        "seed": _whole(training.seed),
        "session_id": _whole(training.session_id),
        "num_train_images": _whole(training.num_train_images),
        "num_reg_images": _whole(training.num_reg_images),
        "repeats": _whole(training.repeats),
        "batch_size": _whole(training.batch_size),
        "resolution_width": _whole(resolution[0]) if resolution else None,
        "resolution_height": _whole(resolution[1]) if resolution else None,
        "bucket_width": _whole(bucket.width) if bucket else None,
        "bucket_height": _whole(bucket.height) if bucket else None,
        "clip_skip": _whole(training.clip_skip),
        "noise_offset": _number(training.noise_offset),
        "min_snr_gamma": _number(training.min_snr_gamma),
        "mixed_precision": _text(training.mixed_precision),
        "started_at": _moment(training.started_at),
        "finished_at": _moment(training.finished_at),
        "comment": _text(training.comment),
        "description": _text(_description(training)),
    }


def _description(training: Training) -> str | None:
    """Return what the author says of the model; the Additional Networks extension writes `ssmd_` keys."""
    found = (training.modelspec.description, training.addnet.get("ssmd_description"))
    return next((text for text in found if text is not None and text.strip()), None)


def _text(value: str | None) -> str | None:
    return None if value is None else clean_text(value[:_MAX_TEXT])


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and -_INT64 <= value < _INT64 else None


def _number(value: object) -> float | None:
    if isinstance(value, tuple):
        value = next((part for part in value if part is not None), None)
    return float(value) if isinstance(value, int | float) and abs(value) < 1e300 else None


def _moment(seconds: float | None) -> int | None:
    return int(seconds * 1000) if seconds is not None and 0 <= seconds < 1e11 else None
