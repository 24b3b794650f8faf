"""Training against a loop written out in NumPy over the very same batches, in float64."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import denpa as dp
from denpa.training.batches import BatchPlan
from tests.training.common import DATA, NET, RAGGED, model

N = 23
X, T = RAGGED[0].astype(np.float64), RAGGED[1]


def softmax(u):
    powers = np.exp(u - u.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def gradients(p, x, t, weight):
    """Loss and gradients of the network tanh(x W₀ + b₀) W₂ + b₂ under softmax and cross-entropy."""
    z = np.tanh(x @ p["W0"] + p["b0"])
    y = softmax(z @ p["W2"] + p["b2"])
    w = weight / weight.sum()
    delta2 = (y - np.eye(3)[t]) * w[:, None]
    delta1 = (delta2 @ p["W2"].T) * (1 - z**2)
    losses = -np.log(y[np.arange(len(t)), t])
    grads = {"W0": x.T @ delta1, "b0": delta1.sum(0), "W2": z.T @ delta2, "b2": delta2.sum(0)}
    return weight @ losses, grads


def by_hand(params, plan, epochs, *, rate=0.1, momentum=0.0, look_ahead=False, decay=0.0, weight=None):
    p = {f"{name}{i}": np.array(params[f"{i}_dense"][name]) for i in (0, 2) for name in ("W", "b")}
    weight = np.ones(plan.examples) if weight is None else weight
    velocity = {name: np.zeros_like(a) for name, a in p.items()}
    reported = []
    for epoch in range(epochs):
        total, mass, penalties = 0.0, 0.0, []
        batches = [*plan.batches(epoch), *([plan.last(epoch)[0]] if plan.rest else [])]
        for chosen in batches:
            at = {name: a + momentum * velocity[name] for name, a in p.items()} if look_ahead else p
            loss, grads = gradients(at, X[chosen], T[chosen], weight[chosen])
            total, mass = total + loss, mass + weight[chosen].sum()
            penalties.append(decay / 2 * sum(np.sum(p[name] ** 2) for name in ("W0", "W2")))
            for name in ("W0", "W2"):
                grads[name] = grads[name] + decay * at[name]
            for name in p:
                velocity[name] = momentum * velocity[name] - rate * grads[name]
                p[name] = p[name] + velocity[name]
        reported.append(total / mass + np.mean(penalties))
    return p, reported


@pytest.mark.parametrize(
    ("options", "fit", "hand"),
    [
        ({}, {"batch_size": 5}, {}),
        ({}, {"batch_size": 1}, {}),
        ({}, {"batch_size": "full"}, {}),
        ({}, {"batch_size": 5, "shuffle": False}, {}),
        ({}, {"batch_size": 5, "replacement": True}, {}),
        ({}, {"batch_size": 5, "weighted": True}, {}),
        ({"penalty": dp.L2(0.3)}, {"batch_size": 5}, {"decay": 0.3}),
        ({"optimizer": dp.Momentum(0.1, 0.8)}, {"batch_size": 5}, {"momentum": 0.8}),
        (
            {"optimizer": dp.Nesterov(0.1, 0.8, lookahead=True), "penalty": dp.L2(0.3)},
            {"batch_size": 5},
            {"momentum": 0.8, "look_ahead": True, "decay": 0.3},
        ),
    ],
    ids=["mini", "online", "full", "unshuffled", "replacement", "weights", "decay", "momentum", "nesterov"],
)
def test_every_update_is_the_one_written_out(options, fit, hand):
    weight = np.random.default_rng(3).uniform(0.1, 2, N) if fit.pop("weighted", False) else None
    size = {"full": N}.get(fit["batch_size"], fit["batch_size"])
    plan = BatchPlan(N, size, 0, fit.get("shuffle", True), fit.get("replacement", False))
    with jax.enable_x64(True):
        trained = model(NET, in_shape=(4,), **options)
        start = jax.tree.map(np.asarray, trained.variables.params)
        history = trained.fit((X, T) if weight is None else (X, T, weight), epochs=3, verbose=False, **fit)
        params, reported = by_hand(start, plan, 3, weight=weight, **hand)
        for i in (0, 2):
            for name in ("W", "b"):
                found = np.asarray(trained.variables.params[f"{i}_dense"][name])
                assert found.dtype == np.float64
                np.testing.assert_allclose(found, params[f"{name}{i}"], rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(history["loss"], reported, rtol=1e-10)
        assert trained.steps == int(trained.run.step) == 3 * plan.steps


def test_a_smaller_last_batch_counts_by_its_size():
    """Learning rate tending to 0: the loss of an epoch is the mean over the examples, not over the batches."""
    frozen = model(optimizer=dp.SGD(1e-12))
    history = frozen.fit(RAGGED, epochs=1, verbose=False, batch_size=20)  # batches of 20 and 3
    found = frozen.evaluate(RAGGED)
    np.testing.assert_allclose(history["loss"][0], found["loss"], rtol=1e-6)
    np.testing.assert_allclose(history["accuracy"][0], found["accuracy"], rtol=1e-6)


@pytest.mark.parametrize(
    "optimizer",
    [
        dp.SGD(0.1),
        dp.Momentum(0.01),
        dp.Momentum(0.1, normalized=True),
        dp.Nesterov(0.01),
        dp.Nesterov(0.1, normalized=True),
        dp.AdaGrad(0.3),
        dp.RMSprop(0.001, momentum=0.9),
        dp.RMSprop(0.01, momentum=0.5, epsilon=1e-3, epsilon_inside=False),
        dp.Adadelta(),
        dp.Adam(0.01),
        dp.AdamW(0.01, weight_decay=0.0),
        dp.chain(dp.ClipByNorm(5.0), dp.Momentum(0.01)),
        dp.ParameterGroups(dp.Adam(0.02), {"*/W": 0.5}),
    ],
    ids=repr,
)
def test_proximal_steps_of_every_optimiser_end_at_the_minimum_of_the_lasso(optimizer):
    """E + R is least where coordinate descent finds it, with the same weights exactly 0."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 8)).astype(np.float32)
    t = x @ np.array([2, -1.5, 0.8, 0.25, 0, 0, 0, 0.1]) + 0.3 * rng.normal(size=60) + 0.7
    for penalty, exact in (
        (dp.L1(0.3, proximal=True), dp.classical.lasso(x, t, 0.3)),
        (dp.ElasticNet(0.3, 0.2, proximal=True), dp.classical.elastic_net(x, t, 0.3, 0.2)),
    ):
        trained = dp.Model([dp.Dense(1)], dp.MeanSquaredError(), optimizer, penalty=penalty)
        trained.fit((x, t.astype(np.float32)[:, None]), epochs=3000, batch_size="full", verbose=False)
        W = np.asarray(trained.variables.params["0_dense"]["W"])[:, 0]
        np.testing.assert_allclose(W, exact.W, atol=2e-4)
        np.testing.assert_array_equal(W == 0, exact.W == 0)


