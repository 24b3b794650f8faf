"""The recurrent cell: one step of time. A container in `denpa.networks.recurrent` owns the time.

    drive     d = x Wx                                        for all steps at once, before the scan
    step      carry, d           -> carry⁺, kept              u = d + carry · recurrent weights + b, ...
    slopes    steps              -> local derivatives         elementwise, for all steps at once
    backward  slopes, ∂E/∂carry⁺ -> δ = ∂E/∂u, ∂E/∂carry      the scan backward: it carries deltas and nothing else
    grads     steps, δ           -> ∂E/∂params                one product for all steps at once, behind the scan
    tangent   slopes, u̇, carrẏ   -> carrẏ⁺                    the same slopes, forward in time: what RTRL needs

All arrays have the batch in front of their last axis, and any axes (time) in front of that. A carry is a
tuple of arrays (batch, size); the first of them is what the cell gives out. `Steps` are what a run left behind.
"""

from __future__ import annotations

import functools
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from denpa.core.description import Description
from denpa.core.errors import ConfigError, DenpaError
from denpa.core.keys import key_for
from denpa.core.layer import Array, Context, Grads, Layer, Params
from denpa.core.static import Static
from denpa.init import Initializer
from denpa.kernels.product import sum_of_outer_products
from denpa.layers.activation import ELU, Identity, LeakyReLU, ReLU, Sigmoid, Tanh
from denpa.layers.base import rows
from denpa.layers.softmax import Softmax

__all__ = ["Carry", "Cell", "Steps", "activation_of", "fresh", "remembered", "restored"]

Carry = tuple[Array, ...]
_ACTIVATIONS = {
    "elu": ELU,
    "identity": Identity,
    "leakyrelu": LeakyReLU,
    "relu": ReLU,
    "sigmoid": Sigmoid,
    "softmax": Softmax,
    "tanh": Tanh,
}


class Steps(NamedTuple):
    """One step of time as the cell went through it, or all of them with time in front.

    Attributes:
        x: what entered.
        kept: what `step` kept.
        before, after: the carries on both sides.
    """

    x: Array
    kept: Any
    before: Carry
    after: Carry


class Cell(Description):
    """Base of all cells. A cell of your own is a frozen dataclass with these methods.

    Attributes:
        carries: the names of the carry's parts, such as ("h", "c"); the first is the output.
        biases: the parameters that `use_bias=False` leaves out; what is not there counts as 0.
    """

    carries: ClassVar[tuple[str, ...]] = ("h",)
    biases: ClassVar[tuple[str, ...]] = ("b",)

    def sizes(self) -> tuple[int, ...]:
        """The size of each part of the carry."""
        raise NotImplementedError(f"{type(self).__name__} must define sizes().")

    def init(self, key: Array, size: int) -> Params:
        """Parameters for inputs of `size` features."""
        raise NotImplementedError(f"{type(self).__name__} must define init(key, size).")

    def drive(self, params: Params, x: Array) -> Array:
        """d = x Wx, the part of u that needs no recursion."""
        return x @ params["Wx"]

    def step(self, params: Params, drive: Array, carry: Carry) -> tuple[Carry, Any]:
        """One step of time: the next carry, and what `slopes` needs besides x and the carries."""
        raise NotImplementedError(f"{type(self).__name__} must define step(params, drive, carry).")

    def slopes(self, params: Params, steps: Steps) -> Any:
        """Local derivatives, of which `backward` and `tangent` are made."""
        raise NotImplementedError(f"{type(self).__name__} must define slopes(params, steps).")

    def backward(self, params: Params, slopes: Any, dcarry: Carry) -> tuple[Array, Carry]:
        """One step backward: δ = ∂E/∂u, and ∂E/∂carry before the step from ∂E/∂carry behind it."""
        raise NotImplementedError(f"{type(self).__name__} must define backward(params, slopes, dcarry).")

    def runs(self, params: Params, x: Array) -> bool:
        """Whether `run_forward` and `run_backward` compute all steps at once here.

        On a CPU they then take the place of `step`, `slopes` and `backward`, while nothing is padded or recorded.
        """
        return False

    def run_forward(self, params: Params, drive: Array, first: Carry, reverse: bool) -> tuple[Carry, Any]:
        """The carries behind all steps and what was kept of them, from all of d and the initial carry."""
        raise NotImplementedError(f"{type(self).__name__} must define run_forward(params, drive, first, reverse).")

    def run_backward(
        self, params: Params, steps: Steps, first: Carry, dy: Array | None, dfinal: Carry, reverse: bool
    ) -> tuple[Array, Carry, Grads]:
        """δ of all steps, ∂E/∂ the initial carry, and ∂E/∂params.

        From ∂E/∂y of all steps (None where they give nothing out) and ∂E/∂ the carry at the end.
        """
        raise NotImplementedError(f"{type(self).__name__} must define run_backward(...).")

    def input_delta(self, params: Params, delta: Array) -> Array:
        """∂E/∂x = δ Wxᵀ"""
        return delta @ params["Wx"].T

    def grads(self, params: Params, steps: Steps, delta: Array) -> Grads:
        """[∂E/∂Wx; ∂E/∂Wh] = [x, h]ᵀ δ in one product,  ∂E/∂b = Σ δ, summed over all leading axes."""
        delta, size = rows(delta), steps.x.shape[-1]
        both = sum_of_outer_products(jnp.concatenate([rows(steps.x), rows(steps.before[0])], axis=-1), delta)
        return {"Wx": both[:size], "Wh": both[size:], "b": jnp.sum(delta, axis=0)}

    def tangent(self, params: Params, slopes: Any, du: Array, dcarry: Carry) -> Carry:
        """The derivative of the next carry along any direction: `du` in u directly, `dcarry` in the carry."""
        raise NotImplementedError(f"{type(self).__name__} must define tangent(params, slopes, du, dcarry).")

    def direct(self, params: Params, steps: Steps) -> dict[str, Array]:
        """∂u_c/∂θ of every parameter θ, (batch, *shape of θ) or broadcast to it, where c = `feeds()[name]`."""
        x, h = steps.x[..., None], steps.before[0][..., None]
        return {"Wx": x, "Wh": h, "b": jnp.ones((1, 1), x.dtype)}

    def feeds(self, params: Params) -> dict[str, Any]:
        """For every entry of every parameter, the one column of u that it reaches directly."""
        return {name: np.broadcast_to(np.arange(value.shape[-1]), value.shape) for name, value in params.items()}

    def observe(self, params: Params, steps: Steps) -> dict[str, Any]:
        """What to record of a step: {name: (what enters, what comes out)}, gate by gate."""
        return {}

    def observe_backward(
        self, params: Params, slopes: Any, steps: Steps, delta: Array, dcarry: Carry
    ) -> dict[str, Any]:
        """The deltas of what `observe` names: {name: (∂E/∂(what comes out), ∂E/∂(what enters))}."""
        return {}


