"""By how much an adapter changes a weight: ΔW of every family, with one rule for alpha and rank.

All weights are matrices here: rows are outputs, columns inputs times kernel in the order of the weight
(`weight.reshape(len(weight), -1)`). Arrays are of numpy or torch, in a floating-point type that can be
calculated in; nothing here is written for one of them, and nothing loads torch.

Rules: KohakuBlueleaf/LyCORIS lycoris/modules and lycoris/functional, kohya-ss/sd-scripts networks/lora.py and
oft.py, Comfy-Org/ComfyUI comfy/weight_adapter, A1111 extensions-builtin/Lora/network_*.py,
huggingface/peft src/peft/tuners.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from registry.errors import UnsupportedKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Array = Any
"""An array of numpy or torch."""

_RANKS: Final = {"lora": ("down", 0), "loha": ("w1_b", 0), "glora": ("a2", 0)}
"""Which factor tells the rank of a family, and on which axis."""
_AT_ONCE: Final = 1 << 17
_MOST_PAIRS: Final = 64
"""Ranks of a LoHa, multiplied, up to which two factors take less than the matrix that they make."""
MOST: Final = 1 << 28
"""Elements of one layer or tensor: twice the largest layers there are. A small file can claim far more."""
LONGEST: Final = 1 << 20
"""Rows or columns of one layer: the vocabulary of a text encoder has a quarter of that."""
MOST_RANK: Final = 4096
_EPSILON: Final = 1.1920929e-07  # of 32-bit numbers, as the trainers have it


@dataclass(frozen=True, slots=True)
class Small:
    """ΔW as the product of two small matrices, the scale in the first: (rows, rank) and (rank, columns)."""

    up: Array
    down: Array


def needs_weight(family: str, factors: Mapping[str, Array]) -> bool:
    """Whether ΔW depends on the weight that it changes."""
    return family in ("oft", "ia3", "glora") or "magnitude" in factors


def scale_of(family: str, factors: Mapping[str, Array]) -> float:
    """Return what the product of the factors is multiplied by: alpha / rank, 1 where no alpha is told.

    A LoKr whose two factors are whole has no rank, and its alpha means nothing.
    """
    alpha = factors.get("alpha")
    if alpha is None:
        return 1.0
    if family == "lokr":
        low = factors.get("w2_b", factors.get("w1_b"))
        rank = None if low is None else low.shape[0]
    else:
        name, axis = _RANKS.get(family, ("", 0))
        rank = factors[name].shape[axis] if name in factors else None
    return 1.0 if not rank else float(alpha.reshape(-1)[0]) / rank


def small(family: str, factors: Mapping[str, Array]) -> Small | None:
    """Return ΔW as two small factors where the family has them, `None` for others and where factors miss.

    The magnitudes of a DoRA are left out: they need the weight.
    """
    if family == "loha":
        return _small_hadamard(factors)
    if family != "lora" or "up" not in factors or "down" not in factors:
        return None
    up, down = factors["up"], factors["down"]
    if _size(up.shape[2:]) != 1:
        raise UnsupportedKind("a LoRA whose kernel is in its upper factor")
    up = up.reshape(up.shape[0], -1) * scale_of(family, factors)
    mid = factors.get("mid")
    down = down.reshape(down.shape[0], -1) if mid is None else _core(mid, down)
    if up.shape[1] != down.shape[0]:
        raise UnsupportedKind(f"factors that do not fit: {up.shape[1]} columns, {down.shape[0]} rows")
    if up.shape[1] > MOST_RANK:
        raise UnsupportedKind(f"a rank of {up.shape[1]}, more than {MOST_RANK}")
    _require_modest(up.shape[0], down.shape[1])
    return Small(up, down)


def dense(family: str, factors: Mapping[str, Array], weight: Array | None = None) -> Array:
    """Return ΔW as a matrix; `weight` is what it changes, in any shape whose first axis is the outputs.

    Raises UnsupportedKind where factors are missing or of a form that is not known, and where the weight is
    needed and not given.
    """
    if weight is not None:
        weight = weight.reshape(weight.shape[0], -1)
    rule = _RULES.get(family)
    if rule is None:
        raise UnsupportedKind(f"adapters of the family {family!r}")
    with _fitting(family):
        change = rule(factors, weight)
    magnitude = factors.get("magnitude")
    return change if magnitude is None else _decomposed(_given(weight) + change, magnitude) - weight


def blocks(family: str, factors: Mapping[str, Array]) -> Iterator[Array]:
    """Yield ΔW, of families that need no weight for it, some rows after the other; raises as `dense` does.

    Of a DoRA it is the change before the magnitudes.
    """
    if family == "lokr":
        yield from _kron_blocks(*kronecker(factors))
    elif family == "loha":
        (up1, down1), (up2, down2) = _hadamard(factors)
        for rows in _steps(up1.shape[0], down1.shape[1]):
            with _fitting(family):
                yield (up1[rows] @ down1) * (up2[rows] @ down2)
    else:
        whole = dense(family, {role: array for role, array in factors.items() if role != "magnitude"})
        for rows in _steps(*whole.shape):
            yield whole[rows]


def size(family: str, factors: Mapping[str, Array]) -> tuple[int, int]:
    """Return the rows and columns of what `blocks` yields; raises as that does."""
    if family == "lokr":
        first, second = kronecker(factors)
        return first.shape[0] * second.shape[0], first.shape[1] * second.shape[1]
    if family == "loha":
        (up, down), _ = _hadamard(factors)
        return up.shape[0], down.shape[1]
    whole = factors.get("diff", factors.get("w_norm"))
    if whole is None:
        raise UnsupportedKind(f"adapters of the family {family!r} without the weights that they change")
    return whole.shape[0], _size(whole.shape[1:])


def kronecker(factors: Mapping[str, Array]) -> tuple[Array, Array]:
    """Return the two matrices whose Kronecker product the ΔW of a LoKr is; raises UnsupportedKind."""
    found = []
    for name in ("w1", "w2"):
        with _fitting("lokr"):
            whole = factors.get(name)
            if whole is None:
                up, down = _half(factors, name)
                whole = up @ down
            found.append(_matrix(whole))
    _require_modest(*(found[0].shape[axis] * found[1].shape[axis] for axis in (0, 1)))
    return found[0] * scale_of("lokr", factors), found[1]


def bias(factors: Mapping[str, Array]) -> Array | None:
    """Return by how much the bias of a layer changes, `None` if it does not."""
    found = next((factors[role] for role in ("diff_b", "b_norm", "bias") if role in factors), None)
    return None if found is None else found.reshape(-1)


def _steps(rows: int, each: int) -> Iterator[slice]:
    """Cut rows of so many numbers each into runs that are small in memory."""
    step = max(1, _AT_ONCE // max(1, each))
    for start in range(0, rows, step):
        yield slice(start, start + step)


@contextmanager
def _fitting(family: str) -> Iterator[None]:
    """Tell of factors that are missing or do not fit each other; the libraries have many errors for it."""
    try:
        yield
    except (KeyError, ValueError, IndexError, RuntimeError) as error:
        raise UnsupportedKind(f"factors of {family} that are missing or do not fit: {error}") from error


def _require_modest(rows: int, columns: int) -> None:
    if rows * columns > MOST or max(rows, columns) > LONGEST:
        raise UnsupportedKind(f"a layer of {rows:,} x {columns:,}, more than there are")


def _given(weight: Array | None) -> Array:
    if weight is None:
        raise UnsupportedKind("an adapter whose change depends on the weights of the base model")
    return weight


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for each in shape:
        size *= each
    return size


def _core(core: Array, down: Array) -> Array:
    """Return the lower factor of a Tucker decomposition: (i, j, kernel) and (j, inputs), joined."""
    rank, inner = core.shape[:2]
    kernel = _size(core.shape[2:])
    down = down.reshape(inner, -1)
    core = core.reshape(rank, inner, kernel).swapaxes(1, 2).reshape(rank * kernel, inner)
    return (core @ down).reshape(rank, kernel, -1).swapaxes(1, 2).reshape(rank, -1)


def _lora(factors: Mapping[str, Array], _weight: Array | None) -> Array:
    found = small("lora", factors)
    if found is None:
        raise KeyError("one of the two factors is missing")
    return found.up @ found.down


def _hadamard(factors: Mapping[str, Array]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Return the two pairs of factors whose products are multiplied element by element."""
    pairs = []
    for name in ("w1", "w2"):
        with _fitting("loha"):
            pairs.append(_half(factors, name))
    for up, down in pairs:
        if up.shape[1] != down.shape[0]:
            raise UnsupportedKind(f"factors that do not fit: {up.shape[1]} columns, {down.shape[0]} rows")
    (up1, down1), (up2, down2) = pairs
    if (up1.shape[0], down1.shape[1]) != (up2.shape[0], down2.shape[1]):
        raise UnsupportedKind("a LoHa whose two halves have other sizes")
    _require_modest(up1.shape[0], down1.shape[1])
    return (up1 * scale_of("loha", factors), down1), (up2, down2)


