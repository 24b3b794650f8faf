# %% [markdown]
# # 1. A first network
#
# A network is a description: layers one after another, no numbers. `Model` holds its numbers, with the loss that is
# to become small and the optimiser that makes it small.
#
# $$E = \frac1N \sum_n -\log p_{n, t_n}, \qquad p_{nk} = \frac{e^{y_{nk}}}{\sum_j e^{y_{nj}}}$$
#
# is the cross-entropy of softmax probabilities: what a network pays for the class $t_n$ that it should have said.

# %%
import numpy as np

import denpa as dp

digits = dp.datasets.load("digits")
print(digits.train, digits.test, sep="\n")

# %% [markdown]
# Every image has 8 × 8 pixels from 0 to 16. A hidden layer of 32 units, then an output for each of the ten digits:

# %%
net = dp.Sequential([dp.Flatten(), dp.Dense(32), dp.ReLU(), dp.Dense(10)])
model = dp.Model(
    net,
    loss=dp.SoftmaxCrossEntropy(),
    optimizer=dp.SGD(0.1),
    metrics=[dp.Accuracy()],
    normalizer=dp.ScaleImages(16),
    seed=0,
)
history = model.fit(digits.train, validation=0.1, epochs=15, verbose=False)
print(model.summary())

# %%
history.plot()

# %% [markdown]
# The test images were never looked at:

# %%
measured = model.evaluate(digits.test)
print(measured)
assert measured["accuracy"] > 0.9

# %% [markdown]
# What does it answer, and how sure is it?

# %%
x, t = digits.test.x[:5], digits.test.t[:5]
probabilities = model.predict_probabilities(x)
for p, true in zip(probabilities, t, strict=True):
    print(f"a {true}: taken for {p.argmax()} with probability {p.max():.2f}")
np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)

# %% [markdown]
# **Try it:** another number of units; `dp.Tanh()` in the place of `dp.ReLU()`; `dp.Adam(1e-3)`; no hidden layer at all.
