"""The metric: what is reported beside the loss.

A metric measures each batch as a few sums, which add up, and computes its number from the totals. So it
does not depend on how the data were cut into batches, and weights of 0 (padding) leave no trace.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import jax
import numpy as np

from denpa.core.description import Description
from denpa.core.errors import DataError
from denpa.core.shapes import Shape

__all__ = ["Array", "Metric", "Sums", "totals"]

Array = jax.Array
Sums = dict[str, Array]


class Metric(Description):
    """Base of all metrics. A subclass is a `@dataclass(frozen=True)` with `measure` and `compute`.

    Attributes:
        higher_is_better: in which direction a network improves; None for what is not a single number.
    """

    higher_is_better: ClassVar[bool | None] = True

    @property
    def name(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The metric's name in logs: the class name in snake case, `accuracy` for `Accuracy`."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).lower()

    def measure(self, y: Any, t: Any, sample_weight: Any = None) -> Sums:
        """What one batch adds to the sums: pure, fit for `jax.jit`.

        Args:
            y: the network's output, (batch, ...).
            t: targets, as for the loss.
            sample_weight: weights or a mask, (batch,) or with further leading axes of the items, such as
                (batch, time). An item of weight 0 touches nothing, even if it is not finite.

        Raises:
            ShapeError: outputs, targets and weights do not fit together; nothing is broadcast.
            DataError: targets of a dtype that does not fit.
        """
        raise NotImplementedError(f"{type(self).__name__} must define measure(y, t, sample_weight).")

    def compute(self, sums: Sums) -> Any:
        """The metric from sums added over all batches, on the host in float64; NaN where nothing was summed."""
        raise NotImplementedError(f"{type(self).__name__} must define compute(sums).")

    def size(self, outputs: int) -> int:
        """Roughly how many numbers `measure` gives of so many outputs: training reserves room for each step."""
        return 1

    def suited_to(self, loss: Any) -> Metric:
        """This metric, with what was left open about the outputs (logits or probabilities) taken from the loss."""
        return self

    def __call__(self, y: Any, t: Any, sample_weight: Any = None) -> Any:
        """The metric of one batch that holds all the data.

        Raises:
            ShapeError, DataError: as for `measure`; targets that are no class; weights below 0 or not finite.
        """
        sums = self.measure(y, t, sample_weight)
        t = np.asarray(t)
        if sample_weight is not None:
            s = np.asarray(sample_weight)
            if not np.isfinite(s).all() or (s < 0).any():
                raise DataError(f"{self!r}: sample_weight must be finite and not negative.")
            t = np.where((s != 0).reshape(*s.shape, *[1] * (t.ndim - s.ndim)), t, 0)  # padding may hold anything
        self.check_range(t, np.shape(y))
        return self.compute(sums)

    def check_range(self, t: np.ndarray, y_shape: Shape) -> None:
        """Refuse targets, of the right shape, whose values mean nothing beside outputs of `y_shape`."""


def totals(sums: Sums, *names: str) -> list[np.ndarray]:
    """The named sums as float64 arrays of NumPy."""
    return [np.asarray(sums[name]).astype(np.float64) for name in names]