def test_the_proximal_step_of_each_member_is_that_of_its_optimiser():
    """Members that differ in rate or momentum come to the minimum that each comes to alone."""
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    t = x @ np.float32([[1.0], [-0.5], [0.1]])
    exact = dp.classical.lasso(x, t[:, 0], 0.2)
    alone = dp.Model([dp.Dense(1)], dp.MeanSquaredError(), dp.Momentum(0.01), penalty=dp.L1(0.2, proximal=True))
    over = {"optimizer.learning_rate": [0.01, 0.02], "optimizer.momentum": [0.9, 0.5]}
    swept = dp.sweep(alone, (x, t), over, epochs=1000, batch_size="full", verbose=False)
    for trained in swept.models:
        W = np.asarray(trained.variables.params["0_dense"]["W"])[:, 0]
        np.testing.assert_allclose(W, exact.W, atol=1e-5)
        np.testing.assert_array_equal(W == 0, exact.W == 0)


def test_the_proximal_step_makes_exact_zeros():
    """w ← S(w − η g, η λ), and nothing else; the sub-gradient never gets there."""
    x = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    t = x[:, :1] * 2 - x[:, 1:2]  # four of the six inputs say nothing
    zeros = {}
    for proximal in (True, False):
        trained = dp.Model([dp.Dense(1)], dp.MeanSquaredError(), dp.SGD(0.1), penalty=dp.L1(0.1, proximal=proximal))
        history = trained.fit((x, t), epochs=100, batch_size="full", verbose=False)
        W = np.asarray(trained.variables.params["0_dense"]["W"])[:, 0]
        zeros[proximal] = int((W == 0).sum())
        np.testing.assert_allclose(history["penalty"][-1], 0.1 * np.abs(W).sum(), rtol=0.02)
    assert zeros == {True: 4, False: 0}
    # One step by hand.
    trained = dp.Model([dp.Dense(1)], dp.MeanSquaredError(), dp.SGD(0.1), penalty=dp.L1(2.0, proximal=True), in_shape=6)
    W, b = (np.asarray(trained.variables.params["0_dense"][name], np.float64) for name in ("W", "b"))
    trained.fit((x, t), epochs=1, batch_size="full", verbose=False)
    moved = W - 0.1 * x.T @ (x @ W + b - t) / 40
    expected = np.sign(moved) * np.maximum(np.abs(moved) - 0.2, 0)
    np.testing.assert_allclose(trained.variables.params["0_dense"]["W"], expected, atol=1e-6)


def test_objective_and_penalty_are_listed():
    """loss = data loss + penalty, at the parameters before each update."""
    trained = model(penalty=dp.L2(0.5), in_shape=(4,))
    before = trained.evaluate(DATA)
    W = [np.asarray(trained.variables.params[name]["W"], np.float64) for name in ("0_dense", "2_dense")]
    np.testing.assert_allclose(before["penalty"], 0.25 * sum(np.sum(w**2) for w in W), rtol=1e-6)
    row = trained.fit(DATA, epochs=1, batch_size="full", verbose=False).epochs[0]
    np.testing.assert_allclose(
        [row[n] for n in ("loss", "penalty")], [before[n] for n in ("loss", "penalty")], rtol=1e-6
    )
    bare = model(in_shape=(4,)).evaluate(DATA)
    np.testing.assert_allclose(row["loss"] - row["penalty"], bare["loss"], rtol=1e-5)
    assert "penalty" not in bare


def test_weight_decay_finds_the_shrunken_minimum():
    """On E = ½ Σ h_i (w_i − w⁰_i)² the minimum of E + (α/2)‖w‖² is w⁰_i h_i / (h_i + α)."""
    h, w0, alpha = np.array([10.0, 1.0, 0.01]), np.array([1.5, -2.0, 3.0]), 0.5
    x = np.diag(np.sqrt(3 * h)).astype(np.float32)  # mean over 3 samples of ½ 3 h_i (w_i − w⁰_i)²
    t = (x @ w0)[:, None].astype(np.float32)
    net = [dp.Dense(1, use_bias=False)]
    trained = dp.Model(net, dp.MeanSquaredError(), dp.SGD(0.15), penalty=dp.L2(alpha))
    trained.fit((x, t), epochs=400, batch_size="full", verbose=False)
    found = np.asarray(trained.variables.params["0_dense"]["W"])[:, 0]
    np.testing.assert_allclose(found, w0 * h / (h + alpha), rtol=1e-4)
    assert abs(found[0] - w0[0]) < 0.1
    assert abs(found[2]) < 0.07
