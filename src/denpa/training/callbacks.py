"""What may happen between steps: the protocol of callbacks.

A callback is a description; `begin` makes the session that lives through one call of `fit` and holds
what changes. A plain function of the training is a callback too: it is called after every epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from denpa.core.description import Description
from denpa.core.errors import ConfigError

__all__ = ["Callback", "Session", "as_callbacks"]


class Session:
    """A callback at work in one call of `fit`. Override what you need.

    Attributes:
        period: call `on_period` every so many updates; None for never.
        watches_epochs: whether `on_epoch_end` must see the model exactly as it was after each epoch.
            Where nobody watches, epochs of small data sets run together in one program.
        changes_model: whether `on_end` puts other numbers into the model, as early stopping does. It is then called
            after those of the others, so that a checkpoint holds what training can go on from.
    """

    period: int | None = None
    watches_epochs: bool = True
    changes_model: bool = False

    def __init__(self, training: Any) -> None:
        self.training = training

    def on_start(self) -> None:
        """Before the first step: nothing was refused, and a run that is resumed stands where it was left."""

    def on_epoch_end(self) -> None:
        """After an epoch; `self.training.row` holds its numbers."""

    def on_period(self) -> None:
        """After every `period` updates."""

    def on_progress(self) -> None:
        """After a chunk of steps, a few times a second."""

    def on_failure(self, error: BaseException) -> None:
        """Training ends by an error or Ctrl-C; the model holds its last good state."""

    def on_end(self) -> None:
        """Training ended by itself or by `stop`.

        An error here keeps no other session from its end; the first one is raised when all are done.
        """

    def memory(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a resumed run must remember: plain values for JSON, and arrays."""
        return {}, {}

    def remember(self, values: dict[str, Any], arrays: dict[str, Any]) -> None:
        """Take up what `memory` gave; `arrays` are by path."""


class Callback(Description):
    """Base of callbacks."""

    def begin(self, training: Any) -> Session:
        """The session for one call of `fit`."""
        raise NotImplementedError(f"{type(self).__name__} must define begin(training) -> Session.")


@dataclass(frozen=True)
class AfterEpoch(Callback):
    """Call a function with the training after every epoch."""

    function: Callable[[Any], Any]

    def begin(self, training: Any) -> Session:
        session = Session(training)
        session.on_epoch_end = lambda: self.function(training)  # type: ignore[method-assign]
        return session


def as_callbacks(callbacks: Any) -> tuple[Callback, ...]:
    """Callbacks as descriptions; a single one need not be in a list.

    Raises:
        ConfigError: something that is neither a callback nor a function.
    """
    made = []
    for callback in callbacks if isinstance(callbacks, (tuple, list)) else (callbacks,):
        if isinstance(callback, Callback):
            made.append(callback)
        elif callable(callback) and not isinstance(callback, type):
            made.append(AfterEpoch(callback))
        else:
            raise ConfigError(f"A callback is EarlyStopping(...), Checkpoint(...) or a function, not {callback!r}.")
    return tuple(made)
