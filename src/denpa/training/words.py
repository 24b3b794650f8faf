"""Word numbers that no embedding knows are refused before they become NaN."""

from __future__ import annotations

from typing import Any

import numpy as np

from denpa.core.errors import DataError
from denpa.core.layer import Layer
from denpa.core.padded import Padded, step_mask, values_of
from denpa.layers import Embedding
from denpa.networks import EncoderDecoder, Graph, Sequential, Tied

__all__ = ["check_words"]


def check_words(net: Layer, x: Any, where: str) -> None:
    """Refuse integers outside the vocabulary of an `Embedding` that reads the input first; padding may hold anything.

    Raises:
        DataError: a number below 0 or not below the vocabulary; its example and step are named.
    """
    if isinstance(net, EncoderDecoder):
        if isinstance(x, tuple) and len(x) == 2:
            check_words(Sequential(net.encoder), x[0], f"the sources of {where}")
            check_words(Sequential(net.decoder), x[1], f"the shifted targets of {where}")
    elif isinstance(net, (Sequential, Graph, Tied)):
        for _, first in net.inner()[:1]:
            check_words(first, x, where)
    elif isinstance(net, Embedding) and not isinstance(x, tuple):
        _check(net, x, where)


def _check(layer: Embedding, x: Any, where: str) -> None:
    values = np.asarray(values_of(x))
    if values.dtype.kind not in "iu":
        return  # which the layer refuses
    wrong = (values < 0) | (values >= layer.vocabulary)
    if isinstance(x, Padded):
        wrong &= step_mask(np.asarray(x.lengths), values.shape[1])
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise DataError(
            f"Word {values[place]} at row {place[0]}, step {', '.join(map(str, place[1:])) or '0'} of {where} is none "
            f"of {layer!r}, which knows 0 to {layer.vocabulary - 1}: number the words from 0, or give it a larger "
            "vocabulary."
        )
