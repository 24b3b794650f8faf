"""What every optimiser owes: convergence, precision, one program, a state of arrays, a config."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from denpa import optim
from denpa.core.description import Description, from_config, registered, to_config
from denpa.core.errors import ConfigError
from denpa.layers import BatchNorm
from denpa.losses import MeanSquaredError
from denpa.optim import schedules

# With rates that suit the parabola and Rosenbrock's function below.
TABLE = {
    "SGD": (optim.SGD(0.1), optim.SGD(1e-3)),
    "Momentum": (optim.Momentum(0.03), optim.Momentum(5e-4)),
    "Momentum normalized": (optim.Momentum(0.1, normalized=True), optim.Momentum(4e-3, normalized=True)),
    "Nesterov": (optim.Nesterov(0.03), optim.Nesterov(5e-4)),
    "Nesterov lookahead": (
        optim.Nesterov(0.3, normalized=True, lookahead=True),
        optim.Nesterov(4e-3, normalized=True, lookahead=True),
    ),
    "AdaGrad": (optim.AdaGrad(1.0), optim.AdaGrad(0.5)),
    "RMSprop": (
        optim.RMSprop(schedules.InverseTime(0.1, 20)),
        optim.RMSprop(schedules.LinearDecay(0.02, 0.0, 8000)),
    ),
    "RMSprop momentum": (
        optim.RMSprop(schedules.InverseTime(0.02, 20), momentum=0.9),
        optim.RMSprop(schedules.LinearDecay(2e-3, 0.0, 8000), momentum=0.9, epsilon_inside=False),
    ),
    "Adadelta": (optim.Adadelta(10.0, epsilon=1e-3), optim.Adadelta(schedules.LinearDecay(1.0, 0.0, 10_000))),
    "Adam": (optim.Adam(schedules.WarmUp(0.1, 10)), optim.Adam(0.02)),
    "AdamW": (optim.AdamW(0.1, weight_decay=1e-6), optim.AdamW(0.02, weight_decay=1e-8, on="*")),
    "chain": (
        optim.chain(optim.ClipByNorm(1.0), optim.Momentum(0.03)),
        optim.chain(optim.ClipByValue(5.0), optim.Nesterov(5e-4)),
    ),
}
OPTIMIZERS = [pytest.param(pair[0], id=name) for name, pair in TABLE.items()]


def parabola(w):
    return 0.5 * (w[0] - 1) ** 2 + (w[1] + 2) ** 2


def rosenbrock(w):
    return (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2


def minimise(optimizer, error, start, steps):
    def step(carry, _):
        params, state = carry
        grads = jax.grad(lambda p: error(p["W"]))(optimizer.gradient_point(params, state))
        updates, state = optimizer.update(grads, state, params)
        return (jax.tree.map(jnp.add, params, updates), state), None

    params = {"W": jnp.array(start)}
    return jax.jit(lambda p: jax.lax.scan(step, (p, optimizer.init(p)), length=steps)[0][0])(params)["W"]


def test_the_table_holds_every_optimizer():
    held = {type(pair[0]).__name__ for pair in TABLE.values()}
    wrappers = {"ParameterGroups"}  # another optimiser's updates, tested with the models that use it
    assert held | wrappers == set(registered(optim.Optimizer)) & set(optim.__all__)


@pytest.mark.parametrize("name", TABLE)
def test_reaches_the_bottom_of_a_parabola(name):
    w = minimise(TABLE[name][0], parabola, [4.0, 1.0], 600)
    np.testing.assert_allclose(w, [1.0, -2.0], atol=2e-3)


@pytest.mark.parametrize("name", TABLE)
def test_goes_through_the_valley_of_rosenbrock(name):
    w = minimise(TABLE[name][1], rosenbrock, [-1.0, 1.0], 10_000)
    np.testing.assert_allclose(w, [1.0, 1.0], atol=0.03)


def a_step(optimizer, params, seed=0):
    rng = np.random.default_rng(seed)
    grads = jax.tree.map(lambda p: jnp.asarray(rng.normal(size=p.shape), p.dtype), params)
    return grads, optimizer.init(params), params


def some_params(*dtypes):
    rng = np.random.default_rng(7)
    return {
        f"{i}_dense": {
            "W": jnp.asarray(rng.normal(size=(3, 2)), dtype),
            "b": jnp.asarray(rng.normal(size=2), dtype),
        }
        for i, dtype in enumerate(dtypes)
    }


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_one_program_serves_all_steps_and_equals_eager(optimizer):
    """A schedule reads the counter in the state, so that a change of rate is no change of program."""
    traces = []

    @jax.jit
    def update(grads, state, params):
        traces.append(1)
        return optimizer.update(grads, state, params)

    params = some_params(jnp.float32)
    grads, state, _ = a_step(optimizer, params)
    eager_state = state
    for _ in range(3):
        updates, state = update(grads, state, params)
        eager, eager_state = optimizer.update(grads, eager_state, params)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-9), (updates, state), (eager, eager_state)
        )
    assert len(traces) == 1
    assert jax.tree.structure(updates) == jax.tree.structure(params)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_parameter_keeps_its_precision(optimizer):
    with jax.enable_x64(True):
        params = some_params(jnp.bfloat16, jnp.float32, jnp.float64)
        state = jax.eval_shape(optimizer.init, params)
        updates, after = jax.eval_shape(optimizer.update, params, state, params)
        for update, param in zip(jax.tree.leaves(updates), jax.tree.leaves(params), strict=True):
            assert (update.dtype, update.shape) == (param.dtype, param.shape)
        assert after == state
        # Moments are float32 at least; the counter is an int32 even where the default integer is wider.
        kinds = {leaf.dtype for leaf in jax.tree.leaves(state)}
        assert kinds <= {np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int32)}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_half_precision_follows_single_precision(optimizer):
    """With moments in bfloat16, decays near 1 would round to 1 and the steps would go astray."""
    halves = some_params(jnp.bfloat16)
    singles = jax.tree.map(lambda p: p.astype(jnp.float32), halves)
    grads, state, _ = a_step(optimizer, halves)
    wide_grads, wide_state = jax.tree.map(lambda g: g.astype(jnp.float32), grads), optimizer.init(singles)
    for _ in range(5):
        updates, state = optimizer.update(grads, state, halves)
        wide_updates, wide_state = optimizer.update(wide_grads, wide_state, singles)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b.astype(jnp.bfloat16)), updates, wide_updates)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_zero_gradients_move_nothing(optimizer):
    params = {"1_batchnorm": {"gamma": jnp.array([1.5, -0.5])}}  # no weight matrix: AdamW decays nothing here
    grads = jax.tree.map(jnp.zeros_like, params)
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    np.testing.assert_array_equal(updates["1_batchnorm"]["gamma"], [0.0, 0.0])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_survives_json_and_prints_as_code(optimizer):
    again = from_config(json.loads(json.dumps(to_config(optimizer))), optim.Optimizer)
    assert again == optimizer
    assert hash(again) == hash(optimizer)
    names = {**registered(Description), "chain": optim.chain, "schedules": optim.schedules}
    assert eval(repr(optimizer), names) == optimizer


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_rate_is_that_of_the_coming_step(optimizer):
    params = some_params(jnp.float32)
    grads, state, _ = a_step(optimizer, params)
    part = dict(optimizer.named())["1_momentum"] if isinstance(optimizer, optim.Chain) else optimizer
    schedule = (
        part.learning_rate
        if isinstance(part.learning_rate, schedules.Schedule)
        else schedules.ConstantRate(part.learning_rate)
    )
    for step in range(3):
        assert float(optimizer.rate(state)) == pytest.approx(float(schedule(step)), rel=1e-6)
        _, state = optimizer.update(grads, state, params)


def test_a_rate_without_a_schedule_needs_no_counter():
    params = {"W": jnp.ones((2, 3))}
    assert optim.SGD(0.1).init(params) == {}
    assert optim.SGD(schedules.LinearDecay(0.1, 0.0, 5)).init(params)["step"].dtype == jnp.int32
    assert set(optim.Momentum(0.1).init(params)) == {"velocity"}
    assert optim.SGD(0.1).rate({}) == 0.1


@pytest.mark.parametrize(
    "kind",
    [optim.SGD, optim.Momentum, optim.Nesterov, optim.AdaGrad, optim.RMSprop, optim.Adadelta, optim.Adam, optim.AdamW],
)
@pytest.mark.parametrize("rate", [0.0, -0.1, True, "fast", None, optim.SGD, BatchNorm(), MeanSquaredError()])
def test_refuses_a_rate_that_is_none(kind, rate):
    with pytest.raises(ConfigError, match=f"{kind.__name__}.learning_rate must be"):
        kind(rate)


def test_rates_given_as_integers_are_the_same_description():
    assert optim.SGD(1) == optim.SGD(1.0)
    assert type(optim.SGD(1).learning_rate) is float


def test_defaults_are_the_published_ones():
    assert optim.Momentum(0.1) == optim.Momentum(0.1, 0.9, normalized=False)
    assert optim.Nesterov(0.1) == optim.Nesterov(0.1, 0.9, normalized=False, lookahead=False)
    assert optim.AdaGrad(0.1) == optim.AdaGrad(0.1, 0.0, 1e-10)
    assert optim.RMSprop(0.1) == optim.RMSprop(0.1, 0.9, 1e-6, epsilon_inside=True, momentum=0.0)
    assert optim.Adadelta() == optim.Adadelta(1.0, 0.95, 1e-6)
    assert optim.Adam() == optim.Adam(0.001, 0.9, 0.999, 1e-8)
    assert optim.AdamW() == optim.AdamW(0.001, 0.9, 0.999, 1e-8, 0.01, "W*")


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: optim.Momentum(0.1, 1.0), "momentum"),
        (lambda: optim.Momentum(0.1, -0.1), "momentum"),
        (lambda: optim.Nesterov(0.1, momentum=2), "momentum"),
        (lambda: optim.RMSprop(0.1, decay=1.0), "decay"),
        (lambda: optim.RMSprop(0.1, momentum=-1.0), "momentum"),
        (lambda: optim.RMSprop(0.1, epsilon=-1e-9), "epsilon"),
        (lambda: optim.AdaGrad(0.1, initial_accumulator=-1), "initial_accumulator"),
        (lambda: optim.AdaGrad(0.1, epsilon=-1e-9), "epsilon"),
        (lambda: optim.Adadelta(epsilon=0.0), "epsilon"),
        (lambda: optim.Adadelta(decay=1.0), "decay"),
        (lambda: optim.Adam(beta1=1.0), "beta1"),
        (lambda: optim.Adam(beta2=1.5), "beta2"),
        (lambda: optim.Adam(epsilon=-1e-9), "epsilon"),
        (lambda: optim.AdamW(weight_decay=-0.1), "weight_decay"),
        (lambda: optim.AdamW(on=""), "on"),
        (lambda: optim.ClipByNorm(0.0), "max_norm"),
        (lambda: optim.ClipByValue(-1.0), "limit"),
    ],
)
def test_refusals_name_the_option(make, name):
    with pytest.raises(ConfigError, match=rf"\.{name} must be"):
        make()
