"""What PyTorch computes of losses."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from golden_cases.arrays import Case, Maker, float32, leaf, normal, tensor

__all__ = ["makers"]

CLASS_WEIGHT = [0.5, 2.0, 1.25, 0.75]


def makers() -> dict[str, Maker]:
    """What makes each case, by name."""
    cases: dict[str, Maker] = {}
    for reduction in ("mean", "sum"):
        for weighted in (False, True):
            suffix = f"{'_weighted' if weighted else ''}_{reduction}"
            for half in (True, False):
                cases[f"losses/mean_squared_error{'_half' if half else ''}{suffix}"] = _squared(
                    half, weighted, reduction
                )
            for logits in (True, False):
                name = "sigmoid" if logits else "binary"
                cases[f"losses/{name}_cross_entropy{suffix}"] = _binary(logits, weighted, reduction)
                name = "softmax_cross_entropy" if logits else "cross_entropy"
                for options in ({}, {"class_weight": CLASS_WEIGHT}, {"label_smoothing": 0.1}):
                    label = f"losses/{name}{''.join('_' + key for key in options)}"
                    cases[label + suffix] = _categorical(logits, weighted, reduction, options)
    both = {"class_weight": CLASS_WEIGHT, "label_smoothing": 0.2}
    cases["losses/softmax_cross_entropy_both_mean"] = _categorical(True, False, "mean", both)
    cases["losses/softmax_cross_entropy_both_distribution_sum"] = _categorical(True, True, "sum", both, "distribution")
    cases["losses/softmax_cross_entropy_distribution_mean"] = _categorical(True, False, "mean", {}, "distribution")
    cases["losses/softmax_cross_entropy_sequence_mean"] = _categorical(True, True, "mean", {}, "sequence")
    cases["losses/softmax_cross_entropy_extreme_mean"] = _categorical(True, False, "mean", {}, "extreme")
    cases["losses/sigmoid_cross_entropy_extreme_mean"] = _binary(True, False, "mean", extreme=True)
    return cases


def _squared(half: bool, weighted: bool, reduction: str) -> Maker:
    def make(rng: np.random.Generator) -> Case:
        y, t = leaf(normal(rng, 6, 3, 2)), tensor(normal(rng, 6, 3, 2))
        w = _weights(rng, weighted, (6,))
        description = {"type": "MeanSquaredError", "half": half, "reduction": reduction}
        if not half and not weighted:
            return _loss_case(description, y, t, None, F.mse_loss(y, t, reduction=reduction))
        squares = F.mse_loss(y, t, reduction="none").sum(dim=(1, 2))
        value = (0.5 if half else 1) * (w * squares).sum()
        if reduction == "mean":
            value = value / (w.sum() * (1 if half else y[0].numel()))
        return _loss_case(description, y, t, w if weighted else None, value)

    return make


def _binary(logits: bool, weighted: bool, reduction: str, extreme: bool = False) -> Maker:
    def make(rng: np.random.Generator) -> Case:
        u = 3 * normal(rng, 6, 3)
        if extreme:
            u[:4] = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 50], [88, -88, 104], [-104, 1e3, -1e3]])
        y = leaf(u if logits else float32(1 / (1 + np.exp(-u))))
        t = tensor(rng.integers(0, 2, (6, 3)).astype(float))
        w = _weights(rng, weighted, (6,))
        function = F.binary_cross_entropy_with_logits if logits else F.binary_cross_entropy
        items = function(y, t, reduction="none").sum(dim=-1)
        description = {"type": "SigmoidCrossEntropy" if logits else "BinaryCrossEntropy", "reduction": reduction}
        divisor = w.sum() if reduction == "mean" else 1
        return _loss_case(description, y, t, w if weighted else None, (w * items).sum() / divisor)

    return make


def _categorical(logits: bool, weighted: bool, reduction: str, options: dict[str, Any], kind: str = "index") -> Maker:
    shape = (5, 3) if kind == "sequence" else (7,)

    def make(rng: np.random.Generator) -> Case:
        u = 2 * normal(rng, *shape, 4)
        if kind == "extreme":
            u[:3] = np.array([[1e4, -1e4, 0, 5], [-1e4, -1e4, -1e4, -1e4], [1e4, 1e4, 88, -88]])
        powers = np.exp(u - u.max(axis=-1, keepdims=True))
        y = leaf(u if logits else float32(powers / powers.sum(axis=-1, keepdims=True)))
        if kind == "distribution":
            t = tensor(rng.dirichlet(np.ones(4), shape))
        else:
            t = torch.tensor(rng.integers(0, 4, shape))
        w = _weights(rng, weighted, shape)
        class_weight = tensor(np.array(options.get("class_weight", [1.0] * 4)))
        description = {"type": "SoftmaxCrossEntropy" if logits else "CrossEntropy", "reduction": reduction, **options}
        smoothing = options.get("label_smoothing", 0.0)
        if not logits:
            items = _on_probabilities(y, t, class_weight, smoothing)
        else:
            settings = {"weight": class_weight, "label_smoothing": smoothing}
            u, classes_second = y.movedim(-1, 1), t.movedim(-1, 1) if kind == "distribution" else t
            if not weighted:
                return _loss_case(
                    description, y, t, None, F.cross_entropy(u, classes_second, reduction=reduction, **settings)
                )
            items = F.cross_entropy(u, classes_second, reduction="none", **settings)
        value = (w * items).sum()
        if reduction == "mean":
            value = value / (w * class_weight[t]).sum()
        return _loss_case(description, y, t, w if weighted else None, value)

    return make


def _on_probabilities(p: torch.Tensor, t: torch.Tensor, class_weight: torch.Tensor, smoothing: float) -> torch.Tensor:
    log_p = torch.log(p)
    items = (1 - smoothing) * F.nll_loss(log_p, t, weight=class_weight, reduction="none")
    return items - smoothing / p.shape[-1] * (class_weight * log_p).sum(dim=-1)


def _weights(rng: np.random.Generator, weighted: bool, shape: tuple[int, ...]) -> torch.Tensor:
    if not weighted:
        return torch.ones(shape, dtype=torch.float64)
    if len(shape) == 2:  # padded steps at the end of each sequence
        lengths = rng.integers(1, shape[1] + 1, shape[0])
        return tensor((np.arange(shape[1]) < lengths[:, None]).astype(float))
    weights = float32(rng.uniform(0.25, 2.0, shape))
    weights[1] = 0
    return tensor(weights)


def _loss_case(
    description: dict[str, Any], y: torch.Tensor, t: torch.Tensor, w: torch.Tensor | None, value: torch.Tensor
) -> Case:
    value.backward()
    case = {"settings": {"loss": description}, "y": y, "t": t, "value": value, "delta": y.grad}
    return case if w is None else {**case, "sample_weight": w}
