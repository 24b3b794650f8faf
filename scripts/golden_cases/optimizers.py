"""What PyTorch's optimisers make of a small network in five steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from golden_cases.arrays import Case, Maker, assigned, float32, in_our_layout, normal, tensor

__all__ = ["makers"]


def makers() -> dict[str, Maker]:
    """What makes each case, by name."""
    settings: dict[str, tuple[Any, dict[str, Any]]] = {
        "sgd": (torch.optim.SGD, {"lr": 0.1}),
        "momentum": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
        "nesterov": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
        "weight_decay": (torch.optim.SGD, {"lr": 0.1, "weight_decay": 0.05}),
        "adagrad": (torch.optim.Adagrad, {"lr": 0.1, "eps": 1e-10}),
        "rmsprop": (torch.optim.RMSprop, {"lr": 0.02, "alpha": 0.9, "eps": 1e-8}),
        "adadelta": (torch.optim.Adadelta, {"lr": 1.0, "rho": 0.9, "eps": 1e-6}),
        "adam": (torch.optim.Adam, {"lr": 0.05, "betas": (0.9, 0.999), "eps": 1e-8}),
        "adamw": (torch.optim.AdamW, {"lr": 0.05, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.1}),
    }
    return {f"optimizers/{name}": _optimizer(*setting) for name, setting in settings.items()}


def _optimizer(make_optimizer: Any, options: dict[str, Any]) -> Maker:
    def make(rng: np.random.Generator) -> Case:
        hidden, output = nn.Linear(4, 5).double(), nn.Linear(5, 3).double()
        for module in (hidden, output):
            assigned(module.weight, float32(0.5 * normal(rng, *module.weight.shape)))
            assigned(module.bias, float32(0.1 * normal(rng, *module.bias.shape)))
        x, t = tensor(normal(rng, 6, 4)), torch.tensor(rng.integers(0, 3, 6))
        parameters = {
            "0_dense/W": hidden.weight,
            "0_dense/b": hidden.bias,
            "2_dense/W": output.weight,
            "2_dense/b": output.bias,
        }
        optimizer = make_optimizer(list(parameters.values()), **options)
        values = []
        met: dict[str, list[torch.Tensor]] = {f"params/{name}": [in_our_layout(p)] for name, p in parameters.items()}
        for _ in range(5):
            optimizer.zero_grad()
            value = F.cross_entropy(output(torch.tanh(hidden(x))), t)
            value.backward()
            values.append(value.detach())
            for name, parameter in parameters.items():
                met.setdefault(f"grads/{name}", []).append(in_our_layout(parameter.grad))
            optimizer.step()
            for name, parameter in parameters.items():
                met[f"params/{name}"].append(in_our_layout(parameter))
        settings = {"optimizer": make_optimizer.__name__, **options}
        stacked = {name: torch.stack(arrays) for name, arrays in met.items()}
        return {"settings": settings, "x": x, "t": t, "values": torch.stack(values), **stacked}

    return make
