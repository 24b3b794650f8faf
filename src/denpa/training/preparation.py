"""The data of a model, as its network, loss and normalisers take them; and the shape in which the network sees them."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from denpa.core import tree
from denpa.core.errors import ConfigError, DataError, DenpaError, ShapeError
from denpa.core.layer import Layer
from denpa.core.padded import Padded, step_mask, values_of, with_ends
from denpa.data.dataset import Dataset, Splits
from denpa.layers import Dense, Embedding, Sigmoid, Softmax
from denpa.losses import BinaryCrossEntropy, CrossEntropy
from denpa.networks import Graph, Sequential, Tied
from denpa.networks.recurrent import Recurrent
from denpa.training.arguments import check_class_names
from denpa.training.inputs import (
    Batch,
    checked_examples,
    checked_targets,
    checked_weight,
    columns_of,
    examples_at_once,
    filled_batches,
    held_back,
    padded_batches,
    parted,
    shape_of_example,
    unpacked,
)
from denpa.training.words import check_words

if TYPE_CHECKING:
    from denpa.training.model import Model

__all__ = [
    "batches_to_measure",
    "batches_to_predict",
    "checked_data",
    "checked_input",
    "fitted",
    "misread_output",
    "network_shape",
    "prepared_data",
    "size_of_batches",
    "warn_before_training",
]


def network_shape(model: Model, raw: Any = None) -> Any:
    """The shape of one example as the model's network sees it, after normalisation; None before it is known.

    `raw` is that of a raw example, where it is not the one that the network was made for.
    """
    raw = model.in_shape if raw is None else raw
    if model.normalizer is None or model.statistics is None:
        return raw
    blank = jax.ShapeDtypeStruct((1, *raw), jnp.float32)
    return jax.eval_shape(model.normalizer.apply, model.statistics, blank).shape[1:]


def batches_to_predict(model: Model, x: Any, members: int = 1) -> list[Any]:
    """Checked examples in batches of a size that so many members can take at a time; see `filled_batches`."""
    return filled_batches(x, size_of_batches(model, x, members))


def batches_to_measure(model: Model, batch: Batch, members: int = 1) -> list[Batch]:
    """Checked data (x, t, weight) in such batches, on the device; see `padded_batches`."""
    return padded_batches(model.net, *batch, size_of_batches(model, batch[0], members))


def size_of_batches(model: Model, x: Any, members: int = 1) -> int:
    """How many of the checked examples the model predicts or measures together, by so many members at a time."""
    return examples_at_once(model.net, network_shape(model, shape_of_example(x)), members)


def _wanted_shape(model: Model, x: Any) -> Any:
    """The shape that an example must have: the one that the network was made for, or x's own where that is as good.

    That is where nothing but time, the first axis, has another length, and the network takes sequences of any length.

    Raises:
        DataError: it would, but the normaliser knows each step by itself.
    """
    known = model.in_shape
    if known is None or not _reads_steps(model.net):
        return known
    given = _with_time_of(x, known)
    if given == known:
        return known
    try:
        seen = network_shape(model, given)
    except ShapeError:
        raise DataError(
            f"Each example has shape {given}, but the network was made for {known}, and {model.normalizer!r} has "
            'learned every step by itself: sequences of any length want per="channel", which takes all steps together.'
        ) from None
    return given if _same_arrays(model.net, network_shape(model), seen) else known


def _with_time_of(x: Any, known: Any) -> Any:
    """The `known` shape of one raw example, of several inputs that of each, with as many steps as x has.

    As it is where x has another number of axes, other features or no shape at all.
    """
    if known and isinstance(known[0], tuple):
        if not isinstance(x, (tuple, list)) or len(x) != len(known):
            return known
        return tuple(_with_time_of(part, shape) for part, shape in zip(x, known, strict=True))
    try:
        given = tuple(np.shape(values_of(x))[1:])
    except (TypeError, ValueError, RuntimeError):  # what is no array is refused, by its name, where it is made one
        return known
    alike = len(given) == len(known) > 0 and given[1:] == known[1:] and given[0] > 0
    return given if alike else known


def _reads_steps(layer: Layer) -> bool:
    """Whether a network reads sequences: by a recurrent layer or an embedding. Elsewhere the first axis is not time."""
    return isinstance(layer, (Recurrent, Embedding)) or any(_reads_steps(inside) for _, inside in layer.inner())


@functools.lru_cache(maxsize=256)
def _same_arrays(net: Any, known: Any, seen: Any) -> bool:
    """Whether the network has the same parameters and state for examples of both shapes."""
    try:
        first, second = (jax.eval_shape(lambda s=shape: net.init(jax.random.key(0), s)) for shape in (known, seen))
        net.out_shape(seen)
    except (DenpaError, TypeError, ValueError):  # a layer wants so many steps
        return False
    return tree.flatten(first._asdict()) == tree.flatten(second._asdict())


def checked_input(model: Model, x: Any) -> Any:
    """Raw input x, or that of a data set, as arrays fit for the device.

    Raises:
        DataError: x is not such as the model was trained on.
    """
    if isinstance(x, Splits):
        raise DataError("x is not Splits: give .x of one of its data sets, such as splits.test.x.")
    x = x.inputs if isinstance(x, Dataset) else x
    x = checked_examples(x, _wanted_shape(model, x), model.feature_names, "the input")
    check_words(model.net, x, "the input")
    return x


def checked_data(model: Model, data: Any, where: str) -> Batch:
    """Data to measure as (x, t, weight): arrays fit for the device; the weight may be None.

    Args:
        model: one that has parameters.
        data: (x, t), (x, t, sample_weight) or a data set, raw as for `fit`.
        where: what messages call the data.

    Raises:
        DataError, ShapeError: the data do not fit the network or the loss.
    """
    x, t, weight = unpacked(data)
    return _with_targets(
        model, checked_examples(x, _wanted_shape(model, x), model.feature_names, where), t, weight, where, train=False
    )


def prepared_data(model: Model, data: Any, validation: Any) -> tuple[Batch, Batch | None]:
    """Data to train on and, where `validation` asks for it, data held apart, as (x, t, weight) fit for the device.

    The first time this fits the normalisers on the training data, builds the network and notes the names of classes
    and columns.

    Args:
        model: what is to be trained.
        data: as for `fit`.
        validation: data as well, the fraction of `data` to hold back, or None.

    Raises:
        DataError, ShapeError, ConfigError: the data do not fit; what the model has noted by then it keeps.
    """
    x, t, weight = unpacked(data)
    number = isinstance(validation, (int, float, np.number))
    if number and not 0 < validation < 1:
        raise ConfigError(f"validation must be data, or a part of them between 0 and 1, not {validation!r}.")
    fraction = float(validation) if number else None
    where = "the training data" if fraction is None else "the data"
    model.class_names = model.class_names or getattr(data, "class_names", None)
    model.feature_names = model.feature_names or getattr(data, "feature_names", None) or columns_of(x)
    raw, x = x, checked_examples(x, _wanted_shape(model, x), model.feature_names, where)
    _warn_of_lost_digits(raw, model.feature_names)
    rest: Any = None
    held: Any = None
    if fraction is not None:
        task = getattr(data, "task", None) or (None if model.loss.expects == "values" else "classification")
        rest, held = held_back(x, t, task, fraction, model.seed, where)
    _begin(model, x, rest)
    check_class_names(model, network_shape(model))
    train, held_out = _with_targets(model, x, t, weight, where, train=True), None
    if rest is not None and held is not None:
        train, held_out = parted(train, rest, held)
    elif validation is not None:
        held_out = checked_data(model, validation, "the validation data")
    if model.target_normalizer is not None and "targets" not in (model.statistics or {}):
        model.statistics = {**(model.statistics or {}), "targets": fitted(model.target_normalizer, train[1])}
    return train, held_out


def _warn_of_lost_digits(x: Any, names: Any) -> None:
    """Warn of a column of which float32 keeps less than three digits of what varies, such as seconds since 1970."""
    values = np.asarray(x) if hasattr(x, "__array__") or isinstance(x, list) else None
    if values is None or values.ndim < 2 or values.dtype.str[1:] not in ("f8", "i8", "u8", "i4", "u4"):
        return
    columns = values.reshape(-1, values.shape[-1])
    low, high = columns.min(axis=0).astype(float), columns.max(axis=0).astype(float)
    step = np.spacing(np.maximum(np.abs(low), np.abs(high)).astype(jax.dtypes.canonicalize_dtype(float)))
    for index in np.flatnonzero((high > low) & (high - low < 1000 * step)):
        exact = columns[:, index].astype(float)
        if np.abs(exact.astype(step.dtype) - exact).max() * 2000 > high[index] - low[index]:
            name = index if names is None or len(names) <= index else repr(names[index])
            warnings.warn(
                f"Column {name} of x goes from {low[index]:.12g} to {high[index]:.12g}, where {step.dtype} knows "
                f"numbers in steps of {step[index]:g}: subtract a constant first, such as its mean, in float64.",
                UserWarning,
                stacklevel=5,
            )


def _begin(model: Model, x: Any, rows: Any) -> None:
    """Statistics, parameters and moments, as far as the model lacks them; the statistics are those of `rows` of x."""
    if model.normalizer is not None and model.statistics is None:
        if isinstance(x, tuple):
            raise ConfigError("A normalizer works for a network with a single input: normalise before fit.")
        model.statistics = fitted(model.normalizer, x if rows is None else jax.tree.map(lambda a: a[rows], x))
    if model.run is None:
        model.build(shape_of_example(x))
    elif model.run.optimizer is None:
        model.run = dataclasses.replace(model.run, optimizer=model.programs.moments(model.run.params))


def fitted(normalizer: Any, x: Any) -> dict[str, Any]:
    """The normaliser's statistics, on the device: those of padded sequences are over their true steps."""
    if not isinstance(x, Padded):
        return jax.device_put(normalizer.fit(x))
    steps = x.values[step_mask(x.lengths, x.values.shape[1])]
    arrays = jax.device_put(normalizer.fit(steps))
    try:
        jax.eval_shape(normalizer.apply, arrays, x.values)
    except ShapeError:
        raise ConfigError(
            f"{normalizer!r} looks at every place of an example by itself, but padded sequences end at unlike places: "
            'give per="channel", which takes all steps together.'
        ) from None
    return arrays


