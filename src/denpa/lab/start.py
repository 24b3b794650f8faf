"""Where training starts: the model of an experiment, with drawn, loaded or pre-trained parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from denpa.data.dataset import Dataset
from denpa.lab.experiment import Experiment, TrainingConfig
from denpa.lab.generative import start_as_generative
from denpa.training import Model, pretrain
from denpa.training.history import History
from denpa.training.inputs import shape_of_example

__all__ = ["begin", "model_of", "untrained"]


def model_of(experiment: Experiment) -> Model:
    """The untrained model of an experiment."""
    training = experiment.training
    return Model(
        experiment.network,
        loss=experiment.loss,
        optimizer=experiment.optimizer,
        metrics=experiment.metrics,
        penalty=experiment.penalty,
        normalizer=experiment.normalizer,
        target_normalizer=experiment.target_normalizer,
        seed=training.seed,
        compute_dtype=training.compute_dtype,
        frozen=training.frozen,
    )


def begin(model: Model, plan: TrainingConfig, train: Dataset, verbose: Any = False, folder: Path | None = None) -> None:
    """Put a model where training is to start: at drawn, loaded, pre-trained or generative parameters."""
    x = train.inputs
    if plan.initial_weights is not None:
        model.build(shape_of_example(x))
        model.load_weights(plan.initial_weights, plan.initial_only or None)
    elif plan.pretrain is not None:
        size = min(plan.batch_size, len(x)) if isinstance(plan.batch_size, int) else plan.batch_size
        options = {"epochs": plan.pretrain, "batch_size": size, "seed": model.seed, "verbose": verbose}
        variables = pretrain(model.net, x, normalizer=model.normalizer, folder=folder, **options)
        if model.run is None:
            model.build(shape_of_example(x))
        model.variables = variables
    elif plan.generative is not None:
        start_as_generative(model, train, plan.generative, plan.shrinkage)


def untrained(model: Model, train: Dataset, validation: Dataset | None) -> History:
    """The history of a model that stays where `begin` has put it: one row, of epoch 0."""
    row = model.evaluate(train)
    held = {} if validation is None else model.evaluate(validation)
    model.history.epochs.append({"epoch": 0, "step": 0, **row, **{f"validation_{k}": v for k, v in held.items()}})
    model.history.seconds.append(0.0)
    return model.history
