# %% [markdown]
# # 5. Over-fitting and what helps
#
# A network with many weights learns a hundred images by heart, noise and all: the training error goes to 0 while the
# error on other images rises again. What changes learning so that it *generalises* better is regularisation.

# %%
import numpy as np

import denpa as dp

train, test = dp.datasets.load("digits")
rows = np.random.default_rng(0).permutation(len(train))[:100]
few = (train.x[rows], train.t[rows])
others = (test.x[:300], test.t[:300])


def fitted(penalty=None, callbacks=()):
    net = dp.Sequential([dp.Flatten(), dp.Dense(64), dp.ReLU(), dp.Dense(64), dp.ReLU(), dp.Dense(10)])
    model = dp.Model(net, dp.SoftmaxCrossEntropy(), dp.Momentum(0.03), penalty=penalty, normalizer=dp.ScaleImages(16))
    model.fit(few, validation=others, epochs=100, batch_size=50, callbacks=callbacks, verbose=False)
    return model


# %% [markdown]
# ## By heart

# %%
free = fitted()
training, held_out = free.history["loss"], free.history["validation_loss"]
print(f"at the end: training {training[-1]:.4f}, others {held_out[-1]:.3f}; at best {min(held_out):.3f}")
assert training[-1] < 0.02
assert held_out[-1] > 10 * training[-1]

# %%
free.history.plot()

# %% [markdown]
# ## Weight decay
#
# $E + \frac{\lambda}{2} \lVert W \rVert^2$ draws every weight towards 0: the network must not be so sure of itself.
# (`loss` is then the whole objective, `penalty` its second part.)

# %%
decayed = fitted(penalty=dp.L2(0.02))
training, held_out = (
    decayed.history[f"{part}loss"][-1] - decayed.history[f"{part}penalty"][-1] for part in ("", "validation_")
)
print(f"training {training:.4f}, others {held_out:.3f}")
assert training > 5 * free.history["loss"][-1]
assert held_out - training < free.history["validation_loss"][-1] - free.history["loss"][-1]


def size(model):
    return sum(float(np.sum(np.square(layer["W"]))) for layer in model.variables.params.values() if layer)


print(f"sum of squared weights: {size(free):.0f} free, {size(decayed):.0f} decayed")
assert size(decayed) < 0.7 * size(free)

# %% [markdown]
# The gap between the two errors is narrower, but only because the training images are fitted less well: on the others
# this strength helps nothing. Which one does, images held back decide.

# %% [markdown]
# ## Early stopping
#
# Stop when the error on images held back has not improved for a while, and return to the best.

# %%
stopped = fitted(callbacks=[dp.EarlyStopping(patience=10)])
print(f"best epoch: {stopped.history.best_epoch}; stopped since {stopped.history.stopped}")
assert stopped.epochs < 100

# %% [markdown]
# **Try it:** `dp.Dropout(0.5)` behind a hidden layer: in training every unit is silent with probability 1/2, anew for
# every example; all 1,438 training images, which are the best regularisation of all; `dp.L1(1e-3)`; `dp.BatchNorm()`.
