"""The experiment: everything that decides the outcome of a run, as one description.

    experiment = Experiment(
        name="moons",
        network=dp.Sequential([dp.Dense(16), dp.ReLU(), dp.Dense(2)]),
        loss=dp.SoftmaxCrossEntropy(),
        metrics=[dp.Accuracy()],
        data=DataConfig("moons", options={"n": 500}),
    )
    experiment.to_toml()                      # what a run folder keeps as config.toml
    Experiment.from_toml("config.toml")       # the same experiment again

Two equal experiments on one machine end with the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from denpa.core.description import Description
from denpa.core.errors import ConfigError
from denpa.data.normalise import Normalizer
from denpa.lab import toml
from denpa.lab.configs import DataConfig, TrainingConfig
from denpa.losses import Loss
from denpa.metrics import Metric
from denpa.networks import Network
from denpa.optim import Adam, Transform
from denpa.penalties import Penalty

__all__ = ["DataConfig", "Experiment", "TrainingConfig"]

_KINDS = {
    "network": (Network, "a network such as Sequential([...])"),
    "loss": (Loss, "a loss such as SoftmaxCrossEntropy()"),
    "data": (DataConfig, "a DataConfig"),
    "optimizer": (Transform, "an optimiser such as Adam(0.001)"),
    "penalty": (Penalty, "a penalty such as L2(0.0001)"),
    "normalizer": (Normalizer, "a normaliser such as Standardize()"),
    "target_normalizer": (Normalizer, "a normaliser such as Standardize()"),
    "training": (TrainingConfig, "a TrainingConfig"),
}
_OPTIONAL = ("penalty", "normalizer", "target_normalizer")


@dataclass(frozen=True)
class Experiment(Description):
    """Network, loss, optimiser, data and training: all that a run needs to be made again.

    Args:
        network: the network; its last layer fits the data's targets.
        loss: the loss.
        data: where the examples come from.
        optimizer: the optimiser.
        metrics: reported beside the loss.
        penalty: a penalty on the weights, or None.
        normalizer: what the raw input passes first, fitted to the training examples; or None.
        target_normalizer: the same for the targets of a regression.
        training: epochs, batches, seed.
        name: what the run is called.

    Raises:
        ConfigError: a part of another kind, or parts that do not go together.
    """

    network: Network
    loss: Loss
    data: DataConfig
    optimizer: Transform = field(default_factory=Adam)
    metrics: tuple[Metric, ...] = ()
    penalty: Penalty | None = None
    normalizer: Normalizer | None = None
    target_normalizer: Normalizer | None = None
    training: TrainingConfig = field(default_factory=TrainingConfig)
    name: str = "experiment"

    def validate(self) -> None:
        for part, (kind, wanted) in _KINDS.items():
            value = getattr(self, part)
            if not isinstance(value, kind) and not (value is None and part in _OPTIONAL):
                raise ConfigError(f"{part} must be {wanted}, not {value!r}.")
        if not isinstance(self.metrics, tuple) or not all(isinstance(metric, Metric) for metric in self.metrics):
            raise ConfigError(f"metrics must be a list of metrics such as [Accuracy()], not {self.metrics!r}.")
        if not isinstance(self.name, str) or not self.name or set(self.name) & set("/\\\0"):
            raise ConfigError(f"name must be fit for the name of a folder, not {self.name!r}.")
        self._check_early_stopping()

    def _check_early_stopping(self) -> None:
        rule = self.training.early_stopping
        if rule is None:
            return
        if self.data.validation == 0 and (rule.monitor.startswith("validation_") or rule.retrain is not None):
            raise ConfigError(
                "training.early_stopping needs validation data: hold back a part of the training examples by "
                "data.validation, such as 0.1."
            )
        names = ["loss", *(metric.name for metric in self.metrics), *(["penalty"] if self.penalty else [])]
        known = [*names, *(f"validation_{name}" for name in names)]
        if rule.monitor not in known:
            raise ConfigError(
                f"training.early_stopping.monitor must be one of {', '.join(known)}, not {rule.monitor!r}."
            )

    def to_toml(self) -> str:
        """The experiment as TOML, from which `from_toml` makes it again.

        Raises:
            ConfigError: a value that TOML cannot hold.
        """
        return toml.dumps(self)

    @classmethod
    def from_toml(cls, path: str | Path) -> Experiment:
        """The experiment of a TOML file, called like the file where it has no name of its own.

        Runs no code but the constructors of known classes.

        Raises:
            ConfigError: no such file, no TOML, an unknown key or class (the place and the nearest valid name are
                given), a missing part, a value that is refused.
        """
        parts = toml.load(path)
        return cls.from_config({"name": Path(path).stem, **parts}, where=str(path))

    @classmethod
    def from_config(cls, config: Mapping[str, Any], where: str = "") -> Experiment:
        """The experiment of nested dicts, as a TOML file holds them; errors as for `from_toml`."""
        return toml.described(cls, config, where)