def _half(factors: Mapping[str, Array], name: str) -> tuple[Array, Array]:
    """Return the two factors of one half of a LoHa or LoKr."""
    up, down = factors[f"{name}_a"], factors[f"{name}_b"]
    core = factors.get(name.replace("w", "t"))
    if core is not None:
        return up.swapaxes(0, 1), _core(core, down)
    return _matrix(up), _matrix(down)


def _small_hadamard(factors: Mapping[str, Array]) -> Small | None:
    """Return a LoHa as two factors, of all products of a column of the one half with one of the other."""
    (up1, down1), (up2, down2) = _hadamard(factors)
    rank = up1.shape[1] * up2.shape[1]
    if rank > _MOST_PAIRS:
        return None
    up = up1[:, :, None] * up2[:, None, :]
    down = down1[:, None, :] * down2[None, :, :]
    return Small(up.reshape(up1.shape[0], rank), down.reshape(rank, down1.shape[1]))


def _loha(factors: Mapping[str, Array], _weight: Array | None) -> Array:
    (up1, down1), (up2, down2) = _hadamard(factors)
    return (up1 @ down1) * (up2 @ down2)


def _kron(first: Array, second: Array) -> Array:
    rows, columns = first.shape[0] * second.shape[0], first.shape[1] * second.shape[1]
    return (first[:, None, :, None] * second[None, :, None, :]).reshape(rows, columns)


