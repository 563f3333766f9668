"""The tensors of a file as numbers that can be calculated with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from registry.errors import UnsupportedKind
from registry.formats.elements import count_elements
from registry.lora.delta import MOST
from registry.lora.numbers import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from registry.hashing.contents import OpenTensors
    from registry.lora.numbers import Floats


def number(value: float) -> Floats:
    """Return a number as a tensor without dimensions."""
    return np.full((), value, np.float32)


class FloatTensors:
    """The tensors of an open file, each decoded when it is asked for."""

    def __init__(self, raw: OpenTensors) -> None:
        self._raw = raw

    @property
    def names(self) -> Iterable[str]:
        """Their names, in the order of their data."""
        return self._raw.names

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the header tells beside them."""
        return self._raw.metadata

    def read(self, name: str) -> Floats:
        """Return one in an array of its own; raises UnsupportedKind, UnreadableFile."""
        elements = count_elements(self._raw.names[name].shape)
        if elements is None or elements > MOST:
            raise UnsupportedKind(f"a tensor of more than {MOST:,} numbers")
        dtype, shape, data = self._raw.read_raw(name)
        return decode(dtype, data, shape)
