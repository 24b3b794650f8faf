"""Cross-entropy -Σ t log p: what outputs that are probabilities are trained with.

Each of the two comes in two forms. The one on logits u takes sigmoid or softmax into the loss, never
meets log 0, and has the delta p - t; prefer it. The one on probabilities is for networks that end in
`Sigmoid()` or `Softmax()`; its delta times the derivative of that layer is p - t again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from denpa.core.errors import ConfigError, ShapeError
from denpa.core.shapes import Shape
from denpa.core.targets import holds_class_indices, one_hot, total_weight, unit_targets, weighted
from denpa.data.counted import counted
from denpa.kernels.activation import minus_log_softmax, sigmoid, softmax
from denpa.losses.base import Array, BinaryLoss, Loss, over_units, refuse

__all__ = ["BinaryCrossEntropy", "CrossEntropy", "SigmoidCrossEntropy", "SoftmaxCrossEntropy"]

# What probabilities are raised to before log and division: small enough that a softmax layer below turns the
# delta of an almost hopeless sample (p above ε) into p - t still, large enough that 1/ε is finite in float32.
EPSILON = 1e-12


@dataclass(frozen=True)
class BinaryCrossEntropy(BinaryLoss):
    """l_n = -Σ_k [ t_k log p_k + (1 - t_k) log(1 - p_k) ],   ∂l_n/∂p_k = (1 - t_k)/(1 - p_k) - t_k/p_k

    y = p holds probabilities, the output of `Sigmoid()`; p and 1 - p are raised to 1e-12 before log and
    division. y (batch, units), summed over the units of the last axis, or (batch,) for one output; t of
    the same shape with entries in [0, 1]; for y (batch, 1) also class indices 0 and 1 of shape (batch,).
    More axes in front of the units, as in (batch, time, units), are items of their own.

    Args:
        reduction: "mean" or "sum" over the items.

    Raises:
        ShapeError, DataError: outputs and targets do not fit together; see `Loss.value`.

    Source: Bishop (2006), "Pattern Recognition and Machine Learning", equations 5.21 and 5.23.
    """

    reduction: str = "mean"

    expects: ClassVar[str] = "probabilities"
    threshold: ClassVar[float | None] = 0.5

    def per_item(self, y: Array, t: Array) -> Array:
        """-Σ [ t log p + (1 - t) log(1 - p) ] over the units."""
        p, t = y, unit_targets(self, y, t)
        return over_units(-t * jnp.log(jnp.maximum(p, EPSILON)) - (1 - t) * jnp.log(jnp.maximum(1 - p, EPSILON)))

    def per_item_delta(self, y: Array, t: Array) -> Array:
        """(1 - t)/(1 - p) - t/p."""
        p, t = y, unit_targets(self, y, t)
        return (1 - t) / jnp.maximum(1 - p, EPSILON) - t / jnp.maximum(p, EPSILON)


@dataclass(frozen=True)
class SigmoidCrossEntropy(BinaryLoss):
    """l_n = Σ_k [ max(u_k, 0) - u_k t_k + log(1 + e^-|u_k|) ],   ∂l_n/∂u_k = σ(u_k) - t_k

    y = u holds logits; with p = σ(u) this is `BinaryCrossEntropy`, finite for every finite u. Shapes and
    errors as there. A single output decides for class 1 where u > 0, which is p > ½; a tie goes to class 0.

    Args:
        reduction: "mean" or "sum" over the items.

    Source: Bishop (2006), "Pattern Recognition and Machine Learning", equations 5.18 and 5.23.
    """

    reduction: str = "mean"

    expects: ClassVar[str] = "logits"
    threshold: ClassVar[float | None] = 0.0

    def per_item(self, y: Array, t: Array) -> Array:
        """Σ [ max(u, 0) - u t + log(1 + e^-|u|) ] over the units."""
        u, t = y, unit_targets(self, y, t)
        # min(u, -u) is -|u|, with the slope 0 at 0: there JAX gives |u| another, and the whole a wrong derivative.
        return over_units(jnp.maximum(u, 0) - u * t + jnp.log1p(jnp.exp(jnp.minimum(u, -u))))

    def per_item_delta(self, y: Array, t: Array) -> Array:
        """σ(u) - t."""
        u, t = y, unit_targets(self, y, t)
        return sigmoid(u) - t

    def probabilities(self, y: Array) -> Array:
        """σ(u)."""
        return sigmoid(jnp.asarray(y))


class _Categorical(Loss):
    """One of several classes: targets as indices or one number per class, class weights, smoothing."""

    class_weight: tuple[float, ...] | None
    label_smoothing: float

    def validate(self) -> None:
        super().validate()
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError(f"label_smoothing must be in [0, 1), not {self.label_smoothing}; 0.1 is usual.")
        w = self.class_weight
        if w is not None and not (isinstance(w, tuple) and w and all(isinstance(a, float) and a >= 0 for a in w)):
            raise ConfigError(f"class_weight must be a number >= 0 for each class such as (1, 2.5), not {w!r}.")
        if w is not None and not any(w):
            raise ConfigError(f"class_weight must not be 0 for every class, but is {w}.")

    def targets(self, y: Array, t: Array) -> Array:
        """t (..., classes) in y's dtype, from class indices too."""
        is_index = holds_class_indices(self, y, t)
        if self.class_weight is not None and len(self.class_weight) != y.shape[-1]:
            weights = counted(len(self.class_weight), "class weight")
            raise ShapeError(f"{self!r} has {weights} for {y.shape[-1]} classes.")
        return one_hot(t, y.shape[-1], y.dtype) if is_index else t.astype(y.dtype)

    def weighted_targets(self, y: Array, t: Array) -> tuple[Array, Array]:
        """a_k = w_k [ (1 - ε) t_k + (ε/K) Σ_r t_r ], and their sum over the classes (..., 1)."""
        a = self.targets(y, t)
        if self.label_smoothing == 0 and self.class_weight is None and t.ndim < y.ndim:
            # The sum is 1, without reading the row; 0 for an index that is no class, as its row has it.
            return a, ((t >= 0) & (t < y.shape[-1])).astype(y.dtype)[..., None]
        if self.label_smoothing > 0:
            share = self.label_smoothing / y.shape[-1]
            a = (1 - self.label_smoothing) * a + share * jnp.sum(a, axis=-1, keepdims=True)
        if self.class_weight is not None:
            a = a * jnp.asarray(self.class_weight, y.dtype)
        return a, jnp.sum(a, axis=-1, keepdims=True)

    def divisor(self, y: Array, t: Array, w: Array | None) -> Array:
        """Σ_n w_n, and with class weights Σ_n w_n Σ_k w_k t_nk."""
        if self.class_weight is None:
            return total_weight(w, y.shape[:-1], y.dtype)
        mass = jnp.sum(self.targets(y, t) * jnp.asarray(self.class_weight, y.dtype), axis=-1)
        return jnp.sum(weighted(w, mass))

    def check_range(self, t: np.ndarray, out_shape: Shape) -> None:
        """Indices lie in 0..classes-1; numbers per class are not negative."""
        if t.ndim == len(out_shape):
            classes = out_shape[-1]
            refuse(self, (t < 0) | (t >= classes), t, f"class indices 0 to {classes - 1}")
        else:
            refuse(self, t < 0, t, "targets >= 0")


