"""A learned vector for every word."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import jax.numpy as jnp

from denpa.core.checks import want_positive
from denpa.core.errors import ConfigError, DataError
from denpa.core.keys import key_for
from denpa.core.layer import Array, Context, Grads, Layer, Params
from denpa.core.shapes import Shape, want
from denpa.init import Initializer, Normal

__all__ = ["Embedding"]


@dataclass(frozen=True)
class Embedding(Layer):
    """y = W[x]      x (...) integers from 0 to vocabulary − 1 -> y (..., units)      W (vocabulary, units)      saves x

    The product of a one-hot row with W, without the product. Its gradient gathers every delta in the row of its word:

        ∂E/∂W[k] = Σ over all places with x = k of dy

    A word number has no derivative: ∂E/∂x is 0, of x's type. A number outside the vocabulary gives NaN, not some
    other word's vector.

    Args:
        vocabulary: how many words there are.
        units: size of a word's vector.
        padding: the number of a word that stands for no word; y is 0 there, and its row of W is never trained.
        kernel_init: initialiser of W.

    Raises:
        ConfigError: sizes that are not positive, or a padding that is no word's number.
        DataError: x does not hold integers.

    Source: Bengio, Ducharme, Vincent & Jauvin (2003), section 2 (the matrix C).
    """

    vocabulary: int
    units: int
    padding: int | None = None
    kernel_init: Initializer = field(default_factory=lambda: Normal(1.0))

    takes_integers: ClassVar[Any] = True

    def validate(self) -> None:
        want_positive(self, "vocabulary", "units")
        if self.padding is not None and self.padding not in range(self.vocabulary):
            raise ConfigError(
                f"Embedding.padding is a word's number, from 0 to {self.vocabulary - 1}, or None, not {self.padding!r}."
            )

    def init(self, key: Array, in_shape: Shape) -> Params:
        W = self.kernel_init.sample(key_for(key, "W"), (self.vocabulary, self.units))
        return {"W": W if self.padding is None else W.at[self.padding].set(0)}

    def out_shape(self, in_shape: Shape) -> Shape:
        return (*want(self, "...", in_shape), self.units)

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        if not jnp.issubdtype(x.dtype, jnp.integer):
            raise DataError(f"{self!r} wants word numbers as integers, but got {x.dtype}.")
        want(self, "vocabulary units", params["W"], {"vocabulary": self.vocabulary, "units": self.units})
        y = jnp.asarray(params["W"]).at[x].get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)
        return self._words(y, x), {"x": x}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        x = saved["x"]
        W = jnp.zeros_like(params["W"])
        dy = self._words(dy, x)
        return jnp.zeros_like(x), {"W": W.at[x].add(dy, mode="drop", wrap_negative_indices=False)}  # Σ over x = k

    def _words(self, values: Array, x: Array) -> Array:
        """The values, with 0 where x is padding."""
        return values if self.padding is None else jnp.where((x == self.padding)[..., None], 0, values)