def _with_targets(model: Model, x: Any, t: Any, weight: Any, where: str, *, train: bool) -> Batch:
    """Checked examples with their targets and weights, checked too."""
    check_words(model.net, x, where)
    out_shape = model.net.out_shape(network_shape(model, shape_of_example(x)))
    begins = model.steps == 0  # who has learned before may meet one class alone: a stream that is sorted, an example
    t = checked_targets(t, x, model.loss, out_shape, where, train=train, several=begins)
    t = with_ends(t, x, (len(values_of(t)), *out_shape))  # so that they are cut and gathered as the input is
    weight = checked_weight(weight, x)
    if isinstance(t, Padded) and weight is not None and weight.shape != t.values.shape[: weight.ndim]:
        raise ShapeError(
            f"sample_weight has shape {weight.shape} in {where}, but there are {t.values.shape[:2]} (examples, steps): "
            "give a weight for each example or for each step."
        )
    return x, t, weight


# What makes probabilities of any numbers for which loss.
_PROBABILITIES: dict[type[Any], str] = {
    CrossEntropy: "Put Softmax() behind it, or take SoftmaxCrossEntropy().",
    BinaryCrossEntropy: "Put Sigmoid() behind it, or take SigmoidCrossEntropy().",
}


def misread_output(net: Any, loss: Any) -> tuple[str, str] | None:
    """What is wrong where the loss reads the last layer's output as what it is not, and what to do about it."""
    path, last = _last_layer(net)
    if isinstance(last, (Softmax, Sigmoid)) and loss.expects == "logits":
        return (
            f"Layer {path!r} makes probabilities, and {loss!r} makes them once more.",
            "Leave the last activation out.",
        )
    if isinstance(last, Dense) and path and loss.expects == "probabilities":
        what = f"Layer {path!r} gives any numbers, and {loss!r} reads them as probabilities."
        return what, _PROBABILITIES.get(type(loss), "Put Softmax() or Sigmoid() behind it.")
    if isinstance(last, Sigmoid) and isinstance(loss, CrossEntropy):
        what = f"{loss!r} is 0 where all outputs are 1, whatever the target, and layer {path!r} lets all of them be 1."
        return what, "Take Softmax() in its place, or BinaryCrossEntropy() with a target for each unit."
    return None


