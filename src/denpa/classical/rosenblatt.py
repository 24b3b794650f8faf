"""The formal neuron with its logic gates, and Rosenblatt's perceptron with its learning rule."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from denpa.classical.arrays import examples, labels_of, numbers_of, rate_of
from denpa.core.errors import DataError, ShapeError
from denpa.data.arguments import as_whole
from denpa.data.counted import counted

__all__ = ["GATES", "Perceptron", "formal_neuron", "margin", "mistake_bound", "perceptron", "trained"]

# (W, theta): W (in, 1) and theta (1,) as `ThresholdDense(1)` holds them.
GATES: Mapping[str, tuple[np.ndarray, np.ndarray]] = MappingProxyType(
    {
        "and": (np.array([[1.0], [1.0]]), np.array([1.5])),
        "or": (np.array([[1.0], [1.0]]), np.array([0.5])),
        "nand": (np.array([[-1.0], [-1.0]]), np.array([-1.5])),
        "nor": (np.array([[-1.0], [-1.0]]), np.array([-0.5])),
        "not": (np.array([[-1.0]]), np.array([-0.5])),
    }
)


def formal_neuron(x: Any, W: Any, theta: Any) -> np.ndarray:
    """y = 1 if Σ_i w_i x_i > θ else 0      x (n, in), W (in, units), theta (units,) -> y (n, units)

    Fixed weights: nothing is learned. The same as the network `Sequential([ThresholdDense(units), Step()])`
    with these parameters. `GATES` holds those of and, or, nand, nor and not; no single unit computes
    exclusive or, which is and(or(x), nand(x)).

    Args:
        x: (n, in), as a rule of 0 and 1.
        W: weights (in, units).
        theta: thresholds (units,). A sum that only reaches its threshold does not fire.

    Returns:
        0 and 1, int32.

    Raises:
        DataError, ShapeError: data that are no numbers; W or theta does not fit x.

    Source: McCulloch & Pitts (1943), "A logical calculus of the ideas immanent in nervous activity".
    """
    x, W, theta = examples(x), numbers_of(W, "W"), numbers_of(theta, "theta")
    if W.ndim != 2 or len(W) != x.shape[1] or theta.shape != W.shape[1:]:
        raise ShapeError(
            f"W must have the shape ({x.shape[1]}, units) and theta (units,), not {W.shape} and {theta.shape}."
        )
    return (x @ W > theta).astype(np.int32)


@dataclass(frozen=True, eq=False)
class Perceptron:
    """y = 1 if x W + b > 0 else 0

    Args:
        W, b: (d,) and ().
        mistakes: how many examples of each epoch were wrong when their turn came; the last entry is 0 if
            the classes were separated.
    """

    W: np.ndarray
    b: float
    mistakes: tuple[int, ...]

    @property
    def converged(self) -> bool:
        """Whether an epoch passed without a mistake."""
        return self.mistakes[-1] == 0

    @property
    def failure(self) -> str:
        """What there is to say of mistakes in the last epoch."""
        return (
            f"The perceptron made {counted(self.mistakes[-1], 'mistake')} in the last of "
            f"{counted(len(self.mistakes), 'epoch')}: no hyperplane separates the classes, or it takes more epochs. "
            "logistic_regression serves both cases."
        )

    def predict(self, x: Any) -> np.ndarray:
        """x (n, d) -> 0 or 1, (n,)."""
        return (examples(x, len(self.W)) @ self.W + self.b > 0).astype(np.int32)


def perceptron(
    x: Any, t: Any, learning_rate: float = 1.0, epochs: int = 1000, W: Any = None, b: float = 0.0
) -> Perceptron:
    """y = 1 if x w + b > 0 else 0;   w <- w + η (t - y) x,   b <- b + η (t - y)

    for one example after another, in the order given, until an epoch passes without a mistake. It ends if
    and only if a hyperplane separates the classes, after at most `mistake_bound` mistakes from w = 0.

    Args:
        x: examples (n, d).
        t: 0 and 1, (n,), or one-hot rows (n, 2).
        learning_rate: η > 0; from w = 0 it changes the length of w alone.
        epochs: how many to try.
        W, b: where to begin; 0 when None. With W the examples may be of one class, or only one, as they come online.

    Raises:
        DataError, ShapeError: data that cannot be learned from.
        ConfigError: a learning rate or a number of epochs that is not positive.

    Warns:
        UserWarning: no epoch without a mistake; the weights are those of the end, which need not be good.

    Source: Rosenblatt (1958), "The perceptron: a probabilistic model for information storage and
    organization in the brain".
    """
    found = trained(x, t, learning_rate, epochs, W, b)
    if not found.converged:
        warnings.warn(found.failure, UserWarning, stacklevel=2)
    return found


def trained(x: Any, t: Any, learning_rate: float, epochs: int, W: Any = None, b: float = 0.0) -> Perceptron:
    """`perceptron` without its warning: what catches warnings catches those of other threads too."""
    x = examples(x)
    labels, _ = labels_of(x, t, classes=2, several=W is None)  # who has begun may meet one class alone, in a stream
    learning_rate = rate_of(learning_rate)
    w = np.zeros(x.shape[1]) if W is None else numbers_of(W, "W")
    if w.shape != x.shape[1:]:
        raise ShapeError(f"W must have the shape {x.shape[1:]}, not {w.shape}.")
    if not np.isfinite(w).all():
        raise DataError("W must hold finite numbers.")
    b, mistakes = _intercept(b), []
    for _ in range(as_whole(epochs, "epochs", 1)):
        wrong = 0
        for example, label in zip(x, labels, strict=True):
            error = label - (example @ w + b > 0)
            if error:
                w += learning_rate * error * example
                b += learning_rate * error
                wrong += 1
        mistakes.append(wrong)
        if wrong == 0:
            break
    return Perceptron(w, b, tuple(mistakes))


def margin(x: Any, t: Any, W: Any, b: float) -> float:
    """γ = min_n s_n (x_n w + b) / ‖(w, b)‖,   s_n = 1 for class 1, -1 for class 0

    The distance of the nearest point (x_n, 1) from the hyperplane; below 0 where one is on the wrong side.

    Args:
        x: examples (n, d).
        t: 0 and 1, (n,), or one-hot rows (n, 2).
        W, b: the hyperplane, (d,) and a number.

    Raises:
        DataError: bad data, or W = 0 and b = 0.
        ShapeError: W or b does not fit x.
    """
    x = examples(x)
    labels, _ = labels_of(x, t, classes=2)
    w = numbers_of(W, "W").ravel()
    if w.shape != x.shape[1:]:
        raise ShapeError(f"W must have the shape {x.shape[1:]}, not {np.shape(W)}.")
    w = np.append(w, _intercept(b))
    if not np.linalg.norm(w) > 0:
        raise DataError("W and b are 0: they are no hyperplane.")
    return float(np.min((2 * labels - 1) * (np.column_stack([x, np.ones(len(x))]) @ w)) / np.linalg.norm(w))


def _intercept(b: Any) -> float:
    b = numbers_of(b, "b")
    if b.ndim:
        raise ShapeError(f"b must be a number, not an array of shape {b.shape}.")
    if not np.isfinite(b):
        raise DataError(f"b must be a finite number, not {b}.")
    return float(b)


def mistake_bound(x: Any, t: Any, W: Any, b: float) -> float:
    """(R / γ)²,   R = max_n ‖(x_n, 1)‖,   γ the `margin` of any hyperplane (w, b) that separates the classes

    The perceptron makes at most so many mistakes from w = 0, however often and in whatever order it sees
    the examples: with the unit vector u of (w, b), each mistake adds at least γ to u·w and at most R² to
    ‖w‖², so that after m of them m γ <= u·w <= ‖w‖ <= R √m. A hyperplane of larger margin gives a smaller bound.
    Arguments are those of `margin`.

    Raises:
        DataError, ShapeError: as for `margin`; (w, b) does not separate the classes.

    Source: Novikoff (1962), "On convergence proofs for perceptrons"; Block (1962), "The perceptron".
    """
    gamma = margin(x, t, W, b)
    if gamma <= 0:
        raise DataError(f"This hyperplane does not separate the classes: its margin is {gamma:.3g}, not above 0.")
    return float(np.max(np.sum(examples(x) ** 2, axis=1) + 1)) / gamma**2
