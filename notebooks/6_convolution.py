# %% [markdown]
# # 6. Convolution
#
# A convolutional layer looks at a small window of the image, with the same weights wherever the window lies:
#
# $$y_{ijm} = b_m + \sum_{p, q, k} x_{i s + p,\, j s + q,\, k}\; W_{pqkm}$$
#
# So a figure that moves by a pixel makes its trace move by a pixel, and a layer has as many weights as a window, not as
# an image.

# %%
import jax
import jax.numpy as jnp
import numpy as np

import denpa as dp
from denpa.lab import receptive_field

train, test = dp.datasets.load("digits")
image = jnp.asarray(train.x[:1] / 16, jnp.float32)

# %% [markdown]
# ## By hand
#
# A window is a row of `im2col`; then the convolution is a single matrix product.

# %%
layer = dp.Conv2d(4, 3)
params = layer.init(jax.random.key(0), (8, 8, 1))
y, _ = layer.forward(params, image)
windows = dp.im2col(image, 3)
print("image", image.shape, "windows", windows.shape, "maps", y.shape)
by_hand = windows.reshape(36, 9) @ params["W"].reshape(9, 4) + params["b"]
np.testing.assert_allclose(y.reshape(36, 4), by_hand, atol=1e-5)

# %% [markdown]
# ## Shift in, shift out

# %%
moved, _ = layer.forward(params, jnp.roll(image, 1, axis=2))
np.testing.assert_allclose(moved[:, :, 1:], y[:, :, :-1], atol=1e-5)

# %% [markdown]
# ## A network for digits

# %%
net = dp.Sequential([dp.Conv2d(12, 3), dp.ReLU(), dp.MaxPool2d(2), dp.Flatten(), dp.Dense(10)])
model = dp.Model(net, dp.SoftmaxCrossEntropy(), dp.Adam(5e-3), [dp.Accuracy()], normalizer=dp.ScaleImages(16))
model.fit(train, epochs=6, batch_size=50, verbose=False)
print(model.summary())
measured = model.evaluate(test)
print(measured)
assert measured["accuracy"] > 0.92

# %% [markdown]
# ## What a unit sees
#
# Each unit behind the pooling sees more of the image than the nine places of a window:

# %%
field = receptive_field(net, (8, 8, 1), "2_maxpool2d", unit=(1, 1))
print(field)
assert field.size == (4, 4)

# %% [markdown]
# **Try it:** `dp.AveragePool2d(2)`; `stride=2` in the place of pooling; `denpa train digits-conv` keeps pictures of
# filters, maps and mistakes in its run folder.
