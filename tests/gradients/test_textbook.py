"""Formulas of the literature, worked out in NumPy, against what the walk finds.

Where a text writes a sample as a column, W[j, i] leading from unit i to unit j, the code has the transpose.
"""

from __future__ import annotations

import itertools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import denpa as dp

HALF = dp.MeanSquaredError()


def sigmoid(u):
    return 1 / (1 + np.exp(-u))


def softmax(u):
    powers = np.exp(u - u.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def random_params(net, in_shape, seed):
    """Asymmetric numbers everywhere, biases too."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), in_shape)).params
    return jax.tree.map(lambda leaf: rng.normal(0.1, 0.8, leaf.shape), shapes)


def traced(net, loss, params, x, t, **options):
    """The trace in float64, as NumPy arrays."""
    with jax.enable_x64(True):
        met = dp.trace(net, loss, dp.Variables(params, {}), x, t, **options)
        return jax.tree.map(np.asarray, met)


def slopes(energy, params, step=1e-5):
    """Central differences of a NumPy function of a list of arrays, which are changed in place and restored."""
    found = [np.zeros_like(p) for p in params]
    for p, slope in zip(params, found, strict=True):
        for index in np.ndindex(p.shape):
            kept = p[index]
            p[index] = kept + step
            ahead = energy()
            p[index] = kept - step
            slope[index] = (ahead - energy()) / (2 * step)
            p[index] = kept
    return found


def close(a, b, rtol=1e-9, atol=1e-12):
    jax.tree.map(lambda p, q: np.testing.assert_allclose(p, q, rtol=rtol, atol=atol), a, b)


# ----------------------------------------------------------------- the rule δ⁽ˡ⁾ = (W⁽ˡ⁺¹⁾ᵀ δ⁽ˡ⁺¹⁾) ⊙ f'(u⁽ˡ⁾)
def test_dy_of_an_affine_layer_is_the_delta_of_the_textbooks():
    """Sample by sample, in columns, with the weights transposed."""
    net = dp.Sequential([dp.Dense(4), dp.Tanh(), dp.Dense(3), dp.Sigmoid(), dp.Dense(2)])
    params = random_params(net, (5,), 0)
    rng = np.random.default_rng(1)
    x, t = rng.normal(size=(6, 5)), rng.normal(size=(6, 2))
    met = traced(net, HALF, params, x, t)
    W = [params[name]["W"].T for name in ("0_dense", "2_dense", "4_dense")]
    b = [params[name]["b"] for name in ("0_dense", "2_dense", "4_dense")]
    sums = [(np.zeros_like(w), np.zeros_like(v)) for w, v in zip(W, b, strict=True)]
    for n in range(6):
        u1 = W[0] @ x[n] + b[0]
        z1 = np.tanh(u1)
        u2 = W[1] @ z1 + b[1]
        z2 = sigmoid(u2)
        u3 = W[2] @ z2 + b[2]
        d3 = (u3 - t[n]) / 6  # the mean over the batch is taken once, in the loss
        d2 = (W[2].T @ d3) * z2 * (1 - z2)
        d1 = (W[1].T @ d2) * (1 - z1**2)
        for delta, name in ((d1, "0_dense"), (d2, "2_dense"), (d3, "4_dense")):
            close(met[name].dy[n], delta)
        close(met.dx[n], W[0].T @ d1)
        for (dW, db), delta, z in zip(sums, (d1, d2, d3), (x[n], z1, z2), strict=True):
            dW += np.outer(delta, z)  # ∂E_n/∂W = δ zᵀ
            db += delta
    for (dW, db), name in zip(sums, ("0_dense", "2_dense", "4_dense"), strict=True):
        close(met.grads[name], {"W": dW.T, "b": db})


def test_batch_form_with_relu_and_softmax():
    """δ₂ = y − d, dW₂ = z₁ᵀ δ₂, δ₁ = (δ₂ W₂ᵀ) ⊙ relu'(z₁), dW₁ = xᵀ δ₁, all over N."""
    net = dp.Sequential([dp.Dense(7), dp.ReLU(), dp.Dense(3)])
    params = random_params(net, (4,), 2)
    rng = np.random.default_rng(3)
    x, labels = rng.normal(size=(5, 4)), np.array([0, 2, 2, 1, 0])
    met = traced(net, dp.SoftmaxCrossEntropy(), params, x, labels)
    W1, b1, W2, b2 = (params[f"{i}_dense"][name] for i in (0, 2) for name in ("W", "b"))
    z1 = np.maximum(x @ W1 + b1, 0)
    delta2 = (softmax(z1 @ W2 + b2) - np.eye(3)[labels]) / 5
    delta1 = (delta2 @ W2.T) * (z1 > 0)
    close(met.grads["2_dense"], {"W": z1.T @ delta2, "b": delta2.sum(0)})
    close(met.grads["0_dense"], {"W": x.T @ delta1, "b": delta1.sum(0)})
    close(met["2_dense"].dy, delta2)
    close(met["0_dense"].dy, delta1)


def test_one_layer_is_the_delta_rule():
    """Widrow and Hoff: ΔW ∝ −(y − t) x."""
    net = dp.Sequential([dp.Dense(1)])
    params = random_params(net, (3,), 4)
    x, t = np.array([[0.3, -2.0, 1.1]]), np.array([[0.7]])
    met = traced(net, HALF, params, x, t)
    close(met.grads["0_dense"]["W"], (met.output - t) * x.T)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_gradient_of_a_batch_is_the_sum_or_mean_over_its_patterns(reduction):
    net = dp.Sequential([dp.Dense(3), dp.Tanh(), dp.Dense(2)])
    loss = dp.MeanSquaredError(reduction=reduction)
    params = random_params(net, (4,), 5)
    rng = np.random.default_rng(6)
    x, t = rng.normal(size=(5, 4)), rng.normal(size=(5, 2))
    whole = traced(net, loss, params, x, t)
    alone = [traced(net, loss, params, x[n : n + 1], t[n : n + 1]) for n in range(5)]
    total = jax.tree.map(lambda *g: sum(g) / (5 if reduction == "mean" else 1), *(step.grads for step in alone))
    close(whole.grads, total)


# ------------------------------------------------------------------- output units: the delta is output minus target
PAIRS = {
    "identity and half squared error": ([], HALF, lambda u: u),
    "sigmoid and binary cross-entropy": ([dp.Sigmoid()], dp.BinaryCrossEntropy(), sigmoid),
    "sigmoid inside the loss": ([], dp.SigmoidCrossEntropy(), sigmoid),
    "softmax and cross-entropy": ([dp.Softmax()], dp.CrossEntropy(), softmax),
    "softmax inside the loss": ([], dp.SoftmaxCrossEntropy(), softmax),
}


@pytest.mark.parametrize("pair", PAIRS)
@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_matched_pairs_have_the_delta_output_minus_target(pair, seed):
    end, loss, function = PAIRS[pair]
    net = dp.Sequential([dp.Dense(3), *end])
    params = random_params(net, (4,), seed)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(5, 4))
    t = softmax(rng.normal(size=(5, 3)))  # soft targets: distributions, and numbers between 0 and 1
    met = traced(net, loss, params, x, t)
    close(met["0_dense"].dy, (function(met["0_dense"].y) - t) / 5, 1e-9, 1e-11)


