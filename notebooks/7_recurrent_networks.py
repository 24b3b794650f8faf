# %% [markdown]
# # 7. Recurrent networks
#
# A recurrent layer reads a sequence step by step and carries what it needs of the past:
#
# $$h^t = \tanh(x^t W_x + h^{t-1} W_h + b)$$
#
# The same weights serve every step. Unfolded in time this is a deep network, and the deltas are passed backward
# through it:
# $\delta^{t-1} = (\delta^t W_h^{\mathsf T} + \ldots) \odot f'$, a product of as many matrices as there are steps.

# %%
import numpy as np

import denpa as dp

rng = np.random.default_rng(0)

# %% [markdown]
# ## Slopes that vanish, slopes that explode
#
# The slope of a state with respect to one $k$ steps before is the product of $k$ matrices
# $\mathrm{diag}(1 - h^2)\, W_h^{\mathsf T}$. How large it is depends on how large the recurrent weights are, and hardly
# ever is it about 1:

# %%
units, steps = 50, 100
slopes = {}
for gain in (0.5, 1.0, 1.5, 3.0):
    Wh = gain * rng.normal(size=(units, units)) / np.sqrt(units)
    h, product = rng.normal(size=units), np.eye(units)
    for _ in range(steps):
        h = np.tanh(h @ Wh)
        product = product @ (Wh * (1 - h**2))
    slopes[gain] = np.linalg.norm(product, 2)
    print(f"weights N(0, {gain:.1f}²/{units}): largest slope over {steps} steps {slopes[gain]:.0e}")
assert slopes[0.5] < 1e-20
assert slopes[3.0] > 1e6

# %% [markdown]
# ## Remembering
#
# The first entry decides the class, and noise follows. The cell of an LSTM, $c^t = f^t \odot c^{t-1} + i^t \odot
# g^t$, is a conveyor belt: with an open forget gate what lies on it stays.

# %%
n, length = 384, 12
symbols = rng.integers(0, 2, n)
x = 0.3 * rng.normal(size=(n, length, 2)).astype("float32")
x[np.arange(n), 0, symbols] += 2
model = dp.Model([dp.LSTM(16), dp.Dense(2)], dp.SoftmaxCrossEntropy(), dp.Adam(0.02), [dp.Accuracy()])
history = model.fit((x, symbols), epochs=12, verbose=False)
print(history)
assert history["accuracy"][-1] > 0.95

# %% [markdown]
# **Try it:** `dp.GRU(16)`; `dp.RNN(16)` on longer sequences; sequences of different lengths with `dp.Padded`.
