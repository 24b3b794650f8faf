"""Optimisers of other libraries, in files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from denpa.core.errors import ConfigError
from denpa.optim.base import Transform

__all__ = ["ForeignOptimizer"]


@dataclass(frozen=True)
class ForeignOptimizer(Transform):
    """Stands for an optimiser of another library, such as Optax's, in the description of a model.

    What it holds are functions, which a file cannot keep. A model that was loaded with it predicts and
    measures; to train it further, assign `model.optimizer`.
    """

    module: str
    kind: str

    def init(self, params: Any) -> Any:
        self._refuse()

    def update(self, grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ConfigError(
            f"This model was trained with {self.module}.{self.kind}, which a file cannot hold: "
            "assign model.optimizer = ... before training it further."
        )
