"""The two parts of an experiment that are plain options: which data, and how to train."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from denpa.core.description import Description
from denpa.core.errors import ConfigError, nearest
from denpa.data.arguments import as_flag, as_whole
from denpa.data.readers import raw_table
from denpa.lab import toml
from denpa.training.early_stopping import EarlyStopping

__all__ = ["DataConfig", "TrainingConfig", "check_options", "unknown_name", "want_target"]


@dataclass(frozen=True)
class DataConfig(Description):
    """Which data, and how they are divided into parts for training, validation and the final test.

    Args:
        source: a data set of denpa by name ("digits", "mnist", "moons", ...); a table (.csv, .tsv, .txt,
            .parquet, .pq); arrays x and t, with x_test and t_test where they are there (.npz); or a folder with
            one subfolder of images per class (for a regression with subfolders `input` and `target`).
        target: of a table: the column to predict, by name or by position from 0 (-1 is the last).
        task: "classification" or "regression"; None finds it by the targets. "reconstruction": every example is its
            own target, and a column of targets, classes of images and the like serve pictures alone.
            "text": a text file, each token of which foretells the next; options are level ("character" or "word"),
            length of the rows that it is cut into, minimum_count and most (which tokens to know). "series": a table
            whose rows follow each other in time, to predict the target's next value; the option length.
            "pairs": texts and what to make of them. "text-classification": a table with a text and its class in each
            row; options are text (the column), level, length (tokens to read), minimum_count and most.
        missing: of a table: what to do about missing values: "error", "drop", "mean", "median", "category",
            "keep"; a list of these, such as ["median", "category"], each for the columns it fits; or by column.
        categorical: of a table: columns whose numbers are names.
        ignore: of a table: columns to leave out.
        validation: the part of the training examples to hold back, from 0 to below 1.
        test: the part of all examples to hold back for the test. None: the source's own test part, else 0.2;
            0: none.
        seed: draws both parts; classes are held back evenly.
        options: what the source's reader takes besides, such as n of "moons", delimiter of a text table, size
            of images.

    Raises:
        ConfigError: a part outside 0..1, a seed below 0.
    """

    source: str
    target: str | int | None = None
    task: str | None = None
    missing: Any = "error"
    categorical: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    validation: float = 0.0
    test: float | None = None
    seed: int = 0
    options: Any = ()

    def __post_init__(self) -> None:
        for name in toml.MAPPINGS:
            value = getattr(self, name)
            if isinstance(value, Mapping):
                object.__setattr__(self, name, tuple(sorted(value.items())))
        super().__post_init__()

    def validate(self) -> None:
        if not isinstance(self.source, str) or not self.source:
            raise ConfigError(f"data.source must be the name of a data set or a path, not {self.source!r}.")
        for name in ("validation", "test"):
            part = getattr(self, name)
            if part is not None and not (isinstance(part, float) and 0 <= part < 1):
                raise ConfigError(
                    f"data.{name} is the part to hold back, from 0 to below 1, such as 0.1; not {part!r}."
                )
        as_whole(self.seed, "data.seed", 0)
        _want_ways(self.missing)
        _want_texts("data.categorical", self.categorical)
        _want_texts("data.ignore", self.ignore)
        pairs = self.options if isinstance(self.options, tuple) else (None,)
        if not all(isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs):
            raise ConfigError(f"data.options must be a table of options such as {{n = 500}}, not {self.options!r}.")


@dataclass(frozen=True)
class TrainingConfig(Description):
    """How long, in which batches, and from which seed.

    Args:
        epochs: passes over the training examples; 0 where `generative` parameters are all that is wanted.
        batch_size: examples in a mini-batch; "full" for all of them; None for 32, or all if they are fewer.
        shuffle: a new order of the examples in each epoch.
        replacement: draw each batch independently, with replacement.
        buckets: sort padded sequences by length into so many buckets, batch by batch; None for as they are drawn.
        seed: decides initial parameters, order of examples, dropout.
        early_stopping: when to leave off, or None.
        compute_dtype: "bfloat16" to compute in that precision (GPU, TPU), or None.
        record_steps: keep the numbers of every step as well, in steps.csv.
        tensorboard: write the learning curves for TensorBoard too, into the run folder.
        checkpoint_seconds: write a checkpoint after so many seconds; how often does not touch the outcome.
        initial_weights: a run folder or model file whose learned arrays are where training starts, or None.
        initial_only: patterns of the arrays to take from there, such as "0_conv2d/*"; none: all of them.
        frozen: patterns of the arrays that training leaves as they are.
        pretrain: find initial weights layer by layer without targets, with so many epochs for each; None for no.
        generative: start from the parameters of Gaussian class densities with Bayes' rule, their covariance "shared" by
            all classes or "separate" for each; None for no. For one `Dense` with `SoftmaxCrossEntropy`; separate ones
            behind `PolynomialFeatures(2, products=True)`.
        shrinkage: of those covariances: s in Σ <- (1 - s) Σ + s (tr Σ / d) I.
        rtrl: of a series: an update at every time step by real-time recurrent learning, in place of batches; the
            training part is read in order, once an epoch.
        window: cut sequences into windows of so many steps, one update each; None for whole ones.
        members: train so many networks that decide together, as `Bagging` does; None for a single one.
        bootstrap: of members: each learns from a bootstrap sample of its own; false: all from all examples.
        devices: how many devices divide every batch among them, or "all"; None for one.

    Raises:
        ConfigError: a value of the wrong kind or out of range.
    """

    epochs: int = 20
    batch_size: int | str | None = None
    shuffle: bool = True
    replacement: bool = False
    buckets: int | None = None
    seed: int = 0
    early_stopping: EarlyStopping | None = None
    compute_dtype: str | None = None
    record_steps: bool = False
    tensorboard: bool = False
    checkpoint_seconds: float = 10.0
    initial_weights: str | None = None
    initial_only: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    pretrain: int | None = None
    generative: str | None = None
    shrinkage: float = 0.0
    rtrl: bool = False
    window: int | None = None
    members: int | None = None
    bootstrap: bool = True
    devices: int | str | None = None

    def validate(self) -> None:
        as_whole(self.epochs, "training.epochs", 0 if self.generative is not None else 1)
        if self.batch_size not in (None, "full"):
            as_whole(self.batch_size, 'training.batch_size, if not "full",', 1)
        as_whole(self.seed, "training.seed", 0)
        _want_texts("training.frozen", self.frozen)
        _want_texts("training.initial_only", self.initial_only)
        if self.devices not in (None, "all"):
            as_whole(self.devices, 'training.devices, if not "all",', 1)
        if self.buckets is not None:
            as_whole(self.buckets, "training.buckets", 1)
        for name in ("shuffle", "replacement", "record_steps", "tensorboard", "bootstrap", "rtrl"):
            as_flag(getattr(self, name), f"training.{name}")
        if self.early_stopping is not None and not isinstance(self.early_stopping, EarlyStopping):
            raise ConfigError(f"training.early_stopping must be EarlyStopping(...), not {self.early_stopping!r}.")
        if not isinstance(self.checkpoint_seconds, float) or self.checkpoint_seconds <= 0:
            raise ConfigError(f"training.checkpoint_seconds must be positive, not {self.checkpoint_seconds!r}.")
        if self.window is not None:
            as_whole(self.window, "training.window", 1)
        if self.initial_only and self.initial_weights is None:
            raise ConfigError("training.initial_only says what to take from training.initial_weights: give these too.")
        if self.pretrain is not None:
            as_whole(self.pretrain, "training.pretrain", 1)
            if self.initial_weights is not None:
                raise ConfigError("training.pretrain and training.initial_weights both set where to start: give one.")
        self._check_generative()
        self._check_rtrl()
        self._check_members()

    def _check_generative(self) -> None:
        if self.generative is None:
            if self.shrinkage:
                raise ConfigError("training.shrinkage is for the covariances of training.generative: give this too.")
            return
        if self.generative not in ("shared", "separate"):
            raise ConfigError(
                f'training.generative must be "shared" or "separate", as the covariances are to be, not '
                f"{self.generative!r}."
            )
        if not isinstance(self.shrinkage, float) or not 0 <= self.shrinkage <= 1:
            raise ConfigError(f"training.shrinkage must lie between 0 and 1, not be {self.shrinkage!r}.")
        given = [name for name in ("initial_weights", "pretrain") if getattr(self, name) is not None]
        if given:
            raise ConfigError(f"training.generative and training.{given[0]} both set where to start: give one.")
        if self.epochs == 0 and self.early_stopping is not None:
            raise ConfigError("training.early_stopping has nothing to stop with training.epochs = 0: leave one out.")
        if self.epochs == 0 and self.tensorboard:
            raise ConfigError("training.tensorboard has no curves to write with training.epochs = 0: leave one out.")

    def _check_rtrl(self) -> None:
        if not self.rtrl:
            return
        untouched = TrainingConfig()
        others = ("replacement", "buckets", "early_stopping", "compute_dtype", "record_steps", "frozen", "pretrain")
        for name in (*others, "generative", "window", "members", "devices", "tensorboard"):
            if getattr(self, name) != getattr(untouched, name):
                raise ConfigError(f"training.rtrl, an update at every time step, does not go with training.{name}.")

    def _check_members(self) -> None:
        if self.members is None:
            if not self.bootstrap:
                raise ConfigError("training.bootstrap is for the members of an ensemble: give training.members too.")
            return
        as_whole(self.members, "training.members", 2)
        alone = ("generative", "pretrain", "buckets", "window", "devices")
        if given := [f"training.{name}" for name in alone if getattr(self, name) is not None]:
            raise ConfigError(
                "training.members trains all members at once, from their own seeds and in batches of one shape, which "
                f"does not go with {' and '.join(given)}: set {'it' if len(given) == 1 else 'them'} to none, or leave "
                "members out."
            )


def want_target(config: DataConfig, reading: dict[str, Any], what: str) -> None:
    """Refuse a table of which no column is named as the target; the columns that there are are listed."""
    if config.target is None:
        columns = ", ".join(column.name for column in raw_table(config.source, **reading).columns[:20])
        raise ConfigError(f"{config.source}: name the column {what}, as in --target NAME. The columns: {columns}.")


def unknown_name(source: str, names: Iterable[str]) -> ConfigError:
    """What to raise where data are neither a data set by name nor a path."""
    hint = nearest(source, names, plural="data sets")
    return ConfigError(f"Unknown data set {source!r}: {hint} Data of your own are a path such as my.csv.")


def check_options(source: str, options: dict[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """The options, where the source knows them all; a `ConfigError` with the nearest where it does not."""
    known = tuple(known)
    for name in options:
        if name not in known:
            hint = nearest(name, known, plural="options") if known else "it has no options."
            raise ConfigError(f"data.options: {source} has no option {name!r}: {hint}")
    return options


def _want_ways(missing: Any) -> None:
    entries = missing if isinstance(missing, tuple) else (missing,)
    by_column = [entry for entry in entries if isinstance(entry, tuple)]
    if not all(isinstance(text, str) for entry in entries for text in (entry if by_column else (entry,))):
        raise ConfigError(
            'data.missing must be a way to treat missing values such as "median", a list of ways, or ways by column '
            f'such as {{height = "mean"}}, not {missing!r}.'
        )


def _want_texts(name: str, value: Any) -> None:
    if not isinstance(value, str) and not (isinstance(value, tuple) and all(isinstance(text, str) for text in value)):
        raise ConfigError(f'{name} must be a list of texts such as ["a", "b"], not {value!r}.')