def _kron_blocks(first: Array, second: Array) -> Iterator[Array]:
    """Yield a Kronecker product some rows at a time, of several rows of the first factor or part of one."""
    columns = first.shape[1] * second.shape[1]
    if second.shape[0] * columns <= _AT_ONCE:
        for rows in _steps(first.shape[0], second.shape[0] * columns):
            yield _kron(first[rows], second)
        return
    for row in range(first.shape[0]):
        for rows in _steps(second.shape[0], columns):
            yield _kron(first[row : row + 1], second[rows])


def _lokr(factors: Mapping[str, Array], _weight: Array | None) -> Array:
    return _kron(*kronecker(factors))


def _diff(factors: Mapping[str, Array], weight: Array | None) -> Array:
    found = factors.get("diff", factors.get("w_norm"))
    if found is not None:
        return found.reshape(found.shape[0], -1)
    # Only the bias changes.
    return _given(weight) * 0


def _ia3(factors: Mapping[str, Array], weight: Array | None) -> Array:
    weight = _given(weight)
    if "weight" in factors:
        scale, on_input = factors["weight"], bool(factors["on_input"].reshape(-1)[0])
    else:
        # PEFT stores what the layer is multiplied by, not the difference to it, and tells no side.
        scale = factors["scale"] - 1
        on_input = scale.shape[0] == 1 or _size(scale.shape) != weight.shape[0]
    scale = scale.reshape(-1)
    if on_input:
        kernel = weight.shape[1] // scale.shape[0]
        return (weight.reshape(-1, scale.shape[0], kernel) * scale[None, :, None]).reshape(weight.shape)
    return weight * scale[:, None]


