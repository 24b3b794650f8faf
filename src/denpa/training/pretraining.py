"""Greedy layer-wise pre-training: every layer learns to keep what the layers before it have found."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from denpa.core import tree
from denpa.core.errors import ConfigError, FileFormatError
from denpa.core.layer import Variables
from denpa.core.padded import Padded
from denpa.data.arguments import as_path
from denpa.data.checks import unmasked
from denpa.layers import Dense, Reshape
from denpa.losses import MeanSquaredError
from denpa.networks import Network, Sequential
from denpa.training.arguments import described, network_of, want_part
from denpa.training.model import Model
from denpa.training.storage import read_arrays, write_arrays

__all__ = ["PRETRAINING", "check_stack", "pretrain", "want_no_padding"]

PRETRAINING = "pretraining.safetensors"


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
    folder: Any = None,
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
        folder: where to keep the layers that are done, in pretraining.safetensors. The same call, interrupted and made
            again, goes on behind them and comes to the same bits.

    Returns:
        params and state of `net`, as `Model.variables` takes them; what is not pre-trained is as a `Model` of this
        seed has it.

    Raises:
        ConfigError: a network of another kind, or with fewer than two layers with weights; padded sequences; `folder`
            holds layers of another call.
        FileFormatError, StorageError: what `folder` holds is damaged, or it cannot be written to.
        DataError, ShapeError, DivergenceError: as `Model.fit`.

    Source: Hinton & Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks" (with restricted
    Boltzmann machines); with autoencoders: Bengio, Lamblin, Popovici & Larochelle (2007), "Greedy layer-wise training
    of deep networks", section 3.
    """
    want_no_padding(x)
    net = network_of(net)
    h = unmasked(x, "x", "the data")
    if normalizer is not None:
        want_part("normalizer", normalizer, "fit", "apply")
        h = np.asarray(normalizer.apply(normalizer.fit(h), h))
    found, blocks = check_stack(net, h.shape[1:], seed)
    arrays = tree.flatten(found._asdict())
    hourglass = len(blocks) % 2 == 0 and tuple(net.out_shape(h.shape[1:])) == h.shape[1:] and _mirrored(blocks, h)
    count = len(blocks) // 2 if hourglass else len(blocks) - 1
    plan = {"epochs": epochs, "batch_size": batch_size, "verbose": verbose}
    keep = (
        None
        if folder is None
        else _Kept(folder, h, [*map(described, (net, loss, optimizer)), epochs, batch_size, seed])
    )
    done = 0 if keep is None else keep.read(arrays)
    for place in range(count):
        block = blocks[place]
        if place >= done:
            back = blocks[-1 - place] if hourglass else _Block(("", ""), _own_decoder(h.shape[1:]))
            both = Sequential((*_named("there", block), *_named("back", back)))
            model = Model(both, loss or MeanSquaredError(), optimizer, seed=seed, in_shape=h.shape[1:])
            model.fit((h, h), **plan)
            learned = tree.flatten(model.variables._asdict())
            arrays |= _put(learned, "there", block) | (_put(learned, "back", back) if hourglass else {})
            if keep is not None:
                keep.write(arrays, place + 1)
        if place + 1 < count:
            h = _coded(block, arrays, h)
    return Variables(**tree.unflatten(arrays, found._asdict()))


def want_no_padding(x: Any) -> None:
    """Refuse padded sequences: an autoencoder would learn to give their padding back."""
    if isinstance(x, Padded):
        raise ConfigError(
            "Pre-training layer by layer would learn the padding of sequences too: give sequences of one length as an "
            "array, or train without it (training.pretrain)."
        )


def check_stack(net: Any, in_shape: tuple[int, ...], seed: int = 0) -> tuple[Variables, list[_Block]]:
    """Initial variables, and the blocks that pre-training takes one by one; `ConfigError` where there are none."""
    if not isinstance(net, Sequential) or net.takes_integers:
        raise ConfigError(
            f"pretrain wants a Sequential of layers that read values, not {net!r}: what is layer by layer must be in a "
            "row, and numbers of words cannot be compared with what an autoencoder gives back."
        )
    found = Model(net, MeanSquaredError(), seed=seed, in_shape=in_shape).variables
    return found, _blocks(net, tree.flatten(found._asdict()))


class _Kept:
    """The layers that are done, in a file beside what they were made of."""

    def __init__(self, folder: Any, x: np.ndarray, made_of: list[Any]) -> None:
        self.path = as_path(folder) / PRETRAINING
        digest = hashlib.sha256(f"{x.shape}{x.dtype}".encode())
        digest.update(np.ascontiguousarray(x).view(np.uint8).data)
        self.made_of = repr([*made_of, digest.hexdigest()])

    def read(self, arrays: dict[str, Any]) -> int:
        """How many layers are done; their numbers are put into `arrays`."""
        if not self.path.is_file():
            return 0
        found, description = read_arrays(self.path)
        if description.get("made_of") != self.made_of:
            raise ConfigError(f"{self.path} holds layers of another pre-training: choose another folder, or remove it.")
        if problems := tree.differences(found, arrays):
            raise FileFormatError(f"{self.path} does not fit the network: {'; '.join(problems)}.")
        arrays |= {path: jax.device_put(array) for path, array in found.items()}
        return int(description["layers"])

    def write(self, arrays: dict[str, Any], layers: int) -> None:
        write_arrays(self.path, tree.nested(arrays), {"made_of": self.made_of, "layers": layers})


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


def _coded(block: _Block, arrays: dict[str, Any], h: np.ndarray) -> np.ndarray:
    """f_l(h), in inference mode, with the numbers that stand in the whole network."""
    encoder = Model(Sequential(block.layers), MeanSquaredError(), in_shape=h.shape[1:])
    blank = encoder.variables._asdict()
    paths = dict(zip((name for name, _ in encoder.net.inner()), block.paths, strict=True))
    ours = {}
    for path in tree.flatten(blank):
        kind, name, *rest = path.split("/")
        ours[path] = arrays["/".join((kind, paths[name], *rest))]
    encoder.variables = Variables(**tree.unflatten(ours, blank))
    return encoder.predict(h)