def test_the_delta_of_softmax_is_the_sum_over_all_outputs():
    """δ_k = Σ_r ∂E/∂y_r ∂y_r/∂u_k, ∂y_r/∂u_k = y_k (1 − y_k) for r = k and −y_r y_k for r ≠ k, any loss behind it."""
    net = dp.Sequential([dp.Dense(4), dp.Softmax()])
    params = random_params(net, (3,), 7)
    rng = np.random.default_rng(8)
    x, t = rng.normal(size=(2, 3)), rng.normal(size=(2, 4))
    for loss in (HALF, dp.CrossEntropy()):
        target = t if loss is HALF else np.abs(t)  # not summing to 1: δ_k = y_k Σ_r d_r − d_k
        met = traced(net, loss, params, x, target)
        y, dy = met.output, met["1_softmax"].dy
        for n, k in np.ndindex(2, 4):
            own = dy[n, k] * y[n, k] * (1 - y[n, k])
            others = sum(dy[n, r] * -y[n, r] * y[n, k] for r in range(4) if r != k)
            close(met["0_dense"].dy[n, k], own + others)
            if loss is not HALF:
                close(own + others, (y[n, k] * target[n].sum() - target[n, k]) / 2)


# ------------------------------------------------------------------------- a 12-3-2 network that tells C from T
def letters():
    """Two images of 4 × 3 pixels, a C and a T, and blurred copies."""
    c, t = np.array([0, 1, 1, 1, 0, 0, 1, 0, 0, 0, 1, 1.0]), np.array([1, 1, 1, 0, 1, 0, 0, 1, 0, 0, 1, 0.0])
    x = np.stack([c, t, 0.8 * c + 0.1, 0.7 * t + 0.2])
    return x, np.array([[1.0, 0], [0, 1], [1, 0], [0, 1]])


