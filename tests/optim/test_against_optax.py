"""Every optimiser against Optax, over 50 steps in float64, on a tree of several leaves."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from denpa import optim
from denpa.core.description import to_config
from denpa.core.errors import ConfigError
from denpa.optim import schedules

W_ONLY = {"0_dense": {"W": True, "b": False}, "1_rnn": {"Wh": True}}


def exact(schedule):
    """Optax computes its schedules in float32, whatever the parameters are; given a float64 count it does not."""
    return lambda count: schedule(count.astype(jnp.float64))


PAIRS = {
    "sgd": (optim.SGD(0.1), optax.sgd(0.1)),
    "sgd, linear decay": (
        optim.SGD(schedules.LinearDecay(0.3, 0.02, 30)),
        optax.sgd(exact(optax.linear_schedule(0.3, 0.02, 30))),
    ),
    "momentum": (optim.Momentum(0.05, 0.8), optax.sgd(0.05, momentum=0.8)),
    "momentum, normalized": (
        optim.Momentum(0.05, 0.8, normalized=True),
        optax.chain(optax.ema(0.8, debias=False), optax.scale(-0.05)),
    ),
    "nesterov": (optim.Nesterov(0.05, 0.7), optax.sgd(0.05, momentum=0.7, nesterov=True)),
    "adagrad": (
        optim.AdaGrad(schedules.LinearDecay(0.5, 0.1, 20), initial_accumulator=0.1, epsilon=0.0),
        optax.adagrad(exact(optax.linear_schedule(0.5, 0.1, 20)), initial_accumulator_value=0.1, eps=0.0),
    ),
    "rmsprop, epsilon inside": (
        optim.RMSprop(schedules.LinearDecay(0.05, 0.01, 20), 0.8, epsilon=1e-3),
        optax.rmsprop(exact(optax.linear_schedule(0.05, 0.01, 20)), decay=0.8, eps=1e-3, eps_in_sqrt=True),
    ),
    "rmsprop, epsilon outside": (
        optim.RMSprop(0.02, 0.8, epsilon=1e-2, epsilon_inside=False),
        optax.rmsprop(0.02, decay=0.8, eps=1e-2, eps_in_sqrt=False),
    ),
    "rmsprop, momentum": (
        optim.RMSprop(0.02, 0.9, epsilon=1e-3, momentum=0.6),
        optax.rmsprop(0.02, decay=0.9, eps=1e-3, eps_in_sqrt=True, momentum=0.6),
    ),
    "adadelta": (
        optim.Adadelta(schedules.LinearDecay(0.9, 0.5, 20), 0.9, 1e-4),
        optax.adadelta(exact(optax.linear_schedule(0.9, 0.5, 20)), rho=0.9, eps=1e-4),
    ),
    "adam": (optim.Adam(0.02, 0.8, 0.99, 1e-3), optax.adam(0.02, b1=0.8, b2=0.99, eps=1e-3)),
    "adam, warm-up and cosine decay": (
        optim.Adam(schedules.WarmUp(schedules.CosineDecay(0.05, 0.004, 30), 10, start=0.001)),
        optax.adam(exact(optax.warmup_cosine_decay_schedule(0.001, 0.05, 10, 40, end_value=0.004))),
    ),
    "adamw, weights": (
        optim.AdamW(schedules.LinearDecay(0.05, 0.01, 20), weight_decay=0.3),
        optax.adamw(exact(optax.linear_schedule(0.05, 0.01, 20)), weight_decay=0.3, mask=W_ONLY),
    ),
    "adamw, everything": (optim.AdamW(0.02, weight_decay=0.3, on="*"), optax.adamw(0.02, weight_decay=0.3)),
    "clip by norm": (
        optim.chain(optim.ClipByNorm(3.0), optim.Momentum(0.1)),
        optax.chain(optax.clip_by_global_norm(3.0), optax.sgd(0.1, momentum=0.9)),
    ),
    "clip by value": (
        optim.chain(optim.ClipByValue(0.4), optim.SGD(0.1)),
        optax.chain(optax.clip(0.4), optax.sgd(0.1)),
    ),
}


def random_tree(rng, *lead):
    shapes = {"0_dense": {"W": (3, 2), "b": (2,)}, "1_rnn": {"Wh": (4, 4)}}
    return jax.tree.map(lambda s: jnp.asarray(rng.normal(size=(*lead, *s))), shapes, is_leaf=lambda s: type(s) is tuple)


def run(optimizer, params, noise):
    """50 steps whose gradients depend on the parameters, so that an early difference grows on."""

    def step(carry, noise):
        params, state = carry
        grads = jax.tree.map(lambda p, n: 0.5 * p + n, params, noise)
        updates, state = optimizer.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        return (params, state), params

    return jax.jit(lambda p, n: jax.lax.scan(step, (p, optimizer.init(p)), n)[1])(params, noise)


@pytest.mark.parametrize("name", PAIRS)
def test_fifty_steps_agree_with_optax(name):
    ours, theirs = PAIRS[name]
    rng = np.random.default_rng(3)
    with jax.enable_x64(True):
        params, noise = random_tree(rng), random_tree(rng, 50)
        a = run(ours, params, noise)
        with jax.numpy_dtype_promotion("standard"):  # Optax's own arithmetic needs it
            b = run(theirs, params, noise)
        for path, leaf in jax.tree_util.tree_leaves_with_path(a):
            other = dict(jax.tree_util.tree_leaves_with_path(b))[path]
            assert leaf.dtype == other.dtype == jnp.float64
            np.testing.assert_allclose(leaf, other, rtol=1e-11, atol=1e-12, err_msg=str(path))


def test_optax_chain_accepts_ours_inside_jit():
    """Optax asks for nothing but `init` and `update`, which our descriptions have."""
    rng = np.random.default_rng(4)
    with jax.enable_x64(True):
        params, noise = random_tree(rng), random_tree(rng, 50)
        ours = run(optim.chain(optim.ClipByNorm(1.0), optim.Adam(1e-2)), params, noise)
        within = run(optax.chain(optim.ClipByNorm(1.0), optim.Adam(1e-2)), params, noise)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), within, ours)


def test_optax_chain_accepts_ours_without_jit():
    chained = optax.chain(optax.clip(50.0), optim.ClipByNorm(1.0), optim.Adam(1e-3))
    params = {"W": jnp.array([3.0, -4.0])}
    updates, _ = chained.update({"W": jnp.array([30.0, -0.4])}, chained.init(params), params)
    np.testing.assert_allclose(optax.apply_updates(params, updates)["W"], [2.999, -3.999], rtol=1e-6)


MIXED = {
    "our clipping, their optimiser": (
        optim.chain(optim.ClipByNorm(3.0), optax.adam(0.02, eps=1e-3)),
        optax.chain(optax.clip_by_global_norm(3.0), optax.adam(0.02, eps=1e-3)),
    ),
    "their clipping, our optimiser": (
        optim.chain(optax.clip(0.4), optim.Momentum(0.1, 0.8)),
        optax.chain(optax.clip(0.4), optax.sgd(0.1, momentum=0.8)),
    ),
    "ours between theirs, with weights and a schedule": (
        optim.chain(
            optax.add_decayed_weights(0.1),
            optim.ClipByValue(0.4),
            optax.trace(0.5),
            optax.scale_by_schedule(exact(optax.linear_schedule(-0.3, -0.02, 30))),
        ),
        optax.chain(
            optax.add_decayed_weights(0.1),
            optax.clip(0.4),
            optax.trace(0.5),
            optax.scale_by_schedule(exact(optax.linear_schedule(-0.3, -0.02, 30))),
        ),
    ),
    "within a chain of ours": (
        optim.chain(optim.ClipByNorm(3.0), optim.chain(optax.clip(0.4), optax.sgd(0.1))),
        optax.chain(optax.clip_by_global_norm(3.0), optax.clip(0.4), optax.sgd(0.1)),
    ),
}


@pytest.mark.parametrize("name", MIXED)
def test_our_chain_takes_transformations_of_optax(name):
    """What theirs returns is to be added, as what ours returns: the same chain in Optax alone makes the same steps."""
    ours, theirs = MIXED[name]
    rng = np.random.default_rng(3)
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        params, noise = random_tree(rng), random_tree(rng, 50)
        ours, theirs = run(ours, params, noise), run(theirs, params, noise)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12), ours, theirs)


def test_moments_of_optax_in_our_chain_are_wide():
    """As those of our own optimisers: in bfloat16 a running mean would stand still."""
    chained = optim.chain(optim.ClipByNorm(3.0), optax.adam(0.02))
    params = {"W": jnp.ones((2, 3), jnp.bfloat16)}
    with jax.numpy_dtype_promotion("standard"):
        state = chained.init(params)
        updates, after = chained.update(params, state, params)
    assert updates["W"].dtype == jnp.bfloat16
    assert state["1_foreign"][0].mu["W"].dtype == jnp.float32
    assert jax.tree.map(jnp.result_type, after) == jax.tree.map(jnp.result_type, state)


def test_decay_of_optax_in_our_chain_is_rounded_once():
    """w passes into the update in float32: in bfloat16 already the product lambda w would lose digits."""
    chained = optim.chain(optim.ClipByNorm(1.0), optax.adamw(0.1, weight_decay=0.3))
    halves = {"W": jnp.linspace(-3, 3, 200, dtype=jnp.bfloat16)}
    singles = {"W": halves["W"].astype(jnp.float32)}
    zeros = jax.tree.map(jnp.zeros_like, halves), jax.tree.map(jnp.zeros_like, singles)
    with jax.numpy_dtype_promotion("standard"):
        low, high = (chained.update(g, chained.init(p), p)[0] for g, p in zip(zeros, (halves, singles), strict=True))
    np.testing.assert_array_equal(low["W"], high["W"].astype(jnp.bfloat16))


def test_a_chain_of_both_sides_looks_ahead_where_its_optimiser_does():
    chained = optim.chain(optax.clip(1.0), optim.Nesterov(0.1, 0.5, lookahead=True))
    params, g = {"W": jnp.array([1.0, -2.0])}, {"W": jnp.array([0.5, 3.0])}
    _, state = chained.update(g, chained.init(params), params)
    np.testing.assert_allclose(chained.gradient_point(params, state)["W"], [0.975, -2.05], rtol=1e-6)
    assert chained.rate(state) == 0.1


def test_a_chain_whose_step_is_optaxs_does_not_know_its_rate():
    chained = optim.chain(optim.ClipByNorm(1.0), optax.adam(0.1))
    params = {"W": jnp.ones(2)}
    state = chained.init(params)
    assert chained.gradient_point(params, state) is params
    with pytest.raises(ConfigError, match="does not know its learning rate, which is inside a part of another library"):
        chained.step_sizes(state, state, params)
    with pytest.raises(ConfigError, match="cannot be written to a file"):
        to_config(chained)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.chain(optim.SGD(0.1), optax.clip(1.0), optim.Adam()), "exactly one optimiser and has 2"),
        (lambda: optim.chain(optim.MaxNorm(1.0), optax.sgd(0.1)), "write it behind the optimiser"),
        (lambda: optim.chain(optim.ClipByNorm(1.0), optax.adam), "cannot be chained"),
        (lambda: optim.chain(optim.ClipByNorm(1.0), optim.SGD), "cannot be chained"),
    ],
)
def test_a_chain_of_both_sides_that_makes_no_sense(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
