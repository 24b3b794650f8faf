"""Greedy layer-wise pre-training: every layer learns to keep what the layers before it have found."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from denpa.core import tree
from denpa.core.errors import ConfigError
from denpa.core.layer import Variables
from denpa.layers import Dense, Reshape
from denpa.losses import MeanSquaredError
from denpa.networks import Network, Sequential
from denpa.training.model import Model

__all__ = ["pretrain"]


@dataclass(frozen=True)
class _Block:
    """A layer with weights and those without that follow it: paths in the whole network, and layers."""

    paths: tuple[str, ...]
    layers: tuple[Any, ...]


def pretrain(
    net: Any,
    x: Any,
    *,
    loss: Any = None,
    optimizer: Any = None,
    epochs: int = 10,
    batch_size: int | str | None = None,
    normalizer: Any = None,
    seed: int = 0,
    verbose: Any = False,
) -> Variables:
    """Variables for a deep network, found layer by layer without targets:

        h⁽⁰⁾ = x,   layer l:  min Σ_n E(g_l(f_l(h_n⁽ˡ⁻¹⁾)), h_n⁽ˡ⁻¹⁾),   h⁽ˡ⁾ = f_l(h⁽ˡ⁻¹⁾)

    Each f_l is a layer with weights and what follows it (activation, price on the activity, pooling), trained as the
    encoder of a small autoencoder on the code of the one before. Then all are put in their places, where training of
    the whole, with the gradient through all layers, begins:

        model = dp.Model(net, dp.MeanSquaredError(), normalizer=dp.MinMax())
        model.build((784,))
        model.variables = dp.pretrain(net, x, normalizer=dp.MinMax(), epochs=5)
        model.fit((x, t), epochs=20)

    Where the network has the shape of an hourglass, that is as many layers with weights behind the code as before it,
    which lead from one shape through others back to the same, g_l is the layer opposite to f_l, and both are kept. Of
    any other network, such as a classifier, all layers but the last are pre-trained; their g_l, one `Dense` each, are
    forgotten, and the last layer has its initial weights.

    Args:
        net: a `Sequential`, also of others, such as ("encoder", ...) and ("decoder", ...).
        x: examples (n, ...), raw where there is a normaliser.
        loss, optimizer: of every small autoencoder; ½ the squared distance and Adam(1e-3) by default.
        epochs, batch_size, seed, verbose: as in `Model.fit` and `Model`.
        normalizer: fitted to x, and applied to it.

    Returns:
        params and state of `net`, as `Model.variables` takes them; what is not pre-trained is as a `Model` of this
        seed has it.

    Raises:
        ConfigError: a network of another kind, or with fewer than two layers with weights.
        DataError, ShapeError, DivergenceError: as `Model.fit`.

    Source: Hinton & Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks" (with restricted
    Boltzmann machines); with autoencoders: Bengio, Lamblin, Popovici & Larochelle (2007), "Greedy layer-wise training
    of deep networks", section 3.
    """
    net = net if isinstance(net, Network) else Sequential(tuple(net))
    if not isinstance(net, Sequential) or net.takes_integers:
        raise ConfigError(
            f"pretrain wants a Sequential of layers that read values, not {net!r}: what is layer by layer must be in a "
            "row, and numbers of words cannot be compared with what an autoencoder gives back."
        )
    h = np.asarray(x)
    if normalizer is not None:
        h = np.asarray(normalizer.apply(normalizer.fit(h), h))
    found = Model(net, MeanSquaredError(), seed=seed, in_shape=h.shape[1:]).variables
    arrays = tree.flatten(found._asdict())
    blocks = _blocks(net, arrays)
    hourglass = len(blocks) % 2 == 0 and tuple(net.out_shape(h.shape[1:])) == h.shape[1:] and _mirrored(blocks, h)
    count = len(blocks) // 2 if hourglass else len(blocks) - 1
    plan = {"epochs": epochs, "batch_size": batch_size, "verbose": verbose}
    for place in range(count):
        block = blocks[place]
        back = blocks[-1 - place] if hourglass else _Block(("", ""), _own_decoder(h.shape[1:]))
        both = Sequential((*_named("there", block), *_named("back", back)))
        model = Model(both, loss or MeanSquaredError(), optimizer, seed=seed, in_shape=h.shape[1:])
        model.fit((h, h), **plan)
        learned = tree.flatten(model.variables._asdict())
        arrays |= _put(learned, "there", block) | (_put(learned, "back", back) if hourglass else {})
        if place + 1 < count:
            h = _coded(block, model, h)
    return Variables(**tree.unflatten(arrays, found._asdict()))


def _blocks(net: Network, arrays: dict[str, Any]) -> list[_Block]:
    """The layers in order, a new block at each that has W; what stands before the first belongs to the first."""
    blocks: list[list[tuple[str, Any]]] = [[]]
    for path, layer in _in_row(net):
        if f"params/{path}/W" in arrays and any(f"params/{p}/W" in arrays for p, _ in blocks[-1]):
            blocks.append([])
        blocks[-1].append((path, layer))
    if len(blocks) < 2:
        raise ConfigError(f"pretrain wants two layers with weights or more, such as two Dense, but {net!r} has fewer.")
    return [_Block(*map(tuple, zip(*block, strict=True))) for block in blocks]


def _in_row(net: Network, prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, layer in net.inner():
        inside = isinstance(layer, Sequential)
        found += _in_row(layer, f"{prefix}{name}/") if inside else [(f"{prefix}{name}", layer)]
    return found


def _mirrored(blocks: list[_Block], h: np.ndarray) -> bool:
    """Whether the shapes behind the code are those before it, in the opposite order."""
    shapes = [tuple(h.shape[1:])]
    for block in blocks:
        shapes.append(tuple(Sequential(block.layers).out_shape(shapes[-1])))
    return all(a == b for a, b in zip(shapes, reversed(shapes), strict=True))


def _own_decoder(shape: tuple[int, ...]) -> tuple[Any, ...]:
    return (Dense(math.prod(shape)), Reshape(shape))


def _named(side: str, block: _Block) -> list[tuple[str, Any]]:
    return [(f"{side}{index}", layer) for index, layer in enumerate(block.layers)]


def _put(learned: dict[str, Any], side: str, block: _Block) -> dict[str, Any]:
    """The arrays of a small autoencoder by their paths in the whole network."""
    names = {f"{side}{index}": path for index, path in enumerate(block.paths)}
    found = {}
    for path, array in learned.items():
        kind, name, *rest = path.split("/")
        if name in names:
            found["/".join((kind, names[name], *rest))] = array
    return found


def _coded(block: _Block, model: Model, h: np.ndarray) -> np.ndarray:
    """f_l(h), in inference mode."""
    encoder = Model(Sequential(tuple(_named("there", block))), MeanSquaredError(), in_shape=h.shape[1:])
    params, state = model.variables
    names = [name for name, _ in _named("there", block)]
    encoder.variables = Variables({n: params[n] for n in names}, {n: state[n] for n in names if n in state})
    return encoder.predict(h)
