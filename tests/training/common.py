"""One small problem for all tests of training: few shapes, so that few programs are compiled."""

from __future__ import annotations

import jax
import numpy as np

import denpa as dp
from denpa.training import Session

N, FEATURES, CLASSES = 20, 4, 3
NET = dp.Sequential([dp.Dense(5), dp.Tanh(), dp.Dense(CLASSES)])
RANDOM_NET = dp.Sequential([dp.Dense(6), dp.BatchNorm(), dp.Tanh(), dp.Dropout(0.3), dp.Dense(CLASSES)])
QUIET = {"verbose": False, "batch_size": 5}


class Crash(Exception):
    """The end of a process, as far as a test can have one."""


class EndAt(dp.Callback):
    """Fail after so many updates, from inside a callback."""

    def __init__(self, step):
        object.__setattr__(self, "step", step)

    def begin(self, training):
        session = Session(training)
        session.period = 1

        def look():
            if training.step == self.step:
                raise Crash

        session.on_period = look
        return session


def problem(seed=0, n=N):
    """Examples and the class of each: the largest of three random linear functions, blurred."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, FEATURES)).astype(np.float32)
    t = np.argmax(x @ rng.normal(size=(FEATURES, CLASSES)) + 0.3 * rng.normal(size=(n, CLASSES)), axis=1)
    t[:CLASSES] = range(CLASSES)
    return x, t


DATA = problem()  # four batches of five
RAGGED = problem(n=23)  # and one of three, which is a second program
HELD_OUT = problem(1, 11)


def model(net=NET, **options):
    parts = {"loss": dp.SoftmaxCrossEntropy(), "optimizer": dp.SGD(0.1), "metrics": [dp.Accuracy()]}
    return dp.Model(net, **parts | options)


def bits(tree):
    """The exact contents of all arrays, by path."""
    flat = jax.tree_util.tree_flatten_with_path(tree)[0]
    plain = [
        (path, jax.random.key_data(a) if jax.dtypes.issubdtype(a.dtype, jax.dtypes.prng_key) else a) for path, a in flat
    ]
    return {jax.tree_util.keystr(path): np.asarray(a).tobytes() for path, a in plain}


def whole(model):
    """All numbers of a model's run."""
    return bits(vars(model.run))


def rows(history):
    """The history without its clock."""
    return [{name: value for name, value in row.items() if np.ndim(value) == 0} for row in history.epochs]


def random_model(**options):
    """Dropout, batch normalisation, momentum and penalty."""
    return model(RANDOM_NET, optimizer=dp.Momentum(0.05), penalty=dp.L2(1e-3), **options)
