"""A finished run put to use: new examples in the form that its data had, measured or predicted from."""

from __future__ import annotations

import csv
import io
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from denpa.core.errors import ConfigError, DataError, FileFormatError
from denpa.core.padded import Padded, values_of
from denpa.data import datasets
from denpa.data.dataset import Dataset, Splits
from denpa.data.encoder import TableEncoder
from denpa.data.pair_encoder import PairEncoder
from denpa.data.table import Table
from denpa.data.text_encoder import TextEncoder
from denpa.data.text_format import TextFormat
from denpa.data.vocabulary import Vocabulary
from denpa.lab.arrays import read_npz, read_x
from denpa.lab.codes import layer_output
from denpa.lab.configs import check_options
from denpa.lab.experiment import DataConfig, Experiment
from denpa.lab.image_files import IMAGES, images, labelled_images
from denpa.lab.in_order import forecast_csv, new_text, rows_of_series, sequence_kind
from denpa.lab.labelled_texts import new_texts
from denpa.lab.run_folder import RunFolder
from denpa.lab.sources import is_table, its_own_target, load_data, table_of, treated_as_in_training, unknown_categories
from denpa.training import Bagging, Model, load, sample

__all__ = ["Trained", "predictions_csv", "predictions_npy"]


@dataclass(frozen=True, eq=False)
class Trained:
    """A model with the experiment that it came from, where that is known.

    Args:
        model: the trained model, or the ensemble, which answers as one.
        folder: its run folder, or None for a model file alone.
        experiment: the run's experiment, or None.
    """

    model: Any
    folder: RunFolder | None = None
    experiment: Experiment | None = None

    @classmethod
    def of(cls, path: str | Path, ensembles: bool = False) -> Trained:
        """The model of a run folder, or of a model file.

        Args:
            path: of the folder or file.
            ensembles: whether the model may be a `Bagging`.

        Raises:
            FileFormatError: neither, a damaged file, files of two runs, or a run that has not finished.
            ConfigError: an ensemble where a single model is wanted.
        """
        if not Path(path).exists():
            raise FileFormatError(f"There is no run folder and no model file {path}.")
        if is_table(path):
            raise FileFormatError(f"{path} holds data: name first the run that is to read them, such as runs/mlp.")
        folder = RunFolder.existing(path) if Path(path).is_dir() else None
        if folder is not None and not folder.model.is_file():
            raise FileFormatError(f"The run {path} has not finished: go on with denpa train --resume {path}.")
        model = load(path) if folder is None else _model_of(folder)
        if isinstance(model, Bagging) and not ensembles:
            raise ConfigError(
                f"{path} is an ensemble of {model.members} members, and this is for a single model: write one of them "
                "to a file by dp.load(...).member(0).save(FILE)."
            )
        experiment = None if folder is None else folder.experiment()
        if folder is not None and experiment is not None and _single(model).net != experiment.network:
            raise FileFormatError(
                f"{folder.model} and {folder.config} are of two runs: their networks differ. Put the one in its place "
                f"that belongs to the other, or name {folder.model} alone."
            )
        return cls(model, folder, experiment)

    def test_part(self) -> Dataset:
        """The examples that the run set aside for the test.

        Raises:
            ConfigError: a model file alone, or a run without a test part.
            DataError: the data have changed since.
        """
        if self.folder is None or self.experiment is None:
            raise ConfigError("A model file alone has no test data: name them with --data FILE, or give a run folder.")
        prepared = load_data(self.experiment.data)
        self.folder.check_same_data(prepared)
        if prepared.test is None:
            raise ConfigError(f"The run {self.folder.path} set no examples aside for a test: give --data FILE.")
        return prepared.test

    def labelled(self, source: str, **options: Any) -> Dataset:
        """Examples with targets: a table, an .npz with x and t, a folder of images by class, a data set by name.

        Args:
            source: a file, a folder or a name.
            options: how it is read, where that differs from the training: those of a `TextFormat` for a table,
                `skip_bad` for images, a data set's own.

        Raises:
            DataError, FileFormatError, ConfigError: they cannot be read, have no targets, or do not fit the model.
        """
        if self.experiment is not None and self.experiment.data.task == "reconstruction":
            if source not in datasets.names():
                return its_own_target(_as_dataset(self.examples(source, **options)[0], source))
            found = datasets.load(source, **(self._options_of(source) | options))
            return its_own_target(found.test if isinstance(found, Splits) else found)
        if isinstance(self.model.encoder, PairEncoder):
            raise ConfigError("Answers are measured on the test part of the run: leave --data out.")
        if isinstance(self.model.encoder, Vocabulary):
            check_options(source, options, ())
            return new_text(source, self.model.encoder, self.model.in_shape[0])
        if isinstance(self.model.encoder, TextEncoder):
            return self._with_our_classes(self._with_targets(self._texts(source, options), source))
        if self.kind == "series" and is_table(source):
            table = self._series(source, options)
            return rows_of_series(table, DataConfig(source, test=0), self.model.in_shape[0])[0]
        self._want_table(source)
        if source in datasets.names():
            found = datasets.load(source, **(self._options_of(source) | options))
        elif is_table(source):
            found = self._table(source, options)
        elif Path(source).is_dir():
            found = labelled_images(self.model, source, **check_options(source, options, ("skip_bad",)))
        else:
            check_options(source, options, ())
            found = read_npz(source, "regression" if self.model.loss.expects == "values" else None)
        found = found.test if isinstance(found, Splits) else found
        if not isinstance(found, Dataset):
            raise DataError(f"{source} holds pairs of texts, not examples with targets.")
        return self._with_our_classes(self._with_targets(found, source))

    def examples(self, source: str, **options: Any) -> tuple[Any, list[str] | None]:
        """Examples to predict from, `Padded` where they have lengths, and the names of their files if they are images.

        Args:
            source: a table, an .npy, an .npz with x, an image, a folder of images (by class or not).
            options: how it is read, as for `labelled`.
        """
        if isinstance(self.model.encoder, Vocabulary):
            raise ConfigError("A language model writes on: denpa sample RUN --prompt TEXT.")
        if isinstance(self.model.encoder, TextEncoder):
            return self._texts(source, options, targets=False).inputs, None
        path = Path(source)
        if is_table(path):
            return self._table(source, options, targets=False).x, None
        if path.suffix.lower() in (".npy", ".npz"):
            self._want_table(source)
            check_options(source, options, ())
            return read_x(path), None
        if path.is_dir() or (path.is_file() and path.suffix.lower() in IMAGES):
            return images(self.model, path, **check_options(source, options, ("skip_bad",)))
        fault = "is of no known kind" if path.exists() else "cannot be read: there is no such file or folder"
        raise DataError(f"{source} {fault}: give a table (.csv, .tsv, .txt, .parquet), .npy, .npz or images.")

    @property
    def kind(self) -> str | None:
        """What the model was trained on where that is a "text" or a "series", else None."""
        return None if self.experiment is None else sequence_kind(self.experiment.data)

    def forecast(self, source: str, **options: Any) -> str:
        """Of a model of a series: a row of CSV for each of a table, with what it expects to follow.

        Args:
            source: the table.
            options: how it is read, as for `labelled`.

        Raises:
            DataError, FileFormatError: the table cannot be read, has other columns, or too few rows.
        """
        return forecast_csv(self.model, self._series(source, options))

    def sample(self, prompt: str | None, length: int, **options: Any) -> str:
        """What a language model writes after a prompt; None begins with a new line. Options as for `denpa.sample`.

        Raises:
            ConfigError: no language model's run; options out of range.
            DataError: a token that is not in the run's vocabulary.
        """
        vocabulary = self.model.encoder
        if not isinstance(vocabulary, Vocabulary):
            raise ConfigError("Text is written by a language model, such as that of a run of shakespeare-lstm.")
        if prompt is None:
            prompt = "\n" if "\n" in vocabulary else vocabulary.tokens[len(vocabulary.special)]
        return sample(self.model, vocabulary, prompt, length, **options)

    def _series(self, source: str, changes: dict[str, Any]) -> Table:
        """A table with the columns of the training in their order, whatever others it has, gaps in those included."""
        config = DataConfig(source) if self.experiment is None else self.experiment.data
        options = {name: value for name, value in self._options_of(config.source).items() if name != "length"}
        *features, target = self.model.feature_names  # the name of a target that may have been told by its position
        config = config.replace(source=source, target=target, task="regression", options=options | changes)
        table = table_of(config.replace(missing="keep"), alone=True, later=True)
        return treated_as_in_training(replace(table, columns=tuple(table.column(name) for name in features)), config)

    def _want_table(self, source: str) -> None:
        """Refuse arrays where a table was learned from: their numbers would be taken for scaled and coded ones."""
        encoder, known = self.model.encoder, Path(source).exists() or source in datasets.names()
        if isinstance(encoder, TableEncoder) and known and not is_table(source):
            names = ", ".join(column.name for column in encoder.columns)
            fault = f"{source} is no table, but this model was trained on one and scales and codes its columns by name"
            raise DataError(f"{fault}: give a table (.csv, .tsv, .txt, .parquet) with the columns {names}.")

    def _table(self, source: str, options: dict[str, Any], targets: bool = True) -> Dataset:
        """A table encoded; without `targets` no column of them is looked at."""
        model = self.model
        if not Path(source).exists():
            raise DataError(f"{source} cannot be read: there is no such file.")
        if model.encoder is None:
            raise DataError(f"{source} is a table, but this model was not trained on one.")
        table = model.encoder.read(source, **check_options(source, options, vars(TextFormat())))
        for sentence in unknown_categories(model.encoder, table):
            warnings.warn(sentence, UserWarning, stacklevel=3)
        encoder = model.encoder if targets else model.encoder.replace(target=None)
        return encoder.encode({name: np.asarray(a) for name, a in model.encoder_arrays.items()}, table)

    def _texts(self, source: str, options: dict[str, Any], targets: bool = True) -> Dataset:
        """Texts as a network reads them; without `targets` no column of classes is looked at."""
        encoder = self.model.encoder if targets else self.model.encoder.replace(target=None)
        return encoder.encode({}, new_texts(encoder, source, options))

    def _with_targets(self, found: Dataset, source: str) -> Dataset:
        if found.t is None:
            raise DataError(f"{source} has no column of targets to compare with; denpa predict needs none.")
        return found

    def _options_of(self, source: str) -> dict[str, Any]:
        known = self.experiment is not None and self.experiment.data.source == source
        return dict(self.experiment.data.options) if known and self.experiment is not None else {}

    def _with_our_classes(self, found: Dataset) -> Dataset:
        """The data set with class indices that mean the model's classes; a warning where the model has no names."""
        ours, theirs = self.model.class_names, found.class_names
        if ours is None and theirs is not None and theirs != tuple(map(str, range(len(theirs)))):
            taken = ", ".join(f"{name!r} for {index}" for index, name in enumerate(theirs[:5]))
            more = ", ..." if len(theirs) > 5 else ""
            message = f"{found.name}: the model knows its classes by number alone, so it takes {taken}{more}."
            warnings.warn(message, UserWarning, stacklevel=3)
        if ours is None or theirs is None or ours == theirs or found.t is None:
            return found
        if strange := [name for name in theirs if name not in ours]:
            raise DataError(f"{found.name} has the class {strange[0]!r}, but the model knows {', '.join(ours)}.")
        place = np.array([ours.index(name) for name in theirs], np.int32)
        return replace(found, t=place[found.t], class_names=ours)


