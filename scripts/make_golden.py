"""Write tests/golden: what PyTorch computes, in small files, so that the tests need no PyTorch.

    python scripts/make_golden.py            # needs PyTorch: pip install 'denpa[bench]'

One .npz file per case. Inputs are random numbers that float32 holds exactly, everything is computed and
stored in float64. Arrays have denpa's layout, not PyTorch's: channels last, `W` (in, out). Names:

    settings                  JSON: what was computed, with the names that PyTorch gives its options
    versions                  JSON: the versions of PyTorch and NumPy
    losses/*                  y, t, [sample_weight], value, delta = dE/dy; settings["loss"] is denpa's description
    layers/*                  x, dy, [params/NAME], [state/NAME], y, dx = dE/dx, [grads/NAME]
    layers/batch_norm*_train  xs (3, ...): three steps; y, dy, dx, grads belong to the last of them,
                              state_after/mean and state_after/var to the end (var is unbiased, N - 1)
    recurrent/*               x, carry/h [carry/c], dy, dcarry/...: deltas of all steps and of the final carry;
                              y, final/..., dx, dfirst/...: of the initial carry; params/NAME, grads/NAME
    optimizers/*              x, t, values (5,): E before each step of 0_dense, 1_tanh, 2_dense, softmax + CE;
                              params/LAYER/NAME (6, ...): initial and after each step; grads/LAYER/NAME (5, ...)

`tests/golden/__init__.py` reads them. `make test-peers` makes them anew in memory and compares.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden"
CLASS_WEIGHT = [0.5, 2.0, 1.25, 0.75]

Case = dict[str, Any]


def make_cases() -> dict[str, Case]:
    """Every case by name, its arrays by their names in the file."""
    groups = (_losses(), _layers(), _recurrent(), _optimizers())
    makers: dict[str, Callable[[np.random.Generator], Case]] = {}
    for group in groups:
        makers |= group
    # A seed of each case's own: adding a case changes no other.
    cases = {name: make(np.random.default_rng(zlib.crc32(name.encode()))) for name, make in makers.items()}
    versions = json.dumps({"torch": torch.__version__, "numpy": np.__version__})
    return {name: {**_as_arrays(case), "versions": np.asarray(versions)} for name, case in cases.items()}


def main() -> None:
    """Write all files; name those that are there but belong to no case."""
    cases = make_cases()
    for name, case in cases.items():
        path = GOLDEN / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **case)
    size = sum((GOLDEN / f"{name}.npz").stat().st_size for name in cases)
    print(f"{len(cases)} cases, {size / 1024:.0f} KiB, in {GOLDEN}")
    strays = set(GOLDEN.rglob("*.npz")) - {GOLDEN / f"{name}.npz" for name in cases}
    if strays:
        sys.exit("Not made by this script: " + ", ".join(str(path) for path in sorted(strays)))


# ------------------------------------------------------------------------------------------- losses


def _losses() -> dict[str, Callable[[np.random.Generator], Case]]:
    cases: dict[str, Callable[[np.random.Generator], Case]] = {}
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


def _squared(half: bool, weighted: bool, reduction: str) -> Callable[[np.random.Generator], Case]:
    def make(rng: np.random.Generator) -> Case:
        y, t = _leaf(_normal(rng, 6, 3, 2)), _tensor(_normal(rng, 6, 3, 2))
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


def _binary(
    logits: bool, weighted: bool, reduction: str, extreme: bool = False
) -> Callable[[np.random.Generator], Case]:
    def make(rng: np.random.Generator) -> Case:
        u = 3 * _normal(rng, 6, 3)
        if extreme:
            u[:4] = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 50], [88, -88, 104], [-104, 1e3, -1e3]])
        y = _leaf(u if logits else _float32(1 / (1 + np.exp(-u))))
        t = _tensor(rng.integers(0, 2, (6, 3)).astype(float))
        w = _weights(rng, weighted, (6,))
        function = F.binary_cross_entropy_with_logits if logits else F.binary_cross_entropy
        items = function(y, t, reduction="none").sum(dim=-1)
        description = {"type": "SigmoidCrossEntropy" if logits else "BinaryCrossEntropy", "reduction": reduction}
        divisor = w.sum() if reduction == "mean" else 1
        return _loss_case(description, y, t, w if weighted else None, (w * items).sum() / divisor)

    return make


def _categorical(
    logits: bool, weighted: bool, reduction: str, options: dict[str, Any], kind: str = "index"
) -> Callable[[np.random.Generator], Case]:
    shape = (5, 3) if kind == "sequence" else (7,)

    def make(rng: np.random.Generator) -> Case:
        u = 2 * _normal(rng, *shape, 4)
        if kind == "extreme":
            u[:3] = np.array([[1e4, -1e4, 0, 5], [-1e4, -1e4, -1e4, -1e4], [1e4, 1e4, 88, -88]])
        powers = np.exp(u - u.max(axis=-1, keepdims=True))
        y = _leaf(u if logits else _float32(powers / powers.sum(axis=-1, keepdims=True)))
        if kind == "distribution":
            t = _tensor(rng.dirichlet(np.ones(4), shape))
        else:
            t = torch.tensor(rng.integers(0, 4, shape))
        w = _weights(rng, weighted, shape)
        class_weight = _tensor(np.array(options.get("class_weight", [1.0] * 4)))
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
        return _tensor((np.arange(shape[1]) < lengths[:, None]).astype(float))
    weights = _float32(rng.uniform(0.25, 2.0, shape))
    weights[1] = 0
    return _tensor(weights)


def _loss_case(
    description: dict[str, Any], y: torch.Tensor, t: torch.Tensor, w: torch.Tensor | None, value: torch.Tensor
) -> Case:
    value.backward()
    case = {"settings": {"loss": description}, "y": y, "t": t, "value": value, "delta": y.grad}
    return case if w is None else {**case, "sample_weight": w}


# ------------------------------------------------------------------------------------------- layers


def _layers() -> dict[str, Callable[[np.random.Generator], Case]]:
    return {
        "layers/dense": lambda rng: _linear(rng, (6, 4)),
        "layers/dense_sequence": lambda rng: _linear(rng, (3, 5, 4)),
        "layers/sigmoid": lambda rng: _activation(rng, nn.Sigmoid(), {}),
        "layers/tanh": lambda rng: _activation(rng, nn.Tanh(), {}),
        "layers/relu": lambda rng: _activation(rng, nn.ReLU(), {}),
        "layers/leaky_relu": lambda rng: _activation(rng, nn.LeakyReLU(0.2), {"negative_slope": 0.2}),
        "layers/elu": lambda rng: _activation(rng, nn.ELU(alpha=1.5), {"alpha": 1.5}),
        "layers/softmax": lambda rng: _activation(rng, nn.Softmax(dim=-1), {}),
        "layers/prelu_shared": lambda rng: _prelu(rng, 1),
        "layers/prelu_per_channel": lambda rng: _prelu(rng, 4),
        "layers/dropout_eval": lambda rng: _activation(rng, nn.Dropout(0.4).eval(), {"p": 0.4}),
        "layers/batch_norm1d_train": lambda rng: _batch_norm_train(rng, (8, 3)),
        "layers/batch_norm2d_train": lambda rng: _batch_norm_train(rng, (3, 4, 5, 2)),
        "layers/batch_norm1d_eval": lambda rng: _batch_norm_eval(rng, (8, 3)),
        "layers/batch_norm2d_eval": lambda rng: _batch_norm_eval(rng, (3, 4, 5, 2)),
        "layers/conv1d": lambda rng: _convolution(rng, nn.Conv1d, {"stride": 2, "padding": 1, "dilation": 2}),
        "layers/conv2d": lambda rng: _convolution(rng, nn.Conv2d, {}),
        "layers/conv2d_stride_padding": lambda rng: _convolution(rng, nn.Conv2d, {"stride": (2, 1), "padding": (1, 2)}),
        "layers/conv2d_dilation_groups": lambda rng: _convolution(
            rng, nn.Conv2d, {"padding": (2, 0), "dilation": (3, 1), "groups": 2}
        ),
        "layers/conv2d_depthwise": lambda rng: _convolution(rng, nn.Conv2d, {"stride": 3, "padding": 1, "groups": 4}),
        "layers/conv2d_same": lambda rng: _convolution(
            rng, nn.Conv2d, {"kernel_size": 3, "padding": "same", "bias": False}
        ),
        "layers/conv_transpose2d": lambda rng: _convolution(rng, nn.ConvTranspose2d, {}),
        "layers/conv_transpose2d_stride_padding": lambda rng: _convolution(
            rng, nn.ConvTranspose2d, {"stride": (2, 3), "padding": (1, 0), "output_padding": (1, 2)}
        ),
        "layers/conv_transpose2d_dilation_groups": lambda rng: _convolution(
            rng, nn.ConvTranspose2d, {"stride": 2, "padding": 1, "dilation": (1, 2), "groups": 2}
        ),
        "layers/max_pool": lambda rng: _of_images(rng, nn.MaxPool2d, {"kernel_size": 2}),
        "layers/max_pool_overlapping": lambda rng: _of_images(
            rng, nn.MaxPool2d, {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)}
        ),
        "layers/average_pool": lambda rng: _of_images(rng, nn.AvgPool2d, {"kernel_size": 3, "stride": 2, "padding": 1}),
        "layers/average_pool_uncounted": lambda rng: _of_images(
            rng, nn.AvgPool2d, {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}
        ),
        "layers/unpool_nearest": lambda rng: _of_images(rng, nn.Upsample, {"scale_factor": (2, 3)}),
        "layers/local_response_norm": lambda rng: _of_images(
            rng, nn.LocalResponseNorm, {"size": 3, "alpha": 0.9, "beta": 0.6, "k": 1.5}
        ),
    }


def _linear(rng: np.random.Generator, shape: tuple[int, ...]) -> Case:
    module = nn.Linear(shape[-1], 3).double()
    W, b = _set(module.weight, _normal(rng, 3, shape[-1])), _set(module.bias, _normal(rng, 3))
    x = _leaf(_normal(rng, *shape))
    y = module(x)
    dy = _back(rng, y)
    return {
        "settings": {"out_features": 3},
        "x": x,
        "dy": dy,
        "y": y,
        "dx": x.grad,
        "params/W": W.T,
        "params/b": b,
        "grads/W": module.weight.grad.T,
        "grads/b": module.bias.grad,
    }


def _activation(rng: np.random.Generator, module: nn.Module, settings: dict[str, Any]) -> Case:
    x = _leaf(2 * _normal(rng, 6, 4))
    y = module(x)
    dy = _back(rng, y)
    return {"settings": settings, "x": x, "dy": dy, "y": y, "dx": x.grad}


def _convolution(rng: np.random.Generator, kind: Any, options: dict[str, Any]) -> Case:
    """4 channels, 4 filters. The kernel (out, in, ...), transposed (in, out, ...), becomes (..., in, out)."""
    one_axis = kind is nn.Conv1d
    settings = {"kernel_size": 3 if one_axis else (3, 2), **options}
    module = kind(4, 4, **settings).double()
    W = _set(module.weight, _normal(rng, *module.weight.shape))
    x = _leaf(_normal(rng, 2, 7, 4) if one_axis else _normal(rng, 2, 5, 4, 4))
    b = None if module.bias is None else _set(module.bias, _normal(rng, 4))
    y = module(x.movedim(-1, 1)).movedim(1, -1)
    dy = _back(rng, y)
    axes = (*range(2, W.ndim), 0, 1) if kind is nn.ConvTranspose2d else (*range(2, W.ndim), 1, 0)
    arrays = {"x": x, "dy": dy, "y": y, "dx": x.grad}
    arrays |= {"params/W": W.permute(axes), "grads/W": module.weight.grad.permute(axes)}
    if b is not None:
        arrays |= {"params/b": b, "grads/b": module.bias.grad}
    return {"settings": {"out_channels": 4, **settings}, **arrays}


def _of_images(rng: np.random.Generator, kind: Any, settings: dict[str, Any]) -> Case:
    x = _leaf(_normal(rng, 2, 5, 6, 4))
    y = kind(**settings)(x.movedim(-1, 1)).movedim(1, -1)
    dy = _back(rng, y)
    return {"settings": settings, "x": x, "dy": dy, "y": y, "dx": x.grad}


def _prelu(rng: np.random.Generator, parameters: int) -> Case:
    module = nn.PReLU(parameters).double()
    slope = _set(module.weight, _float32(rng.uniform(0.1, 0.6, parameters)))
    case = _activation(rng, module, {"num_parameters": parameters})
    return {**case, "params/slope": slope, "grads/slope": module.weight.grad}


def _batch_norm(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[nn.Module, Case]:
    kind = nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d
    module = kind(shape[-1], eps=1e-5, momentum=0.1).double()
    gamma = _set(module.weight, _float32(rng.uniform(0.5, 1.5, shape[-1])))
    beta = _set(module.bias, _normal(rng, shape[-1]))
    settings = {"eps": 1e-5, "momentum": 0.1, "rule": "running = (1 - momentum) running + momentum batch"}
    return module, {"settings": settings, "params/gamma": gamma, "params/beta": beta}


def _batch_norm_train(rng: np.random.Generator, shape: tuple[int, ...]) -> Case:
    module, case = _batch_norm(rng, shape)
    xs = _float32(1.5 * _normal(rng, 3, *shape) + np.arange(3).reshape(3, *[1] * len(shape)))
    for step in range(3):
        module.zero_grad()
        x = _leaf(xs[step])
        y = module(x.movedim(-1, 1)).movedim(1, -1)
        dy = _back(rng, y)
    return case | {
        "xs": xs,
        "dy": dy,
        "y": y,
        "dx": x.grad,
        "grads/gamma": module.weight.grad,
        "grads/beta": module.bias.grad,
        "state_after/mean": module.running_mean,
        "state_after/var": module.running_var,
    }


def _batch_norm_eval(rng: np.random.Generator, shape: tuple[int, ...]) -> Case:
    module, case = _batch_norm(rng, shape)
    mean = _set(module.running_mean, _normal(rng, shape[-1]))
    var = _set(module.running_var, _float32(rng.uniform(0.5, 2.0, shape[-1])))
    module.eval()
    x = _leaf(_normal(rng, *shape))
    y = module(x.movedim(-1, 1)).movedim(1, -1)
    dy = _back(rng, y)
    return case | {
        "x": x,
        "dy": dy,
        "y": y,
        "dx": x.grad,
        "grads/gamma": module.weight.grad,
        "grads/beta": module.bias.grad,
        "state/mean": mean,
        "state/var": var,
    }


# ---------------------------------------------------------------------------------------- recurrent


def _recurrent() -> dict[str, Callable[[np.random.Generator], Case]]:
    return {
        "recurrent/rnn_tanh": lambda rng: _sequence(rng, nn.RNN(3, 4, batch_first=True), 1),
        "recurrent/rnn_relu": lambda rng: _sequence(rng, nn.RNN(3, 4, nonlinearity="relu", batch_first=True), 1),
        "recurrent/lstm": lambda rng: _sequence(rng, nn.LSTM(3, 4, batch_first=True), 4),
        "recurrent/gru": lambda rng: _sequence(rng, nn.GRU(3, 4, batch_first=True), 3),
        "recurrent/rnn_bare": lambda rng: _sequence(rng, nn.RNN(3, 4, bias=False, batch_first=True), 1),
        "recurrent/lstm_bare": lambda rng: _sequence(rng, nn.LSTM(3, 4, bias=False, batch_first=True), 4),
        "recurrent/gru_bare": lambda rng: _sequence(rng, nn.GRU(3, 4, bias=False, batch_first=True), 3),
    }


def _sequence(rng: np.random.Generator, module: nn.RNNBase, gates: int) -> Case:
    module = module.double()
    # W_ih, W_hh, b_ih, b_hh, or the first two
    weights = [_set(p, 0.7 * _normal(rng, *p.shape)) for p in module.parameters()]
    names = ("h", "c") if module.mode == "LSTM" else ("h",)
    x, first = _leaf(_normal(rng, 2, 6, 3)), [_leaf(_normal(rng, 1, 2, 4)) for _ in names]
    y, final = module(x, tuple(first) if len(names) == 2 else first[0])
    final = final if isinstance(final, tuple) else (final,)
    dy, *dcarry = (_tensor(_normal(rng, *part.shape)) for part in (y, *final))
    torch.autograd.backward([y, *final], [dy, *dcarry])
    carries = {"carry": first, "final": final, "dcarry": dcarry, "dfirst": [part.grad for part in first]}
    return {
        "settings": {"module": module.mode, "input_size": 3, "hidden_size": 4}
        | ({} if module.bias else {"bias": False}),
        "x": x,
        "y": y,
        "dy": dy,
        "dx": x.grad,
        **{
            f"{what}/{name}": part[0]
            for what, parts in carries.items()
            for name, part in zip(names, parts, strict=True)
        },
        **_recurrent_arrays("params", weights, gates),
        **_recurrent_arrays("grads", [p.grad for p in module.parameters()], gates),
    }


def _recurrent_arrays(group: str, arrays: list[torch.Tensor], gates: int) -> Case:
    """In denpa's layout: a GRU's gates are z r n instead of r z n; one bias, and a second one where it differs."""
    order = [1, 0, 2] if gates == 3 else list(range(gates))
    Wx, Wh, *biases = (a.reshape(gates, -1, *a.shape[1:])[order].flatten(0, 1) for a in arrays)
    found = {"Wx": Wx.T, "Wh": Wh.T}
    if biases:
        b, bh = biases
        if gates == 3:
            found["bh"] = bh[-4:]
            bh = torch.cat([bh[:-4], torch.zeros(4)])
        found["b"] = b + bh if group == "params" else b
    return {f"{group}/{name}": array for name, array in found.items()}


# --------------------------------------------------------------------------------------- optimizers


def _optimizers() -> dict[str, Callable[[np.random.Generator], Case]]:
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


def _optimizer(make_optimizer: Any, options: dict[str, Any]) -> Callable[[np.random.Generator], Case]:
    def make(rng: np.random.Generator) -> Case:
        hidden, output = nn.Linear(4, 5).double(), nn.Linear(5, 3).double()
        for module in (hidden, output):
            _set(module.weight, _float32(0.5 * _normal(rng, *module.weight.shape)))
            _set(module.bias, _float32(0.1 * _normal(rng, *module.bias.shape)))
        x, t = _tensor(_normal(rng, 6, 4)), torch.tensor(rng.integers(0, 3, 6))
        parameters = {
            "0_dense/W": hidden.weight,
            "0_dense/b": hidden.bias,
            "2_dense/W": output.weight,
            "2_dense/b": output.bias,
        }
        optimizer = make_optimizer(list(parameters.values()), **options)
        values = []
        met: dict[str, list[torch.Tensor]] = {f"params/{name}": [_rows(p)] for name, p in parameters.items()}
        for _ in range(5):
            optimizer.zero_grad()
            value = F.cross_entropy(output(torch.tanh(hidden(x))), t)
            value.backward()
            values.append(value.detach())
            for name, parameter in parameters.items():
                met.setdefault(f"grads/{name}", []).append(_rows(parameter.grad))
            optimizer.step()
            for name, parameter in parameters.items():
                met[f"params/{name}"].append(_rows(parameter))
        settings = {"optimizer": make_optimizer.__name__, **options}
        stacked = {name: torch.stack(arrays) for name, arrays in met.items()}
        return {"settings": settings, "x": x, "t": t, "values": torch.stack(values), **stacked}

    return make


# ------------------------------------------------------------------------------------------- arrays


def _float32(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32).astype(np.float64)


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return _float32(rng.normal(size=shape))


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.tensor(array, dtype=torch.float64)


def _leaf(array: np.ndarray) -> torch.Tensor:
    return torch.tensor(array, dtype=torch.float64, requires_grad=True)


def _set(parameter: torch.Tensor, array: np.ndarray) -> torch.Tensor:
    with torch.no_grad():
        parameter.copy_(_tensor(array))
    return parameter.detach().clone()


def _back(rng: np.random.Generator, y: torch.Tensor) -> torch.Tensor:
    dy = _tensor(_normal(rng, *y.shape))
    y.backward(dy)
    return dy


def _rows(parameter: torch.Tensor) -> torch.Tensor:
    """A copy in denpa's layout: PyTorch's weight matrices are (out, in)."""
    copy = parameter.detach().clone()
    return copy.T if copy.ndim == 2 else copy


def _as_arrays(case: Case) -> dict[str, np.ndarray]:
    arrays = {"settings": np.asarray(json.dumps(case["settings"]))}
    for name, value in case.items():
        if name != "settings":
            array = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
            arrays[name] = np.ascontiguousarray(array).reshape(array.shape)
    return arrays


if __name__ == "__main__":
    main()