def activation_of(owner: Any, activation: Any) -> Layer:
    """The activation layer that a name or a layer stands for.

    Raises:
        ConfigError: an unknown name, or a layer with parameters.
    """
    if isinstance(activation, str) and (name := activation.lower().replace("_", "")) in _ACTIVATIONS:
        return _ACTIVATIONS[name]()
    if isinstance(activation, Layer) and _is_activation(activation):
        return activation
    raise ConfigError(
        f"{type(owner).__name__} wants an activation layer without parameters, such as Tanh(), or one of "
        f"{', '.join(sorted(_ACTIVATIONS))}; not {activation!r}."
    )


@functools.cache
def _is_activation(layer: Layer) -> bool:
    """Whether a layer keeps shapes, needs nothing but x (no parameters, state, random numbers) and has no price."""
    like = jax.ShapeDtypeStruct((2, 3, 4), jnp.float32)
    try:
        alone = not layer.init_params(jax.random.key(0), (3, 4)) and not layer.init_state((3, 4))
        y = jax.eval_shape(lambda x: layer.forward({}, x, Context(train=True))[0], like)
    except (DenpaError, AttributeError, LookupError, TypeError, ValueError):
        return False
    return alone and type(layer).cost is Layer.cost and y.shape == like.shape


def _side_by_side(initializer: Initializer, key: Array, rows: int, units: int, gates: int) -> Array:
    """Weights (rows, gates · units), every gate drawn by itself: a gate's fan-out is `units`."""
    keys = jax.random.split(key, gates)
    drawn = jax.vmap(lambda one: initializer.sample(one, (rows, units)))(keys)
    return jnp.moveaxis(drawn, 0, 1).reshape(rows, gates * units)


def fresh(cell: Any, key: Array, size: int, gates: int) -> Params:
    """Wx (size, gates · units), Wh (units, gates · units) and b (gates · units) = 0."""
    units = cell.units
    return {
        "Wx": _side_by_side(cell.kernel_init, key_for(key, "Wx"), size, units, gates),
        "Wh": _side_by_side(cell.recurrent_init, key_for(key, "Wh"), units, units, gates),
        "b": jnp.zeros(gates * units),
    }


def remembered(saved: Any, y: Array) -> Any:
    """What an activation saved, without the output: the carries hold that already."""
    return jax.tree.map(lambda leaf: Static("y") if leaf is y else leaf, saved)


def restored(kept: Any, y: Array) -> Any:
    """The inverse of `remembered`."""
    return jax.tree.map(
        lambda leaf: y if isinstance(leaf, Static) else leaf, kept, is_leaf=lambda leaf: isinstance(leaf, Static)
    )
