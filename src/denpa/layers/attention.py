"""Attention: each query looks at a memory and takes a weighted mean of it.

    α_ts = exp(e_ts) / Σ_s' exp(e_ts')        the alignment: over the true steps s of the memory
    c_t  = Σ_s α_ts m_s                       the context

The two layers differ in the score e_ts of a query q_t and a memory m_s. With δ_t = ∂E/∂c_t:

    ∂E/∂α_ts = δ_t · m_s        ∂E/∂e_ts = α_ts (∂E/∂α_ts − Σ_s' α_ts' ∂E/∂α_ts')
    ∂E/∂m_s  = Σ_t α_ts δ_t  and what comes through the scores
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, Literal

import jax.numpy as jnp

from denpa.core.checks import want_positive
from denpa.core.errors import ShapeError
from denpa.core.keys import key_for
from denpa.core.layer import Array, Context, Grads, Layer, Params
from denpa.core.padded import step_mask
from denpa.core.shapes import Shape
from denpa.init import Glorot, Initializer
from denpa.kernels import activation as kernels
from denpa.kernels.product import sum_of_outer_products
from denpa.layers.base import rows

__all__ = ["AdditiveAttention", "DotAttention"]


class _Attention(Layer):
    """What both have in common: x = (queries (batch, queries, a), memory (batch, steps, b)) -> (batch, queries, b).

    Where the memory is padded, `ctx.lengths` says how many of its steps are true; the others get α = 0.
    """

    @abstractmethod
    def scores(self, params: Params, queries: Array, memory: Array) -> tuple[Array, Any]:
        """e (batch, queries, steps), and what `scores_backward` needs besides queries and memory."""

    @abstractmethod
    def scores_backward(
        self, params: Params, queries: Array, memory: Array, saved: Any, de: Array
    ) -> tuple[Array, Array, Grads]:
        """∂E/∂queries, ∂E/∂memory and the gradients, from ∂E/∂e."""

    def sizes(self, x: Any, *axes: str) -> tuple[Any, Any]:
        """The shapes of queries and memory, which come as shapes or as arrays with these axes."""
        several = isinstance(x, (tuple, list)) and not any(isinstance(part, int) for part in x)
        shapes = tuple(tuple(getattr(part, "shape", part)) for part in x) if several else ()
        if len(shapes) != 2 or any(len(shape) != len(axes) for shape in shapes):
            raise ShapeError(f"{self!r} wants (queries, memory), both ({', '.join(axes)}), but got {shapes or x!r}.")
        return shapes

    def out_shape(self, in_shape: Any) -> Shape:
        queries, memory = self.sizes(in_shape, "steps", "features")
        return (queries[0], memory[1])

    def forward(self, params: Params, x: Any, ctx: Context = Context()) -> tuple[Array, Any]:
        self.sizes(x, "batch", "steps", "features")
        queries, memory = x
        e, own = self.scores(params, queries, memory)
        if ctx.lengths is not None:
            e = jnp.where(step_mask(ctx.lengths, memory.shape[1])[:, None], e, -jnp.inf)
        alignment = kernels.softmax(e)  # α
        saved = {"queries": queries, "memory": memory, "alignment": alignment, "scores": own}
        return alignment @ memory, saved  # c = α m

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[tuple[Array, Array], Grads]:
        queries, memory, alignment = saved["queries"], saved["memory"], saved["alignment"]
        slopes = dy @ memory.swapaxes(1, 2)  # ∂E/∂α = δ mᵀ
        de = kernels.softmax_backward(alignment, slopes)
        dqueries, dmemory, grads = self.scores_backward(params, queries, memory, saved["scores"], de)
        return (dqueries, dmemory + alignment.swapaxes(1, 2) @ dy), grads  # ... + αᵀ δ


@dataclass(frozen=True)
class DotAttention(_Attention):
    """c = softmax(q mᵀ) m      (queries (batch, queries, a), memory (batch, steps, b)) -> (batch, queries, b)

    saves queries, memory and the alignment α. The score of a query and a memory is

        e_ts = q_t · m_s             score="dot", a = b
        e_ts = q_t · m_s / √b        score="scaled", a = b
        e_ts = q_t W · m_s           score="general", W (a, b)

    and back, with the queries' projection q' = q W (or q' = q), its factor f and ∂E/∂e from the softmax,

        ∂E/∂q' = f ∂E/∂e m        ∂E/∂m += f (∂E/∂e)ᵀ q'        ∂E/∂W = Σ qᵀ ∂E/∂q'        ∂E/∂q = ∂E/∂q' Wᵀ

    Args:
        score: "dot", "scaled" or "general".
        kernel_init: initialiser of W.

    Raises:
        ConfigError: an unknown score.
        ShapeError: not a pair of sequences, or without W queries of another size than the memory.

    Source: Luong, Pham & Manning (2015), eq. 7-8; "scaled": Vaswani et al. (2017), eq. 1.
    """

    score: Literal["dot", "scaled", "general"] = "dot"
    kernel_init: Initializer = field(default_factory=lambda: Glorot(distribution="uniform"))

    def init(self, key: Array, in_shape: Any) -> Params:
        queries, memory = self.sizes(in_shape, "steps", "features")
        if self.score != "general":
            return {}
        return {"W": self.kernel_init.sample(key_for(key, "W"), (queries[-1], memory[-1]))}

    def scores(self, params: Params, queries: Array, memory: Array) -> tuple[Array, Any]:
        projected = queries @ params["W"] if self.score == "general" else queries  # q'
        return self._factor(memory) * (projected @ memory.swapaxes(1, 2)), {"projected": projected}

    def scores_backward(
        self, params: Params, queries: Array, memory: Array, saved: Any, de: Array
    ) -> tuple[Array, Array, Grads]:
        de = self._factor(memory) * de
        dqueries, dmemory = de @ memory, de.swapaxes(1, 2) @ saved["projected"]
        if self.score != "general":
            return dqueries, dmemory, {}
        dW = sum_of_outer_products(rows(queries), rows(dqueries))
        return dqueries @ params["W"].T, dmemory, {"W": dW}

    def _factor(self, memory: Array) -> float:
        return 1 / math.sqrt(memory.shape[-1]) if self.score == "scaled" else 1.0

    def sizes(self, x: Any, *axes: str) -> tuple[Any, Any]:
        queries, memory = super().sizes(x, *axes)
        if self.score != "general" and queries[-1] != memory[-1]:
            raise ShapeError(
                f"{self!r} compares queries of {queries[-1]} features with a memory of {memory[-1]}: make them equal, "
                'or use score="general".'
            )
        return queries, memory


@dataclass(frozen=True)
class AdditiveAttention(_Attention):
    """e_ts = v · tanh(q_t Wq + m_s Wm + b),  c = softmax(e) m

    (queries (batch, queries, a), memory (batch, steps, b)) -> (batch, queries, b); Wq (a, units), Wm (b, units),
    b (units,), v (units,); saves queries, memory, their projections and the alignment α. Back, with
    h_ts = tanh(...), which is computed again, and δ_ts = ∂E/∂e_ts v (1 − h_ts²):

        ∂E/∂v = Σ_ts ∂E/∂e_ts h_ts        ∂E/∂b = Σ_ts δ_ts
        ∂E/∂Wq = Σ_t q_tᵀ Σ_s δ_ts        ∂E/∂Wm = Σ_s m_sᵀ Σ_t δ_ts
        ∂E/∂q_t = (Σ_s δ_ts) Wqᵀ          ∂E/∂m_s += (Σ_t δ_ts) Wmᵀ

    Args:
        units: size of the layer in which query and memory meet.
        kernel_init: initialiser of Wq, Wm and v.

    Raises:
        ConfigError: `units` is not a positive integer.
        ShapeError: not a pair of sequences.

    Source: Bahdanau, Cho & Bengio (2015), section 3.1 and appendix A.1.2. There the query is the decoder's state
    before the step; here all queries are given at once.
    """

    units: int
    kernel_init: Initializer = field(default_factory=lambda: Glorot(distribution="uniform"))

    def validate(self) -> None:
        want_positive(self, "units")

    def init(self, key: Array, in_shape: Any) -> Params:
        queries, memory = self.sizes(in_shape, "steps", "features")
        sizes = {"Wq": (queries[-1], self.units), "Wm": (memory[-1], self.units)}
        params = {name: self.kernel_init.sample(key_for(key, name), size) for name, size in sizes.items()}
        v = self.kernel_init.sample(key_for(key, "v"), (self.units, 1))[:, 0]
        return {**params, "b": jnp.zeros((self.units,), v.dtype), "v": v}

    def scores(self, params: Params, queries: Array, memory: Array) -> tuple[Array, Any]:
        saved = {"queries": queries @ params["Wq"] + params["b"], "memory": memory @ params["Wm"]}
        return _hidden(saved) @ params["v"], saved

    def scores_backward(
        self, params: Params, queries: Array, memory: Array, saved: Any, de: Array
    ) -> tuple[Array, Array, Grads]:
        h = _hidden(saved)
        delta = de[..., None] * params["v"] * (1 - jnp.square(h))  # δ (batch, queries, steps, units)
        at_queries, at_memory = jnp.sum(delta, axis=2), jnp.sum(delta, axis=1)
        grads = {
            "Wq": sum_of_outer_products(rows(queries), rows(at_queries)),
            "Wm": sum_of_outer_products(rows(memory), rows(at_memory)),
            "b": jnp.sum(at_queries, axis=(0, 1)),
            "v": de.reshape(-1) @ rows(h),
        }
        return at_queries @ params["Wq"].T, at_memory @ params["Wm"].T, grads


def _hidden(projections: Any) -> Array:
    """h_ts = tanh(q_t Wq + b + m_s Wm): (batch, queries, steps, units)"""
    return jnp.tanh(projections["queries"][:, :, None] + projections["memory"][:, None])
