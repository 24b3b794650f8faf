"""Which pixels a unit of a convolutional network sees, told from the description alone."""

from __future__ import annotations

from typing import Any, NamedTuple

from denpa.core.errors import ConfigError, nearest
from denpa.data.arguments import as_whole
from denpa.layers import Conv2d, LocalContrastNorm
from denpa.layers.base import ShapePreserving
from denpa.layers.pooling import Pooling
from denpa.networks import Sequential

__all__ = ["ReceptiveField", "receptive_field"]

_WHOLE_IMAGE = ("Flatten", "Dense", "GlobalAveragePool2d", "Reshape")


class ReceptiveField(NamedTuple):
    """The pixels that a unit sees.

    Attributes:
        rows, columns: the first and the last one, both counted in; strides and dilations may leave gaps between.
        size: height and width where no border cuts.
        step: how many pixels the field moves, down and across, from one unit to the next.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    size: tuple[int, int]
    step: tuple[int, int]


def receptive_field(net: Sequential, in_shape: Any, layer: str, unit: tuple[int, int] = (0, 0)) -> ReceptiveField:
    """The receptive field of the unit at row and column `unit` in the maps that `layer` gives.

    Backwards through the layers, with kernel k, stride s, dilation d and P zeros in front, the place a of an output
    sees the places s a − P + d j of the input, j = 0 … k − 1, as far as they are there: what lies beyond a border, also
    of a map in between, is a zero and no pixel.

    Args:
        net: a row of layers.
        in_shape: (height, width, channels) of an image.
        layer: the name of a layer, such as "3_conv2d".
        unit: row and column in its output.

    Raises:
        ConfigError: no such layer or unit, a unit that sees zeros alone, or a layer on the way of which it is not known
            what it sees.

    Source: Araujo, Norris & Sim (2019), *Computing receptive fields of convolutional neural networks*, section 2.
    """
    if not isinstance(net, Sequential):
        raise ConfigError(f"receptive_field wants a Sequential of layers that look at images, not {net!r}.")
    unit = _pair(unit)
    names = [name for name, _ in net.inner()]
    if layer not in names:
        raise ConfigError(f"No layer {layer!r}: {nearest(layer, names, plural='layers')}")
    entrance = net.shapes(tuple(in_shape))
    below = net.inner()[: names.index(layer) + 1]
    out = below[-1][1].out_shape(entrance[layer])
    if len(out) == 3 and not all(0 <= place < size for place, size in zip(unit, out[:2], strict=True)):
        raise ConfigError(f"The maps of {layer!r} are {out[0]} x {out[1]}: there is no unit {unit}.")
    found = []
    for axis in (0, 1):
        places, size, step = {unit[axis]}, 1, 1
        for name, one in reversed(below):
            stride, before, seen = _window(one, name, entrance[name], axis)
            places = {stride * place - before + j for place in places for j in seen} & set(range(entrance[name][axis]))
            size, step = stride * (size - 1) + seen[-1] + 1, step * stride
        if not places:
            raise ConfigError(f"The unit {unit} of {layer!r} sees no pixel, only the zeros around the image or a map.")
        found.append(((min(places), max(places)), size, step))
    (rows, height, down), (columns, width, across) = found
    return ReceptiveField(rows, columns, (height, width), (down, across))


def _pair(unit: Any) -> tuple[int, int]:
    if not isinstance(unit, (tuple, list)) or len(unit) != 2:
        raise ConfigError(f"unit must be a pair (row, column), not {unit!r}.")
    return as_whole(unit[0], "unit[0]", 0), as_whole(unit[1], "unit[1]", 0)


def _window(layer: Any, name: str, shape: Any, axis: int) -> tuple[int, int, range]:
    """(stride, zeros in front, places in a window) of what a layer looks at along an axis."""
    if isinstance(layer, Conv2d) and layer.padding != "circular":
        windows, padding = layer.windows, layer.paddings(shape)
        seen = range(0, windows.reach[axis], windows.dilation[axis])
        return windows.stride[axis], padding[axis][0], seen
    if isinstance(layer, Pooling):
        return layer.windows.stride[axis], layer.how(shape)[2][axis][0], range(layer.windows.size[axis])
    if isinstance(layer, LocalContrastNorm):
        return 1, layer.size // 2, range(layer.size)
    if isinstance(layer, ShapePreserving):
        return 1, 0, range(1)
    if type(layer).__name__ in _WHOLE_IMAGE:
        raise ConfigError(f"Behind layer {name!r}, {layer!r}, every unit sees the whole image.")
    raise ConfigError(f"What layer {name!r}, {layer!r}, sees of an image is not known.")
