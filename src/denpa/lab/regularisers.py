"""Ways of regularisation side by side: one experiment, each time with one of them, on the same examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from denpa.core.errors import ConfigError
from denpa.lab.experiment import Experiment
from denpa.lab.selection import SweepRow, sweep
from denpa.lab.sources import Prepared
from denpa.layers import Dense, Dropout
from denpa.networks import Sequential
from denpa.optim import MaxNorm, Optimizer, chain
from denpa.penalties import L1, L2
from denpa.training.early_stopping import EarlyStopping

__all__ = ["compare_regularised", "regularised"]


def regularised(
    experiment: Experiment,
    *,
    l1: float = 1e-3,
    l2: float = 1e-2,
    max_norm: float = 2.0,
    dropout: float = 0.3,
    patience: int = 5,
) -> dict[str, Experiment]:
    """The experiment without regularisation, and with one way of it at a time, by name.

    "none", "L1", "L2" (penalties on all W), "max-norm" (each unit's weights at most so long), "dropout" (in front of
    every `Dense` but the first), "early stopping", and "early stopping, retrained" (on all data, for as many updates
    as were best); the last two where the experiment holds validation data back.

    Args:
        experiment: a `Sequential`; its own penalty and early stopping are taken out first.
        l1, l2: strengths λ of the penalties.
        max_norm: c of the constraint.
        dropout: probability of dropping a unit.
        patience: measurements without improvement until training stops.

    Raises:
        ConfigError: a network of another kind, an optimiser that is not denpa's, or a strength or patience that
            its part refuses.
    """
    network, optimizer = experiment.network, experiment.optimizer
    if not isinstance(network, Sequential):
        raise ConfigError(f"Dropout can be put between the layers of a Sequential, not into {network!r}.")
    if not isinstance(optimizer, Optimizer):
        raise ConfigError(f"MaxNorm can be chained to an optimiser of denpa, not to {optimizer!r}.")
    training = experiment.training.replace(early_stopping=None)
    plain = experiment.replace(penalty=None, training=training)
    ways = {
        "none": plain,
        "L1": plain.replace(penalty=L1(l1)),
        "L2": plain.replace(penalty=L2(l2)),
        "max-norm": plain.replace(optimizer=chain(optimizer, MaxNorm(max_norm))),
        "dropout": plain.replace(network=_with_dropout(network, dropout)),
    }
    stopping = EarlyStopping(patience=patience)  # which refuses a wrong patience, whether there is validation or not
    rules = {"early stopping": stopping, "early stopping, retrained": stopping.replace(retrain="from_scratch")}
    if experiment.data.validation > 0:
        ways |= {name: plain.replace(training=training.replace(early_stopping=rule)) for name, rule in rules.items()}
    return ways


def compare_regularised(
    experiment: Experiment, data: Prepared, tell: Callable[[SweepRow], None] = lambda row: None, **strengths: Any
) -> list[SweepRow]:
    """Train each of `regularised` on the same examples and measure it on the test part; one row for each.

    Args:
        experiment, strengths: as for `regularised`.
        data: of `load_data`, with a test part. Validation data, where there are any, train no network but that of
            "early stopping, retrained", so that all others have seen the same.
        tell: called after each.
    """
    return sweep(regularised(experiment, **strengths).items(), [data], tell)


def _with_dropout(network: Sequential, rate: float) -> Sequential:
    """The network with `Dropout` in front of every `Dense` but the first; layers keep their names."""
    pairs: list[tuple[str, Any]] = []
    seen = 0
    for name, layer in network.inner():
        if isinstance(layer, Dense):
            pairs += [(f"dropout_{seen}", Dropout(rate))] * (seen > 0)
            seen += 1
        pairs.append((name, layer))
    return Sequential(tuple(pairs))