@dataclass(frozen=True)
class CrossEntropy(_Categorical):
    """l_n = -Σ_k a_k log p_k,   ∂l_n/∂p_k = -a_k / p_k,   a_k = w_k [ (1 - ε) t_k + (ε/K) Σ_r t_r ]

    y = p holds probabilities (..., classes), the output of `Softmax()`, raised to 1e-12 before log and
    division. t holds class indices (...), or one number per class (..., classes): one-hot or a
    distribution. Every axis but the last counts items.

    Args:
        class_weight: w_k, one per class. The mean then divides by Σ_n w_n Σ_k w_k t_nk, not by Σ_n w_n.
        label_smoothing: ε in [0, 1): that share of every target is spread evenly over the K classes.
        reduction: "mean" or "sum" over the items.

    Raises:
        ConfigError: class weights or smoothing out of range.
        ShapeError, DataError: outputs, targets and class weights do not fit together; see `Loss.value`.

    Source: Bishop (2006), "Pattern Recognition and Machine Learning", equation 5.24; label smoothing:
    Szegedy et al. (2016), "Rethinking the Inception Architecture", section 7.
    """

    class_weight: tuple[float, ...] | None = None
    label_smoothing: float = 0.0
    reduction: str = "mean"

    expects: ClassVar[str] = "probabilities"
    threshold: ClassVar[float | None] = None

    def per_item(self, y: Array, t: Array) -> Array:
        """-Σ a_k log p_k."""
        a, _ = self.weighted_targets(y, t)
        return -jnp.sum(a * jnp.log(jnp.maximum(y, EPSILON)), axis=-1)

    def per_item_delta(self, y: Array, t: Array) -> Array:
        """-a / p."""
        a, _ = self.weighted_targets(y, t)
        return -a / jnp.maximum(y, EPSILON)


@dataclass(frozen=True)
class SoftmaxCrossEntropy(_Categorical):
    """l_n = Σ_k a_k [ log Σ_r e^{u_r - m} - (u_k - m) ],   m = max_r u_r,   ∂l_n/∂u_k = p_k Σ_r a_r - a_k

    y = u holds logits (..., classes); t holds class indices (...), or one number per class (..., classes).
    With p = softmax(u) this is `CrossEntropy`, whose a_k and errors apply. For targets that sum to 1 the delta
    is p - t. A logit of -inf excludes its class, as long as the target does too.

    Args:
        class_weight: w_k, one per class.
        label_smoothing: ε in [0, 1): that share of every target is spread evenly over the K classes.
        reduction: "mean" or "sum" over the items.

    Source: Bishop (2006), "Pattern Recognition and Machine Learning", equations 5.24 and 5.25;
    Bridle (1990), "Probabilistic interpretation of feedforward classification network outputs".
    """

    class_weight: tuple[float, ...] | None = None
    label_smoothing: float = 0.0
    reduction: str = "mean"

    expects: ClassVar[str] = "logits"
    threshold: ClassVar[float | None] = None

    def per_item(self, y: Array, t: Array) -> Array:
        """Σ a_k (log Σ_r e^{u_r - m} - (u_k - m))."""
        u, (a, _) = y, self.weighted_targets(y, t)
        return jnp.sum(weighted(a, minus_log_softmax(u)), axis=-1)

    def per_item_delta(self, y: Array, t: Array) -> Array:
        """p Σ_r a_r - a."""
        u, (a, total) = y, self.weighted_targets(y, t)
        powers = jnp.exp(u - jnp.max(u, axis=-1, keepdims=True))
        return powers * (total / jnp.sum(powers, axis=-1, keepdims=True)) - a

    def probabilities(self, y: Array) -> Array:
        """softmax(u)."""
        return softmax(jnp.asarray(y))