def test_the_47_slopes_of_the_12_3_2_network():
    net = dp.Sequential([("hidden", dp.ThresholdDense(3)), dp.Sigmoid(), ("out", dp.ThresholdDense(2)), dp.Sigmoid()])
    params = random_params(net, (12,), 9)
    x, t = letters()
    met = traced(net, dp.MeanSquaredError(reduction="sum"), params, x, t)
    wH, thH, wO, thO = params["hidden"]["W"], params["hidden"]["theta"], params["out"]["W"], params["out"]["theta"]

    def energy():
        h = sigmoid(x @ wH - thH)
        return 0.5 * np.sum((sigmoid(h @ wO - thO) - t) ** 2)

    close(met.loss, energy())
    formulas = [np.zeros_like(p) for p in (wO, thO, wH, thH)]
    dwO, dthO, dwH, dthH = formulas
    for xp, tp in zip(x, t, strict=True):
        h = sigmoid(xp @ wH - thH)
        z = sigmoid(h @ wO - thO)
        slope_o, slope_h = z * (1 - z), h * (1 - h)
        for j in range(2):
            for i in range(3):
                dwO[i, j] += (z[j] - tp[j]) * slope_o[j] * h[i]
            dthO[j] += -(z[j] - tp[j]) * slope_o[j]
        for i in range(3):
            back = ((z[0] - tp[0]) * slope_o[0] * wO[i, 0] + (z[1] - tp[1]) * slope_o[1] * wO[i, 1]) * slope_h[i]
            for p in range(12):
                dwH[p, i] += back * xp[p]
            dthH[i] += back * -1
    ours = [met.grads["out"]["W"], met.grads["out"]["theta"], met.grads["hidden"]["W"], met.grads["hidden"]["theta"]]
    assert [g.size for g in ours] == [6, 2, 36, 3]
    close(ours, formulas)
    close(ours, slopes(energy, [wO, thO, wH, thH]), 1e-6, 1e-8)


def test_the_slope_of_the_cross_entropy_is_not_that_of_the_squared_error():
    """With softmax and cross-entropy the output delta has no factor f': (z − t) f'(s) belongs to the squared error."""
    net = dp.Sequential([("out", dp.Dense(2))])
    params = random_params(net, (12,), 10)
    x, t = letters()
    met = traced(net, dp.SoftmaxCrossEntropy(reduction="sum"), params, x, t)
    W, b = params["out"]["W"], params["out"]["b"]

    def energy():
        return -np.sum(t * np.log(softmax(x @ W + b)))

    (numerical,) = slopes(energy, [W])
    close(met.grads["out"]["W"], numerical, 1e-6, 1e-8)
    z = softmax(x @ W + b)
    assert np.abs(x.T @ ((z - t) * z * (1 - z)) - numerical).max() > 0.1


