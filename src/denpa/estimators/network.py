"""What the estimators of networks have in common: a `Model`, its precision, its batches, and how it is pickled."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import jax
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import assert_all_finite, check_random_state

from denpa.core.description import registered
from denpa.core.errors import ConfigError, nearest
from denpa.data.splitting import split_indices
from denpa.estimators.padding import FullBatches, filled, roomy
from denpa.layers import Dense
from denpa.networks import Network, Sequential
from denpa.optim import Optimizer
from denpa.penalties import L2
from denpa.training import EarlyStopping, Model
from denpa.training.arguments import network_of, want_epochs, want_flags
from denpa.training.batches import BatchPlan
from denpa.training.compile_cache import use_compile_cache
from denpa.training.hidden import hidden_layers
from denpa.training.inputs import padded_batches, parted
from denpa.training.interrupts import interrupts_wait
from denpa.training.loop import Training
from denpa.training.program import Recipe, programs_for
from denpa.training.progress import Progress

__all__ = ["NeuralNetEstimator", "sizes"]

_AT_ONCE = 1024  # examples of one call of a program that predicts
_BATCH = 200  # of batch_size="auto"
_MANY = 1 << 22  # numbers in x: to copy more takes longer than to find another program


class NeuralNetEstimator(BaseEstimator):
    """E = mean of the loss over the batch + (λ/2) Σ ‖W‖², made small by mini-batch gradients.

    Subclasses say which loss, and what targets are.
    """

    loss: Any

    def __init__(
        self,
        hidden_units: Any = (100,),
        *,
        activation: str = "relu",
        network: Any = None,
        optimizer: Any = "adam",
        learning_rate: Any = 1e-3,
        strength: float = 1e-4,
        epochs: int = 200,
        batch_size: Any = "auto",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 10,
        warm_start: bool = False,
        precision: str = "auto",
        random_state: Any = None,
        verbose: Any = False,
    ) -> None:
        self.hidden_units = hidden_units
        self.activation = activation
        self.network = network
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.strength = strength
        self.epochs = epochs
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.warm_start = warm_start
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __getstate__(self) -> dict[str, Any]:
        """The arrays as NumPy's: JAX would make float32 of float64 when they are read."""
        state: Any = copy.copy(super().__getstate__())
        if "model_" in state:
            model = copy.copy(state["model_"])
            arrays = dataclasses.replace(model.run, key=jax.random.key_data(model.run.key))
            model.run = jax.tree.map(np.asarray, arrays)
            state["model_"] = model
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "model_" in state:
            run = self.model_.run
            self.model_.run = dataclasses.replace(run, key=jax.random.wrap_key_data(jax.numpy.asarray(run.key)))

    def _goes_on(self) -> bool:
        """Whether `fit` takes up what an earlier one has learned."""
        want_flags(warm_start=self.warm_start)
        return self.warm_start and hasattr(self, "model_")

    def _begin(self, x: np.ndarray, outputs: int) -> None:
        """A model with fresh parameters, in the precision asked for."""
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        penalty = L2(self.strength) if self.strength else None
        with jax.enable_x64(self._precision(x) == np.float64):
            use_compile_cache()
            net = self._network(x.shape[1], outputs)
            self.model_ = Model(net, self.loss, self._optimizer(), penalty=penalty, seed=seed, in_shape=x.shape[1:])

    def _precision(self, x: np.ndarray) -> Any:
        """The dtype of fresh parameters for x (n, ...).

        The gradient of a mini-batch is off by far more than float32 rounds. That of all examples is exact, and is
        left so.
        """
        known = {"auto": x.dtype if _batch_size(self.batch_size, len(x)) == len(x) else np.float32}
        known |= {"float32": np.float32, "float64": np.float64}
        if self.precision not in known:
            raise ConfigError(f'precision must be "auto", "float32" or "float64", not {self.precision!r}.')
        return np.dtype(known[self.precision])

    def _take_up(self, x: np.ndarray) -> None:
        """What was set anew since training began: another optimiser or penalty acts from now on."""
        model = self.model_
        if self._network(x.shape[1], model.net.out_shape(x.shape[1:])[0]) != model.net:
            raise ConfigError(
                f"The network has been set anew, but what was learned is of {model.net!r}: begin anew with "
                "warm_start=False, or with a clone."
            )
        optimizer, model.penalty = self._optimizer(), L2(self.strength) if self.strength else None
        if optimizer != model.optimizer:
            model.optimizer = optimizer
            model.run = dataclasses.replace(model.run, optimizer=model.programs.moments(model.run.params))

    def _network(self, features: int, outputs: int) -> Network:
        if self.network is None:
            return Sequential((*hidden_layers(sizes(self.hidden_units), self.activation), Dense(outputs)))
        net = network_of(self.network)
        got = net.out_shape((features,))
        if got != (outputs,):
            raise ConfigError(f"network must give outputs of shape ({outputs},) for each example, not {got}.")
        return net

    def _optimizer(self) -> Any:
        if not isinstance(self.optimizer, str):
            return self.optimizer
        known: dict[str, Any] = {name.lower(): kind for name, kind in registered(Optimizer).items()}
        if self.optimizer not in known:
            raise ConfigError(
                f"Unknown optimizer {self.optimizer!r}: {nearest(self.optimizer, known, plural='optimizers')}"
            )
        return known[self.optimizer](self.learning_rate)

    def _train(self, x: np.ndarray, t: np.ndarray, weight: np.ndarray | None, epochs: Any) -> None:
        """So many more epochs; `loss_curve_` and `n_iter_` are of all of them since the parameters were fresh."""
        model = self.model_
        want_epochs(epochs)
        want_flags(early_stopping=self.early_stopping)
        held: Any = None
        rules: list[Any] = [Progress("lines")] if self.verbose else []
        read = self._read(x, "X")
        t = read if t is x else self._read(t, "y")  # an autoencoder's target is its input
        x, weight = read, self._read(weight, "sample_weight")
        with jax.enable_x64(x.dtype == np.float64):
            self._take_up(x)
            if self.early_stopping:
                labels = t if t.ndim == 1 else None
                rest, out = split_indices(len(x), self.validation_fraction, model.seed, labels)
                (x, t, weight), part = parted((x, t, weight), rest, out)
                held = padded_batches(model.net, *part, _AT_ONCE)
                rules.append(EarlyStopping(patience=self.patience))
            data, plan = self._arranged(x, t, weight)
            last = model.epochs + int(epochs)
            training = Training(model, model.programs, data, plan, last, validation=held, callbacks=tuple(rules))
            with interrupts_wait() as interrupted:
                training.go(interrupted)
        self.loss_curve_ = list(map(float, model.history["loss"]))
        self.n_iter_ = model.epochs

    def _arranged(self, x: np.ndarray, t: np.ndarray, weight: np.ndarray | None) -> tuple[Any, BatchPlan]:
        """The arrays and their batches.

        The layers of `hidden_units` treat each example by itself, so that rows of weight 0 may fill the arrays
        up to few sizes. A network of the user's, which may normalise over the batch, gets the examples alone.
        """
        n, seed = len(x), self.model_.seed
        size = _batch_size(self.batch_size, n)
        if self.network is not None:
            return (x, t, weight), BatchPlan(n, size, seed, shuffle=size < n)
        size = roomy(n) if size == n else size
        plan = FullBatches(n, size, seed, shuffle=size < n)
        weight = np.ones(n, x.dtype) if weight is None else weight
        rows = n + (n % size > 0)
        rows = rows if x.size > _MANY else roomy(rows)
        return (filled(x, rows), filled(t, rows), filled(weight, rows)), plan

    def _read(self, values: Any, name: str) -> Any:
        """Floating-point numbers in the precision of the parameters; others, and None, as they are."""
        precision = jax.tree.leaves(self.model_.run.params)[0].dtype
        if values is None or values.dtype.kind != "f" or values.dtype == precision:
            return values
        with np.errstate(over="ignore"):
            read = values.astype(precision)
        assert_all_finite(read, input_name=name)
        return read

    def _outputs(self, x: np.ndarray, part: str | None = None) -> np.ndarray:
        """The output of the network, or of a part of it, for x (n, ...), returned in the precision of x."""
        model = self.model_
        returned = x.dtype
        params, state = model.run.params, model.run.state
        programs = model.programs
        if part is not None:
            net = dict(model.net.inner())[part]
            params, state = params[part], state.get(part, {})
            programs = programs_for(Recipe(net, model.loss, model.optimizer))
        x = self._read(x, "X")
        size = min(_AT_ONCE, max(32, 1 << (len(x) - 1).bit_length()))
        padded = filled(x, -(-len(x) // size) * size)
        with jax.enable_x64(x.dtype == np.float64):
            use_compile_cache()
            batches = [padded[start : start + size] for start in range(0, len(x), size)]
            outputs = [np.asarray(programs.predict(params, state, None, batch)) for batch in batches]
        return np.concatenate(outputs)[: len(x)].astype(returned, copy=False)


def sizes(units: Any) -> tuple[int, ...]:
    """Units of each layer; a single number is one layer."""
    return tuple(units) if np.iterable(units) else (units,)


def _batch_size(asked: Any, n: int) -> int:
    """The batch size as a number, at most n."""
    if isinstance(asked, str):
        if asked not in ("auto", "full"):
            raise ConfigError(f'batch_size must be "auto", "full" or a positive integer, not {asked!r}.')
        return min(_BATCH, n) if asked == "auto" else n
    if isinstance(asked, bool) or not isinstance(asked, (int, np.integer)) or asked < 1:
        raise ConfigError(f'batch_size must be "auto", "full" or a positive integer, not {asked!r}.')
    return min(int(asked), n)
