# %% [markdown]
# # 3. Optimisers and landscapes
#
# Gradient descent walks against the slope, $\Delta w = -\eta \nabla E$. Whatever else there is was invented for a
# trouble of it, and each trouble has a surface of two weights that shows it.

# %%
import numpy as np

import denpa as dp
from denpa.lab.figures import loss_surface_picture, paths_picture
from denpa.lab.landscapes import Cliff, Saddle, Valley, trajectory
from denpa.lab.loss_surface import loss_surface, principal_directions

# %% [markdown]
# ## A valley
#
# $E = (w_1^2 + 25 w_2^2)/2$: the walls allow $\eta < 2/25$ and no more, and with that the floor takes long. Momentum,
# $\Delta w_t = \mu \Delta w_{t-1} - (1 - \mu)\, \eta\, \nabla E$, cancels what points to and fro.

# %%
valley = Valley()
paths = {
    "sgd": trajectory(valley, dp.SGD(0.079), steps=50),
    "momentum": trajectory(valley, dp.Momentum(0.079, 0.5, normalized=True), steps=50),
}
errors = {name: float(valley.value(path[-1])) for name, path in paths.items()}
print(*(f"{name}: {error:.4f}" for name, error in errors.items()), sep="\n")
assert errors["momentum"] < errors["sgd"] / 50

# %%
paths_picture(valley, paths)

# %% [markdown]
# ## A cliff
#
# One step on a wall of slope 1000 throws the weights away; clipping keeps the direction and bounds the length.

# %%
clipped = dp.chain(dp.ClipByNorm(1.0), dp.SGD(0.1))
for name, optimizer in {"sgd": dp.SGD(0.1), "clipped": clipped}.items():
    print(name, trajectory(Cliff(), optimizer, steps=1)[1])
assert abs(trajectory(Cliff(), clipped, steps=1)[1, 0]) < 1

# %% [markdown]
# ## A saddle
#
# Near it there is hardly a slope. From $w_2 = 10^{-3}$ the way out grows by a factor $1 + \eta$ at a step, with
# momentum by more. Who starts on the ridge itself stays for ever, unless noise, such as that of mini-batches, kicks
# it off.

# %%
escape = {
    name: int(np.argmax(np.abs(trajectory(Saddle(), optimizer, steps=100)[:, 1]) > 1))
    for name, optimizer in {"sgd": dp.SGD(0.1), "momentum": dp.Momentum(0.1, 0.8)}.items()
}
print("steps until |w2| > 1:", escape)
assert escape["momentum"] < escape["sgd"] / 2
assert trajectory(Saddle(), dp.SGD(0.1), (1.0, 0.0), 100)[-1, 1] == 0
assert abs(trajectory(Saddle(), dp.SGD(0.1), (1.0, 0.0), 100, noise=0.01)[-1, 1]) > 0.5

# %% [markdown]
# ## The way of a real network
#
# A network of 2,410 weights has as many directions. Its way from the start to the end of training lies nearly in a
# plane, and on that plane the error can be drawn.

# %%
train = dp.datasets.load("digits").train
net = dp.Sequential([dp.Flatten(), dp.Dense(32), dp.ReLU(), dp.Dense(10)])
way = []
model = dp.Model(net, dp.SoftmaxCrossEntropy(), dp.SGD(0.1), [dp.Accuracy()], normalizer=dp.ScaleImages(16))
keep = [lambda training: way.append(training.model.variables.params)]
model.fit(train, validation=0.1, epochs=10, callbacks=keep, verbose=False)
directions, shares = principal_directions(way)
print(f"share of the way in this plane: {sum(shares):.3f}")
assert sum(shares) > 0.95

# %%
surface = loss_surface(model, train, directions, span=1.3, resolution=13)
loss_surface_picture(surface, way=[surface.project(params) for params in way])

# %% [markdown]
# **Try it:** `Plateau` and `ManyMinima`; any optimiser of Optax; `denpa landscape saddle` for moving pictures.
