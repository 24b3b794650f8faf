"""Training by real-time recurrent learning: an update at every time step, and nothing kept of the steps before."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from denpa.core.errors import ConfigError, DivergenceError
from denpa.data.dataset import Dataset
from denpa.gradients import learn_online
from denpa.gradients.rtrl import Online
from denpa.lab.configs import TrainingConfig
from denpa.lab.prepared import Prepared
from denpa.training import Model
from denpa.training.history import History
from denpa.training.loop import shown
from denpa.training.preparation import prepared_data

__all__ = ["RealTime"]


class RealTime:
    """The training part of a series, step after step, once an epoch; carry and sensitivities begin with 0 each time.

    A row of the history has, beside loss and metrics behind the last update of the epoch, `online_loss`: the mean
    of the errors that were met on the way, each before its own update.

    Args:
        model: with a recurrent layer first, and layers on each step behind it; see `denpa.rtrl`.
        data: of a series.

    Raises:
        ConfigError: no series, another network, a penalty.
        DataError, ShapeError: data that do not fit.
    """

    def __init__(self, model: Model, data: Prepared) -> None:
        if data.task != "series":
            raise ConfigError("training.rtrl goes step by step through a series: data.task is to be series.")
        if model.penalty is not None:
            raise ConfigError("training.rtrl follows the error of each step alone: leave the penalty out.")
        prepared_data(model, data.train, data.validation)
        self.model, self.data = model, data
        self.state = model.optimizer.init(model.variables.params)
        self.once = _epoch(model, data.train)
        jax.eval_shape(self.once, model.variables, self.state, np.uint32(1))  # refuses what cannot be learned from

    def learn(self, plan: TrainingConfig, verbose: Any, keep: Callable[[], None]) -> History:
        """Train for the plan's epochs.

        Args:
            plan: epochs, and after how many seconds what has been learned is to be kept.
            verbose: False or "none" for no line an epoch.
            keep: writes the model; called between epochs, and where training is ended early.

        Raises:
            DivergenceError: an error was not finite; the model keeps the parameters of the epoch before.
        """
        written = time.monotonic()
        try:
            for epoch in range(1, plan.epochs + 1):
                self._learn_once(epoch)
                if verbose not in (False, "none"):
                    row, seconds = self.model.history.epochs[-1], self.model.history.seconds[-1]
                    sys.stdout.write(f"epoch {epoch}/{plan.epochs}  {shown(row)}  ({seconds:.2f} s)\n")
                    sys.stdout.flush()
                if time.monotonic() - written >= plan.checkpoint_seconds:
                    keep()
                    written = time.monotonic()
        except (DivergenceError, KeyboardInterrupt):
            if self.model.steps:
                keep()
            raise
        return self.model.history

    def _learn_once(self, epoch: int) -> None:
        began, model, data = time.perf_counter(), self.model, self.data
        found = self.once(model.variables, self.state, np.uint32(epoch))
        _want_finite(model, found.losses)
        model.variables, self.state = found.variables, found.optimizer
        model.epochs, model.steps = epoch, epoch * len(found.losses)
        row = {"epoch": epoch, "step": model.steps, **model.evaluate(data.train)}
        held = {} if data.validation is None else model.evaluate(data.validation)
        row |= {"online_loss": float(found.losses.mean()), **{f"validation_{k}": v for k, v in held.items()}}
        model.history.epochs.append(row)
        model.history.seconds.append(time.perf_counter() - began)


def _epoch(model: Model, train: Dataset) -> Any:
    """The program for one time through the series: (variables, the optimiser's state, epoch) -> `Online`."""
    x, t = _one_sequence(model, train)
    drawn = jax.random.key(model.seed)

    def once(x: Any, t: Any, variables: Any, state: Any, epoch: Any) -> Online:
        key = jax.random.fold_in(drawn, epoch)
        return learn_online(model.net, model.loss, model.optimizer, variables, x, t, key, state)

    return functools.partial(jax.jit(once), x, t)


def _want_finite(model: Model, losses: Any) -> None:
    finite = np.isfinite(losses)
    if not finite.all():
        raise DivergenceError(
            f"Training stopped at step {model.steps + int(np.argmin(finite)) + 1}: the error is not finite. The model "
            f"keeps its state after {model.steps} steps. Try a smaller learning rate, or clip gradients with "
            "dp.chain(dp.ClipByNorm(1.0), ...)."
        )


def _one_sequence(model: Model, part: Dataset) -> tuple[Any, Any]:
    """x and t (1, rows · time, ...) of rows that follow each other, as network and loss see them."""
    statistics = model.statistics or {}
    x, t = part.x.astype(np.float32), np.asarray(part.t, np.float32)
    if model.normalizer is not None:
        x = model.normalizer.apply(statistics, x)
    if model.target_normalizer is not None:
        t = model.target_normalizer.apply(statistics["targets"], t)
    return tuple(jnp.asarray(array).reshape(1, -1, *array.shape[2:]) for array in (x, t))  # type: ignore[return-value]
