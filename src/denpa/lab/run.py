"""A run: an experiment carried out in a folder, from which it can be taken up again.

run = Run(Experiment.from_toml("config.toml"), folder="runs/first")
results = run.go()
Run.resume("runs/first").go()             # after a crash: the same bits as if nothing had happened
"""

from __future__ import annotations

import contextlib
import functools
import warnings
from pathlib import Path
from typing import Any

import jax

from denpa.core.errors import ConfigError, DataError, FileFormatError
from denpa.data import datasets
from denpa.data.arguments import as_path
from denpa.data.checks import check_data
from denpa.data.extras import optional
from denpa.lab import figures
from denpa.lab.ensemble import OutOfBag, best_epochs, check_members, out_of_bag
from denpa.lab.environment import differences, environment, session
from denpa.lab.experiment import Experiment
from denpa.lab.keeper import Curves, Keeper
from denpa.lab.measure import Measured, measure
from denpa.lab.real_time import RealTime
from denpa.lab.run_folder import RunFolder, create, free_name, refuse_existing
from denpa.lab.sources import Prepared, load_data
from denpa.lab.start import begin, model_of, untrained
from denpa.training import Bagging
from denpa.training.checkpoint import latest, step_of
from denpa.training.history import History
from denpa.training.inputs import shape_of_example
from denpa.training.pretraining import check_stack, want_no_padding

__all__ = ["Run"]