def _last_layer(net: Any, path: str = "") -> tuple[str, Any]:
    """The layer that gives a network's only output, and its path; the network itself where there is none such."""
    if isinstance(net, Tied):
        return _last_layer(net.net, path)
    layers = dict(net.inner()) if isinstance(net, (Sequential, Graph)) else {}
    name = net.outputs if isinstance(net, Graph) else next(reversed(layers), None)
    if not isinstance(name, str) or name not in layers:  # several outputs, or an input of a graph
        return path, net
    return _last_layer(layers[name], f"{path}/{name}" if path else name)


def warn_before_training(model: Model, train: Batch, batch_size: int, *, bootstrap: bool = False) -> None:
    """Warn of what would be learned otherwise than it was meant, as far as network, loss and weights show it.

    That are outputs which the loss misreads, and weights that cancel: a mean over the weights of a batch that holds
    one example is w l / w = l.

    Args:
        model: what is to be trained; its loss says whether it takes means.
        train: the checked data, as (x, t, weight).
        batch_size: examples in an update.
        bootstrap: whether examples weigh as often as they were drawn.
    """
    if (misread := misread_output(model.net, model.loss)) is not None:
        warnings.warn(" ".join(misread), UserWarning, stacklevel=4)
    if batch_size > 1 or model.loss.reduction != "mean":
        return
    weight, idle = train[2], []
    if bootstrap:
        idle.append("how often the bootstrap drew an example")
    if weight is not None and weight.ndim == 1 and _differ(weight):
        idle.append("the sample weights")
    if _weighs_classes_alone(model.loss, train[1], model.net.out_shape(network_shape(model))):
        idle.append("the class weights")
    if idle:
        warnings.warn(
            f"With batch_size=1 {' and '.join(idle)} can have no effect, for each update is divided by the weights of "
            'its batch: take larger batches, or a loss with reduction="sum".',
            UserWarning,
            stacklevel=4,
        )


def _differ(weights: Any) -> bool:
    """Whether the weights above 0 do: 0 leaves an example out whatever the batch."""
    weights = np.asarray(weights)
    return len(np.unique(weights[weights > 0])) > 1


def _weighs_classes_alone(loss: Any, t: Any, out_shape: Any) -> bool:
    """Whether the loss has class weights, and each example is one item of one class, so that one weight is its all."""
    weights = getattr(loss, "class_weight", None)
    if weights is None or not _differ(weights) or getattr(loss, "label_smoothing", 0) or isinstance(t, Padded):
        return False
    if len(out_shape) != 1 or not isinstance(out_shape[0], int):
        return False
    return t.ndim == 1 or bool(np.all((t == 0) | (t == 1)))
