# %% [markdown]
# # 8. Autoencoders
#
# An autoencoder is to give back what it is given, through a code that is too small for copying:
#
# $$h = f(x W_1 + b_1) \qquad y = h W_2 + b_2 \qquad E = \frac1N \sum_n \tfrac12 \lVert y_n - x_n \rVert^2$$
#
# Nobody tells it what a digit is; what the code keeps is what the images have in common.

# %%
import numpy as np

import denpa as dp

train, test = dp.datasets.load("digits")
x, held = (part.x.reshape(len(part), 64).astype("float32") / 16 for part in (train, test))


def error(model, images):
    return float(np.mean(np.sum((model.predict(images) - images) ** 2, axis=1)) / 2)


def fitted(code, epochs=40):
    net = dp.Sequential([dp.Dense(8), *code, dp.Dense(64)])
    model = dp.Model(net, dp.MeanSquaredError(), dp.Adam(5e-3))
    model.fit((x, x), epochs=epochs, batch_size=50, verbose=False)
    return model


# %% [markdown]
# ## A linear one finds the principal components
#
# Without activations the best that eight numbers can do is the projection on the eight principal components, and that
# is where training goes (Baldi and Hornik 1989).

# %%
linear = fitted([])
pca = dp.classical.pca(x, 8)
best = float(np.mean(np.sum((pca.reconstruct(x) - x) ** 2, axis=1)) / 2)
nothing = float(np.mean(np.sum((x.mean(axis=0) - x) ** 2, axis=1)) / 2)
print(f"error: mean image {nothing:.3f}, autoencoder {error(linear, x):.3f}, principal components {best:.3f}")
assert best * (1 - 1e-4) < error(linear, x) < 1.05 * best

# %% [markdown]
# Not only the error is nearly the same but the plane: what the decoder says lies in the span of the components; what
# of its first weights lies outside dies away slowly, for no gradient points there.

# %%
W = np.asarray(linear.variables.params["1_dense"]["W"])
inside = W @ pca.components @ pca.components.T
print(f"share of the decoder's weights inside: {np.sum(inside**2) / np.sum(W**2):.2f}")
assert np.sum(inside**2) > 0.7 * np.sum(W**2)

# %% [markdown]
# ## A sparse code
#
# A wide code could copy. With a price on its activity, $\beta \sum_j \mathrm{KL}(\rho \,\Vert\, \bar h_j)$, each unit
# is active for few images only.

# %%
net = dp.Sequential([dp.Dense(32), dp.Sigmoid(), dp.KLSparsity(0.1, 0.3), dp.Dense(64)])
sparse = dp.Model(net, dp.MeanSquaredError(), dp.Adam(5e-3))
history = sparse.fit((x, x), epochs=20, batch_size=100, verbose=False)
first = sparse.variables.params["0_dense"]
code = 1 / (1 + np.exp(-(x @ first["W"] + first["b"])))
print(f"mean activation {code.mean():.2f}; units of which an image wakes more than half: {np.mean(code > 0.5):.2f}")
assert 0.05 < code.mean() < 0.2

# %% [markdown]
# **Try it:** noise on the input only, which makes a denoising autoencoder; more code units; `dp.ActivityL1`.
