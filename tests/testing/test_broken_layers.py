"""Every law finds the layer that breaks it: one deliberately broken layer per law."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import pytest

import denpa as dp
from denpa.core.layer import Context, Layer
from denpa.testing import LawError, check_layer

_calls = itertools.count()


class Good(Layer):
    """y = w x, with everything right; each class below spoils one thing."""

    def init(self, key, in_shape):
        return {"w": jax.random.normal(key, in_shape[-1:])}

    def out_shape(self, in_shape):
        return tuple(in_shape)

    def forward(self, params, x, ctx=Context()):
        return params["w"] * x, {"x": x}

    def backward(self, params, saved, dy):
        return params["w"] * dy, {"w": jnp.sum(dy * saved["x"], axis=0)}


@dataclass(frozen=True)
class Right(Good):
    """Nothing spoilt."""


@dataclass(frozen=True)
class Growing(Good):
    """A description that is another one when it comes back."""

    units: int = 1

    def validate(self):
        object.__setattr__(self, "units", self.units + 1)


@dataclass(frozen=True)
class Restless(Good):
    """Other weights from the same key."""

    def init(self, key, in_shape):
        return {"w": jax.random.normal(key, in_shape[-1:]) + next(_calls)}


@dataclass(frozen=True)
class Boastful(Good):
    def out_shape(self, in_shape):
        return (*in_shape[:-1], in_shape[-1] + 1)


@dataclass(frozen=True)
class Stingy(Good):
    """No gradient for a parameter."""

    def backward(self, params, saved, dy):
        return params["w"] * dy, {}


@dataclass(frozen=True)
class Unsummed(Good):
    """A gradient per sample instead of their sum."""

    def backward(self, params, saved, dy):
        return params["w"] * dy, {"w": dy * saved["x"]}


@dataclass(frozen=True)
class Flattened(Good):
    """dx in another shape than x."""

    def backward(self, params, saved, dy):
        return (params["w"] * dy).reshape(-1), {"w": jnp.sum(dy * saved["x"], axis=0)}


@dataclass(frozen=True)
class Squared(Good):
    def backward(self, params, saved, dy):
        return params["w"] * dy * jnp.abs(dy), {"w": jnp.sum(dy * saved["x"], axis=0)}


@dataclass(frozen=True)
class Shifted(Good):
    """Linear but for a constant."""

    def backward(self, params, saved, dy):
        return params["w"] * dy + 1e-6, {"w": jnp.sum(dy * saved["x"], axis=0)}


@dataclass(frozen=True)
class Sly(Good):
    """Another function when compiled."""

    def forward(self, params, x, ctx=Context()):
        return (1.001 if isinstance(x, jax.core.Tracer) else 1.0) * params["w"] * x, {"x": x}


@dataclass(frozen=True)
class Halved(Good):
    def backward(self, params, saved, dy):
        return params["w"] * dy, {"w": 0.5 * jnp.sum(dy * saved["x"], axis=0)}


@dataclass(frozen=True)
class Forgetful(Good):
    """Right in training, wrong in inference: the backward pass does not know the mode."""

    def forward(self, params, x, ctx=Context()):
        return (params["w"] if ctx.train else 2 * params["w"]) * x, {"x": x}

    def backward(self, params, saved, dy):
        return Good.backward(self, params, saved, dy)


@jax.custom_jvp
def wrongly_differentiated(x):
    return jnp.sin(x)


@wrongly_differentiated.defjvp
def _(primals, tangents):
    return jnp.sin(primals[0]), 1.01 * jnp.cos(primals[0]) * tangents[0]


@dataclass(frozen=True)
class Conspiring(Good):
    """Backward agrees with an automatic derivative that is itself wrong."""

    def forward(self, params, x, ctx=Context()):
        return params["w"] * wrongly_differentiated(x), {"x": x}

    def backward(self, params, saved, dy):
        dx = 1.01 * params["w"] * jnp.cos(saved["x"]) * dy
        return dx, {"w": jnp.sum(dy * jnp.sin(saved["x"]), axis=0)}


@dataclass(frozen=True)
class Mixing(Layer):
    """The samples of a batch see each other, in inference too; forward alone."""

    def forward(self, params, x, ctx=Context()):
        return x - jnp.mean(x, axis=0), {}


@dataclass(frozen=True)
class Swelling(Good):
    """State that grows."""

    def init_state(self, in_shape):
        return {"mean": jnp.zeros(in_shape)}

    def next_state(self, state, saved):
        return {"mean": jnp.concatenate([state["mean"], state["mean"]])}


@dataclass(frozen=True)
class Widening(Good):
    """Always float32, whatever comes in."""

    def forward(self, params, x, ctx=Context()):
        y, saved = params["w"] * x, {"x": x}
        return (y.astype(jnp.float32) if y.dtype == jnp.bfloat16 else y), saved


@dataclass(frozen=True)
class Undefined(Good):
    def backward(self, params, saved, dy):
        return params["w"] * dy, {"w": jnp.nan * dy[0]}


def test_the_layer_that_is_right_passes():
    passed = check_layer(Right(), (3,))
    assert len(set(passed)) == 17
    assert {"autodiff, training", "autodiff, inference"} <= set(passed)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Growing(1), r"round trip: Growing\(2\) came back as Growing\(3\)"),
        (Restless(), "init: array 'w' is not the same for the same key"),
        (Boastful(), r"out_shape: Boastful\(\) says \(4,\) but gives \(3,\)"),
        (Stingy(), r"structure, float64: grads of Stingy\(\) have structure"),
        (Unsummed(), r"structure, float64: grads of Unsummed\(\) are \[\(\(5, 3\)"),
        (Flattened(), r"structure, float64: dx of Flattened\(\) are \[\(\(15,\)"),
        (Squared(), "linear in dy: array '0' is not linear in dy"),
        (Shifted(), "linear in dy: array '0' is not linear in dy"),
        (Sly(), "jit = eager: array .* differs between jit and eager"),
        (Halved(), "autodiff: array '1/w' differs from jax.vjp, by up to [1-5].*e-01 of the largest, at"),
        (Forgetful(), "autodiff: array '0' differs from jax.vjp"),
        (Conspiring(), r"central differences: Conspiring\(\) is off by .* along a random direction"),
        (Mixing(), "separate samples: array '0' depends on the other samples in inference"),
        (Swelling(), r"next_state: Swelling\(\) changes the structure of its state"),
        (Widening(), r"structure, bfloat16: Widening\(\) returns float32 for bfloat16"),
        (Undefined(), "array '1/w' .* by up to nan"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Layer) else "",
)
def test_the_law_finds_it(layer, message):
    with pytest.raises(LawError, match=message):
        check_layer(layer, (3,))


def test_laws_that_a_layer_need_not_keep_can_be_left_out():
    assert "samples are separate in inference" not in check_layer(Mixing(), (3,), separable=False)
    passed = check_layer(Halved(), (3,), differentiable=False)
    assert not [law for law in passed if "autodiff" in law or "differences" in law]


def test_networks_and_layers_of_several_inputs_obey_too():
    x = dp.Input(), dp.Input()
    net = dp.Graph(x, dp.Add()(dp.Sequential([dp.Dense(3), dp.BatchNorm()])(x[0]), x[1]))
    assert "central differences, inference" in check_layer(net, ((3,), (3,)))


def test_a_forward_without_a_derivative_is_told_from_a_wrong_backward():
    @dataclass(frozen=True)
    class Length(Good):
        def init(self, key, in_shape):
            return {}

        def forward(self, params, x, ctx=Context()):
            return jnp.sqrt(x * x), {"x": x}

        def backward(self, params, saved, dy):
            return dy * jnp.sign(saved["x"]), {}

    assert check_layer(Length(), (3,))
    with pytest.raises(
        LawError, match=r"jax\.vjp has no number for array '0' where backward has one; the forward of L"
    ):
        check_layer(Length(), (3,), inputs=lambda rng, shape: rng.integers(0, 2, shape).astype(float))


def test_inputs_may_be_chosen():
    """A function that is defined for positive numbers only."""

    @dataclass(frozen=True)
    class Root(Layer):
        def forward(self, params, x, ctx=Context()):
            return jnp.sqrt(x), {}

    with pytest.raises(LawError):
        check_layer(Root(), (3,))
    assert check_layer(Root(), (3,), inputs=lambda rng, shape: rng.uniform(0.5, 2, shape))


@pytest.mark.parametrize(
    ("layer", "options", "message"),
    [
        (None, {}, r"wants a layer, such as dp.Dense\(3\), not None"),
        (dp.Dense, {}, r"Did you forget the brackets\? Dense"),
        (dp.Dense(2), {"batch": 0}, "batch must be a whole number, 1 or more, not 0"),
        (dp.Dense(2), {"seed": "a"}, "seed must be a whole number"),
        (dp.Dense(2), {"separable": "no"}, "separable must be true or false"),
    ],
)
def test_what_no_law_can_be_checked_of_is_refused(layer, options, message):
    with pytest.raises(dp.ConfigError, match=message):
        check_layer(layer, (3,), **options)