# ---------------------------------------------------------------- one hidden layer: the formulas of the two steps
@pytest.mark.parametrize("hidden", ["sigmoid", "relu"])
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_one_hidden_layer_with_every_index_written_out(hidden, task):
    """l inputs, m hidden and n output units: δ⁽²⁾_k = y_k − d_k, then δ⁽¹⁾_j, then the four gradient matrices."""
    inputs, m, n = 4, 5, 3
    net = dp.Sequential([dp.Dense(m), dp.Sigmoid() if hidden == "sigmoid" else dp.ReLU(), dp.Dense(n)])
    params = random_params(net, (inputs,), 11)
    x = np.random.default_rng(12).normal(size=inputs)
    d = np.array([0.2, 0.5, 0.3])
    loss = HALF if task == "regression" else dp.SoftmaxCrossEntropy()
    met = traced(net, loss, params, x[None], d[None])
    w1, b1, w2, b2 = params["0_dense"]["W"].T, params["0_dense"]["b"], params["2_dense"]["W"].T, params["2_dense"]["b"]
    u1 = np.array([sum(w1[j, i] * x[i] for i in range(inputs)) + b1[j] for j in range(m)])
    y1 = sigmoid(u1) if hidden == "sigmoid" else np.maximum(u1, 0)
    u2 = np.array([sum(w2[k, j] * y1[j] for j in range(m)) + b2[k] for k in range(n)])
    y2 = u2 if task == "regression" else softmax(u2)
    for k in range(n):
        close(met["2_dense"].dy[0, k], y2[k] - d[k])
        close(met.grads["2_dense"]["b"][k], y2[k] - d[k])
        for j in range(m):
            close(met.grads["2_dense"]["W"][j, k], (y2[k] - d[k]) * y1[j])
    for j in range(m):
        back = sum((y2[r] - d[r]) * w2[r, j] for r in range(n))
        close(met["1_sigmoid" if hidden == "sigmoid" else "1_relu"].dy[0, j], back)  # ∂E/∂y_j before the activation
        slope = y1[j] * (1 - y1[j]) if hidden == "sigmoid" else float(u1[j] >= 0)
        close(met["0_dense"].dy[0, j], back * slope)
        close(met.grads["0_dense"]["b"][j], back * slope)
        for i in range(inputs):
            close(met.grads["0_dense"]["W"][i, j], back * slope * x[i])
    assert hidden == "sigmoid" or 0 < (u1 > 0).sum() < m  # both branches are met


# ------------------------------------------------------------------------------------------------ sums over paths
def test_the_sum_over_all_paths_is_what_the_recursion_finds():
    """∂L/∂h = Σ over paths from h to an output of the product of ∂h'/∂h along it: exponential, and the same number."""
    net = dp.Sequential(
        [dp.Dense(3), dp.Tanh(), dp.Dense(2), dp.Sigmoid(), dp.Dense(3), dp.Tanh(), dp.Dense(2), dp.Sigmoid()]
    )
    params = random_params(net, (2,), 13)
    rng = np.random.default_rng(14)
    x, t = rng.normal(size=(1, 2)), rng.normal(size=(1, 2))
    met = traced(net, HALF, params, x, t)
    dense, acts = ["0_dense", "2_dense", "4_dense", "6_dense"], ["1_tanh", "3_sigmoid", "5_tanh", "7_sigmoid"]
    W = [params[name]["W"] for name in dense]
    h = [met[name].y[0] for name in acts]
    slope = [1 - h[0] ** 2, h[1] * (1 - h[1]), 1 - h[2] ** 2, h[3] * (1 - h[3])]
    output_delta = h[-1] - t[0]
    sizes = [3, 2, 3, 2]
    counted = 0
    for layer in range(4):
        for unit, source in np.ndindex(sizes[layer], W[layer].shape[0]):
            total = 0.0
            for path in itertools.product(*(range(size) for size in sizes[layer + 1 :])):
                product, at = 1.0, unit
                for depth, to in enumerate(path, layer + 1):
                    product *= slope[depth][to] * W[depth][at, to]
                    at = to
                total += output_delta[at] * product
                counted += 1
            below = x[0] if layer == 0 else h[layer - 1]
            close(met[acts[layer]].dy[0, unit], total)  # Δ(h, o) = ∂L/∂h, the derivative by the unit's OUTPUT
            close(met[dense[layer]].dy[0, unit], total * slope[layer][unit])  # δ = Δ f'(a), by its INPUT
            close(met.grads[dense[layer]]["W"][source, unit], total * slope[layer][unit] * below[source])
    assert counted == 6 * 12 + 6 * 6 + 6 * 2 + 6


