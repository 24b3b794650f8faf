"""Bagging: many models, each trained on a bootstrap sample, that decide together."""

from __future__ import annotations

import copy
import dataclasses
import numbers
from typing import Any

import jax
import numpy as np

from denpa.core.errors import ConfigError, DataError, FileFormatError
from denpa.data.arguments import as_whole
from denpa.data.counted import counted
from denpa.training import checkpoint
from denpa.training.arguments import batch_size_of, check_training, unchanged_if_refused, verbosity, want_flags
from denpa.training.callbacks import as_callbacks
from denpa.training.compile_cache import use_compile_cache
from denpa.training.elsewhere import data_as_one
from denpa.training.history import History
from denpa.training.interrupts import interrupts_wait
from denpa.training.loop import summarize
from denpa.training.members import MemberPrograms, member_of, member_programs_for
from denpa.training.members_loop import Members, Stacked, begun, check_options
from denpa.training.members_plan import Together, member_steps, sampled_rows, shares_of
from denpa.training.model import Model
from denpa.training.preparation import (
    batches_to_measure,
    batches_to_predict,
    checked_data,
    checked_input,
    network_shape,
    prepared_data,
    warn_before_training,
)
from denpa.training.program import Run, key_of_run
from denpa.training.progress import Progress
from denpa.training.storage import write_arrays
from denpa.training.windows import check_window

__all__ = ["Bagging"]

# What the members have in common, as attributes.
_OF_MODEL = (
    *("net", "loss", "optimizer", "metrics", "penalty", "normalizer", "target_normalizer", "compute_dtype", "seed"),
    *("in_shape", "class_names", "feature_names", "encoder", "encoder_arrays", "summary"),
)


