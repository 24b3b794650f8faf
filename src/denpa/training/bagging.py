"""Bagging: many models, each trained on a bootstrap sample, that decide together."""

from __future__ import annotations

import copy
import dataclasses
import numbers
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from denpa.core.errors import ConfigError, DataError, DivergenceError
from denpa.data.counted import counted
from denpa.training.arguments import batch_size_of, verbosity
from denpa.training.compile_cache import use_compile_cache
from denpa.training.history import History
from denpa.training.inputs import filled_batches, padded_batches
from denpa.training.interrupts import interrupts_wait
from denpa.training.loop import Position, summarize
from denpa.training.members import MemberPrograms, Members, Together, member_of, member_programs_for, sampled_rows
from denpa.training.model import Model
from denpa.training.preparation import checked_data, checked_input, network_shape, prepared_data, size_of_batches
from denpa.training.program import Run, key_of_run
from denpa.training.progress import Progress
from denpa.training.storage import write_arrays

__all__ = ["Bagging"]

# What the members have in common, as attributes.
_OF_MODEL = (
    *("net", "loss", "optimizer", "metrics", "penalty", "normalizer", "target_normalizer", "compute_dtype", "seed"),
    *("in_shape", "class_names", "feature_names", "encoder", "encoder_arrays", "statistics", "summary"),
)