def _glora(factors: Mapping[str, Array], weight: Array | None) -> Array:
    weight = _given(weight)
    a1, a2, b1, b2 = (_matrix(factors[name]) for name in ("a1", "a2", "b1", "b2"))
    # The first version of the trainer has each pair the other way round.
    if a1.shape[0] < a1.shape[1]:
        a1, a2, b1, b2 = a2, a1, b2, b1
    inputs = a1.shape[0]
    kernel = weight.shape[1] // inputs
    by_input = weight.reshape(-1, inputs, kernel).swapaxes(1, 2).reshape(-1, inputs)
    turned = (by_input @ a1 @ a2).reshape(-1, kernel, inputs).swapaxes(1, 2).reshape(weight.shape)
    return (b1 @ b2 + turned) * scale_of("glora", {**factors, "a2": a2})


def _matrix(array: Array) -> Array:
    return array.reshape(array.shape[0], -1)


def _oft(factors: Mapping[str, Array], weight: Array | None) -> Array:
    weight = _given(weight)
    made = factors["blocks"]
    if made.shape[-1] != made.shape[-2]:
        raise UnsupportedKind("an OFT that stores its rotations as vectors")
    alpha = factors.get("alpha")
    limit = 0.0 if alpha is None else float(alpha.reshape(-1)[0]) * weight.shape[0]
    rotation = _cayley(made, limit)
    turned = _butterfly(rotation, weight) if len(made.shape) == 4 else _turned(rotation, weight)
    rescale = factors.get("rescale")
    return (turned if rescale is None else turned * rescale.reshape(-1, 1)) - weight


def _cayley(made: Array, limit: float) -> Array:
    """Return the rotations (I + Q)(I - Q)^-1 of Q = B - Bᵀ, its norm held below a limit if there is one."""
    skew = made - made.swapaxes(-1, -2)
    norm = float((skew * skew).sum()) ** 0.5 + 1e-8
    if limit > 0 and norm > limit:
        skew = skew * (limit / norm)
    one = np.eye(made.shape[-1], dtype=np.float32)
    if isinstance(made, np.ndarray):
        return (one + skew) @ np.linalg.inv(one - skew)
    one = made.new_tensor(one)
    return (one + skew) @ (one - skew).inverse()


def _turned(rotation: Array, weight: Array) -> Array:
    number, size = rotation.shape[:2]
    return (rotation.swapaxes(-1, -2) @ weight.reshape(number, size, -1)).reshape(weight.shape)


def _butterfly(rotation: Array, weight: Array) -> Array:
    """Turn a weight in several steps, each of which mixes rows that are farther apart."""
    columns = weight.shape[1]
    for step in range(rotation.shape[0]):
        size = rotation.shape[2]
        apart = 2**step * (size // 2)
        weight = weight.reshape(-1, 2, apart, columns).swapaxes(1, 2).reshape(-1, size, columns)
        weight = rotation[step] @ weight
        weight = weight.reshape(-1, apart, 2, columns).swapaxes(1, 2).reshape(-1, columns)
    return weight


def _decomposed(weight: Array, magnitude: Array) -> Array:
    """Give the rows of a weight, or its inputs, the norms that a DoRA stores."""
    rows, columns = weight.shape
    by_row = len(magnitude.shape) == 1 or magnitude.shape[0] == rows
    magnitude = magnitude.reshape(-1)
    if by_row:
        norms = (weight * weight).sum(1) ** 0.5 + _EPSILON
        return weight * (magnitude / norms).reshape(-1, 1)
    inputs = magnitude.shape[0]
    cut = weight.reshape(rows, inputs, columns // inputs)
    norms = (cut * cut).sum((0, 2)) ** 0.5 + _EPSILON
    return (cut * (magnitude / norms)[None, :, None]).reshape(rows, columns)


_RULES: Final[Mapping[str, Callable[[Mapping[str, Array], Array | None], Array]]] = {
    "lora": _lora,
    "loha": _loha,
    "lokr": _lokr,
    "diff": _diff,
    "norm": _diff,
    "ia3": _ia3,
    "glora": _glora,
    "oft": _oft,
}