def test_a_chain_of_single_units_is_one_product():
    net = dp.Sequential([layer for _ in range(4) for layer in (dp.Dense(1, use_bias=False), dp.Tanh())])
    params = random_params(net, (1,), 15)
    x, t = np.array([[0.7]]), np.array([[-0.4]])
    met = traced(net, HALF, params, x, t)
    w = [params[f"{2 * r}_dense"]["W"].item() for r in range(4)]
    h = [met[f"{2 * r + 1}_tanh"].y.item() for r in range(4)]
    for r in range(4):
        product = np.prod([(1 - h[i + 1] ** 2) * w[i + 1] for i in range(r, 3)])  # 1 where empty
        expected = (h[3] - t.item()) * product * (1 - h[r] ** 2) * (x.item() if r == 0 else h[r - 1])
        close(met.grads[f"{2 * r}_dense"]["W"].item(), expected)


# --------------------------------------------------------------------------------------- differentials and limits
def test_the_gradient_is_the_total_differential():
    """dE = Σ ∂E/∂w dw over all parameters and inputs, to first order."""
    net = dp.Sequential([dp.Dense(4), dp.Tanh(), dp.Dense(3), dp.Softmax(), dp.Dense(2)])
    params = random_params(net, (3,), 16)
    rng = np.random.default_rng(17)
    x, t = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    here = traced(net, HALF, params, x, t)
    towards = jax.tree.map(lambda a: rng.normal(size=a.shape), (params, x))
    slope = sum(
        np.sum(g * d) for g, d in zip(jax.tree.leaves((here.grads, here.dx)), jax.tree.leaves(towards), strict=True)
    )
    quotients = []
    for h in (1e-3, 5e-4):
        p, moved = jax.tree.map(lambda a, d, h=h: a + h * d, (params, x), towards)
        quotients.append((traced(net, HALF, p, moved, t).loss - here.loss) / h)
    # The one-sided quotient is off by a term proportional to h: halving h halves the error.
    np.testing.assert_allclose((quotients[0] - slope) / (quotients[1] - slope), 2, rtol=0.02)


@pytest.mark.parametrize(("activation", "largest"), [(dp.Sigmoid(), 0.25), (dp.Tanh(), 1.0)])
def test_deltas_vanish_with_depth(activation, largest):
    """In a chain |∂E/∂x| ≤ |δ| Π |w| max|f'|; for the sigmoid each layer takes a factor 4 at least where |w| ≤ 1."""
    depth = 12
    net = dp.Sequential([layer for _ in range(depth) for layer in (dp.Dense(1), activation)])
    params = random_params(net, (1,), 18)
    params = {name: jax.tree.map(lambda a: np.clip(a, -1, 1), p) for name, p in params.items()}
    met = traced(net, HALF, params, np.array([[0.3]]), np.array([[2.0]]))
    names = [name for name in met if "dense" in name]
    deltas = [abs(met[name].dy.item()) for name in names]
    bound = abs(met.output.item() - 2.0)
    for delta, name in zip(reversed(deltas), reversed(names), strict=True):
        bound *= largest
        assert 0 < delta <= bound * (1 + 1e-12)
        bound *= abs(params[name]["W"].item())
    if largest < 1:
        assert deltas[0] < 0.25 ** (depth - 1) * deltas[-1]


def test_a_skip_keeps_the_delta_alive():
    """y = x + f(x): a path whose factor is 1 leads past every layer."""

    def net_of(skip):
        x = h = dp.Input()
        for index in range(12):
            block = dp.Sigmoid()(dp.Dense(1)(h, name=f"w{index:02}"), name=f"f{index:02}")
            h = dp.Add()(h, block, name=f"add{index:02}") if skip else block
        return dp.Graph(x, h)

    deltas = {}
    for skip in (False, True):
        net = net_of(skip)
        params = random_params(net, (1,), 19)
        deltas[skip] = abs(traced(net, HALF, params, np.array([[0.3]]), np.array([[50.0]])).dx.item())
    assert deltas[False] < 1e-6
    assert deltas[True] > 1
