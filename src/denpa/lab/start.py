"""Where training starts: the model of an experiment, with drawn, loaded or pre-trained parameters."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from denpa.core.description import to_config
from denpa.core.errors import ConfigError
from denpa.data.dataset import Dataset
from denpa.lab.experiment import Experiment, TrainingConfig
from denpa.lab.generative import start_as_generative
from denpa.training import Model, pretrain
from denpa.training.history import History
from denpa.training.inputs import shape_of_example
from denpa.training.storage import read_arrays

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
        if not plan.initial_only:
            theirs = _description(plan.initial_weights)
            _want_same_tokens(model, theirs, plan.initial_weights)
            _warn_of_other_classes(model, train.class_names, theirs.get("class_names"), plan.initial_weights)
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


def _description(source: str) -> dict[str, Any]:
    """What a model file, or that of a run folder, says of its model."""
    path = Path(source)
    _, found = read_arrays(path / "model.safetensors" if path.is_dir() else path)
    return found.get("model") or {}


def _warn_of_other_classes(model: Model, ours: Any, theirs: Any, source: str) -> None:
    """Weights of as many classes fit by their shapes, but what spoke for one class speaks for another then."""
    for number, (there, here) in enumerate(zip(theirs or (), ours or (), strict=False)):
        if there != here:
            first = next(name for name, own in model.variables.params.items() if own)
            message = (
                f"The weights of {source} were learned with other classes: what spoke for {there!r}, class {number} "
                f"there, begins as {here!r} here. For a new last layer take the others: only (in a config "
                f"initial_only), such as '{first}/*'."
            )
            warnings.warn(message, UserWarning, stacklevel=2)
            return


def _want_same_tokens(model: Model, description: dict[str, Any], source: str) -> None:
    """Weights may fit by their shapes and yet be those of other tokens: a row of the embedding is another word then."""
    theirs, ours = _tokens(description.get("encoder")), _tokens(to_config(model.encoder))
    for name in theirs.keys() & ours.keys():
        for number, (there, here) in enumerate(zip(theirs[name], ours[name], strict=False)):
            if there != here:
                free = next(
                    (name for name, own in model.variables.params.items() if own and "embedding" not in name), "*"
                )
                raise ConfigError(
                    f"The weights of {source} were learned with another vocabulary: token {number} is {there!r} there, "
                    f"{here!r} here. Take what does not hang on it: only (in a config initial_only), such as "
                    f"'{free}/*'."
                )


def _tokens(encoder: Any) -> dict[str, list[str]]:
    """The tokens of each vocabulary in the config of an encoder, by its field; "" where it is one itself."""
    parts = {"": encoder, **encoder} if isinstance(encoder, dict) else {}
    return {
        name: part["tokens"]
        for name, part in parts.items()
        if isinstance(part, dict) and part.get("type") == "Vocabulary"
    }
