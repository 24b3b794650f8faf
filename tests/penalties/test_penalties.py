"""Penalties: values and gradients by hand and by differences, which arrays they touch, the proximal step."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from denpa.core.description import from_config, registered, to_config
from denpa.core.errors import ConfigError
from denpa.core.tree import flatten
from denpa.penalties import L1, L2, ElasticNet, Penalty

ALL = [L2(0.3), L2(0.3, half=False), L1(0.3), L1(0.3, proximal=True), ElasticNet(0.3, 0.7), ElasticNet(0.3, 0.7, True)]
seeds = st.integers(0, 2**32 - 1)


def tree(seed=0):
    """Two dense layers, a recurrent one and a normalising one; away from the kink at 0."""
    rng = np.random.default_rng(seed)

    def array(*shape):
        values = rng.uniform(0.05, 2, shape) * rng.choice([-1, 1], shape)
        return jnp.asarray(values, jnp.float64 if jax.config.jax_enable_x64 else jnp.float32)

    return {
        "0_dense": {"W": array(4, 3), "b": array(3)},
        "1_batchnorm": {"gamma": array(3), "beta": array(3)},
        "2_block": {"rnn": {"Wx": array(3, 2), "Wh": array(2, 2), "b": array(2)}},
    }


def by_hand(penalty, w):
    """(value, gradient) of one array, in plain NumPy."""
    match penalty:
        case L2():
            factor = penalty.strength * (0.5 if penalty.half else 1)
            return factor * np.sum(w * w), 2 * factor * w
        case L1():
            return penalty.strength * np.abs(w).sum(), penalty.strength * np.sign(w) * (not penalty.proximal)
        case ElasticNet():
            value = penalty.l1 * np.abs(w).sum() + penalty.l2 / 2 * np.sum(w * w)
            return value, penalty.l1 * np.sign(w) * (not penalty.proximal) + penalty.l2 * w


@pytest.mark.parametrize("penalty", ALL, ids=repr)
@given(seed=seeds)
def test_value_and_gradient_by_hand(penalty, seed):
    params, grads = tree(seed), tree(seed + 1)
    arrays = flatten(params)
    expected = {path: by_hand(penalty, np.asarray(w)) for path, w in arrays.items() if path.split("/")[-1][0] == "W"}
    assert set(expected) == {"0_dense/W", "2_block/rnn/Wx", "2_block/rnn/Wh"}
    np.testing.assert_allclose(penalty.value(params), sum(value for value, _ in expected.values()), rtol=1e-5)
    gradient, added = flatten(penalty.gradient(params)), flatten(penalty.add_gradient(params, grads))
    assert list(gradient) == list(arrays)
    for path, w in arrays.items():
        wanted = expected[path][1] if path in expected else np.zeros_like(w)
        np.testing.assert_allclose(gradient[path], wanted, rtol=1e-6)
        np.testing.assert_allclose(added[path], flatten(grads)[path] + wanted, rtol=1e-6)


@pytest.mark.parametrize("penalty", [p for p in ALL if not getattr(p, "proximal", False)], ids=repr)
def test_gradient_is_the_derivative_of_the_value(penalty):
    with jax.enable_x64(True):
        params = tree(1)
        w, epsilon = params["0_dense"]["W"], 1e-6

        @jax.jit
        def run(params):
            def at(shift):
                return penalty.value({**params, "0_dense": {"W": w.at[2, 1].add(shift)}})

            return penalty.gradient(params), jax.grad(penalty.value)(params), at(epsilon) - at(-epsilon)

        gradients, oracle, difference = run(params)
        for path, gradient in flatten(gradients).items():
            np.testing.assert_allclose(gradient, flatten(oracle)[path], rtol=1e-12)
        np.testing.assert_allclose(gradients["0_dense"]["W"][2, 1], difference / (2 * epsilon), rtol=1e-8)


def test_half_and_whole_differ_by_two_and_agree_at_twice_the_strength():
    params = tree()
    np.testing.assert_allclose(L2(0.2, half=False).value(params), L2(0.4).value(params), rtol=1e-6)
    for path, gradient in flatten(L2(0.2, half=False).gradient(params)).items():
        np.testing.assert_allclose(gradient, flatten(L2(0.4).gradient(params))[path], rtol=1e-6)
        np.testing.assert_allclose(gradient, 2 * flatten(L2(0.2).gradient(params))[path], rtol=1e-6)


def test_the_subgradient_at_zero_is_zero():
    params = {"W": jnp.array([0.0, -0.0, 2.0, -3.0])}
    np.testing.assert_array_equal(L1(0.5).gradient(params)["W"], [0, 0, 0.5, -0.5])
    np.testing.assert_array_equal(ElasticNet(0.5, 1.0).gradient(params)["W"], [0, 0, 2.5, -3.5])


# ------------------------------------------------------------------------------------- which arrays


@pytest.mark.parametrize(
    ("on", "chosen"),
    [
        ("W*", {"0_dense/W", "2_block/rnn/Wx", "2_block/rnn/Wh"}),
        ("W", {"0_dense/W"}),
        ("0_dense/*", {"0_dense/W", "0_dense/b"}),
        ("2_block/*/W?", {"2_block/rnn/Wx", "2_block/rnn/Wh"}),
        ("gamma", {"1_batchnorm/gamma"}),
        ("*", set(flatten(tree()))),
    ],
)
def test_on_chooses_the_arrays(on, chosen):
    params = tree()
    for penalty in (L2(1.0, on=on), L1(1.0, on=on), L1(1.0, proximal=True, on=on), ElasticNet(1.0, 1.0, on=on)):
        value = sum(by_hand(penalty, np.asarray(w))[0] for path, w in flatten(params).items() if path in chosen)
        np.testing.assert_allclose(penalty.value(params), value, rtol=1e-5)
        moved = penalty.shrink(params, 0.1) if getattr(penalty, "proximal", False) else penalty.gradient(params)
        still = params if getattr(penalty, "proximal", False) else jax.tree.map(jnp.zeros_like, params)
        touched = {p for p, w in flatten(moved).items() if not np.array_equal(w, flatten(still)[p])}
        assert touched == chosen


def test_a_pattern_that_fits_nothing_is_an_error_that_lists_the_paths():
    with pytest.raises(ConfigError, match=r"on='0_dnse/\*'.*0_dense/W, 0_dense/b"):
        L2(0.1, on="0_dnse/*").value(tree())
    with pytest.raises(ConfigError, match="kernel"):
        L1(0.1, on="kernel").add_gradient(tree(), tree())


def test_no_parameters_at_all_cost_nothing():
    for penalty in ALL:
        assert float(penalty.value({"0_relu": {}})) == 0
        assert penalty.gradient({"0_relu": {}}) == {"0_relu": {}}


# ------------------------------------------------------------------------------------ proximal step


@given(seed=seeds, step_size=st.floats(0.0, 4.0))
def test_the_soft_threshold_minimises_its_objective(seed, step_size):
    """shrink(v) = argmin_w ½ (w - v)² + η λ |w|: no other w on a fine grid is better."""
    v = np.asarray(tree(seed)["0_dense"]["W"])
    shrunk = np.asarray(L1(0.3, proximal=True).shrink({"W": v}, step_size)["W"])
    grid = np.linspace(-2, 2, 401)[:, None, None]

    def objective(w):
        return 0.5 * (w - v) ** 2 + step_size * 0.3 * np.abs(w)

    assert (objective(shrunk) <= objective(grid).min(axis=0) + 1e-6).all()
    assert (np.abs(shrunk) <= np.abs(v)).all()


def test_shrinking_by_hand_and_only_where_asked():
    params = {"W": jnp.array([1.0, -0.5, 0.1, -0.2]), "b": jnp.array([0.1])}
    for penalty in (L1(0.4, proximal=True), ElasticNet(0.4, 9.0, proximal=True)):
        shrunk = penalty.shrink(params, 0.5)
        np.testing.assert_allclose(shrunk["W"], [0.8, -0.3, 0, 0], atol=1e-7)
        np.testing.assert_array_equal(shrunk["b"], params["b"])
        step = jnp.float32(0.5)  # a learning rate from a schedule, inside a compiled step
        np.testing.assert_array_equal(jax.jit(penalty.shrink)(params, step)["W"], shrunk["W"])
    for penalty in (L2(0.4), L1(0.4), ElasticNet(0.4, 0.4)):
        assert penalty.shrink(params, 0.5)["W"] is params["W"]


def test_proximal_steps_end_at_the_lasso_solution_and_plain_ones_do_not():
    """½ (w - c)² + λ |w| has its minimum at the soft threshold of c; the small weights are exactly 0."""
    c, rate = jnp.array([2.0, -1.5, 0.3, -0.2, 0.05]), 0.1

    def train(penalty):
        def step(params, _):
            grads = penalty.add_gradient(params, {"W": params["W"] - c})
            return penalty.shrink({"W": params["W"] - rate * grads["W"]}, rate), None

        return np.asarray(jax.lax.scan(step, {"W": jnp.ones(5)}, length=400)[0]["W"])

    solution = np.array([1.5, -1.0, 0, 0, 0])
    proximal, plain = train(L1(0.5, proximal=True)), train(L1(0.5))
    np.testing.assert_allclose(proximal, solution, atol=1e-6)
    assert (proximal[2:] == 0).all()
    np.testing.assert_allclose(plain, solution, atol=0.1)
    assert (plain[2:] != 0).all()  # they jump back and forth around 0


def test_weight_decay_shifts_the_minimum_of_a_quadratic_as_theory_says():
    """E = ½ Σ h (w - w⁰)² + (λ/2) ‖w‖² is least at w⁰ h / (h + λ): flat directions shrink, none to exactly 0."""
    h, w0, strength = jnp.array([10.0, 1.0, 0.01]), jnp.array([1.0, -2.0, 3.0]), 0.5

    def step(params, _):
        grads = L2(strength).add_gradient(params, {"W": h * (params["W"] - w0)})
        return {"W": params["W"] - 0.1 * grads["W"]}, None

    w = np.asarray(jax.lax.scan(step, {"W": jnp.zeros(3)}, length=1000)[0]["W"])
    np.testing.assert_allclose(w, w0 * h / (h + strength), rtol=1e-4)
    assert 0 < w[2] < 0.1


def test_plain_descent_with_the_half_form_is_weight_decay():
    """W - η (g + λ W) = (1 - η λ) W - η g."""
    params, grads, rate, strength = tree(3), tree(4), 0.1, 0.25
    total = L2(strength).add_gradient(params, grads)["0_dense"]
    for name, decay in (("W", 1 - rate * strength), ("b", 1.0)):
        w, g = params["0_dense"][name], grads["0_dense"][name]
        np.testing.assert_allclose(w - rate * total[name], decay * w - rate * g, rtol=1e-5, atol=1e-6)


# ------------------------------------------------------------------------------- dtypes, descriptions


@pytest.mark.parametrize("penalty", ALL, ids=repr)
def test_dtypes_are_kept_and_values_summed_in_float32(penalty):
    params = jax.tree.map(lambda w: w.astype(jnp.bfloat16), tree())
    assert penalty.value(params).dtype == jnp.float32
    raised = jax.tree.map(lambda w: w.astype(jnp.float32), params)
    np.testing.assert_allclose(penalty.value(params), penalty.value(raised), rtol=1e-6)
    shrunk = penalty.shrink(params, jnp.float32(0.1))
    for result in (penalty.gradient(params), shrunk):
        assert {w.dtype for w in jax.tree.leaves(result)} == {jnp.dtype(jnp.bfloat16)}
    mixed = penalty.add_gradient(params, tree(1))
    assert {w.dtype for w in jax.tree.leaves(mixed)} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize(
    "make", [lambda s: L1(s), lambda s: L2(s), lambda s: ElasticNet(s, 0), lambda s: ElasticNet(0, s)]
)
def test_a_negative_strength_is_refused(make):
    with pytest.raises(ConfigError, match=r"0 or more, not -0\.5"):
        make(-0.5)
    assert float(make(0.0).value(tree())) == 0


@pytest.mark.parametrize("on", ["", 5, None])
def test_a_pattern_is_a_text(on):
    with pytest.raises(ConfigError, match=r"on must be a (pattern|text)"):
        L1(0.1, on=on)


@pytest.mark.parametrize("penalty", ALL, ids=repr)
def test_descriptions_print_and_come_back(penalty):
    assert eval(repr(penalty)) == penalty
    assert from_config(to_config(penalty), Penalty) == penalty


def test_all_penalties_are_here():
    own = {name for name, cls in registered(Penalty).items() if cls.__module__.startswith("denpa.")}
    assert {type(penalty).__name__ for penalty in ALL} == own