class Bagging:
    """M models of one description, each trained on its own bootstrap sample, that speak with one voice.

        model = dp.Model(net, loss=dp.SoftmaxCrossEntropy(), metrics=[dp.Accuracy()])
        bagging = dp.Bagging(model, members=10)
        bagging.fit((x, t), epochs=10)
        bagging.out_of_bag["accuracy"], bagging.predict_classes(x_test)

    A bootstrap sample is N examples drawn with replacement from the N at hand; a member goes through the distinct
    ones among them, about 0.632 N, each weighted by how often it was drawn, which is the same objective. All members
    are trained in one compiled program with stacked arrays. Outputs are averaged: values as they are, probabilities
    for classes. With errors of mean 0, variance s² and covariances s_lm the error of the mean of M members has the
    variance s²/M + (2/M²) Σ_{l<m} s_lm: members gain as far as their errors differ.

    Args:
        model: the description of each member; it is not trained itself. Member m has the seed `model.seed` + m.
        members: M, how many.
        bootstrap: False to train all members on all examples; they then differ by their seeds alone.

    Attributes:
        history: means over the members, and under `validation_` what all together reach.
        histories: the history of each member.
        out_of_bag: loss and metrics on the training examples, each judged by the members that never saw it.
        epochs, steps: how many each member was trained.

    Raises:
        ConfigError: no model, fewer members than one, a model that has been trained.

    Source: Breiman (1996), "Bagging predictors", Machine Learning 24.
    """

    def __init__(self, model: Model, members: int = 10, *, bootstrap: bool = True) -> None:
        if not isinstance(model, Model):
            raise ConfigError(f"Bagging wants a Model, not {model!r}.")
        if isinstance(members, bool) or not isinstance(members, numbers.Integral) or members < 1:
            raise ConfigError(f"members must be a positive integer, not {members!r}.")
        if model.steps:
            raise ConfigError("Bagging trains models from the start: give one that has not been trained.")
        self.model, self.members, self.bootstrap = model, int(members), bool(bootstrap)
        self.runs: Any = None
        self.examples = 0
        self.history, self.histories = History(), [History() for _ in range(self.members)]
        self.out_of_bag: dict[str, Any] = {}
        self.epochs = self.steps = 0

    def __getattr__(self, name: str) -> Any:
        if name in _OF_MODEL:
            return getattr(self.model, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")

    def __repr__(self) -> str:
        return f"Bagging({self.model!r}, members={self.members}, bootstrap={self.bootstrap})"

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

    def fit(
        self,
        data: Any,
        *,
        validation: Any = None,
        epochs: int = 10,
        batch_size: int | str | None = None,
        shuffle: bool = True,
        verbose: Any = "auto",
        begun: Callable[[], Any] | None = None,
    ) -> History:
        """Train all members; can be called again to go on with the same examples. Arguments as for `Model.fit`.

        An epoch of a member is one pass over its distinct examples. `begun` is called before the first step, when data
        and options have been found to fit.

        Raises:
            DataError, ShapeError, ConfigError: the data or options do not fit.
            DivergenceError: a member's numbers were not finite.
        """
        if isinstance(epochs, bool) or not isinstance(epochs, numbers.Integral) or epochs < 1:
            raise ConfigError(f"epochs must be a positive integer, not {epochs!r}.")
        use_compile_cache()
        train, held_out = prepared_data(self.model, data, validation)
        examples = len(jax.tree.leaves(train[0])[0])
        if self.runs is not None and self.examples != examples:
            seen = counted(self.examples, "example")
            raise DataError(f"These members were trained on {seen} and cannot go on with {examples:,}.")
        self.examples = examples
        training = self._members(train, batch_size_of(batch_size, examples), shuffle)
        held = None if held_out is None else padded_batches(*held_out, size_of_batches(self.model, self.members))

        def measured() -> dict[str, Any]:
            self._take(training)
            return {} if held is None else {f"validation_{k}": v for k, v in self._measured(held).items()}

        if begun is not None:
            begun()
        try:
            with interrupts_wait() as interrupted:
                training.go(int(epochs), measured, Progress(verbosity(verbose)), interrupted)
        finally:
            self._take(training)
        if self.bootstrap:
            heard = np.asarray(self.counts == 0).T
            batches = padded_batches(train[0], (train[1], heard), train[2], size_of_batches(self.model, self.members))
            self.out_of_bag = self._measured([(x, t, weight, who) for x, (t, who), weight in batches])
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
        """
        if vote not in ("mean", "majority"):
            raise ConfigError(f'vote is "mean" or "majority", not {vote!r}.')
        if vote == "mean":
            return np.asarray(self.model.loss.decide(self.predict(x)))
        votes = np.asarray(self.model.loss.decide(self.predict_members(x)))
        classes = np.arange(votes.max(initial=0) + 1)
        return np.argmax((votes[..., None] == classes).sum(axis=0), axis=-1).astype(np.int32)

    def evaluate(self, data: Any) -> dict[str, Any]:
        """Loss and metrics of the common output over `data`: {"loss": ..., "accuracy": ...}."""
        return self._measured(self._batches(data))

    def evaluate_members(self, data: Any) -> list[dict[str, Any]]:
        """The same for each member alone."""
        params, state = self._arrays()
        logs = [self.programs.measure_apart(params, state, {}, self.model.statistics, *b) for b in self._batches(data)]
        stacked = jax.tree.map(lambda *parts: np.stack([np.asarray(part) for part in parts]), *logs)
        parts = [jax.tree.map(lambda a, m=m: a[:, m], stacked) for m in range(self.members)]
        return [summarize(self.programs.recipe, part) for part in parts]

    def member(self, index: int) -> Model:
        """One member as a model of its own."""
        self._arrays()
        if not 0 <= index < self.members:
            raise ConfigError(f"The members are numbered from 0 to {self.members - 1}: there is no {index}.")
        model = copy.copy(self.model)
        model.run = member_of(self.runs, index)
        model.seed, model.history = int(self.seeds[index]), self.histories[index]
        model.epochs, model.steps = self.epochs, self.steps
        return model

    def save(self, path: Any) -> None:
        """Write all members to one safetensors file, from which `denpa.load` makes the ensemble again.

        Raises:
            ConfigError: there is nothing to save yet.
            StorageError: the file cannot be written; what was there before is untouched.
        """
        params, state = self._arrays()
        model, own = self.model, ("members", "bootstrap", "examples", "out_of_bag", "epochs", "steps")
        arrays = {
            "params": params,
            "state": state,
            "statistics": model.statistics or {},
            "encoder": model.encoder_arrays,
        }
        plain = {name: getattr(self, name) for name in own}
        plain["out_of_bag"] = {k: v for k, v in self.out_of_bag.items() if isinstance(v, float)}
        write_arrays(path, arrays, {"format": 1, "kind": "bagging", "model": model.description(), "bagging": plain})

    @classmethod
    def restored(cls, model: Model, plain: dict[str, Any], variables: Any) -> Bagging:
        """The ensemble of what `save` wrote; see `denpa.load`."""
        ours = cls(model, plain["members"], bootstrap=plain["bootstrap"])
        for name, value in plain.items():
            setattr(ours, name, value)
        keys = jax.vmap(key_of_run)(ours.seeds)
        steps = jax.device_put(np.full(ours.members, ours.steps, np.int32))
        ours.runs = Run(variables.params, variables.state, None, keys, steps)
        model.run = member_of(ours.runs, 0)
        return ours

    def _members(self, train: Any, batch_size: int, shuffle: bool) -> Members:
        counts, programs = self.counts, self.programs
        if self.runs is None:
            self.runs = programs.init(self.seeds, network_shape(self.model))
        elif self.runs.optimizer is None:
            moments = jax.vmap(self.model.optimizer.init)(self.runs.params)
            self.runs = dataclasses.replace(self.runs, optimizer=moments)
        plan = Together.of(self.examples, batch_size, self.seeds, shuffle, counts)
        training = Members(programs, self.runs, {}, self.model.statistics, train, counts, plan)
        training.history, training.histories = self.history, self.histories
        training.at, training.steps = Position(epoch=self.epochs), self.steps
        return training

    def _take(self, training: Members) -> None:
        if not training.finite.all():
            first = int(np.argmin(training.finite))
            raise DivergenceError(
                f"Member {first} of {self.members} met a number that is not finite in epoch {training.at.epoch}: lower "
                "the learning rate, or clip gradients."
            )
        self.runs, self.epochs, self.steps = training.runs, training.at.epoch, training.steps

    def _arrays(self) -> tuple[Any, Any]:
        if self.runs is None:
            raise ConfigError("These members have no parameters yet: fit them.")
        return self.runs.params, self.runs.state

    def _answers(self, program: Any, x: Any, axis: int) -> np.ndarray:
        """What a program makes of raw input x, batch by batch; `axis` of its result counts the examples."""
        params, state = self._arrays()
        x = checked_input(self.model, x)
        use_compile_cache()
        examples = len(jax.tree.leaves(x)[0])
        batches = filled_batches(x, size_of_batches(self.model, self.members))
        parts = [np.asarray(program(params, state, self.model.statistics, part)) for part in batches]
        return np.concatenate(parts, axis=axis)[(slice(None),) * axis + (slice(examples),)]

    def _batches(self, data: Any) -> list[Any]:
        self._arrays()
        use_compile_cache()
        checked = checked_data(self.model, data, "the data to evaluate")
        return padded_batches(*checked, size_of_batches(self.model, self.members))

    def _measured(self, batches: list[Any]) -> dict[str, Any]:
        params, state = self._arrays()
        logs = []
        for x, t, weight, *heard in batches:
            logs.append(
                self.programs.measure(params, state, self.model.statistics, x, t, weight, heard[0] if heard else None)
            )
        stacked = jax.tree.map(lambda *parts: np.stack([np.asarray(part) for part in parts]), *logs)
        return summarize(self.programs.recipe, stacked)