class Run:
    """An experiment, its data and its folder.

    Args:
        experiment: what to do.
        folder: where to keep it; runs/NAME, runs/NAME-2, ... when None.
        prepared: the data, where they have been read already.
        overwrite: replace a run that is in `folder`.
        command: what started it, for environment.json.

    Attributes:
        model: the model, or with `training.members` the `Bagging` of several; trained after `go`.
        out_of_bag: of members with bootstrap samples, after `go`.
        folder: the run folder, or None as long as nothing has been written.
        checkpoint: the folder whose last checkpoint `go` takes up, after `from_step` steps; None to begin.

    Raises:
        DataError, FileFormatError, ConfigError: data that cannot be read or do not fit.
        StorageError: the folder exists already.
    """

    def __init__(
        self,
        experiment: Experiment,
        folder: str | Path | None = None,
        *,
        prepared: Prepared | None = None,
        overwrite: bool = False,
        command: str = "",
    ) -> None:
        if not isinstance(experiment, Experiment):
            raise ConfigError(f"Run wants an Experiment, such as Experiment.from_toml(FILE), not {experiment!r}.")
        if folder is not None:
            refuse_existing(as_path(folder), overwrite)
        if experiment.training.tensorboard:
            optional("tensorboard", "tensorboard", "training.tensorboard")
        self.wanted, self.overwrite, self.command = folder, overwrite, command
        self.data = load_data(experiment.data) if prepared is None else prepared
        self.experiment = _anywhere(experiment)
        model, plan = model_of(experiment), experiment.training
        model.encoder, model.encoder_arrays = self.data.encoder, _on_device(self.data.encoder_arrays)
        self.model: Any = model
        if plan.members is not None:
            check_members(self.data)
            self.model = Bagging(model, plan.members, bootstrap=plan.bootstrap)
        self.out_of_bag: OutOfBag | None = None
        self.folder: RunFolder | None = None
        self.checkpoint: Path | None = None
        self.from_step = 0
        self.history = History()

    @classmethod
    def resume(cls, folder: str | Path, command: str = "") -> Run:
        """The run of a folder, to be taken up where its last checkpoint left off.

        Warns (UserWarning) where versions or device have changed, for then the bits may change.

        Raises:
            FileFormatError: no run folder.
            ConfigError: the run has finished.
            DataError: the data are not those that the run began with.
        """
        found = RunFolder.existing(folder)
        if found.finished:
            raise ConfigError(f"{folder} has finished: its results are in {found.results}.")
        run = cls(found.experiment(), command=command)
        run.folder = found
        with contextlib.suppress(FileFormatError):  # without a checkpoint the start leads to the same bits
            run.from_step, run.checkpoint = step_of(latest(found.path)), found.path
        before = found.begun()
        found.check_same_data(run.data)
        now = environment(run.experiment.training.seed, "", command)
        for difference in differences(before, now):
            warnings.warn(f"{difference}: the run may not end with the same bits.", UserWarning, stacklevel=2)
        return run

    def go(self, verbose: Any = "auto") -> Measured:
        """Train, measure and write everything; returns the final measurements.

        Raises:
            ConfigError, DataError, ShapeError: parts that do not fit together; nothing was written.
            StorageError: the folder cannot be made, a file in it cannot be written, or another process trains into it.
            DivergenceError: a number was not finite. The last checkpoint is of the last good state.
            KeyboardInterrupt: Ctrl-C; a checkpoint was written.
        """
        self._check_whole_data()
        with contextlib.ExitStack() as held:
            if self.folder is not None:
                held.enter_context(self.folder.held())
                self.folder.sweep()
            self._train(held, verbose)
            if isinstance(self.model, Bagging):
                self.out_of_bag = out_of_bag(self.model, self.data.train)
            return self._finish()

    def _train(self, held: contextlib.ExitStack, verbose: Any) -> None:
        plan, rule = self.experiment.training, self.experiment.training.early_stopping
        begin_folder = functools.partial(self._begin_folder, held=held, verbose=verbose)
        keeper = Keeper(lambda training: begin_folder(training.resumed), plan.checkpoint_seconds, self._note_session)
        if self.checkpoint is None and plan.pretrain is None:  # which wants the folder first
            begin(self.model.model if plan.members else self.model, plan, self.data.train)
        if plan.epochs == 0:
            self.history = untrained(self.model, self.data.train, self.data.validation)
            begin_folder(False)  # measuring has told by now what does not fit
            return
        if plan.rtrl:
            learner = RealTime(self.model, self.data)
            self.history = learner.learn(plan, verbose, functools.partial(self._keep, begin_folder(False)))
            return
        curves = [Curves(lambda: self._begun.tensorboard)] if plan.tensorboard else []
        self.history = self.model.fit(
            self.data.train,
            validation=self.data.validation,
            epochs=plan.epochs,
            batch_size=plan.batch_size,
            shuffle=plan.shuffle,
            replacement=plan.replacement,
            buckets=plan.buckets,
            callbacks=[keeper, *curves, *([] if rule is None else [rule])],
            verbose=verbose,
            record_steps=plan.record_steps,
            window=plan.window,
            resume=self.checkpoint,
            devices=plan.devices,
        )

    def _begin_folder(self, resumed: bool, held: contextlib.ExitStack, verbose: Any) -> RunFolder:
        """Called when model and data fit: make the folder and hold it, or note who begins anew; then pre-train."""
        plan, x, seed = self.experiment.training, self.data.train.inputs, self.experiment.training.seed
        if self.folder is None:
            if plan.pretrain is not None:
                want_no_padding(x)
                norm, first = self.model.normalizer, x[:1]
                check_stack(
                    self.model.net,
                    shape_of_example(first if norm is None else norm.apply(self.model.statistics, first)),
                )
            path = free_name("runs", self.experiment.name) if self.wanted is None else Path(self.wanted)
            found = environment(seed, self.data.content_hash(), self.command)
            self.folder = create(path, self.experiment, found, overwrite=self.overwrite)
            held.enter_context(self.folder.held())
        elif not resumed:
            self._note_session()
        if plan.pretrain is not None and not resumed:
            begin(self.model, plan, self.data.train, verbose, self.folder.path)
        return self.folder

    @property
    def _begun(self) -> RunFolder:
        if self.folder is None:
            raise ConfigError("This run has no folder yet.")
        return self.folder

    def _keep(self, folder: RunFolder) -> None:
        folder.write_history(self.model.history)
        self.model.save(folder.model)

    def _note_session(self) -> None:
        if self.folder is not None:
            found = self.folder.begun()
            found["sessions"].append(session(self.command, self.from_step))
            self.folder.write_json(self.folder.environment, found)

    def _check_whole_data(self) -> None:
        """Before the parts are looked at: rows are then those of the file, the test part's among them."""
        if self.data.task == "pairs":  # made of texts that were checked when they were read
            return
        train, test, loss = self.data.train, self.data.test, self.experiment.loss
        outputs = self.experiment.network.out_shape(train.x.shape[1:])[-1]
        classes = 2 if outputs == 1 and loss.threshold is not None else outputs
        for part in self.data.whole:
            known = classes if part.task == "classification" else None
            check_data(part.x, part.t, task=part.task, classes=known, where=part.name)
        first = 1 if train.lengths is None else 2  # sequences of unlike length may be longer in one part
        if test is not None and test.x.shape[first:] != train.x.shape[first:]:
            got, wanted = test.x.shape[1:], train.x.shape[1:]
            raise DataError(f"Examples of the test part have shape {got}, those of the training part {wanted}.")

    def _finish(self) -> Measured:
        folder, model = self._begun, self.model
        measured = measure(model, self.data.test)
        folder.write_history(self.history)
        model.save(folder.model)
        folder.figures.mkdir(exist_ok=True)
        figures.write_all(folder.figures, self, measured)
        again = self.history.retraining
        results = {
            "epochs": model.epochs if again is None else self.history.epochs[-1]["epoch"],
            "steps": model.steps if again is None else self.history.updates,
            "parameters": model.summary().parameters,
            "stopped": self.history.stopped,
            "best_epoch": self.history.best_epoch,
            **({"best_epochs": best} if (best := best_epochs(model)) else {}),
            "last_epoch": self.history.to_config()["epochs"][-1],
            **({} if again is None else {"retraining": _of_retraining(again)}),
            **measured.to_config(),
            **({} if self.out_of_bag is None else self.out_of_bag.to_config()),
        }
        folder.write_json(folder.results, results)
        folder.pretraining.unlink(missing_ok=True)
        return measured


def _of_retraining(history: History) -> dict[str, Any]:
    rows = history.to_config()["epochs"]
    last = {"last_epoch": rows[-1]} if rows else {}  # few updates make no epoch of all data
    return {"steps": history.updates, "stopped": history.stopped, **last}


def _anywhere(experiment: Experiment) -> Experiment:
    """The experiment with the whole paths of its files, so that the run can be taken up from any folder."""
    data, training = experiment.data, experiment.training
    if data.source not in datasets.names():
        data = data.replace(source=str(Path(data.source).resolve()))
        if data.task == "pairs" and isinstance(data.target, str):
            data = data.replace(target=str(Path(data.target).resolve()))
    if training.initial_weights is not None:
        training = training.replace(initial_weights=str(Path(training.initial_weights).resolve()))
    return experiment.replace(data=data, training=training)


def _on_device(arrays: dict[str, Any]) -> dict[str, Any]:
    return {name: jax.device_put(array) for name, array in arrays.items()}
