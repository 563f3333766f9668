"""Read the tensors of one file, one at a time."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from registry.errors import FileChanged, UnreadableFile
from registry.formats.safetensors import parse
from registry.hashing.opening import FileStat, display, open_regular, read_at, reading, stat_open
from registry.hashing.reader import head_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from registry.formats.header import Header, Tensor
    from registry.hashing.opening import AnyPath


class RawTensor(NamedTuple):
    """The bytes of one tensor as they lie in the file, its safetensors dtype and its shape in elements."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


class OpenTensors:
    """The tensors of an open file; `names` are in the order of their data."""

    def __init__(self, descriptor: int, path: AnyPath, header: Header, state: FileStat) -> None:
        self.names: Mapping[str, Tensor] = header.tensors
        self.metadata: Mapping[str, str] = header.metadata
        self.stat = state
        self._descriptor = descriptor
        self._path = path
        self._start = header.data_start or 0

    def read_raw(self, name: str) -> RawTensor:
        """Return one tensor; raises UnreadableFile, KeyError for a name that there is not."""
        dtype, shape, start, end = self.names[name]
        with reading(self._path):
            data = read_at(self._descriptor, end - start, self._start + start)
        if len(data) != end - start:
            raise FileChanged(f"the file became shorter while it was read: {display(self._path)}")
        return RawTensor(dtype, shape, data)


@contextmanager
def open_tensors(path: AnyPath, expected: FileStat | None = None) -> Iterator[OpenTensors]:
    """Open a file for as long as the block lasts.

    Raises UnreadableFile for one that is no whole safetensors file, FileChanged if size or time are not those
    of `expected`, or are others at the end of the block, NotARegularFile.
    """
    with open_regular(path) as descriptor:
        data, before = head_of(descriptor, path)
        if expected is not None and before[:2] != expected[:2]:
            raise FileChanged(f"the file changed since it was last seen: {display(path)}")
        header = parse(data, before.size)
        if not header.verdict.accepted:
            raise UnreadableFile(f"{display(path)} is no whole safetensors file: {header.verdict.detail}")
        yield OpenTensors(descriptor, path, header, before)
        if stat_open(descriptor)[:2] != before[:2]:
            raise FileChanged(f"the file changed while it was read: {display(path)}")
