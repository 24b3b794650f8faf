"""What users give to a `Model`, checked and brought to one form."""

from __future__ import annotations

import contextlib
import numbers
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from denpa.core import tree
from denpa.core.checks import want_methods
from denpa.core.description import Description, to_config
from denpa.core.errors import ConfigError
from denpa.data.arguments import as_flag, as_whole
from denpa.data.checks import check_batch_size
from denpa.data.counted import counted
from denpa.networks import EncoderDecoder, Network, Sequential
from denpa.training.elsewhere import called_here
from denpa.training.foreign import ForeignOptimizer
from denpa.training.single_steps import want_single_steps

__all__ = [
    "batch_size_of",
    "check_class_names",
    "check_frozen",
    "check_model",
    "check_precision",
    "check_same_normalizer",
    "check_training",
    "described",
    "network_of",
    "suited",
    "unchanged_if_refused",
    "verbosity",
    "want_epochs",
    "want_flags",
    "want_part",
    "wanted_seed",
]


def network_of(net: Any) -> Network:
    """A network as it is, or a list of layers in a row; `ConfigError` for a decoder that would see its own answers."""
    if isinstance(net, EncoderDecoder):
        for name in ("words", "decoder", "output"):
            want_single_steps(dict(net.inner())[name], "A decoder writes")
    if isinstance(net, Network):
        return net
    if not isinstance(net, (list, tuple)):
        raise ConfigError(f"A network is wanted, such as Sequential([...]), or a list of layers, not {net!r}.")
    return Sequential(tuple(net))


def check_model(model: Any) -> None:
    """Refuse parts of the wrong kind and options that do not go together, by `ConfigError`."""
    methods = {
        "loss": ("delta",),
        "penalty": ("gradient",),
        "normalizer": ("fit", "apply"),
        "target_normalizer": ("fit", "invert"),
    }
    for name, wanted in methods.items():
        if name == "loss" or getattr(model, name) is not None:
            want_part(name, getattr(model, name), *wanted)
    if model.target_normalizer is not None and model.loss.expects != "values":
        raise ConfigError(f"target_normalizer is for regressions, but {model.loss!r} reads {model.loss.expects}.")
    if getattr(model.penalty, "proximal", False):
        if not hasattr(model.optimizer, "step_sizes"):
            raise ConfigError(
                f"{model.penalty!r} wants an optimizer of denpa's, such as SGD(0.1): "
                "its step needs to know the learning rate."
            )
        model.optimizer.want_step_sizes()
    model.compute_dtype = _name_of_type(model.compute_dtype)
    precisions = ["float32", "bfloat16", "float16"]
    if jax.config.values["jax_enable_x64"]:
        precisions.append("float64")
    dtype = model.compute_dtype
    if dtype is not None and not (isinstance(dtype, str) and dtype in precisions):  # an array has no one truth
        raise ConfigError(f"compute_dtype must be None or one of {', '.join(precisions)}, not {dtype!r}.")
    model.seed = wanted_seed(model.seed)


def check_training(model: Any, epochs: Any, **flags: Any) -> None:
    """Refuse what no training can begin with, by `ConfigError`: parts that may have been assigned since, options."""
    want_epochs(epochs)
    check_model(model)
    check_precision(model)
    want_flags(**flags)


@contextlib.contextmanager
def unchanged_if_refused(*owners: Any) -> Iterator[None]:
    """Objects whose attributes are put back to what they were, should an error come from inside."""
    before = [dict(vars(owner)) for owner in owners]
    try:
        yield
    except BaseException:
        for owner, attributes in zip(owners, before, strict=True):
            vars(owner).update(attributes)
        raise


def check_same_normalizer(model: Any, name: str, normalizer: Any) -> None:
    """Refuse another normaliser for a network that has learned from what the first one made, by `ConfigError`."""
    if not model.steps and model.statistics is None:
        return
    known = getattr(model, f"_{name}")
    if normalizer != known:
        learned = "raw numbers" if known is None else f"what {known!r} made of them"
        raise ConfigError(
            f"The network has learned from {learned}, and cannot read what {normalizer!r} makes: make a new Model for "
            f"another {name}."
        )


def _name_of_type(dtype: Any) -> Any:
    """The name of a type: "bfloat16" of `jnp.bfloat16`. Names, None and what is no type come back as they are."""
    try:
        return dtype if dtype is None or isinstance(dtype, str) else np.dtype(dtype).name
    except TypeError:
        return dtype


