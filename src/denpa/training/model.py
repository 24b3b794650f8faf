"""The model: a network together with its numbers, its loss and its optimiser."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from denpa.core import tree
from denpa.core.errors import ConfigError, ShapeError
from denpa.core.layer import Variables
from denpa.data.arguments import as_texts
from denpa.kernels import settings
from denpa.networks import Network, Summary
from denpa.networks.inputs import shape_of_inputs
from denpa.optim import Adam, Optimizer
from denpa.optim.base import Transform
from denpa.training import checkpoint
from denpa.training.arguments import (
    batch_size_of,
    check_class_names,
    check_frozen,
    check_model,
    check_same_normalizer,
    check_training,
    described,
    network_of,
    suited,
    unchanged_if_refused,
    verbosity,
    want_flags,
    want_part,
)
from denpa.training.batches import BatchPlan
from denpa.training.buckets import check_buckets
from denpa.training.callbacks import as_callbacks
from denpa.training.compile_cache import use_compile_cache
from denpa.training.devices import check_devices
from denpa.training.early_stopping import EarlyStopping, check_retraining, retrain
from denpa.training.elsewhere import data_as_one
from denpa.training.foreign import ForeignOptimizer
from denpa.training.history import History
from denpa.training.inputs import Batch
from denpa.training.interrupts import interrupts_wait
from denpa.training.loop import Training, summarize
from denpa.training.model_file import save_model
from denpa.training.preparation import (
    batches_to_measure,
    batches_to_predict,
    checked_data,
    checked_input,
    network_shape,
    prepared_data,
    warn_before_training,
)
from denpa.training.program import Programs, Recipe, Run, programs_for
from denpa.training.progress import Progress
from denpa.training.pytorch import from_pytorch
from denpa.training.threads import two_at_a_time
from denpa.training.transfer import renamed, transferred, weights_of
from denpa.training.windows import check_window

__all__ = ["Model"]


class Model:
    """A network that can be trained, measured, used and saved.

        model = dp.Model(net, loss=dp.SoftmaxCrossEntropy(), optimizer=dp.Adam(1e-3), metrics=[dp.Accuracy()])
        history = model.fit((x, t), validation=0.1, epochs=10)

    The objective that training makes small is the mean loss over the batch plus the penalty.

    Args:
        net: a network, or a list of layers.
        loss: the loss; what it expects of the output (values, logits, probabilities) decides `predict_classes`.
        optimizer: one of denpa's, or any optimiser of Optax. Adam(1e-3) by default.
        metrics: reported beside the loss.
        penalty: `L1`, `L2` or `ElasticNet` on the weights.
        normalizer: such as `Standardize()`: fitted on the training data of the first `fit`, applied to all
            raw input from then on, and saved with the model.
        target_normalizer: the same for the targets of a regression: the loss compares normalised values, while
            metrics and predictions keep the targets' own units.
        seed: decides initial parameters, order of examples, dropout: same seed, same machine, same bits.
        in_shape: the shape of ONE example; taken from the data of the first `fit` when None.
        compute_dtype: "bfloat16" or `jnp.bfloat16` to compute in that precision with float32 parameters (GPU, TPU).
        class_names: names of the classes, for reports; a data set brings its own.
        frozen: patterns of paths, such as "0_conv2d/*": parameters that training leaves as they are, and running
            statistics likewise. Can be assigned anew between calls of `fit`.

    Attributes:
        history: what happened in all calls of `fit`.
        epochs, steps: how many were trained so far.
        feature_names: the columns of the data set or pandas frame of the first `fit`; a frame with others is refused.
        statistics: the normaliser's arrays; those of the targets' normaliser under "targets".
        encoder, encoder_arrays: what made x of a table, such as a `TableEncoder`, with its statistics. The model
            does not apply it, but saves it, so that whoever loads the model can read raw tables.

    Raises:
        ConfigError: an argument that is not of the kind wanted.
    """

    def __init__(
        self,
        net: Any,
        loss: Any,
        optimizer: Any = None,
        metrics: Any = (),
        penalty: Any = None,
        *,
        normalizer: Any = None,
        target_normalizer: Any = None,
        seed: int = 0,
        in_shape: Any = None,
        compute_dtype: str | None = None,
        class_names: Any = None,
        frozen: Any = (),
    ) -> None:
        self.run: Any = None
        self.epochs = self.steps = 0
        self.net = net
        self.loss, self.penalty = loss, penalty
        self.statistics: dict[str, Any] | None = None
        self.normalizer, self.target_normalizer = normalizer, target_normalizer
        self.optimizer = Adam(1e-3) if optimizer is None else optimizer
        self.metrics = metrics
        self.seed, self.compute_dtype = seed, compute_dtype
        self.class_names = None if class_names is None else as_texts(class_names, "class_names")
        self.feature_names: tuple[str, ...] | None = None
        self.history = History()
        self.encoder: Any = None
        self.encoder_arrays: dict[str, Any] = {}
        self.in_shape: Any = None
        self.frozen = frozen
        check_model(self)
        if in_shape is not None:
            self.build(in_shape)

    def __repr__(self) -> str:
        return f"Model({self.net!r}, loss={self.loss!r}, optimizer={self.optimizer!r}, steps={self.steps})"

    @property
    def net(self) -> Network:
        """The network; assign another one that what was learned fits, and the optimiser's moments start anew.

        Raises:
            ConfigError: the parameters are not those of the new network; the old one stays.
        """
        return self._net

    @net.setter
    def net(self, net: Any) -> None:
        net = network_of(net)
        if self.run is not None:
            try:
                params, state = self._arranged(net, self.variables)
            except ShapeError as error:
                raise ConfigError(f"What was learned does not fit {net!r}: make a new Model. {error}") from None
            self.run = dataclasses.replace(self.run, params=params, state=state, optimizer=None)
        self._net = net

    @property
    def optimizer(self) -> Any:
        """What makes updates of gradients; assign another one and its moments start anew."""
        return self._optimizer

    @optimizer.setter
    def optimizer(self, optimizer: Any) -> None:
        want_part("optimizer", optimizer, "init", "update")
        if isinstance(optimizer, Transform) and not isinstance(optimizer, (Optimizer, ForeignOptimizer)):
            raise ConfigError(f"{optimizer!r} changes gradients but makes no step: chain({optimizer!r}, Adam(0.001)).")
        self._optimizer = optimizer
        if self.run is not None:
            self.run = dataclasses.replace(self.run, optimizer=None)

    @property
    def normalizer(self) -> Any:
        """What brings raw input to a common scale; a `ConfigError` for another one once the model has learned."""
        return self._normalizer

    @normalizer.setter
    def normalizer(self, normalizer: Any) -> None:
        check_same_normalizer(self, "normalizer", normalizer)
        self._normalizer = normalizer

    @property
    def target_normalizer(self) -> Any:
        """The same for the targets of a regression."""
        return self._target_normalizer

    @target_normalizer.setter
    def target_normalizer(self, normalizer: Any) -> None:
        check_same_normalizer(self, "target_normalizer", normalizer)
        self._target_normalizer = normalizer

    @property
    def frozen(self) -> tuple[str, ...]:
        """Patterns of the paths of arrays that training leaves as they are."""
        return self._frozen

    @frozen.setter
    def frozen(self, patterns: Any) -> None:
        before, self._frozen = getattr(self, "_frozen", ()), as_texts(patterns, "frozen")
        if self.run is not None:
            try:
                check_frozen(self)
            except ConfigError:
                self._frozen = before
                raise

    @property
    def metrics(self) -> tuple[Any, ...]:
        """What is reported beside the loss; what a metric leaves open about the outputs is as the loss reads them."""
        return suited(self._metrics, self.loss)

    @metrics.setter
    def metrics(self, metrics: Any) -> None:
        suited(metrics, self.loss)
        self._metrics = metrics

    @property
    def variables(self) -> Variables:
        """Parameters and state; assign to replace them.

        Raises:
            ConfigError: the model has none yet, or what is assigned is no pair.
        """
        self._need_run()
        return Variables(self.run.params, self.run.state)

    @variables.setter
    def variables(self, variables: Variables) -> None:
        self._need_run()
        if not isinstance(variables, tuple) or len(variables) != 2:
            raise ConfigError(f"variables are a pair (params, state), not {type(variables).__name__}.")
        params, state = self._arranged(self.net, Variables(*variables))
        self.run = dataclasses.replace(self.run, params=params, state=state)

    def _arranged(self, net: Network, variables: Variables) -> Variables:
        """The same arrays in the order of a network, with its layers that have none; a `ShapeError` if they misfit."""
        net.check(variables, network_shape(self))
        wanted = jax.eval_shape(lambda: net.init(jax.random.key(0), network_shape(self)))
        return Variables(**tree.unflatten(tree.flatten(variables._asdict()), wanted._asdict()))

    def build(self, in_shape: Any) -> None:
        """Make fresh variables for ONE raw example of the shape `in_shape`; what was learned before is forgotten.

        Raises:
            ShapeError: the network takes no examples of this shape.
            ConfigError: as many `class_names` as it has outputs are wanted; `frozen` fits no array, or all.
        """
        self.in_shape = shape_of_inputs(in_shape)
        check_class_names(self, network_shape(self))
        self.run = self.programs.init(np.uint32(self.seed), network_shape(self))
        check_frozen(self)
        self.history, self.epochs, self.steps = History(), 0, 0

    @data_as_one
    def fit(
        self,
        data: Any,
        *,
        validation: Any = None,
        epochs: int = 10,
        batch_size: int | str | None = None,
        shuffle: bool = True,
        replacement: bool = False,
        callbacks: Any = (),
        verbose: Any = "auto",
        record_steps: bool = False,
        window: int | None = None,
        buckets: int | None = None,
        resume: Any = None,
        devices: int | str | None = None,
    ) -> History:
        """Train; can be called again to go on.

        Args:
            data: (x, t), (x, t, sample_weight) or a `Dataset`; x raw, as `predict` will get it.
            validation: data held apart, or the fraction of `data` to hold back (stratified by class).
            epochs: passes over the data.
            batch_size: examples in a mini-batch; "full" for batch learning, 1 for online learning, None
                for 32 or all examples if they are fewer. A smaller last batch is weighted by its size. The mean of a
                batch is over its own weights: those of samples and classes act the less the fewer examples it has, and
                not at all, with a warning, where it has one.
            shuffle: a new order of the examples in each epoch.
            replacement: draw each batch independently, with replacement.
            callbacks: `EarlyStopping`, `Checkpoint`, or functions called with the training after each epoch.
            verbose: True or "auto" (a bar on a terminal or in a notebook, lines in a pipe), "bar", "lines", False.
            window: cut sequences (batch, time, ...) into windows of so many steps, one update each: the carry of
                recurrent layers is handed on from window to window, the gradients end at their borders
                (truncated back-propagation through time). A step is then a batch with all its windows.
            buckets: sort padded sequences by length into so many buckets; each batch is of one of them (at a border
                of two, and an epoch's smaller last one of all) and cut to its longest sequences. For sequences of
                very unlike length; one program is compiled for each.
            record_steps: keep the numbers of every step in `history.steps` as well.
            resume: a run folder with a checkpoint of this very fit; go on from there to the same end.
            devices: how many devices of this machine divide every batch among them, or "all"; None for one. An epoch's
                smaller last batch goes to each of them whole, where it cannot be divided.

        Returns:
            The history, over all calls of `fit`.

        Raises:
            DataError, ShapeError, ConfigError: the data or options do not fit; nothing was changed.
            FileFormatError: the folder to resume from holds no checkpoint that can be read.
            DivergenceError: a number was not finite; the model keeps its last good state.
            StorageError: a checkpoint could not be written.
        """
        check_training(self, epochs, shuffle=shuffle, replacement=replacement, record_steps=record_steps)
        use_compile_cache()
        rules = as_callbacks(callbacks)
        with unchanged_if_refused(self):
            train, held_out = prepared_data(self, data, validation)
            examples = len(jax.tree.leaves(train[0])[0])
            window = check_window(window, self.net, *train[:2])
            sorted_by = check_buckets(buckets, train, window)
            size = batch_size_of(batch_size, examples)
            plan = BatchPlan(examples, size, self.seed, shuffle, replacement, window, sorted_by)
            together = check_devices(devices, size)
            programs = programs_for(dataclasses.replace(self.programs.recipe, window=window, devices=together))
            options = {
                "validation": None if held_out is None else batches_to_measure(self, held_out),
                "callbacks": (*rules, Progress(verbosity(verbose))),
                "record_steps": record_steps,
                "resumed": resume is not None,
            }
            last = int(epochs) + (0 if resume is not None else self.epochs)
            training = Training(self, programs, train, plan, last, **options)
            again = [
                rule for rule in rules if isinstance(rule, EarlyStopping) and rule.retrain and held_out is not None
            ]
            for rule in again:
                check_retraining(rule, training, train, held_out)
            if resume is not None:
                checkpoint.restore(training, resume)
            warn_before_training(self, train, size)
        with interrupts_wait() as interrupted:
            history = training.go(interrupted)
            for rule in again:
                retrain(rule, training, train, held_out, interrupted)
        return history

    @data_as_one
    def evaluate(self, data: Any) -> dict[str, Any]:
        """Loss and metrics over all of `data`, in inference mode: {"loss": ..., "accuracy": ...}.

        Args:
            data: (x, t), (x, t, sample_weight) or a data set, raw as for `fit`.

        Returns:
            Sums over the examples divided by their number, so independent of the size of batches; the loss with the
            penalty, which is listed beside it.

        Raises:
            ConfigError: the model has no parameters yet.
            DataError, ShapeError: the data do not fit the network.
        """
        self._need_run()
        self._need_statistics()
        check_model(self)
        batch = checked_data(self, data, "the data to evaluate")
        use_compile_cache()
        return self.measure(batches_to_measure(self, batch))

    def measure(self, batches: list[Batch]) -> dict[str, Any]:
        """Loss and metrics over batches on the device."""
        programs, (params, state) = self.programs, self.variables
        logs = two_at_a_time(lambda batch: programs.measure(params, state, self.statistics, *batch), batches)
        stacked = jax.tree.map(lambda *parts: np.stack([np.asarray(part) for part in parts]), *logs)
        if self.penalty is not None:
            stacked["penalty"] = np.asarray(programs.charge(params))[None]
        return summarize(programs.recipe, stacked)

    def predict(self, x: Any) -> np.ndarray:
        """The network's output for raw input x (batch, ...), in inference mode: an array (batch, ...).

        x is an array, a tuple of arrays for a network of several inputs, or a `Dataset`, whose x is taken. With a
        normaliser of the targets the output is in their own units.

        Raises:
            ConfigError: the model has no parameters yet.
            DataError, ShapeError: x does not fit the network.
        """
        return self._predicted(x, lambda y: y)

    def predict_classes(self, x: Any) -> np.ndarray:
        """The class index that each output speaks for, (batch,) int32; `class_names` gives their names."""
        return self._predicted(x, self.programs.decide)

    def predict_probabilities(self, x: Any) -> np.ndarray:
        """The output for x as probabilities, (batch, ..., classes); a ConfigError for a loss on values."""
        return self._predicted(x, self.programs.probabilities)

    def _predicted(self, x: Any, read: Callable[[Any], Any]) -> Any:
        """What `read` makes of the network's output for raw input x, batch by batch."""
        self._need_run()
        self._need_statistics()
        check_model(self)
        x = checked_input(self, x)
        use_compile_cache()
        (params, state), predict = self.variables, self.programs.predict
        outputs = two_at_a_time(
            lambda batch: read(predict(params, state, self.statistics, batch)), batches_to_predict(self, x)
        )
        examples = len(jax.tree.leaves(x)[0])
        return jax.tree.map(lambda *parts: np.concatenate([np.asarray(p) for p in parts])[:examples], *outputs)

    def load_weights(
        self, source: Any, only: Any = None, *, names: Any = None, strict: bool = True, pytorch: bool = False
    ) -> None:
        """Take over arrays that were learned elsewhere; the optimiser's moments start anew.

        Args:
            source: a run folder, a model file, another model or variables; with `pytorch` a safetensors file with
                PyTorch's names and layouts, or a dict of arrays like a module's `state_dict()`.
            only: patterns of the arrays to take, such as "0_conv2d/*"; the others stay as they are. None: all.
            names: from layers here, or networks inside, to those of the source: {"encoder": "0_sequential"}, where ""
                is the whole network; with `pytorch` to its modules: {"0_conv2d": "features.0"}. Only these receive.
                None: names are the same; with `pytorch` layers and modules are paired in order.
            strict: arrays that are missing, or that nothing here is for (where `only` is None), are errors; otherwise
                what both have is taken.
            pytorch: names and layouts are PyTorch's; `denpa.training.pytorch` says what becomes of them.

        Raises:
            ConfigError: the model has no parameters yet (`build` makes them), or the source is of another kind.
            FileFormatError: the file cannot be read.
            ShapeError: arrays are missing, extra or misshapen: all of them are listed, and nothing is changed.
        """
        want_flags(strict=strict, pytorch=pytorch)
        self._need_run()
        problems: list[str] = []
        if pytorch:
            (arrays, problems), where = from_pytorch(self.net, network_shape(self), source, names, only), "PyTorch"
        else:
            arrays, where = weights_of(source)
            arrays = arrays if names is None else renamed(arrays, names, where)
        choice = {"only": only, "names": names, "strict": strict}
        self.variables = transferred(self.variables, arrays, where, **choice, problems=problems)
        self.run = dataclasses.replace(self.run, optimizer=None)

    def summary(self) -> Summary:
        """A table of the layers; prints by `print(model.summary())`."""
        return self.net.summary(None if self.in_shape is None else network_shape(self))

    def save(self, path: Any) -> None:
        """Write description and numbers to the safetensors file `path`, from which `denpa.load` makes the model again.

        Raises:
            ConfigError: there is nothing to save yet, or `path` is none.
            StorageError: the file cannot be written; what was there before is untouched.
        """
        self._need_run()
        save_model(self, path)

    @property
    def programs(self) -> Programs:
        """The compiled programs; made anew only when a description changed."""
        parts = (self.net, self.loss, self.optimizer, self.metrics, self.penalty, self.normalizer)
        return programs_for(
            Recipe(*parts, self.compute_dtype, self.target_normalizer, settings.current(), frozen=self.frozen)
        )

    def advance(self, run: Run, count: int) -> None:
        """Take over the numbers after `count` more steps."""
        self.run = run
        self.steps += count

    def description(self) -> dict[str, Any]:
        """All that describes the model, as plain values for JSON."""
        parts = {
            "network": self.net,
            "loss": self.loss,
            "optimizer": self.optimizer,
            "metrics": self.metrics,
            "penalty": self.penalty,
            "normalizer": self.normalizer,
            "target_normalizer": self.target_normalizer,
            "encoder": self.encoder,
        }
        return {
            **{name: described(part) for name, part in parts.items()},
            "seed": self.seed,
            "in_shape": tree.listed(self.in_shape),
            "compute_dtype": self.compute_dtype,
            "class_names": tree.listed(self.class_names),
            "frozen": list(self.frozen),
            "feature_names": tree.listed(self.feature_names),
            "steps": self.steps,
            "epochs": self.epochs,
        }

    def _need_statistics(self) -> None:
        for part in (self.normalizer, self.target_normalizer):
            if self.statistics is None and part is not None and getattr(part, "learns", True):
                raise ConfigError(f"{part!r} has seen no training examples yet: fit the model first.")

    def _need_run(self) -> None:
        if self.run is None:
            raise ConfigError(
                "This model has no parameters yet: fit it, or call build((784,)) with the shape of ONE example."
            )
