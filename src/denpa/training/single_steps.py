"""Networks that read one step at a time, and what cannot stand in them: layers that look at other steps themselves."""

from __future__ import annotations

from denpa.core.errors import ConfigError
from denpa.core.layer import Layer
from denpa.layers import AdditiveAttention, Conv1d, DotAttention

__all__ = ["want_single_steps"]


def want_single_steps(net: Layer, what: str) -> None:
    """Refuse a network that would give other outputs step by step than for whole sequences.

    What goes from step to step is the carry of recurrent layers; a convolution along time or an attention to the
    steps of the same sequence would see a single one.

    Args:
        net: the network, or the part of it that is to read single steps.
        what: how the message begins: "Text is written".

    Raises:
        ConfigError: there is such a layer inside.
    """
    if _looks_along(net):
        raise ConfigError(
            f"{what} step by step, and nothing but the carry of recurrent layers goes from one to the next: {net!r} "
            "looks at other steps too."
        )
    for _, layer in net.inner():
        want_single_steps(layer, what)


def _looks_along(layer: Layer) -> bool:
    if isinstance(layer, Conv1d):
        return layer.windows.reach[0] > 1
    return isinstance(layer, (AdditiveAttention, DotAttention))