def want_epochs(epochs: Any) -> None:
    """Refuse what is no number of epochs."""
    as_whole(epochs, "epochs", 1)


def want_flags(**flags: Any) -> None:
    """Refuse what is neither true nor false, such as "no", which would count as true."""
    for name, flag in flags.items():
        as_flag(flag, name)


def check_class_names(model: Any, shape: Any) -> None:
    """Refuse names of classes that are not as many as the outputs for one example of `shape`, by `ConfigError`."""
    names, out_shape = model.class_names, model.net.out_shape(shape)
    if names is None or model.loss.expects == "values" or not out_shape or not isinstance(out_shape[-1], int):
        return
    outputs = out_shape[-1]
    wanted = {outputs} if model.loss.threshold is None else {outputs, 2} - {1}
    if len(names) not in wanted:
        got = f"{counted(len(names), 'class name')} for a network of {counted(outputs, 'output')}"
        raise ConfigError(f"{got}: {model.loss!r} wants {' or '.join(map(str, sorted(wanted)))}. There are {names}.")


def wanted_seed(seed: Any) -> int:
    """A seed as a number of Python's; what JAX cannot begin with is refused by `ConfigError`."""
    whole = isinstance(seed, numbers.Integral) and not isinstance(seed, bool)
    if not whole or not 0 <= int(seed) < 2**32:
        raise ConfigError(f"seed must be an integer from 0 to 2**32 - 1, not {seed!r}.")
    return int(seed)


def check_precision(model: Any) -> None:
    """Refuse to train in float32 what has learned in float64, by `ConfigError`."""
    double = model.run is not None and any(leaf.dtype == np.float64 for leaf in jax.tree.leaves(model.run.params))
    if double and not jax.config.values["jax_enable_x64"]:
        raise ConfigError("This model has learned in float64: train it inside `with jax.enable_x64(True):`.")


def check_frozen(model: Any) -> None:
    """Refuse a pattern in `frozen` that fits no array, and patterns that leave nothing to learn, by `ConfigError`."""
    params, state = (tree.flatten(part) for part in (model.run.params, model.run.state))
    for pattern in model.frozen:
        if not any(tree.matches(path, pattern) for path in (*params, *state)):
            raise ConfigError(f"frozen: {pattern!r} fits no array of the network; {tree.listing(params, pattern)}")
    if model.frozen and all(any(tree.matches(path, pattern) for pattern in model.frozen) for path in params):
        raise ConfigError("frozen fits every parameter: nothing is left to learn.")


def want_part(name: str, part: Any, *methods: str) -> None:
    """Refuse what has not the methods by which its kind is known, and a class given in place of an object."""
    here = called_here(part) if isinstance(part, str) else None
    hint = "" if here is None else f" Give an object, not its name: dp.{here}()."
    want_methods(part, f"Model's {name} must be one of denpa's", *methods, hint=hint)


def suited(metrics: Any, loss: Any) -> tuple[Any, ...]:
    """The metrics, with what they leave open taken from the loss; names must differ, for they name columns."""
    metrics = tuple(metrics) if isinstance(metrics, (tuple, list)) else (metrics,)
    for metric in metrics:
        want_part("metrics", metric, "measure")
    names = [metric.name for metric in metrics]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"Two metrics are called {twice[0]!r}: the columns of the history would be one.")
    return tuple(metric.suited_to(loss) for metric in metrics)


def described(part: Any) -> Any:
    """A part of the model as plain values; of an optimiser that has none, such as Optax's, what it is called."""
    foreign = hasattr(part, "update")
    if part is None or isinstance(part, Description) or type(part) is tuple:
        try:
            return to_config(part)
        except ConfigError:
            if not foreign:
                raise
    if foreign:
        return to_config(ForeignOptimizer(type(part).__module__, type(part).__name__))
    raise ConfigError(f"{part!r} cannot be written to a file: derive its class from one of denpa's.")


def verbosity(verbose: Any) -> str:
    """The kind of progress that `fit(verbose=...)` asks for."""
    return ("auto" if verbose else "none") if isinstance(verbose, (bool, int)) else verbose


def batch_size_of(batch_size: Any, examples: int) -> int:
    """The batch size as a number: 32 or all examples by default, "full" for all; refused where larger than the data."""
    if batch_size is None:
        return min(32, examples)
    if isinstance(batch_size, str) and batch_size == "full":
        return examples
    check_batch_size(batch_size, examples)
    return int(batch_size)
