"""CLIP's tokenizer from the vocabulary that lies beside us, so that none is ever fetched.

Its words are 256 signs for bytes, the same at the end of a word, what the merges make of them in their order,
and two that begin and end a text (openai/CLIP, clip/simple_tokenizer.py).
"""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
from transformers import CLIPTokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIGS: Final = Path(__file__).parent / "configs"
"""A folder for each architecture, shaped as one of diffusers without weights."""
_BEGIN: Final = "<|startoftext|>"
_END: Final = "<|endoftext|>"


def tokenizer(folder: Path) -> Any:
    """Return the tokenizer whose `tokenizer_config.json` lies in a folder, with the vocabulary of CLIP."""
    told: Mapping[str, Any] = orjson.loads((folder / "tokenizer_config.json").read_bytes())
    vocabulary, merges = _vocabulary()
    return CLIPTokenizer(
        vocabulary,
        merges,
        unk_token=told["unk_token"],
        bos_token=told["bos_token"],
        eos_token=told["eos_token"],
        pad_token=told["pad_token"],
        model_max_length=told["model_max_length"],
    )


@cache
def _vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    text = gzip.decompress((CONFIGS / "clip" / "merges.txt.gz").read_bytes()).decode()
    merges = [(first, second) for first, _, second in (line.partition(" ") for line in text.splitlines())]
    letters = _letters()
    words = [*letters, *(f"{letter}</w>" for letter in letters), *(a + b for a, b in merges), _BEGIN, _END]
    return {word: number for number, word in enumerate(words)}, merges


def _letters() -> list[str]:
    """Return the sign of each byte, those of printable bytes first."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [*map(chr, plain), *(chr(256 + number) for number in range(256 - len(plain)))]
