"""ΔW against what the libraries that train adapters calculate with the same factors."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from registry.lora import delta
from registry.lora.keys import read_layers
from registry.lora.numbers import decode
from tests.support.oracles import oracle

torch = oracle("torch")
modules = oracle("lycoris.modules")
peft = oracle("peft")

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "lora_unet_x"
DORA = [{}, {"weight_decompose": True, "wd_on_out": True}, {"weight_decompose": True, "wd_on_out": False}]
LOW = {"lora_dim": 4, "alpha": 2}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(7)
    torch.set_num_threads(1)


def layer(kind: str) -> Any:
    nn = torch.nn
    made = {
        "linear": lambda: nn.Linear(24, 36),
        "power": lambda: nn.Linear(24, 32),
        "conv": lambda: nn.Conv2d(8, 12, 3, padding=1),
        "power_conv": lambda: nn.Conv2d(8, 16, 3, padding=1),
        "norm": lambda: nn.GroupNorm(4, 24),
    }
    return made[kind]()


def trained(adapter: str, original: Any, options: Mapping[str, Any]) -> Any:
    """Return a module of LyCORIS as if it had been trained."""
    module = getattr(oracle(f"lycoris.modules.{adapter.partition(':')[0]}"), adapter.partition(":")[2])
    made = module(NAME, original, 1.0, **options)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "dora" in name:
                parameter.mul_(1 + 0.3 * torch.rand_like(parameter))
            else:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return made.eval()


CASES = [
    *(
        (adapter, kind, {**LOW, **tucker, **dora})
        for adapter in ("locon:LoConModule", "loha:LohaModule", "lokr:LokrModule")
        for kind, tucker in (("linear", {}), ("conv", {}), ("conv", {"use_tucker": True}))
        for dora in DORA
    ),
    ("lokr:LokrModule", "linear", {"lora_dim": 2, "alpha": 1, "decompose_both": True, "factor": 6}),
    ("lokr:LokrModule", "linear", {"lora_dim": 1, "alpha": 3, "factor": 4}),
    ("lokr:LokrModule", "conv", {"lora_dim": 1, "alpha": 3, "use_tucker": True, "factor": 2}),
    ("locon:LoConModule", "linear", {**LOW, "rs_lora": True}),
    ("diag_oft:DiagOFTModule", "linear", {"lora_dim": 6}),
    ("diag_oft:DiagOFTModule", "linear", {"lora_dim": 6, "constraint": 0.01}),
    ("diag_oft:DiagOFTModule", "conv", {"lora_dim": 4, "constraint": 0.01, "rescaled": True}),
    ("boft:ButterflyOFTModule", "power", {"lora_dim": 4}),
    ("boft:ButterflyOFTModule", "power_conv", {"lora_dim": 4, "rescaled": True}),
    ("glora:GLoRAModule", "linear", LOW),
    ("glora:GLoRAModule", "conv", LOW),
    ("ia3:IA3Module", "linear", {}),
    ("ia3:IA3Module", "linear", {"train_on_input": True}),
    ("ia3:IA3Module", "conv", {"train_on_input": True}),
    ("full:FullModule", "linear", {}),
    ("full:FullModule", "conv", {}),
    ("norms:NormModule", "norm", {}),
]


@pytest.mark.parametrize(("adapter", "kind", "options"), CASES)
@pytest.mark.parametrize("library", ["torch", "numpy"])
def test_a_layer_gives_what_lycoris_gives(adapter: str, kind: str, options: Any, library: str) -> None:
    original = layer(kind)
    weight, bias = original.weight.detach().clone(), original.bias.detach().clone()
    inputs = torch.randn(2, 8, 6, 6) if "conv" in kind else torch.randn(5, 24)
    plain = original(inputs).detach()
    made = trained(adapter, original, options)
    made.apply_to()
    theirs = original.forward(inputs).detach()
    saved = made.custom_state_dict() or made.state_dict()

    tensors = {f"{NAME}.{name}": tensor.detach().float() for name, tensor in saved.items()}
    (found,) = read_layers(tensors).layers
    factors = {role: tensors[name] for role, name in found.factors.items()}
    if library == "numpy":
        factors = {role: tensor.numpy() for role, tensor in factors.items()}
        change = torch.from_numpy(np.asarray(delta.dense(found.family, factors, weight.numpy())))
    else:
        change = delta.dense(found.family, factors, weight)
    shift = delta.bias(factors)
    changed = weight + change.reshape(weight.shape)
    moved = bias if shift is None else bias + torch.as_tensor(shift)
    functional = torch.nn.functional
    if kind == "norm":
        ours = functional.group_norm(inputs, 4, changed, moved)
    elif "conv" in kind:
        ours = functional.conv2d(inputs, changed, moved, padding=1)
    else:
        ours = functional.linear(inputs, changed, moved)

    assert (theirs - plain).abs().max() > 0.02
    assert (ours - theirs).abs().max() < 5e-6


@pytest.mark.parametrize("options", [{}, {"use_rslora": True}, {"use_dora": True}])
def test_a_layer_gives_what_peft_gives(options: Any) -> None:
    model = torch.nn.Sequential(OrderedDict(to_q=torch.nn.Linear(24, 36)))
    weight, bias = model.to_q.weight.detach().clone(), model.to_q.bias.detach().clone()
    config = peft.LoraConfig(r=4, lora_alpha=4, target_modules=["to_q"], init_lora_weights=False, **options)
    adapted = peft.get_peft_model(model, config).eval()
    inputs = torch.randn(5, 24)
    theirs = adapted(inputs).detach()

    tensors = peft.get_peft_model_state_dict(adapted)
    (found,) = read_layers(tensors).layers
    factors = {role: tensors[name].float() for role, name in found.factors.items()}
    # PEFT keeps alpha beside the tensors; what it saves is of scale one, save for this option.
    scale = 4 / 4**0.5 if "use_rslora" in options else 1.0
    ours = torch.nn.functional.linear(
        inputs, weight + scale * delta.dense(found.family, factors, weight), bias
    )
    assert (ours - theirs).abs().max() < 5e-6


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [("F8_E4M3", "float8_e4m3fn"), ("F8_E5M2", "float8_e5m2"), ("BF16", "bfloat16"), ("F16", "float16")],
)
def test_numbers_are_read_as_torch_reads_them(dtype: str, kind: str) -> None:
    size = getattr(torch, kind).itemsize
    codes = np.arange(1 << 8 * size, dtype=f"<u{size}")
    theirs = torch.from_numpy(codes.view(f"<i{size}").copy()).view(getattr(torch, kind)).float().numpy()
    np.testing.assert_array_equal(decode(dtype, codes.tobytes(), theirs.shape), theirs)
