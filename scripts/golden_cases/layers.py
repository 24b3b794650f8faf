"""What PyTorch computes of layers without time."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from golden_cases.arrays import Case, Maker, assigned, float32, leaf, normal, sent_back

__all__ = ["makers"]


def makers() -> dict[str, Maker]:
    """What makes each case, by name."""
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
    W, b = assigned(module.weight, normal(rng, 3, shape[-1])), assigned(module.bias, normal(rng, 3))
    x = leaf(normal(rng, *shape))
    y = module(x)
    dy = sent_back(rng, y)
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
    x = leaf(2 * normal(rng, 6, 4))
    y = module(x)
    dy = sent_back(rng, y)
    return {"settings": settings, "x": x, "dy": dy, "y": y, "dx": x.grad}


def _convolution(rng: np.random.Generator, kind: Any, options: dict[str, Any]) -> Case:
    """4 channels, 4 filters. The kernel (out, in, ...), transposed (in, out, ...), becomes (..., in, out)."""
    one_axis = kind is nn.Conv1d
    settings = {"kernel_size": 3 if one_axis else (3, 2), **options}
    module = kind(4, 4, **settings).double()
    W = assigned(module.weight, normal(rng, *module.weight.shape))
    x = leaf(normal(rng, 2, 7, 4) if one_axis else normal(rng, 2, 5, 4, 4))
    b = None if module.bias is None else assigned(module.bias, normal(rng, 4))
    y = module(x.movedim(-1, 1)).movedim(1, -1)
    dy = sent_back(rng, y)
    axes = (*range(2, W.ndim), 0, 1) if kind is nn.ConvTranspose2d else (*range(2, W.ndim), 1, 0)
    arrays = {"x": x, "dy": dy, "y": y, "dx": x.grad}
    arrays |= {"params/W": W.permute(axes), "grads/W": module.weight.grad.permute(axes)}
    if b is not None:
        arrays |= {"params/b": b, "grads/b": module.bias.grad}
    return {"settings": {"out_channels": 4, **settings}, **arrays}


def _of_images(rng: np.random.Generator, kind: Any, settings: dict[str, Any]) -> Case:
    x = leaf(normal(rng, 2, 5, 6, 4))
    y = kind(**settings)(x.movedim(-1, 1)).movedim(1, -1)
    dy = sent_back(rng, y)
    return {"settings": settings, "x": x, "dy": dy, "y": y, "dx": x.grad}


def _prelu(rng: np.random.Generator, parameters: int) -> Case:
    module = nn.PReLU(parameters).double()
    slope = assigned(module.weight, float32(rng.uniform(0.1, 0.6, parameters)))
    case = _activation(rng, module, {"num_parameters": parameters})
    return {**case, "params/slope": slope, "grads/slope": module.weight.grad}


def _batch_norm(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[nn.Module, Case]:
    kind = nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d
    module = kind(shape[-1], eps=1e-5, momentum=0.1).double()
    gamma = assigned(module.weight, float32(rng.uniform(0.5, 1.5, shape[-1])))
    beta = assigned(module.bias, normal(rng, shape[-1]))
    settings = {"eps": 1e-5, "momentum": 0.1, "rule": "running = (1 - momentum) running + momentum batch"}
    return module, {"settings": settings, "params/gamma": gamma, "params/beta": beta}


def _normalised(rng: np.random.Generator, module: Any, x: Any) -> dict[str, Any]:
    """What goes through a module of PyTorch forward and back, channels last."""
    y = module(x.movedim(-1, 1)).movedim(1, -1)
    dy = sent_back(rng, y)
    return {"y": y, "dy": dy, "dx": x.grad, "grads/gamma": module.weight.grad, "grads/beta": module.bias.grad}


def _batch_norm_train(rng: np.random.Generator, shape: tuple[int, ...]) -> Case:
    module, case = _batch_norm(rng, shape)
    xs = float32(1.5 * normal(rng, 3, *shape) + np.arange(3).reshape(3, *[1] * len(shape)))
    passed: dict[str, Any] = {}
    for step in range(3):
        module.zero_grad()
        passed = _normalised(rng, module, leaf(xs[step]))
    return {
        **case,
        **passed,
        "xs": xs,
        "state_after/mean": module.running_mean,
        "state_after/var": module.running_var,
    }


def _batch_norm_eval(rng: np.random.Generator, shape: tuple[int, ...]) -> Case:
    module, case = _batch_norm(rng, shape)
    mean = assigned(module.running_mean, normal(rng, shape[-1]))
    var = assigned(module.running_var, float32(rng.uniform(0.5, 2.0, shape[-1])))
    module.eval()
    x = leaf(normal(rng, *shape))
    return {
        **case,
        **_normalised(rng, module, x),
        "x": x,
        "state/mean": mean,
        "state/var": var,
    }