def _model_of(folder: RunFolder) -> Any:
    try:
        return load(folder.model)
    except FileFormatError as error:
        raise FileFormatError(f"{error} Without it, denpa train --resume {folder.path} makes it again.") from None


def _single(model: Any) -> Any:
    """What the members of an ensemble have in common; any other model as it is."""
    return model.model if isinstance(model, Bagging) else model


def _as_dataset(x: Any, name: str) -> Dataset:
    return Dataset(values_of(x), name=name, lengths=x.lengths if isinstance(x, Padded) else None)


def predictions_csv(model: Model, x: Any, names: list[str] | None = None, layer: str | None = None) -> str:
    """A row for each example: predicted class and probability of each, predicted values, or a layer's output."""
    columns: dict[str, list[Any]] = {} if names is None else {"file": names}
    output = model.predict(x) if layer is None else layer_output(model, x, layer)
    if layer is not None or model.loss.expects == "values":
        values = output.reshape(len(output), -1)
        for index, name in enumerate(_names_of_values(model, values.shape[1], layer)):
            columns[name] = [str(value) for value in values[:, index]]
    else:
        probabilities = np.asarray(model.loss.probabilities(output))
        if probabilities.shape[-1] == 1:
            probabilities = np.concatenate([1 - probabilities, probabilities], axis=-1)
        classes = model.class_names or tuple(map(str, range(probabilities.shape[-1])))
        columns["predicted"] = [classes[index] for index in np.asarray(model.loss.decide(output))]
        for index, name in enumerate(classes):
            columns[f"probability_{name}"] = [str(value) for value in probabilities[:, index]]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def predictions_npy(model: Model, x: Any, layer: str | None = None) -> bytes:
    """The network's output, or that of a layer inside, as an .npy file: images keep their shape."""
    content = io.BytesIO()
    np.save(content, model.predict(x) if layer is None else layer_output(model, x, layer), allow_pickle=False)
    return content.getvalue()


def _names_of_values(model: Model, count: int, layer: str | None) -> list[str]:
    """Of the columns: the target, the features of a table that is reconstructed, or numbers."""
    target = getattr(getattr(model.encoder, "target", None), "name", None)
    features = getattr(model.encoder, "feature_names", ())
    if layer is None and count == 1:
        return [target or "predicted"]
    if layer is None and target is None and count == len(features):
        return list(features)
    return [f"{layer or 'predicted'}_{index}" for index in range(count)]
