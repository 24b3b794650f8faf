# %% [markdown]
# # 4. Where to start: initial weights
#
# A unit adds up $n$ inputs, $u = \sum_i w_i x_i$. With independent weights of variance $s^2$ the variance of $u$ is
# $n s^2$ times the mean square of the inputs. In a deep network that factor acts once for every layer: above 1 the
# signal explodes, below 1 it dies, and so do the deltas on their way back.

# %%
import jax
import numpy as np

import denpa as dp

x = np.random.default_rng(0).normal(size=(200, 100)).astype("float32")


def deviations(activation, start):
    """Standard deviation of what each of five layers gives, before any training."""
    net = dp.Sequential([layer for _ in range(5) for layer in (dp.Dense(100, kernel_init=start), activation)])
    params, z, found = net.init(jax.random.key(0), (100,)).params, x, []
    for name, layer in net.inner():
        z, _ = layer.forward(params.get(name, {}), z)
        found += [float(np.std(z))] if layer == activation else []
    return np.array(found)


def row(name, found):
    """A line with one deviation for each of the five layers."""
    return f"{name:8}" + "".join(f"{deviation:9.3g}" for deviation in found)


# %% [markdown]
# ## ReLU
#
# A ReLU keeps half of the mean square, so $s^2 = 2/n$ keeps the signal (He et al. 2015); with $s = 1$ it grows by
# $\sqrt{n/2} \approx 7$ at each layer, with $1/\sqrt{n}$ it loses $\sqrt 2$.

# %%
relu = {
    name: deviations(dp.ReLU(), start)
    for name, start in {"N(0, 1)": dp.init.Normal(1.0), "He": dp.init.He(), "LeCun": dp.init.LeCun()}.items()
}
for name, found in relu.items():
    print(row(name, found))
assert relu["N(0, 1)"][4] > 1000 * relu["N(0, 1)"][0]
assert 0.5 < relu["He"][4] / relu["He"][0] < 2
assert relu["LeCun"][4] < 0.5 * relu["LeCun"][0]

# %% [markdown]
# ## Sigmoid
#
# With $s = 1$ the units are saturated: most outputs lie near 0 or 1, where the slope $z (1 - z)$ is nearly nothing.
# With $s^2 = 1/n$ (Xavier's weights, in LeCun's form) they stay on the slope.

# %%
sigmoid = {
    name: deviations(dp.Sigmoid(), start)
    for name, start in {"N(0, 1)": dp.init.Normal(1.0), "LeCun": dp.init.LeCun()}.items()
}
for name, found in sigmoid.items():
    print(row(name, found))
assert sigmoid["N(0, 1)"].min() > 0.35  # 0.5 would be nothing but zeros and ones
assert sigmoid["LeCun"].max() < 0.25

# %% [markdown]
# ## Too small
#
# With $s = 0.01$ every unit of a layer says nearly the same, 0.5, whatever the image: nothing to learn from, and
# such a network takes long to begin.

# %%
small = deviations(dp.Sigmoid(), dp.init.Normal(0.01))
print(row("0.01", small))
assert small[1:].max() < 0.02

# %% [markdown]
# **Try it:** `dp.Tanh()`; `dp.init.Orthogonal()`; `dp.BatchNorm()` behind every dense layer, which mends bad starts.
# `denpa lab run activation-and-initialisation` shows all four combinations; `denpa.lab.diagnose(model, data)` finds bad
# starts of a network of your own.
