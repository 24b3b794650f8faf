"""Early stopping of each member for itself, while the others go on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax

from denpa.core.layer import Variables
from denpa.training.callbacks import Callback, Session
from denpa.training.early_stopping import EarlyStopping
from denpa.training.history import History
from denpa.training.loop import Position, summarize
from denpa.training.members import member_of, with_member
from denpa.training.program import Run

__all__ = ["StopEach"]


@dataclass(frozen=True)
class StopEach(Callback):
    """An `EarlyStopping` for every member, each with measurements, patience and best parameters of its own.

    Args:
        rule: the same for all.
    """

    rule: EarlyStopping

    def begin(self, training: Any) -> Session:
        return StopEachSession(training, self.rule)


class StopEachSession(Session):
    """The session of each member's rule. Who stops returns to its best parameters at once, and is trained no more."""

    changes_model = True

    def __init__(self, training: Any, rule: EarlyStopping) -> None:
        super().__init__(training)
        self.period = rule.period
        self.alone = [Alone(training, index) for index in range(len(training.finite))]
        self.sessions = [rule.begin(alone) for alone in self.alone]
        self.stopped: set[int] = set()  # those who have returned to their best parameters

    def on_epoch_end(self) -> None:
        for alone, session in self._going():
            alone.row = alone.history.epochs[-1]
            session.on_epoch_end()

    def on_period(self) -> None:
        self.training.measure_apart()
        for _, session in self._going():
            session.on_period()

    def on_progress(self) -> None:
        # After all rules have seen the moment, for another may watch the same member.
        for alone, session in zip(self.alone, self.sessions, strict=True):
            if alone.history.stopped and alone.index not in self.stopped:
                self.stopped.add(alone.index)
                session.on_end()
        if not self.training.going.any():
            self.training.stop("all members have stopped")

    def on_end(self) -> None:
        for session in self.sessions:
            session.on_end()

    def memory(self) -> tuple[dict[str, Any], dict[str, Any]]:
        values, arrays = zip(*(session.memory() for session in self.sessions), strict=True)
        return {"members": list(values)}, {str(index): own for index, own in enumerate(arrays)}

    def remember(self, values: dict[str, Any], arrays: dict[str, Any]) -> None:
        for index, (alone, session) in enumerate(zip(self.alone, self.sessions, strict=True)):
            own = {path.removeprefix(f"{index}/"): a for path, a in arrays.items() if path.startswith(f"{index}/")}
            session.remember(values["members"][index], own)
            alone.row = dict(alone.history.epochs[-1]) if alone.history.epochs else {}
        self.on_progress()

    def _going(self) -> list[tuple[Alone, Session]]:
        pairs = zip(self.alone, self.sessions, strict=True)
        return [(alone, session) for alone, session in pairs if alone.index not in self.stopped]


class Alone:
    """What a session reads and writes of the training of one member, as if it were trained alone.

    Attributes:
        index: which member.
        row: the latest row of its history.
        best: what rules remember at the end.
    """

    def __init__(self, training: Any, index: int) -> None:
        self.training, self.index = training, index
        self.programs, self.validation, self.model = training.programs, training.validation, self
        self.row: dict[str, Any] = {}
        self.best: dict[Any, dict[str, Any]] = {}

    @property
    def run(self) -> Run:
        """The numbers of the member's run."""
        return member_of(self.training.run, self.index)

    @property
    def variables(self) -> Variables:
        """The member's parameters and state; assign to replace them."""
        return member_of(self.training.model.variables, self.index)

    @variables.setter
    def variables(self, variables: Variables) -> None:
        stacked = self.training.model
        stacked.variables = with_member(stacked.variables, self.index, Variables(*variables))

    @property
    def history(self) -> History:
        """The member's history."""
        return self.training.model.histories[self.index]

    @property
    def step(self) -> int:
        """Updates made so far."""
        return self.training.step

    @property
    def at(self) -> Position:
        """The position, with the logs of the member."""
        at = self.training.at
        return replace(at, logs=tuple(jax.tree.map(lambda a: a[:, self.index], part) for part in at.logs))

    def stop(self, reason: str) -> None:
        """End the training of the member."""
        self.history.stopped = reason

    def measure_validation(self) -> dict[str, Any]:
        """The latest measurement of the member on the validation data."""
        return self.training.held[self.index] if self.training.held else {}

    def summarize(self, logs: Any) -> dict[str, Any]:
        """Loss, penalty and metrics from the sums of steps of the member."""
        return summarize(self.programs.recipe, logs)
