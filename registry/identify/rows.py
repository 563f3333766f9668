"""The shapes of the rows that the tables of this package are made of."""

from __future__ import annotations

from typing import NamedTuple


class Prefix(NamedTuple):
    """A beginning of tensor names, the part of a model it stands for and the layout it proves.

    `slot` is `denoiser`, a text encoder slot of `rules_encoders`, `vae`, or `None` where only a wrapper is
    named.
    """

    text: str
    slot: str | None
    layout: str | None = None


class Suffix(NamedTuple):
    """An ending of tensor names: which adapter family, which factor, and what its axes mean.

    `rank`, `wide_in` and `wide_out` are axis numbers of the tensor, or `None`.
    """

    text: str
    family: str
    role: str
    rank: int | None = None
    wide_in: int | None = None
    wide_out: int | None = None


class Width(NamedTuple):
    """Sizes that modules of a pattern have on one side: `in`, `out`, or `ndim` (dimensions of the factor)."""

    modules: str
    side: str
    sizes: tuple[int, ...]


class Architecture(NamedTuple):
    """How a base model names its modules, how many blocks it has, and how wide they are.

    `denoiser` is `unet` or `transformer`. `modules` are patterns: names without prefix and suffix, `#` for a
    number, `{a,b}` for alternatives, a final `.*` for any rest. `requires` are patterns of which at least one
    must occur. `blocks` are the sizes this model comes in: for a stem before a number, how many there are.
    """

    name: str
    denoiser: str
    modules: tuple[str, ...]
    blocks: tuple[tuple[tuple[str, int], ...], ...] = ()
    widths: tuple[Width, ...] = ()
    requires: tuple[str, ...] = ()


class Place(NamedTuple):
    """Module names with their numbers kept: who has such a module (`only`) or lacks it (`never`)."""

    modules: str
    only: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


class Encoder(NamedTuple):
    """A text encoder under a slot: its form, width and number of layers, and who uses it."""

    slot: str
    form: str
    width: int | None
    layers: int | None
    architectures: tuple[str, ...]


class Absence(NamedTuple):
    """`winner` is meant rather than `losers` if all of `seen` and none of `absent` occur in enough blocks.

    The row counts only in one of `layouts` (any, if none is named) and where no claim of the metadata has one
    of the words `unless` in it.
    """

    winner: str
    losers: tuple[str, ...]
    seen: tuple[str, ...]
    absent: tuple[str, ...]
    stem: str
    at_least: int
    why: str
    layouts: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()


class Usual(NamedTuple):
    """Which of several architectures that fit alike is meant, for want of anything that tells them apart.

    The row counts only where no candidate is outside `winner` and `over`, one of `stems` occurs (if any is
    named), and `bare`, `sized`, `layout` and `kind` hold (if set). A `quiet` row does not list the losers as
    possible. Only quiet rows count for factors whose known shapes do not tell the width of a layer (OFT).
    """

    winner: str
    over: tuple[str, ...]
    stems: tuple[str, ...] = ()
    bare: bool | None = None
    sized: bool | None = None
    layout: str | None = None
    kind: str | None = None
    quiet: bool = False


class Stray(NamedTuple):
    """Names of things that are not adapters of a diffusion model: `kind` and a word for a person.

    A `part` of a model is itself where nothing else is in the file, and not a checkpoint.
    """

    what: str
    kind: str
    modules: tuple[str, ...]
    adapter: str = "none"
    part: bool = False


class SizeVariant(NamedTuple):
    """A variant of an architecture that is known by an input width."""

    architecture: str
    size: int
    variant: str


class WordVariant(NamedTuple):
    """A variant of an architecture that metadata name: any of `words` in the texts about the base model.

    Words count at the beginning of a word, or anywhere with `within` (`waiNSFWIllustrious`). With `in_title`
    they count in titles too. A `general` row counts only where no other text names a variant.
    """

    architecture: str
    variant: str
    words: tuple[str, ...]
    in_title: bool = False
    within: bool = False
    general: bool = False
