# %% [markdown]
# # 2. Back-propagation, opened
#
# The error depends on a weight through the total input $u$ of its unit only. With the **delta**
# $\delta = \partial E / \partial u$ the gradient is the delta times what came in:
#
# $$u = x W + b \qquad \frac{\partial E}{\partial W} = x^{\mathsf T} \delta \qquad
# \frac{\partial E}{\partial b} = \sum_n \delta_n \qquad \frac{\partial E}{\partial x} = \delta\, W^{\mathsf T}$$
#
# `trace` shows all of it, layer by layer; below, every number is computed a second time by hand.

# %%
import jax
import numpy as np

import denpa as dp

rng = np.random.default_rng(0)
x, t = rng.normal(size=(4, 3)).astype("float32"), np.array([0, 1, 1, 0])

net = dp.Sequential([dp.Dense(5), dp.Tanh(), dp.Dense(2)])
loss = dp.SoftmaxCrossEntropy()
variables = net.init(jax.random.key(0), (3,))
trace = dp.trace(net, loss, variables, x, t)
print(trace)

# %% [markdown]
# ## Forward

# %%
first, second = variables.params["0_dense"], variables.params["2_dense"]
u1 = x @ first["W"] + first["b"]
z1 = np.tanh(u1)
u2 = z1 @ second["W"] + second["b"]
np.testing.assert_allclose(trace["0_dense"].y, u1, rtol=1e-5)
np.testing.assert_allclose(trace["2_dense"].y, u2, rtol=1e-4, atol=1e-6)

# %% [markdown]
# ## The output delta
#
# Softmax and cross-entropy together leave the difference between what was said and what should have been said,
# $\delta = (p - t) / N$:

# %%
p = np.exp(u2) / np.exp(u2).sum(axis=1, keepdims=True)
delta2 = (p - np.eye(2)[t]) / len(t)
np.testing.assert_allclose(trace["2_dense"].dy, delta2, rtol=1e-4, atol=1e-6)
print(delta2)

# %% [markdown]
# ## Back to the hidden layer
#
# $$\delta^{(1)} = \delta^{(2)} W^{(2)\mathsf T} \odot f'(u^{(1)}), \qquad \tanh' = 1 - \tanh^2$$

# %%
delta1 = delta2 @ np.asarray(second["W"]).T * (1 - z1**2)
np.testing.assert_allclose(trace["0_dense"].dy, delta1, rtol=1e-4, atol=1e-6)

# %% [markdown]
# ## The gradients

# %%
np.testing.assert_allclose(trace["2_dense"].grads["W"], z1.T @ delta2, rtol=1e-4, atol=1e-6)
np.testing.assert_allclose(trace["0_dense"].grads["W"], x.T @ delta1, rtol=1e-4, atol=1e-6)
np.testing.assert_allclose(trace["0_dense"].grads["b"], delta1.sum(axis=0), rtol=1e-4, atol=1e-6)

# %% [markdown]
# ## Is it true?
#
# A derivative is a limit of differences:
#
# $$\frac{\partial E}{\partial w} \approx \frac{E(w + \epsilon) - E(w - \epsilon)}{2 \epsilon},$$
#
# two evaluations of the network for every weight. Back-propagation gives all of them for the price of two
# or three. (`dp.testing.check_gradients` does this, and more, for any network.)

# %%
W1, b1, W2, b2 = (np.asarray(a, np.float64) for a in (first["W"], first["b"], second["W"], second["b"]))


def error(W1):
    u2 = np.tanh(x @ W1 + b1) @ W2 + b2
    return np.mean(np.log(np.exp(u2).sum(axis=1)) - u2[np.arange(4), t])


numerical = np.zeros_like(W1)
for place in np.ndindex(W1.shape):
    step = np.zeros_like(W1)
    step[place] = 1e-5
    numerical[place] = (error(W1 + step) - error(W1 - step)) / 2e-5
print("largest difference:", np.abs(numerical - trace["0_dense"].grads["W"]).max())
np.testing.assert_allclose(trace["0_dense"].grads["W"], numerical, rtol=1e-4, atol=1e-6)

# %% [markdown]
# **Try it:** `dp.Sigmoid()`, whose derivative is $z (1 - z)$; `dp.MeanSquaredError()` with targets of your own;
# `denpa worksheet` writes the same derivation on paper.
