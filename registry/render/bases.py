"""Base models, opened from files of one piece or folders of diffusers, and kept open while they fit.

Nothing is fetched and nothing unpickled: what a file of one piece does not say of itself lies in `configs`.
Classes are those of the table here, whatever a folder names.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.loaders.single_file_utils import SingleFileComponentError
from diffusers.utils import logging as diffusers_logging
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer
from transformers.utils import logging as transformers_logging

from registry.errors import FileChanged, NoBase, UnreadableFile, UnsupportedArchitecture
from registry.render.checkpoints import REMEDY, WEIGHTS, Facts, facts_of_file, facts_of_folder
from registry.render.clip import CONFIGS, tokenizer
from registry.render.engine import Engine
from registry.render.held import Held
from registry.render.patch import merged
from registry.render.precision import device_of, dtype_of, room_for_bases
from registry.render.stamps import stamp_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from registry.render.batch import BaseAsk
    from registry.render.fitting import Adapter

for _library in (diffusers_logging, transformers_logging):
    _library.set_verbosity_error()
    _library.disable_progress_bar()

# Of these a pipeline consists, by the names that diffusers gives its parts and their folders.
_CLASSES: Final = {
    "unet": UNet2DConditionModel,
    "vae": AutoencoderKL,
    "text_encoder": CLIPTextModel,
    "text_encoder_2": CLIPTextModelWithProjection,
}


class _Kind(NamedTuple):
    """How an architecture is put together: its pipeline, its tokenizers, and what it is told besides."""

    pipeline: Any
    tokenizers: tuple[str, ...]
    options: dict[str, Any]


_SAFE: Final = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
KINDS: Final = {
    "sd15": _Kind(StableDiffusionPipeline, ("tokenizer",), _SAFE),
    "sd2": _Kind(StableDiffusionPipeline, ("tokenizer",), _SAFE),
    # A watermark would be drawn into the picture if its package happens to be installed.
    "sdxl": _Kind(StableDiffusionXLPipeline, ("tokenizer", "tokenizer_2"), {"add_watermarker": False}),
}


class Base:
    """An open base model: its engine, and what it is known by."""

    def __init__(self, key: Hashable, engine: Engine) -> None:
        self.key = key
        self.engine = engine
        self.is_closed = False
        self._drafting = ExitStack()
        self._drafts_with: str | None = None

    def draft_with(self, name: str | None, read: Callable[[], Adapter]) -> None:
        """Have an adapter merged in from now on, read if it is another one than before; without a name none.

        Raises what `read` does.
        """
        if name == self._drafts_with:
            return
        self._drafting.close()
        self._drafts_with = None
        if name is not None:
            self._drafting.enter_context(merged((read(), 1.0)))
            self._drafts_with = name

    def close(self) -> None:
        """Say that it is not kept any longer."""
        self.is_closed = True
        self._drafting.close()


class Bases:
    """Base models on one device: as many open as fit into `room` bytes, the least recently used closed first.

    `on_close` is told of each that is closed; `most` pictures are drawn at once.
    """

    def __init__(
        self,
        device: torch.device | None = None,
        *,
        room: int | None = None,
        most: int = 8,
        on_close: Callable[[Base], object] = lambda _: None,
        configs: Path = CONFIGS,
    ) -> None:
        self.device = device or device_of()
        self._most = most
        self.on_close = on_close
        self._configs = configs
        self._held: Held[Base] = Held(room or room_for_bases(self.device), self._let_go)

    def has(self, ask: BaseAsk, dtype: str) -> bool:
        """Whether a base model is open already; raises what `open` does for one that is not there."""
        path = self._path(ask)
        return self._key(ask, path, stamp_of(path), dtype) in self._held

    def open(self, ask: BaseAsk, dtype: str) -> Base:
        """Return a base model with numbers of a type, on a graphics card only.

        Raises UnsupportedArchitecture, UnsupportedKind for formats that can run code, NoBase, UnreadableFile,
        and torch.OutOfMemoryError.
        """
        path = self._path(ask)
        stamp = stamp_of(path)
        if ask.stamp is not None and stamp != ask.stamp:
            raise FileChanged(
                f"the base model {path} was changed since it was asked for",
                remedy="ask for the pictures again",
            )
        key = self._key(ask, path, stamp, dtype)
        found = self._held.get(key)
        if found is not None:
            return found
        kind, config, numbers = KINDS[ask.architecture], self._configs / ask.architecture, self._dtype(dtype)
        facts = facts_of_folder(path, config) if path.is_dir() else facts_of_file(path, config)
        size = facts.numbers * numbers.itemsize
        self._held.make_room(size)
        self._emptied()
        try:
            parts = _from_folder(path, kind, facts, numbers) if path.is_dir() else {}
            pipe = kind.pipeline(**parts) if parts else _from_file(path, kind, config, numbers)
        except torch.OutOfMemoryError:
            raise
        except NotImplementedError as error:
            # Weights that were not in the file cannot be moved.
            raise UnreadableFile(f"{path} lacks weights of its text encoders") from error
        except (OSError, ValueError, KeyError, RuntimeError, SingleFileComponentError) as error:
            told = str(error).strip().partition("\n")[0]
            raise UnreadableFile(f"{path} cannot be opened as {ask.architecture}: {told}") from error
        _check_whole(pipe, path)
        _schedule(pipe, ask, facts)
        base = Base(key, Engine(pipe.to(self.device), most=self._most))
        self._held.put(key, base, size)
        return base

    def close(self) -> None:
        """Close all."""
        self._held.forget()
        self._emptied()

    def _path(self, ask: BaseAsk) -> Path:
        if ask.architecture not in KINDS:
            raise UnsupportedArchitecture(
                f"base models of {ask.architecture} are not drawn here",
                remedy=f"drawn are {', '.join(KINDS)}",
            )
        if ask.path is None:
            raise NoBase(f"nobody said where the base model {ask.name} is", remedy=REMEDY)
        path = Path(ask.path).expanduser()
        if not (path.is_file() or path.is_dir()):
            raise NoBase(f"there is no base model at {path}", remedy=REMEDY)
        return path

    def _key(self, ask: BaseAsk, path: Path, stamp: str, dtype: str) -> Hashable:
        # What was replaced is another one.
        return ask.architecture, str(path), stamp, ask.prediction, self._dtype(dtype)

    def _dtype(self, asked: str) -> torch.dtype:
        return dtype_of(self.device, asked)

    def _let_go(self, base: Base) -> None:
        base.close()
        self.on_close(base)

    def _emptied(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def _from_folder(path: Path, kind: _Kind, facts: Facts, dtype: torch.dtype) -> dict[str, Any]:
    """Return the parts of a pipeline of a folder, each of the class that it is to have."""
    local = {"local_files_only": True}
    parts: dict[str, Any] = {
        part: _CLASSES[part].from_pretrained(
            str(path / part),
            torch_dtype=dtype,
            variant=facts.variants[part],
            use_safetensors=True,
            **local,
        )
        for part in WEIGHTS
        if part in facts.variants
    }
    for name in kind.tokenizers:
        parts[name] = CLIPTokenizer.from_pretrained(str(path / name), **local)
    scheduler = DDIMScheduler.from_pretrained(str(path / "scheduler"), **local)
    return {**parts, "scheduler": scheduler, **kind.options}


def _from_file(path: Path, kind: _Kind, config: Path, dtype: torch.dtype) -> Any:
    words = {name: tokenizer(config / name) for name in kind.tokenizers}
    return kind.pipeline.from_single_file(
        str(path), config=str(config), local_files_only=True, torch_dtype=dtype, **words, **kind.options
    )


def _check_whole(pipe: Any, path: Path) -> None:
    """Refuse a model some of whose weights were not in the file: they would be anything."""
    for part in WEIGHTS:
        model = getattr(pipe, part, None)
        missing = [] if model is None else [name for name, each in model.named_parameters() if each.is_meta]
        if missing:
            raise UnreadableFile(
                f"{path} lacks {len(missing)} weights of its {part}, {missing[0]} among them"
            )


def _schedule(pipe: Any, ask: BaseAsk, facts: Facts) -> None:
    told = dict(facts.schedule)
    if ask.prediction is not None:
        told["prediction_type"] = ask.prediction
    if told:
        pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, **told)
