"""When a number is no longer finite: which step, layer and array, and what is kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.core.layer import Context, Layer
from denpa.training import Session, checkpoint
from denpa.training.storage import read_arrays
from tests.training.common import DATA, QUIET, bits, model

X = np.abs(DATA[0]) + 0.1
T = (X @ np.array([1.0, -2.0, 0.5, 0.3]))[:, None].astype(np.float32)


@dataclass(frozen=True)
class Trap(Layer):
    """The identity, but for what it makes of one place when its parameter has been trained for a while."""

    where: str
    value: str = "nan"

    def init(self, key, in_shape):
        return {"age": jnp.zeros(())}

    def out_shape(self, in_shape):
        return in_shape

    def forward(self, params, x, ctx=Context()):
        return self._spoilt("y", x, params["age"]), {}

    def backward(self, params, saved, dy):
        grad = self._spoilt("grad", -jnp.ones(()), params["age"])  # with a rate of 1 the age counts the updates
        return self._spoilt("dx", dy, params["age"]), {"age": grad}

    def _spoilt(self, place, array, age):
        return jnp.where((age >= 6) & (self.where == place), float(self.value), array)


@dataclass(frozen=True)
class Counter(dp.SGD):
    """Ages grow by 1 with every update; all else learns at the rate."""

    def update(self, grads, state, params=None):
        updates, state = dp.SGD.update(self, grads, state, params)
        return jax.tree_util.tree_map_with_path(
            lambda path, u, g: -g if path[-1].key == "age" else u, updates, grads
        ), state


@dataclass(frozen=True)
class Saboteur(dp.SGD):
    """Writes −∞ into the first weights at the sixth update and goes on as if nothing were."""

    def init(self, params):
        return {"step": jnp.zeros((), jnp.int32)}

    def update(self, grads, state, params=None):
        updates, _ = dp.SGD.update(self, grads, {}, params)
        first = updates["0_dense"]["W"]
        updates["0_dense"]["W"] = jnp.where(state["step"] == 6, jnp.full_like(first, -jnp.inf), first)
        return updates, {"step": state["step"] + 1}


def diverge(trained, data=(X, T), callbacks=(), **options):
    with pytest.raises(dp.DivergenceError) as caught:
        trained.fit(data, callbacks=callbacks, **{"epochs": 5} | QUIET | options)
    assert isinstance(caught.value, FloatingPointError)
    for leaf in jax.tree.leaves(trained.variables):
        assert np.isfinite(leaf).all()
    return str(caught.value)


def trapped(where, value="nan", name="trap"):
    net = dp.Sequential([("z", dp.Dense(4)), (name, Trap(where, value)), ("b", dp.Dense(1))])
    return dp.Model(net, dp.MeanSquaredError(), Counter(0.01))


@pytest.mark.parametrize(
    ("where", "value", "culprit"),
    [
        ("y", "nan", r"output y of layer 'trap' \(NaN\)"),
        ("y", "inf", r"output y of layer 'trap' \(infinity\)"),
        ("dx", "nan", r"delta dx of layer 'trap' \(NaN\)"),
        ("grad", "inf", r"gradient of layer 'trap'\[age\] \(infinity\)"),
    ],
)
def test_step_layer_and_array_are_named(where, value, culprit):
    trained = trapped(where, value)
    message = diverge(trained)
    assert message.startswith("Training stopped at step 7: ")
    assert re.search(culprit, message), message
    assert "keeps its last good state, after 6 steps" in message
    assert "smaller learning rate" in message
    assert trained.steps == int(trained.run.step) == 6


def test_what_is_kept_is_the_state_after_the_last_good_step():
    trained = trapped("y")
    diverge(trained)
    good = trapped("y")

    class Stop(dp.Callback):
        def begin(self, training):
            session = Session(training)
            session.period = 6
            session.on_period = lambda: training.stop("enough")
            return session

    good.fit((X, T), epochs=5, callbacks=[Stop()], **QUIET)
    assert good.steps == 6
    assert bits(trained.variables) == bits(good.variables)
    assert [row["step"] for row in trained.history.epochs] == [4]  # whole epochs only


def test_the_first_layer_of_the_walk_is_named_whatever_the_names():
    """Alphabetically b comes before z."""
    net = dp.Sequential([("z", Trap("y")), ("b", dp.Dense(1))])
    assert "output y of layer 'z'" in diverge(dp.Model(net, dp.MeanSquaredError(), Counter(0.01)))


def test_inside_a_network_the_layer_is_named_by_its_path():
    net = dp.Sequential([("block", dp.Sequential([dp.Dense(3), ("trap", Trap("y"))])), dp.Dense(1)])
    assert "output y of layer 'block/trap'" in diverge(dp.Model(net, dp.MeanSquaredError(), Counter(0.01)))


def test_a_rate_that_is_too_large():
    trained = dp.Model([dp.Dense(1)], dp.MeanSquaredError(), dp.SGD(50.0))
    message = diverge(trained, epochs=30)
    step = int(message.split("at step ")[1].split(":")[0])
    assert trained.steps == step - 1
    assert "0_dense" in message or "the loss" in message


def test_the_loss_alone():
    """Outputs near 1e20 are finite, their squares are not."""
    x = np.full((20, 4), 1e20, np.float32)
    message = diverge(dp.Model([dp.Dense(1)], dp.MeanSquaredError(), dp.SGD(0.1)), (x, T))
    assert "Training stopped at step 1: the loss (infinity) is not finite" in message


def test_infinity_in_the_update():
    """Loss and gradient are finite, their product with the rate is not."""
    trained = dp.Model([dp.Dense(1)], dp.MeanSquaredError(), dp.SGD(3e38))
    message = diverge(trained, (10 * X, 10 * T))
    assert "step 1: parameter '0_dense/" in message
    assert "after the update (infinity) is not finite" in message
    assert trained.steps == 0


@pytest.mark.parametrize("watched", [False, True])
def test_an_infinity_that_nobody_notices_is_found_where_it_was_written(watched):
    """Weights of −∞ behind a ReLU: the units are dead, the loss stays finite, and 13 more steps go by."""
    net = dp.Sequential([dp.Dense(4), dp.ReLU(), dp.Dense(1)])
    trained = dp.Model(net, dp.MeanSquaredError(), Saboteur(0.01))
    message = diverge(trained, callbacks=[lambda training: None] if watched else ())
    assert "stopped at step 7: parameter '0_dense/W' after the update (infinity)" in message
    assert trained.steps == 6


def test_statistics_that_overflow():
    """The mean square of numbers near 1e25 is infinite; batch normalisation hides it from the loss."""
    net = dp.Sequential([dp.BatchNorm(), dp.Dense(1)])
    trained = dp.Model(net, dp.MeanSquaredError(), dp.SGD(0.01))
    assert "state '0_batchnorm/var' after the update (infinity)" in diverge(trained, (1e25 * DATA[0], T))


def test_a_loss_that_is_not_a_number_where_outputs_are():
    @dataclass(frozen=True)
    class Log(dp.Loss):
        reduction: str = "mean"

        def per_item(self, y: Any, t: Any) -> Any:
            return jnp.log(t[:, 0] + 0 * y[:, 0])

        def per_item_delta(self, y: Any, t: Any) -> Any:
            return jnp.zeros_like(y)

    message = diverge(dp.Model([dp.Dense(1)], Log(), dp.SGD(0.1)), (X, -np.abs(T) - 1))
    assert "step 1: the loss (NaN) is not finite" in message


def test_the_checkpoint_is_of_the_last_good_step(tmp_path):
    trained = trapped("y")
    diverge(trained, callbacks=[dp.Checkpoint(tmp_path)])
    path = checkpoint.latest(tmp_path)
    assert path.name == "step_0000000006.safetensors"
    arrays, description = read_arrays(path)
    assert all(np.isfinite(a).all() for a in arrays.values())
    assert description["position"] == {"epoch": 1, "batch": 2, "parts": 1}
    resumed = trapped("y")
    assert "at step 7" in diverge(resumed, callbacks=[dp.Checkpoint(tmp_path)], resume=tmp_path)
    assert bits(resumed.variables) == bits(trained.variables)


def test_training_can_go_on_with_a_better_rate():
    trained = dp.Model([dp.Dense(1)], dp.MeanSquaredError(), dp.SGD(50.0))
    diverge(trained, epochs=30)
    trained.build((4,))
    trained.optimizer = dp.SGD(0.05)
    history = trained.fit((X, T), epochs=5, **QUIET)
    assert history["loss"][-1] < history["loss"][0]


def test_normal_training_raises_nothing():
    assert len(model().fit(DATA, epochs=2, **QUIET)) == 2
