"""The convolutions of the two MNIST networks one by one, forward and both ways back, beside PyTorch and XLA.

    python benchmarks/bench_kernels.py [--layers "28 16-16" ...]

All contestants live in one process and take turns. A layer is written "size inputs-filters"; batch 100, float32,
stride 1. "Plain" is the convolution alone: y, dx, and dW with db. "Fused" is what the network does with it: with
ReLU behind, and 2x2 max-pooling where the network pools; back from there. GFLOP/s count the multiplications of the
direct sum, so that Winograd's algorithm, which needs fewer, may exceed the machine's limit: the fastest matrix product
of 1024 x 1024 that NumPy, JAX or PyTorch reach here.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness import report
from harness.machine import describe, pin
from harness.options import parser, settle
from harness.timing import Times, alternate, compare, seconds_of

BATCH = 100
_TURN_SECONDS = 0.01


@dataclass(frozen=True)
class Convolution:
    """One layer: a square image, a square kernel, and whether the network pools behind it."""

    network: str
    size: int
    inputs: int
    filters: int
    kernel: int
    pad: int
    pool: bool

    @property
    def name(self) -> str:
        return f"{self.size} {self.inputs}-{self.filters}"

    @property
    def padding(self) -> tuple[tuple[int, int], tuple[int, int]]:
        return (self.pad, self.pad), (self.pad, self.pad)

    @property
    def out(self) -> int:
        return self.size + 2 * self.pad - self.kernel + 1

    @property
    def flops(self) -> int:
        return 2 * BATCH * self.out**2 * self.kernel**2 * self.inputs * self.filters


LAYERS = (
    Convolution("simple", 28, 1, 30, 5, 0, True),
    Convolution("deep", 28, 1, 16, 3, 1, False),
    Convolution("deep", 28, 16, 16, 3, 1, True),
    Convolution("deep", 14, 16, 32, 3, 1, False),
    Convolution("deep", 14, 32, 32, 3, 1, True),
    Convolution("deep", 7, 32, 64, 3, 1, False),
    Convolution("deep", 7, 64, 64, 3, 1, True),
)
OPERATIONS = ("y", "dx", "dW")


def main() -> None:
    made = parser(__doc__ or "", rounds=15)
    names = [layer.name for layer in LAYERS]
    made.add_argument("--layers", nargs="+", choices=names, default=names, help="layers, such as '28 16-16' (all)")
    options = settle(made.parse_args())
    about = describe(options.threads)
    pin(options.threads)
    from denpa.kernels import native

    about["kernels"] = native.reason()
    limit = machine_limit()
    report.say(f"{native.reason()}; limit {limit / 1e9:.0f} GFLOP/s")
    results = [measure(layer, options) for layer in LAYERS if layer.name in options.layers]
    report.write("kernels", options, about, {"limit_flops": limit, "layers": results}, text(results, limit))


def machine_limit() -> float:
    """FLOP/s of the fastest product of two matrices of 1024 x 1024."""
    import jax
    import torch

    a = np.random.default_rng(0).standard_normal((1024, 1024), np.float32)
    on_device, product, tensor = jax.device_put(a), jax.jit(jax.numpy.matmul), torch.tensor(a)
    ways = [lambda: a @ a, lambda: product(on_device, on_device).block_until_ready(), lambda: tensor @ tensor]
    return 2 * 1024**3 / min(seconds_of(way) for way in ways for _ in range(8))


def measure(layer: Convolution, options: argparse.Namespace) -> dict[str, Any]:
    """All contestants of one layer by turns; milliseconds for each operation."""
    report.say(f"{layer.network} {layer.name}")
    rng = np.random.default_rng(0)
    out = layer.out // 2 if layer.pool else layer.out
    shapes = {
        "x": (BATCH, layer.size, layer.size, layer.inputs),
        "W": (layer.kernel, layer.kernel, layer.inputs, layer.filters),
        "b": (layer.filters,),
        "dy": (BATCH, layer.out, layer.out, layer.filters),
        "dz": (BATCH, out, out, layer.filters),
    }
    arrays = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
    turns = {}
    for choice in "winograd", "direct", "xla":
        turns |= {(f"denpa, {choice}", *key): call for key, call in denpa_calls(layer, arrays, choice).items()}
    for last in True, False:
        title = f"PyTorch, channels {'last' if last else 'first'}"
        turns |= {(title, *key): call for key, call in torch_calls(layer, arrays, last).items()}
    times = alternate({key: repeated(call, options.quick) for key, call in turns.items()}, options.rounds)
    base = {key[1:]: taken for key, taken in times.items() if key[0] == "denpa, winograd"}
    rows = [
        {
            "contestant": title,
            "form": form,
            "operation": operation,
            "ms": Times(taken.values * 1e3).to_json(),
            "gflops": layer.flops / taken.median / 1e9,
            "against_denpa": compare(taken, base[form, operation]),
        }
        for (title, form, operation), taken in times.items()
    ]
    return {"network": layer.network, "layer": layer.name, "kernel": layer.kernel, "flops": layer.flops, "rows": rows}


def repeated(call: Callable[[], Any], quick: bool) -> Callable[[], float]:
    """A warm function that calls for about `_TURN_SECONDS` and returns the seconds of one call."""
    call()
    count = 1 if quick else max(1, round(_TURN_SECONDS / seconds_of(call)))

    def turn() -> float:
        return seconds_of(lambda: [call() for _ in range(count)]) / count

    return turn


def denpa_calls(layer: Convolution, arrays: dict[str, np.ndarray], choice: str) -> dict[tuple[str, str], Any]:
    """(form, operation) -> a call that waits for its result."""
    import jax

    from denpa.kernels import convolution, fused, native, settings

    on_device = {name: jax.device_put(array) for name, array in arrays.items()}
    padding, one = layer.padding, (1, 1)
    x_shape, W_shape = arrays["x"].shape, arrays["W"].shape

    def kernel_gradient(x: Any, dy: Any) -> Any:
        if choice == "xla":
            return convolution.convolve_kernel_gradient(x, dy, W_shape, one, padding), dy.sum((0, 1, 2))
        return native.conv_kernel_gradient(x, dy, W_shape, padding, choice == "winograd")

    functions: dict[tuple[str, str], tuple[Any, str]] = {
        ("plain", "y"): (lambda x, W, b: convolution.convolve(x, W, one, padding, b=b), "x W b"),
        ("plain", "dx"): (lambda dy, W: convolution.convolve_input_gradient(dy, W, x_shape, one, padding), "dy W"),
        ("plain", "dW"): (kernel_gradient, "x dy"),
    }
    if layer.pool:
        functions |= {
            ("fused", "y"): (lambda x, W, b: fused.conv_relu_pool(x, W, b, padding), "x W b"),
            ("fused", "dx"): (
                lambda dz, m, W: fused.conv_relu_pool_input_gradient(dz, m, W, x_shape, padding), "dz m W"
            ),
            ("fused", "dW"): (
                lambda x, dz, m: fused.conv_relu_pool_kernel_gradient(x, dz, m, W_shape, padding), "x dz m"
            ),
        }  # fmt: skip
    else:
        functions |= {
            ("fused", "y"): (lambda x, W, b: fused.conv_relu(x, W, b, padding), "x W b"),
            ("fused", "dx"): (lambda dz, m, W: fused.conv_relu_input_gradient(dz, m, W, x_shape, padding), "dz m W"),
            ("fused", "dW"): (lambda x, dz, m: fused.conv_relu_kernel_gradient(x, dz, m, W_shape, padding), "x dz m"),
        }
    calls = {}
    with settings.using(choice):
        for key, (function, names) in functions.items():
            given = [on_device[name] for name in names.split()]
            calls[key] = waiting(jax.jit(function).lower(*given).compile(), given)
            if key == ("fused", "y"):
                result = calls[key]()
                on_device["m"] = result[1] if layer.pool else result
    return calls


def waiting(function: Any, given: list[Any]) -> Callable[[], Any]:
    """A call without arguments that waits for its result."""
    import jax

    return lambda: jax.block_until_ready(function(*given))


def torch_calls(layer: Convolution, arrays: dict[str, np.ndarray], last: bool) -> dict[tuple[str, str], Any]:
    """The same by PyTorch: its backward operation for the plain forms, its autograd for the fused."""
    import torch
    import torch.nn.functional as F

    order = torch.channels_last if last else torch.contiguous_format
    x, dy, dz = (
        torch.tensor(arrays[name]).permute(0, 3, 1, 2).contiguous(memory_format=order) for name in ("x", "dy", "dz")
    )
    W = torch.tensor(arrays["W"]).permute(3, 2, 0, 1).contiguous(memory_format=order)
    b, pad = torch.tensor(arrays["b"]), layer.pad

    def back(dx: bool, dW: bool) -> Any:
        geometry = [layer.filters], [1, 1], [pad, pad], [1, 1], False, [0, 0], 1
        return lambda: torch.ops.aten.convolution_backward(dy, x, W, *geometry, [dx, dW, dW])

    def fused(x: Any, W: Any, b: Any) -> Any:
        y = F.relu(F.conv2d(x, W, b, padding=pad))
        return F.max_pool2d(y, 2) if layer.pool else y

    learnable, input_ = [a.clone().requires_grad_() for a in (W, b)], x.clone().requires_grad_()
    for_dx, for_dW = fused(input_, W, b), fused(x, *learnable)
    return {
        ("plain", "y"): lambda: F.conv2d(x, W, b, padding=pad),
        ("plain", "dx"): back(True, False),
        ("plain", "dW"): back(False, True),
        ("fused", "y"): lambda: fused(x, W, b),
        ("fused", "dx"): lambda: torch.autograd.grad(for_dx, input_, dz, retain_graph=True),
        ("fused", "dW"): lambda: torch.autograd.grad(for_dW, learnable, dz, retain_graph=True),
    }


def text(results: list[dict[str, Any]], limit: float) -> str:
    """A table for each form: milliseconds and GFLOP/s of each contestant, and the sums over the deep network."""
    parts = [f"Limit of the machine: {limit / 1e9:.0f} GFLOP/s. Milliseconds (GFLOP/s)."]
    titles = list(dict.fromkeys(row["contestant"] for result in results for row in result["rows"]))
    for form in "plain", "fused":
        lines = []
        sums = dict.fromkeys(titles, 0.0)
        for result in results:
            for operation in OPERATIONS:
                found = {
                    row["contestant"]: row
                    for row in result["rows"]
                    if row["form"] == form and row["operation"] == operation
                }
                first = result["layer"].split()[1].startswith("1-") and operation == "dx"  # nobody asks for it
                if result["network"] == "deep" and not first:
                    sums = {title: sums[title] + found[title]["ms"]["median"] for title in titles}
                cells = [f"{report.show(found[t]['ms']['median'])} ({found[t]['gflops']:.0f})" for t in titles]
                lines.append([f"{result['network']} {result['layer']} {operation}", *cells])
        if any(sums.values()):
            lines.append(["**deep network, all but the first dx**", *(report.show(sums[title]) for title in titles)])
        parts.append(f"### {form.capitalize()}\n\n{report.table(['', *titles], lines)}")
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
