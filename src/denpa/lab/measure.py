"""Final measurements: loss and metrics, and who was taken for whom."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from denpa.core.errors import ConfigError
from denpa.data.labels import true_classes
from denpa.data.widths import cells, padded
from denpa.lab.answers import answers_of, bleu
from denpa.lab.ensemble import Apart, apart
from denpa.lab.pairs import Sequences
from denpa.training import Bagging, Model
from denpa.training.history import is_number

__all__ = ["Measured", "confusion_text", "measure"]

_WIDEST = 12
_MOST_COLUMNS = 30


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured on data that training never saw.

    Args:
        examples: how many there were; 0 where no test part was set aside.
        numbers: loss and metrics by name.
        confusion: (true class, predicted class) counts, or None for a regression.
        class_names: names of the classes.
        predicted: the class index, or the value, for each example.
        apart: of an ensemble: what its members do by themselves.
    """

    examples: int = 0
    numbers: dict[str, float] = field(default_factory=dict)
    confusion: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    predicted: np.ndarray | None = None
    apart: Apart | None = None

    def to_config(self) -> dict[str, Any]:
        """As plain values for JSON."""
        config: dict[str, Any] = {"test_examples": self.examples, "test": self.numbers}
        if self.confusion is not None:
            config |= {"classes": list(self.class_names), "confusion_matrix": self.confusion.tolist()}
        if self.apart is not None:
            config |= {"test_votes": self.apart.votes, "test_members": self.apart.members}
        return config


def measure(model: Model | Bagging, data: Any) -> Measured:
    """Loss, metrics and, for classes, the confusion matrix over a `Dataset`; for pairs of texts the answers.

    Those of an ensemble are of its common output, and its members are measured one by one besides.
    """
    if data is None:
        return Measured()
    if isinstance(model, Bagging):
        measured = _measured(model, data)
        return replace(measured, apart=apart(model, data, measured.confusion is not None))
    return _measured(model, data)


def _measured(model: Any, data: Any) -> Measured:
    if data.task == "pairs":
        return _answered(model, data)
    numbers = {name: value for name, value in model.evaluate(data).items() if is_number(value)}
    if data.task == "classification" and data.t is not None and data.t.shape == data.x.shape:
        return Measured(len(data), numbers)  # a class for every step of a sequence
    if data.task != "classification" or data.t is None:
        return Measured(len(data), numbers, predicted=model.predict(data.inputs))
    predicted = model.predict_classes(data.inputs)
    if predicted.ndim > 1:  # for every step too
        return Measured(len(data), numbers)
    classes = max(model.net.out_shape(model.in_shape)[-1], 2)
    names = data.class_names or model.class_names or tuple(map(str, range(classes)))
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (true_classes(data.t), predicted), 1)
    return Measured(len(data), numbers, counts, names, predicted)


def _answered(model: Model, data: Sequences) -> Measured:
    """Loss and metrics under teacher forcing, the model's own answers, and for words their BLEU."""
    numbers = {name: value for name, value in model.evaluate(data).items() if is_number(value)}
    answers = answers_of(model, data.pairs.sources)
    if model.encoder.target.level == "word":
        try:
            numbers["bleu"] = bleu(answers, data.pairs.targets)
        except ConfigError as error:
            warnings.warn(str(error), UserWarning, stacklevel=2)
    return Measured(len(data), numbers, predicted=np.array(answers, object))


def confusion_text(counts: np.ndarray, names: tuple[str, ...]) -> str:
    """The confusion matrix as a table: rows are true classes, columns predicted ones, a dot stands for none.

    With many classes, the ten most frequent confusions instead.
    """
    names = tuple(" ".join(name.split()) for name in names)  # a label may hold a line end
    if len(counts) > _MOST_COLUMNS:
        return _most_confused(counts, names)
    short = [name if len(name) <= _WIDEST else f"{name[: _WIDEST - 1]}…" for name in names]
    table = [[f"{count}" if count else "·" for count in row] for row in counts]
    widths = [max(cells(short[j]), *(len(row[j]) for row in table)) for j in range(len(short))]
    margin = max(len("true"), *map(cells, short))
    lines = [f"{'true':<{margin}}   predicted"]
    above = "  ".join(padded(name, width, right=True) for name, width in zip(short, widths, strict=True))
    lines.append(" " * margin + "   " + above)
    for name, row in zip(short, table, strict=True):
        lines.append(
            f"{padded(name, margin, right=True)}   " + "  ".join(f"{c:>{w}}" for c, w in zip(row, widths, strict=True))
        )
    return "\n".join(lines)


def _most_confused(counts: np.ndarray, names: tuple[str, ...]) -> str:
    wrong = np.where(np.eye(len(counts), dtype=bool), 0, counts)
    order = np.argsort(-wrong, axis=None, kind="stable")[:10]
    pairs = [tuple(int(i) for i in np.unravel_index(place, wrong.shape)) for place in order]
    lines = [f"  {names[i]} taken for {names[j]}: {wrong[i, j]}" for i, j in pairs if wrong[i, j]]
    return "\n".join(["most frequent confusions", *lines]) if lines else "no confusions"