class Bagging(Stacked):
    """M models of one description, each trained on its own bootstrap sample, that speak with one voice.

        model = dp.Model(net, loss=dp.SoftmaxCrossEntropy(), metrics=[dp.Accuracy()])
        bagging = dp.Bagging(model, members=10)
        bagging.fit((x, t), epochs=10)
        bagging.out_of_bag["accuracy"], bagging.predict_classes(x_test)

    A bootstrap sample is N examples drawn with replacement from the N at hand; a member goes through the distinct
    ones among them, about 0.632 N, each weighted by how often it was drawn. With batch_size="full" that is the same
    mean of the loss. (Layers that look at the batch itself, `BatchNorm`, `ActivityL1` and `KLSparsity`, know no
    weights: their means are over the examples that the member goes through.) In mini-batches the mean is over the
    weights of the batch, so that they act the less the fewer examples it has, and not at all where it has one; a loss
    of reduction="sum", with a learning rate divided by the batch size, has no such effect. All members are trained in
    one compiled program with stacked arrays. Outputs are averaged: values as they are, probabilities for classes. With
    errors of mean 0, variance s² and covariances s_lm the error of the mean of M members has the variance
    s²/M + (2/M²) Σ_{l<m} s_lm: members gain as far as their errors differ.

    Args:
        model: the description of each member; it is not trained itself. Member m has the seed `model.seed` + m.
            Weights that it was given are where every member starts; the rest each draws by its own seed.
        members: M, how many.
        bootstrap: False to train all members on all examples; they then differ by their seeds alone.

    Attributes:
        history: means over the members, and under `validation_` what all together reach.
        histories: the history of each member.
        out_of_bag: loss and metrics on the training examples, each judged by the members that never saw it.
        epochs, steps: how many were trained; a member that early stopping ended was trained for fewer.

    Raises:
        ConfigError: no model, fewer members than one, a model that has been trained.

    Source: Breiman (1996), "Bagging predictors", Machine Learning 24.
    """

    def __init__(self, model: Model, members: int = 10, *, bootstrap: bool = True) -> None:
        if not isinstance(model, Model):
            raise ConfigError(f"Bagging wants a Model, not {model!r}.")
        want_flags(bootstrap=bootstrap)
        if model.steps:
            raise ConfigError("Bagging trains models from the start: give one that has not been trained.")
        self.model, self.members, self.bootstrap = model, as_whole(members, "members", 1), bool(bootstrap)
        super().__init__(self.members)
        self.examples = 0
        self.out_of_bag: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        if name in _OF_MODEL:
            return getattr(self.model, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")

    def __repr__(self) -> str:
        return f"Bagging({self.model!r}, members={self.members}, bootstrap={self.bootstrap})"

    @property
    def runs(self) -> Any:
        """The members' stacked runs; None before the first `fit`."""
        return self.run

    @property
    def statistics(self) -> Any:
        """Those of the normalisers, which all members share."""
        return self.model.statistics

    @statistics.setter
    def statistics(self, statistics: Any) -> None:
        self.model.statistics = statistics

    @property
    def programs(self) -> MemberPrograms:
        """The compiled programs, shared with all ensembles of the same description."""
        return member_programs_for(self.model.programs.recipe)

    @property
    def seeds(self) -> np.ndarray:
        """Each member's seed, (members,)."""
        return ((self.model.seed + np.arange(self.members, dtype=np.uint64)) % 2**32).astype(np.uint32)

    @property
    def counts(self) -> np.ndarray | None:
        """How often each example is in each member's sample, (members, examples); None without bootstrap."""
        return sampled_rows(self.examples, self.members, self.model.seed) if self.bootstrap else None

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
        """Train all members; can be called again to go on with the same examples. Arguments as for `Model.fit`.

        An epoch of a member is one pass over its distinct examples. `EarlyStopping` ends and takes back each member for
        itself, or by `members="together"` all at once. `buckets`, `devices` and `EarlyStopping(retrain=...)` are
        refused.

        Raises:
            DataError, ShapeError, ConfigError: the data or options do not fit; nothing was changed.
            FileFormatError: the folder to resume from holds no checkpoint that can be read.
            DivergenceError: a member's numbers were not finite; all members keep their last good state.
            StorageError: a checkpoint could not be written.
        """
        check_training(self.model, epochs, shuffle=shuffle, replacement=replacement, record_steps=record_steps)
        use_compile_cache()
        rules = as_callbacks(callbacks)
        check_options(rules, buckets, devices)
        with unchanged_if_refused(self, self.model):
            given = self.model.run is not None
            train, held_out = prepared_data(self.model, data, validation)
            examples = len(jax.tree.leaves(train[0])[0])
            window = check_window(window, self.model.net, *train[:2])
            order = {"shuffle": shuffle, "replacement": replacement, "window": window}
            plan, counts = self._plan(examples, batch_size_of(batch_size, examples), **order)
            recipe = dataclasses.replace(self.model.programs.recipe, window=window)
            self._begin(given)
            held = None if held_out is None else batches_to_measure(self.model, held_out, self.members)
            options = {"validation": held, "record_steps": record_steps, "resumed": resume is not None}
            options |= {"callbacks": (*rules, Progress(verbosity(verbose))), "counts": counts}
            last = int(epochs) + (0 if resume is not None else self.epochs)
            training = Members(self, member_programs_for(recipe), train, plan, last, **options)
            if resume is not None:
                checkpoint.restore(training, resume)
            warn_before_training(self.model, train, plan.plans[0].batch_size, bootstrap=self.bootstrap)
        self.out_of_bag = {}
        with interrupts_wait() as interrupted:
            training.go(interrupted)
        self.out_of_bag = self._out_of_bag(train)
        return self.history

    def predict_members(self, x: Any) -> np.ndarray:
        """Each member's output for raw input x, (members, batch, ...)."""
        return self._answers(self.programs.each, x, axis=1)

    def predict(self, x: Any) -> np.ndarray:
        """The common output, in the form that the loss reads: mean values, probabilities, or logits of mean ones."""
        return self._answers(self.programs.together, x, axis=0)

    def predict_probabilities(self, x: Any) -> np.ndarray:
        """The mean over the members of the probabilities of the classes."""
        return np.asarray(self.model.loss.probabilities(self.predict(x)))

    def predict_classes(self, x: Any, vote: str = "mean") -> np.ndarray:
        """The class that the members decide for, (batch,) int32.

        Args:
            x: raw input.
            vote: "mean", by the mean probabilities, or "majority", each member one vote; ties go to the first class.

        Raises:
            ConfigError: another vote, or members that have not been fitted.
            DataError: x is not such as they were trained on.
        """
        if not isinstance(vote, str) or vote not in ("mean", "majority"):
            raise ConfigError(f'vote is "mean" or "majority", not {vote!r}.')
        if vote == "mean":
            return np.asarray(self.model.loss.decide(self.predict(x)))
        votes = np.asarray(self.model.loss.decide(self.predict_members(x)))
        classes = np.arange(votes.max() + 1)
        return np.argmax((votes[..., None] == classes).sum(axis=0), axis=-1).astype(np.int32)

    @data_as_one
    def evaluate(self, data: Any) -> dict[str, Any]:
        """Loss and metrics of the common output over `data`: {"loss": ..., "accuracy": ...}.

        The loss is without penalties and prices on activities: these are of the members, not of what they say together.
        """
        return self.measure(self._batches(data))

    def measure(self, batches: list[Any]) -> dict[str, Any]:
        """The same over batches on the device; a fourth array (batch, members) says whose voice counts."""
        params, state = self._arrays()
        logs = []
        for x, t, weight, *heard in batches:
            who = heard[0] if heard else None
            logs.append(self.programs.measure(params, state, self.model.statistics, x, t, weight, who))
        stacked = jax.tree.map(lambda *parts: np.stack([np.asarray(part) for part in parts]), *logs)
        return summarize(self.programs.recipe, stacked)

    def evaluate_members(self, data: Any) -> list[dict[str, Any]]:
        """The same for each member alone."""
        return self.measure_apart(self._batches(data))

    def member(self, index: int) -> Model:
        """One member as a model of its own."""
        self._arrays()
        whole = isinstance(index, numbers.Integral) and not isinstance(index, bool)
        if not whole or not 0 <= index < self.members:
            raise ConfigError(f"The members are numbered from 0 to {self.members - 1}: there is no {index!r}.")
        model = copy.copy(self.model)
        model.run = member_of(self.run, index)
        model.seed, model.history = int(self.seeds[index]), self.histories[index]
        model.epochs, model.steps = self.member_epochs[index], int(model.run.step)
        return model

    def description(self) -> dict[str, Any]:
        """All that describes the members, as plain values for JSON."""
        common, own = self.model.description(), {"count": self.members, "bootstrap": self.bootstrap}
        return {**common, "members": own, "epochs": self.epochs, "steps": self.steps}

    def steps_per_epoch(self, examples: int, batch_size: int | str | None = None) -> int:
        """Updates of a member in an epoch, with so many examples to train on: what schedules count in."""
        size = batch_size_of(batch_size, as_whole(examples, "examples", 1))
        return member_steps(examples, size, self.members, self.model.seed, bootstrap=self.bootstrap)

    def save(self, path: Any) -> None:
        """Write all members to one safetensors file, from which `denpa.load` makes the ensemble again.

        Raises:
            ConfigError: there is nothing to save yet.
            StorageError: the file cannot be written; what was there before is untouched.
        """
        params, state = self._arrays()
        model, own = self.model, ("members", "bootstrap", "examples", "epochs", "steps", "member_epochs")
        arrays = {
            "params": params,
            "state": state,
            "statistics": model.statistics or {},
            "encoder": model.encoder_arrays,
        }
        plain = {name: getattr(self, name) for name in own}
        plain["member_steps"] = np.asarray(self.run.step).tolist()
        plain["out_of_bag"] = {k: v for k, v in self.out_of_bag.items() if isinstance(v, float)}
        write_arrays(path, arrays, {"format": 1, "kind": "bagging", "model": model.description(), "bagging": plain})

    @classmethod
    def restored(cls, model: Model, plain: dict[str, Any], variables: Any) -> Bagging:
        """The ensemble of what `save` wrote, as `denpa.load` has checked it."""
        ours = cls(model, plain["members"], bootstrap=plain["bootstrap"])
        # A file of a version in which no member stopped before the others says it once.
        every = {name: [plain[name]] * ours.members for name in ("epochs", "steps")}
        ours.member_epochs = plain.get("member_epochs", every["epochs"])
        steps = jax.device_put(np.array(plain.get("member_steps", every["steps"]), np.int32))
        if {len(ours.member_epochs), len(steps)} != {ours.members}:
            raise FileFormatError(f"epochs and steps should be of {ours.members} members each")
        ours.examples, ours.out_of_bag = plain["examples"], plain["out_of_bag"]
        ours.epochs, ours.steps = plain["epochs"], plain["steps"]
        keys = jax.vmap(key_of_run)(ours.seeds)
        ours.run = Run(variables.params, variables.state, None, keys, steps)
        model.run = member_of(ours.run, 0)
        return ours

    def _plan(self, examples: int, batch_size: int, **order: Any) -> tuple[Together, Any]:
        """The batches of all members, and what each example weighs for each member."""
        if self.run is not None and self.examples != examples:
            seen = counted(self.examples, "example")
            raise DataError(f"These members were trained on {seen} and cannot go on with {examples:,}.")
        self.examples = examples
        if self.counts is None:
            rows, shares = [np.arange(examples, dtype=np.int32)] * self.members, None
        else:
            rows, shares = shares_of(self.counts)
        return Together.of(rows, batch_size, self.seeds, self.bootstrap, **order), shares

    def _begin(self, given: bool) -> None:
        """Parameters and moments, as far as they are lacking."""
        if self.run is None:
            self.run = begun(self.programs, self.model, self.seeds, network_shape(self.model), {}, given)
        elif self.run.optimizer is None:
            moments = jax.vmap(self.model.optimizer.init)(self.run.params)
            self.run = dataclasses.replace(self.run, optimizer=moments)

    def _out_of_bag(self, train: Any) -> dict[str, Any]:
        if self.counts is None:
            return {}
        heard = np.asarray(self.counts == 0).T
        batches = batches_to_measure(self.model, (train[0], (train[1], heard), train[2]), self.members)
        return self.measure([(x, t, weight, who) for x, (t, who), weight in batches])

    def _arrays(self) -> tuple[Any, Any]:
        if self.run is None:
            raise ConfigError("These members have no parameters yet: fit them.")
        return self.run.params, self.run.state

    def _answers(self, program: Any, x: Any, axis: int) -> np.ndarray:
        """What a program makes of raw input x, batch by batch; `axis` of its result counts the examples."""
        params, state = self._arrays()
        x = checked_input(self.model, x)
        use_compile_cache()
        examples = len(jax.tree.leaves(x)[0])
        batches = batches_to_predict(self.model, x, self.members)
        parts = [np.asarray(program(params, state, self.model.statistics, part)) for part in batches]
        return np.concatenate(parts, axis=axis)[(slice(None),) * axis + (slice(examples),)]

    def _batches(self, data: Any) -> list[Any]:
        self._arrays()
        use_compile_cache()
        checked = checked_data(self.model, data, "the data to evaluate")
        return batches_to_measure(self.model, checked, self.members)
